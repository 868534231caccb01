/*
 * A survey's work on memory: fill, sample, compare, and what the result means for the memory
 * map. Knows no disk and no states.
 */
#include <string.h>
#include "pattern.h"
#include "surveymem.h"

static bool is_free(const struct mem_range *r)
{
	return r->type == MEM_RAM &&
	       (r->touched == TOUCHED_NOBODY || r->touched == TOUCHED_PERHAPS);
}

static u64 range_end(const struct mem_range *r)
{
	return r->pa + r->bytes;
}

u64 surveymem_pages(const struct memmap *map)
{
	u64 pages = 0;

	for (u32 i = 0; i < map->count; i++) {
		if (is_free(&map->range[i]))
			pages += map->range[i].bytes >> PAGE_SHIFT;
	}
	return pages;
}

/* How far from @pa on one window goes. */
static u64 window_end(u64 pa, u64 end)
{
	return min_u64(end, (pa & ~(u64)(PHYS_WINDOW_BYTES - 1)) + PHYS_WINDOW_BYTES);
}

static void tell(const struct surveymem_progress *p, u64 done, u64 total)
{
	if (p && p->tell)
		p->tell(p->ctx, done, total);
}

/* Of [pa, end), inside one window, the pages that took the pattern. */
static u64 fill_window(u64 pa, u64 end, u64 seed)
{
	u64 filled = 0;

	while (pa < end) {
		u64 to = pa;
		void *at;

		while (to < end && !phys_unreadable(to))
			to += PAGE_BYTES;
		at = to > pa ? phys_overwrite(pa, (u32)((to - pa) >> PAGE_SHIFT)) : NULL;
		if (at) {
			pattern_fill(at, pa >> PAGE_SHIFT, (to - pa) >> PAGE_SHIFT, seed);
			filled += (to - pa) >> PAGE_SHIFT;
		}
		pa = to + PAGE_BYTES; /* behind the one that is unreadable */
	}
	return filled;
}

u64 surveymem_fill(const struct memmap *map, u64 seed, const struct surveymem_progress *p)
{
	u64 total = surveymem_pages(map);
	u64 filled = 0;
	u64 done = 0;

	for (u32 i = 0; i < map->count; i++) {
		u64 pa = map->range[i].pa;
		u64 end = is_free(&map->range[i]) ? range_end(&map->range[i]) : pa;

		while (pa < end) {
			u64 to = window_end(pa, end);

			filled += fill_window(pa, to, seed);
			done += (to - pa) >> PAGE_SHIFT;
			tell(p, done, total);
			pa = to;
		}
	}
	memory_flush();
	return filled;
}

/* The @n-th page of those that nobody has; there are more than @n. */
static u64 nth_page(const struct memmap *map, u64 n)
{
	for (u32 i = 0; i < map->count; i++) {
		u64 pages = map->range[i].bytes >> PAGE_SHIFT;

		if (!is_free(&map->range[i]))
			continue;
		if (n < pages)
			return map->range[i].pa + (n << PAGE_SHIFT);
		n -= pages;
	}
	return 0;
}

/* @filler: the first word but zero that was all over a page; 0: none yet. */
static void sample_page(
	struct physmem *pm, u64 pa, u64 seed, u64 *filler, struct surveymem_sample *s)
{
	const void *page = physmem_page(pm, pa);
	u64 word;

	s->looked++;
	if (!page)
		return;
	if (pattern_holds(page, pa >> PAGE_SHIFT, seed))
		s->held++;
	if (!pattern_uniform(page, &word))
		return;
	if (*filler == 0)
		*filler = word;
	if (word == 0 || word == *filler)
		s->wiped++;
}

/*
 * Somewhere in each of the intervals that memory is divided into: what lies in it comes in powers
 * of two, and the same place of each would not be typical.
 */
