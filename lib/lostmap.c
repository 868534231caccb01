/*
 * The list of lost ranges: sorted, cut where reasons differ, joined where room is short. Does
 * not know what is RAM, nor who said that a range is lost.
 */
#include <string.h>
#include "lostmap.h"

static u64 range_end(const struct dl_survey_range *r)
{
	return r->pa + r->bytes;
}

static void remove_at(struct lostmap *map, u32 at)
{
	map->count--;
	memmove(&map->range[at], &map->range[at + 1], (map->count - at) * sizeof(map->range[0]));
}

static void insert_at(struct lostmap *map, u32 at, u64 pa, u64 end, u32 why)
{
	memmove(&map->range[at + 1], &map->range[at], (map->count - at) * sizeof(map->range[0]));
	map->range[at] = (struct dl_survey_range) {.pa = pa, .bytes = end - pa, .why = why};
	map->count++;
}

/* The two with the least between them become one. There are two. */
static void join_closest(struct lostmap *map)
{
	u64 best_gap = UINT64_MAX;
	u32 best = 0;

	for (u32 i = 0; i + 1 < map->count; i++) {
		u64 gap = map->range[i + 1].pa - range_end(&map->range[i]);

		if (gap < best_gap) {
			best_gap = gap;
			best = i;
		}
	}
	map->range[best].bytes = range_end(&map->range[best + 1]) - map->range[best].pa;
	map->range[best].why |= map->range[best + 1].why;
	remove_at(map, best + 1);
	map->joined++;
}

/* Touching ranges with the same reasons are one. */
static void merge_alike(struct lostmap *map)
{
	u32 to = 0;

	for (u32 i = 1; i < map->count; i++) {
		struct dl_survey_range *last = &map->range[to];

		if (range_end(last) == map->range[i].pa && last->why == map->range[i].why)
			last->bytes += map->range[i].bytes;
		else
			map->range[++to] = map->range[i];
	}
	if (map->count > 0)
		map->count = to + 1;
}

/* Index of the first range that ends after @pa; count if there is none. */
static u32 first_after(const struct lostmap *map, u64 pa)
{
	u32 low = 0;
	u32 high = map->count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (range_end(&map->range[mid]) > pa)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* [pa, end) lies between ranges @i - 1 and @i; it needs no room if it continues one of them. */
static bool add_between(struct lostmap *map, u32 i, u64 pa, u64 end, u32 why)
{
	struct dl_survey_range *left = &map->range[i] - (i > 0);
	struct dl_survey_range *right = &map->range[i];

	if (i > 0 && range_end(left) == pa && left->why == why) {
		left->bytes += end - pa;
	} else if (i < map->count && right->pa == end && right->why == why) {
		right->bytes += end - pa;
		right->pa = pa;
	} else if (map->count < map->max) {
		insert_at(map, i, pa, end, why);
	} else {
		return false;
	}
	return true;
}

/* [pa, end) lies inside range @i and gets @why in addition: up to three ranges from one. */
static bool add_inside(struct lostmap *map, u32 i, u64 pa, u64 end, u32 why)
{
	struct dl_survey_range old = map->range[i];
	u32 need = (u32)(pa > old.pa) + (u32)(end < range_end(&old));

	if ((old.why | why) == old.why)
		return true;
	if (map->count + need > map->max)
		return false;
	map->range[i] =
		(struct dl_survey_range) {.pa = pa, .bytes = end - pa, .why = old.why | why};
	if (end < range_end(&old))
		insert_at(map, i + 1, end, range_end(&old), old.why);
	if (pa > old.pa)
		insert_at(map, i, old.pa, pa, old.why);
	return true;
}

/*
 * Piece by piece: between ranges, then inside one, and so on. Whenever a piece finds no room two
 * ranges are joined and it is tried again, so that each round adds one or makes room for one.
 */
void lostmap_add(struct lostmap *map, u64 pa, u64 bytes, u32 why)
{
	u64 end = pa + bytes;

	while (pa < end) {
		u32 i = first_after(map, pa);
		u64 to = end;
		bool added;

		if (i < map->count && map->range[i].pa <= pa) {
			to = min_u64(end, range_end(&map->range[i]));
			added = add_inside(map, i, pa, to, why);
		} else {
			if (i < map->count)
				to = min_u64(end, map->range[i].pa);
			added = add_between(map, i, pa, to, why);
		}
		if (added)
			pa = to;
		else
			join_closest(map);
	}
	merge_alike(map);
}

void lostmap_shrink(struct lostmap *map, u32 max)
{
	while (map->count > max)
		join_closest(map);
}

u64 lostmap_pages(const struct lostmap *map)
{
	u64 bytes = 0;

	for (u32 i = 0; i < map->count; i++)
		bytes += map->range[i].bytes;
	return bytes >> PAGE_SHIFT;
}
