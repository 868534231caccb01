/*
 * Walks the memory map and yields page runs. RAM that somebody has written to since has its
 * class from the memory map alone; what the rest held is asked of the page map. Does not
 * look at any page: that is for the stages behind it.
 */
#include "dumplog.h"
#include "pagescan.h"
#include "runs.h"

static bool is_ram(const struct mem_range *range)
{
	return range->type == MEM_RAM;
}

static u64 range_end_pfn(const struct mem_range *range)
{
	return (range->pa + range->bytes) >> PAGE_SHIFT;
}

u32 runs_range_class(const struct mem_range *range)
{
	switch (range->touched) {
	case TOUCHED_NOBODY:
		return DL_KEPT;
	case TOUCHED_PERHAPS:
	case TOUCHED_LOADER:
		return DL_OVERWRITTEN_LOADER;
	case TOUCHED_OURS:
		return DL_OVERWRITTEN_OURS;
	case TOUCHED_FIRMWARE:
	case TOUCHED_SURVEY:
	default:
		return DL_OVERWRITTEN_FIRMWARE;
	}
}

void runs_init(struct runs *r, const struct memmap *map, struct pagescan *scan)
{
	r->map = map;
	r->scan = scan;
	r->index = 0;
	r->next_pfn = 0;
	r->end_pfn = 0;
	for (u32 i = 0; i < map->count && i < MEMMAP_MAX; i++) {
		if (is_ram(&map->range[i]))
			r->end_pfn = max_u64(r->end_pfn, range_end_pfn(&map->range[i]));
	}
}

/* First RAM range with a page that was not given out yet, or NULL. */
static const struct mem_range *next_ram(struct runs *r)
{
	for (; r->index < r->map->count && r->index < MEMMAP_MAX; r->index++) {
		const struct mem_range *range = &r->map->range[r->index];

		if (is_ram(range) && range_end_pfn(range) > r->next_pfn)
			return range;
	}
	return NULL;
}

/* Of @range up to @end_pfn, from the next page on. */
static void ram_run(struct runs *r, const struct mem_range *range, u64 end_pfn, struct run *out)
{
	out->class = runs_range_class(range);
	if (r->scan && out->class == DL_KEPT)
		pagescan_run(r->scan, r->next_pfn, end_pfn, out);
	else
		out->count = end_pfn - r->next_pfn;
}

bool runs_next(struct runs *r, struct run *out)
{
	const struct mem_range *range = next_ram(r);
	u64 start;

	if (!range)
		return false;
	start = range->pa >> PAGE_SHIFT;
	out->pfn = r->next_pfn;
	if (start > r->next_pfn) {
		out->count = start - r->next_pfn;
		out->class = DL_NOT_RAM;
	} else {
		ram_run(r, range, range_end_pfn(range), out);
	}
	r->next_pfn += out->count;
	return true;
}
