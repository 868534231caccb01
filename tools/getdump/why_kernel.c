/*
 * The old kernel's page tables and page map out of a dump.
 */
#include <stdlib.h>
#include "oldmem.h"
#include "why_kernel.h"

struct why_kernel {
	struct oldmem mem;
	struct pagemap map;
	struct pagescan scan;
	enum status tables; /* OK: there are page tables to walk */
	bool mapped;	    /* the page map can be asked */
};

struct why_kernel *why_kernel_open(const struct reader_map *m)
{
	struct why_kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->tables = oldmem_open(&k->mem, m);
	if (k->tables == E_NO_MEMORY) {
		free(k);
		return NULL;
	}
	/* A kernel that did not verify may be any: its tables are not to be believed. */
	if (k->tables != OK || !k->mem.kernel.verified)
		return k;
	k->mapped = pagemap_open(&k->map, &k->mem.pm, &k->mem.kernel) == OK;
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

bool why_kernel_report(struct why_kernel *k, u64 pfn, struct page_report *report)
{
	if (k->mapped)
		pagescan_report(&k->scan, pfn, report);
	return k->mapped;
}
