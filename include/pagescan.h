/*
 * Classes for all pages in order: streams the page map in blocks, asks for a verdict
 * on each struct page, and believes a verdict on a whole block only after having looked
 * at every member.
 */
#ifndef AFTERIMAGE_PAGESCAN_H
#define AFTERIMAGE_PAGESCAN_H

#include "pagemap.h"
#include "runs.h"

struct pagescan {
	struct pagemap *map;
	/* the stretch and the piece of the page map last used */
	struct pagemap_stretch stretch;
	u64 piece_va;
	u64 piece_pa;
	u64 piece_bytes; /* 0: none */
	u64 checked_pa;	 /* page of the page map that was found believable; ~0: none */
	/* the block whose members were all looked at */
	u64 block_pfn;
	u64 block_end_pfn;
	u32 block_class;
	u8 joint[2 * PAGEINFO_MAX_BYTES]; /* struct pages that lie across a boundary */
};

void pagescan_init(struct pagescan *s, struct pagemap *map);

/*
 * The run that begins at @pfn and ends at @end_pfn (> @pfn) at the latest: all of one class.
 * Always at least one page; where the page map is of no use, METADATA_LOST. No view of old
 * memory is held from call to call. Calls in ascending order are fast, others are allowed.
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
void pagescan_report(struct pagescan *s, u64 pfn, struct page_report *r);

#endif
