/*
 * What the fixed table says about power: by revision, by length, by flags; registers that can
 * not be any. Tables of machines of QEMU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "acpi_rig.h"

static struct acpi_rig rig;

static const u8 aml_s5[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 4, 0x0a, 5, 0x0a, 6, 0, 0};

static const char fadt_q35[] = "46414350f40000000380424f4348532042585043202020200100000042585043"
			       "010000000000fe3f4000fe3f01000900b2000000020300000006000000000000"
			       "0406000000000000000000000806000020060000000000000402000410000000"
			       "ff0fff0f000000000000000032020000a584000001080000f90c000000000000"
			       "0f00000000000000000000004000fe3f00000000012000000006000000000000"
			       "0000000000000000000000000110000004060000000000000000000000000000"
			       "0000000000000000000000000120000008060000000000000180000020060000"
			       "0000000000000000000000000000000000000000";
static const char fadt_pc[] = "464143507400000001e1424f4348532042585043202020200100000042585043"
			      "010000000000fe0f4000fe0f01000900b2000000f1f000000006000000000000"
			      "04060000000000000000000008060000e0af0000000000000402000404000000"
			      "ff0fff0f000000000000000032000000a5800000";

static u8 s5_b(struct acpi *a)
{
	assert_true(a->power.has_s5);
	return a->power.s5_b;
}

static bool is_none(const struct acpi_register *reg)
{
	static const struct acpi_register none;

	return memcmp(reg, &none, sizeof(none)) == 0;
}

static void assert_register(const struct acpi_register *reg, u8 space, u64 address, u8 bytes)
{
	assert_int_equal(reg->space, space);
	assert_int_equal(reg->address, address);
	assert_int_equal(reg->bytes, bytes);
}

static void put_fadt_of(const char *hex)
{
	u64 dsdt, fadt;

	rig_init(&rig);
	dsdt = rig_filled(&rig, "DSDT", aml_s5, sizeof(aml_s5));
	rig.entries = 0;
	fadt = rig_hex(&rig, hex);
	rig_put(&rig, fadt + 40, dsdt, 4);
	if (strlen(hex) > 2 * 148)
		rig_put(&rig, fadt + 140, dsdt, 8);
	rig_seal(&rig, fadt);
}

static void test_q35(void **state)
{
	struct acpi a;

	(void)state;
	put_fadt_of(fadt_q35);
	rig_rsdp(&rig, 0xf59e0, 0, rig_root(&rig, 4), 0);
	assert_true(acpi_load(0, &a));
	assert_register(&a.power.reset, ACPI_SPACE_IO, 0xcf9, 1);
	assert_int_equal(a.power.reset_value, 0x0f);
	assert_register(&a.power.pm1a, ACPI_SPACE_IO, 0x604, 2);
	assert_true(is_none(&a.power.pm1b) && is_none(&a.power.sleep_control));
	assert_int_equal(a.power.smi_command, 0xb2);
	assert_int_equal(a.power.acpi_enable, 2);
	assert_int_equal(a.power.s5_a, 5);
	assert_int_equal(s5_b(&a), 6);
	assert_int_equal(a.iommus + a.iommus_dropped, 0);
}

static void test_pc(void **state)
{
	struct acpi a;

	(void)state;
	put_fadt_of(fadt_pc);
	assert_true(rig_load(&rig, &a));
	assert_true(is_none(&a.power.reset));
	assert_int_equal(a.power.reset_value, 0);
	assert_register(&a.power.pm1a, ACPI_SPACE_IO, 0x604, 2);
	assert_int_equal(a.power.acpi_enable, 0xf1);
	assert_int_equal(s5_b(&a), 6);
}

/* As microvm has it: all in memory, nothing of the PM1 registers. */
static void test_reduced(void **state)
{
	struct acpi a;
	u64 fadt;

	(void)state;
	rig_init(&rig);
	fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	rig_put(&rig, fadt + 48, 0xb2, 4);
	rig_put(&rig, fadt + 52, 2, 1);
	rig_put(&rig, fadt + 112, 0x00100400, 4);
	rig_gas(&rig, fadt + 116, ACPI_SPACE_MEMORY, 8, 0xfea00202);
	rig_put(&rig, fadt + 128, 0x42, 1);
	rig_gas(&rig, fadt + 244, ACPI_SPACE_MEMORY, 8, 0xfea00200);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_register(&a.power.reset, ACPI_SPACE_MEMORY, 0xfea00202, 1);
	assert_register(&a.power.sleep_control, ACPI_SPACE_MEMORY, 0xfea00200, 1);
	assert_int_equal(a.power.reset_value, 0x42);
	assert_true(is_none(&a.power.pm1a) && is_none(&a.power.pm1b));
	assert_int_equal(a.power.smi_command, 0);
	assert_int_equal(s5_b(&a), 6);

	/* The flag means nothing before revision 5, the register is not there either. */
	rig_put(&rig, fadt + 8, 4, 1);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_true(is_none(&a.power.sleep_control));
	assert_register(&a.power.pm1a, ACPI_SPACE_IO, RIG_FADT_PM1, 2);

	/* Before revision 2 no address is that long, whatever the table's length. */
	rig_put(&rig, fadt + 8, 1, 1);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_true(is_none(&a.power.reset));

	/* Only the reset register may be in configuration space. */
	rig_put(&rig, fadt + 8, 5, 1);
	rig_gas(&rig, fadt + 244, ACPI_SPACE_PCI, 8, 0x10);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_true(is_none(&a.power.sleep_control));
}

