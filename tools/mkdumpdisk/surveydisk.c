/*
 * Finds the dump partition in a disk, a partition or an image of either, reads it, and writes
 * one thing to it: the header of the survey's record. Decides nothing about surveys.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "busy.h"
#include "device.h"
#include "kexec.h"
#include "probe.h"
#include "survey.h"
#include "tools/common/tool.h"

#define NAME_ONE "name a dump disk, its dump partition, or an image of either"

/* --- opening --- */

static int open_flags(bool write)
{
	return (write ? O_RDWR | O_SYNC : O_RDONLY) | O_CLOEXEC;
}

static bool open_fd(struct dumpdisk *d, int flags)
{
	d->fd = open(d->path, flags);
	if (d->fd >= 0)
		return true;
	tool_error_errno(d->path, "be opened", errno,
		errno == EBUSY	  ? "end the program that uses it"
		: errno == EACCES ? "run this as root"
		: errno == EROFS  ? "make it writable first"
				  : NAME_ONE);
	return false;
}

static bool open_file(struct dumpdisk *d, const struct stat *st, bool write)
{
	d->bytes = (u64)st->st_size;
	if (write && busy_file(d->path, st))
		return false;
	return open_fd(d, open_flags(write)) && (!write || target_lock(d->path, d->fd, false));
}

/*
 * A whole disk is not held exclusively: that its EFI system partition is mounted, say, does no
 * harm, and where a dump partition begins nothing else does.
 */
static bool open_device(struct dumpdisk *d, const struct stat *st, bool write)
{
	int read_only = 0;
	dev_t whole;
	bool hold = write && busy_is_partition("/sys", st->st_rdev, &whole);

	d->block_device = true;
	if (hold && busy_device(d->path, st))
		return false;
	if (!open_fd(d, open_flags(write) | (hold ? O_EXCL : 0)))
		return false;
	if (ioctl(d->fd, BLKGETSIZE64, &d->bytes) != 0 || ioctl(d->fd, BLKROGET, &read_only) != 0) {
		tool_error_errno(d->path, "be measured", errno, NAME_ONE);
		return false;
	}
	if (!write || !read_only)
		return true;
	tool_error(d->path, "make it writable first", "is read-only");
	return false;
}

static bool open_any(struct dumpdisk *d, bool write)
{
	struct stat st;

	if (stat(d->path, &st) != 0) {
		if (errno == ENOENT)
			tool_error(d->path,
				strcmp(d->path, "off") == 0 ? "did you mean --survey=off?"
							    : NAME_ONE,
				"does not exist");
		else
			tool_error_errno(d->path, "be examined", errno, NAME_ONE);
		return false;
	}
	if (S_ISBLK(st.st_mode))
		return open_device(d, &st, write);
	if (S_ISREG(st.st_mode))
		return open_file(d, &st, write);
	tool_error(d->path, NAME_ONE, S_ISDIR(st.st_mode) ? "is a directory" : "is no disk");
	return false;
}

/* --- finding --- */

static bool super_at(const struct dumpdisk *d, u64 offset, struct dl_super *super)
{
	return range_fits(offset, sizeof(*super), d->bytes) &&
	       device_read(d->fd, offset, super, sizeof(*super)) && dl_super_check(super) == OK;
}

/* Both superblocks of the partition with blocks of @block_bytes; false if neither is good. */
static bool take_supers(struct dumpdisk *d, u32 block_bytes)
{
	u64 blocks = d->size / block_bytes;
	struct dl_super back;
	bool front_ok, back_ok;

	if (blocks == 0)
		return false;
	front_ok = super_at(d, d->start, &d->super) && d->super.block_bytes == block_bytes &&
		   d->super.blocks == blocks;
	back_ok = super_at(d, d->start + (blocks - 1) * block_bytes, &back) &&
		  back.block_bytes == block_bytes && back.blocks == blocks;
	if (!front_ok && back_ok)
		d->super = back;
	d->super_damaged = !front_ok || !back_ok || memcmp(&d->super, &back, sizeof(back)) != 0;
	return front_ok || back_ok;
}

static bool is_partition(struct dumpdisk *d)
{
	d->start = 0;
	d->size = d->bytes;
	return take_supers(d, 512) || take_supers(d, 4096);
}

/* Dump partitions on the disk of blocks of @block_bytes; 0 also if it can not be read. */
static u32 scan(struct dumpdisk *d, u32 block_bytes)
{
	struct kexec_scan s = {0};

	if (!kexec_scan_disk(d->fd, d->bytes, block_bytes, &s) || s.found == 0)
		return 0;
	d->start = s.first_bytes;
	d->size = s.first_size;
	return take_supers(d, block_bytes) ? s.found : 0;
}

static bool find_partition(struct dumpdisk *d)
{
	u32 found;

	if (is_partition(d))
		return true;
	found = scan(d, 512);
	if (found == 0)
		found = scan(d, 4096);
	if (found == 1)
		return true;
	if (found > 1)
		tool_error(
			d->path, "name the one that is meant", "holds %u dump partitions", found);
	else
		tool_error(d->path, "prepare it first with mkdumpdisk, without an action",
			"is not a dump disk");
	return false;
}

bool dumpdisk_open(struct dumpdisk *d, const char *path, bool write)
{
	*d = (struct dumpdisk) {.path = path, .fd = -1};
	if (open_any(d, write) && find_partition(d))
		return true;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	return false;
}

bool dumpdisk_close(struct dumpdisk *d)
{
	int fd = d->fd;

	d->fd = -1;
	return fd < 0 || close(fd) == 0;
}

/* --- reading and writing --- */

enum status dumpdisk_read(void *ctx, u64 offset, void *buf, u64 bytes)
{
	const struct dumpdisk *d = ctx;

	if (!range_fits(offset, bytes, d->size))
		return E_TRUNCATED;
	return device_read(d->fd, d->start + offset, buf, bytes) ? OK : E_READ;
}

bool dumpdisk_count_dumps(const struct dumpdisk *d, u32 *count)
{
	struct target t = {
		.path = d->path,
		.kind = d->start == 0	  ? TARGET_PARTITION
			: d->block_device ? TARGET_DISK
					  : TARGET_IMAGE,
		.fd = d->fd,
		.bytes = d->bytes,
		.sector_bytes = d->super.block_bytes,
		.exists = true,
	};
	struct probe found;

	if (!probe_target(&t, &found)) {
		tool_error_errno(d->path, "be examined", errno, "check the disk");
		return false;
	}
	*count = found.dumps;
	return true;
}

bool dumpdisk_write_survey(const struct dumpdisk *d, const struct dl_survey *v)
{
	struct device dev = {.fd = d->fd, .bytes = d->start + d->size};
	u64 block = dl_survey_block(&d->super);
	u8 buf[4096] = {0};

	if (d->super.survey_blocks == 0 || block >= d->super.blocks) {
		errno = EINVAL;
		return false;
	}
	if (v)
		memcpy(buf, v, sizeof(*v));
	return device_write(
		       &dev, d->start + block * d->super.block_bytes, buf, d->super.block_bytes) &&
	       fsync(d->fd) == 0;
}
