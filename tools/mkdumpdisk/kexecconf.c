/*
 * The settings of the installation: a file of KEY=VALUE lines that the service and
 * --kexec=status go by. What an editor left in it is checked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>
#include "bootimage.h"
#include "kexec.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define LINES_MAX 256

void kexec_console_text(const struct options *o, char text[64])
{
	char serial[32] = "";

	if (o->console & BOOT_CONSOLE_SERIAL)
		snprintf(serial, sizeof(serial), "serial:0x%x:%u", o->serial_port, o->serial_baud);
	snprintf(text, 64, "%s%s%s", serial,
		o->console == (BOOT_CONSOLE_SERIAL | BOOT_CONSOLE_SCREEN) ? "," : "",
		o->console & BOOT_CONSOLE_SCREEN ? "screen" : "");
}

void kexec_settings_text(const struct kexec_settings *s, char *text, u32 size)
{
	char uuid[GUID_TEXT_BYTES], sum[32] = "";

	if (s->copied)
		snprintf(sum, sizeof(sum), "IMAGE_CRC32C=%08x\n", s->image_crc32c);
	snprintf(text, size,
		"# Made by mkdumpdisk --kexec, read by " KEXEC_SERVICE ".\n"
		"TARGET=%s\nCONSOLE=%s\nIMAGE=%s\n%s",
		guid_text(s->target_uuid, uuid), s->console, s->image, sum);
}

static bool take_target(const char *value, struct kexec_settings *s)
{
	uuid_t uuid;

	if (uuid_parse(value, uuid) != 0)
		return false;
	guid_swap(uuid, s->target_uuid);
	return true;
}

static bool take_console(const char *value, struct kexec_settings *s)
{
	struct options o = {.serial_port = 0x3f8, .serial_baud = 115200};

	if (!options_parse_console(value, &o))
		return false;
	kexec_console_text(&o, s->console);
	return true;
}

static bool take_image(const char *value, struct kexec_settings *s)
{
	return value[0] == '/' &&
	       (u32)snprintf(s->image, sizeof(s->image), "%s", value) < sizeof(s->image);
}

static bool take_sum(const char *value, struct kexec_settings *s)
{
	if (strlen(value) != 8 || strspn(value, "0123456789abcdef") != 8)
		return false;
	s->image_crc32c = (u32)strtoul(value, NULL, 16);
	s->copied = true;
	return true;
}

static bool take_line(char *line, struct kexec_settings *s)
{
	static const struct {
		const char *key;
		bool (*take)(const char *, struct kexec_settings *);
	} keys[] = {
		{"TARGET", take_target},
		{"CONSOLE", take_console},
		{"IMAGE", take_image},
		{"IMAGE_CRC32C", take_sum},
	};
	char *value = line;
	char *key = strsep(&value, "=");

	if (*line == '\0' || *line == '#')
		return true;
	for (u32 i = 0; value && i < ARRAY_SIZE(keys); i++) {
		if (strcmp(key, keys[i].key) == 0)
			return keys[i].take(value, s);
	}
	return false;
}

/* The number of the first line that is wrong; 0: none. */
static u32 take_lines(FILE *f, struct kexec_settings *s)
{
	char line[4096];

	for (u32 i = 1; i <= LINES_MAX && fgets(line, sizeof(line), f); i++) {
		line[strcspn(line, "\n")] = '\0';
		if (!take_line(line, s))
			return i;
	}
	return 0;
}

bool kexec_settings_exist(const struct options *o)
{
	char path[KEXEC_PATH_BYTES];

	return access(kexec_path(o, KEXEC_SETTINGS, path), F_OK) == 0;
}

bool kexec_settings_load(const struct options *o, struct kexec_settings *s)
{
	static const char todo[] = "install it again with mkdumpdisk --kexec TARGET";
	static const u8 none[16];
	char path[KEXEC_PATH_BYTES];
	FILE *f = fopen(kexec_path(o, KEXEC_SETTINGS, path), "re");
	u32 bad;

	*s = (struct kexec_settings) {0};
	if (!f) {
		tool_error(path, "install it with mkdumpdisk --kexec TARGET",
			"is not there: nothing is installed");
		return false;
	}
	bad = take_lines(f, s);
	fclose(f);
	if (bad)
		tool_error(path, todo, "line %u is wrong", bad);
	else if (!*s->console || !*s->image || memcmp(s->target_uuid, none, sizeof(none)) == 0)
		tool_error(path, todo, "is incomplete");
	else
		return true;
	return false;
}
