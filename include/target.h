/*
 * The dump partition: found on whichever disk carries it, with the gate to it open for
 * writing.
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
	TARGET_NEXT = 4,   /* the one asked for, or taken before, failed */
};

/* A disk that failed: its place, and who it was. */
struct target_place {
	u32 bdf;   /* of its controller */
	u32 disk;  /* on that */
	u32 disks; /* that the controller has */
	char id[BLK_ID_BYTES];
};

#define TARGET_MAX_TRIES 4

struct target_ask {
	const u8 *uuid;	     /* 16 bytes; all zero: any */
	const u8 *boot_part; /* likewise, the GUID of the GPT partition that was booted */
	u32 failed;	     /* after one @uuid and @boot_part do not count */
	struct target_place place[TARGET_MAX_TRIES];
};

/* Once the target is found, no other disk is looked at after this time. */
#define TARGET_LOOK_ON_US 3000000u

struct target {
	struct blk *blk;
	struct gate gate;      /* counts blocks of the partition; writable */
	struct dl_super super; /* checked copy */
	bool super_damaged;    /* one of the two copies is bad or differs */
	enum target_how how;
	bool elsewhere; /* it is known which disk was booted, and it is another */
	struct target_place place;
};

/*
 * Goes through all disk controllers that there is a driver for, their disks and the dump-type
 * partitions on them, for the one whose superblock has ask->uuid; all zero takes one on the disk
 * with the GPT partition ask->boot_part, or if there is none, or that is all zero too, any. If the
 * one asked for is not there and a controller failed it is any other disk; after disks have failed
 * it is any other disk, or if there is none another path to one of them. Its controller stays
 * running, the others are stopped in order and lose their right to do DMA. Queues and buffers
 * come from @arena; what was given to a controller that is not provably silent is not reused.
 * Prints one line per controller that failed, one if the target is not on the disk with
 * ask->boot_part, and one per other dump disk, as far as these are found in time and before a
 * controller fails; if nothing was found, one per controller that hides its disks. When nothing
 * fits, what says most: E_NO_DISK, E_HIDDEN, a controller's own error, E_GPT, E_SUPERBLOCK,
 * E_VERSION, E_GEOMETRY, E_NO_PARTITION.
 */
enum status target_find(
	const struct target_ask *ask, struct arena *arena, struct target *out) MUST_CHECK;

#endif
