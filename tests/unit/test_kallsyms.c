/*
 * Looking up symbols in a made-up kernel's table: the three kinds of offsets, names that are
 * nearly the same, and tables that are damaged or not there.
 */
#include "tests/unit/kallsyms_rig.h"

#define FIRST_VAR  0x1d1000u /* above the base */
#define SECOND_VAR 0x1d2008u
#define LOW_VAR	   0x1000u /* below the offsets */

static struct oldkernel kernel;
static struct kallsyms_room room;
static struct kallsyms_wanted wanted[KALLSYMS_WANTED_MAX + 1];

static bool look_up(u32 count)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.verified = true;
	kernel.pt = pt;
	kernel.vi = vi;
	memset(&room, 0xee, sizeof(room));
	for (u32 i = 0; i < count; i++)
		wanted[i].va = 0x55;
	return kallsyms_find(&pm, &kernel, &room, wanted, count);
}

static u64 find_one(const char *name)
{
	wanted[0].name = name;
	if (!look_up(1))
		assert_int_equal(wanted[0].va, 0);
	return wanted[0].va;
}

static void expect_no_table(void)
{
	wanted[0].name = "system_state";
	wanted[1].name = "panic_cpu";
	assert_false(look_up(2));
	assert_int_equal(wanted[0].va, 0);
	assert_int_equal(wanted[1].va, 0);
}

/* Names that begin, end or go on like the wanted ones. */
static void add_others(void)
{
	static const char *const near[] = {"Dsystem_stat", "Dsystem_state_", "Dystem_state", "D",
		"", "Dsystem", "Dsystem_states", "ssystem_stat", "tpanic_cp", "tpanic",
		"Tpanic_cpus"};

	for (u32 i = 0; i < ARRAY_SIZE(near); i++)
		ks_add(near[i], 0x2000 + i * 8);
}

static void make_table(enum ks_way way)
{
	vi.bytes = 0;
	ks_make(way);
	add_others();
	ks_add("dpanic_cpu", FIRST_VAR);
	add_others();
	ks_add("Dinit_uts_ns", KS_KNOWN);
	ks_add("Bsystem_state", SECOND_VAR);
	add_others();
}

static void test_all_ways(void **state)
{
	(void)state;
	for (u32 way = KS_WAY_PERCPU; way <= KS_WAY_PLACE; way++) {
		make_table(way);
		wanted[0].name = "system_state";
		wanted[1].name = "nothing";
		wanted[2].name = "panic_cpu";
		wanted[3].name = "system_state";
		wanted[4].name = "init_uts_ns";
		assert_true(look_up(5));
		assert_true(wanted[0].va == VA + SECOND_VAR);
		assert_int_equal(wanted[1].va, 0);
		assert_true(wanted[2].va == VA + FIRST_VAR);
		assert_true(wanted[3].va == VA + SECOND_VAR);
		assert_true(wanted[4].va == VA + KS_KNOWN);
	}
}

/* Offsets that are negative are addresses of their own where those of the kernel's are not. */
static void test_below_the_base(void **state)
{
	(void)state;
	make_table(KS_WAY_PLACE);
	ks_add("tearly", LOW_VAR);
	assert_true(find_one("early") == VA + LOW_VAR);
	make_table(KS_WAY_PERCPU);
	ks_add("Apercpu", KS_COUNT - VA + 77);
	put_u32(KS_OFFSETS + (ks.count - 1) * 4, 0x1234);
	assert_int_equal(find_one("percpu"), 0x1234);
	make_table(KS_WAY_PLAIN);
	ks_add("tfar", 0);
	put_u32(KS_OFFSETS + (ks.count - 1) * 4, 0xfffffff0);
	assert_true(find_one("far") == VA + KS_COUNT + 0xfffffff0ull);
}

static void test_first_of_two(void **state)
{
	(void)state;
	make_table(KS_WAY_PLACE);
	ks_add("dpanic_cpu", LOW_VAR);
	ks_add("dinit_uts_ns", LOW_VAR);
	assert_true(find_one("panic_cpu") == VA + FIRST_VAR);
}

static void test_counts(void **state)
{
	(void)state;
	make_table(KS_WAY_PLAIN);
	for (u32 i = 0; i <= KALLSYMS_WANTED_MAX; i++)
		wanted[i].name = i % 2 ? "panic_cpu" : "system_state";
	assert_true(look_up(0));
	assert_true(look_up(KALLSYMS_WANTED_MAX));
	assert_true(wanted[KALLSYMS_WANTED_MAX - 1].va == VA + FIRST_VAR);
	assert_false(look_up(KALLSYMS_WANTED_MAX + 1));
	kernel.verified = false;
	assert_false(kallsyms_find(&pm, &kernel, &room, wanted, 1));
	assert_int_equal(wanted[0].va, 0);
}

/* Many, so that the window moves; some with a length of two bytes; the last one counts. */
static void test_many_symbols(void **state)
{
	char name[900];

	(void)state;
	make_table(KS_WAY_PLACE);
	memset(name, 'x', sizeof(name));
	for (u32 i = 0; i < 9000; i++) {
		u32 chars = i % 97 == 0 ? 120 + i % 700 : 8 + i % 40;

		name[chars] = '\0';
		ks_add(name, 0x3000 + i);
		name[chars] = 'x';
	}
	ks_add("Blast", SECOND_VAR + 4);
	assert_true(find_one("last") == VA + SECOND_VAR + 4);
	name[127] = '\0';
	assert_true(find_one(name + 1) == 0);
	name[127] = 'x';
	name[120] = '\0';
	assert_true(find_one(name + 1) == VA + 0x3000);
	assert_true(find_one("system_state") == VA + SECOND_VAR);
}

