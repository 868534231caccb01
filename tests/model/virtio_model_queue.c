/*
 * The split queue of the modelled virtio disk (VIRTIO 1.2 s2.7): takes chains of descriptors,
 * holding the driver to the rules for them, and gives them back, or does what the fault says.
 */
#include <stdlib.h>
#include <string.h>
#include "virtio_model.h"

#define NEXT	     1u
#define WRITE	     2u
#define INDIRECT     4u
#define NO_INTERRUPT 1u
#define F_INDIRECT   (1u << 28)
#define STATUS_IOERR 1
#define LATE_READS   40
#define NEEDS_RESET  0x40u

struct desc {
	u64 pa;
	u32 bytes;
	u16 flags;
	u16 next;
};

static bool fault_now(const struct virtio_model *m, enum virtio_fault fault)
{
	return m->fault == fault && m->commands >= m->fault_at &&
	       m->commands - m->fault_at < m->fault_count;
}

static bool desc_read(struct virtio_model *m, u64 table_pa, u32 i, struct desc *d)
{
	const u8 *p = virtio_model_dma(m, table_pa + 16ull * i, 16, false);

	if (p)
		memcpy(d, p, sizeof(*d));
	return p;
}

static bool piece_add(struct virtio_model *m, struct virtio_model_chain *c, const struct desc *d)
{
	bool write = d->flags & WRITE;

	if (c->count == m->queue_size || c->count == VIRTIO_MODEL_PIECES)
		virtio_model_broken(m, "a chain goes in a circle, or is longer than the queue");
	else if (d->bytes == 0)
		virtio_model_broken(m, "a descriptor of nothing");
	else if (c->count && !write && c->piece[c->count - 1].write)
		virtio_model_broken(m, "what the device reads comes before what it writes");
	else {
		c->piece[c->count++] = (struct virtio_model_piece) {d->pa, d->bytes, write};
		return true;
	}
	return false;
}

/* Follows a chain in a table of @entries from @at on. */
static bool walk(
	struct virtio_model *m, struct virtio_model_chain *c, u64 table_pa, u32 entries, u32 at)
{
	struct desc d;

	do {
		if (at >= entries) {
			virtio_model_broken(m, "a descriptor outside its table");
			return false;
		}
		if (!desc_read(m, table_pa, at, &d))
			return false;
		if (d.flags & INDIRECT) {
			virtio_model_broken(m, "a table in a table, or behind something else");
			return false;
		}
		if (!piece_add(m, c, &d))
			return false;
		at = d.next;
	} while (d.flags & NEXT);
	return true;
}

static bool chain_read(struct virtio_model *m, struct virtio_model_chain *c)
{
	struct desc d;

	if (c->head >= m->queue_size) {
		virtio_model_broken(m, "no such descriptor");
		return false;
	}
	for (u32 i = 0; i < m->pending_count; i++) {
		if (m->pending[i].head == c->head)
			virtio_model_broken(m, "a descriptor that is in use");
	}
	if (!desc_read(m, m->desc_pa, c->head, &d))
		return false;
	if (!(d.flags & INDIRECT))
		return walk(m, c, m->desc_pa, m->queue_size, c->head);
	if (!(m->accepted & F_INDIRECT) || d.flags & (NEXT | WRITE) || d.bytes % 16 ||
		d.bytes == 0) {
		virtio_model_broken(m, "a table that is not allowed");
		return false;
	}
	return walk(m, c, d.pa, d.bytes / 16, 0);
}

static void take(struct virtio_model *m, u32 head)
{
	struct virtio_model_chain *c = &m->pending[m->pending_count];

	if (m->pending_count == VIRTIO_MODEL_PENDING)
		abort();
	*c = (struct virtio_model_chain) {.head = head};
	m->commands++;
	if (!chain_read(m, c))
		return;
	m->longest = c->count > m->longest ? c->count : m->longest;
	if (m->commands >= m->fault_at && m->commands - m->fault_at < m->fault_count)
		c->fault = m->fault;
	c->due_read = m->reads + (c->fault == VIRTIO_FAULT_LATE ? LATE_READS : m->delay_reads);
	m->gone = m->gone || fault_now(m, VIRTIO_FAULT_GONE);
	if (fault_now(m, VIRTIO_FAULT_NEEDS_RESET))
		m->status |= NEEDS_RESET;
	if (fault_now(m, VIRTIO_FAULT_SHRINK))
		m->sectors = 8;
	m->pending_count++;
	m->deepest = m->pending_count > m->deepest ? m->pending_count : m->deepest;
	if (fault_now(m, VIRTIO_FAULT_FORGETS))
		virtio_model_forget(m);
}

