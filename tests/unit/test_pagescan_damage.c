/*
 * The scan of page maps that are missing or overwritten in parts, or whose struct pages lie across
 * boundaries; and that it says the same wherever one begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "pagescan_rig.h"

#define PAGES 4096u

/* The next run must be this one. */
static void expect(u64 pfn, u64 count, u32 class)
{
	struct run run;

	pagescan_run(&rig.scan, pfn, rig.pages, &run);
	assert_int_equal(run.pfn, pfn);
	assert_int_equal(run.class, class);
	assert_int_equal(run.count, count);
}

static void check_lost_page(void)
{
	pagescan_init(&rig.scan, &rig.m);
	expect(0, 640, DL_USER);
	expect(640, 64, DL_METADATA_LOST);
	expect(704, PAGES - 704, DL_USER);
}

/* 64 struct pages of 64 bytes are in one page of the map. */
static void test_page_of_the_map_is_lost(void **state)
{
	struct memmap map;
	u64 pa;

	(void)state;
	rig_start(64, PAGES, true);
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		rig_user(pfn);
	pa = rig.pa[10];
	rig.pa[10] = RIG_NONE;
	check_lost_page();
	rig.pa[10] = RIG_RAM_BYTES;
	check_lost_page();
	rig.pa[10] = pa;
	map = rig.map;
	memmap_add(&rig.map, pa, PAGE_BYTES, MEM_RESERVED);
	physmem_init(&rig.pm, &rig.map);
	check_lost_page();
	rig.map = map;
	physmem_init(&rig.pm, &rig.map);
	host_ram_unreadable(pa);
	check_lost_page();
}

static void test_page_of_the_map_is_overwritten(void **state)
{
	(void)state;
	rig_start(64, PAGES, true);
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		rig_user(pfn);
	rig_overwrite(10);
	check_lost_page();
	/* one word that no Linux writes is enough */
	for (u64 pfn = 640; pfn < 704; pfn++)
		rig_user(pfn);
	assert_int_equal(rig_class(660), DL_USER);
	rig_put(703, RIG_REFCOUNT, 0x80000000u, 4);
	check_lost_page();
}

/* A table of the kernel's, where each word in the place of the flags is a pointer. */
static void test_page_of_the_map_is_elsewhere(void **state)
{
	(void)state;
	rig_start(64, PAGES, true);
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		rig_user(pfn);
	for (u64 pfn = 640; pfn < 704; pfn++)
		rig_page(pfn, 0xffffffffb44a0f00ull, 0, 1, 0x1a4);
	check_lost_page();
}

/* Two stretches meet inside a page of the map: each is looked at by itself. */
static void test_stretches_meet_in_a_page(void **state)
{
	(void)state;
	rig_start(64, PAGES, true);
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		rig_user(pfn);
	rig.stretch_pages = 32;
	rig_put(40, RIG_REFCOUNT, 0x80000000u, 4);
	expect(0, 32, DL_USER);
	expect(32, 32, DL_METADATA_LOST);
	expect(64, PAGES - 64, DL_USER);
}

/* A memory error that shows after the page was found sane. */
static void test_page_of_the_map_dies_later(void **state)
{
	(void)state;
	rig_start(64, PAGES, true);
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		rig_user(pfn);
	assert_int_equal(rig_class(650), DL_USER);
	host_ram_unreadable(rig.pa[10]);
	assert_int_equal(rig_class(651), DL_METADATA_LOST);
}

/* A block whose members lie in a page that was overwritten is not believed. */
static void test_members_are_lost(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_free(1024, 10);
	rig_overwrite(20);
	expect(0, 1024, DL_KEPT);
	expect(1024, 1, DL_METADATA_LOST);
	expect(1025, 255, DL_KEPT);
	expect(1280, 64, DL_METADATA_LOST);
	expect(1344, PAGES - 1344, DL_KEPT);
}

/* 56 bytes: struct page 73 of a page's 74 lies in two. */
static void test_across_pages(void **state)
{
	(void)state;
	rig_start_kernel(56, PAGES, true);
	assert_int_equal(73 * 56 / PAGE_BYTES, 0);
	assert_int_equal((73 * 56 + 55) / PAGE_BYTES, 1);
	rig_user(73);
	expect(0, 73, DL_KEPT);
	expect(73, 1, DL_USER);
	rig.pa[1] = RIG_NONE;
	pagescan_init(&rig.scan, &rig.m);
	expect(0, 73, DL_KEPT);
	expect(73, 74, DL_METADATA_LOST);
	expect(147, PAGES - 147, DL_KEPT);
}

