/*
 * Page table walks in a made-up RAM: page sizes, levels, every reason to refuse, tables
 * that point at themselves, reads across pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "oldkernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES (4u * MIB)
#define ROOT	  0x1000u
#define T4	  0x2000u
#define T3	  0x3000u
#define T2	  0x4000u
#define T1	  0x5000u
#define NX	  (1ull << 63)
#define PAT_LARGE (1ull << 12)
#define BIT7	  (1ull << 7)

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct pagetable pt;

static void set_entry(u64 table, u32 index, u64 value)
{
	memcpy(image + table + index * 8, &value, 8);
}

/* Four levels: root[273] -> T3[5] -> T2[6] -> T1[7] -> data. */
#define VA4 (0xffff000000000000ull | 273ull << 39 | 5ull << 30 | 6ull << 21 | 7ull << 12)
#define VA5                                                                                        \
	(0xfe00000000000000ull | 300ull << 48 | 273ull << 39 | 5ull << 30 | 6ull << 21 | 7ull << 12)

static int setup(void **state)
{
	(void)state;
	image = calloc(1, RAM_BYTES);
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	host_windows_private(false);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	physmem_init(&pm, &map);
	pt = (struct pagetable) {.root_pa = T4, .levels = 4};
	set_entry(ROOT, 300, T4 | 3);
	set_entry(T4, 273, T3 | 3);
	set_entry(T3, 5, T2 | 3);
	set_entry(T2, 6, T1 | 3);
	set_entry(T1, 7, 0x9000 | 3 | NX);
	return image ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	host_reset_all();
	free(image);
	return 0;
}

static void expect_pa(u64 va, u64 want)
{
	u64 pa = 1;

	assert_int_equal(pagetable_walk(&pm, &pt, va, &pa), OK);
	assert_true(pa == want);
}

static void expect_fail(u64 va, enum status want)
{
	u64 pa;

	assert_int_equal(pagetable_walk(&pm, &pt, va, &pa), want);
}

static void test_4k(void **state)
{
	(void)state;
	expect_pa(VA4, 0x9000);
	expect_pa(VA4 + 0xfff, 0x9fff);
	expect_fail(VA4 + 0x1000, E_PAGETABLE);
	expect_fail(VA4 - 1, E_PAGETABLE);
	/* at the last level bit 7 is a memory type, bits 52 and up are no address */
	set_entry(T1, 7, 0x9000 | 3 | BIT7 | 0x7ffull << 52);
	expect_pa(VA4 + 8, 0x9008);
	/* the result need not be RAM */
	set_entry(T1, 7, 0xffffffffff000ull | 1);
	expect_pa(VA4 + 8, 0xffffffffff008ull);
}

static void test_2m(void **state)
{
	(void)state;
	set_entry(T2, 6, 0x40000000 | 3 | BIT7 | PAT_LARGE | NX);
	expect_pa(VA4 + 0x123, 0x40000000 + 0x7000 + 0x123);
	expect_pa((VA4 & ~0x1fffffull) + 0x1fffff, 0x401fffff);
	set_entry(T2, 6, 0x401ff000 | 3 | BIT7);
	expect_pa(VA4, 0x40007000);
}

static void test_1g(void **state)
{
	(void)state;
	set_entry(T3, 5, 0x17fffe0000000ull | 3 | BIT7 | PAT_LARGE);
	expect_pa(VA4 + 0x123, (0x17fffe0000000ull & ~0x3fffffffull) + (6 << 21) + 0x7123);
}

static void test_no_larger_pages(void **state)
{
	(void)state;
	set_entry(T4, 273, T3 | 3 | BIT7);
	expect_fail(VA4, E_PAGETABLE);
	pt = (struct pagetable) {.root_pa = ROOT, .levels = 5};
	expect_fail(VA5, E_PAGETABLE);
	set_entry(T4, 273, T3 | 3);
	set_entry(ROOT, 300, T4 | 3 | BIT7);
	expect_fail(VA5, E_PAGETABLE);
}

static void test_five_levels(void **state)
{
	(void)state;
	pt = (struct pagetable) {.root_pa = ROOT, .levels = 5};
	expect_pa(VA5 + 0x10, 0x9010);
	expect_fail(VA5 ^ 1ull << 48, E_PAGETABLE);
}

static void test_canonical(void **state)
{
	(void)state;
	set_entry(T4, 17, T3 | 3);
	expect_pa(17ull << 39 | (VA4 & 0x7fffffffff), 0x9000);
	expect_fail(VA4 & 0xffffffffffffull, E_PAGETABLE);
	expect_fail(VA4 ^ 1ull << 63, E_PAGETABLE);
	expect_fail(VA4 ^ 1ull << 48, E_PAGETABLE);
	pt = (struct pagetable) {.root_pa = ROOT, .levels = 5};
	expect_fail(VA5 ^ 1ull << 57, E_PAGETABLE);
	expect_fail(VA5 ^ 1ull << 63, E_PAGETABLE);
}

