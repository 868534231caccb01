/*
 * What is to be prepared: opened, measured, and refused if it is not fit. Nothing here
 * writes.
 */
#ifndef MKDUMPDISK_TARGET_H
#define MKDUMPDISK_TARGET_H

#include <sys/types.h>
#include "options.h"
#include "types.h"

enum target_kind {
	TARGET_DISK,	  /* block device */
	TARGET_PARTITION, /* block device */
	TARGET_IMAGE,	  /* regular file */
};

struct target {
	const char *path;
	enum target_kind kind;
	int fd;		  /* -1: the image file is not there yet */
	dev_t rdev;	  /* of a block device */
	u64 bytes;	  /* what it has or will have */
	u32 sector_bytes; /* 512 or 4096 */
	bool exists;
};

/*
 * Opens and measures the target of @o; a block device exclusively, an image file with a lock,
 * both for as long as the fd lives. Refuses what is no disk, not there, busy or part of the
 * running root. False: reported.
 */
bool target_open(struct target *t, const struct options *o) MUST_CHECK;

/*
 * Locks the image file @path at @fd against programs that lock what they use, as a virtual
 * machine does; a dry run only asks. False: reported.
 */
bool target_lock(const char *path, int fd, bool dry_run) MUST_CHECK;

/* Closes; false if that failed, with errno. The fd is gone either way. */
bool target_close(struct target *t) MUST_CHECK;

#endif