/* Both DSDT pointers: the long one if it leads to a table. */
static void test_two_dsdts(void **state)
{
	u8 other[sizeof(aml_s5)];
	struct acpi a;
	u64 fadt, dsdt;

	(void)state;
	rig_init(&rig);
	memcpy(other, aml_s5, sizeof(other));
	other[11] = 3;
	dsdt = rig_filled(&rig, "DSDT", other, sizeof(other));
	rig.entries = 0;
	fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	rig_put(&rig, fadt + 140, dsdt, 8);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(s5_b(&a), 3);
	rig_put(&rig, dsdt + 9, rig_get(&rig, dsdt + 9, 1) + 1, 1);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(s5_b(&a), 6);
}

static void test_registers(void **state)
{
	static const struct {
		u8 space, bits, bit_offset;
		u64 address;
		bool good;
		u8 bytes;
	} cases[] = {
		{ACPI_SPACE_IO, 8, 0, 0xffff, true, 1},
		{ACPI_SPACE_IO, 16, 0, 0x64, true, 2},
		{ACPI_SPACE_IO, 32, 0, 0x64, true, 4},
		{ACPI_SPACE_IO, 0, 0, 0x64, true, 0},
		{ACPI_SPACE_IO, 255, 0, 0x64, true, 0},
		{ACPI_SPACE_IO, 8, 0, 0x10000, false, 0},
		{ACPI_SPACE_IO, 8, 1, 0x64, false, 0},
		{ACPI_SPACE_IO, 8, 0, 0, false, 0},
		{ACPI_SPACE_MEMORY, 8, 0, (1ull << 52) - 1, true, 1},
		{ACPI_SPACE_MEMORY, 8, 0, 1ull << 52, false, 0},
		{ACPI_SPACE_PCI, 8, 0, 0x1f000700ffull, true, 1},
		{ACPI_SPACE_PCI, 8, 0, 0x2000000000ull, false, 0},
		{ACPI_SPACE_PCI, 8, 0, 0x0000080000ull, false, 0},
		{ACPI_SPACE_PCI, 8, 0, 0x0000000100ull, false, 0},
		{ACPI_SPACE_PCI, 8, 0, 0x0001000000000010ull, false, 0},
		{3, 8, 0, 0x64, false, 0},
		{0x7f, 8, 0, 0x64, false, 0},
	};
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 fadt;

		rig_init(&rig);
		fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		rig_put(&rig, fadt + 112, 0x400, 4);
		rig_put(&rig, fadt + 128, 6, 1);
		rig_gas(&rig, fadt + 116, cases[i].space, cases[i].bits, cases[i].address);
		rig_put(&rig, fadt + 118, cases[i].bit_offset, 1);
		rig_seal(&rig, fadt);
		assert_true(rig_load(&rig, &a));
		if (cases[i].good)
			assert_register(
				&a.power.reset, cases[i].space, cases[i].address, cases[i].bytes);
		else
			assert_true(is_none(&a.power.reset) && a.power.reset_value == 0);
	}
}