void surveymem_sample(struct physmem *pm, u64 seed, struct surveymem_sample *sample)
{
	u64 total = surveymem_pages(pm->map);
	u64 step = total / SURVEYMEM_SAMPLES + 1;
	u64 filler = 0;

	memset(sample, 0, sizeof(*sample));
	for (u64 n = 0; n < total; n += step) {
		u64 at = n + ((n + 1) * 0x9e3779b97f4a7c15ull >> 32) % step;

		if (at < total)
			sample_page(pm, nth_page(pm->map, at), seed, &filler, sample);
	}
}

/* [pa, end) lies inside one window. */
static void compare_window(struct physmem *pm, u64 pa, u64 end, u64 seed, struct lostmap *lost)
{
	u64 from = pa; /* of the pages that changed */

	for (; pa < end; pa += PAGE_BYTES) {
		const void *page = physmem_page(pm, pa);

		if (!page || !pattern_holds(page, pa >> PAGE_SHIFT, seed))
			continue;
		if (pa > from)
			lostmap_add(lost, from, pa - from, DL_LOST_CHANGED);
		from = pa + PAGE_BYTES;
	}
	if (end > from)
		lostmap_add(lost, from, end - from, DL_LOST_CHANGED);
}

static u32 lost_why(u32 touched)
{
	switch (touched) {
	case TOUCHED_LOADER:
		return DL_LOST_LOADER;
	case TOUCHED_OURS:
		return DL_LOST_OURS;
	default:
		return DL_LOST_FIRMWARE;
	}
}

u64 surveymem_compare(
	struct physmem *pm, u64 seed, struct lostmap *lost, const struct surveymem_progress *p)
{
	u64 total = surveymem_pages(pm->map);
	u64 done = 0;

	for (u32 i = 0; i < pm->map->count; i++) {
		const struct mem_range *r = &pm->map->range[i];
		u64 pa = r->pa;

		if (r->type == MEM_RAM && !is_free(r))
			lostmap_add(lost, r->pa, r->bytes, lost_why(r->touched));
		while (is_free(r) && pa < range_end(r)) {
			u64 to = window_end(pa, range_end(r));

			compare_window(pm, pa, to, seed, lost);
			done += (to - pa) >> PAGE_SHIFT;
			tell(p, done, total);
			pa = to;
		}
	}
	return done;
}

/* The first part of [*from, *to) that nobody has; false if there is none. */
static bool first_free(const struct memmap *map, u64 *from, u64 *to)
{
	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (!is_free(r) || range_end(r) <= *from || r->pa >= *to)
			continue;
		*from = max_u64(*from, r->pa);
		*to = min_u64(*to, range_end(r));
		return true;
	}
	return false;
}

/* At most as often as there are ranges in the map: each round gets behind one of them. */
static void touch_free(struct memmap *map, u64 pa, u64 end)
{
	u64 from = pa;
	u64 to = end;

	while (first_free(map, &from, &to)) {
		memmap_touch(map, from, to - from, TOUCHED_SURVEY);
		from = to;
		to = end;
	}
}

/* What somebody has for certain says nothing new. */
static void drop_known(const struct memmap *map, struct lostmap *lost)
{
	u32 kept = 0;

	for (u32 i = 0; i < lost->count; i++) {
		u64 from = lost->range[i].pa;
		u64 to = from + lost->range[i].bytes;

		if (first_free(map, &from, &to))
			lost->range[kept++] = lost->range[i];
	}
	lost->count = kept;
}

/* Each range cuts the map at its two ends and nowhere else. */
bool surveymem_apply(struct memmap *map, struct lostmap *lost)
{
	u32 room = (MEMMAP_MAX - map->count) / 2;

	drop_known(map, lost);
	if (lost->count == 0)
		return true;
	if (room == 0)
		return false;
	lostmap_shrink(lost, room);
	for (u32 i = 0; i < lost->count; i++)
		touch_free(map, lost->range[i].pa, lost->range[i].pa + lost->range[i].bytes);
	return true;
}

bool surveymem_wiped(const struct surveymem_sample *sample)
{
	return sample->looked > 0 && sample->wiped >= sample->looked - sample->looked / 16;
}
