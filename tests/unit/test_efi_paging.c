/*
 * Which memory firmware's page tables show at its own address, with tables of all depths. They lie
 * in the test's own memory, at whatever address that has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "boot/efi.h"

#define ENTRIES 512u
#define TABLES	8u
#define PRESENT 3ull
#define LARGE	0x80ull
#define NX	(1ull << 63)
#define PAT	0x1000ull /* of a large page */

static _Alignas(PAGE_BYTES) u64 table[TABLES][ENTRIES];
static struct efi_paging paging;
static struct memmap map;

/* 0-2 MiB by 4 KiB pages, up to 1 GiB by 2 MiB, the second GiB by one. */
static int setup(void **state)
{
	(void)state;
	memset(table, 0, sizeof(table));
	table[0][0] = (u64)table[1] | PRESENT;
	table[1][0] = (u64)table[2] | PRESENT;
	table[2][0] = (u64)table[3] | PRESENT;
	table[2][1] = GIB | PRESENT | LARGE | NX | PAT;
	table[3][0] = (u64)table[4] | PRESENT;
	for (u64 i = 0; i < ENTRIES; i++)
		table[4][i] = i * PAGE_BYTES | PRESENT;
	for (u64 i = 1; i < ENTRIES; i++)
		table[3][i] = i * 2 * MIB | PRESENT | LARGE;
	paging = (struct efi_paging) {(u64)table[1], 4};
	memset(&map, 0, sizeof(map));
	return 0;
}

static u64 end(u64 pa, u64 to)
{
	return efi_paging_end(&paging, pa, to);
}

static void test_shown(void **state)
{
	(void)state;
	assert_int_equal(end(PAGE_BYTES, 2 * MIB), 2 * MIB);
	assert_int_equal(end(0, GIB), GIB);
	assert_int_equal(end(MIB, MIB + 1), MIB + 1);
	assert_int_equal(end(4 * MIB, 4 * MIB), 4 * MIB);
	assert_int_equal(end(GIB - MIB, 3ull * GIB), 2ull * GIB);
	assert_int_equal(end(5ull * GIB, 6ull * GIB), 5ull * GIB);
	paging = (struct efi_paging) {(u64)table[0], 5};
	assert_int_equal(end(0, 4ull * GIB), 2ull * GIB);
	assert_int_equal(end(1ull << 48, 1ull << 49), 1ull << 48);
}

static void test_holes(void **state)
{
	(void)state;
	table[4][7] = 0;
	assert_int_equal(end(0, MIB), 7 * PAGE_BYTES);
	table[4][7] = 8 * PAGE_BYTES | PRESENT; /* somewhere else */
	assert_int_equal(end(0, MIB), 7 * PAGE_BYTES);
	table[3][3] &= ~PRESENT;
	assert_int_equal(end(4 * MIB, GIB), 6 * MIB);
	table[3][3] = 8 * MIB | PRESENT | LARGE;
	assert_int_equal(end(4 * MIB, GIB), 6 * MIB);
	table[2][1] = 3ull * GIB | PRESENT | LARGE;
	assert_int_equal(end(GIB, 2ull * GIB), GIB);
	/* A bit that means something else further up does not end the walk. */
	setup(NULL);
	table[1][0] |= LARGE;
	assert_int_equal(end(0, GIB), GIB);
}

static void expect(u32 i, u64 pa, u64 to, u32 type)
{
	assert_true(i < map.count);
	assert_int_equal(map.range[i].pa, pa);
	assert_int_equal(map.range[i].bytes, to - pa);
	assert_int_equal(map.range[i].type, type);
}

static void test_cut(void **state)
{
	(void)state;
	memmap_add(&map, 0, 640 * KIB, MEM_RAM);
	memmap_add(&map, MIB, 3ull * GIB, MEM_RAM);
	memmap_touch(&map, 16 * MIB, MIB, TOUCHED_FIRMWARE);
	table[4][7] = 0;
	table[3][8] = 0; /* 16 MiB to 18 */
	efi_paging_cut(&paging, &map);
	expect(0, 0, PAGE_BYTES, MEM_RESERVED);
	expect(1, PAGE_BYTES, 7 * PAGE_BYTES, MEM_RAM);
	expect(2, 7 * PAGE_BYTES, 8 * PAGE_BYTES, MEM_RESERVED);
	expect(3, 8 * PAGE_BYTES, 640 * KIB, MEM_RAM);
	expect(4, MIB, 16 * MIB, MEM_RAM);
	expect(5, 16 * MIB, 18 * MIB, MEM_RESERVED);
	expect(6, 18 * MIB, 2ull * GIB, MEM_RAM);
	expect(7, 2ull * GIB, MIB + 3ull * GIB, MEM_RESERVED);
	assert_int_equal(map.count, 8);
}

/* More holes than the map has room for: what is left of RAM is shown. */
static void test_many_holes(void **state)
{
	(void)state;
	memmap_add(&map, 0, GIB, MEM_RAM);
	for (u32 i = 1; i < ENTRIES; i += 2)
		table[3][i] = 0;
	for (u32 i = 1; i < ENTRIES; i += 2)
		table[4][i] = 0;
	efi_paging_cut(&paging, &map);
	assert_true(map.dropped > 0);
	assert_true(memmap_ram_pages(&map) > 0);
	for (u32 i = 0; i < map.count; i++) {
		const struct mem_range *r = &map.range[i];

		if (r->type == MEM_RAM)
			assert_int_equal(end(r->pa, r->pa + r->bytes), r->pa + r->bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_shown, setup),
		cmocka_unit_test_setup(test_holes, setup),
		cmocka_unit_test_setup(test_cut, setup),
		cmocka_unit_test_setup(test_many_holes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
