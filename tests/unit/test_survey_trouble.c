/*
 * A survey through the core as a whole when something is in the way: it ends by itself, and the
 * capture goes on.
 */
#include "tests/unit/survey_rig.h"

static void test_cut_while_filling(void **state)
{
	struct dl_survey v;

	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	v = record();
	v.state = DL_SURVEY_FILLING;
	record_write(&v);
	boot_capture("afterimage: no dump: E10 ");
	expect("afterimage: survey: E56 ");
	expect_ended(E_SURVEY_LOST);
	boot_capture("afterimage: no dump: E10 ");
	assert_int_equal(count_of("survey: E"), 0);
}

/* Another system was booted in between, and hung. */
static void test_kernel_in_between(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	fill_ram();
	boot_capture(" complete: ");
	expect("afterimage: survey: E56 ");
	expect_ended(E_SURVEY_LOST);
}

/* It may have used so little that most of the pattern is there. */
static void test_small_kernel_in_between(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	memset(ram + fk.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&fk);
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_LOST);
}

static void test_unverified_in_between(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	fake_kernel_build(&fk);
	memset(ram + fk.image_pa, 0, FAKE_IMAGE_BYTES);
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_LOST);
}

/* Where no pattern was, firmware's memory say, an older kernel's words may still stand. */
static void test_left_over(void **state)
{
	(void)state;
	arm(1, DL_SURVEY_CONFIRMED);
	firmware_pa = fk.text_pa;
	boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
	expect("afterimage: E");
	expect_range(2, fk.text_pa, 2, DL_LOST_FIRMWARE);
}

/* Its words may lie there too, but all the rest of it can not. */
static void test_verified_in_between(void **state)
{
	(void)state;
	wipe_kernel();
	firmware_pa = fk.text_pa;
	boot_survey(DL_SURVEY_FILLED);
	fk.note_pa = 0;
	memset(ram + fk.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&fk);
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_LOST);
}

static void test_kexec_in_between(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	handoff.elfcorehdr_pa = 12 * MIB;
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_LOST);
}

static void test_damaged_kexec_in_between(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	handoff.degraded = DL_DEGRADED_ELFCOREHDR;
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_LOST);
}

static void test_wiped(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	memset(ram + MIB, 0, RAM_BYTES - MIB);
	memset(ram + 3 * MIB, 0x55, MIB);
	memset(ram + 4 * MIB, 0x77, MIB);
	boot_capture("afterimage: no dump: E17 ");
	expect("afterimage: survey: E17 ");
	expect_ended(E_WIPED);
	/* Two MiB in 31 that are neither zero nor like the rest are too much. */
	memset(ram + 5 * MIB, 0x99, MIB);
	boot_capture("afterimage: no dump: E10 ");
}

/* Nearly all of a machine that does little may be zero. */
static void test_kernel_in_little_memory(void **state)
{
	(void)state;
	memset(record_at(), 0, 512);
	memset(ram + MIB, 0, RAM_BYTES - MIB);
	fake_kernel_build(&fk);
	boot_capture(" complete: ");
	wipe_kernel();
	boot_capture("afterimage: no dump: E17 ");
}

static void test_half_is_left(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	memset(ram + MIB, 0, 15 * MIB);
	boot_survey(DL_SURVEY_FILLED);
	expect_range(2, MIB, 15 * MIB / PAGE_BYTES, DL_LOST_CHANGED);
	memset(ram + MIB, 0, 16 * MIB);
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_LOST);
}

static void test_other_door(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	handoff.door = DOOR_UEFI;
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_LOST);
}

static void test_damaged_record(void **state)
{
	(void)state;
	record_at()[40] ^= 1;
	boot_capture(" complete: ");
	expect("afterimage: survey: E54 ");
	assert_int_equal(header(0).survey, DL_SURVEY_NONE);
}

