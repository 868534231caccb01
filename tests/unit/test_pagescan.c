/*
 * The scan of the page map against maps made by hand: blocks and what contradicts them, parts
 * of the map that are missing or overwritten, struct pages across boundaries, bounded work.
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

static u8 *struct_at(u64 pfn)
{
	u64 off = pfn * rig.m.rules.size;

	return rig.ram + rig.pa[off / PAGE_BYTES] + off % PAGE_BYTES;
}

/* As if a disk controller had written there. */
static void overwrite(u64 map_page)
{
	memset(rig.ram + rig.pa[map_page], 0x5b, PAGE_BYTES);
}

static void test_singles(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_user(100);
	rig_user(101);
	rig_cache(102);
	rig_page(103, RIG_LRU | RIG_PRIVATE, RIG_POINTER, ~0u, 2);
	rig_page(104, RIG_OTHER | RIG_HWPOISON, 0, ~0u, 1);
	rig_page(105, 0, 0, 0, 0);
	for (u32 at = 0; at < 64; at += 8)
		rig_put(105, at, 0, 8);
	expect(0, 100, DL_KEPT);
	expect(100, 2, DL_USER);
	expect(102, 1, DL_CACHE);
	expect(103, 1, DL_PRIVATE_CACHE);
	expect(104, 1, DL_HWPOISON);
	expect(105, 1, DL_METADATA_LOST);
	expect(106, PAGES - 106, DL_KEPT);
}

static void test_free_blocks(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_free(1024, 10);
	rig_free(2048, 10);
	rig_free(3072, 3);
	rig_free(3081, 0);
	expect(0, 1024, DL_KEPT);
	expect(1024, 2048 + 8, DL_FREE);
	expect(3080, 1, DL_KEPT);
	expect(3081, 1, DL_FREE);
	expect(3082, PAGES - 3082, DL_KEPT);
}

/* One member in use: the head is lost, all others are kept. */
static void test_free_block_contradicted(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_free(1024, 10);
	rig_kernel(2047);
	expect(0, 1024, DL_KEPT);
	expect(1024, 1, DL_METADATA_LOST);
	expect(1025, PAGES - 1025, DL_KEPT);
}

/* The allocator knows nothing of it. */
static void test_free_block_not_listed(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_free(1024, 10);
	rig_free(512, 0);
	rig.unlisted_pfn = 512;
	expect(512, 1, DL_FREE);
	rig.unlisted_pfn = 1024;
	expect(1024, 1, DL_METADATA_LOST);
	expect(1025, PAGES - 1025, DL_KEPT);
}

/* A false head over a true block: the true one stays. */
static void test_block_inside_false_block(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_free_head(0, 9);
	for (u64 i = 1; i < 64; i++)
		rig_idle(i);
	rig_free(64, 6);
	expect(0, 1, DL_METADATA_LOST);
	expect(1, 63, DL_KEPT);
	expect(64, 64, DL_FREE);
	expect(128, PAGES - 128, DL_KEPT);
}

static void test_compound(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_huge(512, 9);
	rig_huge(1024, 9);
	rig_put(1024 + 300, RIG_COMPOUND, rig_va(512) | 1, 8);
	expect(0, 512, DL_KEPT);
	expect(512, 512, DL_USER);
	expect(1024, 1, DL_METADATA_LOST);
	expect(1025, PAGES - 1025, DL_KEPT);
}

/* A compound page of the kernel's with one flag flipped. */
static void test_compound_without_a_file(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_huge(512, 3);
	rig_put(512, RIG_MAPPING, 0, 8);
	expect(0, 512, DL_KEPT);
	expect(512, 1, DL_METADATA_LOST);
	expect(513, PAGES - 513, DL_KEPT);
	rig_put(512, RIG_MAPPING, RIG_POINTER, 8);
	pagescan_init(&rig.scan, &rig.m);
	expect(512, 8, DL_CACHE);
}

static void test_poison_in_compound(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_huge(512, 9);
	rig_put(512 + 7, RIG_FLAGS, RIG_OTHER | RIG_HWPOISON, 8);
	rig_put(512 + 8, RIG_FLAGS, RIG_OTHER | RIG_HWPOISON, 8);
	rig_put(512 + 511, RIG_FLAGS, RIG_OTHER | RIG_HWPOISON, 8);
	expect(0, 512, DL_KEPT);
	expect(512, 7, DL_USER);
	expect(519, 2, DL_HWPOISON);
	expect(521, 502, DL_USER);
	expect(1023, 1, DL_HWPOISON);
	expect(1024, PAGES - 1024, DL_KEPT);
	/* the same, begun inside */
	expect(600, 1023 - 600, DL_USER);
	assert_int_equal(rig_class(519), DL_HWPOISON);
	assert_int_equal(rig_class(100), DL_KEPT);
}

