/*
 * Whether the old kernel used a page that is lost now: what its page map says, and for memory
 * that it set aside when it started, whether that was memory to it at all.
 */
#ifndef AFTERIMAGE_PAGEUSE_H
#define AFTERIMAGE_PAGEUSE_H

#include "pagescan.h"

enum page_use {
	PAGE_USE_UNKNOWN, /* the page map can not tell */
	PAGE_USE_NONE,	  /* free, offline, poisoned, or kept away from the kernel */
	PAGE_USE_SOME,
};

/* How the old kernel used the page with the class that @s gave it. Slow; for single pages. */
enum page_use pageuse_of(struct pagescan *s, u64 pfn, u32 class);

/* The same with what led to it: for getdump why. */
struct page_past {
	enum page_use use;
	bool set_aside; /* the page allocator never had it */
	bool slab;
};
void pageuse_report(struct pagescan *s, u64 pfn, u32 class, struct page_past *past);

struct pageuse {
	u64 told; /* pages whose use is known */
	u64 used; /* of them */
};

/* Adds the pages from @pfn up to @end_pfn; bounded by their number. */
void pageuse_count(struct pagescan *s, u64 pfn, u64 end_pfn, struct pageuse *u);

#endif
