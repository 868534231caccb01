/*
 * Finding and verifying a kernel in a made-up RAM: what is accepted, what is refused and
 * with which code, which of several is chosen.
 */
#include "tests/unit/find_rig.h"

static enum status find_at(u64 hint_pa)
{
	return find_asked(&(struct oldkernel_ask) {.hint_pa = hint_pa});
}

static void expect_found(u64 vmcoreinfo_pa)
{
	assert_int_equal(find_at(0), OK);
	assert_int_equal(k.vmcoreinfo_pa, vmcoreinfo_pa);
	assert_string_equal(k.uts[UTS_RELEASE], FAKE_RELEASE);
}

static void test_plain(void **state)
{
	(void)state;
	fake_kernel_build(&fk);
	expect_found(fk.note_pa);
	assert_int_equal(k.candidates, 2);
	assert_int_equal(k.verified_count, 1);
	assert_int_equal(k.pt.root_pa, fk.image_pa);
	assert_int_equal(k.pt.levels, 4);
	assert_int_equal(k.phys_base, (s64)(fk.image_pa - (fk.image_va - 0xffffffff80000000ull)));
	assert_true(k.page_offset == fk.page_offset);
	assert_string_equal(k.uts[UTS_SYSNAME], "Linux");
	assert_string_equal(k.uts[UTS_NODENAME], "host");
	assert_string_equal(k.uts[UTS_VERSION], "#1 SMP Debian");
	assert_string_equal(k.uts[UTS_MACHINE], "x86_64");
	assert_string_equal(k.uts[UTS_DOMAIN], "(none)");
	assert_int_equal(k.vi.bytes, strlen(k.vi.text));
	assert_memory_equal(k.vi.text, "OSRELEASE=" FAKE_RELEASE "\n", 31);
}

static void test_note_alone_and_text_alone(void **state)
{
	(void)state;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	expect_found(fk.note_pa);
	memset(image + fk.note_pa, 0, PAGE_BYTES);
	fk.note_pa = 0;
	fk.text_pa = RAM_BYTES - PAGE_BYTES;
	fake_kernel_build(&fk);
	expect_found(fk.text_pa);
	assert_int_equal(k.candidates, 1);
}

static void test_five_levels(void **state)
{
	(void)state;
	fk.levels = 5;
	fk.page_offset = 0xff2b055e00000000ull & ~(GIB - 1);
	fake_kernel_build(&fk);
	expect_found(fk.note_pa);
	assert_int_equal(k.pt.levels, 5);
	assert_true(k.page_offset == fk.page_offset);
}

static void test_memory_encryption(void **state)
{
	(void)state;
	fk.sme_mask = 1ull << 47;
	fake_kernel_build(&fk);
	expect_found(fk.note_pa);
	assert_true(k.pt.sme_mask == 1ull << 47);
	assert_true(k.page_offset == fk.page_offset);
	fake_kernel_edit(fk.note_pa, "sme_mask)=140737488355328", "sme_mask)=000000000000000");
	fake_kernel_edit(fk.text_pa, "sme_mask)=140737488355328", "sme_mask)=000000000000000");
	assert_int_equal(find_at(0), E_NOT_RAM);
}

static void test_older_root_names(void **state)
{
	(void)state;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "(init_top_pgt)", "(INIT_top_pgt)");
	expect_found(fk.note_pa);
	fake_kernel_edit(fk.note_pa, "(swapper_pg_dir)", "(SWAPPER_pg_dir)");
	assert_int_equal(find_at(0), E_VMCOREINFO);
	fk.extra = "SYMBOL(init_level4_pgt)=ffffffff9a200000\n";
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "(init_top_pgt)", "(INIT_top_pgt)");
	fake_kernel_edit(fk.note_pa, "(swapper_pg_dir)", "(SWAPPER_pg_dir)");
	expect_found(fk.note_pa);
}

