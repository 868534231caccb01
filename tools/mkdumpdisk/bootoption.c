/*
 * Takes apart the variables of UEFI's boot manager. They come from firmware and from whoever
 * wrote them: every length is checked. No files.
 */
#include <string.h>
#include <strings.h>
#include "bootoption.h"

#define OPTION_PATHS_BYTES 4u /* u16: the device paths after the description */
#define OPTION_DESCRIPTION 6u
#define OPTION_ACTIVE	   1u
#define NODES_MAX	   64
#define NODE_BYTES	   4u /* type, subtype, length with these four: s10.3.1 */
#define TYPE_MEDIA	   4u
#define MEDIA_DISK	   1u /* s10.3.5.1 */
#define MEDIA_FILE	   4u /* s10.3.5.4 */
#define TYPE_END	   0x7fu
#define DISK_BYTES	   42u
#define DISK_GUID	   24
#define DISK_TABLE	   40
#define DISK_SIGNATURE	   41
#define TABLE_GPT	   2u
#define SIGNATURE_GUID	   2u

static u32 get_u16(const u8 *p)
{
	return p[0] | (u32)p[1] << 8;
}

/*
 * Copies UCS-2 text of at most @bytes, as much of it as fits. Returns the bytes it takes with the
 * NUL at its end; 0: it has none.
 */
static u32 take_text(const u8 *from, u64 bytes, char to[BOOT_OPTION_TEXT_BYTES])
{
	u32 n = 0;

	for (u64 at = 0; range_fits(at, 2, bytes); at += 2) {
		u32 c = get_u16(from + at);

		if (c == 0) {
			to[n] = '\0';
			return (u32)at + 2;
		}
		if (n < BOOT_OPTION_TEXT_BYTES - 1)
			to[n++] = c >= ' ' && c < 0x7f ? (char)c : '?';
	}
	to[0] = '\0';
	return 0;
}

static void take_disk(const u8 *node, u32 bytes, struct boot_option *out)
{
	if (bytes < DISK_BYTES || node[DISK_TABLE] != TABLE_GPT ||
		node[DISK_SIGNATURE] != SIGNATURE_GUID)
		return;
	out->has_partition = true;
	memcpy(out->partition, node + DISK_GUID, sizeof(out->partition));
}

/* The first of the paths; others, after its end, are the firmware's business. */
static bool take_path(const u8 *path, u64 bytes, struct boot_option *out)
{
	u64 at = 0;

	for (u32 i = 0; i < NODES_MAX && range_fits(at, NODE_BYTES, bytes); i++) {
		const u8 *node = path + at;
		u32 length = get_u16(node + 2);

		if (length < NODE_BYTES || !range_fits(at, length, bytes))
			return false;
		if ((node[0] & TYPE_END) == TYPE_END)
			return true;
		if (node[0] == TYPE_MEDIA && node[1] == MEDIA_DISK)
			take_disk(node, length, out);
		if (node[0] == TYPE_MEDIA && node[1] == MEDIA_FILE &&
			take_text(node + NODE_BYTES, length - NODE_BYTES, out->path) == 0)
			return false;
		at += length;
	}
	return false;
}

bool boot_option_parse(const u8 *data, u64 bytes, struct boot_option *out)
{
	u32 text_bytes;
	u64 path_bytes, at;

	*out = (struct boot_option) {0};
	if (bytes < OPTION_DESCRIPTION)
		return false;
	text_bytes =
		take_text(data + OPTION_DESCRIPTION, bytes - OPTION_DESCRIPTION, out->description);
	at = OPTION_DESCRIPTION + text_bytes;
	path_bytes = get_u16(data + OPTION_PATHS_BYTES);
	out->active = data[0] & OPTION_ACTIVE;
	return text_bytes > 0 && range_fits(at, path_bytes, bytes) &&
	       take_path(data + at, path_bytes, out);
}

bool boot_option_leads_to(const struct boot_option *b, const u8 guid[16], const char *path)
{
	return b->has_partition && memcmp(b->partition, guid, sizeof(b->partition)) == 0 &&
	       strcasecmp(b->path, path) == 0;
}

int boot_option_number(const char *name)
{
	static const char digits[] = "0123456789ABCDEF";
	int number = 0;

	if (strncmp(name, "Boot", 4) != 0)
		return -1;
	for (u32 i = 4; i < 8; i++) {
		const char *digit = name[i] ? strchr(digits, name[i]) : NULL;

		if (!digit)
			return -1;
		number = number * 16 + (int)(digit - digits);
	}
	return strcmp(name + 8, "-8be4df61-93ca-11d2-aa0d-00e098032b8c") == 0 ? number : -1;
}
