/*
 * From the RSDP to a checked table: where it is searched, which root table counts, that
 * whatever is damaged is left out and that nothing takes for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "acpi_rig.h"

static struct acpi_rig rig;

static const u8 aml_s5[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 4, 0x0a, 5, 0x0a, 6, 0, 0};

static u8 s5_b(struct acpi *a)
{
	assert_true(a->power.has_s5);
	return a->power.s5_b;
}

static void assert_nothing(const struct acpi *a)
{
	static const struct acpi none;

	assert_memory_equal(a, &none, sizeof(none));
}

static void test_search(void **state)
{
	static const u64 good[] = {RIG_EBDA, RIG_EBDA + 0x3f0, 0xe0000, 0xf59e0, 0xfffe0};
	static const u64 bad[] = {RIG_EBDA - 16, RIG_EBDA + 0x400, 0xdfff0, 0xf59e8, 0xf59e1};
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < 2 * ARRAY_SIZE(good); i++) {
		bool is_good = i < ARRAY_SIZE(good);
		u64 at = is_good ? good[i] : bad[i - ARRAY_SIZE(good)];

		rig_init(&rig);
		rig_put(&rig, 0x40e, RIG_EBDA >> 4, 2);
		rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		rig_rsdp(&rig, at, 0, rig_root(&rig, 4), 0);
		assert_int_equal(acpi_load(0, &a), is_good);
		assert_int_equal(a.power.has_s5, is_good);
	}
}

/* An EBDA outside of low memory is none; a damaged RSDP does not hide a good one behind it. */
static void test_search_goes_on(void **state)
{
	struct acpi a;
	u64 root;

	(void)state;
	for (u32 ebda = 0; ebda < 0x10000; ebda += 0x1111) {
		rig_init(&rig);
		rig_put(&rig, 0x40e, ebda, 2);
		rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		root = rig_root(&rig, 4);
		rig_rsdp(&rig, 0xe1000, 0, root, 0);
		rig_put(&rig, 0xe1009, 0x55, 1);
		rig_rsdp(&rig, 0xe2000, 0, root + 1, 0);
		rig_rsdp(&rig, 0xe3000, 0, root, 0);
		assert_true(acpi_load(0, &a));
		assert_true(a.power.has_s5);
	}
	rig_put(&rig, 0xe3009, 0x55, 1); /* now none is good */
	assert_false(acpi_load(0, &a));
	assert_nothing(&a);
	rig_init(&rig);
	assert_false(acpi_load(0, &a));
	assert_nothing(&a);
	host_reset_all();
	assert_false(acpi_load(0, &a));
	assert_nothing(&a);
}

/* Where the loader's address leads nowhere, or to tables that use up what may be read. */
static void test_search_after_a_wrong_address(void **state)
{
	static const u64 wrong[] = {0xe8000, 0xd0000, RIG_BYTES, 1ull << 51, UINT64_MAX};
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		rig_init(&rig);
		rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		rig_rsdp(&rig, RIG_RSDP, 0, rig_root(&rig, 4), 0);
		rig_rsdp(&rig, 0xd0000, 0, 0x100, 0);
		memcpy(rig.mem + 0x100, "RSDT", 4);
		rig_put(&rig, 0x104, 16u * MIB, 4);
		assert_true(acpi_load(wrong[i], &a));
		assert_true(a.power.has_s5);
	}
}

/* XSDT if it and its part of the RSDP are good, else RSDT; each leads to a FADT of its own. */
static void test_root(void **state)
{
	static const struct {
		u64 at; /* byte to change, from the RSDP, 0: none */
		u64 value;
		u32 resum; /* bytes whose sum is made good again */
		u64 port;
	} cases[] = {{0, 0, 36, 0x200}, {15, 0, 36, 0x100}, {33, 1, 0, 0x100}, {20, 37, 37, 0x200},
		{20, 35, 35, 0x100}, {20, 64, 64, 0x200}, {20, 65, 65, 0x100}, {24, 0, 36, 0x100}};
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 fadt, rsdt;

		rig_init(&rig);
		fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		rig_put(&rig, fadt + 64, 0x100, 4);
		rig_seal(&rig, fadt);
		rsdt = rig_root(&rig, 4);
		rig.entries = 0;
		fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		rig_put(&rig, fadt + 64, 0x200, 4);
		rig_seal(&rig, fadt);
		rig_rsdp(&rig, RIG_RSDP, 2, rsdt, rig_root(&rig, 8));
		if (cases[i].at)
			rig_put(&rig, RIG_RSDP + cases[i].at, cases[i].value, 1);
		rig_sum(&rig, RIG_RSDP, 20, RIG_RSDP + 8);
		if (cases[i].resum)
			rig_sum(&rig, RIG_RSDP, cases[i].resum, RIG_RSDP + 34);
		assert_true(acpi_load(RIG_RSDP, &a));
		assert_int_equal(a.power.pm1a.address, cases[i].port);
	}
}

