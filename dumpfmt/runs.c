/*
 * Walks the memory map and yields page runs with the class that the map alone can
 * tell. Does not look at any page: that is for the stages behind it.
 */
#include "dumplog.h"
#include "runs.h"

static bool is_ram(const struct mem_range *range)
{
	return range->type == MEM_RAM;
}

static u64 range_end_pfn(const struct mem_range *range)
{
	return (range->pa + range->bytes) >> PAGE_SHIFT;
}

static u32 range_class(const struct mem_range *range)
{
	switch (range->touched) {
	case TOUCHED_NOBODY:
		return DL_KEPT;
	case TOUCHED_LOADER:
		return DL_OVERWRITTEN_LOADER;
	case TOUCHED_OURS:
		return DL_OVERWRITTEN_OURS;
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

bool runs_next(struct runs *r, struct run *out)
{
	const struct mem_range *range = next_ram(r);
	u64 start, end;

	if (!range)
		return false;
	start = range->pa >> PAGE_SHIFT;
	end = range_end_pfn(range);
	out->pfn = r->next_pfn;
	if (start > r->next_pfn) {
		out->count = start - r->next_pfn;
		out->class = DL_NOT_RAM;
	} else {
		out->count = end - r->next_pfn;
		out->class = range_class(range);
		r->index++;
	}
	r->next_pfn += out->count;
	return true;
}
