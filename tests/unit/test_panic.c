/*
 * Why the kernel stopped, out of made-up logs: which line
 * counts, and what becomes of its bytes.
 */
#include "panic.h"
#include "tests/unit/printk_ring_rig.h"

#define NOISE "usb 1-1: new high-speed USB device"

static struct oldkernel kernel;
static struct panic_scratch scratch;
static char text[97];

static int setup(void **state)
{
	int failed = rig_setup(state);

	if (!failed)
		make(8, 15);
	return failed;
}

static bool find(u32 bytes)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.verified = true;
	kernel.pt = pt;
	kernel.vi = vi;
	memset(text, 0x55, sizeof(text));
	memset(&scratch, 0xee, sizeof(scratch));
	return panic_find(&pm, &kernel, &scratch, text, bytes);
}

static void expect_found(const char *what)
{
	assert_true(find(sizeof(text)));
	assert_string_equal(text, what);
}

static void expect_none(void)
{
	assert_false(find(sizeof(text)));
	assert_string_equal(text, "");
}

static void add_noise(u32 records)
{
	for (u32 i = 0; i < records; i++)
		add(NOISE);
}

static void test_no_panic(void **state)
{
	(void)state;
	expect_none();
	add_noise(3);
	add("systemd[1]: Kernel panic - not syncing: is only quoted here");
	add("---[ end Kernel panic - not syncing: likewise ]---");
	add("myprog[77]: BUG: in user space");
	add("traps: myprog[77] general protection fault ip:7f");
	add("Kernel panic - not syncing:");
	add("BUG");
	expect_none();
}

static void test_panic_line(void **state)
{
	(void)state;
	add_noise(2);
	add("sysrq: Trigger a crash");
	add("Kernel panic - not syncing: sysrq triggered crash");
	add("CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0");
	add("---[ end Kernel panic - not syncing: sysrq triggered crash ]---");
	expect_found("sysrq triggered crash");
}

static void test_last_panic_counts(void **state)
{
	(void)state;
	add("Kernel panic - not syncing: first");
	add("Kernel panic - not syncing: second");
	add("BUG: kernel NULL pointer dereference, address: 0");
	add("Kernel panic - not syncing: Fatal exception");
	expect_found("second");
}

static void test_oops(void **state)
{
	static const char *const lines[] = {"BUG: kernel NULL pointer dereference, address: 08",
		"BUG: unable to handle page fault for address: ffffc90000000000",
		"BUG: scheduling while atomic: swapper/0/0/0x00000002",
		"kernel BUG at mm/slub.c:388!", "Oops: 0002 [#1] PREEMPT SMP NOPTI",
		"general protection fault, probably for non-",
		"general protection fault: 0000 [#1] SMP", "Unable to handle kernel paging request",
		"divide error: 0000 [#1] SMP", "invalid opcode: 0000 [#1] SMP",
		"stack segment: 0000 [#1]", "double fault: 0000 [#1]",
		"watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [x:1]",
		"NMI watchdog: BUG: soft lockup - CPU#3 stuck for 22s!",
		"watchdog: Watchdog detected hard LOCKUP on cpu 1",
		"NMI watchdog: Watchdog detected hard LOCKUP on cpu 1"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++) {
		add_noise(20);
		add(lines[i]);
		add_noise(2);
		expect_found(lines[i]);
	}
}

/* One report has several such lines; its first says most. */
static void test_first_line_of_the_last_oops(void **state)
{
	(void)state;
	add("BUG: scheduling while atomic: x/1/0x2");
	add_noise(16);
	add("kernel BUG at fs/inode.c:1!");
	add("invalid opcode: 0000 [#1] SMP");
	add_noise(15);
	add("BUG: unable to handle page fault while reporting it");
	expect_found("kernel BUG at fs/inode.c:1!");
	add_noise(16);
	add("Oops: 0000 [#3] SMP");
	expect_found("Oops: 0000 [#3] SMP");
}

static void test_panic_before_oops(void **state)
{
	(void)state;
	add("BUG: unable to handle page fault for address: 1");
	add("Kernel panic - not syncing: hung_task: blocked tasks");
	add_noise(20);
	add("BUG: kernel NULL pointer dereference, address: 0");
	expect_found("hung_task: blocked tasks");
}

/* It only says that there was an oops. */
static void test_fatal_exception(void **state)
{
	(void)state;
	add("Kernel panic - not syncing: Fatal exception in interrupt");
	expect_found("Fatal exception in interrupt");
	add("BUG: kernel NULL pointer dereference, address: 0");
	add("Oops: 0002 [#1] SMP");
	expect_found("BUG: kernel NULL pointer dereference, address: 0");
	add("Kernel panic - not syncing: Fatal exception in interrupt");
	expect_found("BUG: kernel NULL pointer dereference, address: 0");
	add("Kernel panic - not syncing: Attempted to kill init!");
	expect_found("Attempted to kill init!");
}

