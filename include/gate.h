/*
 * The extent gate: the only road to a write. It knows the extents of the dump
 * partition and turns its own block numbers, counted from 0, into device blocks;
 * a write that would touch anything else is refused and nothing is sent.
 */
#ifndef AFTERIMAGE_GATE_H
#define AFTERIMAGE_GATE_H

#include "blk.h"

#define GATE_MAX_EXTENTS 4

struct extent {
	u64 lba;
	u64 blocks;
};

struct gate {
	struct blk *blk;
	u32 count;
	struct extent extent[GATE_MAX_EXTENTS];
	u64 blocks;    /* sum of the extents */
	bool writable; /* set by gate_allow_writes */
};

/* Extents must lie inside the device, not overlap, and number 1..GATE_MAX_EXTENTS; else E_GEOMETRY. Opens read-only. */
enum status gate_open(
	struct gate *g, struct blk *blk, const struct extent *ext, u32 count) MUST_CHECK;

/*
 * Opens the gate for writes once the caller has verified that the target carries our
 * superblock: reads both ends itself and checks magic, checksum and that the superblock's
 * size is the gate's. @buf_pa/@buf: a DMA buffer of one block. E_SUPERBLOCK if neither is good.
 */
enum status gate_allow_writes(struct gate *g, void *buf, u64 buf_pa) MUST_CHECK;

/*
 * Sends @req with req->lba given in gate blocks; rewrites it to the device's. Reads, writes
 * and flushes. E_GATE if it is a write and the gate is closed, or if any block is outside
 * the extents or the request spans two of them.
 */
enum status gate_submit(struct gate *g, struct blk_req *req) MUST_CHECK;

/* gate_submit and wait. */
enum status gate_run(struct gate *g, struct blk_req *req) MUST_CHECK;

#endif
