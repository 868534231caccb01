/*
 * A block device in the test's memory. It moves data when a request completes, not
 * when it is submitted, holds callers to the rules of blk.h, and can fail, lose, tear
 * and reorder writes or die.
 */
#ifndef AFTERIMAGE_MEMDISK_H
#define AFTERIMAGE_MEMDISK_H

#include "blk.h"

#define MEMDISK_MAX_DEPTH 64

struct memdisk_undo;

struct memdisk {
	struct blk blk;
	u8 *data;
	struct blk_req *queue[MEMDISK_MAX_DEPTH];
	u64 random; /* state of the generator; set it to vary a run */
	/* Faults; write numbers count from 1, 0 means never. */
	u64 fail_at;	/* this write fails with E_WRITE and changes nothing */
	u64 fail_count; /* and so do this many - 1 after it; 0 counts as 1 */
	u64 die_at;	/* this write never ends: the device is dead with E_TIMEOUT */
	u64 cut_at;	/* power goes before this write; it and all later ones are lost */
	u64 tear_at;	/* of this write only the first tear_blocks arrive; then power goes */
	u32 tear_blocks;
	u64 reset_at;	    /* before this write or flush, in one count, the device is reset */
	u64 reset_count;    /* and before each of this many - 1 after it; 0 counts as 1 */
	u64 fail_flush_at;  /* this flush fails, and the cache drops what it likes */
	u64 fail_read_lba;  /* reading this block fails; 0: none */
	u64 die_read_lba;   /* reading this block never ends: dead with E_TIMEOUT */
	u64 fail_write_lba; /* likewise writing */
	bool reorder;	    /* complete in random order and not all at once */
	bool lazy;	    /* complete one request in a poll or none */
	bool cached;	    /* at the cut or reset any write since the last flush may be lost */
	bool forgetful;	    /* and every one is */
	/* Only these device blocks may be written. */
	u64 allowed_lba;
	u64 allowed_blocks;
	/* What happened. */
	u64 writes;
	u64 reads;
	u64 flushes;
	u64 commands; /* writes and flushes begun */
	u64 outside;  /* writes beyond the allowed blocks */
	u64 broken;   /* requests against the rules of blk.h */
	u32 deepest;  /* most requests in flight */
	bool off;     /* power has gone */
	struct memdisk_undo *undo;
	const struct blk_ops *plain_ops; /* for a test that puts its own in front */
};

/* Zeroed device; sets depth 16 and the allowed range to everything. */
void memdisk_open(struct memdisk *d, u64 blocks, u32 block_bytes, u32 max_bytes);

/* What was written since the last flush is lost or not, as after a cut. */
void memdisk_lose_cache(struct memdisk *d);

/* Clears faults and counters, revives the device; the data stays. */
void memdisk_power_on(struct memdisk *d);

void memdisk_close(struct memdisk *d);

#endif
