/*
 * The core when the console is asked first, and what automatic mode changes at the end.
 */
#include "tests/unit/main_rig.h"

/* In place of the real one: the made-up kernel has no log that could name its run. */
void ending_find(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	struct ending *out)
{
	(void)pm;
	(void)k;
	(void)scratch;
	*out = (struct ending) {.how = ENDING_CRASH, .why = "panicked", .crash_id = 0x1234567890};
}

/* As run() of the rig, but nothing need be captured. */
static void ask(const char *keys)
{
	memcpy(ram_before, ram, RAM_BYTES);
	host_console_clear();
	host_clock_step(1000);
	host_keys(keys);
	dump_main(&handoff);
	assert_int_equal(memcmp(ram + MIB, ram_before + MIB, RAM_BYTES - MIB), 0);
	assert_int_equal(m.stray_writes, 0);
	assert_int_equal(m.stray_dma, 0);
}

static int setup_asking(void **state)
{
	setup(state);
	handoff.menu_seconds = 3;
	return 0;
}

static void expect_no_result(void)
{
	assert_int_equal(count_of("afterimage: no dump") + count_of(" complete"), 0);
	expect_nothing_written();
}

static void test_nobody_there(void **state)
{
	u64 begin = clock_us();

	(void)state;
	ask("");
	expect("afterimage: capture in 3 s; keys: d now, l other level, b restart, o switch off\n");
	expect("afterimage: dump 1 complete: ");
	assert_true(clock_us() - begin >= 3000000);
	assert_int_equal(header(0).level_asked, 31);
}

static void test_level(void **state)
{
	(void)state;
	ask("l3\r");
	expect("afterimage: dump 1 complete: ");
	assert_int_equal(header(0).level_asked, 3);
	assert_int_equal(header(0).level_applied, 1);
}

static void test_restart(void **state)
{
	(void)state;
	ask("b");
	expect_no_result();
	expect("afterimage: rebooting\n");
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
}

/* There are no ACPI tables here: it can not be done, and is said. */
static void test_switch_off(void **state)
{
	(void)state;
	ask("o");
	expect_no_result();
	expect("afterimage: powering off\n");
	expect("afterimage: E52 ");
	assert_int_equal(host_reset_action(), ACTION_POWEROFF);
}

/* A door that asked already, or that is not to ask, costs no time. */
static void test_asked_before(void **state)
{
	(void)state;
	handoff.asked = true;
	handoff.has_level = true;
	handoff.level = 17;
	ask("b");
	expect("afterimage: dump 1 complete: ");
	assert_int_equal(count_of("keys:"), 0);
	assert_int_equal(header(0).level_asked, 17);
	handoff.asked = false;
	handoff.menu_seconds = 0;
	ask("b");
	expect("afterimage: dump 2 complete: ");
}

/* Only doors that can read the dump disk by firmware decide alone. */
static void test_not_automatic_here(void **state)
{
	(void)state;
	handoff.automatic = true;
	ask("");
	expect("afterimage: dump 1 complete: ");
	assert_int_equal(count_of("automatic"), 0);
}

static void test_choose_by_the_door(void **state)
{
	struct choose_disk known = {.known = true};
	u64 id = 0;

	(void)state;
	handoff.automatic = true;
	handoff.boots_on = true;
	assert_int_equal(dump_choose(&handoff, &known, NULL, NULL, &id), CHOOSE_CAPTURE);
	expect("afterimage: automatic: kernel " FAKE_RELEASE " of host host ");
	assert_true(handoff.asked);
	assert_false(handoff.has_level);
	assert_int_equal(handoff.vmcoreinfo_pa, fk.note_pa);
	assert_int_not_equal(id, 0);
	ask("");
	expect("afterimage: dump 1 complete: ");
	assert_int_equal(header(0).crash_id, id);

	/* The same memory again: it is in the directory. */
	known.count = 1;
	known.dump[0] = (struct choose_dump) {.crash_id = id, .number = 1};
	assert_int_equal(dump_choose(&handoff, &known, NULL, NULL, &id), CHOOSE_BOOT_ON);
	expect("dump 1 has it\n");
	assert_int_equal(id, 0);
}

/* A machine that really crashes again and again is started again and again. */
static void test_no_fear_of_loops(void **state)
{
	(void)state;
	handoff.asked = true;
	for (u32 i = 0; i < 4; i++) {
		handoff.automatic = i < 3;
		ask("");
		assert_int_equal(count_of("E51"), i == 3);
		assert_int_equal(host_reset_action(), i == 3 ? ACTION_HALT : ACTION_REBOOT);
	}
}

static u32 ways_taken;

static void way_on(void)
{
	ways_taken++;
}

/* What stops the decision would stop it again after a restart; a capture is begun only once. */
static void test_panic_before_the_capture(void **state)
{
	(void)state;
	dump_panic_way(way_on);
	dump_panic(E_TRAP, "exception 18");
	assert_int_equal(ways_taken, 1);
	dump_panic(E_TRAP, "of the way itself");
	assert_int_equal(ways_taken, 1);
	handoff.asked = true;
	dump_panic_way(way_on);
	ask("");
	dump_panic(E_TRAP, "exception 18");
	assert_int_equal(ways_taken, 1);
}

#define TEST(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_there, setup_asking),
		TEST(test_level, setup_asking),
		TEST(test_restart, setup_asking),
		TEST(test_switch_off, setup_asking),
		TEST(test_asked_before, setup_asking),
		TEST(test_not_automatic_here, setup_asking),
		TEST(test_choose_by_the_door, setup),
		TEST(test_no_fear_of_loops, setup),
		TEST(test_panic_before_the_capture, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
