/*
 * Walks the chunks of one dump and judges whether it is complete. Knows nothing of
 * what the chunks mean beyond END and the index.
 */
#include <string.h>
#include "crc32c.h"
#include "reader.h"

void reader_walk_start(struct reader_walk *w, struct reader *r, const struct reader_dump *dump)
{
	memset(w, 0, sizeof(*w));
	w->r = r;
	w->dump = dump;
}

void reader_walk_seek(
	struct reader_walk *w, struct reader *r, const struct reader_dump *dump, u64 block)
{
	reader_walk_start(w, r, dump);
	w->next = block;
	w->seeking = true;
}

/* Of a chunk, from the partition's start. */
static u64 chunk_offset(const struct reader_walk *w, u64 block)
{
	return (w->dump->h.start + block) * w->r->super.block_bytes;
}

/* Brings the next chunk's header and runs to w->head and checks them. */
static enum status load_head(struct reader_walk *w)
{
	u32 block_bytes = w->r->super.block_bytes;
	u64 offset = chunk_offset(w, w->next);
	u64 room;
	u64 bytes;
	enum status st;

	if (w->next >= w->dump->h.limit)
		return E_CHUNK;
	room = w->dump->h.limit - w->next;
	if (offset >= w->r->bytes)
		return E_TRUNCATED;
	bytes = min_u64(sizeof(w->head), room * block_bytes);
	bytes = min_u64(bytes, w->r->bytes - offset);
	st = w->r->ops->read(w->r->ctx, offset, w->head, bytes);
	if (st != OK)
		return st;
	if (w->seeking)
		w->sequence = w->chunk.sequence;
	st = dl_chunk_check(w->head, bytes, w->dump->h.dump_uuid, w->sequence, block_bytes, room);
	if (st != OK)
		return st;
	if (!range_fits(w->chunk.payload_offset, w->chunk.stored_bytes, w->r->bytes - offset))
		return E_TRUNCATED;
	return OK;
}

static enum status load_end(struct reader_walk *w)
{
	u8 raw[sizeof(struct dl_end)];
	enum status st;

	if (w->chunk.raw_bytes != sizeof(w->end) || w->chunk.compressor != DL_COMP_NONE)
		return E_CHUNK;
	st = reader_walk_payload(w, raw);
	if (st != OK)
		return st;
	memcpy(&w->end, raw, sizeof(w->end));
	w->closed = true;
	return OK;
}

bool reader_walk_next(struct reader_walk *w)
{
	if (w->why != OK || w->closed)
		return false;
	w->why = load_head(w);
	if (w->why != OK)
		return false;
	w->block = w->next;
	if (w->chunk.kind == DL_KIND_END) {
		w->why = load_end(w);
		if (w->why != OK)
			return false;
	}
	if (w->chunk.kind == DL_KIND_PAGES)
		w->pages += reader_walk_pages(w);
	w->next += w->chunk.blocks;
	w->sequence++;
	return true;
}

u64 reader_walk_run(const struct reader_walk *w, u32 i)
{
	u64 run;

	/* A longer header from a later version need not be a multiple of eight. */
	memcpy(&run, w->head + w->chunk.header_bytes + i * sizeof(run), sizeof(run));
	return run;
}

u32 reader_walk_pages(const struct reader_walk *w)
{
	u32 pages = 0;

	for (u32 i = 0; i < w->chunk.run_count; i++) {
		u32 count = dl_run_count(reader_walk_run(w, i));

		if (count > DL_GROUP_PAGES - pages)
			return 0;
		pages += count;
	}
	return pages * PAGE_BYTES == w->chunk.raw_bytes ? pages : 0;
}

enum status reader_walk_payload(struct reader_walk *w, void *raw)
{
	const struct dl_chunk *c = &w->chunk;
	struct reader *r = w->r;
	enum status st;

