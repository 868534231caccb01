/*
 * Reads the kernel's list of mounts (proc(5), mountinfo).
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "kexec.h"
#include "mounts.h"

#define LINES_MAX      65536
#define LINE_MAX_BYTES 8192

/* True if one of the words between commas in @options is "ro". */
static bool is_read_only(char *options)
{
	char *word;

	for (u32 i = 0; i < LINE_MAX_BYTES && (word = strsep(&options, ",")); i++) {
		if (strcmp(word, "ro") == 0)
			return true;
	}
	return false;
}

/*
 * A line like "36 35 259:1 / /boot/efi rw,relatime shared:1 - vfat /dev/nvme0n1p1 rw": the
 * mount's own options, then, after the dash, type, source and the file system's options.
 */
static bool take_line(char *line, const char *point, struct mount *m)
{
	char root[4096], at[4096], options[512], type[32], super[512] = "";
	unsigned int major_no, minor_no;
	char *rest = strstr(line, " - ");

	if (!rest ||
		sscanf(line, "%*u %*u %u:%u %4095s %4095s %511s", &major_no, &minor_no, root, at,
			options) != 5 ||
		strcmp(at, point) != 0 || sscanf(rest, " - %31s %*s %511s", type, super) < 1)
		return false;
	m->dev = makedev(major_no, minor_no);
	m->whole = strcmp(root, "/") == 0;
	snprintf(m->type, sizeof(m->type), "%s", type);
	m->read_only = is_read_only(options) || is_read_only(super);
	return true;
}

bool mounts_find(const struct options *o, const char *point, struct mount *m)
{
	char path[KEXEC_PATH_BYTES], line[LINE_MAX_BYTES];
	FILE *f = fopen(kexec_path(o, "/proc/self/mountinfo", path), "re");
	bool hit = false;

	if (!f)
		return false;
	for (u32 i = 0; i < LINES_MAX && fgets(line, sizeof(line), f); i++)
		hit = take_line(line, point, m) || hit;
	fclose(f);
	return hit;
}
