/*
 * What the old kernel used of memory: free pages, pages in use, memory set aside at the start,
 * and what nobody can tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dumplog.h"
#include "pageuse.h"
#include "tests/host/fake_pagemap.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES    (32u * MIB)
#define LIST_AT	     8
#define SOME_PFN     0xa00u
#define MAP_PFN	     (26 * MIB / PAGE_BYTES) /* of the page map itself */
#define DIRECT_LEVEL 2			     /* how fake_kernel.c maps memory */

static u8 *ram;
static struct memmap map;
static struct physmem pm;
static struct fake_pagemap fp;
static struct oldkernel k;
static struct pagemap pagemap;
static struct pagescan scan;

static int setup(void **state)
{
	(void)state;
	host_reset_all();
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	memset(ram, 0, RAM_BYTES);
	host_ram_set(ram, RAM_BYTES);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, 0x9f000, MEM_RAM);
	memmap_add(&map, MIB, RAM_BYTES - MIB, MEM_RAM);
	physmem_init(&pm, &map);
	fake_pagemap_init(&fp, PAGEMAP_VMEMMAP);
	fp.table_pa = 24 * MIB;
	fp.map_pa = 26 * MIB;
	fake_pagemap_build(&fp, &map);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	host_reset_all();
	return 0;
}

/* After the test has laid out what the old kernel left. */
static void open_map(void)
{
	fake_pagemap_find(&pm, &k);
	assert_int_equal(pagemap_open(&pagemap, &pm, &k), OK);
	pagescan_init(&scan, &pagemap);
}

/* The page allocator never had them: as the kernel's own image, or a hole in its memory. */
static void set_aside(u64 pfn, u64 count)
{
	for (u64 i = 0; i < count; i++) {
		u64 own = fake_page_va(&fp, pfn + i) + LIST_AT;
		const u64 list[2] = {own, own};

		memcpy(fake_page(&fp, pfn + i) + LIST_AT, list, sizeof(list));
	}
}

/* No address of the kernel's leads to the 2 MiB at @pfn. */
static u64 *unmap(u64 pfn)
{
	u64 *entry =
		fake_kernel_entry(&fp.fk, fp.fk.page_offset + (pfn << PAGE_SHIFT), DIRECT_LEVEL);

	*entry = 0;
	return entry;
}

static void expect(u64 pfn, u64 end_pfn, u64 told, u64 used)
{
	struct pageuse u = {0};

	pageuse_count(&scan, pfn, end_pfn, &u);
	assert_int_equal(u.told, told);
	assert_int_equal(u.used, used);
}

static void test_by_class(void **state)
{
	(void)state;
	fake_anon(&fp, 0xa00, 16);
	fake_cache(&fp, 0xa10, 16, false);
	fake_cache(&fp, 0xa20, 16, true);
	fake_offline(&fp, 0xa30, 16);
	fake_page_flags(&fp, 0xa40, FAKE_FLAG_HWPOISON);
	open_map();
	expect(0xa00, 0xa30, 48, 48);
	expect(0xa30, 0xa40, 16, 0);
	expect(0xa40, 0xa50, 16, 15);
	expect(0xa08, 0xa48, 64, 40 + 7);
	expect(0xa50, 0xa50, 0, 0);
	assert_int_equal(pageuse_of(&scan, SOME_PFN, DL_FREE), PAGE_USE_NONE);
	assert_int_equal(pageuse_of(&scan, SOME_PFN, DL_KEPT), PAGE_USE_SOME);
}

static void test_counts_add_up(void **state)
{
	struct pageuse u = {.told = 100, .used = 10};

	(void)state;
	open_map();
	pageuse_count(&scan, SOME_PFN, SOME_PFN + 5, &u);
	assert_int_equal(u.told, 105);
	assert_int_equal(u.used, 15);
}

/* What the kernel keeps away from is set aside and not in its direct map; one is not enough. */
static void test_kept_away_from(void **state)
{
	(void)state;
	set_aside(0xa00, 16);
	set_aside(0xc00, 16);
	unmap(0xa00);
	unmap(0xe00);
	open_map();
	expect(0xa00, 0xa10, 16, 0);
	expect(0xa10, 0xa20, 16, 16); /* in use, whatever the tables say */
	expect(0xc00, 0xc10, 16, 16); /* the kernel's own */
	expect(0xe00, 0xe10, 16, 16);
}