	st = r->ops->read(
		r->ctx, chunk_offset(w, w->block) + c->payload_offset, r->stored, c->stored_bytes);
	if (st != OK)
		return st;
	if (crc32c(0, r->stored, c->stored_bytes) != c->payload_crc32c)
		return E_CHECKSUM;
	if (c->compressor != DL_COMP_NONE)
		return r->ops->unpack(r->ctx, c, r->stored, raw);
	if (c->stored_bytes != c->raw_bytes)
		return E_DECOMPRESS;
	memcpy(raw, r->stored, c->raw_bytes);
	return OK;
}

/* The log has no END: the most useful of the reasons there may be. */
static enum status verdict_open(const struct reader_walk *w)
{
	const struct dl_header *h = &w->dump->h;

	if (w->why != E_CHUNK && w->why != E_CHECKSUM)
		return w->why;
	if (h->reason != OK)
		return (enum status)h->reason;
	return h->state == DL_STATE_COMPLETE ? w->why : E_INTERRUPTED;
}

enum status reader_walk_verdict(const struct reader_walk *w)
{
	const struct dl_header *h = &w->dump->h;

	if (!w->closed)
		return verdict_open(w);
	if (w->end.reason != OK)
		return (enum status)w->end.reason;
	if (h->reason != OK)
		return (enum status)h->reason;
	if (h->state != DL_STATE_COMPLETE)
		return E_INTERRUPTED;
	if (h->end != w->block || h->chunks != w->sequence || w->end.chunks != w->sequence)
		return E_CHUNK;
	return w->end.kept_pages == w->pages ? OK : E_CHUNK;
}

static void index_entry(const struct reader_walk *w, struct dl_index_entry *e)
{
	memset(e, 0, sizeof(*e));
	e->block = w->block;
	e->blocks = w->chunk.blocks;
	e->kind = w->chunk.kind;
	if (w->chunk.kind != DL_KIND_PAGES || w->chunk.run_count == 0)
		return;
	e->first_pfn = ~0ull;
	for (u32 i = 0; i < w->chunk.run_count; i++) {
		u64 run = reader_walk_run(w, i);

		e->first_pfn = min_u64(e->first_pfn, dl_run_pfn(run));
		e->last_pfn = max_u64(e->last_pfn, dl_run_pfn(run) + dl_run_count(run) - 1);
	}
}

static enum status index_compare(
	const struct reader_index *x, const struct dl_chunk *c, const u8 *raw)
{
	struct dl_index_entry e;
	struct dl_index index;
	u64 count = 0;
	u32 crc = 0;

	if (c->raw_bytes < sizeof(index))
		return E_CHUNK;
	memcpy(&index, raw, sizeof(index));
	if (index.previous != x->previous || index.count > READER_PAYLOAD_MAX / sizeof(e) ||
		!range_fits(sizeof(index), index.count * sizeof(e), c->raw_bytes))
		return E_CHUNK;
	for (u32 i = 0; i < index.count; i++) {
		memcpy(&e, raw + sizeof(index) + i * sizeof(e), sizeof(e));
		if (e.kind == DL_KIND_INDEX)
			continue;
		crc = crc32c(crc, &e, sizeof(e));
		count++;
	}
	return count == x->count && crc == x->crc ? OK : E_CHUNK;
}

enum status reader_index_check(struct reader_index *x, const struct reader_walk *w, const void *raw)
{
	struct dl_index_entry e;
	enum status st;

	if (w->chunk.kind == DL_KIND_START)
		return OK;
	if (w->chunk.kind == DL_KIND_END)
		return w->end.last_index == x->previous ? OK : E_CHUNK;
	if (w->chunk.kind == DL_KIND_INDEX) {
		st = index_compare(x, &w->chunk, raw);
		*x = (struct reader_index) {.previous = w->block};
		return st;
	}
	index_entry(w, &e);
	x->crc = crc32c(x->crc, &e, sizeof(e));
	x->count++;
	return OK;
}
