/*
 * Page maps whose pointers, tables or memory were overwritten: what can not be trusted is
 * not used, the rest is; pointers that contradict leave no page map.
 */
#include "pagemap_rig.h"

#define LAST_PFN (RIG_HIGH_PFN + RIG_PAGES - 1)

/* Pages of one section: */
#define SECTION(n) ((n) * (u64)SECTION_PAGES)

static u64 *entry(u64 pfn, u32 level)
{
	return fake_kernel_entry(&rig.fp.fk, fake_page_va(&rig.fp, pfn), level);
}

static void expect_open(enum status want)
{
	assert_int_equal(rig_open(), want);
	if (want == OK)
		return;
	/* nothing is found in what did not open */
	assert_false(rig_has(0));
	assert_false(rig_has(RIG_HIGH_PFN));
}

static void spoil(const char *old, const char *new, enum status want)
{
	fake_pagemap_build(&rig.fp, &rig.map);
	fake_kernel_edit(rig.fp.fk.note_pa, old, new);
	expect_open(want);
}

/* Of all sections, exactly those in @bad have no struct pages. */
static void expect_lost(u32 bad)
{
	assert_int_equal(rig_open(), OK);
	for (u32 n = 0; n < 8; n++) {
		u64 pfn = n < 4 ? SECTION(n) : RIG_HIGH_PFN + SECTION(n - 4);

		assert_int_equal(rig_has(pfn), !(bad >> n & 1));
		assert_int_equal(rig_has(pfn + SECTION_PAGES - 1), !(bad >> n & 1));
	}
}

static void test_vmcoreinfo(void **state)
{
	(void)state;
	spoil("SIZE(page)=64", "SIZE(page)=65", E_PAGEMAP);
	spoil("LENGTH(mem_section)=2048", "LENGTH(mem_section)=2047", E_PAGEMAP);
	spoil("LENGTH(mem_section)=2048", "LENGTH(mem_section)=-100", E_PAGEMAP);
	spoil("LENGTH(mem_section)", "LENGTH(MEM_section)", E_PAGEMAP);
	spoil("SIZE(mem_section)=16", "SIZE(mem_section)=07", E_PAGEMAP);
	spoil("SIZE(mem_section)=16", "SIZE(mem_section)=00", E_PAGEMAP);
	spoil("SIZE(mem_section)=16", "SIZE(mem_section)=-6", E_PAGEMAP);
	spoil("section_mem_map)=0", "section_mem_map)=9", E_PAGEMAP);
	spoil("SECTION_SIZE_BITS)=27", "SECTION_SIZE_BITS)=28", E_PAGEMAP);
	spoil("MAX_PHYSMEM_BITS)=46", "MAX_PHYSMEM_BITS)=47", E_PAGEMAP);
	spoil("MAX_PHYSMEM_BITS)=46", "MAX_PHYSMEM_BITS)=99", E_PAGEMAP);
	spoil("MAX_PHYSMEM_BITS)=46", "MAX_PHYSMEM_BITS)=-1", E_PAGEMAP);
	spoil("MAX_PHYSMEM_BITS)=46", "MAX_PHYSMEM_BITS)=00", E_PAGEMAP);
	spoil("(mem_section)=ffff8a01", "(mem_section)=00008a01", E_PAGEMAP);
	spoil("(mem_section)=ffff8a01", "(mem_section)=ffff8b01", E_PAGEMAP);
	spoil("(mem_section)=ffff8a01", "(mem_section)=fffffffe", E_PAGEMAP);
	/* a table of which nothing is there */
	spoil("(mem_section)=ffff8a0102001000", "(mem_section)=ffff8a0110000000", E_PAGEMAP);
	spoil("SYMBOL(mem_section)", "SYMBOL(MEM_section)", E_PAGEMAP);
}

