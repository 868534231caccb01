/*
 * A survey through the core as a whole: when it begins, what it records, what a capture makes of
 * it.
 */
#include "tests/unit/survey_rig.h"

#define LEAST_ARENA 368640u

static void test_two_cycles(void **state)
{
	u64 overwritten = host_overwritten_pages();
	u64 flushes = host_flushes();
	struct dl_survey v;
	u64 seed;

	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	expect("afterimage: survey: cycle 1 of 2: 31 MiB filled; restarting\n");
	assert_int_equal(host_overwritten_pages() - overwritten, HIGH_PAGES);
	assert_int_equal(host_flushes() - flushes, 1);
	assert_int_equal(host_bar(), 1000);
	seed = record().seed;
	change(5 * MIB, 3);
	boot_survey(DL_SURVEY_FILLED);
	expect("afterimage: survey: cycle 1 of 2: 31 MiB compared, 1 MiB lost\n");
	expect("afterimage: survey: cycle 2 of 2: 31 MiB filled; restarting\n");
	assert_int_not_equal(record().seed, seed);
	change(9 * MIB, 300);
	boot_survey(DL_SURVEY_DONE);
	expect("afterimage: survey: done: ");
	v = record();
	assert_int_equal(v.cycles_done, 2);
	assert_int_equal(v.checked_pages, HIGH_PAGES);
	assert_int_equal(v.lost_pages, LOW_PAGES + 303);
	assert_int_equal(v.ram_pages, LOW_PAGES + HIGH_PAGES);
	assert_int_equal(v.end_pfn, RAM_BYTES / PAGE_BYTES);
	assert_int_equal(v.door, DOOR_BIOS);
	assert_int_equal(v.ended_s, handoff.time_s);
	assert_int_equal(v.range_count, 4);
	expect_range(0, 0, LOW_PAGES - 1, DL_LOST_OURS);
	expect_range(1, 0x9e000, 1, DL_LOST_FIRMWARE);
	expect_range(2, 5 * MIB, 3, DL_LOST_CHANGED);
	expect_range(3, 9 * MIB, 300, DL_LOST_CHANGED);
	assert_int_equal(host_overwritten_pages() - overwritten, 2 * HIGH_PAGES);
}

/* A page that has the pattern of another page, or of the cycle before, is lost. */
static void test_moved_page(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	memcpy(ram_before, ram, RAM_BYTES);
	memcpy(ram + 6 * MIB, ram + 7 * MIB, PAGE_BYTES);
	boot_survey(DL_SURVEY_FILLED);
	memcpy(ram + 8 * MIB, ram_before + 8 * MIB, PAGE_BYTES);
	boot_survey(DL_SURVEY_DONE);
	expect_range(2, 6 * MIB, 1, DL_LOST_CHANGED);
	expect_range(3, 8 * MIB, 1, DL_LOST_CHANGED);
}

static void make_done(void)
{
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	change(5 * MIB, 2);
	boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
}

static u32 touched_at(u64 pa)
{
	return memmap_find(&handoff.map, pa)->touched;
}

static bool note_on_disk(const void *data, size_t bytes)
{
	struct dl_note head = {DL_NOTE_SURVEY, (u32)bytes};
	u8 note[2 * PAGE_BYTES];

	memcpy(note, &head, sizeof(head));
	memcpy(note + sizeof(head), data, bytes);
	return memmem(disk.bytes, disk.blocks * 512, note, sizeof(head) + bytes) != NULL;
}

/* Of the record that make_done leaves. */
static void expect_note(void)
{
	struct dl_survey v = record();
	u8 data[sizeof(v) + 3 * sizeof(struct dl_survey_range)];

	assert_int_equal(v.range_count, 3);
	memcpy(data, &v, sizeof(v));
	memcpy(data + sizeof(v), ranges(), 3 * sizeof(*ranges()));
	assert_true(note_on_disk(data, sizeof(data)));
}

