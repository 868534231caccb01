/*
 * How made-up kernels ended: every state with every kind of last words, with and without a log
 * and symbols; and which of two looks are at the same run.
 */
#include "ending.h"
#include "tests/unit/kallsyms_rig.h"
#include "tests/unit/printk_ring_rig.h"

#define STATE_VAR   0x1d1000u
#define CPU_VAR	    0x1d2008u
#define JIFFIES_VAR 0x1d3010u

#define NO_SYMBOLS UINT32_MAX
#define NOISE	   "usb 1-1: new high-speed USB device"
#define GOODBYE	   "reboot: Restarting system"
#define OOPS	   "BUG: kernel NULL pointer dereference, address: 0"
#define PANIC	   "Kernel panic - not syncing: sysrq triggered crash"
#define RESET	   "sysrq: Resetting"

static struct oldkernel kernel;
static struct panic_scratch scratch;
static struct ending e;

static int setup(void **state)
{
	int failed = rig_setup(state);

	if (failed)
		return failed;
	memset(&kernel, 0, sizeof(kernel));
	kernel.verified = true;
	kernel.phys_base = 0x1000000;
	strcpy(kernel.uts[UTS_RELEASE], "6.1.0-50-cloud-amd64");
	make(8, 15);
	return 0;
}

/* With symbols and variables; panic_cpu says that none panics. */
static void add_symbols(u32 system_state)
{
	ks_make(KS_WAY_PLAIN);
	ks_add("Djiffies_64", JIFFIES_VAR);
	ks_add("Dpanic_cpu", CPU_VAR);
	ks_add("Dinit_uts_ns", KS_KNOWN);
	ks_add("Dsystem_state", STATE_VAR);
	put_u32(STATE_VAR, system_state);
	put_u32(CPU_VAR, UINT32_MAX);
	put_u64(JIFFIES_VAR, 0xfffee123);
}

static u64 look(void)
{
	kernel.pt = pt;
	kernel.vi = vi;
	physmem_init(&pm, &map);
	memset(&scratch, 0xee, sizeof(scratch));
	memset(&e, 0xee, sizeof(e));
	ending_find(&pm, &kernel, &scratch, &e);
	return e.crash_id;
}

static void expect(u32 how, const char *why)
{
	look();
	assert_string_equal(e.why, why);
	assert_int_equal(e.how, how);
	assert_true(e.crash_id != 0);
}

static void start_over(void **state, u32 system_state, const char *words)
{
	rig_teardown(state);
	setup(state);
	add(NOISE);
	add(words);
	if (system_state != NO_SYMBOLS)
		add_symbols(system_state);
}

#define RUNNING	 "was still running: it hung or was reset"
#define AFTER	 "was still running, after an oops or a lockup"
#define BOOTING	 "was still booting: it hung or was reset"
#define HALFWAY	 "did not get all the way down"
#define SLEEP	 "was on its way to sleep or back"
#define BY_SYSRQ "was restarted by sysrq, without a shutdown"
#define DOWN	 "shut down in order"

