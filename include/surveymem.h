/*
 * What a survey does to memory and finds in it: only RAM that nobody has written to since the
 * reset, by the memory map, is filled, looked at or compared.
 */
#ifndef AFTERIMAGE_SURVEYMEM_H
#define AFTERIMAGE_SURVEYMEM_H

#include "lostmap.h"
#include "physmem.h"

#define SURVEYMEM_SAMPLES 4096u

/* Told after at most 2 MiB of memory each. May be NULL. */
struct surveymem_progress {
	void (*tell)(void *ctx, u64 done_pages, u64 total_pages);
	void *ctx;
};

/* Pages that nobody has. */
u64 surveymem_pages(const struct memmap *map);

/*
 * Overwrites all of them with the pattern of @seed and makes that reach memory. Returns how
 * many took it: those with a memory error do not. Views of a struct physmem are void thereafter.
 */
u64 surveymem_fill(const struct memmap *map, u64 seed, const struct surveymem_progress *p);

/* Evenly spread over them. */
struct surveymem_sample {
	u32 looked;
	u32 held;  /* that have the pattern of the seed */
	u32 wiped; /* that are zero, or have one word all over, the same in each of them */
};

void surveymem_sample(struct physmem *pm, u64 seed, struct surveymem_sample *sample);

/* Does nearly all of memory look wiped? */
bool surveymem_wiped(const struct surveymem_sample *sample);

/*
 * Adds to @lost what did not keep the pattern of @seed and all RAM that somebody has, with why.
 * Returns the number of pages that were compared.
 */
u64 surveymem_compare(
	struct physmem *pm, u64 seed, struct lostmap *lost, const struct surveymem_progress *p);

/*
 * Marks those parts of @lost that nobody has as TOUCHED_SURVEY. @lost is shortened to them, and
 * further by joining neighbours, so far that @map drops no memory. False if @map has no room for
 * a single mark.
 */
bool surveymem_apply(struct memmap *map, struct lostmap *lost) MUST_CHECK;

#endif
