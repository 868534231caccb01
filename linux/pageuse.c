/*
 * Which pages the old kernel used. Its page map tells free pages from others, but memory that
 * the kernel set aside at its start is all alike there: its own code and data, and what it was
 * told to keep away from (memmap=SIZE$START, memory that firmware asked to be left alone).
 * What it keeps away from it does not map. Looks at struct pages and page tables only.
 */
#include <string.h>
#include "dumplog.h"
#include "pagefields.h"
#include "pageuse.h"

#define LOW_END_PFN (MIB >> PAGE_SHIFT) /* below, what is set aside is for firmware */

/* True if the page allocator never had it: nobody has put its list head into a list. */
static bool is_set_aside(const struct page_rules *r, const u8 *page, u64 va)
{
	u64 link[2];

	if (r->list_next < 0 || r->list_prev < 0)
		return false;
	memcpy(&link[0], page + r->list_next, sizeof(link[0]));
	memcpy(&link[1], page + r->list_prev, sizeof(link[1]));
	return link[0] == link[1] && link[0] == va + min_u64((u64)r->list_next, (u64)r->list_prev);
}

/* The tables decide here, not what they lead to: none of them may be lost. */
static enum status read_untouched(void *ctx, u64 pa, void *buf, u64 len)
{
	struct physmem *pm = ctx;
	const struct mem_range *r = memmap_find(pm->map, pa);

	if (!r || r->touched != TOUCHED_NOBODY)
		return E_NOT_RAM;
	return physmem_read(pm, pa, buf, len);
}

/* True if the kernel's map of all its memory is known to lack the page. */
static bool is_not_mapped(struct pagemap *m, u64 pfn)
{
	struct physmem sure;
	u64 pa;

	if (m->page_offset == 0)
		return false;
	physmem_init_reader(&sure, read_untouched, m->pm);
	return pagetable_walk(m->pm->map ? &sure : m->pm, &m->pt,
		       m->page_offset + (pfn << PAGE_SHIFT), &pa) == E_PAGETABLE;
}

/* Of a page that is kept, whether its struct page is good or not. */
static enum page_use use_of_kept(struct pagemap *m, u64 pfn, bool good)
{
	u8 page[PAGEINFO_MAX_BYTES];
	u64 va = 0;
	bool read = pagemap_read(m, pfn, page, &va) == OK;

	/* A struct page that is lost says nothing; where there never was one, the tables may. */
	if (!good)
		return va == 0 && is_not_mapped(m, pfn) ? PAGE_USE_NONE : PAGE_USE_UNKNOWN;
	if (!read || !is_set_aside(&m->rules, page, va))
		return PAGE_USE_SOME;
	return pfn < LOW_END_PFN || is_not_mapped(m, pfn) ? PAGE_USE_NONE : PAGE_USE_SOME;
}

enum page_use pageuse_of(struct pagescan *s, u64 pfn, u32 class)
{
	switch (class) {
	case DL_KEPT:
	case DL_METADATA_LOST:
		return use_of_kept(s->map, pfn, class == DL_KEPT);
	case DL_FREE:
	case DL_OFFLINE:
	case DL_HWPOISON:
		return PAGE_USE_NONE;
	default:
		return PAGE_USE_SOME;
	}
}

void pageuse_report(struct pagescan *s, u64 pfn, u32 class, struct page_past *past)
{
	const struct page_rules *r = &s->map->rules;
	u8 page[PAGEINFO_MAX_BYTES];
	u64 va;

	memset(past, 0, sizeof(*past));
	past->use = pageuse_of(s, pfn, class);
	if (class != DL_KEPT || pagemap_read(s->map, pfn, page, &va) != OK)
		return;
	past->set_aside = is_set_aside(r, page, va);
	past->slab = fields_load(r, page).slab;
}

void pageuse_count(struct pagescan *s, u64 pfn, u64 end_pfn, struct pageuse *u)
{
	while (pfn < end_pfn) {
		struct run run;

		pagescan_run(s, pfn, end_pfn, &run);
		for (u64 i = 0; i < run.count; i++) {
			enum page_use use = pageuse_of(s, pfn + i, run.class);

			u->told += use != PAGE_USE_UNKNOWN;
			u->used += use == PAGE_USE_SOME;
		}
		pfn += run.count;
	}
}