static void test_words_and_state(void **state)
{
	static const struct {
		u32 state;
		const char *words;
		u32 how;
		const char *why;
	} cases[] = {
		{0, NOISE, ENDING_CRASH, BOOTING},
		{1, GOODBYE, ENDING_CRASH, BOOTING},
		{2, OOPS, ENDING_CRASH, BOOTING},
		{3, NOISE, ENDING_CRASH, RUNNING},
		{3, OOPS, ENDING_CRASH, AFTER},
		{3, GOODBYE, ENDING_CRASH, RUNNING},
		{3, RESET, ENDING_CRASH, BY_SYSRQ},
		{3, PANIC, ENDING_CRASH, "panicked"},
		{4, "reboot: System halted", ENDING_ORDERLY, DOWN},
		{5, "reboot: Power down", ENDING_ORDERLY, DOWN},
		{6, GOODBYE, ENDING_ORDERLY, DOWN},
		{6, "kexec_core: Starting new kernel", ENDING_ORDERLY, DOWN},
		{4, NOISE, ENDING_CRASH, HALFWAY},
		{5, OOPS, ENDING_CRASH, HALFWAY},
		{6, NOISE, ENDING_CRASH, HALFWAY},
		{6, RESET, ENDING_CRASH, BY_SYSRQ},
		{6, PANIC, ENDING_CRASH, "panicked"},
		{7, NOISE, ENDING_CRASH, SLEEP},
		{7, GOODBYE, ENDING_CRASH, SLEEP},
		/* no state that there is: the log alone */
		{8, GOODBYE, ENDING_ORDERLY, DOWN},
		{8, NOISE, ENDING_CRASH, "did not shut down"},
		{NO_SYMBOLS, GOODBYE, ENDING_ORDERLY, DOWN},
		{NO_SYMBOLS, NOISE, ENDING_CRASH, "did not shut down"},
		{NO_SYMBOLS, OOPS, ENDING_CRASH, "stopped after an oops or a lockup"},
		{NO_SYMBOLS, RESET, ENDING_CRASH, BY_SYSRQ},
		{NO_SYMBOLS, PANIC, ENDING_CRASH, "panicked"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		start_over(state, cases[i].state, cases[i].words);
		expect(cases[i].how, cases[i].why);
		assert_int_equal(
			e.sure, e.how == ENDING_CRASH &&
					(cases[i].state == 3 || strcmp(e.why, "panicked") == 0));
	}
}

static void test_forged_goodbye(void **state)
{
	start_over(state, NO_SYMBOLS, NOISE);
	ring.facility = 1;
	add(GOODBYE);
	expect(ENDING_CRASH, "did not shut down");
	ring.facility = 0;
	add(GOODBYE);
	expect(ENDING_ORDERLY, DOWN);
}

/* A panic may not have got as far as its words, or they were overwritten. */
static void test_panic_state(void **state)
{
	start_over(state, 6, GOODBYE);
	expect(ENDING_ORDERLY, DOWN);
	put_u32(CPU_VAR, 0);
	expect(ENDING_CRASH, "panicked");
	put_u32(CPU_VAR, 8191);
	expect(ENDING_CRASH, "panicked");
	put_u32(CPU_VAR, 8192); /* no CPU */
	expect(ENDING_ORDERLY, DOWN);
}

static void test_crashtime(void **state)
{
	start_over(state, 6, GOODBYE);
	key("CRASHTIME", 1700000000);
	expect(ENDING_CRASH, "panicked");
	start_over(state, NO_SYMBOLS, GOODBYE);
	key("CRASHTIME", 1700000000);
	expect(ENDING_CRASH, "panicked");
}

static void test_without_a_log(void **state)
{
	start_over(state, NO_SYMBOLS, GOODBYE);
	vi.bytes = 0;
	look();
	assert_int_equal(e.how, ENDING_UNKNOWN);
	assert_string_equal(e.why, "left nothing that says how it ended");
	assert_int_equal(e.crash_id, 0);
	add_symbols(6);
	expect(ENDING_CRASH, "was on its way down; its log can not be read");
	put_u32(STATE_VAR, 3);
	expect(ENDING_CRASH, RUNNING);
	put_u64(JIFFIES_VAR, 0);
	assert_int_equal(look(), 0);
	kernel.verified = false;
	assert_int_equal(look(), 0);
	assert_int_equal(e.how, ENDING_UNKNOWN);
}

/* A log without a record says no more than none. */
static void test_empty_log(void **state)
{
	(void)state;
	assert_int_equal(look(), 0);
	assert_int_equal(e.how, ENDING_UNKNOWN);
}

static void test_variable_unreadable(void **state)
{
	start_over(state, 6, NOISE);
	expect(ENDING_CRASH, HALFWAY);
	page_present(STATE_VAR, false);
	expect(ENDING_CRASH, "did not shut down");
	page_present(CPU_VAR, false);
	expect(ENDING_CRASH, "did not shut down");
}

/* A symbol that is not there is no variable at address 0, whatever is mapped there. */
static void test_symbol_missing(void **state)
{
	start_over(state, 6, NOISE);
	ks_make(KS_WAY_PLAIN);
	ks_add("Dinit_uts_ns", KS_KNOWN);
	put_u64(T4, T3 | 3);
	expect(ENDING_CRASH, "did not shut down");
}

/* The same however often it is looked at, and wherever vmcoreinfo was found. */
static void test_same_run(void **state)
{
	u64 id;

	start_over(state, 3, NOISE);
	id = look();
	assert_true(look() == id);
	kernel.vmcoreinfo_pa = 0x123000;
	kernel.trace_pa = 0x123000;
	kernel.page_offset = 0;
	kernel.verified_count = 3;
	assert_true(look() == id);
	/* written over, or cleared by the next run of firmware */
	put_u64(JIFFIES_VAR, 1);
	put_u32(STATE_VAR, 99);
	page_present(KS_NAMES, false);
	strcpy(kernel.uts[UTS_NODENAME], "other");
	assert_true(look() == id);
}

static void test_other_runs(void **state)
{
	u64 id[9];
	u32 n = 0;

	start_over(state, 3, NOISE);
	id[n++] = look();
	put_u64(info_at(ring.head_id) + TIME, 1000000008);
	id[n++] = look();
	add(NOISE);
	id[n++] = look();
	put_u64(info_at(ring.head_id) + SEQ, 78);
	put_u64(info_at((ring.head_id - 1) & ID_MASK) + SEQ, 77);
	id[n++] = look();
	kernel.phys_base += 0x200000;
	id[n++] = look();
	strcpy(kernel.uts[UTS_RELEASE], "6.1.0-51-cloud-amd64");
	id[n++] = look();
	vi.bytes = 0;
	add_symbols(3);
	id[n++] = look();
	put_u64(JIFFIES_VAR, 0xfffee124);
	id[n++] = look();
	memcpy(image + 0x1e0000, image + T4, PAGE_BYTES);
	pt.root_pa = 0x1e0000;
	id[n++] = look();
	assert_int_equal(n, ARRAY_SIZE(id));
	for (u32 i = 0; i < n; i++) {
		assert_true(id[i] != 0);
		for (u32 j = 0; j < i; j++)
			assert_true(id[i] != id[j]);
	}
}

/* A log of lines without times names the run by its last line. */
static void test_log_without_times(void **state)
{
	static const char text[] = "<6>first line\n<6>last line A\n";
	u64 id;

	(void)state;
	vi.bytes = 0;
	symbol("log_buf", VARS);
	symbol("log_buf_len", VARS + 8);
	symbol("log_end", VARS + 16);
	put_u64(VARS, VA + BUFFER);
	put_u32(VARS + 8, 4096);
	put_u32(VARS + 16, sizeof(text) - 1);
	put(BUFFER, text, sizeof(text));
	id = look();
	assert_true(id != 0 && look() == id);
	put(BUFFER + sizeof(text) - 3, "B", 1);
	assert_true(look() != id);
	put(BUFFER + sizeof(text) - 3, "A", 1);
	put(BUFFER + 5, "x", 1);
	assert_true(look() == id);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_words_and_state),
		T(test_forged_goodbye),
		T(test_panic_state),
		T(test_crashtime),
		T(test_without_a_log),
		T(test_empty_log),
		T(test_variable_unreadable),
		T(test_symbol_missing),
		T(test_same_run),
		T(test_other_runs),
		T(test_log_without_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
