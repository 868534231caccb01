/*
 * The package \_S5_ in AML: every form of its lengths and numbers, wherever it lies in a
 * table, in the DSDT or an SSDT; and all that only looks like it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "acpi_rig.h"

#define NAME  0x08, '_', 'S', '5', '_'
#define FILL  0xa3 /* Noop */
#define BYTES 40

static struct acpi_rig rig;

struct example {
	u8 aml[BYTES];
	u32 bytes;
	u8 a, b;
};

static void load_dsdt(const u8 *aml, u32 bytes, struct acpi *a)
{
	rig_init(&rig);
	rig_fadt(&rig, aml, bytes);
	assert_true(rig_load(&rig, a));
	assert_int_equal(a->power.pm1a.address, RIG_FADT_PM1);
}

static const struct example good[] = {
	/* q35 and pc of QEMU, microvm of QEMU */
	{{NAME, 0x12, 0x06, 4, 0, 0, 0, 0}, 12, 0, 0},
	{{NAME, 0x12, 0x07, 4, 0x0a, 5, 0, 0, 0}, 13, 5, 0},
	{{0x08, '\\', '_', 'S', '5', '_', 0x12, 0x08, 4, 0x0a, 7, 0x0a, 6, 0, 0}, 15, 7, 6},
	{{NAME, 0x12, 0x04, 2, 1, 0xff}, 10, 1, 7},
	{{NAME, 0x12, 0x08, 2, 0x0b, 5, 0, 0x0b, 4, 0}, 14, 5, 4},
	{{NAME, 0x12, 0x0c, 2, 0x0c, 5, 0, 0, 0, 0x0c, 4, 0, 0, 0}, 18, 5, 4},
	{{NAME, 0x12, 0x14, 2, 0x0e, 3, 0, 0, 0, 0, 0, 0, 0, 0x0e, 2, 0, 0, 0, 0, 0, 0, 0}, 26, 3,
		2},
	/* one number for both */
	{{NAME, 0x12, 0x05, 1, 0x0b, 0x05, 0x03}, 11, 5, 3},
	{{NAME, 0x12, 0x04, 1, 0x0a, 0x05}, 10, 5, 0},
	/* lengths of two, three and four bytes */
	{{NAME, 0x12, 0x47, 0x00, 4, 0x0a, 5, 0, 0}, 13, 5, 0},
	{{NAME, 0x12, 0x88, 0x00, 0x00, 4, 0x0a, 5, 0, 0}, 14, 5, 0},
	{{NAME, 0x12, 0xc9, 0x00, 0x00, 0x00, 4, 0x0a, 5, 0, 0}, 15, 5, 0},
};

static const struct example bad[] = {
	{{NAME, 0x12, 0x07, 4, 0, 0, 0, 0}, 12, 0, 0}, /* the table ends before the package */
	{{'_', 'S', '5', '_', 0x12, 0x06, 4, 0, 0, 0, 0}, 11, 0, 0},
	{{0x14, '_', 'S', '5', '_', 0x12, 0x06, 4, 0, 0, 0, 0}, 12, 0, 0},
	{{0x08, '_', 'S', '4', '_', 0x12, 0x06, 4, 0, 0, 0, 0}, 12, 0, 0},
	{{0x08, '\\', '\\', '_', 'S', '5', '_', 0x12, 0x06, 4, 0, 0, 0, 0}, 14, 0, 0},
	{{NAME, 0x13, 0x06, 4, 0, 0, 0, 0}, 12, 0, 0}, {{NAME, 0x0a, 0x05}, 7, 0, 0},
	{{NAME, 0x12, 0x06, 0, 0, 0, 0, 0}, 12, 0, 0},
	{{NAME, 0x12, 0x03, 2, 0, 0}, 10, 0, 0}, /* the package ends before its second number */
	{{NAME, 0x12, 0x04, 2, 0, 0x0a, 5}, 12, 0, 0}, /* or in it */
	{{NAME, 0x12, 0x02, 2}, 8, 0, 0}, {{NAME, 0x12, 0x01, 2, 0, 0}, 10, 0, 0},
	{{NAME, 0x12, 0x00, 2, 0, 0}, 10, 0, 0},
	{{NAME, 0x12, 0x57, 0x00, 4, 0, 0, 0, 0}, 13, 0, 0},
	{{NAME, 0x12, 0x67, 0x00, 4, 0, 0, 0, 0}, 13, 0, 0},
	{{NAME, 0x12, 0xc7, 0x00, 0x00, 0x01, 4, 0, 0, 0, 0}, 15, 0, 0},
	{{NAME, 0x12, 0x07, 4, 0x0a, 8, 0, 0, 0}, 13, 0, 0},
	{{NAME, 0x12, 0x07, 4, 0, 0x0a, 8, 0, 0}, 13, 0, 0},
	{{NAME, 0x12, 0x05, 1, 0x0b, 0x05, 0x08}, 11, 0, 0},
	{{NAME, 0x12, 0x08, 2, 0x0b, 5, 1, 0x0b, 4, 0}, 14, 0, 0},
	{{NAME, 0x12, 0x08, 4, 'A', 'B', 'C', 'D', 0, 0}, 14, 0, 0}, /* a name */
	{{NAME, 0x12, 0x06, 2, 0x0d, '1', 0, 0}, 12, 0, 0},	     /* a string */
};

