/*
 * Finding another kernel than those that are known already: what is skipped is counted, never
 * taken, whichever way it is come upon.
 */
#include "tests/unit/find_rig.h"

static struct fake_kernel other;
static struct oldkernel_ask ask;

/* Two kernels; that with the CRASHTIME is the better one. */
static int setup_two(void **state)
{
	int failed = setup(state);

	if (failed)
		return failed;
	memset(&ask, 0, sizeof(ask));
	other = fk;
	other.image_pa = 16 * MIB;
	other.note_pa = 20 * MIB;
	other.text_pa = 21 * MIB;
	other.extra = "CRASHTIME=1700000000\n";
	fake_kernel_build(&fk);
	fake_kernel_build(&other);
	return 0;
}

static void expect_next(const struct fake_kernel *want, u64 vmcoreinfo_pa)
{
	assert_int_equal(find_asked(&ask), OK);
	assert_int_equal(k.pt.root_pa, want->image_pa);
	assert_int_equal(k.vmcoreinfo_pa, vmcoreinfo_pa);
	assert_int_equal(k.trace_pa, vmcoreinfo_pa);
}

static void expect_none(u32 kernels)
{
	assert_int_equal(find_asked(&ask), E_NO_KERNEL);
	assert_int_equal(k.verified_count, kernels);
	assert_int_equal(k.vi.bytes, 0);
	assert_int_equal(k.trace_pa, 0);
}

static void test_one_after_the_other(void **state)
{
	(void)state;
	expect_next(&other, other.note_pa);
	assert_int_equal(k.verified_count, 2);
	assert_true(oldkernel_skip(&ask, &k));
	expect_next(&fk, fk.note_pa);
	assert_int_equal(k.verified_count, 2);
	assert_int_equal(k.candidates, 4);
	assert_true(oldkernel_skip(&ask, &k));
	expect_none(2);
	assert_int_equal(k.candidates, 4);
}

/* The one that is not the best. */
static void test_skip_what_would_not_be_taken(void **state)
{
	(void)state;
	ask.hint_pa = fk.note_pa;
	expect_next(&fk, fk.note_pa);
	assert_true(oldkernel_skip(&ask, &k));
	ask.hint_pa = 0;
	expect_next(&other, other.note_pa);
	assert_int_equal(k.verified_count, 2);
}

/* A hint to a kernel that is not wanted leads to a search; one to another is followed. */
static void test_hint(void **state)
{
	(void)state;
	ask.hint_pa = other.text_pa;
	expect_next(&other, other.text_pa);
	assert_int_equal(k.candidates, 1);
	assert_true(oldkernel_skip(&ask, &k));
	expect_next(&fk, fk.note_pa);
	assert_int_equal(k.verified_count, 2);
	assert_int_equal(k.candidates, 4);
	ask.hint_pa = fk.text_pa;
	expect_next(&fk, fk.text_pa);
	assert_int_equal(k.candidates, 1);
	assert_int_equal(k.verified_count, 1);
	assert_true(oldkernel_skip(&ask, &k));
	expect_none(2);
}

/* Both of what makes a kernel another one. */
static void test_what_is_the_same(void **state)
{
	(void)state;
	expect_next(&other, other.note_pa);
	assert_true(oldkernel_skip(&ask, &k));
	ask.skip[0].root_pa++;
	expect_next(&other, other.note_pa);
	ask.skip[0].root_pa--;
	ask.skip[0].phys_base++;
	expect_next(&other, other.note_pa);
	ask.skip[0].phys_base--;
	expect_next(&fk, fk.note_pa);
	ask.skips = 0;
	expect_next(&other, other.note_pa);
}

static void test_room(void **state)
{
	(void)state;
	assert_int_equal(find_asked(&ask), OK);
	for (u32 i = 0; i < OLDKERNEL_SKIPS; i++) {
		k.pt.root_pa = (i + 1) * PAGE_BYTES;
		assert_true(oldkernel_skip(&ask, &k));
	}
	assert_int_equal(OLDKERNEL_SKIPS, 4);
	assert_int_equal(ask.skips, 4);
	assert_false(oldkernel_skip(&ask, &k));
	assert_int_equal(ask.skips, 4);
	assert_int_equal(ask.skip[3].root_pa, 4 * PAGE_BYTES);
	/* the last place counts, nothing behind it does */
	ask.skip[3].root_pa = other.image_pa;
	expect_next(&fk, fk.note_pa);
	ask.skips = 1000;
	expect_next(&fk, fk.note_pa);
}

/* What is left does not verify: why is said, as if there were nothing else. */
static void test_rest_does_not_verify(void **state)
{
	(void)state;
	fake_kernel_edit(fk.note_pa, "PAGESIZE=4096", "PAGESIZE=8192");
	fake_kernel_edit(fk.text_pa, "PAGESIZE=4096", "PAGESIZE=8192");
	expect_next(&other, other.note_pa);
	assert_true(oldkernel_skip(&ask, &k));
	assert_int_equal(find_asked(&ask), E_VMCOREINFO);
	assert_false(k.verified);
	assert_int_equal(k.verified_count, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown)
	const struct CMUnitTest tests[] = {
		T(test_one_after_the_other),
		T(test_skip_what_would_not_be_taken),
		T(test_hint),
		T(test_what_is_the_same),
		T(test_room),
		T(test_rest_does_not_verify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
