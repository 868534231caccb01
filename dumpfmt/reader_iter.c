/*
 * What became of each page of RAM: what was found when its turn came first, then
 * contents in the log, then the recorded class, then the firmware's memory map.
 */
#include <string.h>
#include "reader.h"

enum table {
	PAGES,
	CLASSES,
	RAM,
	FOUND,
};

static const struct reader_spans *table_of(const struct reader_map *m, u32 table)
{
	const struct reader_spans *const tables[READER_TABLES] = {
		[PAGES] = &m->pages,
		[CLASSES] = &m->classes,
		[RAM] = &m->ram,
		[FOUND] = &m->found,
	};

	return tables[table];
}

void reader_map_filter(struct reader_map *m, u32 level)
{
	m->filter = level & DL_LEVEL_MAX;
}

void reader_iter_start(struct reader_iter *it, const struct reader_map *m, u64 pfn)
{
	it->m = m;
	it->pfn = pfn;
	for (u32 i = 0; i < READER_TABLES; i++)
		it->at[i] = reader_spans_find(table_of(m, i), pfn);
}

static u64 span_end(const struct reader_span *span)
{
	return span->pfn + span->count;
}

/* Moves @i to the span that ends after @pfn; bounded by the table. NULL: there is none. */
static const struct reader_span *advance(const struct reader_spans *s, u64 *i, u64 pfn)
{
	while (*i < s->count && span_end(&s->span[*i]) <= pfn)
		(*i)++;
	return *i < s->count ? &s->span[*i] : NULL;
}

static bool covers(const struct reader_span *span, u64 pfn)
{
	return span && span->pfn <= pfn;
}

/* Where @span next begins or ends behind @pfn, but @limit at most. */
static u64 border(const struct reader_span *span, u64 pfn, u64 limit)
{
	if (!span)
		return limit;
	return min_u64(covers(span, pfn) ? span_end(span) : span->pfn, limit);
}

/* Does @level leave out a class that has contents otherwise? */
static bool level_excludes(u32 class, u32 level)
{
	return dl_class_has_data(class, 0) && !dl_class_has_data(class, level);
}

/* Of a page of recorded @class without contents in the log. */
static enum reader_fate fate_of_class(const struct reader_map *m, u32 class)
{
	const struct dl_header *h = &m->dump->h;

	if (class == DL_ZERO)
		return READER_ZERO;
	if (!dl_class_has_data(class, h->level_applied) || (h->dropped >> class & 1))
		return READER_EXCLUDED;
	return READER_MISSING;
}

/* @at: the spans that cover the run. */
static enum reader_fate fate_of(const struct reader_map *m,
	const struct reader_span *const at[READER_TABLES], const struct reader_run *run)
{
	if (level_excludes(run->class, m->filter))
		return READER_EXCLUDED;
	if (run->found)
		return run->found == DL_ZERO ? READER_ZERO : READER_EXCLUDED;
	if (at[PAGES])
		return READER_HERE;
	/* Nothing is missing of a class that only a later version knows. */
	if (at[CLASSES])
		return fate_of_class(m, run->class);
	return READER_MISSING;
}

/* The run at it->pfn, from the tables' spans there or ahead; false: not RAM. */
static bool run_here(
	struct reader_iter *it, const struct reader_span *at[READER_TABLES], struct reader_run *run)
{
	bool covered = false;
	u64 end = ~0ull;

	for (u32 i = 0; i < READER_TABLES; i++) {
		end = border(at[i], it->pfn, end);
		if (!covers(at[i], it->pfn))
			at[i] = NULL;
		covered = covered || at[i];
	}
	run->pfn = it->pfn;
	run->count = end - it->pfn;
	run->class = at[CLASSES] ? (u32)min_u64(at[CLASSES]->where, DL_CLASSES) : DL_CLASSES;
	run->found = at[FOUND] ? (u32)at[FOUND]->where : 0;
	run->fate = fate_of(it->m, at, run);
	it->pfn = end;
	return covered && (run->fate == READER_HERE || run->class != DL_NOT_RAM);
}

bool reader_iter_next(struct reader_iter *it, struct reader_run *run)
{
	u64 steps = 2;

	for (u32 i = 0; i < READER_TABLES; i++)
		steps += 2 * table_of(it->m, i)->count;
	for (; steps > 0; steps--) {
		const struct reader_span *at[READER_TABLES];
		bool more = false;

		for (u32 i = 0; i < READER_TABLES; i++) {
			at[i] = advance(table_of(it->m, i), &it->at[i], it->pfn);
			more = more || at[i];
		}
		if (!more)
			return false;
		if (run_here(it, at, run))
			return true;
	}
	return false;
}

void reader_map_count(const struct reader_map *m, struct reader_totals *t)
{
	struct reader_iter it;
	struct reader_run run;

	memset(t, 0, sizeof(*t));
	reader_iter_start(&it, m, 0);
	while (reader_iter_next(&it, &run)) {
		t->ram += run.count;
		t->class[run.class] += run.count;
		t->fate[run.class][run.fate] += run.count;
		if (run.fate == READER_EXCLUDED && run.found == DL_UNREADABLE)
			t->unreadable[run.class] += run.count;
	}
	for (u32 class = 0; class <= DL_CLASSES; class ++) {
		t->here += t->fate[class][READER_HERE];
		t->zero += t->fate[class][READER_ZERO];
		t->excluded += t->fate[class][READER_EXCLUDED];
		t->missing += t->fate[class][READER_MISSING];
	}
}
