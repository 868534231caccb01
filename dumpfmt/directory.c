/*
 * Reads the directory of dumps, finds room among them and writes headers. Does not
 * know what is inside a dump except how its chunks follow each other.
 */
#include <string.h>
#include "directory.h"

enum status directory_io(struct directory *d, enum blk_op op, u64 block, u32 blocks, u64 pa)
{
	memset(&d->req, 0, sizeof(d->req));
	d->req.op = op;
	d->req.lba = block;
	d->req.blocks = blocks;
	d->req.nsegs = blocks ? 1 : 0;
	d->req.seg[0].pa = pa;
	d->req.seg[0].bytes = blocks * d->super->block_bytes;
	return gate_run(d->gate, &d->req);
}

static enum status copy_read(struct directory *d, u64 block, u32 page, enum status *verdict)
{
	u64 at = (u64)page * PAGE_BYTES;
	enum status st = directory_io(d, BLK_READ, block, 1, d->buf_pa + at);

	if (st != OK) {
		*verdict = E_READ;
		return d->gate->blk->dead;
	}
	*verdict = dl_header_check((const struct dl_header *)(const void *)(d->buf + at), d->super);
	return OK;
}

/*
 * The header that counts. *verdict: OK, E_NO_DUMP (never used), or E_CHECKSUM (unknown).
 * The back copy is written first: with a front copy of zeros a torn back copy is a dump
 * that never began.
 */
static enum status slot_read(
	struct directory *d, u32 slot, struct dl_header *h, enum status *verdict)
{
	const struct dl_header *back = (const struct dl_header *)(const void *)d->buf;
	const struct dl_header *front =
		(const struct dl_header *)(const void *)(d->buf + PAGE_BYTES);
	enum status back_ok, front_ok;
	enum status st = copy_read(d, dl_slot_block_back(d->super, slot), 0, &back_ok);

	if (st == OK)
		st = copy_read(d, dl_slot_block(slot), 1, &front_ok);
	if (st != OK)
		return st;
	*verdict = OK;
	if (back_ok == OK && (front_ok != OK || back->generation > front->generation))
		*h = *back;
	else if (front_ok == OK)
		*h = *front;
	else
		*verdict = front_ok == E_NO_DUMP ? E_NO_DUMP : E_CHECKSUM;
	return OK;
}

static void entry_set(struct dir_entry *e, const struct dl_header *h)
{
	e->start = h->start;
	e->number = h->number;
	e->time_s = h->time_s;
	e->blocks = h->used;
	e->state = DIR_TAKEN;
	if (h->state == DL_STATE_INCOMPLETE && h->reason == OK) {
		e->blocks = h->limit;
		e->state = DIR_CUT;
	}
	if (h->flags & DL_FLAG_CLEARED) {
		e->state = DIR_CLEARED;
		e->gave_way = h->flags & DL_FLAG_GAVE_WAY;
	}
}

enum status directory_load(struct directory *d, struct gate *gate, const struct dl_super *super,
	const struct dir_memory *mem)
{
	memset(d, 0, sizeof(*d));
	d->gate = gate;
	d->super = super;
	d->entry = mem->entry;
	d->buf = mem->buf;
	d->buf_pa = mem->buf_pa;
	for (u32 i = 0; i < super->dir_slots; i++) {
		struct dl_header h;
		enum status verdict;
		enum status st = slot_read(d, i, &h, &verdict);

		if (st != OK)
			return st;
		memset(&d->entry[i], 0, sizeof(d->entry[i]));
		if (verdict == OK) {
			entry_set(&d->entry[i], &h);
			d->highest = (u32)max_u64(d->highest, h.number);
		} else if (verdict != E_NO_DUMP) {
			d->entry[i].state = DIR_UNKNOWN;
			d->unknown++;
		}
	}
	return OK;
}

/*
 * Blocks of the chunk at @pos of the dump, 0 if the log ends there. Where the device can
 * not read, all the rest counts as the dump's.
 */
static enum status chunk_blocks(
	struct directory *d, const struct dl_header *h, u64 pos, u64 sequence, u32 *blocks)
{
	u32 bb = d->super->block_bytes;
	u32 take = (u32)min_u64(PAGE_BYTES / bb, h->limit - pos);
	struct dl_chunk c;
	enum status st = directory_io(d, BLK_READ, h->start + pos, take, d->buf_pa);

	*blocks = (u32)min_u64(h->limit - pos, UINT32_MAX);
	if (st != OK)
		return d->gate->blk->dead;
	*blocks = 0;
	st = dl_chunk_check(d->buf, (u64)take * bb, h->dump_uuid, sequence, bb, h->limit - pos);
	if (st != OK)
		return OK;
	memcpy(&c, d->buf, sizeof(c));
	*blocks = c.blocks;
	return OK;
}

/* Blocks from the dump's start to where its chunks end. */
static enum status chain_length(struct directory *d, const struct dl_header *h, u64 *length)
{
	u64 pos = 0;
	u64 sequence = 0;
	u32 blocks = 1;

	while (pos < h->limit && blocks > 0) {
		enum status st = chunk_blocks(d, h, pos, sequence, &blocks);

		if (st != OK)
			return st;
		pos += blocks;
		sequence++;
	}
	*length = pos;
	return OK;
}

