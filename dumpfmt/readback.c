/*
 * Reads a dump's log back from the disk to see how much of it is there: a reset may have taken
 * what the disk held in its cache. Checks checksums; does not compare with memory.
 */
#include "chunks.h"
#include "crc32c.h"

/* Moves @good past the chunks at the ring's start that are as they were sent. */
static void ring_check(const struct writer *w, u64 blocks, struct outbox_mark *good)
{
	u32 bb = w->super->block_bytes;
	const u8 *at = w->out.ring;

	while (blocks > 0) {
		const struct dl_chunk *c = (const struct dl_chunk *)(const void *)at;

		if (dl_chunk_check(
			    at, blocks * bb, w->header.dump_uuid, good->chunks, bb, blocks) != OK)
			return;
		if (crc32c(0, at + c->payload_offset, c->stored_bytes) != c->payload_crc32c)
			return;
		good->blocks += c->blocks;
		good->chunks++;
		if (c->kind == DL_KIND_PAGES)
			good->pages += c->raw_bytes / PAGE_BYTES;
		blocks -= c->blocks;
		at += (u64)c->blocks * bb;
	}
}

/* Blocks of the dump from @pos on, to the ring's start. */
static enum status ring_fill(struct writer *w, u64 pos, u64 blocks)
{
	u32 bb = w->super->block_bytes;
	u64 most = w->gate->blk->max_bytes / bb;
	enum status st = OK;

	for (u64 n = 0; n < blocks && st == OK; n += most)
		st = directory_io(&w->dir, BLK_READ, w->header.start + pos + n,
			(u32)min_u64(most, blocks - n), w->out.ring_pa + n * bb);
	return st;
}

enum status log_read_back(struct writer *w)
{
	u64 end = w->out.safe.blocks;
	u64 most = OUTBOX_RING_BYTES / w->super->block_bytes;
	struct outbox_mark good = {0};

	/* Each turn gets on by a chunk, or halves what is read at once: a block is unreadable. */
	while (good.blocks < end && most > 0) {
		u64 pos = good.blocks;
		u64 take = min_u64(most, end - pos);

		if (ring_fill(w, pos, take) != OK)
			most = take / 2;
		else
			ring_check(w, take, &good);
		if (good.blocks == pos && most >= take)
			break;
	}
	w->out.safe = good;
	return good.blocks < end ? E_NOT_KEPT : OK;
}
