/*
 * The core as a whole where a survey has found memory lost that the old kernel used: per-CPU
 * data, parts of the page map, pages of processes. And where the kernel had kept away from it.
 */
#include "tests/unit/main_rig.h"

#define PERCPU_PFN   0x600u /* mapped, never given out */
#define PERCPU_PAGES 8u
#define HOLE_PFN     0x800u /* 2 MiB that the kernel kept away from; its text page is behind */
#define HOLE_PAGES   16u
#define LOW_PAGES    0x9fu /* the image's own */
#define MAP_PFN	     (26 * MIB / PAGE_BYTES + USER_PFN * 64 / PAGE_BYTES)
#define MAP_COVERS   64u /* pages from USER_PFN on that it describes */
#define LIST_AT	     8

static void lose(u64 pfn, u64 pages)
{
	memmap_touch(&handoff.map, pfn << PAGE_SHIFT, pages << PAGE_SHIFT, TOUCHED_SURVEY);
}

static void set_aside(u64 pfn, u64 pages)
{
	for (u64 i = 0; i < pages; i++) {
		u64 own = fake_page_va(&fp, pfn + i) + LIST_AT;
		const u64 list[2] = {own, own};

		memcpy(fake_page(&fp, pfn + i) + LIST_AT, list, sizeof(list));
	}
}

static int setup_lost(void **state)
{
	setup_mapped(state);
	set_aside(0, LOW_PAGES);
	set_aside(PERCPU_PFN, PERCPU_PAGES);
	return 0;
}

static void expect_lost(u64 lost, u64 told, u64 used)
{
	struct dl_header h = header(0);

	assert_int_equal(h.state, DL_STATE_COMPLETE);
	assert_int_equal(h.survey, DL_SURVEY_NONE);
	assert_int_equal(h.lost_pages, lost);
	assert_int_equal(h.lost_told_pages, told);
	assert_int_equal(h.lost_used_pages, used);
}

/* As after a reset with the survey's reservation: nothing that was used is gone. */
static void test_nothing_used_is_lost(void **state)
{
	(void)state;
	run();
	expect_lost(LOW_PAGES, LOW_PAGES, 0);
	expect("afterimage: 159 pages (636 KiB) were overwritten by the reset; the old kernel used "
	       "0 of them\n");
}

static void test_used_memory_is_lost(void **state)
{
	u64 lost = LOW_PAGES + PERCPU_PAGES + 4 + 2 + 16;
	u64 kept;

	(void)state;
	run();
	kept = header(0).kept_pages;
	lose(PERCPU_PFN, PERCPU_PAGES);
	lose(USER_PFN + 256, 4);
	lose(CACHE_PFN, 2);
	lose(FREE_PFN + 100, 16);
	run();
	expect("afterimage: 189 pages (756 KiB) were overwritten by the reset; the old kernel used "
	       "14 of them\n");
	assert_int_equal(header(1).lost_pages, lost);
	assert_int_equal(header(1).lost_told_pages, lost);
	assert_int_equal(header(1).lost_used_pages, PERCPU_PAGES + 4 + 2);
	/* All of it is in the dump as it is now, zero or not. */
	assert_true(header(1).kept_pages >= kept + 4 + 2 + 16);
	assert_true(header(1).kept_pages <= kept + PERCPU_PAGES + 4 + 2 + 16);
}

/* What a lost part of the page map describes is kept, and of the lost pages nobody knows. */
static void test_page_map_is_lost(void **state)
{
	u64 lost = LOW_PAGES + 1 + 8;
	u64 full = 0;
	u64 kept;

	(void)state;
	for (u64 pfn = USER_PFN + 8; pfn < USER_PFN + MAP_COVERS; pfn++)
		full += pfn % 3 != 0;
	run();
	kept = header(0).kept_pages;
	lose(MAP_PFN, 1);
	lose(USER_PFN, 8);
	run();
	expect("afterimage: 168 pages (672 KiB) were overwritten by the reset; the old kernel used "
	       "1 of them, and perhaps some of 8 more\n");
	assert_int_equal(header(1).lost_pages, lost);
	assert_int_equal(header(1).lost_told_pages, lost - 8);
	assert_int_equal(header(1).lost_used_pages, 1);
	assert_int_equal(header(1).kept_pages, kept + full + 8);
}

/* The same memory, lost or not, when the kernel had been told to keep away from it. */
static void test_reservation(void **state)
{
	u64 entry_va = fk.page_offset + ((u64)HOLE_PFN << PAGE_SHIFT);

	(void)state;
	set_aside(HOLE_PFN, HOLE_PAGES);
	lose(HOLE_PFN, HOLE_PAGES);
	run();
	expect_lost(LOW_PAGES + HOLE_PAGES, LOW_PAGES + HOLE_PAGES, HOLE_PAGES);
	teardown(state);
	setup_lost(state);
	set_aside(HOLE_PFN, HOLE_PAGES);
	lose(HOLE_PFN, HOLE_PAGES);
	*fake_kernel_entry(&fk, entry_va, 2) = 0;
	run();
	expect_lost(LOW_PAGES + HOLE_PAGES, LOW_PAGES + HOLE_PAGES, 0);
}

static void test_without_a_page_map(void **state)
{
	(void)state;
	fake_kernel_edit(fk.note_pa, "OFFSET(page.flags)", "OFFSET(PAGE.flags)");
	fake_kernel_edit(fk.text_pa, "OFFSET(page.flags)", "OFFSET(PAGE.flags)");
	lose(PERCPU_PFN, 4096 - PERCPU_PFN);
	run();
	expect_lost(LOW_PAGES + 4096 - PERCPU_PFN, 0, 0);
	expect("afterimage: 2719 pages (10 MiB) were overwritten by the reset; what the old kernel "
	       "had there is not known\n");
}

/* Nothing was reset, as kexec left a header: what was written to is memory that was reserved for the image. */
static void test_after_kexec(void **state)
{
	(void)state;
	handoff.door = DOOR_LINUX;
	handoff.elfcorehdr_pa = RAM_BYTES;
	run();
	assert_int_equal(header(0).survey, DL_SURVEY_NOT_NEEDED);
	assert_int_equal(header(0).lost_pages, 0);
	assert_int_equal(count_of("overwritten by the reset"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_used_is_lost, setup_lost, teardown),
		cmocka_unit_test_setup_teardown(test_used_memory_is_lost, setup_lost, teardown),
		cmocka_unit_test_setup_teardown(test_page_map_is_lost, setup_lost, teardown),
		cmocka_unit_test_setup_teardown(test_reservation, setup_lost, teardown),
		cmocka_unit_test_setup_teardown(test_without_a_page_map, setup_lost, teardown),
		cmocka_unit_test_setup_teardown(test_after_kexec, setup_lost, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
