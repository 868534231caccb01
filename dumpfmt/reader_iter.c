/*
 * What became of each page of RAM: contents in the log first, then the recorded
 * class, then the firmware's memory map.
 */
#include <string.h>
#include "reader.h"

void reader_iter_start(struct reader_iter *it, const struct reader_map *m, u64 pfn)
{
	it->m = m;
	it->pfn = pfn;
	it->page = reader_spans_find(&m->pages, pfn);
	it->class = reader_spans_find(&m->classes, pfn);
	it->ram = reader_spans_find(&m->ram, pfn);
}

static const struct reader_span *span_at(const struct reader_spans *s, u64 i)
{
	return i < s->count ? &s->span[i] : NULL;
}

static u64 span_end(const struct reader_span *span)
{
	return span->pfn + span->count;
}

/* Moves @i to the span that ends after @pfn; bounded by the table. */
static const struct reader_span *advance(const struct reader_spans *s, u64 *i, u64 pfn)
{
	while (*i < s->count && span_end(&s->span[*i]) <= pfn)
		(*i)++;
	return span_at(s, *i);
}

/* Does a page of @class without contents lack them for a reason, at this dump's level? */
static enum reader_fate fate_of_class(const struct reader_map *m, u64 class)
{
	u32 level = m->dump->h.level_applied;

	if (class == DL_ZERO)
		return READER_ZERO;
	return dl_class_has_data((u32) class, level) ? READER_MISSING : READER_EXCLUDED;
}

static bool covers(const struct reader_span *span, u64 pfn)
{
	return span && span->pfn <= pfn;
}

/* Start of @span if it lies ahead of @pfn, else @limit. */
static u64 ahead(const struct reader_span *span, u64 pfn, u64 limit)
{
	return span && span->pfn > pfn ? min_u64(span->pfn, limit) : limit;
}

/* The run at it->pfn, from the three tables' spans there or ahead; false: not RAM. */
static bool run_here(
	struct reader_iter *it, const struct reader_span *const at[3], struct reader_run *run)
{
	u64 end = ~0ull;

	run->pfn = it->pfn;
	run->class = covers(at[1], it->pfn) ? (u32)min_u64(at[1]->where, DL_CLASSES) : DL_CLASSES;
	if (covers(at[0], it->pfn)) {
		run->fate = READER_HERE;
		end = span_end(at[0]);
	} else if (covers(at[1], it->pfn)) {
		run->fate = fate_of_class(it->m, at[1]->where);
		end = ahead(at[0], it->pfn, span_end(at[1]));
	} else if (covers(at[2], it->pfn)) {
		run->fate = READER_MISSING;
		end = ahead(at[0], it->pfn, ahead(at[1], it->pfn, span_end(at[2])));
	} else {
		for (u32 i = 0; i < 3; i++)
			end = ahead(at[i], it->pfn, end);
		it->pfn = end;
		return false;
	}
	run->count = end - it->pfn;
	it->pfn = end;
	return run->fate == READER_HERE || run->class != DL_NOT_RAM;
}

bool reader_iter_next(struct reader_iter *it, struct reader_run *run)
{
	const struct reader_map *m = it->m;
	u64 steps = 2 * (m->pages.count + m->classes.count + m->ram.count) + 2;

	for (; steps > 0; steps--) {
		const struct reader_span *const at[3] = {
			advance(&m->pages, &it->page, it->pfn),
			advance(&m->classes, &it->class, it->pfn),
			advance(&m->ram, &it->ram, it->pfn),
		};

		if (!at[0] && !at[1] && !at[2])
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
		t->here += run.fate == READER_HERE ? run.count : 0;
		t->zero += run.fate == READER_ZERO ? run.count : 0;
		t->excluded += run.fate == READER_EXCLUDED ? run.count : 0;
		t->missing += run.fate == READER_MISSING ? run.count : 0;
	}
	t->class[DL_CLASSES] = t->ram;
	for (u64 i = 0; i < m->classes.count; i++) {
		const struct reader_span *s = &m->classes.span[i];

		if (s->where >= DL_CLASSES)
			continue;
		t->class[s->where] += s->count;
		if (s->where != DL_NOT_RAM)
			t->class[DL_CLASSES] -= s->count;
	}
}
