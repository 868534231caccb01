/*
 * The modelled block device. Physical memory is what ports_mem has registered.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/model/memdisk.h"
#include "tests/host/ports_mem.h"

/* A write that is not durable yet, and what was there before. */
struct memdisk_undo {
	struct memdisk_undo *next;
	u64 lba;
	u32 blocks;
	u8 old[];
};

static struct memdisk *disk_of(struct blk *blk)
{
	return (struct memdisk *)(void *)blk;
}

static u64 next_random(struct memdisk *d)
{
	d->random = d->random * 6364136223846793005ull + 1442695040888963407ull;
	return d->random >> 33;
}

static void drop_undo(struct memdisk *d)
{
	while (d->undo) {
		struct memdisk_undo *u = d->undo;

		d->undo = u->next;
		free(u);
	}
}

static void remember(struct memdisk *d, const struct blk_req *req)
{
	size_t bytes = (size_t)req->blocks * d->blk.block_bytes;
	struct memdisk_undo *u = malloc(sizeof(*u) + bytes);

	if (!u)
		abort();
	u->next = d->undo;
	u->lba = req->lba;
	u->blocks = req->blocks;
	memcpy(u->old, d->data + req->lba * d->blk.block_bytes, bytes);
	d->undo = u;
}

/* With a cache, each write since the last flush is lost or not, by chance. */
void memdisk_lose_cache(struct memdisk *d)
{
	for (struct memdisk_undo *u = d->undo; u; u = u->next) {
		if (next_random(d) % 2 || d->forgetful)
			memcpy(d->data + u->lba * d->blk.block_bytes, u->old,
				(size_t)u->blocks * d->blk.block_bytes);
	}
	drop_undo(d);
}

static bool rules_kept(const struct memdisk *d, const struct blk_req *req)
{
	u64 sum = 0;

	if (req->op == BLK_FLUSH)
		return req->nsegs == 0;
	if (req->nsegs == 0 || req->nsegs > BLK_MAX_SEGS)
		return false;
	for (u32 i = 0; i < req->nsegs; i++) {
		const struct blk_seg *s = &req->seg[i];
		u64 end = s->pa + s->bytes;

		if (s->pa % 4 || s->bytes == 0 || !host_ram_at(s->pa, s->bytes))
			return false;
		if ((i > 0 && s->pa % PAGE_BYTES) || (i + 1 < req->nsegs && end % PAGE_BYTES))
			return false;
		sum += s->bytes;
	}
	if (sum != (u64)req->blocks * d->blk.block_bytes || sum > d->blk.max_bytes)
		return false;
	return range_fits(req->lba, req->blocks, d->blk.blocks);
}

static enum status disk_submit(struct blk *blk, struct blk_req *req)
{
	struct memdisk *d = disk_of(blk);

	if (blk->dead != OK)
		return blk->dead;
	if (!rules_kept(d, req)) {
		d->broken++;
		return E_INVAL;
	}
	if (blk_dma_check(blk, req) != OK) {
		d->broken++;
		return E_DMA;
	}
	if (blk->inflight == blk->depth)
		return E_BUSY;
	req->done = false;
	d->queue[blk->inflight++] = req;
	if (blk->inflight > d->deepest)
		d->deepest = blk->inflight;
	return OK;
}

static void move_data(struct memdisk *d, const struct blk_req *req, u64 limit)
{
	u8 *disk = d->data + req->lba * d->blk.block_bytes;
	u64 left = limit;

	for (u32 i = 0; i < req->nsegs; i++) {
		u64 n = min_u64(left, req->seg[i].bytes);
		u8 *memory = host_ram_at(req->seg[i].pa, req->seg[i].bytes);

		if (req->op == BLK_WRITE)
			memcpy(disk, memory, n);
		else
			memcpy(memory, disk, n);
		disk += n;
		left -= n;
	}
}

static enum status do_write(struct memdisk *d, const struct blk_req *req)
{
	u64 bytes = (u64)req->blocks * d->blk.block_bytes;
	u64 n = ++d->writes;

