/*
 * The memory map: rules of overlap and rounding by example, then thousands of random
 * operations against an array with one entry per page, then a table that is full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "memmap.h"

#define PAGES 1200u

static struct memmap map;

static int setup(void **state)
{
	(void)state;
	memset(&map, 0, sizeof(map));
	return 0;
}

static void expect_range(u32 i, u64 pa, u64 end, u32 type, u32 touched)
{
	assert_in_range(i, 0, map.count - 1);
	assert_int_equal(map.range[i].pa, pa);
	assert_int_equal(map.range[i].pa + map.range[i].bytes, end);
	assert_int_equal(map.range[i].type, type);
	assert_int_equal(map.range[i].touched, touched);
}

/* What every map must be, however it came about. */
static void check_form(void)
{
	assert_in_range(map.count, 0, MEMMAP_MAX);
	for (u32 i = 0; i < map.count; i++) {
		const struct mem_range *r = &map.range[i];

		assert_true(r->bytes > 0 && (r->pa | r->bytes) % PAGE_BYTES == 0);
		assert_true(r->type == MEM_RAM || (r->type == MEM_RESERVED && !r->touched));
		if (i == 0)
			continue;
		assert_true(r[-1].pa + r[-1].bytes <= r->pa);
		assert_false(r[-1].pa + r[-1].bytes == r->pa && r[-1].type == r->type &&
			     r[-1].touched == r->touched);
	}
}

static void test_rounding(void **state)
{
	(void)state;
	memmap_add(&map, 0, 0x9fc00, MEM_RAM);
	memmap_add(&map, 0x9fc00, 0x400, MEM_RESERVED);
	memmap_add(&map, 0x100001, 0x1fff, MEM_RAM);
	memmap_add(&map, 0x200001, 0x1ffe, MEM_RAM);
	memmap_add(&map, 0x300fff, 2, MEM_RESERVED);
	check_form();
	assert_int_equal(map.count, 4);
	expect_range(0, 0, 0x9f000, MEM_RAM, 0);
	expect_range(1, 0x9f000, 0xa0000, MEM_RESERVED, 0);
	expect_range(2, 0x101000, 0x102000, MEM_RAM, 0);
	expect_range(3, 0x300000, 0x302000, MEM_RESERVED, 0);
	assert_int_equal(memmap_ram_pages(&map), 0x9f + 1);
	assert_int_equal(memmap_end_pfn(&map), 0x102);
}

static void test_reserved_wins_in_any_order(void **state)
{
	(void)state;
	memmap_add(&map, 0x3000, 0x2000, MEM_RESERVED);
	memmap_add(&map, 0x0, 0x8000, MEM_RAM);
	memmap_add(&map, 0x6000, 0x1000, MEM_RESERVED);
	check_form();
	assert_int_equal(map.count, 5);
	expect_range(0, 0, 0x3000, MEM_RAM, 0);
	expect_range(1, 0x3000, 0x5000, MEM_RESERVED, 0);
	expect_range(2, 0x5000, 0x6000, MEM_RAM, 0);
	expect_range(3, 0x6000, 0x7000, MEM_RESERVED, 0);
	expect_range(4, 0x7000, 0x8000, MEM_RAM, 0);
	memmap_add(&map, 0, 0x10000, MEM_RESERVED);
	assert_int_equal(map.count, 1);
	expect_range(0, 0, 0x10000, MEM_RESERVED, 0);
	assert_int_equal(memmap_ram_pages(&map), 0);
	assert_int_equal(memmap_end_pfn(&map), 0);
}

static void test_touch(void **state)
{
	(void)state;
	memmap_add(&map, 0, 0x10000, MEM_RAM);
	memmap_add(&map, 0x8000, 0x1000, MEM_RESERVED);
	memmap_touch(&map, 0x2fff, 2, TOUCHED_FIRMWARE);
	memmap_touch(&map, 0x3000, 0x10000000, TOUCHED_LOADER);
	memmap_touch(&map, 0x4000, 0x1000, TOUCHED_OURS);
	check_form();
	assert_int_equal(map.count, 7);
	expect_range(0, 0, 0x2000, MEM_RAM, TOUCHED_NOBODY);
	expect_range(1, 0x2000, 0x3000, MEM_RAM, TOUCHED_FIRMWARE);
	expect_range(2, 0x3000, 0x4000, MEM_RAM, TOUCHED_LOADER);
	expect_range(3, 0x4000, 0x5000, MEM_RAM, TOUCHED_OURS);
	expect_range(4, 0x5000, 0x8000, MEM_RAM, TOUCHED_LOADER);
	expect_range(5, 0x8000, 0x9000, MEM_RESERVED, 0);
	expect_range(6, 0x9000, 0x10000, MEM_RAM, TOUCHED_LOADER);
	/* adding the RAM once more does not forget who touched it */
	memmap_add(&map, 0, 0x10000, MEM_RAM);
	assert_int_equal(map.count, 7);
}

