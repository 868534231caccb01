/*
 * Configuration space's places out of MCFG: QEMU's table, several segments, entries that can not
 * be right, more of them than there is room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "acpi_rig.h"

#define HEAD_BYTES  44u
#define ENTRY_BYTES 16u

static struct acpi_rig rig;

static const char mcfg_q35[] =
	"4d4346473c00000001ef424f43485320425850432020202001000000425850430100000000000000"
	"00000000000000b000000000000000ff00000000";

struct entry {
	u64 pa;
	u32 segment, first, last;
};

static u64 make(const struct entry *e, u32 count)
{
	u64 t;

	rig_init(&rig);
	t = rig_table(&rig, "MCFG", 1, HEAD_BYTES + count * ENTRY_BYTES);
	for (u32 i = 0; i < count; i++) {
		u64 at = t + HEAD_BYTES + i * ENTRY_BYTES;

		rig_put(&rig, at, e[i].pa, 8);
		rig_put(&rig, at + 8, e[i].segment, 2);
		rig_put(&rig, at + 10, e[i].first, 1);
		rig_put(&rig, at + 11, e[i].last, 1);
		rig_put(&rig, at + 12, 0xffffffff, 4);
	}
	rig_seal(&rig, t);
	return t;
}

static void assert_ecam(const struct acpi *a, u32 index, const struct entry *e)
{
	assert_true(index < a->ecams);
	assert_int_equal(a->ecam[index].pa, e->pa);
	assert_int_equal(a->ecam[index].segment, e->segment);
	assert_int_equal(a->ecam[index].first_bus, e->first);
	assert_int_equal(a->ecam[index].last_bus, e->last);
}

static void test_qemu(void **state)
{
	struct entry e = {0xb0000000, 0, 0, 255};
	struct acpi a;

	(void)state;
	rig_init(&rig);
	rig_seal(&rig, rig_hex(&rig, mcfg_q35));
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.ecams, 1);
	assert_ecam(&a, 0, &e);
}

static void test_several(void **state)
{
	static const struct entry e[] = {
		{0xb0000000, 0, 0, 255},
		{0x3ff000000000, 1, 0x40, 0x7f},
		{0x3ff000000000, 1, 0x80, 0x80},
		{0x100000, 0xfffe, 0, 0},
		{(1ull << 52) - (256u << 20), 5, 0, 255},
		{(1ull << 52) - (8u << 20), 6, 3, 7},
	};
	struct acpi a;

	(void)state;
	make(e, ARRAY_SIZE(e));
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.ecams, ARRAY_SIZE(e));
	for (u32 i = 0; i < ARRAY_SIZE(e); i++)
		assert_ecam(&a, i, &e[i]);
}

/* They stay in the list as what can not be reached. */
static void test_impossible(void **state)
{
	static const struct entry e[] = {
		{0, 1, 0, 255},
		{0xb0080000, 2, 0, 255},
		{0xb0000001, 3, 0, 255},
		{0xb0000000, 4, 8, 7},
		{1ull << 52, 5, 0, 0},
		{(1ull << 52) - (255u << 20), 6, 0, 255},
		{(1ull << 52) - (255u << 20), 6, 255, 255},
		{UINT64_MAX - 0xfffff, 7, 0, 255},
	};
	struct acpi a;

	(void)state;
	make(e, ARRAY_SIZE(e));
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.ecams, ARRAY_SIZE(e));
	for (u32 i = 0; i < ARRAY_SIZE(e); i++) {
		assert_int_equal(a.ecam[i].pa, 0);
		assert_int_equal(a.ecam[i].segment, e[i].segment);
	}
}

/* The last segment's numbers would have no end. */
static void test_last_segment(void **state)
{
	static const struct entry e[] = {{0xb0000000, 0xffff, 0, 255}, {0xc0000000, 1, 0, 255}};
	struct acpi a;

	(void)state;
	make(e, ARRAY_SIZE(e));
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.ecams, 1);
	assert_ecam(&a, 0, &e[1]);
}

/* What does not fit takes the rest of its segment along, and nothing else. */
static void test_too_many(void **state)
{
	struct entry e[ACPI_ECAMS + 2];
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(e); i++)
		e[i] = (struct entry) {0x10000000ull * (i + 1), i, 0, 127};
	e[ACPI_ECAMS].segment = 3;
	make(e, ARRAY_SIZE(e));
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.ecams, ACPI_ECAMS);
	for (u32 i = 0; i < ACPI_ECAMS; i++) {
		e[i].pa = i == 3 ? 0 : e[i].pa;
		assert_ecam(&a, i, &e[i]);
	}
}

static void test_cut(void **state)
{
	static const struct entry e[] = {{0xb0000000, 0, 0, 255}, {0xc0000000, 1, 0, 255}};
	struct acpi a;

	(void)state;
	for (u32 bytes = 36; bytes <= HEAD_BYTES + 2 * ENTRY_BYTES; bytes++) {
		u64 t = make(e, 2);

		rig_put(&rig, t + 4, bytes, 4);
		rig_seal(&rig, t);
		assert_true(rig_load(&rig, &a));
		assert_int_equal(
			a.ecams, bytes < HEAD_BYTES ? 0 : (bytes - HEAD_BYTES) / ENTRY_BYTES);
	}
	rig_put(&rig, make(e, 2) + HEAD_BYTES, 1, 1); /* its checksum is wrong now */
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.ecams, 0);
}

static int teardown(void **state)
{
	(void)state;
	free(rig.mem);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_qemu),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_last_segment),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