	if (req->lba < d->allowed_lba ||
		!range_fits(req->lba - d->allowed_lba, req->blocks, d->allowed_blocks))
		d->outside++;
	if (d->fail_at && n >= d->fail_at && n - d->fail_at < max_u64(d->fail_count, 1))
		return E_WRITE;
	if (d->fail_write_lba >= req->lba && d->fail_write_lba < req->lba + req->blocks &&
		d->fail_write_lba)
		return E_WRITE;
	if (n == d->cut_at) {
		d->off = true;
		memdisk_lose_cache(d);
	}
	if (d->off)
		return OK;
	if (d->cached)
		remember(d, req);
	if (n == d->tear_at)
		bytes = min_u64(bytes, (u64)d->tear_blocks * d->blk.block_bytes);
	move_data(d, req, bytes);
	if (n == d->tear_at)
		d->off = true;
	return OK;
}

static enum status do_read(struct memdisk *d, const struct blk_req *req)
{
	d->reads++;
	if (d->fail_read_lba >= req->lba && d->fail_read_lba < req->lba + req->blocks &&
		d->fail_read_lba)
		return E_READ;
	move_data(d, req, (u64)req->blocks * d->blk.block_bytes);
	return OK;
}

static enum status do_request(struct memdisk *d, const struct blk_req *req)
{
	d->commands += req->op != BLK_READ;
	if (req->op != BLK_READ && d->reset_at && d->commands >= d->reset_at &&
		d->commands - d->reset_at < max_u64(d->reset_count, 1)) {
		d->blk.resets++;
		memdisk_lose_cache(d);
	}
	switch (req->op) {
	case BLK_WRITE:
		return do_write(d, req);
	case BLK_READ:
		return do_read(d, req);
	default:
		if (++d->flushes == d->fail_flush_at) {
			memdisk_lose_cache(d);
			return E_WRITE;
		}
		if (!d->off)
			drop_undo(d);
		return OK;
	}
}

static bool never_ends(const struct memdisk *d, const struct blk_req *req)
{
	if (req->op == BLK_WRITE)
		return d->writes + 1 == d->die_at;
	return req->op == BLK_READ && d->die_read_lba && d->die_read_lba >= req->lba &&
	       d->die_read_lba < req->lba + req->blocks;
}

static enum status disk_poll(struct blk *blk)
{
	struct memdisk *d = disk_of(blk);

	while (blk->dead == OK && blk->inflight > 0) {
		u32 i = d->reorder ? (u32)(next_random(d) % blk->inflight) : 0;
		struct blk_req *req = d->queue[i];

		if ((d->reorder || d->lazy) && next_random(d) % 3 == 0)
			return OK;
		if (never_ends(d, req)) {
			blk->dead = E_TIMEOUT;
			break;
		}
		blk->inflight--;
		memmove(&d->queue[i], &d->queue[i + 1], (blk->inflight - i) * sizeof(d->queue[0]));
		req->status = do_request(d, req);
		req->done = true;
		if (d->lazy)
			break;
	}
	return blk->dead;
}

static enum status disk_stop(struct blk *blk)
{
	return blk->dead;
}

static const struct blk_ops disk_ops = {
	.submit = disk_submit,
	.poll = disk_poll,
	.stop = disk_stop,
};

void memdisk_open(struct memdisk *d, u64 blocks, u32 block_bytes, u32 max_bytes)
{
	memset(d, 0, sizeof(*d));
	d->data = calloc(blocks, block_bytes);
	if (!d->data)
		abort();
	d->blk.ops = &disk_ops;
	d->blk.name = "memdisk";
	d->blk.blocks = blocks;
	d->blk.block_bytes = block_bytes;
	d->blk.max_bytes = max_bytes;
	d->blk.depth = 16;
	d->blk.dma_bytes = UINT64_MAX;
	d->allowed_blocks = blocks;
	d->random = 1;
}

void memdisk_power_on(struct memdisk *d)
{
	struct memdisk fresh = {
		.blk = d->blk,
		.data = d->data,
		.random = d->random,
		.reorder = d->reorder,
		.lazy = d->lazy,
		.cached = d->cached,
		.forgetful = d->forgetful,
		.allowed_lba = d->allowed_lba,
		.allowed_blocks = d->allowed_blocks,
		.outside = d->outside,
		.broken = d->broken,
	};

	drop_undo(d);
	fresh.blk.dead = OK;
	fresh.blk.inflight = 0;
	fresh.blk.resets = 0;
	*d = fresh;
}

void memdisk_close(struct memdisk *d)
{
	drop_undo(d);
	free(d->data);
	d->data = NULL;
}