void virtio_model_fetch(struct virtio_model *m)
{
	const u8 *p = virtio_model_dma(m, m->avail_pa, 4 + 2ull * m->queue_size, false);
	u16 idx, head;

	if (!p)
		return;
	memcpy(&idx, p + 2, 2);
	if ((u16)(idx - m->avail_idx) > m->queue_size) {
		virtio_model_broken(m, "more requests than the queue has room for");
		return;
	}
	while ((u16)m->avail_idx != idx && m->queue_live) {
		memcpy(&head, p + 4 + 2 * (m->avail_idx % m->queue_size), 2);
		m->avail_idx++;
		take(m, head);
	}
}

static void used_index(struct virtio_model *m, u32 idx)
{
	u8 *p = virtio_model_dma(m, m->used_pa, 4, true);
	const u8 *avail = virtio_model_dma(m, m->avail_pa, 2, false);
	u16 v = (u16)idx;

	m->used_idx = v;
	if (p)
		memcpy(p + 2, &v, 2);
	if (avail && !(avail[0] & NO_INTERRUPT) && pci_model_interrupt(m->fn))
		m->stray_dma++;
}

static void used_push(struct virtio_model *m, u32 id, u32 written)
{
	u32 e[2] = {id, written};
	u64 at = m->used_pa + 4 + 8ull * (m->used_idx % m->queue_size);
	u8 *p = virtio_model_dma(m, at, 8, true);

	if (p)
		memcpy(p, e, 8);
	used_index(m, m->used_idx + 1);
}

static void status_put(struct virtio_model *m, const struct virtio_model_chain *c, u8 status)
{
	const struct virtio_model_piece *last = &c->piece[c->count - 1];
	u8 *p = virtio_model_dma(m, last->pa + last->bytes - 1, 1, true);

	if (p)
		*p = status;
}

/* Runs the request; false if it fails before it was looked at. */
static u8 run(struct virtio_model *m, const struct virtio_model_chain *c, u32 *written)
{
	u8 status;

	*written = 1;
	if (c->fault == VIRTIO_FAULT_IOERR)
		status = STATUS_IOERR;
	else if (c->fault == VIRTIO_FAULT_UNSUPP)
		status = 2;
	else if (c->fault == VIRTIO_FAULT_ODD_STATUS)
		status = 0x55;
	else
		status = virtio_model_run(m, c, written);
	m->failed += status != 0;
	return status;
}

static void complete(struct virtio_model *m, const struct virtio_model_chain *c)
{
	u32 free_id = (c->head + 25) % 30;
	u32 written;
	u8 status = run(m, c, &written);
	u32 id = c->head;

	if (c->fault != VIRTIO_FAULT_NO_STATUS)
		status_put(m, c, status);
	if (c->fault == VIRTIO_FAULT_ID_UNKNOWN)
		id = 0xfffffff0;
	if (c->fault == VIRTIO_FAULT_ID_FREE)
		id = free_id;
	if (c->fault == VIRTIO_FAULT_SPURIOUS)
		used_push(m, free_id, 1);
	used_push(m, id, written);
	if (c->fault == VIRTIO_FAULT_DUPLICATE)
		used_push(m, id, written);
	if (c->fault == VIRTIO_FAULT_JUMP)
		used_index(m, m->used_idx + 40);
	if (c->fault == VIRTIO_FAULT_BACK)
		used_index(m, m->used_idx - 2);
}

/* Completes what is due, in order or the other way round. */
void virtio_model_settle(struct virtio_model *m)
{
	static struct virtio_model_chain list[VIRTIO_MODEL_PENDING];
	u32 count = m->pending_count;

	if (count == 0 || !m->queue_live || m->gone || m->status & NEEDS_RESET)
		return;
	memcpy(list, m->pending, count * sizeof(list[0]));
	m->pending_count = 0;
	for (u32 i = 0; i < count; i++) {
		const struct virtio_model_chain *c = &list[m->lifo ? count - 1 - i : i];

		if (c->due_read <= m->reads && c->fault != VIRTIO_FAULT_NEVER)
			complete(m, c);
	}
	for (u32 i = 0; i < count; i++) {
		if (list[i].due_read > m->reads || list[i].fault == VIRTIO_FAULT_NEVER)
			m->pending[m->pending_count++] = list[i];
	}
}
