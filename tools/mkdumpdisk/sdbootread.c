/*
 * What of systemd-boot is on this system's EFI system partition: the program, its settings, its
 * entries, ours among them. Entries on the extended boot loader partition count, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "loader.h"
#include "sdboot.h"
#include "sysdisk.h"
#include "tools/common/sysfacts.h"
#include "tools/common/tool.h"

#define LINES_MAX	1024
#define FILES_MAX	4096
#define HEAD_BYTES	4096 /* of a program: its headers are in there */
#define EFI_VARIABLES	"/sys/firmware/efi/efivars"
#define VARIABLE_CHOSEN "LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

const char sdboot_entry_text[] = "# Made by mkdumpdisk --systemd-boot.\n"
				 "title        " LOADER_TITLE "\n"
				 "architecture x64\n"
				 "efi          " BOOT_ENTRY_IMAGE "\n";

/* Of an extended boot loader partition, bc13c2ff-59e6-4262-a352-b275fd6f7172, as stored. */
static const u8 xbootldr_type[16] = {0xff, 0xc2, 0x13, 0xbc, 0xe6, 0x59, 0x62, 0x42, 0xa3, 0x52,
	0xb2, 0x75, 0xfd, 0x6f, 0x71, 0x72};

/* @path on the partition mounted at @point, below the root; @full has KEXEC_PATH_BYTES. */
static const char *place(const struct options *o, const char *point, const char *path, char *full)
{
	char name[KEXEC_PATH_BYTES];

	snprintf(name, sizeof(name), "%.64s%.512s", point, path);
	return kexec_path(o, name, full);
}

static bool there(const struct options *o, const char *point, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return access(place(o, point, path, full), F_OK) == 0;
}

/* --- the partition --- */

/* Where bootctl looks, in its order; the one with systemd-boot, else the first. */
static void find_esp(const struct options *o, struct sdboot *s)
{
	static const char *const points[] = {"/efi", "/boot", "/boot/efi"};
	struct boot_esp e;

	for (u32 i = 0; i < ARRAY_SIZE(points) && !s->loader; i++) {
		if (!boot_esp_mounted(o, points[i], sysdisk_esp_type, &e))
			continue;
		s->loader = there(o, points[i], SDBOOT_PROGRAM) && there(o, points[i], "/loader");
		if (!s->mounted || s->loader)
			s->esp = e;
		s->mounted = true;
	}
}

/* --- entries --- */

/* The value of the line "@key VALUE" in @line, or NULL. */
static char *value_of(char *line, const char *key)
{
	size_t length = strlen(key);

	line += strspn(line, " \t");
	if (strncmp(line, key, length) != 0 || (line[length] != ' ' && line[length] != '\t'))
		return NULL;
	line += length;
	line += strspn(line, " \t");
	line[strcspn(line, "\r\n")] = '\0';
	for (size_t n = strlen(line); n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'); n--)
		line[n - 1] = '\0';
	return line;
}

/* The last value of @key in the file @path, below the root already. False: it has none. */
static bool read_key(const char *path, const char *key, char *value, u32 size)
{
	FILE *f = fopen(path, "re");
	char line[1024], *text;
	bool found = false;

	for (u32 i = 0; f && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		text = value_of(line, key);
		if (!text)
			continue;
		snprintf(value, size, "%s", text);
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length > tail && strcasecmp(name + length - tail, end) == 0;
}

/* An entry that names no file, or one that is not there, is not in the menu. */
static bool leads_somewhere(const struct options *o, const char *point, const char *path)
{
	static const char *const keys[] = {"linux", "efi", "uki"};
	char file[512];

	for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!read_key(path, keys[i], file, sizeof(file)))
			continue;
		for (char *c = file; *c; c++)
			*c = *c == '\\' ? '/' : *c;
		return *file == '/' && there(o, point, file);
	}
	return false;
}

static void take_entry(
	const struct options *o, const char *point, const char *name, struct sdboot_order *r)
{
	char folder[KEXEC_PATH_BYTES], path[KEXEC_PATH_BYTES + 256], key[8];

	if (*name == '.' || !ends_in(name, ".conf") || strcasecmp(name, SDBOOT_NAME) == 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", place(o, point, SDBOOT_ENTRIES, folder), name);
	if (!leads_somewhere(o, point, path))
		return;
	sdboot_order_entry(r, name, read_key(path, "sort-key", key, sizeof(key)));
}

/* Entries by files, and kernels that are entries by themselves; those have a sort-key. */
static void take_entries(const struct options *o, const char *point, struct sdboot_order *r)
{
	char folder[KEXEC_PATH_BYTES];
	struct dirent *e;
	DIR *dir = opendir(place(o, point, SDBOOT_ENTRIES, folder));

	for (u32 i = 0; dir && i < FILES_MAX && (e = readdir(dir)); i++)
		take_entry(o, point, e->d_name, r);
	if (dir)
		closedir(dir);
	dir = opendir(place(o, point, "/EFI/Linux", folder));
	for (u32 i = 0; dir && i < FILES_MAX && (e = readdir(dir)); i++) {
		if (*e->d_name != '.' && ends_in(e->d_name, ".efi"))
			sdboot_order_entry(r, e->d_name, true);
	}
	if (dir)
		closedir(dir);
}

static void read_order(const struct options *o, struct sdboot *s)
{
	char path[KEXEC_PATH_BYTES], pattern[sizeof(s->order.pattern)] = "";
	struct boot_esp extended;

	if (read_key(place(o, s->esp.mounted, "/loader/loader.conf", path), "default", pattern,
		    sizeof(pattern)))
		sdboot_order_pattern(&s->order, pattern);
	firmware_text(o, VARIABLE_CHOSEN, pattern, sizeof(pattern));
	sdboot_order_pattern(&s->order, pattern);
	take_entries(o, s->esp.mounted, &s->order);
	if (strcmp(s->esp.mounted, "/boot") != 0 &&
		boot_esp_mounted(o, "/boot", xbootldr_type, &extended) &&
		strcmp(extended.disk, s->esp.disk) == 0)
		take_entries(o, "/boot", &s->order);
	sdboot_order_judge(&s->order);
}

/* --- ours --- */

bool sdboot_uses(const struct options *o, const struct boot_esp *e)
{
	return e->system && there(o, e->mounted, SDBOOT_ENTRY);
}

static bool is_whole(const char *path)
{
	char text[1024];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return false;
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return n == strlen(sdboot_entry_text) && memcmp(text, sdboot_entry_text, n) == 0;
}

static bool is_unsigned(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	u8 head[HEAD_BYTES];
	bool is_signed;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, head, sizeof(head));
	close(fd);
	return n > 0 && sysfacts_pe_signed(head, (u64)n, &is_signed) && !is_signed;
}

bool sdboot_read(const struct options *o, struct sdboot *s)
{
	char path[KEXEC_PATH_BYTES];

	*s = (struct sdboot) {0};
	find_esp(o, s);
	if (!s->mounted)
		return true;
	s->entry = sdboot_uses(o, &s->esp);
	s->whole = is_whole(place(o, s->esp.mounted, SDBOOT_ENTRY, path));
	s->secure = firmware_secure(o);
	s->unsigned_image = is_unsigned(place(o, s->esp.mounted, BOOT_ENTRY_IMAGE, path));
	boot_esp_look(o, &s->esp, &s->files);
	read_order(o, s);
	return access(kexec_path(o, EFI_VARIABLES, path), F_OK) != 0 ||
	       firmware_read(o, s->esp.guid, &s->firmware);
}
