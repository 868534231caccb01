/*
 * Page maps whose page tables or memory were overwritten: no memory serves two parts,
 * none that is in use by others or was written to serves any.
 */
#include "pagemap_rig.h"

static u64 *entry(u64 pfn, u32 level)
{
	return fake_kernel_entry(&rig.fp.fk, fake_page_va(&rig.fp, pfn), level);
}

static void test_page_tables(void **state)
{
	u64 was;

	(void)state;
	rig_build();
	was = *entry(SECTION(1), 2);
	*entry(SECTION(1), 2) = 0;
	rig_expect_lost(1 << 1);
	*entry(SECTION(1), 2) = was | 1ull << 40;
	rig_expect_lost(1 << 1);
	*entry(SECTION(1), 2) = was & ~0x80ull;
	rig_expect_lost(1 << 1);
	*entry(SECTION(1), 2) = was;
	*entry(0, 4) = 0;
	assert_int_equal(rig_open(), OK);
	assert_false(rig_has(0));
	assert_int_equal(pagemap_coverage(&rig.m, &rig.map), 0);
}

/* Makes the piece of section @n show the memory of section @m, both low. */
static void alias(u64 n, u64 m)
{
	*entry(SECTION(n), 2) = *entry(SECTION(m), 2);
}

/* Eight sections in one piece: the one that is wrong is clear. */
static void test_one_memory_for_two(void **state)
{
	static const u8 damage[][2] = {{0, 1}, {0, 7}, {7, 0}, {6, 7}, {3, 4}, {4, 3}, {2, 6}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(damage) * 2; i++) {
		rig_teardown(NULL);
		rig_setup(NULL);
		memset(&rig.map, 0, sizeof(rig.map));
		munmap(rig.ram[0], RIG_BYTES);
		rig.ram[0] = rig_memory(2 * RIG_BYTES);
		host_ram_set(rig.ram[0], 2 * RIG_BYTES);
		memmap_add(&rig.map, 0, 2 * RIG_BYTES, MEM_RAM);
		rig.fp.down = i & 1;
		rig_build();
		alias(damage[i / 2][0], damage[i / 2][1]);
		assert_int_equal(rig_open(), OK);
		for (u32 n = 0; n < 8; n++)
			assert_int_equal(rig_has(SECTION(n)), n != damage[i / 2][0]);
		munmap(rig.ram[0] + RIG_BYTES, RIG_BYTES);
	}
}

/* Four and four: which is wrong is not clear where they are alone. */
static void test_one_memory_for_two_alike(void **state)
{
	(void)state;
	rig_build();
	alias(0, 3);
	rig_expect_lost(1 << 0 | 1 << 3);
	alias(1, 2);
	rig_expect_lost(0xf);
	/* two sections that show those of the other end */
	*entry(SECTION(0), 2) = *entry(RIG_HIGH_PFN, 2);
	*entry(SECTION(1), 2) = *entry(RIG_HIGH_PFN + SECTION(1), 2);
	rig_expect_lost(0x3f & ~0xc);
}

/* A line of its own four, broken by a missing piece, against another four: none is clear. */
static void test_one_memory_for_two_lines(void **state)
{
	(void)state;
	rig_build();
	for (u32 n = 0; n < 4; n++)
		*entry(RIG_HIGH_PFN + SECTION(n), 2) = *entry(0, 2) - (3 - n) * 2ull * MIB;
	*entry(SECTION(1), 2) = 0;
	rig_expect_lost(1 << 0 | 1 << 1 | 1 << 7);
}

/* Tracts that turn are two: no piece is taken for what it is not. */
static void test_tracts_turn(void **state)
{
	u64 was;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		rig_teardown(NULL);
		rig_setup(NULL);
		rig.fp.down = i;
		rig_build();
		was = *entry(0, 2);
		*entry(0, 2) = *entry(SECTION(1), 2);
		*entry(SECTION(1), 2) = was;
		rig_expect_lost(0);
		assert_int_equal(rig.m.tracts, 3);
	}
}