/* The struct page behind a head is in the next page of the map, or in both. */
static void test_head_before_a_boundary(void **state)
{
	(void)state;
	for (u32 size = 48 + 8; size <= 120; size += 8) {
		rig_start_kernel(size, PAGES, true);
		for (u64 pfn = 0; pfn < PAGES; pfn += 2)
			rig_huge(pfn, 1);
		expect(0, PAGES, DL_USER);
		rig_start_kernel(size, PAGES, true);
		for (u64 pfn = 0; pfn < PAGES; pfn += 8)
			rig_huge(pfn, 2);
		for (u64 pfn = 0; pfn < PAGES; pfn += 8) {
			expect(pfn, 4, DL_USER);
			expect(pfn + 4, 4, DL_KEPT);
		}
	}
}

static u64 random_state;

static u32 random_below(u32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (u32)(random_state >> 20) % n;
}

static void random_block(u64 pfn, u32 order)
{
	switch (random_below(6)) {
	case 0:
		rig_huge(pfn, order > 0 ? order : 1);
		break;
	case 1:
	case 2:
		rig_free(pfn, order);
		break;
	case 3:
		rig_free_head(pfn, order);
		break;
	case 4:
		rig_user(pfn);
		break;
	default:
		rig_put(pfn, 8 * random_below(7), random_below(2) ? ~0ull : 0, 8);
	}
}

/* Blocks, false heads and damage everywhere; holes at times. */
static void random_map(u32 size)
{
	rig_start_kernel(size, PAGES, random_below(2));
	for (u32 i = 0; i < 300; i++) {
		u32 order = random_below(11);
		u64 pfn = random_below(PAGES) >> order << order;

		random_block(pfn, order);
		if (random_below(20) == 0)
			rig_put(pfn, RIG_FLAGS, RIG_HWPOISON, 8);
	}
	if (random_below(2)) {
		rig.hole_pfn = random_below(PAGES);
		rig.hole_end_pfn = rig.hole_pfn + 1 + random_below(300);
	}
	if (random_below(2))
		rig_overwrite(random_below(PAGES * size / PAGE_BYTES));
	rig.stretch_pages = 1u << (5 + random_below(11));
	rig.piece_pages = 1 + random_below(4);
}

/* Runs cover all pages in order, whatever the map holds; returns the classes. */
static void scan_all(u8 *class)
{
	u64 pfn = 0;

	pagescan_init(&rig.scan, &rig.m);
	while (pfn < PAGES) {
		u64 end = pfn + 1 + random_below(PAGES / 4);
		struct run run;

		end = min_u64(end, PAGES);
		pagescan_run(&rig.scan, pfn, end, &run);
		assert_int_equal(run.pfn, pfn);
		assert_in_range(run.count, 1, end - pfn);
		memset(class + pfn, (int)run.class, run.count);
		pfn += run.count;
	}
}

static void compare_single(const u8 *class, u64 pfn)
{
	struct page_report report;
	struct run run;

	pagescan_run(&rig.scan, pfn, PAGES, &run);
	for (u64 i = 0; i < run.count; i++)
		assert_int_equal(run.class, class[pfn + i]);
	pagescan_report(&rig.scan, pfn, &report);
	assert_int_equal(report.class, class[pfn]);
	assert_in_range(pfn, report.head_pfn, report.head_pfn + (1ull << report.order) - 1);
}

/* It does not matter where one begins; no view outlives its promise (ASan sees it). */
static void test_any_order_says_the_same(void **state)
{
	static u8 first[PAGES];
	static u8 again[PAGES];
	static const u32 sizes[] = {56, 64, 64, 72, 80, 512};

	(void)state;
	random_state = 88172645463325252ull;
	for (u32 i = 0; i < 60; i++) {
		random_map(sizes[i % ARRAY_SIZE(sizes)]);
		host_windows_private(i % 10 == 0);
		scan_all(first);
		scan_all(again);
		assert_memory_equal(first, again, PAGES);
		for (u32 n = 0; n < 100; n++)
			compare_single(first, random_below(PAGES));
		host_windows_private(false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_of_the_map_is_lost),
		cmocka_unit_test(test_page_of_the_map_is_overwritten),
		cmocka_unit_test(test_page_of_the_map_is_elsewhere),
		cmocka_unit_test(test_stretches_meet_in_a_page),
		cmocka_unit_test(test_page_of_the_map_dies_later),
		cmocka_unit_test(test_members_are_lost),
		cmocka_unit_test(test_across_pages),
		cmocka_unit_test(test_head_before_a_boundary),
		cmocka_unit_test(test_any_order_says_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
