/*
 * Contents of single pages out of a dump, through a small cache of unpacked chunks.
 */
#include <string.h>
#include "reader.h"

enum status reader_pages_open(struct reader_pages *p, const struct reader_map *m)
{
	memset(p, 0, sizeof(*p));
	p->m = m;
	p->raw = m->r->ops->resize(m->r->ctx, NULL, READER_CACHE * READER_PAYLOAD_MAX);
	return p->raw ? OK : E_NO_MEMORY;
}

void reader_pages_close(struct reader_pages *p)
{
	if (p->raw)
		p->m->r->ops->resize(p->m->r->ctx, p->raw, 0);
	p->raw = NULL;
}

/*
 * Reads the chunk at @block again. It was checked when the map was loaded, and is
 * checked again: the source may not return the same bytes twice.
 */
static void load_slot(struct reader_pages *p, struct reader_cached *slot, u64 block)
{
	struct reader_walk *w = &p->walk;
	u8 *raw = p->raw + (u64)(slot - p->slot) * READER_PAYLOAD_MAX;

	slot->block = block;
	slot->bytes = 0;
	reader_walk_seek(w, p->m->r, p->m->dump, block);
	if (!reader_walk_next(w)) {
		slot->status = w->why;
		return;
	}
	slot->bytes = w->chunk.raw_bytes;
	slot->status = w->chunk.kind == DL_KIND_PAGES ? reader_walk_payload(w, raw) : E_CHUNK;
}

/* The slot that holds the chunk at @block, loaded in place of the longest unused one. */
static struct reader_cached *cached_chunk(struct reader_pages *p, u64 block)
{
	struct reader_cached *oldest = &p->slot[0];

	p->clock++;
	for (u32 i = 0; i < READER_CACHE; i++) {
		struct reader_cached *slot = &p->slot[i];

		if (slot->used && slot->block == block) {
			slot->used = p->clock;
			return slot;
		}
		if (slot->used < oldest->used)
			oldest = slot;
	}
	load_slot(p, oldest, block);
	oldest->used = p->clock;
	return oldest;
}

static enum status get_here(
	struct reader_pages *p, const struct reader_span *span, u64 pfn, u8 *buf)
{
	u64 position = (span->where & 15) + (pfn - span->pfn);
	const struct reader_cached *slot = cached_chunk(p, span->where >> 4);

	if (slot->status != OK)
		return slot->status;
	if (!range_fits(position * PAGE_BYTES, PAGE_BYTES, slot->bytes))
		return E_CHUNK;
	memcpy(buf, p->raw + (u64)(slot - p->slot) * READER_PAYLOAD_MAX + position * PAGE_BYTES,
		PAGE_BYTES);
	return OK;
}

enum status reader_pages_get(struct reader_pages *p, u64 pfn, u8 *buf)
{
	const struct reader_span *found = reader_spans_at(&p->m->found, pfn);
	const struct reader_span *span = reader_spans_at(&p->m->pages, pfn);

	if (!found && span)
		return get_here(p, span, pfn, buf);
	span = found ? found : reader_spans_at(&p->m->classes, pfn);
	if (!span || span->where != DL_ZERO)
		return E_ABSENT;
	memset(buf, 0, PAGE_BYTES);
	return OK;
}
