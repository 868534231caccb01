/*
 * The old kernel's page tables and page map out of a dump.
 */
#include <stdlib.h>
#include "oldmem.h"
#include "why_kernel.h"

struct why_kernel {
	const struct reader_map *m;
	struct oldmem mem;
	struct physmem own_pm; /* without what is no more the old kernel's */
	struct pagemap map;
	struct pagescan scan;
	enum status tables; /* OK: there are page tables to walk */
	bool mapped;	    /* the page map can be asked */
};

static bool is_overwritten(const struct reader_map *m, u64 pfn)
{
	const struct reader_span *span = reader_spans_at(&m->classes, pfn);

	return span && why_class_is_lost((u32)span->where);
}

static enum status read_own(void *ctx, u64 pa, void *buf, u64 len)
{
	struct why_kernel *k = ctx;

	if (len == 0 || len - 1 > UINT64_MAX - pa)
		return E_NOT_RAM;
	for (u64 pfn = pa >> PAGE_SHIFT; pfn <= (pa + len - 1) >> PAGE_SHIFT; pfn++) {
		if (is_overwritten(k->m, pfn))
			return E_ABSENT;
	}
	return physmem_read(&k->mem.pm, pa, buf, len);
}

struct why_kernel *why_kernel_open(const struct reader_map *m)
{
	struct why_kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->m = m;
	k->tables = oldmem_open(&k->mem, m);
	if (k->tables == E_NO_MEMORY) {
		free(k);
		return NULL;
	}
	/* A kernel that did not verify may be any: its tables are not to be believed. */
	if (k->tables != OK || !k->mem.kernel.verified)
		return k;
	physmem_init_reader(&k->own_pm, read_own, k);
	k->mapped = pagemap_open(&k->map, &k->own_pm, &k->mem.kernel) == OK;
	if (k->mapped)
		pagescan_init(&k->scan, &k->map);
	return k;
}

void why_kernel_close(struct why_kernel *k)
{
	if (k && k->tables == OK)
		oldmem_close(&k->mem);
	free(k);
}

enum status why_kernel_translate(struct why_kernel *k, u64 va, u64 *pa)
{
	if (k->tables != OK)
		return k->tables;
	return pagetable_walk(&k->mem.pm, &k->mem.kernel.pt, va, pa);
}

bool why_kernel_report(struct why_kernel *k, u64 pfn, struct why_report *report)
{
	if (!k->mapped)
		return false;
	pagescan_report(&k->scan, pfn, &report->page);
	pageuse_report(&k->scan, pfn, report->page.class, &report->past);
	return true;
}
