/*
 * The list of lost memory against a plain table of pages: the same while there is room, never
 * less when there is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lostmap.h"

#define PAGES 200u
#define MAX   220u
#define BASE  (64u * MIB)

static struct dl_survey_range range[MAX + 1];
static struct lostmap map;
static u8 why_of[PAGES]; /* what must be in the list */
static u64 random_state = 88172645463325252ull;

static int setup(void **state)
{
	(void)state;
	memset(range, 0x5a, sizeof(range));
	memset(why_of, 0, sizeof(why_of));
	map = (struct lostmap) {.range = range, .max = MAX};
	return 0;
}

static u32 pick(u32 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (u32)(random_state % below);
}

static void add(u32 page, u32 pages, u32 why)
{
	lostmap_add(&map, BASE + (u64)page * PAGE_BYTES, (u64)pages * PAGE_BYTES, why);
	for (u32 i = 0; i < pages; i++)
		why_of[page + i] |= (u8)why;
}

static void add_random(void)
{
	u32 page = pick(PAGES);
	u32 most = PAGES - page < 20 ? PAGES - page : 20;

	add(page, 1 + pick(most), 1 + pick(15));
}

static void expect_range(u32 i, u32 page, u32 pages, u32 why)
{
	assert_true(i < map.count);
	assert_int_equal(range[i].pa, BASE + (u64)page * PAGE_BYTES);
	assert_int_equal(range[i].bytes, (u64)pages * PAGE_BYTES);
	assert_int_equal(range[i].why, why);
	assert_int_equal(range[i].zero, 0);
}

/* Of the list, by page; the list itself must be in order and without needless cuts. */
static void table_of_list(u8 *table)
{
	u64 end = 0;
	u32 why = 0;

	memset(table, 0, PAGES);
	assert_true(map.count <= map.max);
	for (u32 i = 0; i < map.count; i++) {
		const struct dl_survey_range *r = &range[i];

		assert_true(r->pa >= end && r->bytes > 0 && r->why != 0);
		assert_false(r->pa == end && r->why == why);
		end = r->pa + r->bytes;
		why = r->why;
		assert_true(r->pa >= BASE && end <= BASE + (u64)PAGES * PAGE_BYTES);
		memset(table + (r->pa - BASE) / PAGE_BYTES, (int)why, r->bytes / PAGE_BYTES);
	}
	assert_int_equal(range[MAX].why, 0x5a5a5a5a);
}

static void test_apart_and_touching(void **state)
{
	(void)state;
	add(10, 5, DL_LOST_CHANGED);
	add(30, 1, DL_LOST_CHANGED);
	add(15, 5, DL_LOST_CHANGED);
	add(5, 5, DL_LOST_CHANGED);
	assert_int_equal(map.count, 2);
	expect_range(0, 5, 15, DL_LOST_CHANGED);
	expect_range(1, 30, 1, DL_LOST_CHANGED);
	add(20, 10, DL_LOST_CHANGED);
	assert_int_equal(map.count, 1);
	expect_range(0, 5, 26, DL_LOST_CHANGED);
	assert_int_equal(lostmap_pages(&map), 26);
	assert_int_equal(map.joined, 0);
}

static void test_reasons_are_kept_apart(void **state)
{
	(void)state;
	add(10, 10, DL_LOST_FIRMWARE);
	add(20, 5, DL_LOST_CHANGED);
	assert_int_equal(map.count, 2);
	add(15, 10, DL_LOST_CHANGED);
	assert_int_equal(map.count, 3);
	expect_range(0, 10, 5, DL_LOST_FIRMWARE);
	expect_range(1, 15, 5, DL_LOST_FIRMWARE | DL_LOST_CHANGED);
	expect_range(2, 20, 5, DL_LOST_CHANGED);
	add(12, 1, DL_LOST_OURS);
	assert_int_equal(map.count, 5);
	expect_range(1, 12, 1, DL_LOST_FIRMWARE | DL_LOST_OURS);
	add(0, 100, DL_LOST_FIRMWARE);
	expect_range(map.count - 1, 25, 75, DL_LOST_FIRMWARE);
	assert_int_equal(lostmap_pages(&map), 100);
}

static void test_nothing_is_nothing(void **state)
{
	(void)state;
	lostmap_add(&map, BASE, 0, DL_LOST_FIRMWARE);
	assert_int_equal(map.count, 0);
	assert_int_equal(lostmap_pages(&map), 0);
}

static void test_closest_are_joined(void **state)
{
	(void)state;
	map.max = 3;
	add(10, 1, DL_LOST_CHANGED);
	add(20, 1, DL_LOST_FIRMWARE);
	add(28, 1, DL_LOST_LOADER);
	add(60, 1, DL_LOST_OURS);
	assert_int_equal(map.count, 3);
	assert_int_equal(map.joined, 1);
	expect_range(0, 10, 1, DL_LOST_CHANGED);
	expect_range(1, 20, 9, DL_LOST_FIRMWARE | DL_LOST_LOADER);
	expect_range(2, 60, 1, DL_LOST_OURS);
	/* What continues a range needs no room. */
	add(61, 1, DL_LOST_OURS);
	add(9, 1, DL_LOST_CHANGED);
	assert_int_equal(map.joined, 1);
	assert_int_equal(map.count, 3);
}

static void test_like_a_table(void **state)
{
	u8 table[PAGES];

	(void)state;
	for (u32 run = 0; run < 200; run++) {
		setup(state);
		for (u32 i = 0; i < 40; i++) {
			add_random();
			table_of_list(table);
			assert_memory_equal(table, why_of, PAGES);
		}
		assert_int_equal(map.joined, 0);
	}
}

static void test_never_less(void **state)
{
	u8 table[PAGES];

	(void)state;
	for (u32 run = 0; run < 400; run++) {
		setup(state);
		map.max = 3 + pick(10);
		for (u32 i = 0; i < 40; i++) {
			add_random();
			table_of_list(table);
			for (u32 page = 0; page < PAGES; page++)
				assert_int_equal(table[page] & why_of[page], why_of[page]);
		}
	}
}

static void test_shrink(void **state)
{
	u8 table[PAGES];

	(void)state;
	for (u32 i = 0; i < 50; i++)
		add(4 * i, 1 + i % 3, DL_LOST_CHANGED);
	assert_int_equal(map.count, 50);
	lostmap_shrink(&map, 50);
	assert_int_equal(map.joined, 0);
	lostmap_shrink(&map, 7);
	assert_int_equal(map.count, 7);
	assert_int_equal(map.joined, 43);
	table_of_list(table);
	for (u32 page = 0; page < PAGES; page++)
		assert_int_equal(table[page] & why_of[page], why_of[page]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_apart_and_touching, setup),
		cmocka_unit_test_setup(test_reasons_are_kept_apart, setup),
		cmocka_unit_test_setup(test_nothing_is_nothing, setup),
		cmocka_unit_test_setup(test_closest_are_joined, setup),
		cmocka_unit_test_setup(test_like_a_table, setup),
		cmocka_unit_test_setup(test_never_less, setup),
		cmocka_unit_test_setup(test_shrink, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