/* What was printed in pieces, or by one call, is one record with several lines. */
static void test_lines_of_one_record(void **state)
{
	(void)state;
	add("some words\n\nKernel panic - not syncing: out of\n memory\n");
	expect_found("out of");
	add("\nkernel BUG at x.c:1!\n");
	add("Kernel panic - not syncing: Fatal exception\nFatal");
	expect_found("out of");
}

static void test_bytes_of_the_text(void **state)
{
	static const char odd[] = "Kernel panic - not syncing: a\tb\x01\xff\x1b[31m~ \x7f";
	static const char cut_by_nul[] = "Kernel panic - not syncing: a\0b";
	char longest[300];

	(void)state;
	add(odd);
	expect_found("a?b???[31m~ ?");
	add_bytes(cut_by_nul, sizeof(cut_by_nul) - 1);
	expect_found("a");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, odd, 28);
	add_bytes(longest, sizeof(longest));
	assert_true(find(sizeof(text)));
	assert_int_equal(strlen(text), 96);
	assert_int_equal(text[95], 'x');
	assert_true(find(10));
	assert_string_equal(text, "xxxxxxxxx");
	assert_int_equal((u8)text[10], 0x55);
	assert_false(find(1));
	assert_string_equal(text, "");
	assert_false(find(0));
	assert_int_equal((u8)text[0], 0x55);
}

/* A line that is all of its record, at the record's end: nothing beyond it is compared. */
static void test_every_cut_of_a_line(void **state)
{
	static const char line[] = "Kernel panic - not syncing: x";

	(void)state;
	for (u32 n = 0; n < sizeof(line) - 1; n++)
		add_bytes(line, n);
	expect_none();
	for (u32 n = sizeof(line) - 1; n > 0; n--)
		add_bytes(line, n);
	expect_found("x");
}

static void test_overwritten(void **state)
{
	(void)state;
	add("Kernel panic - not syncing: long ago");
	add_noise(300);
	expect_none();
}

static void test_no_log(void **state)
{
	(void)state;
	add("Kernel panic - not syncing: x");
	expect_found("x");
	kernel.verified = false;
	assert_false(panic_find(&pm, &kernel, &scratch, text, sizeof(text)));
	assert_string_equal(text, "");
	vi.bytes = 0;
	expect_none();
	memset(&kernel, 0, sizeof(kernel));
	assert_false(panic_find(&pm, &kernel, &scratch, text, sizeof(text)));
	assert_string_equal(text, "");
}

static bool ended_in_order(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.verified = true;
	kernel.pt = pt;
	kernel.vi = vi;
	memset(&scratch, 0xee, sizeof(scratch));
	return panic_orderly_end(&pm, &kernel, &scratch);
}

static void start_over(void **state)
{
	rig_teardown(state);
	setup(state);
}

static void test_goodbyes(void **state)
{
	static const char *const words[] = {
		"reboot: Restarting system",
		"reboot: Restarting system with command 'bootloader'",
		"reboot: Power down",
		"reboot: System halted",
		"kexec_core: Starting new kernel",
		"kexec: Starting new kernel",
		"Starting new kernel",
		"Restarting system.",
		"Power down.",
		"System halted.",
	};

	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		start_over(state);
		add_noise(20);
		assert_false(ended_in_order());
		add(words[i]);
		assert_true(ended_in_order());
		add("reboot: machine restart");
		assert_true(ended_in_order());
	}
}

/* Drivers may say something more; a kernel that goes on for long has not stopped. */
static void test_few_words_after_goodbye(void **state)
{
	(void)state;
	add("reboot: Restarting system");
	add_noise(8);
	assert_true(ended_in_order());
	add_noise(1);
	assert_false(ended_in_order());
}

static void test_crash_after_goodbye(void **state)
{
	static const char *const words[] = {
		"Kernel panic - not syncing: Attempted to kill init!",
		"Kernel panic - not syncing: Fatal exception",
		"BUG: kernel NULL pointer dereference, address: 0000000000000008",
		"watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
	};

	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		start_over(state);
		add("reboot: Restarting system");
		add(words[i]);
		assert_false(ended_in_order());
	}
	/* Survived, and rebooted later. */
	start_over(state);
	add(words[2]);
	add("reboot: Restarting system");
	assert_true(ended_in_order());
}

