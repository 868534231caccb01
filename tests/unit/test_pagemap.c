/*
 * Page maps of every kind, as kernels build them: each struct page is found where it was
 * put, and only there.
 */
#include "linux/pagemap_parts.h"
#include "pagemap_rig.h"

static void expect_stretch(u64 pfn, u64 end_pfn, bool there)
{
	struct pagemap_stretch s;

	pagemap_stretch(&rig.m, pfn, &s);
	assert_true(s.pfn == pfn);
	assert_true(s.end_pfn == end_pfn);
	assert_true(s.va == (there ? fake_page_va(&rig.fp, pfn) : 0));
}

static void expect_sparse(u32 kind, const char *name)
{
	rig_build();
	assert_int_equal(rig.m.kind, kind);
	assert_string_equal(pagemap_name(&rig.m), name);
	rig_expect_all();
	expect_stretch(5, SECTION_PAGES, true);
	expect_stretch(RIG_PAGES - 1, RIG_PAGES, true);
	expect_stretch(RIG_PAGES, RIG_PAGES + SECTION_PAGES, false);
	expect_stretch(RIG_HIGH_PFN, RIG_HIGH_PFN + SECTION_PAGES, true);
	expect_stretch(rig.m.end_pfn - 1, rig.m.end_pfn, false);
	expect_stretch(rig.m.end_pfn, UINT64_MAX, false);
	expect_stretch(UINT64_MAX - 1, UINT64_MAX, false);
	assert_false(rig_has(RIG_PAGES));
	assert_false(rig_has(UINT64_MAX - 1));
}

/* The tracts say the same as the page tables, and nothing where they end. */
static void expect_tracts(void)
{
	for (u32 i = 0; i < rig.m.tracts; i++) {
		const struct pagemap_tract *t = &rig.m.tract[i];
		u64 bytes;
		u64 by_walk;
		u64 pa;

		for (u64 at = 0; at < t->bytes; at += MIB + 4104) {
			assert_int_equal(
				pagemap_translate(&rig.m, t->va + at, &by_walk, &bytes), OK);
			assert_true(pagemap_tract_pa(&rig.m, t->va + at, &pa));
			assert_true(pa == by_walk);
		}
		assert_false(pagemap_tract_pa(&rig.m, t->va - 1, &pa));
		assert_false(pagemap_tract_pa(&rig.m, t->va + t->bytes, &pa));
	}
}

static void test_vmemmap(void **state)
{
	(void)state;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	assert_true(rig.m.base_va == rig.fp.base_va);
	assert_true(rig.m.end_pfn == 1ull << 34);
	/* two lines of 4 sections: the hole between them is not mapped */
	assert_int_equal(rig.m.tracts, 2);
	assert_true(rig.m.tract[0].pa == rig.fp.map_pa);
	assert_int_equal(rig.m.tract[0].bytes, 8 * MIB);
	assert_false(rig.m.tract[0].down);
	assert_true(rig.m.tract[1].va == fake_page_va(&rig.fp, RIG_HIGH_PFN));
	expect_tracts();
}

static void test_vmemmap_exported(void **state)
{
	(void)state;
	rig.fp.symbol = true;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
}

static void test_vmemmap_downwards(void **state)
{
	(void)state;
	rig.fp.down = true;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	assert_int_equal(rig.m.tracts, 2);
	assert_int_equal(rig.m.tract[0].bytes, 8 * MIB);
	assert_true(rig.m.tract[0].down);
	assert_true(rig.m.tract[0].pa == rig.fp.map_pa + 8 * MIB);
	assert_true(rig.m.tract[1].pa == rig.fp.map_pa);
	expect_tracts();
}

static void test_vmemmap_small_pages(void **state)
{
	(void)state;
	rig.fp.small_pages = true;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	assert_int_equal(rig.m.tracts, 0);
}

static void test_vmemmap_five_levels(void **state)
{
	(void)state;
	rig.fp.fk.levels = 5;
	rig.fp.fk.page_offset = 0xff2b055e00000000ull & ~(GIB - 1);
	rig.fp.base_va = 0xffd4000000000000ull;
	rig.fp.phys_bits = 52;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	assert_true(rig.m.end_pfn == 1ull << 40);
}

static void test_vmemmap_encrypted(void **state)
{
	(void)state;
	rig.fp.fk.sme_mask = 1ull << 47;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
}