static void test_not_present_at_each_level(void **state)
{
	static const u32 at[][2] = {{T4, 273}, {T3, 5}, {T2, 6}, {T1, 7}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		u64 was;

		memcpy(&was, image + at[i][0] + at[i][1] * 8, 8);
		set_entry(at[i][0], at[i][1], was & ~1ull);
		expect_fail(VA4, E_PAGETABLE);
		set_entry(at[i][0], at[i][1], was);
		expect_pa(VA4, 0x9000);
	}
}

static void test_table_outside_ram(void **state)
{
	(void)state;
	set_entry(T3, 5, RAM_BYTES | 3);
	expect_fail(VA4, E_NOT_RAM);
	set_entry(T3, 5, 0xffffffffff000ull | 3);
	expect_fail(VA4, E_NOT_RAM);
	set_entry(T3, 5, T2 | 3);
	memmap_add(&map, T2, PAGE_BYTES, MEM_RESERVED);
	physmem_init(&pm, &map);
	expect_fail(VA4, E_NOT_RAM);
	pt.root_pa = 1ull << 51;
	expect_fail(VA4, E_NOT_RAM);
}

static void test_tables_in_a_circle(void **state)
{
	(void)state;
	for (u32 i = 0; i < 512; i++)
		set_entry(T4, i, T4 | 3);
	expect_pa(VA4 + 5, T4 + 5);
	pt.levels = 5;
	expect_pa(VA5 + 5, T4 + 5);
}

static void test_memory_encryption(void **state)
{
	u64 c = 1ull << 47;

	(void)state;
	pt.sme_mask = c;
	set_entry(T4, 273, T3 | 3 | c);
	set_entry(T3, 5, T2 | 3 | c);
	set_entry(T2, 6, T1 | 3 | c);
	set_entry(T1, 7, 0x9000 | 3 | c);
	expect_pa(VA4, 0x9000);
	pt.sme_mask = 0;
	expect_fail(VA4, E_NOT_RAM);
}

static void test_odd_levels(void **state)
{
	static const u32 levels[] = {0, 1, 2, 3, 6, 7, 100, UINT32_MAX};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(levels); i++) {
		pt.levels = levels[i];
		expect_fail(VA4, E_PAGETABLE);
	}
}

static void test_read(void **state)
{
	u8 buf[0x1700];

	(void)state;
	for (u32 i = 0; i < 2 * PAGE_BYTES; i++)
		image[0x9000 + i] = (u8)(i * 5 + (i >> 12));
	/* two pages that lie the other way round */
	set_entry(T1, 7, 0xa000 | 1);
	set_entry(T1, 8, 0x9000 | 1);
	assert_int_equal(pagetable_read(&pm, &pt, VA4 + 0x900, buf, sizeof(buf)), OK);
	assert_memory_equal(buf, image + 0xa900, 0x700);
	assert_memory_equal(buf + 0x700, image + 0x9000, 0x1000);
	assert_int_equal(pagetable_read(&pm, &pt, VA4 + 0x901, buf, sizeof(buf)), E_PAGETABLE);
	set_entry(T1, 8, RAM_BYTES | 1);
	assert_int_equal(pagetable_read(&pm, &pt, VA4 + 0x900, buf, 0x701), E_NOT_RAM);
	assert_int_equal(pagetable_read(&pm, &pt, VA4 + 0x900, buf, 0x700), OK);
	assert_int_equal(pagetable_read(&pm, &pt, 0x123, buf, 0), OK);
}

static void test_read_at_the_end_of_addresses(void **state)
{
	u8 buf[16];

	(void)state;
	set_entry(T4, 511, T3 | 3);
	set_entry(T3, 511, T2 | 3);
	set_entry(T2, 511, T1 | 3);
	set_entry(T1, 511, 0x9000 | 3);
	memset(image + 0x9ff0, 0x77, 16);
	assert_int_equal(pagetable_read(&pm, &pt, UINT64_MAX - 15, buf, 16), OK);
	assert_int_equal(buf[15], 0x77);
	assert_int_equal(pagetable_read(&pm, &pt, UINT64_MAX - 15, buf, 17), E_PAGETABLE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_4k),
		T(test_2m),
		T(test_1g),
		T(test_no_larger_pages),
		T(test_five_levels),
		T(test_canonical),
		T(test_not_present_at_each_level),
		T(test_table_outside_ram),
		T(test_tables_in_a_circle),
		T(test_memory_encryption),
		T(test_odd_levels),
		T(test_read),
		T(test_read_at_the_end_of_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