static void test_small_pages_in_memory_of_large(void **state)
{
	u64 table = 40 * MIB;
	u64 *pte = (u64 *)(void *)(rig.ram[0] + table);

	(void)state;
	rig_build();
	for (u32 i = 0; i < 512; i++)
		pte[i] = (rig.fp.part[1].pa + i * PAGE_BYTES) | 0x163;
	*entry(SECTION(1), 2) = table | 0x63;
	rig_expect_lost(0);
	pte[7] = rig.fp.part[2].pa | 0x163;
	rig_expect_lost(0);
	assert_true(rig_has(SECTION(1) + 7 * 64 - 1));
	assert_false(rig_has(SECTION(1) + 7 * 64));
	assert_false(rig_has(SECTION(1) + 8 * 64 - 1));
	assert_true(rig_has(SECTION(1) + 8 * 64));
}

/* As hugetlb does it: seven pages of the map show the memory of the first. */
static void test_small_pages_shared(void **state)
{
	u64 pfn = SECTION(1) + 1024;

	(void)state;
	rig.fp.small_pages = true;
	rig_build();
	fake_compound(&rig.fp, pfn, 9, true);
	for (u32 i = 1; i < 8; i++)
		*entry(pfn + i * 64, 1) = *entry(pfn, 1);
	rig_expect_lost(0);
	for (u32 i = 0; i < 512; i += 63)
		assert_true(rig_has(pfn + i));
}

/* A section whose part came later, in small pages from somewhere else. */
static void test_hot_added(void **state)
{
	u64 va;

	(void)state;
	memset(&rig.map, 0, sizeof(rig.map));
	memmap_add(&rig.map, 0, 3 * 128 * MIB, MEM_RAM);
	memmap_add(&rig.map, RIG_HIGH, RIG_BYTES, MEM_RAM);
	rig_build();
	memmap_add(&rig.map, 3 * 128 * MIB, 128 * MIB, MEM_RAM);
	va = fake_page_va(&rig.fp, SECTION(3));
	for (u32 i = 0; i < 512; i++)
		fake_kernel_map(&rig.fp.fk, va + i * PAGE_BYTES, 50 * MIB - i * PAGE_BYTES, 1);
	*fake_section(&rig.fp, SECTION(3)) = rig.fp.base_va | 7;
	rig_expect_lost(0);
	assert_int_equal(rig.m.tracts, 2);
}

static void test_map_is_not_ram(void **state)
{
	(void)state;
	rig_build();
	memmap_add(&rig.map, rig.fp.part[1].pa, 2 * MIB, MEM_RESERVED);
	rig_expect_lost(1 << 1);
	memmap_touch(&rig.map, rig.fp.part[5].pa, 2 * MIB, TOUCHED_LOADER);
	rig_expect_lost(1 << 1 | 1 << 5);
	/* what is beside it is used */
	memmap_touch(&rig.map, rig.fp.part[6].pa + MIB, PAGE_BYTES, TOUCHED_OURS);
	rig_expect_lost(1 << 1 | 1 << 5);
	assert_true(rig_has(RIG_HIGH_PFN + SECTION(2) + 16383));
	assert_false(rig_has(RIG_HIGH_PFN + SECTION(2) + 16384));
	assert_true(rig_has(RIG_HIGH_PFN + SECTION(2) + 16448));
}