static void test_lines_missing(void **state)
{
	(void)state;
	for (u32 line = 0;; line++) {
		make_table(KS_WAY_PLAIN);
		if (!drop_line(line))
			break;
		expect_no_table();
	}
	make_table(KS_WAY_PLAIN);
	assert_true(find_one("panic_cpu") != 0);
}

static void test_known_symbol_contradicts(void **state)
{
	(void)state;
	make_table(KS_WAY_PERCPU);
	put_u64(KS_BASE, VA + KS_COUNT + 8);
	expect_no_table();
	make_table(KS_WAY_PLACE);
	vi.bytes = 0;
	symbol("init_uts_ns", KS_KNOWN + 8);
	ks_make(KS_WAY_PLACE);
	expect_no_table();
}

/* The tables are as long as they say, not longer. */
static void test_no_known_symbol(void **state)
{
	(void)state;
	vi.bytes = 0;
	ks_make(KS_WAY_PLACE);
	expect_no_table();
	ks_add("Bsystem_state", SECOND_VAR);
	ks_add("Bpanic_cpu", SECOND_VAR);
	expect_no_table();
	ks_add("Binit_uts_ns", KS_KNOWN);
	assert_true(find_one("system_state") == VA + SECOND_VAR);
	put_u32(KS_COUNT, ks.count - 1);
	expect_no_table();
}

static void test_count_out_of_range(void **state)
{
	(void)state;
	make_table(KS_WAY_PLAIN);
	put_u32(KS_COUNT, (1u << 21) + 1);
	expect_no_table();
	put_u32(KS_COUNT, UINT32_MAX);
	expect_no_table();
	/* more than there are names, up to where memory ends */
	put_u32(KS_COUNT, 1u << 21);
	assert_true(find_one("system_state") == VA + SECOND_VAR);
}

static void test_pages_absent(void **state)
{
	static const u64 needed[] = {KS_INDEX, KS_TOKENS, KS_OFFSETS, KS_COUNT, KS_NAMES};

	(void)state;
	make_table(KS_WAY_PLAIN);
	for (u32 i = 0; i < ARRAY_SIZE(needed); i++) {
		page_present(needed[i], false);
		expect_no_table();
		page_present(needed[i], true);
	}
	for (u32 i = 0; i < 4000; i++)
		ks_add("tsome_name_or_other", 0x4000);
	ks_add("Blast", SECOND_VAR);
	page_present(KS_NAMES + 4 * PAGE_BYTES, false);
	assert_true(find_one("panic_cpu") == VA + FIRST_VAR);
	assert_int_equal(find_one("last"), 0);
	page_present(KS_NAMES + 4 * PAGE_BYTES, true);
	assert_true(find_one("last") == VA + SECOND_VAR);
}

static void fill_names(u32 left)
{
	make_table(KS_WAY_PLAIN);
	while (ks.at + 16 <= KS_END - left)
		ks_add("t123456", 0x4000);
	ks_add(&"t12345678901234"[ks.at + 16 - (KS_END - left)], 0x4000);
	assert_int_equal(ks.at, KS_END - left);
}

/* The last name ends with the last page that there is. */
static void test_names_end_with_memory(void **state)
{
	(void)state;
	fill_names(6);
	ks_add("Blast", FIRST_VAR);
	put_u32(KS_COUNT, 1u << 21);
	page_present(KS_END, false);
	assert_true(find_one("last") == VA + FIRST_VAR);
	image[KS_END - 6]++;
	assert_int_equal(find_one("last"), 0);
	assert_true(find_one("system_state") == VA + SECOND_VAR);
}

static void test_length_too_long(void **state)
{
	u64 at;

	(void)state;
	make_table(KS_WAY_PLAIN);
	at = ks.at;
	ks_add("taname", LOW_VAR);
	ks_add("Blast", FIRST_VAR);
	assert_true(find_one("last") == VA + FIRST_VAR);
	put_u16(at, 0xffff);
	assert_int_equal(find_one("last"), 0);
	assert_true(find_one("system_state") == VA + SECOND_VAR);
}

/* Tokens that lie outside the table are no text; one without an end does not go on for ever. */
static void test_bad_tokens(void **state)
{
	u8 fill[KALLSYMS_TOKEN_BYTES];

	(void)state;
	make_table(KS_WAY_PLAIN);
	put_u16(KS_INDEX + 'z' * 2, 0xffff);
	put_u16(KS_INDEX + 'y' * 2, KALLSYMS_TOKEN_BYTES);
	ks_add("zByfirsztlyyz", FIRST_VAR);
	assert_true(find_one("firstl") == VA + FIRST_VAR);
	memset(fill, 'e', sizeof(fill));
	put(KS_TOKENS + 700, fill, sizeof(fill) - 700);
	put_u16(KS_INDEX + 'y' * 2, KALLSYMS_TOKEN_BYTES - 4);
	ks_add("Bxy", FIRST_VAR + 8);
	assert_true(find_one("xeee") == VA + FIRST_VAR + 8);
	assert_int_equal(find_one("xeeee"), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_all_ways),
		T(test_below_the_base),
		T(test_first_of_two),
		T(test_counts),
		T(test_many_symbols),
		T(test_lines_missing),
		T(test_known_symbol_contradicts),
		T(test_no_known_symbol),
		T(test_count_out_of_range),
		T(test_pages_absent),
		T(test_names_end_with_memory),
		T(test_length_too_long),
		T(test_bad_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