static void test_page_offset_from_tables(void **state)
{
	(void)state;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "SYMBOL(mem_section)", "SYMBOL(mem_SECTION)");
	expect_found(fk.note_pa);
	assert_true(k.page_offset == fk.page_offset);
	/* a symbol that does not fit the tables is not believed */
	fake_kernel_edit(fk.note_pa, "SYMBOL(mem_SECTION)", "SYMBOL(mem_section)");
	*fake_kernel_entry(&fk, fk.page_offset + fk.mem_section_pa, 2) += 2 * MIB;
	expect_found(fk.note_pa);
	assert_true(k.page_offset == fk.page_offset);
	/* not even if the root lies as far off: the direct map starts on a 1 GiB boundary */
	*fake_kernel_entry(&fk, fk.page_offset + fk.image_pa - 2 * MIB, 2) += 2 * MIB;
	expect_found(fk.note_pa);
	assert_true(k.page_offset == fk.page_offset);
	/* nor are tables that do not map themselves */
	*fake_kernel_entry(&fk, fk.page_offset + fk.image_pa, 2) += 2 * MIB;
	expect_found(fk.note_pa);
	assert_int_equal(k.page_offset, 0);
}

static void test_page_offset_five_levels_from_tables(void **state)
{
	(void)state;
	fk.levels = 5;
	fk.page_offset = 0xff2b055e00000000ull & ~(GIB - 1);
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "SYMBOL(mem_section)", "SYMBOL(mem_SECTION)");
	expect_found(fk.note_pa);
	assert_true(k.page_offset == fk.page_offset);
}

static void test_uts_offset_not_exported(void **state)
{
	u8 *uts = image + fk.image_pa + FAKE_UTS;

	(void)state;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "OFFSET(uts_", "OFFSET(UTS_");
	expect_found(fk.note_pa);
	memmove(uts + 4, uts, 6 * 65);
	expect_found(fk.note_pa);
	assert_string_equal(k.uts[UTS_SYSNAME], "Linux");
	fake_kernel_edit(
		fk.note_pa, "OFFSET(UTS_namespace.name)=0", "OFFSET(uts_namespace.name)=4");
	expect_found(fk.note_pa);
	fake_kernel_edit(
		fk.note_pa, "OFFSET(uts_namespace.name)=4", "OFFSET(uts_namespace.name)=0");
	assert_int_equal(find_at(0), E_VMCOREINFO);
}

static void test_phys_base_derived(void **state)
{
	(void)state;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "NUMBER(phys_base)", "NUMBER(PHYS_base)");
	expect_found(fk.note_pa);
	assert_int_equal(k.phys_base, (s64)(fk.image_pa - (fk.image_va - 0xffffffff80000000ull)));
	/* the value fits by chance elsewhere first, but nothing is there */
	fk.image_pa = 16 * MIB;
	memset(image + 4 * MIB, 0, 2 * MIB);
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "NUMBER(phys_base)", "NUMBER(PHYS_base)");
	*(u64 *)(void *)(image + 6 * MIB + FAKE_PHYS_BASE) =
		6 * MIB - (fk.image_va - 0xffffffff80000000ull);
	expect_found(fk.note_pa);
	assert_int_equal(k.pt.root_pa, fk.image_pa);
	/* only the chance fit is left, where there are no tables */
	image[fk.image_pa + FAKE_PHYS_BASE + 3] ^= 1;
	assert_int_equal(find_at(0), E_PAGETABLE);
	image[6 * MIB + FAKE_PHYS_BASE + 3] ^= 1;
	assert_int_equal(find_at(0), E_VMCOREINFO);
}

static void test_nothing_there(void **state)
{
	(void)state;
	assert_int_equal(find_at(0), E_NO_KERNEL);
	assert_int_equal(k.candidates, 0);
	assert_int_equal(find_at(5 * MIB), E_NO_KERNEL);
	assert_int_equal(find_at(1ull << 60), E_NO_KERNEL);
	assert_int_equal(find_at(UINT64_MAX), E_NO_KERNEL);
}

static void spoil_both(const char *old, const char *new)
{
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, old, new);
	fake_kernel_edit(fk.text_pa, old, new);
}

static void test_damaged_text(void **state)
{
	static const char *const damage[][2] = {
		{"PAGESIZE=4096", "PAGESIZE=8192"},
		{"PAGESIZE=4096", "PAGESIZF=4096"},
		{"(init_uts_ns)", "(init_uts_nS)"},
		{"name)=0", "name)=9"},
		{"phys_base)=-", "phys_base)=x"},
		{"OSRELEASE=6.1", "OSRELEASE=6.2"},
		{"OSRELEASE=6.1.0-50-cloud-amd64\n", "OSRELEASE=6.1.0-50-cloud-amd6\n4"},
		{"OSRELEASE=6.1", "OSRELEASE=\n.1"},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(damage); i++) {
		spoil_both(damage[i][0], damage[i][1]);
		fake_kernel_edit(fk.note_pa, "SYMBOL(phys_base)", "SYMBOL(PHYS_base)");
		fake_kernel_edit(fk.text_pa, "SYMBOL(phys_base)", "SYMBOL(PHYS_base)");
		assert_int_equal(find_at(0), E_VMCOREINFO);
		assert_int_equal(k.candidates, 2);
		assert_int_equal(k.verified_count, 0);
		assert_true(k.vi.bytes > 100);
	}
}