/* Only a table whose address needs more than 32 bits: the XSDT can name it. */
static void test_high(void **state)
{
	struct acpi a;
	u64 fadt;

	(void)state;
	rig_init(&rig);
	rig.base_pa = 0x12340000000ull;
	rig.next_pa = rig.base_pa + RIG_TABLES;
	host_firmware_set(rig.base_pa, rig.mem, RIG_BYTES);
	fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	rig_put(&rig, fadt + 140, rig.base_pa + RIG_TABLES, 8);
	rig_put(&rig, fadt + 40, 0x1000, 4);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(s5_b(&a), 6);
}

/* Every byte of every table wrong, one at a time: what depends on it is gone, all else is there. */
static void test_damage(void **state)
{
	struct acpi good, a;
	u64 fadt, end;

	(void)state;
	rig_init(&rig);
	fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	end = rig.next_pa;
	assert_true(rig_load(&rig, &good));
	for (u64 pa = RIG_TABLES; pa < end; pa++) {
		u64 old = rig_get(&rig, pa, 1);

		if (pa == fadt - 1 || pa == end - 1)
			continue; /* between the tables */
		rig_put(&rig, pa, old ^ 0x10, 1);
		assert_true(acpi_load(RIG_RSDP, &a));
		assert_false(a.power.has_s5);
		assert_int_equal(a.power.pm1a.address, pa < fadt ? RIG_FADT_PM1 : 0);
		rig_put(&rig, pa, old, 1);
	}
	for (u64 pa = end; pa < end + RIG_HEADER + 8; pa++) {
		u64 old = rig_get(&rig, pa, 1);

		rig_put(&rig, pa, old ^ 0x10, 1);
		assert_false(acpi_load(RIG_RSDP, &a));
		assert_nothing(&a);
		rig_put(&rig, pa, old, 1);
	}
	assert_true(acpi_load(RIG_RSDP, &a));
	assert_memory_equal(&a, &good, sizeof(a));
}

/* Firmware memory that ends anywhere in the tables. */
static void test_cut(void **state)
{
	struct acpi good, a;

	(void)state;
	rig_init(&rig);
	rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	rig.next_pa = 0xf6000; /* the root table behind the RSDP */
	assert_true(rig_load(&rig, &good));
	for (u64 end = RIG_TABLES; end < rig.next_pa;
		end += end == RIG_TABLES + 400 ? 0xd4000 : 1) {
		host_firmware_set(0, rig.mem, end);
		if (acpi_load(RIG_RSDP, &a))
			assert_memory_equal(&a, &good, sizeof(a));
		else
			assert_nothing(&a);
	}
}

/* Lengths shorter than a header, and so long that all of memory would be read. */
static void test_lengths(void **state)
{
	static const u32 lengths[] = {0, 1, 35, 0x1000001, 0x80000000, 0xffffffff};
	struct acpi a;
	u64 fadt, root;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
		rig_init(&rig);
		fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		rig_put(&rig, fadt + 4, lengths[i], 4);
		assert_true(rig_load(&rig, &a));
		assert_nothing(&a);
	}
	/* No byte adds up to 0, and a root table that short would list no end of tables. */
	rig_init(&rig);
	rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	root = rig_root(&rig, 8);
	rig_rsdp(&rig, RIG_RSDP, 2, 0, root);
	rig_put(&rig, root + 4, 0, 4);
	assert_false(acpi_load(RIG_RSDP, &a));
	assert_nothing(&a);
	rig_init(&rig);
	fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	rig_put(&rig, fadt + 4, 115, 4);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_nothing(&a);
}

/* The same large table again and again does not take the time of all of them. */
static void test_budget(void **state)
{
	struct acpi a;
	u64 large, last;

	(void)state;
	for (u32 copies = 50; copies <= 80; copies += 30) {
		rig_init(&rig);
		rig_fadt(&rig, "", 0);
		large = rig_table(&rig, "SSDT", 2, 256 * KIB);
		for (u32 i = 1; i < copies; i++)
			rig.entry[rig.entries++] = large;
		last = rig_table(&rig, "SSDT", 2, 256 * KIB);
		memcpy(rig.mem + last + RIG_HEADER, aml_s5, sizeof(aml_s5));
		rig_seal(&rig, last);
		assert_true(rig_load(&rig, &a));
		assert_int_equal(a.power.pm1a.address, RIG_FADT_PM1);
		assert_int_equal(a.power.has_s5, copies == 50);
	}
}

static void test_many_tables(void **state)
{
	struct acpi a;

	(void)state;
	rig_init(&rig);
	for (u32 i = 0; i < 511; i++)
		rig_table(&rig, "OEM1", 1, RIG_HEADER);
	rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	assert_true(rig_load(&rig, &a));
	assert_true(a.power.has_s5);
	rig_init(&rig);
	for (u32 i = 0; i < 512; i++)
		rig_table(&rig, "OEM1", 1, RIG_HEADER);
	rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	assert_true(rig_load(&rig, &a));
	assert_nothing(&a);
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
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_search_goes_on),
		cmocka_unit_test(test_search_after_a_wrong_address),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_high),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_many_tables),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
