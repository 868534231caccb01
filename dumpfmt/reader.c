/*
 * Opens a dump partition: superblocks and directory. Reads no chunks and writes
 * nothing.
 */
#include <string.h>
#include "reader.h"

/* One superblock at @offset of the source; E_FOREIGN if it does not even look like one. */
static enum status read_super(struct reader *r, u64 offset, struct dl_super *super)
{
	enum status st;

	if (!range_fits(offset, sizeof(*super), r->bytes))
		return E_TRUNCATED;
	st = r->ops->read(r->ctx, offset, super, sizeof(*super));
	if (st != OK)
		return st;
	if (memcmp(super->magic, DL_SUPER_MAGIC, sizeof(super->magic)) != 0)
		return E_FOREIGN;
	st = dl_super_check(super);
	if (st == OK && super->blocks > (u64)INT64_MAX / super->block_bytes)
		st = E_SUPERBLOCK;
	if (st == OK)
		super->label[sizeof(super->label) - 1] = '\0';
	return st;
}

/* Without the first superblock: the last block, whose size is not known yet. */
static enum status find_back_super(struct reader *r, struct dl_super *super)
{
	static const u32 block_bytes[] = {512, 4096};
	enum status worst = E_FOREIGN;

	for (u32 i = 0; i < ARRAY_SIZE(block_bytes); i++) {
		u64 whole = r->bytes - r->bytes % block_bytes[i];
		enum status st;

		if (whole < block_bytes[i])
			continue;
		st = read_super(r, whole - block_bytes[i], super);
		if (st == OK && super->block_bytes == block_bytes[i] &&
			super->blocks == whole / block_bytes[i])
			return OK;
		if (st != E_FOREIGN)
			worst = st == OK ? E_SUPERBLOCK : st;
	}
	return worst;
}

static enum status find_supers(struct reader *r)
{
	struct dl_super back;

	r->super_front = read_super(r, 0, &r->super);
	if (r->super_front == OK) {
		u64 last = (r->super.blocks - 1) * r->super.block_bytes;

		r->super_back = read_super(r, last, &back);
		return OK;
	}
	r->super_back = find_back_super(r, &r->super);
	if (r->super_back == OK)
		return OK;
	if (r->super_front == E_VERSION || r->super_back == E_VERSION)
		return E_VERSION;
	if (r->super_front == E_SUPERBLOCK || r->super_back == E_SUPERBLOCK)
		return E_SUPERBLOCK;
	if (r->super_front == E_FOREIGN || r->super_front == E_TRUNCATED)
		return E_FOREIGN;
	return r->super_front;
}

static enum status read_slot(struct reader *r, u64 block, struct dl_header *h)
{
	u64 offset = block * r->super.block_bytes;
	enum status st;

	if (!range_fits(offset, sizeof(*h), r->bytes))
		return E_TRUNCATED;
	st = r->ops->read(r->ctx, offset, h, sizeof(*h));
	return st == OK ? dl_header_check(h, &r->super) : st;
}

static void terminate_texts(struct dl_header *h)
{
	h->release[sizeof(h->release) - 1] = '\0';
	h->nodename[sizeof(h->nodename) - 1] = '\0';
	h->machine[sizeof(h->machine) - 1] = '\0';
	h->panic[sizeof(h->panic) - 1] = '\0';
}

/* Neither copy is good: an unused slot, another disk's leftovers, or damage? */
static void note_bad_slot(struct reader *r, enum status front, enum status back)
{
	static const enum status harmless[] = {E_NO_DUMP, E_FOREIGN};

	for (u32 i = 0; i < ARRAY_SIZE(harmless); i++) {
		bool front_gone = front == harmless[i] || front == E_TRUNCATED;
		bool back_gone = back == harmless[i] || back == E_TRUNCATED;

		if (front_gone && back_gone)
			return;
	}
	r->bad_slots++;
	r->bad_slot_why = front == E_NO_DUMP || front == E_TRUNCATED ? back : front;
}

/* Keeps the list ascending; slots are mostly used in order, so little is moved. */
static void insert_dump(struct reader *r, const struct reader_dump *dump)
{
	u32 at = r->count;

	while (at > 0 && r->dump[at - 1].h.number > dump->h.number)
		at--;
	memmove(&r->dump[at + 1], &r->dump[at], (r->count - at) * sizeof(*dump));
	r->dump[at] = *dump;
	r->count++;
}

static void read_dump(struct reader *r, u32 slot)
{
	struct reader_dump dump = {.slot = slot};
	struct dl_header back;

	dump.front = read_slot(r, dl_slot_block(slot), &dump.h);
	dump.back = read_slot(r, dl_slot_block_back(&r->super, slot), &back);
	if (dump.front != OK && dump.back != OK) {
		note_bad_slot(r, dump.front, dump.back);
		return;
	}
	if (dump.front != OK || (dump.back == OK && back.generation > dump.h.generation))
		dump.h = back;
	terminate_texts(&dump.h);
	insert_dump(r, &dump);
}

enum status reader_open(struct reader *r, const struct reader_ops *ops, void *ctx, u64 bytes)
{
	enum status st;

	memset(r, 0, sizeof(*r));
	r->ops = ops;
	r->ctx = ctx;
	r->bytes = bytes;
	st = find_supers(r);
	if (st != OK)
		return st;
	r->dump = ops->resize(ctx, NULL, r->super.dir_slots * sizeof(*r->dump));
	r->stored = ops->resize(ctx, NULL, READER_PAYLOAD_MAX);
	if (!r->dump || !r->stored) {
		reader_close(r);
		return E_NO_MEMORY;
	}
	for (u32 slot = 0; slot < r->super.dir_slots; slot++)
		read_dump(r, slot);
	return OK;
}

void reader_close(struct reader *r)
{
	if (r->dump)
		r->ops->resize(r->ctx, r->dump, 0);
	if (r->stored)
		r->ops->resize(r->ctx, r->stored, 0);
	r->dump = NULL;
	r->stored = NULL;
	r->count = 0;
}

const struct reader_dump *reader_find(const struct reader *r, u32 number)
{
	if (number == 0)
		return r->count ? &r->dump[r->count - 1] : NULL;
	for (u32 i = r->count; i > 0; i--) {
		if (r->dump[i - 1].h.number == number)
			return &r->dump[i - 1];
	}
	return NULL;
}
