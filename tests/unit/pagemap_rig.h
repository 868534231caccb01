/*
 * A machine with 512 MiB below and 512 MiB above 4 GiB and a kernel with a page map in it,
 * for the tests of the page map.
 */
#ifndef AFTERIMAGE_PAGEMAP_RIG_H
#define AFTERIMAGE_PAGEMAP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>
#include "pagemap.h"
#include "tests/host/fake_pagemap.h"
#include "tests/host/ports_mem.h"

#define RIG_BYTES    ((u64)512 * MIB)
#define RIG_HIGH     (4 * GIB)
#define RIG_HIGH_PFN (RIG_HIGH >> PAGE_SHIFT)
#define RIG_PAGES    (RIG_BYTES >> PAGE_SHIFT)
#define SECTION(n)   ((n) * (u64)SECTION_PAGES) /* its first PFN */

struct rig {
	u8 *ram[2];
	struct memmap map;
	struct physmem pm;
	struct oldkernel k;
	struct pagemap m;
	struct fake_pagemap fp;
};

static struct rig rig;

static inline u8 *rig_memory(u64 bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static inline int rig_setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	host_reset_all();
	for (u32 i = 0; i < 2; i++) {
		rig.ram[i] = rig_memory(RIG_BYTES);
		host_ram_add(i * RIG_HIGH, rig.ram[i], RIG_BYTES);
		memmap_add(&rig.map, i * RIG_HIGH, RIG_BYTES, MEM_RAM);
	}
	memmap_add(&rig.map, 0x9f000, 0x61000, MEM_RESERVED);
	fake_pagemap_init(&rig.fp, PAGEMAP_VMEMMAP);
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	host_reset_all();
	for (u32 i = 0; i < 2; i++)
		munmap(rig.ram[i], RIG_BYTES);
	return 0;
}

static inline enum status rig_open(void)
{
	physmem_init(&rig.pm, &rig.map);
	fake_pagemap_find(&rig.pm, &rig.k);
	return pagemap_open(&rig.m, &rig.pm, &rig.k);
}

/* Builds what rig.fp describes and opens it. */
static inline void rig_build(void)
{
	fake_pagemap_build(&rig.fp, &rig.map);
	assert_int_equal(rig_open(), OK);
}

static inline bool rig_has(u64 pfn)
{
	u8 buf[PAGEINFO_MAX_BYTES];
	u64 va;

	return pagemap_read(&rig.m, pfn, buf, &va) == OK;
}

/* @pfn's struct page is read from where it was put. */
static inline void rig_expect(u64 pfn)
{
	u8 buf[PAGEINFO_MAX_BYTES];
	u64 va;

	fake_page_words(&rig.fp, pfn, 0, pfn ^ 0x1234567890);
	assert_int_equal(pagemap_read(&rig.m, pfn, buf, &va), OK);
	assert_true(va == fake_page_va(&rig.fp, pfn));
	assert_memory_equal(buf, fake_page(&rig.fp, pfn), rig.fp.fk.page_bytes);
}

/* So are those at all edges of RAM and of sections. */
static inline void rig_expect_all(void)
{
	for (u32 i = 0; i < 2; i++) {
		u64 pfn = i * RIG_HIGH_PFN;

		for (u32 n = 0; n < RIG_PAGES; n += SECTION_PAGES / 2) {
			rig_expect(pfn + n);
			rig_expect(pfn + n + SECTION_PAGES / 2 - 1);
		}
	}
	assert_int_equal(rig.m.present_pages, memmap_ram_pages(&rig.map));
	assert_int_equal(pagemap_coverage(&rig.m, &rig.map), memmap_ram_pages(&rig.map));
}

/* Of all sections, exactly those in @bad have no struct pages. */
static inline void rig_expect_lost(u32 bad)
{
	assert_int_equal(rig_open(), OK);
	for (u32 n = 0; n < 8; n++) {
		u64 pfn = n < 4 ? SECTION(n) : RIG_HIGH_PFN + SECTION(n - 4);

		assert_int_equal(rig_has(pfn), !(bad >> n & 1));
		assert_int_equal(rig_has(pfn + SECTION_PAGES - 1), !(bad >> n & 1));
	}
}

#endif