static void test_translate_stops_at_what_is_bad(void **state)
{
	u64 bytes;
	u64 pa;

	(void)state;
	rig_build();
	memmap_touch(&rig.map, rig.fp.part[1].pa + MIB, PAGE_BYTES, TOUCHED_OURS);
	assert_int_equal(rig_open(), OK);
	assert_int_equal(
		pagemap_translate(&rig.m, fake_page_va(&rig.fp, SECTION(1)), &pa, &bytes), OK);
	assert_true(pa == rig.fp.part[1].pa);
	assert_int_equal(bytes, MIB);
	assert_int_equal(
		pagemap_translate(&rig.m, fake_page_va(&rig.fp, SECTION(1)) + MIB + 5, &pa, &bytes),
		E_PAGEMAP);
	assert_int_equal(
		pagemap_translate(&rig.m, fake_page_va(&rig.fp, SECTION(2)) - 5, &pa, &bytes), OK);
	assert_int_equal(bytes, 5);
	assert_int_equal(pagemap_translate(&rig.m, 0x1000, &pa, &bytes), E_PAGETABLE);
}

static void test_memory_errors(void **state)
{
	(void)state;
	rig_build();
	host_ram_unreadable(rig.fp.part[1].pa + PAGE_BYTES);
	assert_int_equal(rig_open(), OK);
	assert_true(rig_has(SECTION(1) + 63));
	assert_false(rig_has(SECTION(1) + 64));
	assert_false(rig_has(SECTION(1) + 127));
	assert_true(rig_has(SECTION(1) + 128));
}

/* Old kinds of map lie in the direct map, where pages may be as large as 1 GiB. */
static void test_translate_in_1_gib(void **state)
{
	u64 bytes;
	u64 pa;

	(void)state;
	rig.fp.kind = PAGEMAP_FLAT;
	rig.fp.map_pa = RIG_HIGH + 64 * MIB;
	rig_build();
	assert_int_equal(pagemap_translate(&rig.m, fake_page_va(&rig.fp, 64), &pa, &bytes), OK);
	assert_true(pa == RIG_HIGH + 64 * MIB + PAGE_BYTES);
	assert_int_equal(bytes, 2 * MIB - PAGE_BYTES);
}

/* Memory that the map says is free or in use by others can not hold the map. */
static void test_map_in_use_by_others(void **state)
{
	u64 pfn = 202 * MIB >> PAGE_SHIFT;

	(void)state;
	rig_build();
	memcpy(rig.ram[0] + 202 * MIB, rig.ram[0] + rig.fp.part[2].pa, 2 * MIB);
	*entry(SECTION(2), 2) = 202ull * MIB | 0x1e3;
	rig_expect_lost(0);
	fake_anon(&rig.fp, pfn, 1);
	rig_expect_lost(1 << 2);
	fake_cache(&rig.fp, pfn, 1, false);
	rig_expect_lost(1 << 2);
	fake_cache(&rig.fp, pfn, 1, true);
	rig_expect_lost(1 << 2);
	fake_compound(&rig.fp, pfn, 9, false);
	rig_expect_lost(1 << 2);
	fake_compound(&rig.fp, pfn, 9, true);
	rig_expect_lost(1 << 2);
	fake_free(&rig.fp, pfn, 9);
	rig_expect_lost(1 << 2);
	fake_free(&rig.fp, pfn & ~1023ull, 10);
	rig_expect_lost(1 << 2);
	/* a block that ends before it, though it could be in one, and struct pages that say nothing */
	fake_kept(&rig.fp, pfn & ~1023ull, 1024);
	fake_free(&rig.fp, pfn & ~1023ull, 8);
	fake_page_counts(&rig.fp, pfn, 0, UINT32_MAX);
	rig_expect_lost(0);
	memset(fake_page(&rig.fp, pfn), 0xff, 64);
	rig_expect_lost(0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_page_tables),
		T(test_one_memory_for_two),
		T(test_one_memory_for_two_alike),
		T(test_one_memory_for_two_lines),
		T(test_tracts_turn),
		T(test_small_pages_in_memory_of_large),
		T(test_small_pages_shared),
		T(test_hot_added),
		T(test_map_is_not_ram),
		T(test_translate_stops_at_what_is_bad),
		T(test_memory_errors),
		T(test_translate_in_1_gib),
		T(test_map_in_use_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
