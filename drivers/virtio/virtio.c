/*
 * The I/O path of the virtio-blk driver: requests to chains of descriptors, completions to
 * requests, deadlines, the one reset of its life, orderly stop. Polled; no interrupts.
 */
#include <string.h>
#include "mmio.h"
#include "ports.h"
#include "virtiovar.h"

_Static_assert(offsetof(struct virtio, blk) == 0, "virtio_of needs blk first");

static struct virtio *virtio_of(struct blk *blk)
{
	return (struct virtio *)blk;
}

/* The descriptors of one request, @next counting from the start of the table they are in. */
struct chain {
	struct virtio_desc *desc;
	u32 first; /* their place in the table */
	u32 count;
	u32 max;
};

static bool chain_add(struct chain *c, u64 pa, u32 bytes, u32 flags)
{
	struct virtio_desc *d = &c->desc[c->count];

	if (c->count == c->max)
		return false;
	c->count++;
	d->pa = pa;
	d->bytes = bytes;
	d->flags = (u16)(flags | VIRTIO_DESC_NEXT);
	d->next = (u16)(c->first + c->count);
	return true;
}

static bool chain_add_data(struct chain *c, const struct virtio *v, const struct blk_req *req)
{
	u32 flags = req->op == BLK_READ ? VIRTIO_DESC_WRITE : 0;

	for (u32 i = 0; i < req->nsegs; i++) {
		u64 pa = req->seg[i].pa;
		u32 left = req->seg[i].bytes;

		while (left > 0) {
			u32 n = (u32)min_u64(left, v->piece_bytes);

			if (!chain_add(c, pa, n, flags))
				return false;
			pa += n;
			left -= n;
		}
	}
	return true;
}

/* Header, data, status (s5.2.6), what the device writes being last (s2.7.4.2). */
static bool chain_build(struct virtio *v, u32 index, const struct blk_req *req)
{
	const struct virtio_own *own = &v->memory->own[index];
	u64 own_pa = arena_pa(v->arena, own);
	struct virtio_desc *head = &v->desc[index * v->stride];
	struct chain c = {.desc = head, .first = index * v->stride, .max = v->chain};

	if (v->tables) {
		c.desc = &v->tables[index * v->chain];
		c.first = 0;
	}
	if (!chain_add(&c, own_pa, sizeof(own->header), 0) ||
		(req->op != BLK_FLUSH && !chain_add_data(&c, v, req)) ||
		!chain_add(&c, own_pa + offsetof(struct virtio_own, status), 1, VIRTIO_DESC_WRITE))
		return false;
	c.desc[c.count - 1].flags &= (u16)~VIRTIO_DESC_NEXT;
	if (v->tables) {
		head->pa = arena_pa(v->arena, c.desc);
		head->bytes = (u32)(c.count * sizeof(*c.desc));
		head->flags = VIRTIO_DESC_INDIRECT;
	}
	return true;
}

/* Is everything that the device writes to without being told the place each time ours? */
static bool memory_ours(const struct virtio *v)
{
	return blk_ours(&v->blk, arena_pa(v->arena, v->memory), sizeof(*v->memory)) &&
	       blk_ours(&v->blk, arena_pa(v->arena, v->used), VIRTIO_USED_BYTES(v->entries));
}

/* Every chain with a request's addresses is sent from here, those sent again too. */
static enum status slot_send(struct virtio *v, struct virtio_slot *slot)
{
	const struct blk_req *req = slot->req;
	u32 index = (u32)(slot - v->slot);
	struct virtio_own *own = &v->memory->own[index];
	enum status st = blk_dma_check(&v->blk, req);

	if (st != OK)
		return st;
	if (!memory_ours(v))
		return E_DMA;
	own->header.type = slot->type;
	own->header.sector =
		req->op == BLK_FLUSH ? 0 : req->lba * (v->config.blk_size / VIRTIO_SECTOR_BYTES);
	own->status = VIRTIO_NO_STATUS;
	if (!chain_build(v, index, req))
		return E_INVAL;
	slot->deadline_us = clock_us() + VIRTIO_IO_TIMEOUT_US;
	v->avail->ring[v->avail_idx % v->entries] = (u16)(index * v->stride);
	v->avail_idx++;
	mmio_barrier(); /* the entry first, then that it is there */
	v->avail->idx = v->avail_idx;
	mmio_barrier();
	virtio_notify(v);
	return OK;
}

enum status virtio_start(struct virtio *v, struct blk_req *req, u32 type)
{
	enum status st;

	for (u32 i = 0; i < v->blk.depth; i++) {
		struct virtio_slot *slot = &v->slot[i];

		if (slot->req)
			continue;
		slot->req = req;
		slot->type = type;
		slot->retried = false;
		st = slot_send(v, slot);
		if (st != OK)
			slot->req = NULL;
		else
			v->blk.inflight++;
		return st;
	}
	return E_BUSY;
}

static enum status virtio_submit(struct blk *blk, struct blk_req *req)
{
	static const u8 types[] = {
		[BLK_READ] = VIRTIO_BLK_T_IN,
		[BLK_WRITE] = VIRTIO_BLK_T_OUT,
		[BLK_FLUSH] = VIRTIO_BLK_T_FLUSH,
	};
	struct virtio *v = virtio_of(blk);

