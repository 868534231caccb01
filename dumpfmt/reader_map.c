/*
 * Gathers what a dump says about every page of RAM and the notes it carries. Reads
 * no page contents.
 */
#include <string.h>
#include "reader.h"

#define PFN_END	    ((u64)1 << 40)
#define NOTES_FIRST 16
#define NOTES_MAX   65536
#define NOTES_BYTES (64u * MIB) /* of all notes; registers of 8192 CPUs take 3 */

/* One more than the passes need: the first pass may find something, too. */
#define FOUND_DESCENTS (DL_LATER_PASSES + 1)

static enum status add_pages(struct reader_map *m, const struct reader_walk *w)
{
	u64 position = 0;

	if (reader_walk_pages(w) == 0)
		return E_CHUNK;
	for (u32 i = 0; i < w->chunk.run_count; i++) {
		u64 run = reader_walk_run(w, i);
		struct reader_span span = {
			.pfn = dl_run_pfn(run),
			.count = dl_run_count(run),
			.where = w->block << 4 | position,
		};
		enum status st = reader_spans_add(m->r, &m->pages, &span);

		if (st != OK)
			return st;
		position += span.count;
	}
	return OK;
}

/* Long runs come in pieces of 65536 pages; they are put together again. */
static enum status add_run(struct reader *r, struct reader_spans *s, u64 run)
{
	struct reader_span *last = s->count ? &s->span[s->count - 1] : NULL;
	struct reader_span span = {
		.pfn = dl_run_pfn(run),
		.count = dl_run_count(run),
		.where = dl_run_class(run),
	};

	if (last && last->where == span.where && last->pfn + last->count == span.pfn) {
		last->count += span.count;
		return OK;
	}
	return reader_spans_add(r, s, &span);
}

/*
 * Runs ascend through the dump: others are refused, as a few packed bytes could name one page
 * without end.
 */
static enum status add_class(struct reader_map *m, u64 run)
{
	const struct reader_spans *s = &m->classes;
	const struct reader_span *last = s->count ? &s->span[s->count - 1] : NULL;

	if (last && dl_run_pfn(run) < last->pfn + last->count)
		return E_CHUNK;
	return add_run(m->r, &m->classes, run);
}

static enum status add_classes(struct reader_map *m, const u8 *raw, u32 bytes)
{
	for (u32 at = 0; range_fits(at, sizeof(u64), bytes); at += (u32)sizeof(u64)) {
		enum status st;
		u64 run;

		memcpy(&run, raw + at, sizeof(run));
		st = add_class(m, run);
		if (st != OK)
			return st;
	}
	return OK;
}

enum status reader_found_check(struct reader_found *f, u64 run)
{
	u32 class = dl_run_class(run);

	if (class != DL_ZERO && class != DL_UNREADABLE)
		return E_CHUNK;
	if (dl_run_pfn(run) < f->next_pfn && ++f->descents > FOUND_DESCENTS)
		return E_CHUNK;
	f->next_pfn = dl_run_pfn(run) + dl_run_count(run);
	return OK;
}

static enum status add_found(struct reader_map *m, struct reader_found *f, const u8 *raw, u32 bytes)
{
	for (u32 at = 0; range_fits(at, sizeof(u64), bytes); at += (u32)sizeof(u64)) {
		enum status st;
		u64 run;

		memcpy(&run, raw + at, sizeof(run));
		st = reader_found_check(f, run);
		if (st == OK)
			st = add_run(m->r, &m->found, run);
		if (st != OK)
			return st;
	}
	return OK;
}

static enum status add_ram(struct reader_map *m, const u8 *raw, u32 bytes)
{
	struct mem_range range;

	for (u32 at = 0; range_fits(at, sizeof(range), bytes); at += (u32)sizeof(range)) {
		struct reader_span span = {0};
		enum status st;

		memcpy(&range, raw + at, sizeof(range));
		span.pfn = range.pa >> PAGE_SHIFT;
		span.count = range.bytes >> PAGE_SHIFT;
		if (range.type != MEM_RAM || !range_fits(span.pfn, span.count, PFN_END))
			continue;
		st = reader_spans_add(m->r, &m->ram, &span);
		if (st != OK)
			return st;
	}
	return OK;
}

static enum status grow_notes(struct reader_map *m)
{
	u32 room = m->notes_room ? m->notes_room * 2 : NOTES_FIRST;
	struct reader_note *grown;

	if (m->notes < m->notes_room)
		return OK;
	if (room > NOTES_MAX)
		return E_CHUNK;
	grown = m->r->ops->resize(m->r->ctx, m->note, room * sizeof(*grown));
	if (!grown)
		return E_NO_MEMORY;
	m->note = grown;
	m->notes_room = room;
	return OK;
}

static enum status add_note(struct reader_map *m, const u8 *raw, u32 bytes)
{
	struct reader_note *note;
	struct dl_note head;
	enum status st;