/* A poisoned hugetlb page that is none: its members are on their own. */
static void test_poisoned_head(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_huge(512, 9);
	rig_put(512, RIG_FLAGS, RIG_HEAD | RIG_HWPOISON, 8);
	rig_put(513, RIG_DTOR, 2, 1);
	rig_put(600, RIG_FLAGS, RIG_HWPOISON, 8);
	expect(512, 512, DL_HWPOISON);
	rig_kernel(700);
	pagescan_init(&rig.scan, &rig.m);
	expect(0, 512, DL_KEPT);
	expect(512, 1, DL_METADATA_LOST);
	expect(513, 87, DL_KEPT);
	expect(600, 1, DL_HWPOISON);
	expect(601, PAGES - 601, DL_KEPT);
}

/* The largest page there is, over many sections. */
static void test_gigantic(void **state)
{
	struct run run;

	(void)state;
	rig_start(64, 1u << 18, false);
	rig.stretch_pages = 1000;
	rig_huge(0, 18);
	rig_put(0, RIG_FLAGS, RIG_OTHER | RIG_HEAD, 8);
	rig_put(1, RIG_DTOR, 2, 1);
	expect(0, 1u << 18, DL_USER);
	pagescan_run(&rig.scan, 5, 77, &run);
	assert_int_equal(run.class, DL_USER);
	assert_int_equal(run.count, 72);
	pagescan_init(&rig.scan, &rig.m);
	assert_int_equal(rig_class((1u << 18) - 1), DL_USER);
	rig.m.end_pfn--;
	pagescan_init(&rig.scan, &rig.m);
	assert_int_equal(rig_class(0), DL_METADATA_LOST);
	assert_int_equal(rig_class(1), DL_KEPT);
}

static void test_block_past_the_end(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES + 8, false);
	rig_free(PAGES, 3);
	rig.m.end_pfn -= 1;
	expect(0, PAGES, DL_KEPT);
	expect(PAGES, 1, DL_METADATA_LOST);
	expect(PAGES + 1, 6, DL_KEPT);
	expect(PAGES + 7, 1, DL_METADATA_LOST);
}