enum status directory_walk_cut(struct directory *d)
{
	for (u32 i = 0; i < d->super->dir_slots; i++) {
		struct dl_header h;
		enum status verdict;
		enum status st;

		if (d->entry[i].state != DIR_CUT)
			continue;
		st = slot_read(d, i, &h, &verdict);
		if (st == OK && verdict == OK)
			st = chain_length(d, &h, &d->entry[i].blocks);
		if (st != OK)
			return st;
		d->entry[i].state = DIR_TAKEN;
	}
	return OK;
}

static bool is_protected(const struct dir_entry *e)
{
	return e->state == DIR_TAKEN || e->state == DIR_CUT;
}

/* Unprotected blocks from @pos on. */
static u64 gap_at(const struct directory *d, u64 pos)
{
	u64 end = dl_data_end(d->super);

	if (pos >= end)
		return 0;
	for (u32 i = 0; i < d->super->dir_slots; i++) {
		const struct dir_entry *e = &d->entry[i];

		if (!is_protected(e) || e->start + e->blocks <= pos)
			continue;
		if (e->start <= pos)
			return 0;
		end = min_u64(end, e->start);
	}
	return end - pos;
}

struct extent directory_largest_gap(const struct directory *d)
{
	struct extent best = {dl_data_start(d->super), 0};

	best.blocks = gap_at(d, best.lba);
	/* Every gap starts where the data area does or where a dump ends. */
	for (u32 i = 0; i < d->super->dir_slots; i++) {
		const struct dir_entry *e = &d->entry[i];
		u64 gap = is_protected(e) ? gap_at(d, e->start + e->blocks) : 0;

		if (gap > best.blocks) {
			best.lba = e->start + e->blocks;
			best.blocks = gap;
		}
	}
	return best;
}

enum status directory_free_slot(const struct directory *d, u32 *slot)
{
	enum status st = E_NO_SLOT;

	for (u32 i = 0; i < d->super->dir_slots; i++) {
		const struct dir_entry *e = &d->entry[i];

		if (e->state == DIR_UNUSED) {
			*slot = i;
			return OK;
		}
		if (e->state != DIR_CLEARED)
			continue;
		if (st != OK || e->number < d->entry[*slot].number)
			*slot = i;
		st = OK;
	}
	return st;
}

bool directory_oldest(const struct directory *d, u32 *slot)
{
	bool found = false;

	for (u32 i = 0; i < d->super->dir_slots; i++) {
		if (!is_protected(&d->entry[i]))
			continue;
		if (!found || d->entry[i].number < d->entry[*slot].number)
			*slot = i;
		found = true;
	}
	return found;
}

u32 directory_recent(const struct directory *d, u64 now_s, u64 within_s)
{
	u32 uncleared = 0;
	u32 gave_way = 0;

	if (now_s == 0)
		return 0;
	for (u32 i = 0; i < d->super->dir_slots; i++) {
		const struct dir_entry *e = &d->entry[i];
		u64 apart_s = e->time_s > now_s ? e->time_s - now_s : now_s - e->time_s;

		if (e->time_s == 0 || apart_s > within_s)
			continue;
		uncleared += is_protected(e);
		gave_way += e->gave_way;
	}
	/* Who clears the dumps that are left has seen that there were others. */
	return uncleared ? uncleared + gave_way : 0;
}

enum status directory_clear(struct directory *d, u32 slot)
{
	struct dl_header h;
	enum status verdict;
	enum status st = slot_read(d, slot, &h, &verdict);

	if (st == OK)
		st = verdict;
	if (st != OK)
		return st;
	h.flags |= DL_FLAG_CLEARED | DL_FLAG_GAVE_WAY;
	h.generation++;
	st = directory_write(d, slot, &h);
	if (st != OK)
		return st;
	d->entry[slot].state = DIR_CLEARED;
	d->entry[slot].gave_way = true;
	return OK;
}

enum status directory_generation(struct directory *d, u32 slot, u32 *generation)
{
	struct dl_header h;
	enum status verdict;
	enum status st = slot_read(d, slot, &h, &verdict);

	*generation = st == OK && verdict == OK ? h.generation : 0;
	return st;
}

/* OK if at least one copy was written; the next reader takes that. */
static enum status copies_write(struct directory *d, u32 slot, const struct dl_header *h)
{
	enum status back, front;

	memset(d->buf, 0, PAGE_BYTES);
	memcpy(d->buf, h, sizeof(*h));
	back = directory_io(d, BLK_WRITE, dl_slot_block_back(d->super, slot), 1, d->buf_pa);
	if (d->gate->blk->dead != OK)
		return d->gate->blk->dead;
	front = directory_io(d, BLK_WRITE, dl_slot_block(slot), 1, d->buf_pa);
	if (d->gate->blk->dead != OK)
		return d->gate->blk->dead;
	return back == OK ? OK : front;
}

enum status directory_flush(struct directory *d)
{
	return directory_io(d, BLK_FLUSH, 0, 0, 0);
}

enum status directory_write(struct directory *d, u32 slot, struct dl_header *h)
{
	const struct blk *blk = d->gate->blk;

	dl_header_seal(h);
	for (u32 i = 0; i < 2; i++) {
		u32 resets = blk->resets;
		enum status st = copies_write(d, slot, h);

		if (st == OK)
			st = directory_flush(d);
		if (st != OK || blk->resets == resets)
			return st;
	}
	return E_NOT_KEPT;
}
