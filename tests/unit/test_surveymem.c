/*
 * A survey's work on memory, alone: what is filled, how it is sampled, what a memory map becomes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pattern.h"
#include "surveymem.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES    (12u * MIB)
#define SEED	     0x1234567890abcdefull
#define PAGES(bytes) ((bytes) / PAGE_BYTES)

static u8 *ram;
static struct memmap map;
static struct physmem pm;
static struct dl_survey_range range[DL_SURVEY_RANGES];
static struct lostmap lost;
static u64 told, told_done, told_total;

static int setup(void **state)
{
	(void)state;
	host_reset_all();
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	assert_non_null(ram);
	for (u64 i = 0; i < RAM_BYTES; i++)
		ram[i] = (u8)(i * 7 + (i >> 12) * 13);
	host_ram_set(ram, RAM_BYTES);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	physmem_init(&pm, &map);
	lost = (struct lostmap) {.range = range, .max = DL_SURVEY_RANGES};
	told = 0;
	told_done = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	host_reset_all();
	return 0;
}

static bool has_pattern(u64 pa)
{
	return pattern_holds(ram + pa, pa >> PAGE_SHIFT, SEED);
}

static void tell(void *ctx, u64 done, u64 total)
{
	assert_ptr_equal(ctx, &map);
	assert_true(done > told_done && done - told_done <= PAGES(2 * MIB));
	told++;
	told_done = done;
	told_total = total;
}

static const struct surveymem_progress progress = {tell, &map};

/* Holes, edges inside 2 MiB, and memory that somebody has. */
static void make_holes(void)
{
	memmap_add(&map, 0xa0000, 0x60000, MEM_RESERVED);
	memmap_add(&map, 5 * MIB - PAGE_BYTES, 2 * PAGE_BYTES, MEM_RESERVED);
	memmap_touch(&map, 0x8000, 0x1000, TOUCHED_LOADER);
	memmap_touch(&map, 0x20000, 0x10000, TOUCHED_OURS);
	memmap_touch(&map, 7 * MIB, 3 * PAGE_BYTES, TOUCHED_FIRMWARE);
}

static void test_fill(void **state)
{
	u8 *before = malloc(RAM_BYTES);
	u64 filled;
	u64 n = 0;

	(void)state;
	assert_non_null(before);
	memcpy(before, ram, RAM_BYTES);
	make_holes();
	filled = surveymem_fill(&map, SEED, &progress);
	for (u64 pa = 0; pa < RAM_BYTES; pa += PAGE_BYTES) {
		const struct mem_range *r = memmap_find(&map, pa);

		n += has_pattern(pa);
		if (r->type == MEM_RAM && r->touched == TOUCHED_NOBODY)
			assert_true(has_pattern(pa));
		else
			assert_memory_equal(ram + pa, before + pa, PAGE_BYTES);
	}
	assert_int_equal(filled, n);
	assert_int_equal(filled, PAGES(RAM_BYTES) - 0x60 - 2 - 1 - 0x10 - 3);
	assert_int_equal(surveymem_pages(&map), filled);
	assert_int_equal(told_done, filled);
	assert_int_equal(told_total, filled);
	free(before);
}

static void test_compare(void **state)
{
	(void)state;
	make_holes();
	surveymem_fill(&map, SEED, NULL);
	assert_int_equal(surveymem_compare(&pm, SEED, &lost, &progress), surveymem_pages(&map));
	assert_int_equal(told_done, told_total);
	assert_int_equal(lost.count, 3);
	assert_int_equal(range[0].why, DL_LOST_LOADER);
	assert_int_equal(range[1].why, DL_LOST_OURS);
	assert_int_equal(range[2].why, DL_LOST_FIRMWARE);
	/* The same again with changes: in the first and last page, across 2 MiB, beside others. */
	ram[0] ^= 1;
	ram[RAM_BYTES - 1] ^= 1;
	ram[4 * MIB - 1] ^= 1;
	ram[4 * MIB] ^= 1;
	ram[0x9000] ^= 1;
	surveymem_compare(&pm, SEED, &lost, NULL);
	assert_int_equal(lost.count, 7);
	assert_int_equal(range[0].pa, 0);
	assert_int_equal(range[0].why, DL_LOST_CHANGED);
	assert_int_equal(range[1].pa, 0x8000);
	assert_int_equal(range[1].bytes, PAGE_BYTES);
	assert_int_equal(range[2].pa, 0x9000);
	assert_int_equal(range[2].why, DL_LOST_CHANGED);
	assert_int_equal(range[4].pa, 4 * MIB - PAGE_BYTES);
	assert_int_equal(range[4].bytes, 2 * PAGE_BYTES);
	assert_int_equal(range[6].pa, RAM_BYTES - PAGE_BYTES);
	assert_int_equal(lostmap_pages(&lost), 1 + 1 + 1 + 0x10 + 2 + 3 + 1);
}

