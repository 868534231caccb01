/*
 * Classes for all pages in order: streams the page map in blocks, asks for a verdict
 * on each struct page, and believes a verdict on a whole block only after having looked
 * at every member.
 */
#ifndef AFTERIMAGE_PAGESCAN_H
#define AFTERIMAGE_PAGESCAN_H

#include "pagemap.h"
#include "runs.h"

/* Longest run, so that the caller gets to other work every few milliseconds. */
#define PAGESCAN_RUN_PAGES (1u << 18)

struct pagescan {
	struct pagemap *map;
	u8 *copy; /* a page's bytes, where @map's memory has no views; else NULL */
	/* the stretch and the piece of the page map last used */
	struct pagemap_stretch stretch;
	u64 piece_va;
	u64 piece_pa;
	u64 piece_bytes; /* 0: none */
	u64 sane_va;	 /* page of the page map that was found believable; ~0: none */
	/* what was looked at last: one page, a block, or pages without a struct page */
	u64 known_pfn;
	u64 known_end_pfn;
	u32 known_class;
	u32 known_order;
	bool known_poisoned;		  /* some of its pages are HWPOISON */
	u8 joint[2 * PAGEINFO_MAX_BYTES]; /* struct pages that lie across a boundary */
};

void pagescan_init(struct pagescan *s, struct pagemap *map);

/*
 * The run that begins at @pfn and ends at @end_pfn (> @pfn) at the latest: all of one class.
 * Always at least one page; where the page map is of no use, METADATA_LOST. No view of old
 * memory is held from call to call. What is said of a page does not depend on where the calls
 * begin; those that go on where the last one ended are fast.
 */
void pagescan_run(struct pagescan *s, u64 pfn, u64 end_pfn, struct run *out);

/* The verdict on one page and all that led to it: for getdump why. Slow. */
struct page_report {
	u32 class;
	u32 order;     /* of the block it belongs to */
	u64 head_pfn;  /* first page of that block */
	u64 struct_va; /* 0: no struct page */
	struct page_facts facts;
};

/* Also where old memory is read by a function; then of all here only this can be used. */
void pagescan_report(struct pagescan *s, u64 pfn, struct page_report *r);

#endif
