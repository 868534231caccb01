/*
 * Opens and measures the target; refuses what is no disk, busy, or the running root.
 * Whether it holds data is asked elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "busy.h"
#include "target.h"
#include "tools/common/tool.h"

#define NAME_A_DISK "name a disk, a partition or a disk image file"

static bool refuse_kind(const char *path, mode_t mode)
{
	const char *what = S_ISDIR(mode)    ? "is a directory"
			   : S_ISCHR(mode)  ? "is a character device"
			   : S_ISFIFO(mode) ? "is a pipe"
			   : S_ISSOCK(mode) ? "is a socket"
					    : "is no disk";

	tool_error(path, NAME_A_DISK, "%s", what);
	return false;
}

/* The file is to be made: can it be? */
static bool check_directory(const char *path)
{
	char copy[4096];

	if (strlen(path) >= sizeof(copy)) {
		tool_error(path, "use a shorter one", "the name is too long");
		return false;
	}
	memcpy(copy, path, strlen(path) + 1);
	if (access(dirname(copy), W_OK | X_OK) == 0)
		return true;
	tool_error_errno(path, "be created", errno, "name a directory that can be written");
	return false;
}

static bool open_missing(struct target *t, const struct options *o)
{
	if (o->size_bytes == 0) {
		tool_error(t->path, "name a disk, or give --size to create an image file",
			"does not exist");
		return false;
	}
	t->kind = TARGET_IMAGE;
	t->bytes = o->size_bytes;
	return check_directory(t->path);
}

static bool open_fd(struct target *t, const struct options *o, int flags)
{
	t->fd = open(t->path, (o->dry_run ? O_RDONLY : O_RDWR) | O_CLOEXEC | flags);
	if (t->fd >= 0)
		return true;
	tool_error_errno(t->path, "be opened", errno,
		errno == EBUSY	  ? "end the program that uses it"
		: errno == EACCES ? "run this as root"
		: errno == EROFS  ? "make it writable first"
				  : NAME_A_DISK);
	return false;
}

bool target_lock(const char *path, int fd, bool dry_run)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	bool asked = fcntl(fd, dry_run ? F_OFD_GETLK : F_OFD_SETLK, &lock) == 0;

	if (asked && (!dry_run || lock.l_type == F_UNLCK))
		return true;
	if (asked || errno == EAGAIN || errno == EACCES)
		tool_error(path, "end that program first",
			"is in use by another program (a virtual machine?)");
	else
		tool_error_errno(path, "be locked", errno, "copy it to a local file system");
	return false;
}

static bool open_file(struct target *t, const struct options *o, const struct stat *st)
{
	t->kind = TARGET_IMAGE;
	t->bytes = o->size_bytes ? o->size_bytes : (u64)st->st_size;
	if (o->size_bytes && !o->force) {
		tool_error(t->path, "leave out --size, or use --force to replace it",
			"exists already");
		return false;
	}
	if (busy_file(t->path, st))
		return false;
	return open_fd(t, o, 0) && target_lock(t->path, t->fd, o->dry_run);
}

static bool measure_device(struct target *t, const struct options *o)
{
	int sector_bytes;
	int read_only;
	u64 bytes;

	if (ioctl(t->fd, BLKGETSIZE64, &bytes) != 0 ||
		ioctl(t->fd, BLKSSZGET, &sector_bytes) != 0 ||
		ioctl(t->fd, BLKROGET, &read_only) != 0) {
		tool_error_errno(t->path, "be measured", errno, NAME_A_DISK);
		return false;
	}
	if (read_only) {
		tool_error(t->path, "make it writable first", "is read-only");
		return false;
	}
	if (sector_bytes != 512 && sector_bytes != 4096) {
		tool_error(t->path, "format it with 512 or 4096 byte sectors",
			"has sectors of %d bytes", sector_bytes);
		return false;
	}
	if (o->sector_bytes && o->sector_bytes != (u32)sector_bytes) {
		tool_error(t->path, "leave out --sector-size", "has sectors of %d bytes",
			sector_bytes);
		return false;
	}
	t->sector_bytes = (u32)sector_bytes;
	t->bytes = bytes;
	return true;
}

static bool open_device(struct target *t, const struct options *o, const struct stat *st)
{
	dev_t whole;

	t->rdev = st->st_rdev;
	t->kind = busy_is_partition("/sys", t->rdev, &whole) ? TARGET_PARTITION : TARGET_DISK;
	if (o->size_bytes) {
		tool_error(t->path, "leave out --size", "is a device and has its own size");
		return false;
	}
	if (busy_is_root(t->path, st) || busy_device(t->path, st))
		return false;
	return open_fd(t, o, O_EXCL) && measure_device(t, o);
}

bool target_open(struct target *t, const struct options *o)
{
	struct stat st;

	*t = (struct target) {
		.path = o->target,
		.fd = -1,
		.sector_bytes = o->sector_bytes ? o->sector_bytes : 512,
	};
	if (stat(t->path, &st) != 0) {
		if (errno == ENOENT)
			return open_missing(t, o);
		tool_error_errno(t->path, "be examined", errno, NAME_A_DISK);
		return false;
	}
	t->exists = true;
	if (S_ISBLK(st.st_mode))
		return open_device(t, o, &st);
	if (S_ISREG(st.st_mode))
		return open_file(t, o, &st);
	return refuse_kind(t->path, st.st_mode);
}

bool target_close(struct target *t)
{
	int fd = t->fd;

	t->fd = -1;
	return fd < 0 || close(fd) == 0;
}
