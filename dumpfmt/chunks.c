/*
 * Makes chunks: header, runs, payload, checksums, and the index of what was sent.
 * Does not know where on the disk the dump lies nor when it ends.
 */
#include <string.h>
#include "chunks.h"
#include "crc32c.h"

_Static_assert(sizeof(struct dl_chunk) + sizeof(struct dl_index) +
			       WRITER_INDEX_ENTRIES * sizeof(struct dl_index_entry) <=
		       PAGE_BYTES,
	"an index chunk is one page");

/* A chunk being made. */
struct draft {
	struct dl_chunk *head; /* in the ring, its runs behind it */
	u64 first_pfn;
	u64 last_pfn;
	u32 pages;
	struct outbox_chunk out;
};

static u64 to_blocks(u64 bytes, u32 block_bytes)
{
	return round_up_u64(bytes, block_bytes) / block_bytes;
}

static u32 to_pages(u64 bytes)
{
	return (u32)(round_up_u64(bytes, PAGE_BYTES) / PAGE_BYTES);
}

u64 chunk_reserve_blocks(u32 block_bytes)
{
	u64 classes = sizeof(struct dl_chunk) + WRITER_CLASS_RUNS * sizeof(u64);

	return to_blocks(classes, block_bytes) + 2 * to_blocks(PAGE_BYTES, block_bytes) + 1;
}

static struct dl_chunk *chunk_begin(struct writer *w, u8 *at, u32 kind)
{
	struct dl_chunk *c = (struct dl_chunk *)(void *)at;

	memset(c, 0, sizeof(*c));
	c->magic = DL_CHUNK_MAGIC;
	c->header_bytes = sizeof(*c);
	c->kind = (u16)kind;
	memcpy(c->dump_uuid, w->header.dump_uuid, sizeof(c->dump_uuid));
	c->sequence = w->sent.chunks;
	c->payload_offset = sizeof(*c);
	return c;
}

static bool index_has_room(const struct writer *w)
{
	return w->index_count < WRITER_INDEX_ENTRIES;
}

static void index_add(struct writer *w, const struct draft *d)
{
	struct dl_index_entry *e = &w->index[w->index_count++];

	memset(e, 0, sizeof(*e));
	e->block = w->sent.blocks;
	e->first_pfn = d->first_pfn;
	e->last_pfn = d->last_pfn;
	e->blocks = d->head->blocks;
	e->kind = d->head->kind;
}

/* Checks that the dump has room, seals the header, sends, and lists the chunk. */
static enum status draft_send(struct writer *w, struct draft *d, u32 ring_pages)
{
	u64 room = w->header.limit - w->sent.blocks;
	enum status st;

	if (d->head->kind != DL_KIND_START && !index_has_room(w))
		return E_INVAL;
	if (!range_fits(w->reserve_blocks, d->head->blocks, room)) {
		w->full = true;
		return E_FULL;
	}
	dl_chunk_seal(d->head);
	outbox_take(&w->out, ring_pages);
	d->out.block = w->header.start + w->sent.blocks;
	d->out.mark.blocks = w->sent.blocks + d->head->blocks;
	d->out.mark.chunks = w->sent.chunks + 1;
	d->out.mark.pages = w->sent.pages + d->pages;
	st = outbox_send(&w->out, &d->out);
	if (st != OK)
		return st;
	if (d->head->kind != DL_KIND_START)
		index_add(w, d);
	w->sent = d->out.mark;
	return OK;
}

/* Blocks, padding and checksum of a chunk that lies in the ring in one piece. */
static void draft_close(struct writer *w, struct draft *d)
{
	struct dl_chunk *c = d->head;
	u8 *at = (u8 *)c;
	u32 used = c->payload_offset + c->stored_bytes;

	c->blocks = (u32)to_blocks(used, w->super->block_bytes);
	memset(at + used, 0, (size_t)c->blocks * w->super->block_bytes - used);
	c->payload_crc32c = crc32c(0, at + c->payload_offset, c->stored_bytes);
	d->out.nsegs = 1;
	d->out.seg[0].pa = outbox_pa(&w->out, at);
	d->out.seg[0].bytes = c->blocks * w->super->block_bytes;
}

static enum status put(struct writer *w, u32 kind, struct piece a, struct piece b)
{
	struct draft d = {.pages = 0};
	u32 pages = to_pages(sizeof(struct dl_chunk) + (u64)a.bytes + b.bytes);
	u8 *room;
	enum status st = outbox_reserve(&w->out, pages, &room);

	if (st != OK)
		return st;
	d.head = chunk_begin(w, room, kind);
	memcpy(room + sizeof(*d.head), a.data, a.bytes);
	if (b.bytes > 0)
		memcpy(room + sizeof(*d.head) + a.bytes, b.data, b.bytes);
	d.head->raw_bytes = a.bytes + b.bytes;
	d.head->stored_bytes = d.head->raw_bytes;
	draft_close(w, &d);
	return draft_send(w, &d, pages);
}

enum status chunk_put_start(struct writer *w)
{
	return put(w, DL_KIND_START, (struct piece) {&w->header, sizeof(w->header)},
		(struct piece) {NULL, 0});
}

enum status chunk_index_flush(struct writer *w)
{
	struct dl_index head = {.previous = w->last_index, .count = w->index_count};
	u64 block = w->sent.blocks;
	u32 listed = w->index_count;
	enum status st;

	if (listed == 0)
		return OK;
	w->index_count = 0;
	st = put(w, DL_KIND_INDEX, (struct piece) {&head, sizeof(head)},
		(struct piece) {w->index, listed * (u32)sizeof(*w->index)});
	if (st != OK)
		w->index_count = listed;
	else
		w->last_index = block;
	return st;
}

