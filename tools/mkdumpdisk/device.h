/*
 * Reads and writes at byte positions that are complete or fail; errno says why.
 */
#ifndef MKDUMPDISK_DEVICE_H
#define MKDUMPDISK_DEVICE_H

#include "types.h"

/* All @bytes at @offset, or false: errno is set, EIO if the file ends before. */
bool device_read(int fd, u64 offset, void *buf, u64 bytes) MUST_CHECK;

struct device {
	int fd;
	u64 bytes; /* no write reaches beyond */
};

/* All @bytes to @offset, or false with errno; EINVAL if they do not lie inside the device. */
bool device_write(const struct device *d, u64 offset, const void *buf, u64 bytes) MUST_CHECK;

/* Writes zeros; same rules. */
bool device_zero(const struct device *d, u64 offset, u64 bytes) MUST_CHECK;

/* True if [offset, offset + bytes) of @fd can be read and is all zero; false otherwise. */
bool device_is_zero(int fd, u64 offset, u64 bytes) MUST_CHECK;

#endif
