/*
 * What is on a target already.
 */
#ifndef MKDUMPDISK_PROBE_H
#define MKDUMPDISK_PROBE_H

#include "target.h"

#define PROBE_TEXT_BYTES 256

struct probe {
	char text[PROBE_TEXT_BYTES]; /* what there is, for "holds ..."; empty: nothing */
	u32 dumps;		     /* not cleared */
	bool dump_disk;		     /* prepared before */
	u8 disk_uuid[16];	     /* if so */
};

/*
 * Looks for dumps, partitions, a file system, swap, RAID and LVM data, and data of any
 * kind at the start of @t. Reads only. False, with errno, if that could not be done.
 */
bool probe_target(const struct target *t, struct probe *found) MUST_CHECK;

#endif
