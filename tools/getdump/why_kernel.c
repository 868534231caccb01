/*
 * The old kernel's page tables and page map out of a dump.
 */
#include <stdlib.h>
#include "why_kernel.h"

struct why_kernel {
	struct reader_map *m;
};

struct why_kernel *why_kernel_open(struct reader_map *m)
{
	struct why_kernel *k = calloc(1, sizeof(*k));

	if (k)
		k->m = m;
	return k;
}

void why_kernel_close(struct why_kernel *k)
{
	free(k);
}

enum status why_kernel_translate(struct why_kernel *k, u64 va, u64 *pa)
{
	(void)k;
	(void)va;
	(void)pa;
	return E_ABSENT;
}

bool why_kernel_report(struct why_kernel *k, u64 pfn, struct page_report *report)
{
	(void)k;
	(void)pfn;
	(void)report;
	return false;
}
