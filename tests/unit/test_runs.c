/*
 * The page-run walker against hand-made memory maps, and page maps too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "pagescan_rig.h"

static struct memmap map;

static void add(u64 pfn, u64 pages, u32 type, u32 touched)
{
	map.range[map.count++] =
		(struct mem_range) {pfn << PAGE_SHIFT, pages << PAGE_SHIFT, type, touched};
}

static void expect(struct runs *r, u64 pfn, u64 count, u32 class)
{
	struct run run;

	assert_true(runs_next(r, &run));
	assert_int_equal(run.pfn, pfn);
	assert_int_equal(run.count, count);
	assert_int_equal(run.class, class);
}

static void expect_end(struct runs *r)
{
	struct run run;

	assert_false(runs_next(r, &run));
	assert_false(runs_next(r, &run));
}

static int clear(void **state)
{
	(void)state;
	memset(&map, 0, sizeof(map));
	return 0;
}

static void test_empty(void **state)
{
	struct runs r;

	(void)state;
	runs_init(&r, &map, NULL);
	expect_end(&r);
	add(0, 10, MEM_RESERVED, 0);
	runs_init(&r, &map, NULL);
	expect_end(&r);
}

static void test_every_class(void **state)
{
	struct runs r;

	(void)state;
	add(0, 1, MEM_RAM, TOUCHED_FIRMWARE);
	add(1, 7, MEM_RAM, TOUCHED_NOBODY);
	add(8, 2, MEM_RAM, TOUCHED_OURS);
	add(10, 5, MEM_RESERVED, 0);
	add(20, 3, MEM_RAM, TOUCHED_LOADER);
	add(23, 2, MEM_RAM, TOUCHED_SURVEY);
	add(25, 98, MEM_RESERVED, 0);
	add(1ull << 24, 1ull << 20, MEM_RAM, TOUCHED_NOBODY);
	add(1ull << 26, 1, MEM_RESERVED, 0);
	runs_init(&r, &map, NULL);
	assert_int_equal(r.end_pfn, (1ull << 24) + (1ull << 20));
	expect(&r, 0, 1, DL_OVERWRITTEN_FIRMWARE);
	expect(&r, 1, 7, DL_KEPT);
	expect(&r, 8, 2, DL_OVERWRITTEN_OURS);
	expect(&r, 10, 10, DL_NOT_RAM);
	expect(&r, 20, 3, DL_OVERWRITTEN_LOADER);
	expect(&r, 23, 2, DL_OVERWRITTEN_FIRMWARE);
	expect(&r, 25, (1ull << 24) - 25, DL_NOT_RAM);
	expect(&r, 1ull << 24, 1ull << 20, DL_KEPT);
	expect_end(&r);
}

static void test_starts_with_a_hole(void **state)
{
	struct runs r;

	(void)state;
	add(4, 4, MEM_RAM, TOUCHED_NOBODY);
	runs_init(&r, &map, NULL);
	expect(&r, 0, 4, DL_NOT_RAM);
	expect(&r, 4, 4, DL_KEPT);
	expect_end(&r);
}

/* Maps break their promise: runs still ascend and do not overlap. */
static void test_overlaps_are_given_out_once(void **state)
{
	struct runs r;

	(void)state;
	add(0, 10, MEM_RAM, TOUCHED_NOBODY);
	add(5, 10, MEM_RAM, TOUCHED_OURS);
	add(2, 4, MEM_RAM, TOUCHED_LOADER);
	runs_init(&r, &map, NULL);
	expect(&r, 0, 10, DL_KEPT);
	expect(&r, 10, 5, DL_OVERWRITTEN_OURS);
	expect_end(&r);
}

/* An unknown toucher counts as firmware: contents kept, but marked. */
static void test_unknown_toucher(void **state)
{
	struct runs r;

	(void)state;
	add(0, 1, MEM_RAM, 77);
	runs_init(&r, &map, NULL);
	expect(&r, 0, 1, DL_OVERWRITTEN_FIRMWARE);
	expect_end(&r);
}

/* A page map: plain RAM has classes of its own, what was written to since has not. */
static void test_with_a_page_map(void **state)
{
	struct runs r;

	(void)state;
	rig_start_kernel(64, 4096, true);
	rig_free(1024, 10);
	rig_user(10);
	rig_user(11);
	add(0, 11, MEM_RAM, TOUCHED_NOBODY);
	add(11, 4, MEM_RAM, TOUCHED_FIRMWARE);
	add(15, 5, MEM_RESERVED, 0);
	add(30, 1470, MEM_RAM, TOUCHED_NOBODY);
	add(1500, 10, MEM_RAM, TOUCHED_OURS);
	add(1510, 3000, MEM_RAM, TOUCHED_NOBODY);
	runs_init(&r, &map, &rig.scan);
	expect(&r, 0, 10, DL_KEPT);
	expect(&r, 10, 1, DL_USER);
	expect(&r, 11, 4, DL_OVERWRITTEN_FIRMWARE);
	expect(&r, 15, 15, DL_NOT_RAM);
	expect(&r, 30, 994, DL_KEPT);
	expect(&r, 1024, 476, DL_FREE);
	expect(&r, 1500, 10, DL_OVERWRITTEN_OURS);
	expect(&r, 1510, 538, DL_FREE);
	expect(&r, 2048, 2048, DL_KEPT);
	expect(&r, 4096, 414, DL_METADATA_LOST);
	expect_end(&r);
}

static void test_overlaps_with_a_page_map(void **state)
{
	struct runs r;

	(void)state;
	rig_start_kernel(64, 4096, true);
	rig_user(8);
	add(0, 10, MEM_RAM, TOUCHED_NOBODY);
	add(5, 10, MEM_RAM, TOUCHED_NOBODY);
	runs_init(&r, &map, &rig.scan);
	expect(&r, 0, 8, DL_KEPT);
	expect(&r, 8, 1, DL_USER);
	expect(&r, 9, 1, DL_KEPT);
	expect(&r, 10, 5, DL_KEPT);
	expect_end(&r);
}

static void test_full_map(void **state)
{
	struct runs r;
	struct run run;
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < MEMMAP_MAX; i++)
		add(1 + 2 * i, 1, MEM_RAM, TOUCHED_NOBODY);
	runs_init(&r, &map, NULL);
	while (runs_next(&r, &run) && n < 10000)
		assert_int_equal(run.pfn, n++);
	assert_int_equal(n, 2 * MEMMAP_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, clear),
		cmocka_unit_test_setup(test_every_class, clear),
		cmocka_unit_test_setup(test_starts_with_a_hole, clear),
		cmocka_unit_test_setup(test_overlaps_are_given_out_once, clear),
		cmocka_unit_test_setup(test_unknown_toucher, clear),
		cmocka_unit_test_setup(test_with_a_page_map, clear),
		cmocka_unit_test_setup(test_overlaps_with_a_page_map, clear),
		cmocka_unit_test_setup(test_full_map, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
