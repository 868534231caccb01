/*
 * Tables of page spans: grown, sorted, made free of overlaps, searched. Knows
 * nothing of chunks.
 */
#include <string.h>
#include "reader.h"

#define FIRST_ROOM 256

enum status reader_spans_add(
	struct reader *r, struct reader_spans *s, const struct reader_span *span)
{
	struct reader_span *grown;
	u64 room;

	if (s->count == s->room) {
		room = max_u64(FIRST_ROOM, s->room * 2);
		grown = r->ops->resize(r->ctx, s->span, room * sizeof(*span));
		if (!grown)
			return E_NO_MEMORY;
		s->span = grown;
		s->room = room;
	}
	s->span[s->count++] = *span;
	return OK;
}

static bool before(const struct reader_span *a, const struct reader_span *b)
{
	return a->pfn < b->pfn || (a->pfn == b->pfn && a->where < b->where);
}

static void swap(struct reader_span *a, struct reader_span *b)
{
	struct reader_span t = *a;

	*a = *b;
	*b = t;
}

/* Restores the heap below @root in the first @count spans; at most log2(count) steps. */
static void sift(struct reader_span *a, u64 root, u64 count)
{
	for (u64 child = 2 * root + 1; child < count; child = 2 * root + 1) {
		if (child + 1 < count && before(&a[child], &a[child + 1]))
			child++;
		if (!before(&a[root], &a[child]))
			return;
		swap(&a[root], &a[child]);
		root = child;
	}
}

/* Heap sort: no recursion, no memory, no bad case. */
static void sort(struct reader_spans *s)
{
	bool sorted = true;

	for (u64 i = 1; i < s->count && sorted; i++)
		sorted = !before(&s->span[i], &s->span[i - 1]);
	if (sorted)
		return;
	for (u64 i = s->count / 2; i > 0; i--)
		sift(s->span, i - 1, s->count);
	for (u64 last = s->count - 1; last > 0; last--) {
		swap(&s->span[0], &s->span[last]);
		sift(s->span, 0, last);
	}
}

void reader_spans_settle(struct reader_spans *s)
{
	u64 kept = 0;
	u64 covered = 0;

	sort(s);
	for (u64 i = 0; i < s->count; i++) {
		struct reader_span span = s->span[i];
		u64 cut = span.pfn < covered ? covered - span.pfn : 0;

		if (cut >= span.count)
			continue;
		span.where += s->placed ? cut : 0;
		span.pfn += cut;
		span.count -= cut;
		covered = span.pfn + span.count;
		s->span[kept++] = span;
	}
	s->count = kept;
}

u64 reader_spans_find(const struct reader_spans *s, u64 pfn)
{
	u64 low = 0;
	u64 high = s->count;

	while (low < high) {
		u64 middle = low + (high - low) / 2;

		if (s->span[middle].pfn + s->span[middle].count > pfn)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct reader_span *reader_spans_at(const struct reader_spans *s, u64 pfn)
{
	u64 i = reader_spans_find(s, pfn);

	return i < s->count && s->span[i].pfn <= pfn ? &s->span[i] : NULL;
}