static void test_damaged_tables(void **state)
{
	u64 *entry;

	(void)state;
	fake_kernel_build(&fk);
	entry = fake_kernel_entry(&fk, fk.image_va, 3);
	*entry &= ~1ull;
	assert_int_equal(find_at(0), E_PAGETABLE);
	*entry = 0x7ffffffff000ull | 1;
	assert_int_equal(find_at(0), E_NOT_RAM);
	fake_kernel_build(&fk);
	*fake_kernel_entry(&fk, fk.image_va, 2) += 2 * MIB;
	assert_int_equal(find_at(0), E_VMCOREINFO);
	spoil_both("init_top_pgt)=ffffffff9a200000", "init_top_pgt)=ffffffff9a200008");
	assert_int_equal(find_at(0), E_VMCOREINFO);
	spoil_both("init_top_pgt)=ffffffff9a200000", "init_top_pgt)=ffffffffff200000");
	assert_int_equal(find_at(0), E_NOT_RAM);
	spoil_both("init_top_pgt)=ffffffff9a200000", "init_top_pgt)=ffffffff1a200000");
	assert_int_equal(find_at(0), E_VMCOREINFO);
}

/* The one that got further tells why. */
static void test_best_reason(void **state)
{
	(void)state;
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "PAGESIZE=4096", "PAGESIZE=8192");
	*fake_kernel_entry(&fk, fk.image_va, 3) &= ~1ull;
	assert_int_equal(find_at(0), E_PAGETABLE);
	assert_int_equal(k.vmcoreinfo_pa, fk.text_pa);
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.text_pa, "PAGESIZE=4096", "PAGESIZE=8192");
	*fake_kernel_entry(&fk, fk.image_va, 3) &= ~1ull;
	assert_int_equal(find_at(0), E_PAGETABLE);
	assert_int_equal(k.vmcoreinfo_pa, fk.note_pa);
}

static void test_damaged_copy_is_passed_over(void **state)
{
	(void)state;
	fake_kernel_build(&fk);
	fake_kernel_edit(fk.note_pa, "PAGESIZE=4096", "PAGESIZE=8192");
	expect_found(fk.text_pa);
	assert_int_equal(k.candidates, 2);
	assert_int_equal(k.verified_count, 1);
}

static void test_several_kernels(void **state)
{
	struct fake_kernel other = fk;

	(void)state;
	other.image_pa = 16 * MIB;
	other.note_pa = 20 * MIB;
	other.text_pa = 21 * MIB;
	fake_kernel_build(&fk);
	fake_kernel_build(&other);
	expect_found(fk.note_pa);
	assert_int_equal(k.candidates, 4);
	assert_int_equal(k.verified_count, 2);
	assert_int_equal(k.pt.root_pa, fk.image_pa);
	other.extra = "CRASHTIME=1700000000\n";
	fake_kernel_build(&other);
	expect_found(other.note_pa);
	assert_int_equal(k.pt.root_pa, other.image_pa);
	/* a crashed one that does not verify is no better */
	*fake_kernel_entry(&other, other.image_va, 3) = 0;
	expect_found(fk.note_pa);
	assert_int_equal(k.verified_count, 1);
}

static void test_hint(void **state)
{
	struct fake_kernel other = fk;
	u64 moved = 24 * MIB + 0x1234;

	(void)state;
	other.image_pa = 16 * MIB;
	other.note_pa = 20 * MIB;
	other.text_pa = 0;
	fake_kernel_build(&fk);
	fake_kernel_build(&other);
	assert_int_equal(find_at(other.note_pa), OK);
	assert_int_equal(k.vmcoreinfo_pa, other.note_pa);
	assert_int_equal(k.candidates, 1);
	memmove(image + moved, image + other.note_pa, PAGE_BYTES);
	assert_int_equal(find_at(moved), OK);
	assert_int_equal(k.vmcoreinfo_pa, moved);
	/* a bad hint costs nothing */
	fake_kernel_edit(other.note_pa, "PAGESIZE=4096", "PAGESIZE=8192");
	assert_int_equal(find_at(other.note_pa), OK);
	assert_int_equal(k.vmcoreinfo_pa, fk.note_pa);
	assert_int_equal(k.candidates, 3);
}

