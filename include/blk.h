/*
 * Block devices: the only table of operations in the program. A request and its
 * memory belong to the device from submit until `done`; after a timeout they belong
 * to it for ever and the device is dead.
 */
#ifndef AFTERIMAGE_BLK_H
#define AFTERIMAGE_BLK_H

#include "status.h"
#include "types.h"

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH, /* makes all completed writes durable; no lba, no segments */
};

/* Physically contiguous piece of a transfer. */
struct blk_seg {
	u64 pa;
	u32 bytes;
};

#define BLK_MAX_SEGS 17

/*
 * Every segment but the first starts, and every one but the last ends, on a page
 * boundary (NVMe PRP rules); all start on a multiple of 4. The sum of the segments is
 * blocks * block_bytes and at most max_bytes.
 */
struct blk_req {
	enum blk_op op;
	u64 lba; /* device block */
	u32 blocks;
	u32 nsegs;
	struct blk_seg seg[BLK_MAX_SEGS];
	/* the driver's part */
	bool done;
	enum status status; /* valid when done */
};

struct blk;

struct blk_ops {
	/*
	 * Hands @req to the device. E_BUSY: queue full, poll and repeat. E_INVAL: breaks the rules
	 * above. E_DMA by blk_dma_check, asked before every use of the segments.
	 */
	enum status (*submit)(struct blk *blk, struct blk_req *req);
	/*
	 * Reaps what has finished, marking those requests done. A dead device marks nothing
	 * more; the first poll that finds it dead returns why, and so does every later call.
	 */
	enum status (*poll)(struct blk *blk);
	/* Stops the device in order (shutdown notification), bounded; then it does no more DMA. */
	enum status (*stop)(struct blk *blk);
};

struct blk {
	const struct blk_ops *ops;
	const char *name; /* for messages: "nvme 00:04.0 ns 1" */
	u64 blocks;	  /* capacity */
	u32 block_bytes;  /* 512 or 4096 */
	u32 max_bytes;	  /* largest transfer, a multiple of 4096, at least 8192 */
	u64 dma_pa;	  /* the only memory that the device may write: the arena */
	u64 dma_bytes;	  /* 0: none at all */
	u32 depth;	  /* requests that can be in flight */
	u32 inflight;
	enum status dead; /* OK while alive */
};

/*
 * Lets through every request that does not make the device write to memory outside the
 * range of @blk; else E_DMA. Memory that the device only reads may be anywhere.
 */
enum status blk_dma_check(const struct blk *blk, const struct blk_req *req) MUST_CHECK;

/* Submits @req, polling while the queue is full. */
enum status blk_submit(struct blk *blk, struct blk_req *req) MUST_CHECK;

/* Polls until @req is done; returns its status or why the device died. Bounded by the driver's deadline. */
enum status blk_wait(struct blk *blk, struct blk_req *req) MUST_CHECK;

/* Reads @blocks blocks at @lba into one contiguous DMA buffer and waits. */
enum status blk_read(struct blk *blk, u64 lba, u32 blocks, u64 buf_pa) MUST_CHECK;

#endif
