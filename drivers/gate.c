/*
 * The extent gate: bounds of every request, translation to device blocks, and the
 * one check that lets writes through at all. Nothing else in the program may hand a
 * write to a device.
 */
#include <string.h>
#include "dumplog.h"
#include "gate.h"

static bool extents_overlap(const struct extent *a, const struct extent *b)
{
	return a->lba < b->lba + b->blocks && b->lba < a->lba + a->blocks;
}

/* Extents before @i were checked, so none of their ends overflow. */
static bool extent_ok(const struct gate *g, const struct extent *ext, u32 i)
{
	if (ext[i].blocks == 0 || !range_fits(ext[i].lba, ext[i].blocks, g->blk->blocks))
		return false;
	for (u32 j = 0; j < i; j++) {
		if (extents_overlap(&ext[j], &ext[i]))
			return false;
	}
	return true;
}

enum status gate_open(struct gate *g, struct blk *blk, const struct extent *ext, u32 count)
{
	memset(g, 0, sizeof(*g));
	g->blk = blk;
	if (count == 0 || count > GATE_MAX_EXTENTS)
		return E_GEOMETRY;
	for (u32 i = 0; i < count; i++) {
		if (!extent_ok(g, ext, i))
			return E_GEOMETRY;
	}
	/* Disjoint parts of one device: the sum is at most its size. */
	for (u32 i = 0; i < count; i++) {
		g->extent[i] = ext[i];
		g->blocks += ext[i].blocks;
	}
	g->count = count;
	return OK;
}

/* The device block of [block, block+blocks), which must lie in one extent. */
static enum status translate(const struct gate *g, u64 block, u64 blocks, u64 *lba)
{
	u64 start = block;

	if (blocks == 0)
		return E_GATE;
	for (u32 i = 0; i < g->count; i++) {
		const struct extent *e = &g->extent[i];

		if (start < e->blocks) {
			if (!range_fits(start, blocks, e->blocks))
				return E_GATE;
			*lba = e->lba + start;
			return OK;
		}
		start -= e->blocks;
	}
	return E_GATE;
}

static enum status send(struct blk *blk, struct blk_req *req)
{
	enum status st;

	/* Bounded by the driver: while the queue is full some request has a deadline. */
	while ((st = blk->ops->submit(blk, req)) == E_BUSY) {
		st = blk->ops->poll(blk);
		if (st != OK)
			return st;
	}
	return st;
}

enum status gate_submit(struct gate *g, struct blk_req *req)
{
	u64 block = req->lba;
	enum status st;

	if (req->op == BLK_FLUSH)
		return send(g->blk, req);
	if (req->op == BLK_WRITE && !g->writable)
		return E_GATE;
	st = translate(g, block, req->blocks, &req->lba);
	if (st != OK)
		return st;
	st = send(g->blk, req);
	if (st != OK)
		req->lba = block;
	return st;
}

enum status gate_run(struct gate *g, struct blk_req *req)
{
	enum status st = gate_submit(g, req);

	return st == OK ? blk_wait(g->blk, req) : st;
}

/* One superblock copy, judged as ours and as describing exactly this gate. */
static enum status super_at(struct gate *g, u64 block, void *buf, u64 buf_pa)
{
	struct blk_req req = {.op = BLK_READ, .lba = block, .blocks = 1, .nsegs = 1};
	struct dl_super super;
	enum status st;

	req.seg[0].pa = buf_pa;
	req.seg[0].bytes = g->blk->block_bytes;
	st = gate_run(g, &req);
	if (st != OK)
		return st;
	memcpy(&super, buf, sizeof(super));
	if (dl_super_check(&super) != OK)
		return E_SUPERBLOCK;
	if (super.blocks != g->blocks || super.block_bytes != g->blk->block_bytes)
		return E_SUPERBLOCK;
	return OK;
}

enum status gate_allow_writes(struct gate *g, void *buf, u64 buf_pa)
{
	enum status st;

	g->writable = false;
	if (g->count == 0)
		return E_GATE;
	st = super_at(g, 0, buf, buf_pa);
	if (st != OK && g->blk->dead == OK)
		st = super_at(g, g->blocks - 1, buf, buf_pa);
	if (g->blk->dead != OK)
		return g->blk->dead;
	if (st != OK)
		return E_SUPERBLOCK;
	g->writable = true;
	return OK;
}