static void test_hole(void **state)
{
	(void)state;
	rig_start_kernel(64, PAGES, false);
	rig_free(1024, 10);
	rig.hole_pfn = 1500;
	rig.hole_end_pfn = 2500;
	expect(0, 1024, DL_KEPT);
	expect(1024, 1, DL_METADATA_LOST);
	expect(1025, 475, DL_KEPT);
	expect(1500, 1000, DL_METADATA_LOST);
	expect(2500, PAGES - 2500, DL_KEPT);
	/* behind the map there is nothing, but the scan goes on */
	rig.pages += 100;
	assert_int_equal(rig_class(PAGES), DL_METADATA_LOST);
	expect(PAGES + 10, 90, DL_METADATA_LOST);
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
	overwrite(10);
	check_lost_page();
	/* one word that no Linux writes is enough */
	for (u64 pfn = 640; pfn < 704; pfn++)
		rig_user(pfn);
	assert_int_equal(rig_class(660), DL_USER);
	rig_put(703, RIG_REFCOUNT, 0x80000000u, 4);
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
	overwrite(20);
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
		overwrite(random_below(PAGES * size / PAGE_BYTES));
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

static void test_end_inside_a_block(void **state)
{
	struct run run;

	(void)state;
	rig_start_kernel(64, PAGES, true);
	rig_free(1024, 10);
	pagescan_run(&rig.scan, 1024, 1030, &run);
	assert_int_equal(run.count, 6);
	assert_int_equal(run.class, DL_FREE);
	expect(1030, 1018, DL_FREE);
	/* others were asked about the pages between */
	expect(0, 1024, DL_KEPT);
	expect(1025, 1023, DL_FREE);
	expect(2048, PAGES - 2048, DL_KEPT);
	expect(2047, 1, DL_FREE);
}

/* False heads of the highest order that fits everywhere, proved wrong by the last member. */
static void test_work_is_bounded(void **state)
{
	const u64 pages = 1u << 17;
	u64 pfn = 0;

	(void)state;
	rig_start(64, pages, false);
	rig.m.rules.free_orders = PAGEINFO_MAX_ORDER + 1;
	rig.piece_pages = 1;
	for (u64 at = 0; at < pages; at++)
		rig_idle(at);
	for (u64 at = 0; at < pages; at += 64)
		rig_free_head(at, (u64)__builtin_ctzll(at | pages));
	rig_kernel(pages - 1);
	rig.translations = 0;
	while (pfn < pages) {
		struct run run;

		pagescan_run(&rig.scan, pfn, pages, &run);
		assert_true(run.class != DL_USER);
		pfn += run.count;
	}
	/* one translation for each page of the map, and each time one is left and come back to */
	assert_in_range(rig.translations, pages / 64, 4 * pages / 64);
}

static void test_long_runs_are_cut(void **state)
{
	struct run run;

	(void)state;
	rig_start_kernel(64, PAGES, false);
	rig.hole_end_pfn = 1ull << 32;
	rig.m.end_pfn = 1ull << 32;
	pagescan_run(&rig.scan, 0, 1ull << 32, &run);
	assert_int_equal(run.count, PAGESCAN_RUN_PAGES);
	pagescan_run(&rig.scan, run.count, 1ull << 32, &run);
	assert_int_equal(run.pfn, PAGESCAN_RUN_PAGES);
	assert_int_equal(run.class, DL_METADATA_LOST);
}

static enum status read_dump(void *ctx, u64 pa, void *buf, u64 len)
{
	u64 *absent_pa = ctx;

	if (*absent_pa >= pa && *absent_pa - pa < len)
		return E_ABSENT;
	if (!range_fits(pa, len, RIG_RAM_BYTES))
		return E_NOT_RAM;
	memcpy(buf, rig.ram + pa, len);
	return OK;
}

/* getdump has a dump, not memory. */
static void test_report_from_a_dump(void **state)
{
	struct page_report r;
	u64 absent_pa = RIG_NONE;

	(void)state;
	rig_start_kernel(56, PAGES, true);
	rig_huge(512, 9);
	physmem_init_reader(&rig.pm, read_dump, &absent_pa);
	pagescan_report(&rig.scan, 700, &r);
	assert_int_equal(r.class, DL_USER);
	assert_int_equal(r.order, 9);
	assert_int_equal(r.head_pfn, 512);
	assert_true(r.struct_va == rig_va(700));
	assert_int_equal(r.facts.refcount, 0);
	assert_int_equal(r.facts.mapcount, -1);
	pagescan_report(&rig.scan, 511, &r);
	assert_int_equal(r.class, DL_KEPT);
	assert_int_equal(r.order, 0);
	assert_int_equal(r.head_pfn, 511);
	assert_int_equal(r.facts.flags, RIG_OTHER);
	assert_int_equal(r.facts.refcount, 1);
	absent_pa = (u64)(struct_at(800) - rig.ram);
	pagescan_report(&rig.scan, 700, &r);
	assert_int_equal(r.class, DL_KEPT);
	assert_int_equal(r.order, 0);
	pagescan_report(&rig.scan, 800, &r);
	assert_int_equal(r.class, DL_METADATA_LOST);
	assert_true(r.struct_va == 0);
	rig.hole_pfn = 800;
	rig.hole_end_pfn = 801;
	pagescan_report(&rig.scan, 800, &r);
	assert_int_equal(r.class, DL_METADATA_LOST);
	assert_int_equal(r.head_pfn, 800);
	assert_true(r.struct_va == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_singles),
		cmocka_unit_test(test_free_blocks),
		cmocka_unit_test(test_free_block_contradicted),
		cmocka_unit_test(test_free_block_not_listed),
		cmocka_unit_test(test_block_inside_false_block),
		cmocka_unit_test(test_compound),
		cmocka_unit_test(test_compound_without_a_file),
		cmocka_unit_test(test_poison_in_compound),
		cmocka_unit_test(test_poisoned_head),
		cmocka_unit_test(test_gigantic),
		cmocka_unit_test(test_block_past_the_end),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_page_of_the_map_is_lost),
		cmocka_unit_test(test_page_of_the_map_is_overwritten),
		cmocka_unit_test(test_stretches_meet_in_a_page),
		cmocka_unit_test(test_page_of_the_map_dies_later),
		cmocka_unit_test(test_members_are_lost),
		cmocka_unit_test(test_across_pages),
		cmocka_unit_test(test_head_before_a_boundary),
		cmocka_unit_test(test_any_order_says_the_same),
		cmocka_unit_test(test_end_inside_a_block),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_long_runs_are_cut),
		cmocka_unit_test(test_report_from_a_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
