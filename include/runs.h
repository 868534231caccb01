/*
 * Page runs: all physical memory from PFN 0 to the end of RAM as ascending runs
 * without gaps or overlaps, each with its class: what the memory map says of it
 * where that is not plain RAM, else what the old kernel's page map says. Everything
 * after this stage sees runs only.
 */
#ifndef AFTERIMAGE_RUNS_H
#define AFTERIMAGE_RUNS_H

#include "memmap.h"

struct pagescan;

struct run {
	u64 pfn;
	u64 count; /* never 0 */
	u32 class; /* enum dl_class; never ZERO or UNREADABLE: contents are not looked at */
};

struct runs {
	const struct memmap *map;
	struct pagescan *scan;
	u32 index;    /* next range to look at */
	u64 next_pfn; /* everything below has been given out */
	u64 end_pfn;  /* one more than the highest PFN of RAM */
};

/*
 * Starts at PFN 0. @map must stay as it is; ranges out of order lose what they overlap.
 * @scan NULL: without a page map all plain RAM is kept. It must stay, too.
 */
void runs_init(struct runs *r, const struct memmap *map, struct pagescan *scan);

/* What a page of RAM in @range has without any page map: KEPT, or who overwrote it. */
u32 runs_range_class(const struct mem_range *range);

/* The next run, or false at the end. Neighbours may be of one class. */
bool runs_next(struct runs *r, struct run *out);

#endif
