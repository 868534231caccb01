/*
 * Keeps requests in flight and settles them in the order of the log. Knows nothing of
 * what the chunks hold.
 */
#include <string.h>
#include "outbox.h"

enum status outbox_init(struct outbox *o, struct gate *gate, struct arena *arena)
{
	memset(o, 0, sizeof(*o));
	o->gate = gate;
	o->slots = (u32)min_u64(OUTBOX_MAX_SLOTS, gate->blk->depth);
	if (o->slots == 0)
		return E_INVAL;
	o->ring = arena_alloc(arena, OUTBOX_RING_BYTES, PAGE_BYTES);
	o->slot = arena_alloc(arena, o->slots * sizeof(*o->slot), 16);
	if (!o->ring || !o->slot)
		return E_NO_MEMORY;
	o->ring_pa = arena_pa(arena, o->ring);
	return OK;
}

u64 outbox_pa(const struct outbox *o, const void *p)
{
	return o->ring_pa + (u64)((const u8 *)p - o->ring);
}

static void note_error(struct outbox *o, enum status st)
{
	if (o->error == OK)
		o->error = st;
}

/* Takes finished requests off the queue, oldest first, so that `safe` never skips one. */
static void settle(struct outbox *o)
{
	while (o->tail < o->head) {
		struct outbox_slot *s = &o->slot[o->tail % o->slots];

		if (!s->req.done)
			return;
		if (s->req.status != OK)
			note_error(o, s->req.status);
		else if (o->error == OK && s->ends_chunk)
			o->safe = s->mark;
		if (s->ends_chunk)
			o->ring_tail = s->ring_end;
		o->tail++;
	}
}

enum status outbox_poll(struct outbox *o)
{
	struct blk *blk = o->gate->blk;
	enum status st = blk->ops->poll(blk);

	settle(o);
	if (st != OK)
		note_error(o, st);
	return o->error;
}

/* False if there is nothing to wait for or the device died. */
static bool wait_oldest(struct outbox *o)
{
	struct outbox_slot *s = &o->slot[o->tail % o->slots];
	enum status st;

	if (o->gate->blk->dead != OK)
		note_error(o, o->gate->blk->dead);
	if (o->tail == o->head || o->gate->blk->dead != OK)
		return false;
	st = blk_wait(o->gate->blk, &s->req);
	if (!s->req.done)
		note_error(o, st != OK ? st : E_TIMEOUT);
	settle(o);
	return s->req.done;
}

enum status outbox_drain(struct outbox *o)
{
	/* Each turn settles at least one of the slots. */
	for (u32 i = 0; i < o->slots && wait_oldest(o); i++)
		;
	return o->error;
}

u32 outbox_inflight(const struct outbox *o)
{
	u32 count = 0;

	for (u64 i = o->tail; i < o->head; i++)
		count += !o->slot[i % o->slots].req.done;
	return count;
}

enum status outbox_reserve(struct outbox *o, u32 pages, u8 **room)
{
	u64 at = o->ring_head % OUTBOX_RING_PAGES;
	u64 skip = at + pages > OUTBOX_RING_PAGES ? OUTBOX_RING_PAGES - at : 0;

	while (o->error == OK) {
		if (o->tail == o->head)
			o->ring_tail = o->ring_head;
		if (o->ring_head + skip + pages - o->ring_tail <= OUTBOX_RING_PAGES)
			break;
		if (!wait_oldest(o))
			break;
	}
	if (o->error != OK)
		return o->error;
	if (o->ring_head + skip + pages - o->ring_tail > OUTBOX_RING_PAGES)
		return E_INVAL;
	o->ring_head += skip;
	*room = o->ring + (o->ring_head % OUTBOX_RING_PAGES) * PAGE_BYTES;
	return OK;
}

void outbox_take(struct outbox *o, u32 pages)
{
	o->ring_head += pages;
}

/* An error found while waiting for the slot counts too: nothing is sent after it. */
static enum status free_slot(struct outbox *o, struct outbox_slot **slot)
{
	bool freed = o->head - o->tail < o->slots || wait_oldest(o);

	if (o->error != OK)
		return o->error;
	if (!freed)
		return E_TIMEOUT;
	*slot = &o->slot[o->head % o->slots];
	memset(*slot, 0, sizeof(**slot));
	return OK;
}

/* Where a chunk's memory has been cut into requests so far. */
struct cutter {
	u32 seg;
	u32 used_bytes; /* of that segment */
	u64 block;
};

/*
 * Fills one request from where @cut stands. A segment is only ever cut at a page boundary,
 * as the next request starts there.
 */
static void cut_request(const struct outbox_chunk *c, struct cutter *cut, const struct blk *blk,
	struct blk_req *req)
{
	u32 bytes = 0;

	req->op = BLK_WRITE;
	req->lba = cut->block;
	while (cut->seg < c->nsegs && bytes < blk->max_bytes) {
		const struct blk_seg *s = &c->seg[cut->seg];
		u32 left = s->bytes - cut->used_bytes;
		u32 room = blk->max_bytes - bytes;
		u32 take = left <= room ? left : room & ~(PAGE_BYTES - 1);

		if (take == 0)
			break;
		req->seg[req->nsegs].pa = s->pa + cut->used_bytes;
		req->seg[req->nsegs++].bytes = take;
		bytes += take;
		cut->used_bytes += take;
		if (cut->used_bytes == s->bytes) {
			cut->used_bytes = 0;
			cut->seg++;
		}
	}
	req->blocks = bytes / blk->block_bytes;
	cut->block += req->blocks;
}

enum status outbox_send(struct outbox *o, const struct outbox_chunk *c)
{
	struct cutter cut = {.block = c->block};

	while (cut.seg < c->nsegs) {
		struct outbox_slot *s;
		enum status st = free_slot(o, &s);

		if (st != OK)
			return st;
		cut_request(c, &cut, o->gate->blk, &s->req);
		s->ends_chunk = cut.seg == c->nsegs;
		s->ring_end = o->ring_head;
		s->mark = c->mark;
		st = s->req.blocks ? gate_submit(o->gate, &s->req) : E_INVAL;
		if (st != OK) {
			note_error(o, st);
			return o->error;
		}
		o->head++;
	}
	return OK;
}