/* 64 struct pages are 3.5 KiB: some lie across two pages, sections across two pieces. */
static void test_vmemmap_56_bytes(void **state)
{
	(void)state;
	rig.fp.fk.page_bytes = 56;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	for (u64 pfn = 0; pfn < 160; pfn++)
		rig_expect(pfn);
	for (u64 pfn = RIG_HIGH_PFN + 37440; pfn < RIG_HIGH_PFN + 37460; pfn++)
		rig_expect(pfn);
}

static void test_vmemmap_56_bytes_in_small_pages(void **state)
{
	(void)state;
	rig.fp.fk.page_bytes = 56;
	rig.fp.small_pages = true;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	for (u64 pfn = 0; pfn < 160; pfn++)
		rig_expect(pfn);
}

static void test_section_flags(void **state)
{
	(void)state;
	/* all six bits, and the two that must be there alone */
	rig.fp.section_flags = 0x3f;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	rig.fp.section_flags = 3;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	rig.fp.section_flags = 1;
	fake_pagemap_build(&rig.fp, &rig.map);
	assert_int_equal(rig_open(), E_PAGEMAP);
	rig.fp.section_flags = 0x3e;
	fake_pagemap_build(&rig.fp, &rig.map);
	assert_int_equal(rig_open(), E_PAGEMAP);
	rig.fp.section_flags = 0x3f;
	rig.fp.kind = PAGEMAP_SPARSE;
	expect_sparse(PAGEMAP_SPARSE, "sparse, extreme");
}

static void test_section_bytes(void **state)
{
	static const u32 bytes[] = {8, 16, 24, 32};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bytes); i++) {
		rig_teardown(NULL);
		rig_setup(NULL);
		rig.fp.section_bytes = bytes[i];
		expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	}
}

static void test_pointer_to_the_array(void **state)
{
	(void)state;
	rig.fp.indirect = true;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
}

static void test_not_extreme(void **state)
{
	(void)state;
	rig.fp.extreme = false;
	rig.fp.phys_bits = 40;
	expect_sparse(PAGEMAP_VMEMMAP, "sparse, vmemmap");
	rig.fp.kind = PAGEMAP_SPARSE;
	expect_sparse(PAGEMAP_SPARSE, "sparse");
}

static void test_bits_not_exported(void **state)
{
	static const u32 bits[] = {40, 44, 46, 52};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bits); i++) {
		rig_teardown(NULL);
		rig_setup(NULL);
		rig.fp.extra = "";
		rig.fp.phys_bits = bits[i];
		fake_pagemap_build(&rig.fp, &rig.map);
		fake_kernel_edit(rig.fp.fk.note_pa, "(MAX_PHYSMEM_", "(max_PHYSMEM_");
		fake_kernel_edit(rig.fp.fk.note_pa, "(SECTION_SIZE", "(section_SIZE");
		assert_int_equal(rig_open(), OK);
		assert_true(rig.m.end_pfn == 1ull << (bits[i] - PAGE_SHIFT));
		rig_expect_all();
	}
}

/* The parts lie one behind the other in the direct map: all have one base, but no VMEMMAP. */
static void test_plain_sparse(void **state)
{
	(void)state;
	rig.fp.kind = PAGEMAP_SPARSE;
	expect_sparse(PAGEMAP_SPARSE, "sparse, extreme");
	rig.fp.down = true;
	expect_sparse(PAGEMAP_SPARSE, "sparse, extreme");
	rig.fp.fk.page_bytes = 56;
	expect_sparse(PAGEMAP_SPARSE, "sparse, extreme");
}

static void test_one_section(void **state)
{
	(void)state;
	memset(&rig.map, 0, sizeof(rig.map));
	memmap_add(&rig.map, 0, 128 * MIB, MEM_RAM);
	rig_build();
	assert_int_equal(rig.m.kind, PAGEMAP_VMEMMAP);
	rig_expect(SECTION_PAGES - 1);
	rig.fp.kind = PAGEMAP_SPARSE;
	rig_build();
	assert_int_equal(rig.m.kind, PAGEMAP_SPARSE);
	rig_expect(SECTION_PAGES - 1);
}

static void test_flat(void **state)
{
	(void)state;
	rig.fp.kind = PAGEMAP_FLAT;
	rig_build();
	assert_int_equal(rig.m.kind, PAGEMAP_FLAT);
	assert_string_equal(pagemap_name(&rig.m), "flat");
	assert_true(rig.m.end_pfn == RIG_HIGH_PFN + RIG_PAGES);
	rig_expect_all();
	expect_stretch(7, rig.m.end_pfn, true);
	expect_stretch(rig.m.end_pfn, UINT64_MAX, false);
	fake_kernel_edit(rig.fp.fk.note_pa, "contig_page_data", "contig_PAGE_data");
	assert_int_equal(rig_open(), OK);
	rig_expect_all();
}