static void test_used(void **state)
{
	(void)state;
	make_done();
	fill_ram();
	boot_capture(" complete: ");
	expect("afterimage: survey: 1 MiB of 31 are lost at every reset\n");
	assert_int_equal(header(0).survey, DL_SURVEY_USED);
	assert_int_equal(touched_at(5 * MIB - 1), TOUCHED_NOBODY);
	assert_int_equal(touched_at(5 * MIB), TOUCHED_SURVEY);
	assert_int_equal(touched_at(5 * MIB + 2 * PAGE_BYTES), TOUCHED_NOBODY);
	assert_int_equal(touched_at(0x5000), TOUCHED_OURS);
	expect_note();
	/* And it stays. */
	boot_capture(" complete: ");
	assert_int_equal(header(1).survey, DL_SURVEY_USED);
}

/* The least memory that the image has: what the survey takes of it, it gives back. */
static void test_used_with_little_memory(void **state)
{
	(void)state;
	make_done();
	fill_ram();
	super_edit(ACTION_REBOOT, DL_COMP_ZLIB);
	handoff.arena_bytes = LEAST_ARENA;
	boot_capture(" complete: ");
	assert_int_equal(count_of("no memory for compressor"), 0);
	assert_int_equal(header(0).survey, DL_SURVEY_USED);
	expect_note();
}

static void test_none(void **state)
{
	struct dl_super s = super_read();

	(void)state;
	memset(record_at(), 0, 512);
	boot_capture(" complete: ");
	expect("afterimage: no survey of this machine was made");
	assert_int_equal(header(0).survey, DL_SURVEY_NONE);
	s.survey_blocks = 0;
	super_write(&s);
	boot_capture(" complete: ");
	assert_int_equal(header(1).survey, DL_SURVEY_NONE);
	assert_int_equal(count_of("survey: E"), 0);
}

static void test_unfit(void **state)
{
	struct dl_survey v;

	(void)state;
	make_done();
	fill_ram();
	v = record();
	v.door = DOOR_UEFI;
	record_write(&v);
	boot_capture(" complete: ");
	expect("afterimage: survey: it is of another boot path or of other memory");
	assert_int_equal(header(0).survey, DL_SURVEY_UNFIT);
	assert_int_equal(touched_at(5 * MIB), TOUCHED_NOBODY);
	v.door = DOOR_BIOS;
	v.end_pfn += 64 * MIB / PAGE_BYTES;
	record_write(&v);
	boot_capture(" complete: ");
	assert_int_equal(header(1).survey, DL_SURVEY_USED);
	v.end_pfn++;
	record_write(&v);
	boot_capture(" complete: ");
	assert_int_equal(header(2).survey, DL_SURVEY_UNFIT);
	v.end_pfn -= 64 * MIB / PAGE_BYTES;
	v.ram_pages += 64 * MIB / PAGE_BYTES + 1;
	record_write(&v);
	boot_capture("afterimage: dump 4 ");
	assert_int_equal(header(3).survey, DL_SURVEY_UNFIT);
}

/* More ranges than the map and a note can hold. */
static void test_many_ranges(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	for (u32 i = 0; i < 2100; i++)
		change(2 * MIB + i * 3 * PAGE_BYTES, 1 + i % 2);
	boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
	assert_int_equal(record().range_count, DL_SURVEY_RANGES);
	assert_int_equal(record().joined, 2 + 2100 - DL_SURVEY_RANGES);
	fill_ram();
	boot_capture(" complete: ");
	assert_int_equal(header(0).survey, DL_SURVEY_USED);
	assert_int_equal(header(0).ram_pages, LOW_PAGES + HIGH_PAGES);
	assert_int_equal(handoff.map.dropped, 0);
	assert_int_equal(memmap_ram_pages(&handoff.map), LOW_PAGES + HIGH_PAGES);
	for (u32 i = 0; i < 2100; i++)
		assert_int_equal(touched_at(2 * MIB + i * 3 * PAGE_BYTES), TOUCHED_SURVEY);
	assert_int_equal(touched_at(MIB), TOUCHED_NOBODY);
	assert_int_equal(touched_at(31 * MIB), TOUCHED_NOBODY);
}

