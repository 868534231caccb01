/*
 * Files of the installation: each is written under another name and then takes its place,
 * so that at no time half of one is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "device.h"
#include "kexec.h"
#include "tools/common/tool.h"

#define COPY_BYTES	  (64u * KIB)
#define PROGRAM_MAX_BYTES (256u * MIB)

struct new_file {
	char path[KEXEC_PATH_BYTES];
	char temp[KEXEC_PATH_BYTES + 8];
	int fd;
};

static bool failed(const char *path)
{
	tool_error_errno(path, "be written", errno,
		errno == EACCES || errno == EPERM ? "run this as root"
		: errno == ENOSPC		  ? "make room"
		: errno == EIO			  ? "check the disk"
		: errno == EROFS		  ? "make that file system writable"
						  : "correct that");
	return false;
}

/* Every folder that leads to @path and is missing; false with errno. */
static bool make_folders(const char *path)
{
	char part[KEXEC_PATH_BYTES];

	snprintf(part, sizeof(part), "%s", path);
	for (char *c = part + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return false;
		*c = '/';
	}
	return true;
}

static bool file_begin(struct new_file *n, const struct options *o, const char *path, mode_t mode)
{
	kexec_path(o, path, n->path);
	snprintf(n->temp, sizeof(n->temp), "%s.new", n->path);
	if (!make_folders(n->path) || (unlink(n->temp) != 0 && errno != ENOENT))
		return failed(n->path);
	n->fd = open(n->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (n->fd < 0)
		return failed(n->path);
	/* FAT has modes of its own and refuses others; no other file system refuses the owner. */
	if (fchmod(n->fd, mode) == 0 || errno == EPERM)
		return true;
	failed(n->path);
	close(n->fd);
	unlink(n->temp);
	return false;
}

static bool sync_folder(const char *path)
{
	char copy[KEXEC_PATH_BYTES];
	bool ok;
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = fsync(fd) == 0;
	close(fd);
	return ok;
}

/* @written: all of it is in the file; else errno says why not. */
static bool file_end(struct new_file *n, bool written)
{
	int err = errno;
	bool ok = written && fsync(n->fd) == 0;

	err = written ? errno : err;
	if (close(n->fd) != 0 && ok) {
		err = errno;
		ok = false;
	}
	errno = err;
	if (ok && rename(n->temp, n->path) == 0 && sync_folder(n->path))
		return true;
	err = errno;
	unlink(n->temp);
	errno = err;
	return failed(n->path);
}

static bool write_bytes(
	const struct options *o, const char *path, mode_t mode, const void *data, u64 bytes)
{
	struct device d = {.bytes = bytes};
	struct new_file n;

	if (!file_begin(&n, o, path, mode))
		return false;
	d.fd = n.fd;
	return file_end(&n, device_write(&d, 0, data, bytes));
}

bool kexec_file_write(const struct options *o, const char *path, const void *data, u64 bytes)
{
	return write_bytes(o, path, 0644, data, bytes);
}

bool kexec_file_write_script(const struct options *o, const char *path, const char *text)
{
	return write_bytes(o, path, 0755, text, strlen(text));
}

static bool copy_bytes(int from, int to, u64 bytes)
{
	struct device d = {.fd = to, .bytes = bytes};
	u8 buf[COPY_BYTES];

	if (bytes > PROGRAM_MAX_BYTES) {
		errno = EFBIG;
		return false;
	}
	for (u64 at = 0; at < bytes; at += min_u64(bytes - at, sizeof(buf))) {
		u64 n = min_u64(bytes - at, sizeof(buf));

		if (!device_read(from, at, buf, n) || !device_write(&d, at, buf, n))
			return false;
	}
	return true;
}

bool kexec_file_copy_program(const struct options *o, const char *path)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct new_file n;
	struct stat st;
	bool ok;

	if (from < 0 || fstat(from, &st) != 0) {
		tool_error_errno("/proc/self/exe", "be read", errno, "mount /proc");
		if (from >= 0)
			close(from);
		return false;
	}
	ok = file_begin(&n, o, path, 0755);
	if (ok)
		ok = file_end(&n, copy_bytes(from, n.fd, (u64)st.st_size));
	close(from);
	return ok;
}

bool kexec_file_link(const struct options *o, const char *path, const char *to)
{
	char full[KEXEC_PATH_BYTES], temp[KEXEC_PATH_BYTES + 8];

	kexec_path(o, path, full);
	snprintf(temp, sizeof(temp), "%s.new", full);
	if (make_folders(full) && (unlink(temp) == 0 || errno == ENOENT) &&
		symlink(to, temp) == 0 && rename(temp, full) == 0 && sync_folder(full))
		return true;
	return failed(full);
}

bool kexec_file_remove(const struct options *o, const char *path, bool folder)
{
	char full[KEXEC_PATH_BYTES], temp[KEXEC_PATH_BYTES + 8];

	kexec_path(o, path, full);
	snprintf(temp, sizeof(temp), "%s.new", full);
	unlink(temp); /* left by an installation that was cut off; if it stays, so does its folder */
	if (unlink(full) != 0 && errno != ENOENT && errno != ENOTDIR) {
		tool_error_errno(full, "be removed", errno,
			errno == EACCES || errno == EPERM ? "run this as root" : "correct that");
		return false;
	}
	if (folder && rmdir(dirname(full)) != 0 && errno != ENOENT && errno != ENOTEMPTY &&
		errno != EEXIST)
		tool_error_errno(full, "be removed", errno, "remove that folder by hand");
	return true;
}