static void test_sample(void **state)
{
	struct surveymem_sample s;

	(void)state;
	make_holes();
	surveymem_sample(&pm, SEED, &s);
	assert_true(s.looked > 1000 && s.looked <= SURVEYMEM_SAMPLES);
	assert_int_equal(s.held, 0);
	assert_int_equal(s.wiped, 0);
	surveymem_fill(&map, SEED, NULL);
	surveymem_sample(&pm, SEED, &s);
	assert_int_equal(s.held, s.looked);
	surveymem_sample(&pm, SEED + 1, &s);
	assert_int_equal(s.held, 0);
	/* The last third shows as that, so the sample goes to the end. */
	memset(ram + 8 * MIB, 0xff, 4 * MIB);
	surveymem_sample(&pm, SEED, &s);
	assert_in_range(s.wiped, s.looked * 3 / 10, s.looked * 4 / 10);
	assert_int_equal(s.held + s.wiped, s.looked);
	memset(ram, 0, 4 * MIB);
	surveymem_sample(&pm, SEED, &s);
	assert_in_range(s.wiped, s.looked * 6 / 10, s.looked * 7 / 10);
	/* Another word all over is not what wiped memory looks like. */
	memset(ram + 4 * MIB, 0x55, 4 * MIB);
	surveymem_sample(&pm, SEED, &s);
	assert_in_range(s.wiped, s.looked * 6 / 10, s.looked * 7 / 10);
}

static void test_no_memory_to_sample(void **state)
{
	struct surveymem_sample s;

	(void)state;
	memmap_touch(&map, 0, RAM_BYTES, TOUCHED_OURS);
	surveymem_sample(&pm, SEED, &s);
	assert_int_equal(s.looked, 0);
	assert_int_equal(surveymem_fill(&map, SEED, NULL), 0);
	assert_int_equal(surveymem_compare(&pm, SEED, &lost, NULL), 0);
	assert_int_equal(lost.count, 1);
}

static void lose(u64 pa, u64 bytes)
{
	lostmap_add(&lost, pa, bytes, DL_LOST_CHANGED);
}

static u32 touched(u64 pa)
{
	const struct mem_range *r = memmap_find(&map, pa);

	return r && r->type == MEM_RAM ? r->touched : 99;
}

static void test_apply(void **state)
{
	(void)state;
	make_holes();
	lose(0x7000, 0x20000);
	lose(5 * MIB - 4 * PAGE_BYTES, 8 * PAGE_BYTES);
	lose(7 * MIB, PAGE_BYTES);
	lose(11 * MIB, 64 * MIB);
	assert_true(surveymem_apply(&map, &lost));
	assert_int_equal(touched(0x6000), TOUCHED_NOBODY);
	assert_int_equal(touched(0x7000), TOUCHED_SURVEY);
	assert_int_equal(touched(0x8000), TOUCHED_LOADER);
	assert_int_equal(touched(0x9000), TOUCHED_SURVEY);
	assert_int_equal(touched(0x1f000), TOUCHED_SURVEY);
	assert_int_equal(touched(0x20000), TOUCHED_OURS);
	assert_int_equal(touched(5 * MIB - 4 * PAGE_BYTES), TOUCHED_SURVEY);
	assert_int_equal(touched(5 * MIB), 99);
	assert_int_equal(touched(5 * MIB + PAGE_BYTES), TOUCHED_SURVEY);
	assert_int_equal(touched(5 * MIB + 4 * PAGE_BYTES), TOUCHED_NOBODY);
	assert_int_equal(touched(7 * MIB), TOUCHED_FIRMWARE);
	assert_int_equal(touched(11 * MIB - 1), TOUCHED_NOBODY);
	assert_int_equal(touched(RAM_BYTES - 1), TOUCHED_SURVEY);
	assert_int_equal(map.dropped, 0);
	/* That at 7 MiB said nothing new. */
	assert_int_equal(lost.count, 3);
}

/* However full the map is, and however many ranges there are. */
static void test_apply_to_a_full_map(void **state)
{
	teardown(state);
	for (u32 entries = 0; entries <= MEMMAP_MAX / 2; entries += 16) {
		u64 pages;
		u32 before;

		setup(state);
		for (u32 i = 0; i < entries; i++)
			memmap_touch(&map, i * 6ull * PAGE_BYTES, PAGE_BYTES, TOUCHED_FIRMWARE);
		assert_true(map.dropped == 0 && map.count >= entries);
		for (u32 i = 0; i < 900; i++)
			lose(i * 3ull * PAGE_BYTES + 2 * PAGE_BYTES, PAGE_BYTES);
		pages = memmap_ram_pages(&map);
		before = map.count;
		/* Only where the map holds all it can is there no room for a single mark. */
		assert_int_equal(surveymem_apply(&map, &lost), before < MEMMAP_MAX - 1);
		assert_int_equal(map.dropped, 0);
		assert_int_equal(memmap_ram_pages(&map), pages);
		for (u32 i = 0; i < 900 && map.count < MEMMAP_MAX - 1; i++)
			assert_int_not_equal(
				touched(i * 3ull * PAGE_BYTES + 2 * PAGE_BYTES), TOUCHED_NOBODY);
		for (u32 i = 0; i < entries; i++)
			assert_int_equal(touched(i * 6ull * PAGE_BYTES), TOUCHED_FIRMWARE);
		teardown(state);
	}
	setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compare, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sample, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory_to_sample, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply_to_a_full_map, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
