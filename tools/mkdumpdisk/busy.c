/*
 * Who uses a device or file: mounts, swap, devices stacked on it, loop devices, the
 * running root. Says so in words; decides nothing else.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "busy.h"
#include "tools/common/tool.h"

#define SYSFS	    "/sys"
#define LINES_MAX   65536
#define DEVICES_MAX 65536

/* One line of /proc/self/mountinfo (proc_pid_mountinfo(5)), cut in place. */
struct mount {
	dev_t dev; /* of the file system; of its source if that is a block device */
	char *point;
};

static bool parse_mount(char *line, struct mount *m)
{
	unsigned int major_no, minor_no;
	struct stat st;
	char *dash = strstr(line, " - ");
	char *field[5];
	char *source;

	if (!dash)
		return false;
	*dash = '\0';
	for (u32 i = 0; i < ARRAY_SIZE(field); i++)
		field[i] = strsep(&line, " ");
	if (!field[4] || sscanf(field[2], "%u:%u", &major_no, &minor_no) != 2)
		return false;
	m->dev = makedev(major_no, minor_no);
	m->point = field[4];
	source = dash + 3;
	strsep(&source, " ");
	source = strsep(&source, " \n");
	/* btrfs and others show a device number of their own; the source has the real one. */
	if (major_no == 0 && source && source[0] == '/' && stat(source, &st) == 0 &&
		S_ISBLK(st.st_mode))
		m->dev = st.st_rdev;
	return true;
}

/* Same device, or one is a partition of the other. */
static bool overlaps(dev_t a, dev_t b)
{
	dev_t whole_a, whole_b;

	busy_is_partition(SYSFS, a, &whole_a);
	busy_is_partition(SYSFS, b, &whole_b);
	return a == b || whole_a == b || whole_b == a;
}

/* First mount that @match likes; its mount point in @point. */
static bool find_mount(
	bool (*match)(const struct mount *, dev_t), dev_t dev, struct mount *found, char **line)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t size = 0;
	bool hit = false;

	*line = NULL;
	if (!f)
		return false;
	for (u32 i = 0; !hit && i < LINES_MAX && getline(line, &size, f) > 0; i++)
		hit = parse_mount(*line, found) && match(found, dev);
	fclose(f);
	return hit;
}

static bool match_device(const struct mount *m, dev_t dev)
{
	return major(m->dev) != 0 && overlaps(m->dev, dev);
}

static bool match_root(const struct mount *m, dev_t dev)
{
	(void)dev;
	return strcmp(m->point, "/") == 0 && major(m->dev) != 0;
}

bool busy_is_root(const char *path, const struct stat *st)
{
	struct mount root;
	struct stat slash;
	char *line = NULL;
	bool hit = false;

	if (stat("/", &slash) == 0 && major(slash.st_dev) != 0)
		hit = busy_below(SYSFS, slash.st_dev, st->st_rdev);
	if (!hit && find_mount(match_root, 0, &root, &line))
		hit = busy_below(SYSFS, root.dev, st->st_rdev);
	free(line);
	if (hit)
		tool_error(path, "name another disk", "is part of the running root");
	return hit;
}

static bool is_mounted(const char *path, const struct stat *st)
{
	struct mount m;
	char *line;
	bool hit = find_mount(match_device, st->st_rdev, &m, &line);

	if (hit)
		tool_error(path, "unmount it first", "is mounted on %s", m.point);
	free(line);
	return hit;
}

static bool same_thing(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return overlaps(a->st_rdev, b->st_rdev);
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_swap(const char *path, const struct stat *st)
{
	FILE *f = fopen("/proc/swaps", "re");
	size_t size = 0;
	char *line = NULL;
	bool hit = false;

	if (!f)
		return false;
	for (u32 i = 0; !hit && i < LINES_MAX && getline(&line, &size, f) > 0; i++) {
		struct stat swap;
		char *rest = line;
		char *name = strsep(&rest, " \t");

		hit = name[0] == '/' && stat(name, &swap) == 0 && same_thing(st, &swap);
	}
	fclose(f);
	free(line);
	if (hit)
		tool_error(path, "use swapoff first", "is in use as swap");
	return hit;
}

static bool is_held(const char *path, const struct stat *st)
{
	char name[256];

	if (!busy_holder(SYSFS, st->st_rdev, name))
		return false;
	tool_error(path, "stop that device first", "is in use by %s", name);
	return true;
}

bool busy_device(const char *path, const struct stat *st)
{
	return is_mounted(path, st) || is_swap(path, st) || is_held(path, st);
}

/* @name of /sys/block is a loop device on the file @st. */
static bool match_loop(const char *name, const struct stat *st)
{
	char path[512];
	struct stat backing;
	size_t size = 0;
	char *line = NULL;
	bool hit = false;
	FILE *f;

	snprintf(path, sizeof(path), SYSFS "/block/%s/loop/backing_file", name);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		hit = stat(line, &backing) == 0 && same_thing(st, &backing);
	}
	fclose(f);
	free(line);
	return hit;
}

/* The loop device on the file @st, in @name. */
static bool find_loop(const struct stat *st, char name[256])
{
	DIR *d = opendir(SYSFS "/block");
	struct dirent *e;
	bool hit = false;

	if (!d)
		return false;
	for (u32 i = 0; !hit && i < DEVICES_MAX && (e = readdir(d)); i++) {
		snprintf(name, 256, "%s", e->d_name);
		hit = match_loop(name, st);
	}
	closedir(d);
	return hit;
}

bool busy_file(const char *path, const struct stat *st)
{
	char name[256];

	if (is_swap(path, st))
		return true;
	if (!find_loop(st, name))
		return false;
	tool_error(path, "detach it with losetup -d, or name the loop device",
		"is in use as /dev/%s", name);
	return true;
}