enum status chunk_index_room(struct writer *w)
{
	return index_has_room(w) ? OK : chunk_index_flush(w);
}

enum status chunk_put(struct writer *w, u32 kind, struct piece a, struct piece b)
{
	enum status st = chunk_index_room(w);

	return st == OK ? put(w, kind, a, b) : st;
}

enum status chunk_classes_flush(struct writer *w)
{
	enum status st;

	if (w->class_count == 0)
		return OK;
	st = chunk_put(w, w->run_kind,
		(struct piece) {w->class_run, w->class_count * (u32)sizeof(*w->class_run)},
		(struct piece) {NULL, 0});
	if (st == OK)
		w->class_count = 0;
	return st;
}

/* Runs of neighbouring pages of one class, behind the chunk's header. */
static void group_runs(struct draft *d, const struct page_group *g)
{
	u64 *run = (u64 *)(void *)(d->head + 1);
	u32 n = 0;

	for (u32 i = 0; i < g->count; i++) {
		u64 last = n ? run[n - 1] : 0;

		if (n && dl_run_pfn(last) + dl_run_count(last) == g->pfn[i] &&
			dl_run_class(last) == g->class[i])
			run[n - 1] = dl_run(dl_run_pfn(last), dl_run_count(last) + 1, g->class[i]);
		else
			run[n++] = dl_run(g->pfn[i], 1, g->class[i]);
	}
	d->head->run_count = (u16)n;
	d->head->raw_bytes = g->count * PAGE_BYTES;
	d->first_pfn = g->pfn[0];
	d->last_pfn = g->pfn[g->count - 1];
	d->pages = g->count;
}

/* Old memory as segments, neighbours merged. */
static void group_segments(struct outbox_chunk *out, const struct page_group *g)
{
	for (u32 i = 0; i < g->count; i++) {
		if (i > 0 && g->pfn[i] == g->pfn[i - 1] + 1) {
			out->seg[out->nsegs - 1].bytes += PAGE_BYTES;
			continue;
		}
		out->seg[out->nsegs].pa = g->pfn[i] << PAGE_SHIFT;
		out->seg[out->nsegs++].bytes = PAGE_BYTES;
	}
}

static bool group_ok(const struct page_group *g)
{
	return g->count > 0 && g->count <= DL_GROUP_PAGES;
}

enum status writer_raw(struct writer *w, const struct page_group *g, u32 crc)
{
	u32 bb = w->super->block_bytes;
	struct draft d = {.pages = 0};
	enum status st = group_ok(g) ? chunk_index_room(w) : E_INVAL;
	u8 *room;

	if (st == OK)
		st = outbox_reserve(&w->out, 1, &room);
	if (st != OK)
		return st;
	/* At the end of its page, so that the old pages may follow as page-aligned segments. */
	room += PAGE_BYTES - bb;
	memset(room, 0, bb);
	d.head = chunk_begin(w, room, DL_KIND_PAGES);
	group_runs(&d, g);
	d.head->payload_offset = bb;
	d.head->stored_bytes = d.head->raw_bytes;
	d.head->payload_crc32c = crc;
	d.head->blocks = 1 + d.head->stored_bytes / bb;
	d.out.nsegs = 1;
	d.out.seg[0].pa = outbox_pa(&w->out, room);
	d.out.seg[0].bytes = bb;
	group_segments(&d.out, g);
	return draft_send(w, &d, 1);
}

/* Packs the group behind a header in the ring; stored_bytes 0 if that does not pay. */
static enum status group_pack(struct writer *w, struct draft *d, const struct page_group *g,
	const void *pages, struct compressor *c)
{
	u32 at_most = g->count * PAGE_BYTES / 8 * 7;
	u8 *room;
	enum status st = outbox_reserve(
		&w->out, to_pages(sizeof(*d->head) + g->count * sizeof(u64) + at_most), &room);

	if (st != OK)
		return st;
	d->head = chunk_begin(w, room, DL_KIND_PAGES);
	group_runs(d, g);
	d->head->payload_offset = (u32)(sizeof(*d->head) + d->head->run_count * sizeof(u64));
	d->head->compressor = (u16)c->method;
	d->head->stored_bytes = compress_pack(
		c, pages, d->head->raw_bytes, room + d->head->payload_offset, at_most);
	return OK;
}

enum status writer_packed(struct writer *w, const struct page_group *g, const void *pages,
	struct compressor *c, bool *packed)
{
	struct draft d = {.pages = 0};
	enum status st = group_ok(g) ? chunk_index_room(w) : E_INVAL;

	*packed = false;
	if (st == OK)
		st = group_pack(w, &d, g, pages, c);
	if (st != OK || d.head->stored_bytes == 0)
		return st;
	*packed = true;
	draft_close(w, &d);
	return draft_send(w, &d, to_pages(d.head->payload_offset + d.head->stored_bytes));
}

enum status writer_trial(struct writer *w, const struct page_group *g, const void *pages,
	struct compressor *c, u64 *blocks)
{
	u32 bb = w->super->block_bytes;
	struct draft d = {.pages = 0};
	enum status st = group_ok(g) ? group_pack(w, &d, g, pages, c) : E_INVAL;

	if (st != OK)
		return st;
	if (d.head->stored_bytes > 0)
		*blocks = to_blocks((u64)d.head->payload_offset + d.head->stored_bytes, bb);
	else
		*blocks = 1 + to_blocks(g->count * PAGE_BYTES, bb);
	return OK;
}