static void test_no_goodbye(void **state)
{
	(void)state;
	assert_false(ended_in_order());
	add("systemd-shutdown[1]: reboot: Restarting system");
	add("reboot: Restartin");
	add("sysrq: Resetting");
	assert_false(ended_in_order());
	add("reboot: Power down");
	assert_true(ended_in_order());
	kernel.verified = false;
	assert_false(panic_orderly_end(&pm, &kernel, &scratch));
	kernel.verified = true;
	kernel.vi.text[0] = '\0';
	kernel.vi.bytes = 0;
	assert_false(panic_orderly_end(&pm, &kernel, &scratch));
}

/* Anybody may write to /dev/kmsg, but not as the kernel. */
static void test_words_of_user_space(void **state)
{
	(void)state;
	ring.facility = 1;
	add("reboot: Restarting system");
	assert_false(ended_in_order());
	add("Kernel panic - not syncing: forged");
	add("BUG: forged");
	expect_none();
	ring.facility = 0;
	add("reboot: Restarting system");
	ring.facility = 3;
	add("BUG: forged");
	add("Kernel panic - not syncing: forged");
	assert_true(ended_in_order());
}

static struct panic_words last_words(void)
{
	struct panic_words words;

	find(sizeof(text));
	memset(&words, 0xee, sizeof(words));
	assert_true(panic_last_words(&pm, &kernel, &scratch, &words));
	return words;
}

static void test_last_words(void **state)
{
	(void)state;
	add(NOISE);
	assert_int_equal(last_words().last, PANIC_WORDS_NONE);
	add("BUG: scheduling while atomic: x/1/0x2");
	add_noise(30);
	assert_int_equal(last_words().last, PANIC_WORDS_OOPS);
	add("sysrq: Resetting");
	assert_int_equal(last_words().last, PANIC_WORDS_RESET);
	add("Oops: 0000 [#3] SMP");
	assert_int_equal(last_words().last, PANIC_WORDS_OOPS);
	add("Kernel panic - not syncing: Fatal exception");
	assert_int_equal(last_words().last, PANIC_WORDS_PANIC);
	add("Oops: 0000 [#4] SMP");
	add("SysRq : Resetting");
	add("sysrq: SysRq : Resetting");
	assert_int_equal(last_words().last, PANIC_WORDS_PANIC);
	add("Restarting system.");
	assert_int_equal(last_words().last, PANIC_WORDS_GOODBYE);
	add_noise(9);
	assert_int_equal(last_words().last, PANIC_WORDS_NONE);
	add("SysRq : Resetting");
	assert_int_equal(last_words().last, PANIC_WORDS_RESET);
}

/* The number and time of the last that follows the one before it. */
static void test_last_record(void **state)
{
	struct panic_words words;

	(void)state;
	add(NOISE);
	put_u64(info_at(ring.head_id) + TIME, 77);
	words = last_words();
	assert_int_equal(words.sequence, 0);
	assert_int_equal(words.time_ns, 77);
	add_noise(7);
	words = last_words();
	assert_int_equal(words.sequence, 7);
	assert_int_equal(words.time_ns, 7000000049);
	/* written over: zeros, then anything */
	memset(image + info_at(ring.head_id), 0, INFO_BYTES);
	words = last_words();
	assert_int_equal(words.sequence, 6);
	memset(image + info_at(ring.head_id), 0xaf, INFO_BYTES);
	memset(image + info_at((ring.head_id - 1) & ID_MASK), 0xaf, INFO_BYTES);
	words = last_words();
	assert_int_equal(words.sequence, 5);
	assert_int_equal(words.time_ns, 5000000035);
	add_noise(1);
	assert_int_equal(last_words().sequence, 5);
	add_noise(1);
	assert_int_equal(last_words().sequence, 9);
}

static void test_no_last_words(void **state)
{
	struct panic_words words;

	(void)state;
	find(sizeof(text));
	assert_false(panic_last_words(&pm, &kernel, &scratch, &words));
	add(NOISE);
	assert_true(panic_last_words(&pm, &kernel, &scratch, &words));
	kernel.verified = false;
	assert_false(panic_last_words(&pm, &kernel, &scratch, &words));
	assert_int_equal(words.last, PANIC_WORDS_NONE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_no_panic),
		T(test_goodbyes),
		T(test_few_words_after_goodbye),
		T(test_crash_after_goodbye),
		T(test_no_goodbye),
		T(test_words_of_user_space),
		T(test_last_words),
		T(test_last_record),
		T(test_no_last_words),
		T(test_panic_line),
		T(test_last_panic_counts),
		T(test_oops),
		T(test_first_line_of_the_last_oops),
		T(test_panic_before_oops),
		T(test_fatal_exception),
		T(test_lines_of_one_record),
		T(test_bytes_of_the_text),
		T(test_every_cut_of_a_line),
		T(test_overwritten),
		T(test_no_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
