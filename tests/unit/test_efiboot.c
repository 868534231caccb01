/*
 * Firmware's memory map in our terms, and the choice of the image's place in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "efiboot.h"

#define STEP	48u
#define ENTRIES 64u

enum {
	RESERVED,
	LOADER_CODE,
	LOADER_DATA,
	BS_CODE,
	BS_DATA,
	RT_CODE,
	RT_DATA,
	FREE,
	BAD,
	ACPI
};

static struct memmap map;
static u8 table[ENTRIES * STEP];
static u32 entries;

static int setup(void **state)
{
	(void)state;
	memset(&map, 0, sizeof(map));
	memset(table, 0xee, sizeof(table));
	entries = 0;
	return 0;
}

static void add(u32 type, u64 pa, u64 pages)
{
	u64 field[5] = {type, pa, 0, pages, 0xf};

	memcpy(table + entries++ * STEP, field, sizeof(field));
}

static void build(void)
{
	assert_true(efiboot_memmap(table, entries * STEP, STEP, &map));
}

static void check(u64 pa, u32 type, u32 touched)
{
	const struct mem_range *r = memmap_find(&map, pa);

	assert_non_null(r);
	assert_int_equal(r->type, type);
	assert_int_equal(r->touched, touched);
}

static void test_types(void **state)
{
	(void)state;
	for (u32 type = 0; type < 20; type++)
		add(type, type * 16ull * PAGE_BYTES, 16);
	build();
	for (u32 type = 0; type < 20; type++) {
		bool firmware = type >= LOADER_CODE && type <= BS_DATA;
		bool ram = firmware || type == FREE;

		check(type * 16ull * PAGE_BYTES, ram ? MEM_RAM : MEM_RESERVED,
			firmware ? TOUCHED_FIRMWARE : TOUCHED_NOBODY);
	}
	assert_int_equal(memmap_ram_pages(&map), 5 * 16);
}

static void test_order_and_overlap(void **state)
{
	(void)state;
	add(FREE, 4 * GIB, 0x1000);
	add(BS_DATA, 16 * MIB, 256);
	add(FREE, 1 * MIB, 15 * 256);
	add(RT_DATA, 2 * MIB, 1); /* inside the one before */
	build();
	check(2 * MIB, MEM_RESERVED, TOUCHED_NOBODY);
	check(2 * MIB + PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	check(16 * MIB, MEM_RAM, TOUCHED_FIRMWARE);
	check(4 * GIB, MEM_RAM, TOUCHED_NOBODY);
	for (u32 i = 1; i < map.count; i++)
		assert_true(map.range[i - 1].pa + map.range[i - 1].bytes <= map.range[i].pa);
}

static void test_absurd(void **state)
{
	(void)state;
	assert_false(efiboot_memmap(table, sizeof(table), 0, &map));
	assert_false(efiboot_memmap(table, sizeof(table), 39, &map));
	assert_int_equal(map.count, 0);
	add(FREE, UINT64_MAX & ~0xfffull, 2); /* wraps */
	add(FREE, 1 * MIB, UINT64_MAX);	      /* pages beyond any address */
	add(FREE, 0, 0);
	build();
	assert_true(memmap_end_pfn(&map) <= 1ull << 40);
	/* more pages than there are addresses, whose bytes would wrap to few */
	setup(NULL);
	add(RESERVED, 1 * MIB, (1ull << 52) + 1);
	add(FREE, 1ull << 40, 1);
	build();
	check(1ull << 40, MEM_RESERVED, TOUCHED_NOBODY);
	/* a rest shorter than a descriptor */
	setup(NULL);
	add(FREE, 1 * MIB, 1);
	add(FREE, 2 * MIB, 1);
	assert_true(efiboot_memmap(table, 2 * STEP - 1, STEP, &map));
	assert_int_equal(memmap_ram_pages(&map), 1);
}

static u64 place(const struct efiboot_range *avoid, u32 avoids, bool *took_free)
{
	return efiboot_place(&map, MIB, avoid, avoids, took_free);
}

static void test_place(void **state)
{
	const struct efiboot_range avoid[] = {
		{16 * MIB + 3, 5},
		{17 * MIB + 8, 8},
	};
	bool took_free;

	(void)state;
	add(BS_DATA, 0, 512); /* low memory does not count: from 1 MiB on it fits just so */
	add(FREE, 2 * MIB, 14 * 256);
	add(BS_CODE, 16 * MIB, 128); /* two of one kind to us */
	add(LOADER_DATA, 16 * MIB + 128 * PAGE_BYTES, 640);
	build();
	assert_int_equal(place(NULL, 0, &took_free), MIB);
	assert_false(took_free);
	setup(NULL);
	add(BS_DATA, 0, 511);
	add(FREE, 2 * MIB, 14 * 256);
	add(BS_CODE, 16 * MIB, 128);
	add(LOADER_DATA, 16 * MIB + 128 * PAGE_BYTES, 640);
	build();
	assert_int_equal(place(NULL, 0, &took_free), 16 * MIB);
	/* behind the first one it would meet the second; behind that it fits */
	assert_int_equal(place(avoid, 1, &took_free), 16 * MIB + PAGE_BYTES);
	assert_int_equal(place(avoid, 2, &took_free), 17 * MIB + PAGE_BYTES);
	assert_false(took_free);
}

static void test_place_in_free_memory(void **state)
{
	const struct efiboot_range avoid[] = {{3 * MIB - 8, 8}, {2 * MIB, 8}, {MIB + 5, 1}};
	bool took_free;

	(void)state;
	add(BS_DATA, 16 * MIB, 255);
	add(FREE, 1 * MIB, 512);
	add(FREE, 8 * GIB, 255);
	build();
	assert_int_equal(place(NULL, 0, &took_free), 2 * MIB);
	assert_true(took_free);
	assert_int_equal(place(avoid, 1, &took_free), 2 * MIB - PAGE_BYTES);
	assert_int_equal(place(avoid, 2, &took_free), MIB);
	assert_int_equal(place(avoid, 3, &took_free), 0);
	assert_false(took_free);
}

static void test_no_place(void **state)
{
	bool took_free = true;

	(void)state;
	assert_int_equal(place(NULL, 0, &took_free), 0);
	add(RESERVED, 1 * MIB, 4096);
	add(FREE, 0, 256);
	build();
	assert_int_equal(place(NULL, 0, &took_free), 0);
	assert_false(took_free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_types, setup),
		cmocka_unit_test_setup(test_order_and_overlap, setup),
		cmocka_unit_test_setup(test_absurd, setup),
		cmocka_unit_test_setup(test_place, setup),
		cmocka_unit_test_setup(test_place_in_free_memory, setup),
		cmocka_unit_test_setup(test_no_place, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
