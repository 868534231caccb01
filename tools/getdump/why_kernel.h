/*
 * The old kernel's own page tables and page map, read out of the dump: for addresses
 * of the old kernel, and for details of a page. Both may be missing from the dump.
 */
#ifndef AFTERIMAGE_WHY_KERNEL_H
#define AFTERIMAGE_WHY_KERNEL_H

#include "reader.h"
#include "why.h"

struct why_kernel;

/* NULL: no memory. @m must stay. */
struct why_kernel *why_kernel_open(const struct reader_map *m);
void why_kernel_close(struct why_kernel *k);

/* By the page tables. E_PAGETABLE: not mapped; else why that can not be said. */
enum status why_kernel_translate(struct why_kernel *k, u64 va, u64 *pa) MUST_CHECK;

/*
 * What the page map says of @pfn; false if it can not be asked. It is read only where nobody
 * has written to it since.
 */
bool why_kernel_report(struct why_kernel *k, u64 pfn, struct why_report *report);

#endif