/* The image's own memory may hold an old copy of anything; reserved memory is never read. */
static void test_where_not_to_look(void **state)
{
	(void)state;
	fake_kernel_build(&fk);
	memmap_touch(&map, fk.note_pa, PAGE_BYTES, TOUCHED_OURS);
	memmap_touch(&map, fk.text_pa, PAGE_BYTES, TOUCHED_FIRMWARE);
	expect_found(fk.text_pa);
	assert_int_equal(k.candidates, 1);
	memmap_add(&map, fk.text_pa, PAGE_BYTES, MEM_RESERVED);
	assert_int_equal(find_at(0), E_NO_KERNEL);
	memmap_add(&map, fk.image_pa, PAGE_BYTES, MEM_RESERVED);
	assert_int_equal(find_at(fk.note_pa), E_NOT_RAM);
}

static void test_note_shapes(void **state)
{
	u32 *head;

	(void)state;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	head = (u32 *)(void *)(image + fk.note_pa);
	head[1] = 4097;
	assert_int_equal(find_at(0), E_NO_KERNEL);
	head[1] = 4096;
	expect_found(fk.note_pa);
	head[1] = 0;
	assert_int_equal(find_at(0), E_VMCOREINFO);
	assert_int_equal(k.vi.bytes, 0);
	head[1] = 4096;
	head[2] = 1;
	assert_int_equal(find_at(0), E_NO_KERNEL);
	head[2] = 0;
	head[0] = 12;
	assert_int_equal(find_at(0), E_NO_KERNEL);
	head[0] = 11;
	image[fk.note_pa + 12 + 10] = 'X';
	assert_int_equal(find_at(0), E_NO_KERNEL);
}

/* A note in the last page before a hole is read as far as it goes. */
static void test_note_before_a_hole(void **state)
{
	(void)state;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	((u32 *)(void *)(image + fk.note_pa))[1] = VMCOREINFO_MAX;
	memmap_add(&map, fk.note_pa + PAGE_BYTES, PAGE_BYTES, MEM_RESERVED);
	expect_found(fk.note_pa);
}

static void test_names_are_sanitised(void **state)
{
	char *uts = (char *)image + fk.image_pa + FAKE_UTS;

	(void)state;
	fake_kernel_build(&fk);
	memset(uts + 65 * UTS_NODENAME, 'n', 65);
	memcpy(uts + 65 * UTS_VERSION, "\x1b[31m\xff", 6);
	expect_found(fk.note_pa);
	assert_int_equal(strlen(k.uts[UTS_NODENAME]), 64);
	assert_string_equal(k.uts[UTS_VERSION], "?[31m? Debian");
}

/* Each window is opened about once: the search is one pass. */
static void test_search_is_one_pass(void **state)
{
	(void)state;
	fake_kernel_build(&fk);
	expect_found(fk.note_pa);
	assert_true(host_windows_opened() <= RAM_BYTES / PHYS_WINDOW_BYTES + 16);
}

static void test_many_candidates(void **state)
{
	(void)state;
	host_windows_private(false); /* a copy of 2 MiB for each look would take a minute */
	for (u64 pa = 20 * MIB; pa < 28 * MIB; pa += PAGE_BYTES)
		strcpy((char *)image + pa,
			"OSRELEASE=1\nPAGESIZE=4096\nSYMBOL(phys_base)=ffffffff9a211000\n");
	fk.note_pa = 30 * MIB;
	fk.text_pa = 0;
	fake_kernel_build(&fk);
	expect_found(fk.note_pa);
	assert_int_equal(k.candidates, 2049);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_plain),
		T(test_note_alone_and_text_alone),
		T(test_five_levels),
		T(test_memory_encryption),
		T(test_older_root_names),
		T(test_page_offset_from_tables),
		T(test_page_offset_five_levels_from_tables),
		T(test_uts_offset_not_exported),
		T(test_phys_base_derived),
		T(test_nothing_there),
		T(test_damaged_text),
		T(test_damaged_tables),
		T(test_best_reason),
		T(test_damaged_copy_is_passed_over),
		T(test_several_kernels),
		T(test_hint),
		T(test_where_not_to_look),
		T(test_note_shapes),
		T(test_note_before_a_hole),
		T(test_names_are_sanitised),
		T(test_search_is_one_pass),
		T(test_many_candidates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