static void set_nodes(void)
{
	rig.fp.kind = PAGEMAP_DISCONTIG;
	rig.fp.nodes = 2;
	rig.fp.node[0].end_pfn = RIG_PAGES;
	rig.fp.node[1].pfn = RIG_HIGH_PFN;
	rig.fp.node[1].end_pfn = RIG_HIGH_PFN + RIG_PAGES;
}

static void test_discontiguous(void **state)
{
	(void)state;
	set_nodes();
	rig_build();
	assert_int_equal(rig.m.kind, PAGEMAP_DISCONTIG);
	assert_string_equal(pagemap_name(&rig.m), "discontiguous");
	assert_int_equal(rig.m.nodes, 2);
	rig_expect_all();
	expect_stretch(7, RIG_PAGES, true);
	expect_stretch(RIG_PAGES, RIG_HIGH_PFN, false);
	expect_stretch(RIG_HIGH_PFN + 1, RIG_HIGH_PFN + RIG_PAGES, true);
	expect_stretch(RIG_HIGH_PFN + RIG_PAGES, UINT64_MAX, false);
}

/* Three nodes, the middle one with the memory between two sections. */
static void test_discontiguous_in_any_order(void **state)
{
	(void)state;
	set_nodes();
	rig.fp.nodes = 3;
	rig.fp.node[2].pfn = 40000;
	rig.fp.node[2].end_pfn = 50000;
	rig.fp.node[0].end_pfn = 40000;
	memset(&rig.map, 0, sizeof(rig.map));
	memmap_add(&rig.map, 0, 50000ull << PAGE_SHIFT, MEM_RAM);
	memmap_add(&rig.map, RIG_HIGH, RIG_BYTES, MEM_RAM);
	rig_build();
	assert_int_equal(rig.m.nodes, 3);
	rig_expect(39999);
	rig_expect(40000);
	rig_expect(49999);
	rig_expect(RIG_HIGH_PFN);
	expect_stretch(0, 40000, true);
	expect_stretch(40001, 50000, true);
	expect_stretch(50000, RIG_HIGH_PFN, false);
}

static enum status read_ram(void *ctx, u64 pa, void *buf, u64 len)
{
	const u8 *at = host_ram_at(pa, len);

	++*(u32 *)ctx;
	if (!at)
		return E_ABSENT;
	memcpy(buf, at, len);
	return OK;
}

/* The tools read a dump and do not know what is RAM. */
static void test_with_a_reader(void **state)
{
	static const u32 kind[] = {
		PAGEMAP_VMEMMAP, PAGEMAP_SPARSE, PAGEMAP_FLAT, PAGEMAP_DISCONTIG};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(kind); i++) {
		u32 reads = 0;

		rig_teardown(NULL);
		rig_setup(NULL);
		set_nodes();
		rig.fp.kind = kind[i];
		rig.fp.nodes = kind[i] == PAGEMAP_DISCONTIG ? 2 : 0;
		/* a section that ends with struct pages nobody ever wrote */
		if (kind[i] == PAGEMAP_SPARSE)
			memmap_add(&rig.map, RIG_HIGH + RIG_BYTES - MIB, MIB, MEM_RESERVED);
		rig_build();
		physmem_init_reader(&rig.pm, read_ram, &reads);
		assert_int_equal(pagemap_open(&rig.m, &rig.pm, &rig.k), OK);
		assert_int_equal(rig.m.kind, kind[i]);
		assert_true(rig.m.present_pages >= 2 * RIG_PAGES);
		assert_int_equal(rig.m.tracts, 0);
		assert_true(reads < 40000);
		rig_expect(0);
		rig_expect(RIG_HIGH_PFN + RIG_PAGES - 257);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_vmemmap),
		T(test_vmemmap_exported),
		T(test_vmemmap_downwards),
		T(test_vmemmap_small_pages),
		T(test_vmemmap_five_levels),
		T(test_vmemmap_encrypted),
		T(test_vmemmap_56_bytes),
		T(test_vmemmap_56_bytes_in_small_pages),
		T(test_section_flags),
		T(test_section_bytes),
		T(test_pointer_to_the_array),
		T(test_not_extreme),
		T(test_bits_not_exported),
		T(test_plain_sparse),
		T(test_one_section),
		T(test_flat),
		T(test_discontiguous),
		T(test_discontiguous_in_any_order),
		T(test_with_a_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
