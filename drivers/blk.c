/*
 * Waiting on block devices, and where in memory they may write. Sends reads and flushes;
 * writes go through the gate only.
 */
#include "blk.h"

enum status blk_dma_check(const struct blk *blk, const struct blk_req *req)
{
	if (req->op == BLK_WRITE || req->op == BLK_FLUSH)
		return OK;
	if (req->nsegs > BLK_MAX_SEGS)
		return E_DMA;
	for (u32 i = 0; i < req->nsegs; i++) {
		const struct blk_seg *s = &req->seg[i];

		if (s->pa < blk->dma_pa ||
			!range_fits(s->pa - blk->dma_pa, s->bytes, blk->dma_bytes))
			return E_DMA;
	}
	return OK;
}

enum status blk_submit(struct blk *blk, struct blk_req *req)
{
	enum status st;

	if (req->op == BLK_WRITE)
		return E_GATE;
	/* Bounded by the driver: while the queue is full some request has a deadline. */
	while ((st = blk->ops->submit(blk, req)) == E_BUSY) {
		st = blk->ops->poll(blk);
		if (st != OK)
			return st;
	}
	return st;
}

enum status blk_wait(struct blk *blk, struct blk_req *req)
{
	while (!req->done) {
		enum status st;

		if (blk->inflight == 0)
			return E_INVAL;
		st = blk->ops->poll(blk);
		if (st != OK && !req->done)
			return st;
	}
	return req->status;
}

enum status blk_read(struct blk *blk, u64 lba, u32 blocks, u64 buf_pa)
{
	struct blk_req req = {.op = BLK_READ, .lba = lba, .blocks = blocks, .nsegs = 1};
	enum status st;

	if (blocks == 0 || blocks > blk->max_bytes / blk->block_bytes)
		return E_INVAL;
	req.seg[0].pa = buf_pa;
	req.seg[0].bytes = blocks * blk->block_bytes;
	st = blk_submit(blk, &req);
	return st == OK ? blk_wait(blk, &req) : st;
}
