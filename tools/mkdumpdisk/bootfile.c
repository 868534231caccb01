/*
 * Finds the files that belong to the program, and reads afterimage.mbr. What the bytes must be is decided in bootpatch.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootfile.h"
#include "device.h"
#include "tools/common/tool.h"

#define NAME_IT "name it with --image FILE"

/* Beside the program as `make` leaves it, then where `make install` puts it. */
static const char *const places[] = {"", "/../lib/afterimage"};

bool bootfile_find(char *path, u32 size, const char *name, const char *target, bool *installed)
{
	char dir[2048];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *slash;

	if (n < 0 || n >= (ssize_t)sizeof(dir) - 1) {
		tool_error(target, NAME_IT, "the boot image %s cannot be searched for", name);
		return false;
	}
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, size, "%s%s/%s", dir, places[i], name);
		*installed = i > 0;
		if (access(path, F_OK) == 0)
			return true;
	}
	tool_error(target, NAME_IT,
		"the boot image %s is neither in %s nor in %s/../lib/afterimage", name, dir, dir);
	return false;
}

/* Reads at most one byte more than fits, so that a longer file shows. */
static bool read_image(struct bootfile *f, u64 *bytes)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	ok = fstat(fd, &st) == 0;
	if (ok && !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		ok = false;
	}
	*bytes = ok ? (u64)st.st_size : 0;
	if (ok && *bytes <= sizeof(f->data))
		ok = device_read(fd, 0, f->data, *bytes);
	close(fd);
	return ok;
}

bool bootfile_load(struct bootfile *f, const char *path, const char *target)
{
	const char *fault;
	bool installed;
	u64 bytes;

	if (path)
		snprintf(f->path, sizeof(f->path), "%s", path);
	else if (!bootfile_find(f->path, sizeof(f->path), "afterimage.mbr", target, &installed))
		return false;
	if (!read_image(f, &bytes)) {
		tool_error_errno(f->path, "read the boot image", errno, NAME_IT);
		return false;
	}
	fault = bootfile_fault(f->data, bytes);
	if (fault) {
		tool_error(f->path, "build it again with make, or " NAME_IT, "%s", fault);
		return false;
	}
	f->bytes = (u32)bytes;
	return true;
}
