/*
 * What all block devices have in common: the rules for requests, where in memory a device
 * may write, waiting, names. Sends reads and flushes; writes go through the gate only.
 */
#include <string.h>
#include "blk.h"
#include "str.h"

u32 blk_name(const char *kind, const struct pci_dev *dev, char *buf, u32 size)
{
	u32 segment = pci_segment(dev->bdf);
	u32 len = str_format(buf, size, "%s ", kind);

	if (segment != 0)
		len += str_format(buf + len, size - len, "%04x:", segment);
	return len + str_format(buf + len, size - len, "%02x:%02x.%u", pci_bus(dev->bdf),
			     pci_slot(dev->bdf), pci_function(dev->bdf));
}

void blk_text(char *dst, const u8 *field, u32 bytes)
{
	u32 len = bytes;

	memcpy(dst, field, len);
	while (len > 0 && (dst[len - 1] == ' ' || dst[len - 1] == 0))
		len--;
	dst[len] = 0;
	str_sanitize(dst, bytes + 1);
}

bool blk_ours(const struct blk *blk, u64 pa, u64 bytes)
{
	return pa >= blk->dma_pa && range_fits(pa - blk->dma_pa, bytes, blk->dma_bytes);
}

void blk_init(struct blk *blk, const struct blk_ops *ops, const struct arena *arena,
	const char *name, const char *id)
{
	blk->ops = ops;
	blk->dma_pa = arena->pa;
	blk->dma_bytes = arena->bytes;
	blk->name = name;
	blk->id = id;
}

enum status blk_die(struct blk *blk, enum status why)
{
	if (blk->dead == OK)
		blk->dead = why;
	return blk->dead;
}

/* The segment rules of blk.h, which are those of NVMe's PRPs (NVMe 1.4 s4.3). */
static bool segs_ok(const struct blk *blk, const struct blk_req *req)
{
	u64 total = 0;

	if (req->nsegs == 0 || req->nsegs > BLK_MAX_SEGS)
		return false;
	for (u32 i = 0; i < req->nsegs; i++) {
		const struct blk_seg *s = &req->seg[i];

		if (s->bytes == 0 || s->pa % BLK_SEG_ALIGN != 0)
			return false;
		if (s->pa > UINT64_MAX - s->bytes)
			return false;
		if (i > 0 && s->pa % PAGE_BYTES != 0)
			return false;
		if (i < req->nsegs - 1 && (s->pa + s->bytes) % PAGE_BYTES != 0)
			return false;
		total += s->bytes;
	}
	return total <= blk->max_bytes && total == (u64)req->blocks * blk->block_bytes;
}

bool blk_req_ok(const struct blk *blk, const struct blk_req *req)
{
	if (req->op == BLK_FLUSH)
		return true;
	if (req->op != BLK_READ && req->op != BLK_WRITE)
		return false;
	if (req->blocks == 0 || !range_fits(req->lba, req->blocks, blk->blocks))
		return false;
	return segs_ok(blk, req);
}

enum status blk_dma_check(const struct blk *blk, const struct blk_req *req)
{
	if (req->op == BLK_WRITE || req->op == BLK_FLUSH)
		return OK;
	if (req->nsegs > BLK_MAX_SEGS)
		return E_DMA;
	for (u32 i = 0; i < req->nsegs; i++) {
		if (!blk_ours(blk, req->seg[i].pa, req->seg[i].bytes))
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

	if (blocks == 0 || blk->blocks == 0 || blocks > blk->max_bytes / blk->block_bytes)
		return E_INVAL;
	req.seg[0].pa = buf_pa;
	req.seg[0].bytes = blocks * blk->block_bytes;
	st = blk_submit(blk, &req);
	return st == OK ? blk_wait(blk, &req) : st;
}