static void test_reset_flag(void **state)
{
	struct acpi a;
	u64 fadt;

	(void)state;
	rig_init(&rig);
	fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	rig_gas(&rig, fadt + 116, ACPI_SPACE_IO, 8, 0xcf9);
	rig_put(&rig, fadt + 112, 0xffffffff & ~0x00100400u, 4);
	rig_put(&rig, fadt + 128, 6, 1);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_true(is_none(&a.power.reset));
	assert_int_equal(a.power.reset_value, 0);
}

/* The long address counts, unless it can not be one. */
static void test_pm1(void **state)
{
	struct acpi a;
	u64 fadt;

	(void)state;
	rig_init(&rig);
	fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
	rig_put(&rig, fadt + 68, 0x700, 4);
	rig_gas(&rig, fadt + 172, ACPI_SPACE_IO, 16, 0x1804);
	rig_gas(&rig, fadt + 184, ACPI_SPACE_MEMORY, 32, 0xfed00000);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_register(&a.power.pm1a, ACPI_SPACE_IO, 0x1804, 2);
	assert_register(&a.power.pm1b, ACPI_SPACE_MEMORY, 0xfed00000, 4);

	rig_gas(&rig, fadt + 172, ACPI_SPACE_PCI, 16, 0x10);
	rig_gas(&rig, fadt + 184, 9, 16, 0x10);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_register(&a.power.pm1a, ACPI_SPACE_IO, RIG_FADT_PM1, 2);
	assert_register(&a.power.pm1b, ACPI_SPACE_IO, 0x700, 2);

	rig_put(&rig, fadt + 68, 0x10000, 4);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_true(is_none(&a.power.pm1b));

	/* A FADT cut in the middle of PM1b's address: what is behind its end is not there. */
	rig_put(&rig, fadt + 4, 190, 4);
	rig_put(&rig, fadt + 68, 0x700, 4);
	rig_gas(&rig, fadt + 184, ACPI_SPACE_IO, 16, 0x12340000ull);
	rig_seal(&rig, fadt);
	assert_true(rig_load(&rig, &a));
	assert_register(&a.power.pm1b, ACPI_SPACE_IO, 0x700, 2);
}

static void test_smi(void **state)
{
	static const struct {
		u32 port;
		u8 enable;
		u16 want;
	} cases[] = {
		{0xb2, 2, 0xb2}, {0xffff, 1, 0xffff}, {0x100b2, 2, 0}, {0xb2, 0, 0}, {0, 2, 0}};
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 fadt;

		rig_init(&rig);
		fadt = rig_fadt(&rig, aml_s5, sizeof(aml_s5));
		rig_put(&rig, fadt + 48, cases[i].port, 4);
		rig_put(&rig, fadt + 52, cases[i].enable, 1);
		rig_seal(&rig, fadt);
		assert_true(rig_load(&rig, &a));
		assert_int_equal(a.power.smi_command, cases[i].want);
	}
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
		cmocka_unit_test(test_q35),
		cmocka_unit_test(test_pc),
		cmocka_unit_test(test_reduced),
		cmocka_unit_test(test_two_dsdts),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_reset_flag),
		cmocka_unit_test(test_pm1),
		cmocka_unit_test(test_smi),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