static void test_forms(void **state)
{
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		load_dsdt(good[i].aml, good[i].bytes, &a);
		assert_true(a.power.has_s5);
		assert_int_equal(a.power.s5_a, good[i].a);
		assert_int_equal(a.power.s5_b, good[i].b);
	}
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		load_dsdt(bad[i].aml, bad[i].bytes, &a);
		assert_false(a.power.has_s5);
		assert_int_equal(a.power.s5_a + a.power.s5_b, 0);
	}
}

/* Cut anywhere, a package is either whole or none. */
static void test_cut(void **state)
{
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		for (u32 n = 0; n < good[i].bytes; n++) {
			load_dsdt(good[i].aml, n, &a);
			assert_false(a.power.has_s5);
		}
	}
}

/* At every place relative to the pieces that the table is read in, to its very end. */
static void test_places(void **state)
{
	static u8 aml[2 * 512 + BYTES];
	const struct example *e = &good[6]; /* the longest */
	struct acpi a;

	(void)state;
	for (u32 at = 0; at + e->bytes <= sizeof(aml); at++) {
		memset(aml, FILL, sizeof(aml));
		memcpy(aml + at, e->aml, e->bytes);
		load_dsdt(aml, at % 2 ? (u32)sizeof(aml) : at + e->bytes, &a);
		assert_true(a.power.has_s5);
		assert_int_equal(a.power.s5_a * 8 + a.power.s5_b, 3 * 8 + 2);
	}
}

/* A package longer than a piece is valid: only its first numbers are read. */
static void test_long_package(void **state)
{
	static u8 aml[9 + 4096];
	static const u8 head[] = {NAME, 0x12, 0x83, 0x00, 0x01, 9, 0x0a, 5, 0x0a, 4};
	struct acpi a;

	(void)state;
	memcpy(aml, head, sizeof(head));
	load_dsdt(aml, 6 + 0x1003, &a);
	assert_true(a.power.has_s5);
	assert_int_equal(a.power.s5_a * 8 + a.power.s5_b, 5 * 8 + 4);
	load_dsdt(aml, 6 + 0x1002, &a);
	assert_false(a.power.has_s5);
}

/* What only looks like it does not hide the real one; the first real one counts. */
static void test_several(void **state)
{
	static u8 aml[(ARRAY_SIZE(bad) + 2) * BYTES];
	struct acpi a;

	(void)state;
	memset(aml, FILL, sizeof(aml));
	for (u32 i = 1; i < ARRAY_SIZE(bad); i++) /* the first would be good here */
		memcpy(aml + i * BYTES, bad[i].aml, bad[i].bytes);
	memcpy(aml + ARRAY_SIZE(bad) * BYTES, good[2].aml, good[2].bytes);
	memcpy(aml + (ARRAY_SIZE(bad) + 1) * BYTES, good[1].aml, good[1].bytes);
	load_dsdt(aml, sizeof(aml), &a);
	assert_true(a.power.has_s5);
	assert_int_equal(a.power.s5_a * 8 + a.power.s5_b, 7 * 8 + 6);
}

/* As large as a server's DSDT, the package at its end. */
static void test_large(void **state)
{
	const u32 bytes = 300 * KIB;
	u8 *aml = malloc(bytes);
	struct acpi a;

	(void)state;
	assert_non_null(aml);
	for (u32 i = 0; i < bytes; i++)
		aml[i] = (u8)(i * 7919 >> 3);
	memcpy(aml + bytes - good[2].bytes, good[2].aml, good[2].bytes);
	load_dsdt(aml, bytes, &a);
	assert_true(a.power.has_s5);
	assert_int_equal(a.power.s5_a * 8 + a.power.s5_b, 7 * 8 + 6);
	free(aml);
}

static void test_ssdt(void **state)
{
	static const u8 nothing[] = {FILL, FILL};
	struct acpi a;
	u64 damaged;

	(void)state;
	rig_init(&rig);
	rig_filled(&rig, "SSDT", nothing, sizeof(nothing));
	damaged = rig_filled(&rig, "SSDT", good[1].aml, good[1].bytes);
	rig_put(&rig, damaged + 10, 0x77, 1);
	rig_fadt(&rig, nothing, sizeof(nothing));
	rig_filled(&rig, "SSDT", bad[0].aml, bad[0].bytes);
	rig_filled(&rig, "SSDT", good[2].aml, good[2].bytes);
	rig_filled(&rig, "SSDT", good[3].aml, good[3].bytes);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.power.s5_a * 8 + a.power.s5_b, 7 * 8 + 6);

	/* A DSDT that has it comes first, one that is damaged does not matter. */
	rig_init(&rig);
	rig_filled(&rig, "SSDT", good[2].aml, good[2].bytes);
	rig_fadt(&rig, good[3].aml, good[3].bytes);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.power.s5_a * 8 + a.power.s5_b, 1 * 8 + 7);
	rig_put(&rig, rig.entry[1] - 2, 0x77, 1);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.power.s5_a * 8 + a.power.s5_b, 7 * 8 + 6);
}

static int teardown(void **state)
{
	(void)state;
	free(rig.mem);
	rig.mem = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_long_package),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_ssdt),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
