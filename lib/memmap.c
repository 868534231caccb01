/*
 * The sorted list of memory ranges. What does not fit is left out and counted: the
 * smallest RAM goes first, and reserved memory is only ever widened, so that a full
 * table makes a smaller dump but never makes anything RAM that is not.
 */
#include <string.h>
#include "memmap.h"

#define PAGE_MASK      ((u64)PAGE_BYTES - 1)
#define MEMMAP_END_PA  (1ull << 52) /* x86-64 has no physical address from here on */
#define MAX_OPERATIONS (4 * MEMMAP_MAX + 4)

static u64 range_end(const struct mem_range *r)
{
	return r->pa + r->bytes;
}

/* Index of the first range that ends after @pa; count if there is none. */
static u32 first_after(const struct memmap *map, u64 pa)
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

static void remove_ranges(struct memmap *map, u32 from, u32 n)
{
	memmove(&map->range[from], &map->range[from + n],
		(map->count - from - n) * sizeof(map->range[0]));
	map->count -= n;
}

static void insert_range(struct memmap *map, u32 at, const struct mem_range *r)
{
	memmove(&map->range[at + 1], &map->range[at], (map->count - at) * sizeof(map->range[0]));
	map->range[at] = *r;
	map->count++;
}

static bool alike(const struct mem_range *a, const struct mem_range *b)
{
	return range_end(a) == b->pa && a->type == b->type && a->touched == b->touched;
}

static void merge_neighbours(struct memmap *map)
{
	u32 to = 0;

	for (u32 i = 1; i < map->count; i++) {
		if (alike(&map->range[to], &map->range[i]))
			map->range[to].bytes += map->range[i].bytes;
		else
			map->range[++to] = map->range[i];
	}
	if (map->count > 0)
		map->count = to + 1;
}

/* Index of the smallest RAM range; count if there is no RAM. */
static u32 smallest_ram(const struct memmap *map)
{
	u32 best = map->count;

	for (u32 i = 0; i < map->count; i++) {
		if (map->range[i].type != MEM_RAM)
			continue;
		if (best == map->count || map->range[i].bytes < map->range[best].bytes)
			best = i;
	}
	return best;
}

/* Makes one reserved range of the two that lie closest; there is no RAM between them. */
static void join_closest(struct memmap *map)
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
	remove_ranges(map, best + 1, 1);
}

/* For @n more ranges, at most two. A joined range may then have both ends of the new one in it. */
static void make_room(struct memmap *map, u32 n)
{
	for (u32 i = 0; i < 2 && map->count + n > MEMMAP_MAX; i++) {
		u32 victim = smallest_ram(map);

		if (victim < map->count) {
			remove_ranges(map, victim, 1);
		} else {
			join_closest(map);
			n = 2;
		}
		map->dropped++;
	}
}

/* Splits the range that has @pa inside, if any; there must be room for one more. */
static void cut_at(struct memmap *map, u64 pa)
{
	u32 i = first_after(map, pa);
	struct mem_range right;

	if (i == map->count || map->range[i].pa >= pa)
		return;
	right = map->range[i];
	right.bytes = range_end(&right) - pa;
	right.pa = pa;
	map->range[i].bytes -= right.bytes;
	insert_range(map, i + 1, &right);
}

/* Ranges that cutting at @pa and @end adds. */
static u32 cuts_needed(const struct memmap *map, u64 pa, u64 end)
{
	u32 i = first_after(map, pa);
	u32 n = i < map->count && map->range[i].pa < pa;

	i = first_after(map, end);
	return n + (i < map->count && map->range[i].pa < end);
}

static void add_reserved(struct memmap *map, u64 pa, u64 end)
{
	struct mem_range r = {.pa = pa, .bytes = end - pa, .type = MEM_RESERVED};
	u32 cuts = cuts_needed(map, pa, end);
	u32 from;

	make_room(map, cuts > 1 ? cuts : 1);
	cut_at(map, pa);
	cut_at(map, end);
	from = first_after(map, pa);
	remove_ranges(map, from, first_after(map, end) - from);
	insert_range(map, from, &r);
	merge_neighbours(map);
}

/*
 * Fills the gaps of [pa, end); what is there already stays as it is. Making room changes
 * the table, so the gap is looked up again after it.
 */
static void add_ram(struct memmap *map, u64 pa, u64 end)
{
	for (u32 n = 0; pa < end && n < MAX_OPERATIONS; n++) {
		u32 i = first_after(map, pa);
		struct mem_range r = {.pa = pa, .bytes = end - pa, .type = MEM_RAM};

		if (i < map->count && map->range[i].pa <= pa) {
			pa = range_end(&map->range[i]);
			continue;
		}
		if (map->count == MEMMAP_MAX) {
			make_room(map, 1);
			continue;
		}
		if (i < map->count)
			r.bytes = min_u64(r.bytes, map->range[i].pa - pa);
		insert_range(map, i, &r);
		pa = range_end(&r);
		merge_neighbours(map);
	}
}

void memmap_add(struct memmap *map, u64 pa, u64 bytes, enum mem_type type)
{
	u64 end = pa + bytes;

	if (bytes == 0 || end < pa || pa >= MEMMAP_END_PA)
		return;
	end = min_u64(end, MEMMAP_END_PA);
	if (type == MEM_RAM) {
		pa = round_up_u64(pa, PAGE_BYTES);
		end &= ~PAGE_MASK;
		if (pa < end)
			add_ram(map, pa, end);
	} else {
		add_reserved(map, pa & ~PAGE_MASK, round_up_u64(end, PAGE_BYTES));
	}
}

void memmap_touch(struct memmap *map, u64 pa, u64 bytes, enum mem_touched who)
{
	u64 end = pa + bytes;

	if (bytes == 0 || end < pa || pa >= MEMMAP_END_PA)
		return;
	end = round_up_u64(min_u64(end, MEMMAP_END_PA), PAGE_BYTES);
	pa &= ~PAGE_MASK;
	make_room(map, cuts_needed(map, pa, end));
	cut_at(map, pa);
	cut_at(map, end);
	for (u32 i = first_after(map, pa); i < map->count && map->range[i].pa < end; i++) {
		if (map->range[i].type == MEM_RAM)
			map->range[i].touched = who;
	}
	merge_neighbours(map);
}

void memmap_settle(struct memmap *map, enum mem_touched who)
{
	for (u32 i = 0; i < map->count; i++) {
		if (map->range[i].touched == TOUCHED_PERHAPS)
			map->range[i].touched = who;
	}
	merge_neighbours(map);
}

const struct mem_range *memmap_find(const struct memmap *map, u64 pa)
{
	u32 i = first_after(map, pa);

	if (i == map->count || map->range[i].pa > pa)
		return NULL;
	return &map->range[i];
}

bool memmap_has(const struct memmap *map, u64 pa, u64 bytes, enum mem_type type)
{
	for (u32 i = first_after(map, pa); i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (r->pa >= pa + bytes)
			return false;
		if (r->type == type)
			return true;
	}
	return false;
}

u64 memmap_ram_pages(const struct memmap *map)
{
	u64 pages = 0;

	for (u32 i = 0; i < map->count; i++) {
		if (map->range[i].type == MEM_RAM)
			pages += map->range[i].bytes >> PAGE_SHIFT;
	}
	return pages;
}

u64 memmap_end_pfn(const struct memmap *map)
{
	for (u32 i = map->count; i > 0; i--) {
		if (map->range[i - 1].type == MEM_RAM)
			return range_end(&map->range[i - 1]) >> PAGE_SHIFT;
	}
	return 0;
}