static void test_exported_base_must_agree(void **state)
{
	(void)state;
	rig.fp.symbol = true;
	spoil("(vmemmap)=ffffea004", "(vmemmap)=ffffea014", E_PAGEMAP);
	spoil("(vmemmap)=ffffea004", "(vmemmap)=ffffea00x", OK);
	/* and with most sections, not only with some */
	fake_pagemap_build(&rig.fp, &rig.map);
	for (u32 n = 0; n < 4; n++)
		*fake_section(&rig.fp, SECTION(n)) += 1 << 21;
	expect_open(E_PAGEMAP);
	*fake_section(&rig.fp, 0) -= 1 << 21;
	expect_lost(1 << 1 | 1 << 2 | 1 << 3);
}

static void test_section_with_another_base(void **state)
{
	u64 *section;

	(void)state;
	rig_build();
	section = fake_section(&rig.fp, SECTION(2));
	*section += 1 << 12;
	expect_lost(1 << 2);
	*section ^= 1ull << 63 | 1 << 12;
	expect_lost(1 << 2);
	*section = 0;
	expect_lost(1 << 2);
	*section = UINT64_MAX;
	expect_lost(1 << 2);
	assert_int_equal(rig.m.present_pages, memmap_ram_pages(&rig.map) - SECTION_PAGES);
	/* as long as most agree */
	*fake_section(&rig.fp, RIG_HIGH_PFN) ^= 1 << 13;
	*fake_section(&rig.fp, SECTION(1)) ^= 1 << 14;
	expect_lost(1 << 2 | 1 << 1 | 1 << 4);
}

static void test_root_overwritten(void **state)
{
	u64 *root = (u64 *)(void *)(rig.ram[0] + rig.fp.table_pa + PAGE_BYTES);

	(void)state;
	rig.fp.section_bytes = 1024; /* 4 sections in a root: the second has the high ones */
	rig_build();
	root[8] = 0;
	expect_lost(0xf0);
	root[8] = 0x1000;
	expect_lost(0xf0);
	root[8] = UINT64_MAX - 100;
	expect_lost(0xf0);
	root[8] = rig.fp.fk.page_offset + 100 * GIB;
	expect_lost(0xf0);
	/* VMEMMAP does not care which root says so */
	root[8] = root[0];
	expect_lost(0);
	root[0] = 0;
	root[8] = 0;
	expect_open(E_PAGEMAP);
}

/* Without VMEMMAP nothing but the struct pages says which part is whose. */
static void test_plain_section_overwritten(void **state)
{
	u64 *section;
	u64 was;

	(void)state;
	rig.fp.kind = PAGEMAP_SPARSE;
	rig.fp.down = true; /* no common base */
	rig_build();
	section = fake_section(&rig.fp, SECTION(2));
	was = *section;
	for (u32 bit = 0; bit < 64; bit++) {
		*section = was ^ 1ull << bit;
		expect_lost(bit > 1 && bit < 6 ? 0 : 1 << 2);
	}
	/* another section's part; one that begins before its own */
	*section = fake_page_va(&rig.fp, SECTION(1)) - SECTION(2) * 64 + 15;
	expect_lost(1 << 2);
	*section = was - PAGE_BYTES;
	expect_lost(1 << 2);
	*section = was;
	expect_lost(0);
}

/* Edges that are lost say nothing, edges that say something else say no. */
static void test_plain_section_edges(void **state)
{
	(void)state;
	rig.fp.kind = PAGEMAP_SPARSE;
	rig_build();
	memmap_touch(&rig.map, rig.fp.part[2].pa, PAGE_BYTES, TOUCHED_FIRMWARE);
	assert_int_equal(rig_open(), OK);
	assert_false(rig_has(SECTION(2)));
	assert_true(rig_has(SECTION(2) + 64));
	assert_true(rig_has(SECTION(3) - 1));
	memset(fake_page(&rig.fp, SECTION(3) - 1), 0xff, 64);
	expect_lost(1 << 2);
	memset(fake_page(&rig.fp, SECTION(3) - 1), 0, 64);
	expect_lost(1 << 2);
	memmap_touch(&rig.map, rig.fp.part[2].pa + 2 * MIB - PAGE_BYTES, PAGE_BYTES, TOUCHED_OURS);
	expect_lost(1 << 2);
	/* memory that the old kernel had not: the edge is where RAM ends */
	fake_kept(&rig.fp, SECTION(3) - 1, 1);
	memset(fake_page(&rig.fp, SECTION(5) - 1 + RIG_HIGH_PFN - SECTION(4)), 0, 64);
	memmap_add(&rig.map, RIG_HIGH + 127 * MIB, MIB, MEM_RESERVED);
	assert_int_equal(rig_open(), OK);
	assert_true(rig_has(RIG_HIGH_PFN));
}

