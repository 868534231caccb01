/*
 * Page maps whose pointers were overwritten: what can not be trusted is not used, the rest
 * is; pointers that contradict leave no page map.
 */
#include "pagemap_rig.h"

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
	rig_expect_lost(1 << 1 | 1 << 2 | 1 << 3);
	/* nor has plain SPARSEMEM such a symbol */
	rig.fp.kind = PAGEMAP_SPARSE;
	fake_pagemap_build(&rig.fp, &rig.map);
	expect_open(E_PAGEMAP);
}

static void test_section_with_another_base(void **state)
{
	u64 *section;

	(void)state;
	rig_build();
	section = fake_section(&rig.fp, SECTION(2));
	*section += 1 << 12;
	rig_expect_lost(1 << 2);
	*section ^= 1ull << 63 | 1 << 12;
	rig_expect_lost(1 << 2);
	*section = 0;
	rig_expect_lost(1 << 2);
	*section = UINT64_MAX;
	rig_expect_lost(1 << 2);
	assert_int_equal(rig.m.present_pages, memmap_ram_pages(&rig.map) - SECTION_PAGES);
	/* as long as most agree, whichever comes last */
	*fake_section(&rig.fp, RIG_HIGH_PFN + SECTION(3)) ^= 1 << 15;
	rig_expect_lost(1 << 2 | 1 << 7);
	*fake_section(&rig.fp, RIG_HIGH_PFN + SECTION(3)) ^= 1 << 15;
	*fake_section(&rig.fp, RIG_HIGH_PFN) ^= 1 << 13;
	*fake_section(&rig.fp, SECTION(1)) ^= 1 << 14;
	rig_expect_lost(1 << 2 | 1 << 1 | 1 << 4);
}

static void test_root_overwritten(void **state)
{
	u64 *root = (u64 *)(void *)(rig.ram[0] + rig.fp.table_pa + PAGE_BYTES);

	(void)state;
	rig.fp.section_bytes = 1024; /* 4 sections in a root: the second has the high ones */
	rig_build();
	root[8] = 0;
	rig_expect_lost(0xf0);
	root[8] = 0x1000;
	rig_expect_lost(0xf0);
	root[8] = UINT64_MAX - 100;
	rig_expect_lost(0xf0);
	root[8] = rig.fp.fk.page_offset + 100 * GIB;
	rig_expect_lost(0xf0);
	/* VMEMMAP does not care which root says so */
	root[8] = root[0];
	rig_expect_lost(0);
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
		rig_expect_lost(bit > 1 && bit < 6 ? 0 : 1 << 2);
	}
	/* another section's part; one that begins before its own */
	*section = fake_page_va(&rig.fp, SECTION(1)) - SECTION(2) * 64 + 15;
	rig_expect_lost(1 << 2);
	*section = was - PAGE_BYTES;
	rig_expect_lost(1 << 2);
	*section = was;
	rig_expect_lost(0);
}