static void test_nonsense_is_ignored(void **state)
{
	(void)state;
	memmap_add(&map, 0x1000, 0, MEM_RAM);
	memmap_add(&map, 0x1001, 0xffe, MEM_RAM);
	memmap_add(&map, 0xfffffffffffff000ull, 0x2000, MEM_RAM);
	memmap_add(&map, 0xfffffffffffff000ull, 0x1000, MEM_RESERVED);
	memmap_add(&map, 0x1000, UINT64_MAX, MEM_RESERVED);
	memmap_add(&map, 1ull << 52, GIB, MEM_RAM);
	memmap_touch(&map, 0, 0, TOUCHED_OURS);
	memmap_touch(&map, 0x1000, UINT64_MAX, TOUCHED_OURS);
	assert_int_equal(map.count, 0);
	memmap_add(&map, (1ull << 52) - 0x1000, UINT64_MAX - (1ull << 52), MEM_RAM);
	assert_int_equal(map.count, 1);
	assert_int_equal(memmap_end_pfn(&map), 1ull << 40);
	assert_int_equal(memmap_ram_pages(&map), 1);
}

static void test_find(void **state)
{
	(void)state;
	assert_null(memmap_find(&map, 0));
	memmap_add(&map, 0x1000, 0x1000, MEM_RAM);
	memmap_add(&map, 0x3000, 0x1000, MEM_RESERVED);
	assert_null(memmap_find(&map, 0xfff));
	assert_ptr_equal(memmap_find(&map, 0x1000), &map.range[0]);
	assert_ptr_equal(memmap_find(&map, 0x1fff), &map.range[0]);
	assert_null(memmap_find(&map, 0x2000));
	assert_ptr_equal(memmap_find(&map, 0x3fff), &map.range[1]);
	assert_null(memmap_find(&map, 0x4000));
	assert_null(memmap_find(&map, UINT64_MAX));
}

static u32 random_state;