static void test_page_tables(void **state)
{
	u64 was;

	(void)state;
	rig_build();
	was = *entry(SECTION(1), 2);
	*entry(SECTION(1), 2) = 0;
	expect_lost(1 << 1);
	*entry(SECTION(1), 2) = was | 1ull << 40;
	expect_lost(1 << 1);
	*entry(SECTION(1), 2) = was & ~0x80ull;
	expect_lost(1 << 1);
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
	expect_lost(1 << 0 | 1 << 3);
	alias(1, 2);
	expect_lost(0xf);
	/* two sections that show those of the other end */
	*entry(SECTION(0), 2) = *entry(RIG_HIGH_PFN, 2);
	*entry(SECTION(1), 2) = *entry(RIG_HIGH_PFN + SECTION(1), 2);
	expect_lost(0x3f & ~0xc);
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
	expect_lost(0);
	pte[7] = rig.fp.part[2].pa | 0x163;
	expect_lost(0);
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
	expect_lost(0);
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
	expect_lost(0);
	assert_int_equal(rig.m.tracts, 2);
}

static void test_map_is_not_ram(void **state)
{
	(void)state;
	rig_build();
	memmap_add(&rig.map, rig.fp.part[1].pa, 2 * MIB, MEM_RESERVED);
	expect_lost(1 << 1);
	memmap_touch(&rig.map, rig.fp.part[5].pa, 2 * MIB, TOUCHED_LOADER);
	expect_lost(1 << 1 | 1 << 5);
	/* what is beside it is used */
	memmap_touch(&rig.map, rig.fp.part[6].pa + MIB, PAGE_BYTES, TOUCHED_OURS);
	expect_lost(1 << 1 | 1 << 5);
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

/* Memory that the map says is free or in use by others can not hold the map. */
static void test_map_in_use_by_others(void **state)
{
	u64 pfn = 202 * MIB >> PAGE_SHIFT;

	(void)state;
	rig_build();
	memcpy(rig.ram[0] + 202 * MIB, rig.ram[0] + rig.fp.part[2].pa, 2 * MIB);
	*entry(SECTION(2), 2) = 202ull * MIB | 0x1e3;
	expect_lost(0);
	fake_anon(&rig.fp, pfn, 1);
	expect_lost(1 << 2);
	fake_cache(&rig.fp, pfn, 1, false);
	expect_lost(1 << 2);
	fake_cache(&rig.fp, pfn, 1, true);
	expect_lost(1 << 2);
	fake_compound(&rig.fp, pfn, 9, false);
	expect_lost(1 << 2);
	fake_compound(&rig.fp, pfn, 9, true);
	expect_lost(1 << 2);
	fake_free(&rig.fp, pfn, 9);
	expect_lost(1 << 2);
	fake_free(&rig.fp, pfn & ~1023ull, 10);
	expect_lost(1 << 2);
	/* a block that ends before it, and struct pages that say nothing */
	fake_kept(&rig.fp, pfn & ~1023ull, 1024);
	fake_free(&rig.fp, pfn & ~1023ull, 8);
	expect_lost(0);
	memset(fake_page(&rig.fp, pfn), 0xff, 64);
	expect_lost(0);
}

static void test_nodes(void **state)
{
	u64 *table = (u64 *)(void *)(rig.ram[0] + rig.fp.table_pa + PAGE_BYTES);
	u64 *pgdat = (u64 *)(void *)(rig.ram[0] + rig.fp.table_pa + 2 * PAGE_BYTES);
	u64 was[16];

	(void)state;
	rig.fp.kind = PAGEMAP_DISCONTIG;
	rig.fp.nodes = 2;
	rig.fp.node[0].end_pfn = RIG_PAGES;
	rig.fp.node[1].pfn = RIG_HIGH_PFN;
	rig.fp.node[1].end_pfn = RIG_HIGH_PFN + RIG_PAGES;
	rig_build();
	memcpy(was, pgdat, sizeof(was));
	/* node 1: no map; one that is not its own; too long; nothing; at the end of all PFNs */
	pgdat[8 + 1] = 0;
	expect_lost(0xf0);
	pgdat[8 + 1] = pgdat[1];
	expect_lost(0xff & ~0xf);
	pgdat[8 + 1] = was[8 + 1] + 4;
	expect_lost(0xf0);
	pgdat[8 + 1] = was[8 + 1];
	pgdat[8 + 3] = 1ull << 50;
	expect_lost(0xf0);
	pgdat[8 + 3] = 0;
	expect_lost(0xf0);
	pgdat[8 + 3] = was[8 + 3];
	pgdat[8 + 2] = UINT64_MAX - 5;
	expect_lost(0xf0);
	pgdat[8 + 2] = was[8 + 2];
	expect_lost(0);
	/* two of one place, or of one map */
	table[1] = table[0];
	expect_lost(0xf0);
	table[1] = 0x1234;
	expect_lost(0xf0);
	table[1] = UINT64_MAX;
	expect_lost(0xf0);
	table[0] = 0;
	expect_open(E_PAGEMAP);
}

/* Nodes without a number in their struct pages: one table entry. */
static void test_nodes_collide(void **state)
{
	u64 *pgdat = (u64 *)(void *)(rig.ram[0] + rig.fp.table_pa + 2 * PAGE_BYTES);

	(void)state;
	rig.fp.kind = PAGEMAP_DISCONTIG;
	rig.fp.nodes = 2;
	rig.fp.node[0].end_pfn = RIG_PAGES;
	rig.fp.node[1].pfn = RIG_HIGH_PFN;
	rig.fp.node[1].end_pfn = RIG_HIGH_PFN + RIG_PAGES;
	fake_pagemap_build(&rig.fp, &rig.map);
	fake_kernel_edit(rig.fp.fk.note_pa, "LENGTH(node_data)=64", "LENGTH(node_data)=63");
	expect_lost(0);
	pgdat[8 + 1] = pgdat[1] + 64;
	expect_open(E_PAGEMAP);
	pgdat[8 + 1] = fake_page_va(&rig.fp, RIG_HIGH_PFN);
	pgdat[8 + 2] = RIG_PAGES - 1;
	expect_open(E_PAGEMAP);
}

static void test_flat(void **state)
{
	u64 *mem_map = (u64 *)(void *)(rig.ram[0] + rig.fp.table_pa);
	u64 *pgdat = (u64 *)(void *)(rig.ram[0] + rig.fp.table_pa + 2 * PAGE_BYTES);

	(void)state;
	rig.fp.kind = PAGEMAP_FLAT;
	rig_build();
	*mem_map += 64;
	expect_open(E_PAGEMAP);
	*mem_map -= 64;
	pgdat[2]++;
	expect_open(E_PAGEMAP);
	pgdat[2]--;
	pgdat[3] = RIG_PAGES;
	assert_int_equal(rig_open(), OK);
	assert_true(rig.m.end_pfn == RIG_PAGES);
	/* without another witness */
	fake_kernel_edit(rig.fp.fk.note_pa, "contig_page_data", "contig_PAGE_data");
	assert_int_equal(rig_open(), OK);
	*mem_map = 0x1000;
	expect_open(E_PAGEMAP);
	*mem_map = UINT64_MAX - 7;
	expect_open(E_PAGEMAP);
	*mem_map = rig.fp.fk.page_offset + 60 * GIB;
	expect_open(E_PAGEMAP);
	spoil("SYMBOL(mem_map)=ffff8a01", "SYMBOL(mem_map)=00008a01", E_PAGEMAP);
}

static void test_coverage(void **state)
{
	u64 all = memmap_ram_pages(&rig.map);
	u64 covered;

	(void)state;
	rig_build();
	memset(rig.ram[0] + rig.fp.part[0].pa, 0xa5, 2 * MIB);
	memset(rig.ram[0] + rig.fp.part[4].pa, 0, 2 * MIB);
	assert_int_equal(rig_open(), OK);
	covered = pagemap_coverage(&rig.m, &rig.map);
	assert_true(covered > all * 3 / 4 - 200 && covered < all * 3 / 4 + 200);
	/* many small ranges are sampled like few large ones */
	for (u64 pa = 0; pa < 100 * MIB; pa += MIB)
		memmap_touch(&rig.map, pa, 4 * PAGE_BYTES, TOUCHED_FIRMWARE);
	assert_true(pagemap_coverage(&rig.m, &rig.map) <= covered);
	assert_int_equal(pagemap_coverage(&rig.m, &(struct memmap) {0}), 0);
}

/* Two kernels verify: the one whose page map has been overwritten is not taken. */
static void test_choice_of_kernel(void **state)
{
	struct fake_pagemap *other = calloc(1, sizeof(*other));

	(void)state;
	fake_pagemap_init(other, PAGEMAP_VMEMMAP);
	other->fk.image_pa = 16 * MIB;
	other->fk.note_pa = 20 * MIB;
	other->fk.text_pa = 21 * MIB;
	other->map_pa = 128 * MIB;
	other->table_pa = 36 * MIB;
	fake_pagemap_build(other, &rig.map);
	rig_build();
	assert_int_equal(rig.k.vmcoreinfo_pa, rig.fp.fk.note_pa);
	assert_int_equal(rig.k.verified_count, 2);
	memset(rig.ram[0] + rig.fp.map_pa, 0xa5, MIB);
	assert_int_equal(rig_open(), OK);
	assert_int_equal(rig.k.vmcoreinfo_pa, other->fk.note_pa);
	memset(rig.ram[0] + other->map_pa, 0xa5, 2 * MIB);
	assert_int_equal(rig_open(), OK);
	assert_int_equal(rig.k.vmcoreinfo_pa, rig.fp.fk.note_pa);
	/* a page map that can not be opened covers nothing */
	*fake_section(other, 0) = 0;
	fake_kernel_edit(rig.fp.fk.note_pa, "SIZE(page)=64", "SIZE(page)=65");
	fake_kernel_edit(rig.fp.fk.text_pa, "SIZE(page)=64", "SIZE(page)=65");
	assert_int_equal(rig_open(), OK);
	assert_int_equal(rig.k.vmcoreinfo_pa, other->fk.note_pa);
	free(other);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_vmcoreinfo),
		T(test_exported_base_must_agree),
		T(test_section_with_another_base),
		T(test_root_overwritten),
		T(test_plain_section_overwritten),
		T(test_plain_section_edges),
		T(test_page_tables),
		T(test_one_memory_for_two),
		T(test_one_memory_for_two_alike),
		T(test_small_pages_in_memory_of_large),
		T(test_small_pages_shared),
		T(test_hot_added),
		T(test_map_is_not_ram),
		T(test_translate_stops_at_what_is_bad),
		T(test_map_in_use_by_others),
		T(test_nodes),
		T(test_nodes_collide),
		T(test_flat),
		T(test_coverage),
		T(test_choice_of_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
