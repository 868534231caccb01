/*
 * The dump partition: found on whichever NVMe disk carries it, with the gate to it
 * open for writing.
 */
#ifndef AFTERIMAGE_TARGET_H
#define AFTERIMAGE_TARGET_H

#include "arena.h"
#include "dumplog.h"
#include "gate.h"

enum target_how {
	TARGET_EXACT = 1,  /* its superblock has the UUID asked for */
	TARGET_ANY = 2,	   /* no UUID was asked for; the first one found */
	TARGET_BOOTED = 3, /* likewise; it is on the disk that was booted */
};

/* Once the target is found, other dump disks are looked for no longer than this. */
#define TARGET_LOOK_ON_US 3000000u

struct target {
	struct blk *blk;
	struct gate gate;      /* counts blocks of the partition; writable */
	struct dl_super super; /* checked copy */
	bool super_damaged;    /* one of the two copies is bad or differs */
	enum target_how how;
	bool elsewhere; /* it is known which disk was booted, and it is another */
	u32 bdf;	/* of the controller */
};

/*
 * Goes through all NVMe controllers, namespaces and dump-type partitions for the one
 * whose superblock has @uuid; all zero takes one on the disk with the GPT partition
 * @boot_part, or if there is none, or that is all zero too, any. Its controller stays running,
 * the others are stopped in order and lose their right to do DMA. Queues and buffers come from
 * @arena; what was given to a controller that did not stop in order is not reused. Prints one
 * line per controller that failed, one if the target is not on the disk with @boot_part, and
 * one per other dump disk, as far as these are found in time and before a controller fails.
 * When nothing fits, what says most: E_NO_DISK, a controller's own error, E_GPT,
 * E_SUPERBLOCK, E_VERSION, E_GEOMETRY, E_NO_PARTITION.
 */
enum status target_find(const u8 uuid[16], const u8 boot_part[16], struct arena *arena,
	struct target *out) MUST_CHECK;

#endif
