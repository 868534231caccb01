/*
 * Finds and opens disks by their numbers and names. What is on them is others' business.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "device.h"
#include "sysdisk.h"

#define ENTRIES_MAX 65536

/* UEFI 2.10 s5.3.3. */
const u8 sysdisk_esp_type[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00,
	0xa0, 0xc9, 0x3e, 0xc9, 0x3b};

static bool measure(struct sysdisk *d)
{
	struct stat st;
	int sector;

	if (fstat(d->fd, &st) != 0)
		return false;
	d->bytes = (u64)st.st_size;
	d->block_bytes = 512;
	if (!S_ISBLK(st.st_mode))
		return S_ISREG(st.st_mode);
	if (ioctl(d->fd, BLKGETSIZE64, &d->bytes) != 0 || ioctl(d->fd, BLKSSZGET, &sector) != 0)
		return false;
	d->block_bytes = (u32)sector;
	return true;
}

bool sysdisk_open(struct sysdisk *d, const struct options *o)
{
	char path[KEXEC_PATH_BYTES], name[80];

	snprintf(name, sizeof(name), "/dev/%s", d->name);
	d->fd = open(kexec_path(o, name, path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0 && errno == ENOENT)
		d->fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0)
		return false;
	if (measure(d))
		return true;
	close(d->fd);
	return false;
}

enum status sysdisk_read(void *disk, u64 lba, u32 blocks, void *buf)
{
	const struct sysdisk *d = disk;
	u64 total = d->bytes / d->block_bytes;

	if (!range_fits(lba, blocks, total))
		return E_GEOMETRY;
	return device_read(d->fd, lba * d->block_bytes, buf, (u64)blocks * d->block_bytes) ? OK
											   : E_READ;
}

/* The number in the file @file of the partition @name; 0: none. */
static u64 partition_fact(const struct sysdisk *d, const char *name, const char *file)
{
	char path[KEXEC_PATH_BYTES + 400];
	unsigned long long value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/block/%s/%s/%s", d->sysfs, d->name, name, file);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &value) != 1 || value > INT64_MAX / 512)
		value = 0;
	fclose(f);
	return value;
}

static u64 partition_start(const struct sysdisk *d, const char *name)
{
	return partition_fact(d, name, "start") * 512; /* always counted so */
}

u32 sysdisk_partition_number(const struct sysdisk *d, const char *name)
{
	return (u32)partition_fact(d, name, "partition");
}

bool sysdisk_partition(const struct sysdisk *d, u64 start_bytes, char name[64])
{
	char path[KEXEC_PATH_BYTES + 80];
	struct dirent *e;
	bool hit = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/block/%s", d->sysfs, d->name);
	dir = opendir(path);
	if (!dir)
		return false;
	for (u32 i = 0; !hit && i < ENTRIES_MAX && (e = readdir(dir)); i++) {
		hit = strncmp(e->d_name, d->name, strlen(d->name)) == 0 &&
		      partition_start(d, e->d_name) == start_bytes;
		if (hit)
			snprintf(name, 64, "%.63s", e->d_name);
	}
	closedir(dir);
	return hit;
}

bool sysdisk_named(const struct options *o, const char *name, struct sysdisk *d)
{
	kexec_path(o, "/sys", d->sysfs);
	return (u32)snprintf(d->name, sizeof(d->name), "%s", name) < sizeof(d->name);
}

bool sysdisk_identify(const struct options *o, dev_t dev, struct sysdisk *d, u64 *start_bytes)
{
	char link[KEXEC_PATH_BYTES + 64], path[PATH_MAX], below[PATH_MAX + 16];
	char *name, *last;

	kexec_path(o, "/sys", d->sysfs);
	snprintf(link, sizeof(link), "%s/dev/block", d->sysfs);
	if (access(link, F_OK) != 0)
		snprintf(d->sysfs, sizeof(d->sysfs), "/sys");
	snprintf(link, sizeof(link), "%s/dev/block/%u:%u", d->sysfs, major(dev), minor(dev));
	if (!realpath(link, path))
		return false;
	snprintf(below, sizeof(below), "%s/partition", path);
	*start_bytes = 0;
	name = basename(path);
	if (access(below, F_OK) == 0) {
		last = strrchr(path, '/');
		*last = '\0';
		snprintf(d->name, sizeof(d->name), "%.63s", basename(path));
		*start_bytes = partition_start(d, last + 1);
		return *start_bytes > 0;
	}
	return (u32)snprintf(d->name, sizeof(d->name), "%s", name) < sizeof(d->name);
}