static u32 random_below(u32 n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

struct model_page {
	u8 type;
	u8 touched;
};

static struct model_page model[PAGES];

static void step(void)
{
	u32 from = random_below(PAGES - 1);
	u32 n = 1 + random_below(random_below(8) ? 6 : PAGES - from - 1);
	u32 op = random_below(4);

	if (from + n > PAGES)
		n = PAGES - from;
	for (u32 i = from; i < from + n; i++) {
		if (op == 0)
			model[i] = (struct model_page) {MEM_RESERVED, 0};
		else if (op == 1 && !model[i].type)
			model[i].type = MEM_RAM;
		else if (op > 1 && model[i].type == MEM_RAM)
			model[i].touched = (u8)(op - 1);
	}
	if (op < 2)
		memmap_add(&map, (u64)from * PAGE_BYTES, (u64)n * PAGE_BYTES,
			op == 0 ? MEM_RESERVED : MEM_RAM);
	else
		memmap_touch(&map, (u64)from * PAGE_BYTES, (u64)n * PAGE_BYTES, op - 1);
}

/* Every page as in the model; with @dropped, RAM may be missing but nothing be invented. */
static void compare_with_model(bool dropped)
{
	u64 ram = 0;

	for (u32 i = 0; i < PAGES; i++) {
		const struct mem_range *r = memmap_find(&map, (u64)i * PAGE_BYTES);

		ram += r && r->type == MEM_RAM;
		if (dropped && (!r || r->type != MEM_RAM))
			continue;
		assert_int_equal(r ? r->type : 0, model[i].type);
		if (!dropped)
			assert_int_equal(r ? r->touched : 0, model[i].touched);
	}
	assert_int_equal(memmap_ram_pages(&map), ram);
}

static void test_against_model(void **state)
{
	for (u32 seed = 1; seed <= 300; seed++) {
		random_state = seed;
		memset(model, 0, sizeof(model));
		setup(state);
		for (u32 i = 0; i < 1 + seed % 60; i++) {
			step();
			check_form();
		}
		assert_int_equal(map.dropped, 0);
		compare_with_model(false);
	}
}

static void test_overfull_never_invents_ram(void **state)
{
	u32 overfull = 0;

	for (u32 seed = 1; seed <= 100; seed++) {
		random_state = seed;
		memset(model, 0, sizeof(model));
		setup(state);
		/* fragments first, so that the table is full when the rest comes */
		for (u32 i = 0; i < PAGES; i += 2) {
			u32 type = random_below(3) ? MEM_RAM : MEM_RESERVED;

			model[i].type = (u8)type;
			memmap_add(&map, (u64)i * PAGE_BYTES, PAGE_BYTES, type);
		}
		for (u32 i = 0; i < 40; i++) {
			step();
			check_form();
			compare_with_model(true);
		}
		overfull += map.dropped > 0;
	}
	assert_int_equal(overfull, 100);
}

static void test_overfull_keeps_the_largest(void **state)
{
	(void)state;
	memmap_add(&map, GIB, GIB, MEM_RAM);
	for (u32 i = 0; i < 800; i++)
		memmap_add(&map, (u64)i * 3 * PAGE_BYTES, PAGE_BYTES * (1 + i % 2), MEM_RAM);
	check_form();
	assert_int_equal(map.count, MEMMAP_MAX);
	assert_true(map.dropped >= 800 - MEMMAP_MAX);
	assert_non_null(memmap_find(&map, GIB));
	assert_int_equal(memmap_end_pfn(&map), 2 * GIB >> PAGE_SHIFT);
	assert_int_equal(memmap_ram_pages(&map), (GIB >> PAGE_SHIFT) + 400 * 2 + 111);
}

static void test_overfull_of_reserved(void **state)
{
	(void)state;
	for (u32 i = 0; i < 800; i++)
		memmap_add(&map, (u64)i * 2 * PAGE_BYTES, PAGE_BYTES, MEM_RESERVED);
	check_form();
	assert_int_equal(map.count, MEMMAP_MAX);
	memmap_add(&map, 0, 1600 * PAGE_BYTES, MEM_RAM);
	check_form();
	for (u32 i = 0; i < 800; i++) {
		const struct mem_range *r = memmap_find(&map, (u64)i * 2 * PAGE_BYTES);

		assert_non_null(r);
		assert_int_equal(r->type, MEM_RESERVED);
	}
}

static void test_has(void **state)
{
	(void)state;
	assert_false(memmap_has(&map, 0, UINT64_MAX, MEM_RAM));
	memmap_add(&map, 0x2000, 0x1000, MEM_RAM);
	memmap_add(&map, 0x3000, 0x1000, MEM_RESERVED);
	memmap_add(&map, 0x8000, 0x1000, MEM_RAM);
	assert_false(memmap_has(&map, 0, 0x2000, MEM_RAM));
	assert_true(memmap_has(&map, 0, 0x2001, MEM_RAM));
	assert_true(memmap_has(&map, 0x2fff, 1, MEM_RAM));
	assert_false(memmap_has(&map, 0x2000, 0x1000, MEM_RESERVED));
	assert_true(memmap_has(&map, 0x2000, 0x1001, MEM_RESERVED));
	assert_false(memmap_has(&map, 0x3000, 0x5000, MEM_RAM));
	assert_true(memmap_has(&map, 0x3000, 0x5001, MEM_RAM));
	assert_false(memmap_has(&map, 0x2000, 0, MEM_RAM));
	assert_false(memmap_has(&map, 0x9000, UINT64_MAX - 0x9000, MEM_RAM));
}

/* The two ranges that are joined to make room are those around the new one. */
static void test_overfull_between_the_closest(void **state)
{
	for (u32 touch = 0; touch < 2; touch++) {
		setup(state);
		memmap_add(&map, 0, PAGE_BYTES, MEM_RESERVED);
		memmap_add(&map, 4 * PAGE_BYTES, PAGE_BYTES, MEM_RESERVED);
		for (u32 i = 2; i < MEMMAP_MAX; i++)
			memmap_add(&map, (u64)i * MIB, PAGE_BYTES, MEM_RESERVED);
		assert_int_equal(map.count, MEMMAP_MAX);
		if (touch)
			memmap_touch(&map, 2 * PAGE_BYTES, PAGE_BYTES, TOUCHED_OURS);
		else
			memmap_add(&map, 2 * PAGE_BYTES, PAGE_BYTES, MEM_RESERVED);
		check_form();
		assert_int_equal(memmap_ram_pages(&map), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rounding, setup),
		cmocka_unit_test_setup(test_reserved_wins_in_any_order, setup),
		cmocka_unit_test_setup(test_touch, setup),
		cmocka_unit_test_setup(test_nonsense_is_ignored, setup),
		cmocka_unit_test_setup(test_find, setup),
		cmocka_unit_test_setup(test_has, setup),
		cmocka_unit_test_setup(test_against_model, setup),
		cmocka_unit_test_setup(test_overfull_never_invents_ram, setup),
		cmocka_unit_test_setup(test_overfull_keeps_the_largest, setup),
		cmocka_unit_test_setup(test_overfull_of_reserved, setup),
		cmocka_unit_test_setup(test_overfull_between_the_closest, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