	if (bytes < sizeof(head))
		return E_CHUNK;
	memcpy(&head, raw, sizeof(head));
	if (!range_fits(sizeof(head), head.bytes, bytes))
		return E_CHUNK;
	if (!range_fits(m->notes_bytes, head.bytes, NOTES_BYTES))
		return E_CHUNK;
	st = grow_notes(m);
	if (st != OK)
		return st;
	note = &m->note[m->notes];
	note->type = head.type;
	note->bytes = head.bytes;
	note->data = m->r->ops->resize(m->r->ctx, NULL, (u64)head.bytes + 1);
	if (!note->data)
		return E_NO_MEMORY;
	memcpy(note->data, raw + sizeof(head), head.bytes);
	note->data[head.bytes] = 0;
	m->notes++;
	m->notes_bytes += head.bytes;
	if (head.type == DL_NOTE_MEMMAP)
		return add_ram(m, note->data, note->bytes);
	return OK;
}

/* What is gathered on one walk over the log. */
struct gather {
	struct reader_walk walk;
	struct reader_found found;
	u8 raw[READER_PAYLOAD_MAX];
};

static enum status add_chunk(struct reader_map *m, struct gather *g)
{
	struct reader_walk *w = &g->walk;
	u32 bytes = w->chunk.raw_bytes;
	u32 kind = w->chunk.kind;
	enum status st;

	if (kind == DL_KIND_PAGES)
		return add_pages(m, w);
	if (kind != DL_KIND_CLASSES && kind != DL_KIND_FOUND && kind != DL_KIND_NOTE)
		return OK;
	st = reader_walk_payload(w, g->raw);
	if (st != OK)
		return st;
	if (kind == DL_KIND_CLASSES)
		return add_classes(m, g->raw, bytes);
	if (kind == DL_KIND_FOUND)
		return add_found(m, &g->found, g->raw, bytes);
	return add_note(m, g->raw, bytes);
}

/* A chunk that can not be used is passed over: the others are still good. */
static enum status walk_all(struct reader_map *m, struct gather *g)
{
	struct reader_walk *w = &g->walk;

	while (reader_walk_next(w)) {
		enum status st = add_chunk(m, g);

		if (st == E_NO_MEMORY)
			return st;
		if (st == OK)
			continue;
		if (m->bad_chunks == 0)
			m->bad_why = st;
		m->bad_chunks++;
	}
	m->chunks = w->sequence;
	m->log_blocks = w->next;
	m->verdict = reader_walk_verdict(w);
	return OK;
}

static void find_end(struct reader_map *m)
{
	struct reader_iter it;
	struct reader_run run;

	m->end_pfn = 0;
	reader_iter_start(&it, m, 0);
	while (reader_iter_next(&it, &run))
		m->end_pfn = run.pfn + run.count;
}

/* The header says complete, the chunks are all there: is every page? */
static void judge_contents(struct reader_map *m)
{
	struct reader_totals t;

	reader_map_count(m, &t);
	m->missing = t.missing;
	if (m->verdict == OK && m->bad_chunks)
		m->verdict = m->bad_why;
	if (m->verdict == OK && t.missing)
		m->verdict = E_ABSENT;
}

enum status reader_map_load(struct reader_map *m, struct reader *r, const struct reader_dump *dump)
{
	struct gather *g = r->ops->resize(r->ctx, NULL, sizeof(*g));
	enum status st = E_NO_MEMORY;

	memset(m, 0, sizeof(*m));
	m->r = r;
	m->dump = dump;
	m->pages.placed = true;
	if (g) {
		reader_walk_start(&g->walk, r, dump);
		g->found = (struct reader_found) {0};
		st = walk_all(m, g);
		r->ops->resize(r->ctx, g, 0);
	}
	if (st != OK) {
		reader_map_free(m);
		return st;
	}
	reader_spans_settle(&m->pages);
	reader_spans_settle(&m->classes);
	reader_spans_settle(&m->found);
	reader_spans_settle(&m->ram);
	find_end(m);
	judge_contents(m);
	return OK;
}

static void free_spans(struct reader *r, struct reader_spans *s)
{
	if (s->span)
		r->ops->resize(r->ctx, s->span, 0);
	memset(s, 0, sizeof(*s));
}

void reader_map_free(struct reader_map *m)
{
	for (u32 i = 0; i < m->notes; i++)
		m->r->ops->resize(m->r->ctx, m->note[i].data, 0);
	if (m->note)
		m->r->ops->resize(m->r->ctx, m->note, 0);
	m->note = NULL;
	m->notes = 0;
	m->notes_room = 0;
	m->notes_bytes = 0;
	free_spans(m->r, &m->pages);
	free_spans(m->r, &m->classes);
	free_spans(m->r, &m->found);
	free_spans(m->r, &m->ram);
}

const struct reader_note *reader_map_note(const struct reader_map *m, u32 type, u32 index)
{
	for (u32 i = 0; i < m->notes; i++) {
		if (m->note[i].type != type)
			continue;
		if (index == 0)
			return &m->note[i];
		index--;
	}
	return NULL;
}
