/*
 * The free lists of the old kernel's page allocator, to bear out what one struct page says: a
 * free block of some order hangs between others of its order, or in that order's list. The
 * lists are not followed.
 */
#ifndef AFTERIMAGE_FREELISTS_H
#define AFTERIMAGE_FREELISTS_H

#include "pageinfo.h"

#define FREELISTS_MAX_NODES 64

/* Where the heads of the lists are; no nodes: not known. Offsets and sizes in bytes. */
struct freelists {
	u64 zones_at; /* in a node */
	u64 zone_bytes;
	u64 areas_at; /* in a zone: an array of one per order */
	u64 area_bytes;
	u64 lists_at; /* in such an area */
	u64 lists;    /* in one area */
	u32 orders;
	u32 nodes;
	u64 node_va[FREELISTS_MAX_NODES]; /* of those found first, if there are more */
};

struct pagemap;

void freelists_load(struct freelists *f, struct physmem *pm, const struct oldkernel *k);

/*
 * True if both neighbours of @page, judged a free block of 2^@order pages, point back to it and
 * at least one is a free block of that order or the head of one of its lists; also if the
 * kernel does not say where the pointers are.
 */
bool freelists_hold(struct pagemap *m, const struct page_ref *page, u32 order);

#endif
