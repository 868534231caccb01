/*
 * What is mounted where, from /proc/self/mountinfo below the root that the options name.
 */
#ifndef MKDUMPDISK_MOUNTS_H
#define MKDUMPDISK_MOUNTS_H

#include <sys/types.h>
#include "options.h"
#include "types.h"

struct mount {
	dev_t dev;
	char type[32];
	bool whole; /* not a folder of it or another file system's */
	bool read_only;
};

/* What is mounted at @point, the last one if there are several. False: nothing. */
bool mounts_find(const struct options *o, const char *point, struct mount *m) MUST_CHECK;

#endif