	if (blk->dead != OK)
		return blk->dead;
	if (!blk_req_ok(blk, req))
		return E_INVAL;
	if (req->op == BLK_WRITE && v->features & VIRTIO_BLK_F_RO)
		return E_READ_ONLY;
	req->done = false;
	if (req->op == BLK_FLUSH && !(v->features & VIRTIO_BLK_F_FLUSH)) {
		/* Completed writes are durable already (s5.2.6.2). */
		req->status = OK;
		req->done = true;
		return OK;
	}
	return virtio_start(v, req, types[req->op]);
}

static void slot_end(struct virtio *v, struct virtio_slot *slot, enum status st)
{
	struct blk_req *req = slot->req;

	slot->req = NULL;
	v->blk.inflight--;
	req->status = st;
	req->done = true;
}

/* Did all that was to be read arrive (s2.7.8.2)? Some devices do not count the status. */
static bool arrived(const struct virtio_slot *slot, u32 written)
{
	u64 want = 0;

	if (slot->type != VIRTIO_BLK_T_IN)
		return true;
	for (u32 i = 0; i < slot->req->nsegs; i++)
		want += slot->req->seg[i].bytes;
	return written >= want;
}

/* One completion; a device that reports what was never asked is not to be trusted. */
static enum status complete(struct virtio *v, const struct virtio_used_entry *e)
{
	u32 index = e->id / v->stride;
	struct virtio_slot *slot;
	enum status st;
	u8 status;

	if (e->id % v->stride != 0 || index >= v->blk.depth || !v->slot[index].req)
		return E_FATAL;
	slot = &v->slot[index];
	status = v->memory->own[index].status;
	if (status == VIRTIO_NO_STATUS)
		return E_FATAL;
	if (status == VIRTIO_BLK_S_OK && arrived(slot, e->bytes)) {
		slot_end(v, slot, OK);
		return OK;
	}
	st = slot->req->op == BLK_READ ? E_READ : E_WRITE;
	if (status != VIRTIO_BLK_S_UNSUPP && !slot->retried && slot->req->op != BLK_FLUSH) {
		slot->retried = true;
		st = slot_send(v, slot);
	}
	if (st != OK)
		slot_end(v, slot, st);
	return OK;
}

/* What is new in the used ring; *@count says how much. */
static enum status reap(struct virtio *v, u32 *count)
{
	enum status st = OK;
	u32 news;

	mmio_barrier();
	news = (u16)(v->used->idx - v->used_idx);
	*count = 0;
	if (news > v->blk.inflight)
		return E_FATAL;
	mmio_barrier(); /* nothing else may be read before the index */
	while (*count < news && st == OK) {
		struct virtio_used_entry e = v->used->ring[v->used_idx % v->entries];

		v->used_idx++;
		++*count;
		st = complete(v, &e);
	}
	return st;
}

/* Why the device has to be reset, E_DEVICE_GONE, or OK. */
static enum status look(struct virtio *v)
{
	u64 now_us = clock_us();
	u32 count;
	enum status st = reap(v, &count);

	/* Register reads are slow; while nothing completes one a millisecond is enough. */
	if (st == OK && count == 0 && now_us >= v->idle_check_us) {
		v->idle_check_us = now_us + VIRTIO_IDLE_CHECK_US;
		st = virtio_health(v);
	}
	for (u32 i = 0; i < v->blk.depth && st == OK; i++) {
		if (v->slot[i].req && now_us >= v->slot[i].deadline_us)
			st = E_TIMEOUT;
	}
	return st;
}

/* The one reset of the device's life, all that is not finished being sent again. */
static enum status recover(struct virtio *v, enum status why)
{
	enum status st;

	if (why == E_DEVICE_GONE || v->blk.resets > 0)
		return blk_die(&v->blk, why);
	v->blk.resets++;
	st = virtio_restart(v);
	if (st != OK)
		return blk_die(&v->blk, st);
	for (u32 i = 0; i < v->blk.depth; i++) {
		struct virtio_slot *slot = &v->slot[i];

		st = slot->req ? slot_send(v, slot) : OK;
		if (st != OK)
			slot_end(v, slot, st);
	}
	return OK;
}

static enum status virtio_poll(struct blk *blk)
{
	struct virtio *v = virtio_of(blk);
	enum status st;

	if (blk->dead != OK)
		return blk->dead;
	st = look(v);
	return st == OK ? OK : recover(v, st);
}

static enum status virtio_stop(struct blk *blk)
{
	struct virtio *v = virtio_of(blk);
	enum status st = blk_drain(blk);
	enum status reset = virtio_reset(v);

	st = blk_silence(blk, &v->pci, st == OK ? reset : st);
	/* What a host has begun, bus mastering does not end; a reset does. */
	blk->silent = blk->silent && reset != E_READY;
	return st;
}

const struct blk_ops virtio_blk_ops = {
	.submit = virtio_submit,
	.poll = virtio_poll,
	.select = virtio_select,
	.stop = virtio_stop,
};
