/*
 * Page runs: all physical memory from PFN 0 to the end of RAM as ascending runs
 * without gaps or overlaps. Everything after this stage sees runs only.
 */
#ifndef AFTERIMAGE_RUNS_H
#define AFTERIMAGE_RUNS_H

#include "memmap.h"

struct run {
	u64 pfn;
	u64 count; /* never 0 */
	u32 class; /* enum dl_class: NOT_RAM, KEPT, or OVERWRITTEN_* */
};

struct runs {
	const struct memmap *map;
	u32 index;    /* next range to look at */
	u64 next_pfn; /* everything below has been given out */
	u64 end_pfn;  /* one more than the highest PFN of RAM */
};

/* Starts at PFN 0. @map must stay as it is; ranges out of order lose what they overlap. */
void runs_init(struct runs *r, const struct memmap *map);

/* The next run, or false at the end. At most 2 * MEMMAP_MAX + 1 runs. */
bool runs_next(struct runs *r, struct run *out);

/* True if pages of @class carry their contents into the dump (unless they are zero). */
bool runs_class_has_data(u32 class);

/* Pages that will carry contents if none is zero. */
u64 runs_data_pages(const struct memmap *map);

#endif
