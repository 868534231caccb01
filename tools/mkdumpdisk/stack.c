/*
 * How block devices are stacked, from sysfs: partitions in disks, device mapper and
 * RAID above their slaves. Takes the place of sysfs as an argument so that it can be
 * tried on a made-up tree.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "busy.h"

#define STACK_MAX   256 /* devices below a file system */
#define ENTRIES_MAX 4096

struct stack {
	dev_t dev[STACK_MAX];
	u32 count;
	bool complete;
};

/* The MAJOR:MINOR in the file @dir/@name. */
static bool read_dev(const char *dir, const char *name, dev_t *dev)
{
	char path[4352];
	unsigned int major_no, minor_no;
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fscanf(f, "%u:%u", &major_no, &minor_no);
	fclose(f);
	if (n != 2)
		return false;
	*dev = makedev(major_no, minor_no);
	return true;
}

static void device_dir(const char *sysfs, dev_t dev, char *dir, size_t size)
{
	snprintf(dir, size, "%s/dev/block/%u:%u", sysfs, major(dev), minor(dev));
}

bool busy_is_partition(const char *sysfs, dev_t dev, dev_t *whole)
{
	char dir[256];
	char path[300];
	struct stat st;

	*whole = dev;
	device_dir(sysfs, dev, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/partition", dir);
	if (stat(path, &st) != 0)
		return false;
	read_dev(dir, "../dev", whole);
	return true;
}

static void stack_add(struct stack *s, dev_t dev)
{
	for (u32 i = 0; i < s->count; i++) {
		if (s->dev[i] == dev)
			return;
	}
	if (s->count == STACK_MAX) {
		s->complete = false;
		return;
	}
	s->dev[s->count++] = dev;
}

/* Adds what @dev is made of. A device without a slaves directory is made of nothing. */
static void stack_add_slaves(struct stack *s, const char *sysfs, dev_t dev)
{
	char dir[256];
	char slaves[300];
	struct dirent *e;
	dev_t below;
	DIR *d;

	device_dir(sysfs, dev, dir, sizeof(dir));
	snprintf(slaves, sizeof(slaves), "%s/slaves", dir);
	d = opendir(slaves);
	if (!d)
		return;
	for (u32 i = 0; i < ENTRIES_MAX && (e = readdir(d)); i++) {
		char name[300];

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/dev", e->d_name);
		if (read_dev(slaves, name, &below))
			stack_add(s, below);
		else
			s->complete = false;
	}
	closedir(d);
}

bool busy_below(const char *sysfs, dev_t root, dev_t dev)
{
	struct stack s = {.complete = true};
	dev_t whole;

	stack_add(&s, root);
	for (u32 i = 0; i < s.count; i++) {
		if (busy_is_partition(sysfs, s.dev[i], &whole))
			stack_add(&s, whole);
		stack_add_slaves(&s, sysfs, s.dev[i]);
	}
	for (u32 i = 0; i < s.count; i++) {
		if (s.dev[i] == dev)
			return true;
	}
	return !s.complete;
}

/* The first entry of @dir/@sub/holders. */
static bool first_holder(const char *dir, const char *sub, char name[256])
{
	char path[600];
	struct dirent *e;
	bool hit = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s/holders", dir, sub);
	d = opendir(path);
	if (!d)
		return false;
	for (u32 i = 0; !hit && i < ENTRIES_MAX && (e = readdir(d)); i++) {
		snprintf(name, 256, "%s", e->d_name);
		hit = name[0] != '.';
	}
	closedir(d);
	return hit;
}

/* Partitions are directories in their disk's; "." is the disk itself. */
bool busy_holder(const char *sysfs, dev_t dev, char name[256])
{
	char dir[256];
	struct dirent *e;
	bool hit = false;
	DIR *d;

	device_dir(sysfs, dev, dir, sizeof(dir));
	d = opendir(dir);
	if (!d)
		return false;
	for (u32 i = 0; !hit && i < ENTRIES_MAX && (e = readdir(d)); i++)
		hit = strcmp(e->d_name, "..") != 0 && first_holder(dir, e->d_name, name);
	closedir(d);
	return hit;
}
