/*
 * The scan of the page map against maps made by hand: blocks and what contradicts them, holes,
 * bounded work, reports on single pages.
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
		cmocka_unit_test(test_end_inside_a_block),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_long_runs_are_cut),
		cmocka_unit_test(test_report_from_a_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
