/*
 * The core as a whole with a kernel that has a page map: levels, full disks, page maps
 * that can not be used.
 */
#include "tests/unit/main_rig.h"

#define BIT(class) (1u << (class))

static bool is_zero(u64 pfn)
{
	return ram[pfn << PAGE_SHIFT] == 0 &&
	       memcmp(ram + (pfn << PAGE_SHIFT), ram + (pfn << PAGE_SHIFT) + 1, PAGE_BYTES - 1) ==
		       0;
}

static u32 class_of(u64 pfn)
{
	if (pfn < 0x9f)
		return DL_OVERWRITTEN_OURS;
	if (pfn < 0x100)
		return DL_NOT_RAM;
	if (pfn >= USER_PFN && pfn < USER_PFN + 512)
		return DL_USER;
	if (pfn >= CACHE_PFN && pfn < CACHE_PFN + 512)
		return DL_CACHE;
	if (pfn >= PRIVATE_PFN && pfn < PRIVATE_PFN + 256)
		return DL_PRIVATE_CACHE;
	if (pfn >= OFFLINE_PFN && pfn < OFFLINE_PFN + 256)
		return DL_OFFLINE;
	if (pfn >= FREE_PFN && pfn < FREE_PFN + 1024)
		return DL_FREE;
	return DL_KEPT;
}

static u64 expected_pages(u32 level)
{
	u64 pages = 0;

	for (u64 pfn = 0; pfn < RAM_BYTES / PAGE_BYTES; pfn++) {
		if (dl_class_has_data(class_of(pfn), level))
			pages += !(level & DL_LEVEL_ZERO && is_zero(pfn));
	}
	return pages;
}

static void test_all_levels(void **state)
{
	for (u32 level = 0; level <= DL_LEVEL_MAX; level++) {
		struct dl_header h;

		teardown(state);
		setup_mapped(state);
		super_level(level);
		run();
		expect("afterimage: page map: sparse, vmemmap\n");
		expect("afterimage: dump 1 complete: ");
		h = header(0);
		assert_int_equal(h.level_asked, level);
		assert_int_equal(h.level_applied, level);
		assert_int_equal(h.degraded | h.dropped | h.incomplete, 0);
		assert_int_equal(h.kept_pages, expected_pages(level));
	}
}

static void test_says_what_is_left_out(void **state)
{
	(void)state;
	run();
	expect("afterimage: left out by level 31: 4 MiB free, 2 MiB cache, 1 MiB private cache, "
	       "2 MiB user\nafterimage: dump 1 complete: ");
	assert_int_equal(count_of("not all pages"), 0);
	super_level(1);
	run();
	assert_int_equal(count_of("left out"), 0);
	expect("afterimage: dump 2 complete: ");
}

static void test_all_kinds(void **state)
{
	static const u32 kinds[] = {PAGEMAP_FLAT, PAGEMAP_SPARSE, PAGEMAP_DISCONTIG};

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		teardown(state);
		setup(state);
		map_build(kinds[i]);
		run();
		assert_int_equal(count_of("afterimage: page map: "), 1);
		assert_int_equal(header(0).degraded, 0);
		assert_int_equal(header(0).kept_pages, expected_pages(31));
	}
}

/* Nothing is known of any page: all are kept, and the operator is told. */
static void test_no_page_map(void **state)
{
	(void)state;
	fake_kernel_edit(fk.note_pa, "OFFSET(page.flags)", "OFFSET(PAGE.flags)");
	fake_kernel_edit(fk.text_pa, "OFFSET(page.flags)", "OFFSET(PAGE.flags)");
	run();
	expect("afterimage: E14 the old kernel's page map can not be used; ");
	expect("afterimage: dump 1 complete: ");
	assert_int_equal(header(0).degraded, NO_MAP);
	assert_int_equal(header(0).level_asked, 31);
	assert_int_equal(header(0).level_applied, 1);
	assert_true(header(0).kept_pages > expected_pages(1));
	assert_int_equal(count_of("left out"), 0);
	super_level(1);
	run();
	assert_int_equal(header(1).degraded, DL_DEGRADED_PAGEMAP);
}

static void small_disk(u32 level, u32 compressor)
{
	free(disk.bytes);
	pci_model_reset();
	make_disk(FIRST + 9 + 16 * 2048);
	super_edit(ACTION_REBOOT, compressor);
	super_level(level);
}

static void test_class_is_dropped(void **state)
{
	struct dl_header h;

	(void)state;
	fake_anon(&fp, FREE_PFN, 0x640);
	/* Room for all but that. */
	small_disk(DL_LEVEL_ZERO, DL_COMP_NONE);
	run();
	expect("afterimage: cache pages left out: about 1 MiB needed, 0 MiB left\n");
	expect("afterimage: dump 1 complete: ");
	h = header(0);
	assert_int_equal(h.dropped, BIT(DL_CACHE));
	assert_int_equal(h.degraded, DL_DEGRADED_DROPPED);
	assert_int_equal(h.incomplete, 0);
}

/* A write that fails late costs the classes that were to come last. */
static void test_class_is_cut(void **state)
{
	u32 all = 0, some = 0, last = 0;

	for (u32 at = 120; last < 4; at += 10) {
		assert_true(at < 1000);
		teardown(state);
		setup_mapped(state);
		super_edit(ACTION_REBOOT, DL_COMP_NONE);
		super_level(0);
		m.fault = NVME_FAULT_STATUS_DNR;
		m.fault_count = 1;
		m.fault_at = at;
		run();
		assert_int_equal(header(0).state, DL_STATE_INCOMPLETE);
		all += count_of("afterimage: not all pages were written of these: kept, free, "
				"cache, private cache, user, metadata lost\nafterimage: E27");
		some += count_of("of these: free, cache, private cache, user\n");
		last += count_of("of these: free\n");
	}
	assert_true(all > 5 && some > 1);
}

/* Another kernel verifies and is found first, but nothing is left of its page map. */
static void test_earlier_kernel_is_passed_over(void **state)
{
	struct fake_kernel earlier = fake_kernel_default();

	(void)state;
	earlier.image_pa = 2 * MIB;
	earlier.note_pa = MIB;
	earlier.text_pa = MIB + 64 * KIB;
	earlier.mem_section_pa = 22 * MIB;
	memset(ram + earlier.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&earlier);
	run();
	expect("afterimage: 2 kernels in memory");
	expect("afterimage: page map: sparse, vmemmap\n");
	assert_int_equal(header(0).degraded, DL_DEGRADED_SEVERAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_levels, setup_mapped, teardown),
		cmocka_unit_test_setup_teardown(test_says_what_is_left_out, setup_mapped, teardown),
		cmocka_unit_test_setup_teardown(test_all_kinds, setup_mapped, teardown),
		cmocka_unit_test_setup_teardown(test_no_page_map, setup_mapped, teardown),
		cmocka_unit_test_setup_teardown(test_class_is_dropped, setup_mapped, teardown),
		cmocka_unit_test_setup_teardown(test_class_is_cut, setup_mapped, teardown),
		cmocka_unit_test_setup_teardown(
			test_earlier_kernel_is_passed_over, setup_mapped, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
