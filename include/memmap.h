/*
 * The machine's physical memory as sorted ranges: what is RAM, and who has
 * written to it since the old kernel stopped. Every front door builds one.
 */
#ifndef AFTERIMAGE_MEMMAP_H
#define AFTERIMAGE_MEMMAP_H

#include "status.h"
#include "types.h"

enum mem_type {
	MEM_RAM = 1,	  /* usable by the old kernel */
	MEM_RESERVED = 2, /* firmware's, devices', ACPI's: never mapped, never read */
};

enum mem_touched {
	TOUCHED_NOBODY = 0,
	TOUCHED_FIRMWARE = 1,
	TOUCHED_LOADER = 2,
	TOUCHED_OURS = 3, /* the image and its arena: old contents are gone */
	TOUCHED_SURVEY =
		4, /* firmware's between reset and boot: a survey of this machine says so */
	/*
	 * A loader had it and need not have written to it. Only a front door says so; the core
	 * settles it before anything is read: as the survey says, else as TOUCHED_LOADER.
	 */
	TOUCHED_PERHAPS = 5,
};

struct mem_range {
	u64 pa;	     /* bytes, page aligned */
	u64 bytes;   /* page aligned, never 0 */
	u32 type;    /* enum mem_type */
	u32 touched; /* enum mem_touched, for RAM */
};

#define MEMMAP_MAX 512

struct memmap {
	u32 count;
	u32 dropped; /* ranges that did not fit; their memory is not dumped */
	struct mem_range range[MEMMAP_MAX]; /* ascending, not overlapping, adjacent alikes merged */
};

/*
 * Adds [pa, pa+bytes), in any order, overlaps allowed: RAM is cut inwards to whole
 * pages, everything else outwards; where types overlap RESERVED wins, where
 * provenances overlap the later call wins. A range that wraps or is empty is ignored.
 */
void memmap_add(struct memmap *map, u64 pa, u64 bytes, enum mem_type type);

/* Marks the RAM inside [pa, pa+bytes), widened to whole pages, as written to by @who. */
void memmap_touch(struct memmap *map, u64 pa, u64 bytes, enum mem_touched who);

/* All RAM that is TOUCHED_PERHAPS becomes @who's. */
void memmap_settle(struct memmap *map, enum mem_touched who);

/* The range that holds @pa, or NULL. */
const struct mem_range *memmap_find(const struct memmap *map, u64 pa);

/* Is any of [pa, pa+bytes), which does not wrap, of @type? */
bool memmap_has(const struct memmap *map, u64 pa, u64 bytes, enum mem_type type);

/* Pages of RAM, and one more than the highest PFN of RAM (0 if there is none). */
u64 memmap_ram_pages(const struct memmap *map);
u64 memmap_end_pfn(const struct memmap *map);

#endif