static void test_crash_is_captured(void **state)
{
	(void)state;
	boot_capture(" complete: ");
	expect("afterimage: survey: E55 memory may hold a crash");
	expect_ended(E_SURVEY_CRASH);
	assert_int_equal(header(0).survey, DL_SURVEY_NONE);
	assert_int_equal(record().ended_s, handoff.time_s);
	boot_capture(" complete: ");
	assert_int_equal(count_of("survey: E"), 0);
	assert_int_equal(count_of("no memory for compressor"), 0);
}

static void test_unverified_is_captured(void **state)
{
	(void)state;
	*fake_kernel_entry(&fk, fk.image_va, 4) = 0;
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_CRASH);
}

static void test_confirmed(void **state)
{
	(void)state;
	arm(2, DL_SURVEY_CONFIRMED);
	boot_survey(DL_SURVEY_FILLED);
}

/* A crash that the image was loaded for is always kept. */
static void test_confirmed_and_kexec(void **state)
{
	(void)state;
	arm(2, DL_SURVEY_CONFIRMED);
	handoff.elfcorehdr_pa = 12 * MIB;
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_CRASH);
	assert_int_equal(header(0).survey, DL_SURVEY_NOT_NEEDED);
	assert_int_equal(count_of("no survey"), 0);
}

/* Likewise if its description is damaged; then the search may find no kernel, either. */
static void test_kexec_with_damage(void **state)
{
	(void)state;
	arm(2, DL_SURVEY_CONFIRMED);
	handoff.degraded = DL_DEGRADED_ELFCOREHDR;
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_CRASH);
	assert_int_equal(header(0).survey, DL_SURVEY_NOT_NEEDED);
	assert_int_equal(count_of("no survey"), 0);
	wipe_kernel();
	arm(2, 0);
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_CRASH);
}

static void test_orderly_end(void **state)
{
	(void)state;
	kernel_says("<6>sd 0:0:0:0: Synchronizing SCSI cache\n<0>reboot: Restarting system\n"
		    "<6>reboot: machine restart\n");
	boot_survey(DL_SURVEY_FILLED);
}

/* One of two kernels did; the other one may be the crash. */
static void test_orderly_end_of_one(void **state)
{
	struct fake_kernel other;

	(void)state;
	kernel_says("<0>reboot: Restarting system\n");
	other = fk;
	other.image_pa = 10 * MIB;
	other.note_pa = 9 * MIB;
	other.text_pa = 9 * MIB + PAGE_BYTES;
	other.extra = "SYMBOL(other)=1\n";
	memset(ram + other.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&other);
	boot_capture(" complete: ");
	expect("afterimage: 2 kernels in memory");
	expect_ended(E_SURVEY_CRASH);
}

static void test_no_orderly_end(void **state)
{
	(void)state;
	kernel_says("<0>reboot: Restarting system\n<1>BUG: unable to handle page fault\n");
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_CRASH);
}

/* The loop guard counts dumps; a survey makes none, however often the machine restarts. */
static void test_many_cycles(void **state)
{
	(void)state;
	wipe_kernel();
	arm(DL_SURVEY_CYCLES_MAX, 0);
	for (u32 i = 0; i < DL_SURVEY_CYCLES_MAX; i++)
		boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
	assert_int_equal(record().cycles_done, DL_SURVEY_CYCLES_MAX);
}

/* What the disk is told to do after a dump is not for a survey. */
static void test_halt_is_for_dumps(void **state)
{
	(void)state;
	wipe_kernel();
	super_edit(ACTION_HALT, DL_COMP_LZF);
	boot_survey(DL_SURVEY_FILLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_cycles, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_moved_page, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_used, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_used_with_little_memory, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_unfit, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_many_ranges, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_crash_is_captured, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_unverified_is_captured, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_confirmed, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_confirmed_and_kexec, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_kexec_with_damage, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_orderly_end, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_orderly_end_of_one, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_no_orderly_end, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_many_cycles, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_halt_is_for_dumps, setup_survey, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