/* Edges that are lost say nothing, edges that say something else say no. */
static void test_plain_section_edges(void **state)
{
	(void)state;
	rig.fp.kind = PAGEMAP_SPARSE;
	rig_build();
	fake_page_counts(&rig.fp, SECTION(2), -5, UINT32_MAX);
	rig_expect_lost(1 << 2);
	fake_kept(&rig.fp, SECTION(2), 1);
	fake_page_counts(&rig.fp, SECTION(3) - 1, -5, UINT32_MAX);
	rig_expect_lost(1 << 2);
	fake_kept(&rig.fp, SECTION(3) - 1, 1);
	rig_expect_lost(0);
	memmap_touch(&rig.map, rig.fp.part[2].pa, PAGE_BYTES, TOUCHED_FIRMWARE);
	assert_int_equal(rig_open(), OK);
	assert_false(rig_has(SECTION(2)));
	assert_true(rig_has(SECTION(2) + 64));
	assert_true(rig_has(SECTION(3) - 1));
	memset(fake_page(&rig.fp, SECTION(3) - 1), 0xff, 64);
	rig_expect_lost(1 << 2);
	memset(fake_page(&rig.fp, SECTION(3) - 1), 0, 64);
	rig_expect_lost(1 << 2);
	memmap_touch(&rig.map, rig.fp.part[2].pa + 2 * MIB - PAGE_BYTES, PAGE_BYTES, TOUCHED_OURS);
	rig_expect_lost(1 << 2);
	/* memory that the old kernel had not: the edge is where RAM ends */
	fake_kept(&rig.fp, SECTION(3) - 1, 1);
	memset(fake_page(&rig.fp, SECTION(5) - 1 + RIG_HIGH_PFN - SECTION(4)), 0, 64);
	memmap_add(&rig.map, RIG_HIGH + 127 * MIB, MIB, MEM_RESERVED);
	assert_int_equal(rig_open(), OK);
	assert_true(rig_has(RIG_HIGH_PFN));
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
	rig_expect_lost(0xf0);
	pgdat[8 + 1] = pgdat[1];
	rig_expect_lost(0xff & ~0xf);
	pgdat[8 + 1] = was[8 + 1] + 4;
	rig_expect_lost(0xf0);
	pgdat[8 + 1] = was[8 + 1];
	pgdat[8 + 3] = 1ull << 50;
	rig_expect_lost(0xf0);
	pgdat[8 + 3] = 0;
	rig_expect_lost(0xf0);
	pgdat[8 + 3] = was[8 + 3];
	pgdat[8 + 2] = UINT64_MAX - 5;
	rig_expect_lost(0xf0);
	pgdat[8 + 2] = was[8 + 2];
	rig_expect_lost(0);
	/* two of one place, or of one map */
	table[1] = table[0];
	rig_expect_lost(0xf0);
	table[1] = 0x1234;
	rig_expect_lost(0xf0);
	table[1] = UINT64_MAX;
	rig_expect_lost(0xf0);
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
	rig_expect_lost(0);
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
	assert_true(covered > all * 3 / 4 - 1000 && covered < all * 3 / 4 + 1000);
	/* many small ranges are sampled like few large ones */
	for (u64 pa = 0; pa < 100 * MIB; pa += MIB)
		memmap_touch(&rig.map, pa, 4 * PAGE_BYTES, TOUCHED_FIRMWARE);
	assert_true(pagemap_coverage(&rig.m, &rig.map) <= covered);
	assert_int_equal(pagemap_coverage(&rig.m, &(struct memmap) {0}), 0);
}

/* A second kernel in the same memory, with all that it has elsewhere; the caller frees it. */
static struct fake_pagemap *other_kernel(void)
{
	struct fake_pagemap *other = calloc(1, sizeof(*other));

	assert_non_null(other);
	fake_pagemap_init(other, PAGEMAP_VMEMMAP);
	other->fk.image_pa = 16 * MIB;
	other->fk.note_pa = 20 * MIB;
	other->fk.text_pa = 21 * MIB;
	other->map_pa = 128 * MIB;
	other->table_pa = 36 * MIB;
	return other;
}

/* Two kernels verify: the one whose page map has been overwritten is not taken. */
static void test_choice_of_kernel(void **state)
{
	struct fake_pagemap *other = other_kernel();

	(void)state;
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

/* What is left of an earlier crash does not win over the kernel that hung after it. */
static void test_choice_of_crashed_kernel(void **state)
{
	struct fake_pagemap *other = other_kernel();

	(void)state;
	other->extra = "CRASHTIME=1700000000\n";
	fake_pagemap_build(other, &rig.map);
	rig_build();
	assert_int_equal(rig.k.vmcoreinfo_pa, other->fk.note_pa);
	memset(rig.ram[0] + other->map_pa, 0xa5, 7 * MIB);
	assert_int_equal(rig_open(), OK);
	assert_int_equal(rig.k.vmcoreinfo_pa, other->fk.note_pa);
	memset(rig.ram[0] + other->map_pa, 0xa5, 9 * MIB);
	assert_int_equal(rig_open(), OK);
	assert_int_equal(rig.k.vmcoreinfo_pa, rig.fp.fk.note_pa);
	/* the same the other way round: the crashed kernel is met first */
	other->fk.note_pa = 7 * MIB;
	fake_pagemap_build(other, &rig.map);
	memset(rig.ram[0] + 20 * MIB, 0, PAGE_BYTES);
	assert_int_equal(rig_open(), OK);
	assert_int_equal(rig.k.vmcoreinfo_pa, other->fk.note_pa);
	memset(rig.ram[0] + other->map_pa, 0xa5, 9 * MIB);
	assert_int_equal(rig_open(), OK);
	assert_int_equal(rig.k.vmcoreinfo_pa, rig.fp.fk.note_pa);
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
		T(test_nodes),
		T(test_nodes_collide),
		T(test_flat),
		T(test_coverage),
		T(test_choice_of_kernel),
		T(test_choice_of_crashed_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
