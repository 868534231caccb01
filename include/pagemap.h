/*
 * Where the old kernel keeps its struct pages: SPARSEMEM with and without EXTREME and
 * VMEMMAP, FLATMEM, DISCONTIGMEM, decided from vmcoreinfo alone. Pointers of the old
 * kernel are checked against each other; where they contradict, there is no page map.
 */
#ifndef AFTERIMAGE_PAGEMAP_H
#define AFTERIMAGE_PAGEMAP_H

#include "freelists.h"
#include "oldkernel.h"
#include "pageinfo.h"

#define PAGEMAP_MAX_NODES  64
#define PAGEMAP_MAX_TRACTS 128
#define SECTION_PAGES	   32768u /* 128 MiB */

enum pagemap_kind {
	PAGEMAP_SPARSE,	 /* sections hold pointers to their own part of the map */
	PAGEMAP_VMEMMAP, /* one array in virtual memory for all */
	PAGEMAP_FLAT,
	PAGEMAP_DISCONTIG,
};

/* Struct pages at successive virtual addresses. */
struct pagemap_stretch {
	u64 pfn;     /* the one asked for */
	u64 end_pfn; /* the stretch goes on up to here */
	u64 va;	     /* of @pfn's struct page; 0: there is none, or it can not be trusted */
};

/*
 * A part of the page map in pieces of 2 MiB whose physical addresses go up with the virtual
 * ones or, as kernels from 7.x on allocate them, down.
 */
#define PAGEMAP_PIECE (2u * MIB)
struct pagemap_tract {
	u64 va;
	u64 pa; /* lowest */
	u64 bytes;
	bool down;
};

struct pagemap {
	struct physmem *pm;
	struct pagetable pt;
	u64 page_offset; /* of the old kernel's map of all memory; 0 unknown */
	struct page_rules rules;
	u32 kind;    /* enum pagemap_kind */
	u64 end_pfn; /* of what the page map can describe */
	/* sparse */
	u64 sections; /* number of them, present or not */
	u64 section_array_va;
	u32 section_bytes;     /* SIZE(mem_section) */
	u32 sections_per_root; /* 0: the array is not EXTREME */
	u64 section_map_at;    /* OFFSET(mem_section.section_mem_map) */
	u64 base_va;	       /* VMEMMAP, FLAT: struct page of PFN 0 */
	/* discontig; flat is one node */
	u32 nodes;
	struct pagemap_node {
		u64 pfn;
		u64 end_pfn;
		u64 va; /* of @pfn's struct page */
	} node[PAGEMAP_MAX_NODES];
	/* The section's or node's number is in the flags from this bit up; 0: it is not. */
	u32 owner_shift;
	/*
	 * Where the map lies as far as it is mapped by large pages, found by walking it once, to
	 * see that no memory serves two parts of it. Not all of it if there are more tracts than
	 * this.
	 */
	u32 tracts;
	struct pagemap_tract tract[PAGEMAP_MAX_TRACTS];
	u64 present_pages; /* of RAM, that have a struct page */
	struct freelists lists;
};

/*
 * Reads everything that vmcoreinfo and the tables it leads to say, and checks it. Bounded by
 * the size of RAM / 128 MiB. @k is verified; @pm must stay. E_PAGEMAP: keep everything.
 */
enum status pagemap_open(
	struct pagemap *m, struct physmem *pm, const struct oldkernel *k) MUST_CHECK;

/* The stretch that holds @pfn; total: always s->pfn == pfn < s->end_pfn. */
void pagemap_stretch(struct pagemap *m, u64 pfn, struct pagemap_stretch *s);

/*
 * Physical address of the byte of the page map at @va, and how many bytes follow it there, at
 * most up to the end of an aligned 2 MiB. E_PAGETABLE, E_NOT_RAM, E_UNREADABLE, or E_PAGEMAP if
 * the same memory serves another part or was written to since.
 */
enum status pagemap_translate(struct pagemap *m, u64 va, u64 *pa, u64 *bytes) MUST_CHECK;

/* Copies @pfn's struct page to @buf (PAGEINFO_MAX_BYTES). Slow; for single pages. */
enum status pagemap_read(struct pagemap *m, u64 pfn, u8 *buf, u64 *va) MUST_CHECK;

/* Words for the console and for tools: "sparse, vmemmap". */
const char *pagemap_name(const struct pagemap *m);

/*
 * How much of RAM the page map describes believably, in pages, from at most 1024 samples: to
 * choose between kernels.
 */
u64 pagemap_coverage(struct pagemap *m, const struct memmap *map);

#endif