/* Pages with memory errors are neither written to nor trusted. */
static void test_memory_error(void **state)
{
	(void)state;
	wipe_kernel();
	host_ram_unreadable(9 * MIB + PAGE_BYTES);
	memcpy(ram_before, ram, RAM_BYTES);
	boot_survey(DL_SURVEY_FILLED);
	assert_memory_equal(
		ram + 9 * MIB + PAGE_BYTES, ram_before + 9 * MIB + PAGE_BYTES, PAGE_BYTES);
	boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
	expect_range(2, 9 * MIB + PAGE_BYTES, 1, DL_LOST_CHANGED);
}

static void remake(void **state)
{
	teardown(state);
	setup_survey(state);
	wipe_kernel();
}

/* Commands counted from 1; how many one boot needs. */
static u64 commands_of_boot(u32 state)
{
	u64 before = m.commands;

	boot_survey(state);
	return m.commands - before;
}

/*
 * Wherever the disk fails for once, the machine restarts, nothing strays, and after a few more
 * boots the survey is over: done, or ended with a reason.
 */
static void fail_once(void **state, u32 boots_before, u64 at)
{
	u32 n = 0;

	remake(state);
	for (u32 i = 0; i < boots_before; i++)
		boot_survey(DL_SURVEY_FILLED);
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = m.commands + at;
	m.fault_count = 1;
	boot();
	m.fault = NVME_FAULT_NONE;
	while (record().state != DL_SURVEY_DONE && record().state != DL_SURVEY_ENDED) {
		boot();
		assert_true(++n < 5);
	}
	if (record().state == DL_SURVEY_ENDED)
		assert_int_equal(record().reason, E_SURVEY_LOST);
	fill_ram();
	boot_capture(" complete: ");
}

static void test_failures(void **state)
{
	for (u32 before = 0; before < 3; before++) {
		u64 commands;

		remake(state);
		for (u32 i = 0; i < before; i++)
			boot_survey(DL_SURVEY_FILLED);
		commands = commands_of_boot(before < 2 ? DL_SURVEY_FILLED : DL_SURVEY_DONE);
		assert_true(commands > 10);
		for (u64 at = commands; at > commands - 10; at--)
			fail_once(state, before, at);
	}
}

/* If it can not be recorded that memory is about to be filled, it is not. */
static void test_nothing_filled_unrecorded(void **state)
{
	u64 commands;
	u64 overwritten;

	remake(state);
	commands = commands_of_boot(DL_SURVEY_FILLED);
	remake(state);
	overwritten = host_overwritten_pages();
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = m.commands + commands - 5; /* the first flush */
	m.fault_count = 1000;
	memcpy(ram_before, ram, RAM_BYTES);
	boot();
	assert_int_equal(host_overwritten_pages(), overwritten);
	assert_memory_equal(ram + MIB, ram_before + MIB, RAM_BYTES - MIB);
	expect("afterimage: survey: E27 ");
	expect("afterimage: no dump: E10 ");
}

/* Nor does a record say that memory is full while it may not be. */
static void test_fullness_unrecorded(void **state)
{
	u64 commands;
	u64 overwritten;

	remake(state);
	commands = commands_of_boot(DL_SURVEY_FILLED);
	remake(state);
	overwritten = host_overwritten_pages();
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = m.commands + commands - 2; /* the first flush behind the filling */
	m.fault_count = 1000;
	boot_survey(DL_SURVEY_FILLING);
	assert_int_equal(host_overwritten_pages() - overwritten, HIGH_PAGES);
	expect("afterimage: survey: E27 ");
	m.fault = NVME_FAULT_NONE;
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cut_while_filling, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_kernel_in_between, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_small_kernel_in_between, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_unverified_in_between, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_left_over, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_verified_in_between, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_kexec_in_between, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_damaged_kexec_in_between, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_wiped, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_kernel_in_little_memory, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_half_is_left, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_other_door, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_record, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_memory_error, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_nothing_filled_unrecorded, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_fullness_unrecorded, setup_survey, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
