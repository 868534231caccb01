/*
 * Complete reads and writes at byte positions, and the check that no write leaves the
 * target.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "device.h"

#define ZERO_STEP_BYTES (64u * KIB)

static const u8 zeros[ZERO_STEP_BYTES];

bool device_read(int fd, u64 offset, void *buf, u64 bytes)
{
	u8 *to = buf;

	while (bytes > 0) {
		ssize_t n = pread(fd, to, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return false;
		}
		to += n;
		offset += (u64)n;
		bytes -= (u64)n;
	}
	return true;
}

bool device_write(const struct device *d, u64 offset, const void *buf, u64 bytes)
{
	const u8 *from = buf;

	if (!range_fits(offset, bytes, d->bytes)) {
		errno = EINVAL;
		return false;
	}
	while (bytes > 0) {
		ssize_t n = pwrite(d->fd, from, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return false;
		}
		from += n;
		offset += (u64)n;
		bytes -= (u64)n;
	}
	return true;
}

bool device_zero(const struct device *d, u64 offset, u64 bytes)
{
	while (bytes > 0) {
		u64 step = min_u64(bytes, ZERO_STEP_BYTES);

		if (!device_write(d, offset, zeros, step))
			return false;
		offset += step;
		bytes -= step;
	}
	return true;
}

bool device_is_zero(int fd, u64 offset, u64 bytes)
{
	u8 buf[4096];

	while (bytes > 0) {
		u64 step = min_u64(bytes, sizeof(buf));

		if (!device_read(fd, offset, buf, step) || memcmp(buf, zeros, step) != 0)
			return false;
		offset += step;
		bytes -= step;
	}
	return true;
}
