/*
 * Is a device or file in use by the running system? Reads /proc and /sys only.
 */
#ifndef MKDUMPDISK_BUSY_H
#define MKDUMPDISK_BUSY_H

#include <sys/stat.h>
#include "types.h"

/* True if @dev is a partition; then *@whole is its disk. False: *@whole is @dev. */
bool busy_is_partition(const char *sysfs, dev_t dev, dev_t *whole);

/*
 * True if @dev is, holds, or lies below the block device @root: through partitions and
 * stacked devices (@sysfs/dev/block/.../slaves). Also true if that cannot be found out.
 */
bool busy_below(const char *sysfs, dev_t root, dev_t dev) MUST_CHECK;

/* True if a device stands on @dev or on a partition of it; its name is in @name. */
bool busy_holder(const char *sysfs, dev_t dev, char name[256]) MUST_CHECK;

/* True, after the message, if the block device @st at @path is part of the running root. */
bool busy_is_root(const char *path, const struct stat *st) MUST_CHECK;

/* True, after the message, if @st at @path or a partition of it is mounted, swap or held. */
bool busy_device(const char *path, const struct stat *st) MUST_CHECK;

/* True, after the message, if the file @st at @path is swap or attached to a loop device. */
bool busy_file(const char *path, const struct stat *st) MUST_CHECK;

#endif
