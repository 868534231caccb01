/*
 * A page map's classes as a test plans them, in place of linux/pagescan.c: a program
 * that includes this defines its functions, so that the library's are not linked.
 */
#ifndef AFTERIMAGE_FAKE_SCAN_H
#define AFTERIMAGE_FAKE_SCAN_H

#include <stdlib.h>
#include "pageuse.h"
#include "tests/model/dumprig.h"

static struct {
	struct pagescan scan;
	const u8 *plan;
	u64 pages;
	u64 longest_run; /* 0: as long as the plan has it */
} fake_scan;

void pagescan_init(struct pagescan *s, struct pagemap *map)
{
	(void)s;
	(void)map;
	abort();
}

void pagescan_run(struct pagescan *s, u64 pfn, u64 end_pfn, struct run *out)
{
	u8 class = fake_scan.plan[pfn];

	if (s != &fake_scan.scan || pfn >= end_pfn || end_pfn > fake_scan.pages)
		abort();
	out->pfn = pfn;
	out->class = class ? class : DL_KEPT;
	out->count = 1;
	while (pfn + out->count < end_pfn && fake_scan.plan[pfn + out->count] == class &&
		out->count != fake_scan.longest_run)
		out->count++;
}

/* By class only. */
void pageuse_count(struct pagescan *s, u64 pfn, u64 end_pfn, struct pageuse *u)
{
	while (pfn < end_pfn) {
		struct run run;

		pagescan_run(s, pfn, end_pfn, &run);
		u->told += run.class == DL_METADATA_LOST ? 0 : run.count;
		u->used += run.class == DL_METADATA_LOST || run.class == DL_FREE ? 0 : run.count;
		pfn += run.count;
	}
}

/* Makes the rig's plan count. */
static inline void fake_scan_use(struct rig *rig)
{
	fake_scan.plan = rig->plan;
	fake_scan.pages = rig->opt.ram_bytes >> PAGE_SHIFT;
	rig->scan = &fake_scan.scan;
}

/* All classes in runs of 1 to 9 pages, everything but what @except (bits) names. */
static inline void fake_scan_mix(struct rig *rig, u32 except)
{
	static const u8 classes[] = {DL_KEPT, DL_USER, DL_CACHE, DL_FREE, DL_PRIVATE_CACHE,
		DL_METADATA_LOST, DL_HWPOISON, DL_OFFLINE};
	u64 x = 1;

	fake_scan_use(rig);
	for (u64 pfn = 0; pfn < fake_scan.pages;) {
		u8 class;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		class = classes[x >> 40 & 7];
		if (except >> class & 1)
			class = DL_KEPT;
		for (u64 n = (x >> 32) % 9 + 1; n > 0 && pfn < fake_scan.pages; n--)
			rig->plan[pfn++] = class;
	}
}

#endif