/* A list head that points to itself, both ways. */
static void test_set_aside_exactly(void **state)
{
	u64 other;

	(void)state;
	set_aside(0xa00, 4);
	unmap(0xa00);
	other = fake_page_va(&fp, 0xa09) + LIST_AT;
	memcpy(fake_page(&fp, 0xa01) + LIST_AT, &other, sizeof(other));
	memcpy(fake_page(&fp, 0xa02) + LIST_AT + 8, &other, sizeof(other));
	memcpy(fake_page(&fp, 0xa03) + LIST_AT, &other, sizeof(other));
	memcpy(fake_page(&fp, 0xa03) + LIST_AT + 8, &other, sizeof(other));
	open_map();
	expect(0xa00, 0xa04, 4, 3);
	pagemap.rules.list_next = -1;
	expect(0xa00, 0xa01, 1, 1);
	pagemap.rules.list_next = LIST_AT;
	pagemap.rules.list_prev = -1;
	expect(0xa00, 0xa01, 1, 1);
}

/* Linux leaves the first MiB to firmware, all of it mapped. */
static void test_low_memory(void **state)
{
	(void)state;
	set_aside(0x10, 16);
	set_aside(0x100, 16);
	open_map();
	expect(0x10, 0x30, 32, 16);
	expect(0x100, 0x110, 16, 16);
}

/* Tables that somebody has written to since do not say what the kernel mapped. */
static void test_lost_tables_say_nothing(void **state)
{
	u64 *entry;

	(void)state;
	set_aside(0xa00, 16);
	entry = unmap(0xa00);
	open_map();
	expect(0xa00, 0xa10, 16, 0);
	memmap_touch(&map, (u64)((u8 *)entry - ram), 1, TOUCHED_SURVEY);
	expect(0xa00, 0xa10, 16, 16);
}

static void test_no_direct_map(void **state)
{
	(void)state;
	set_aside(0xa00, 16);
	unmap(0xa00);
	open_map();
	pagemap.page_offset = 0;
	expect(0xa00, 0xa10, 16, 16);
}

/* Struct pages in memory that was overwritten: nobody knows, even if they look good. */
static void test_lost_struct_pages(void **state)
{
	static const u32 who[] = {TOUCHED_FIRMWARE, TOUCHED_LOADER, TOUCHED_OURS, TOUCHED_SURVEY};

	for (u32 i = 0; i < ARRAY_SIZE(who); i++) {
		struct run run;
		u64 pfn = SOME_PFN;

		if (i > 0) {
			teardown(state);
			setup(state);
		}
		set_aside(0xa00, 64);
		unmap(0xa00);
		open_map();
		expect(pfn, pfn + 64, 64, 0);
		memmap_touch(&map, (MAP_PFN << PAGE_SHIFT) + pfn * 64, 1, (enum mem_touched)who[i]);
		pagescan_init(&scan, &pagemap);
		expect(pfn - 64, pfn + 128, 128, 128);
		pagescan_run(&scan, pfn - 1, pfn + 128, &run);
		assert_int_equal(run.class, DL_KEPT);
		assert_int_equal(run.count, 1);
		pagescan_run(&scan, pfn, pfn + 128, &run);
		assert_int_equal(run.class, DL_METADATA_LOST);
		assert_int_equal(run.count, 64);
	}
}

/* Beyond the page map: what is not mapped either was no memory to the kernel. */
static void test_no_struct_pages(void **state)
{
	(void)state;
	unmap(0xa00);
	open_map();
	pagemap.end_pfn = 0xa08;
	assert_int_equal(pageuse_of(&scan, 0xa07, DL_METADATA_LOST), PAGE_USE_UNKNOWN);
	assert_int_equal(pageuse_of(&scan, 0xa08, DL_METADATA_LOST), PAGE_USE_NONE);
	assert_int_equal(pageuse_of(&scan, 0xc00, DL_METADATA_LOST), PAGE_USE_UNKNOWN);
	pagemap.end_pfn = 0;
	expect(0xa00, 0xc10, 512, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_class, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_away_from, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_aside_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_low_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_tables_say_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_direct_map, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_struct_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_struct_pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
