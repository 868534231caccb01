/*
 * Remapping units out of DMAR and IVRS: QEMU's tables, many units, the same unit several
 * times, structures that are cut or claim absurd lengths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "acpi_rig.h"

#define HEAD_BYTES 48u
#define DRHD_BYTES 24u
#define IVHD_BYTES 40u

static struct acpi_rig rig;

static const char dmar_q35[] =
	"444d4152680000000142424f43485320425850432020202001000000425850430100000026010000"
	"000000000000000000003800000000000000d9fe000000000308000000ff00000108000000000000"
	"0108000000001f000108000000001f020108000000001f03";
static const char ivrs_q35[] =
	"49565253640000000165424f43485320425850432020202001000000425850430100000000280000"
	"000000000000000010d13400080040000000d8fe0000000000000000440000000200000002080000"
	"02f8000002fa000002fb00004800000000a00001";

static void assert_unit(const struct acpi *a, u32 index, u32 kind, u64 pa)
{
	assert_true(index < a->iommus);
	assert_int_equal(a->iommu[index].kind, kind);
	assert_int_equal(a->iommu[index].pa, pa);
}

/* A table with room for @count units of @each bytes; the caller fills them in. */
static u64 make(const char *signature, u32 count, u32 each)
{
	rig_init(&rig);
	return rig_table(&rig, signature, 1, HEAD_BYTES + count * each);
}

static u64 put_drhd(u64 pa, u64 base)
{
	rig_put(&rig, pa, 0, 2);
	rig_put(&rig, pa + 2, DRHD_BYTES, 2);
	rig_put(&rig, pa + 8, base, 8);
	return pa + DRHD_BYTES;
}

static u64 put_ivhd(u64 pa, u8 type, u64 base)
{
	rig_put(&rig, pa, type, 1);
	rig_put(&rig, pa + 1, 0xb0, 1);
	rig_put(&rig, pa + 2, IVHD_BYTES, 2);
	rig_put(&rig, pa + 8, base, 8);
	return pa + IVHD_BYTES;
}

static void load(u64 table, struct acpi *a)
{
	rig_seal(&rig, table);
	assert_true(rig_load(&rig, a));
}

static void test_qemu(void **state)
{
	struct acpi a;

	(void)state;
	rig_init(&rig);
	rig_hex(&rig, dmar_q35);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.iommus, 1);
	assert_unit(&a, 0, IOMMU_INTEL, 0xfed90000);
	assert_false(a.power.has_s5);

	rig_init(&rig);
	rig_hex(&rig, ivrs_q35);
	assert_true(rig_load(&rig, &a));
	assert_int_equal(a.iommus, 1);
	assert_unit(&a, 0, IOMMU_AMD, 0xfed80000);
}

/* Other structures between units, and both tables in one machine. */
static void test_several(void **state)
{
	struct acpi a;
	u64 t, at;

	(void)state;
	t = make("DMAR", 5, DRHD_BYTES);
	at = put_drhd(t + HEAD_BYTES, 0xfed90000);
	rig_put(&rig, at, 1, 2); /* reserved memory */
	rig_put(&rig, at + 2, DRHD_BYTES, 2);
	rig_put(&rig, at + 8, 0x7b800000, 8);
	at = put_drhd(at + DRHD_BYTES, 0x380ffffc000ull);
	rig_put(&rig, at, 0x0100, 2); /* not type 0 */
	rig_put(&rig, at + 2, DRHD_BYTES, 2);
	rig_put(&rig, at + 8, 0x7b900000, 8);
	put_drhd(at + DRHD_BYTES, 0xfed90000); /* again */
	rig_seal(&rig, t);
	t = rig_table(&rig, "IVRS", 2, HEAD_BYTES + 5 * IVHD_BYTES);
	at = put_ivhd(t + HEAD_BYTES, 0x10, 0xfeb80000);
	at = put_ivhd(at, 0x11, 0xfeb80000);
	at = put_ivhd(at, 0x40, 0xfeb80000);
	at = put_ivhd(at, 0x21, 0xfeb00000); /* memory of a device */
	put_ivhd(at, 0x40, 0xfea80000);
	load(t, &a);
	assert_int_equal(a.iommus, 4);
	assert_unit(&a, 0, IOMMU_INTEL, 0xfed90000);
	assert_unit(&a, 1, IOMMU_INTEL, 0x380ffffc000ull);
	assert_unit(&a, 2, IOMMU_AMD, 0xfeb80000);
	assert_unit(&a, 3, IOMMU_AMD, 0xfea80000);
	assert_int_equal(a.iommus_dropped, 0);
}

/* Whether they may be switched off is asked of PCI. */
static void test_other_segments(void **state)
{
	static const u32 segments[] = {1, 0x80, 0x100, 0xffff};
	struct acpi a;
	u64 t, at;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(segments); i++) {
		t = make("DMAR", 2, DRHD_BYTES);
		at = put_drhd(t + HEAD_BYTES, 0xfed90000);
		put_drhd(at, 0xfed91000);
		rig_put(&rig, t + HEAD_BYTES + 6, segments[i], 2);
		rig_seal(&rig, t);
		t = rig_table(&rig, "IVRS", 2, HEAD_BYTES + 2 * IVHD_BYTES);
		at = put_ivhd(t + HEAD_BYTES, 0x10, 0xfeb80000);
		put_ivhd(at, 0x11, 0xfea80000);
		rig_put(&rig, t + HEAD_BYTES + 16, segments[i], 2);
		load(t, &a);
		assert_int_equal(a.iommus, 4);
		assert_unit(&a, 0, IOMMU_INTEL, 0xfed90000);
		assert_unit(&a, 1, IOMMU_INTEL, 0xfed91000);
		assert_unit(&a, 2, IOMMU_AMD, 0xfeb80000);
		assert_unit(&a, 3, IOMMU_AMD, 0xfea80000);
		for (u32 j = 0; j < a.iommus; j++)
			assert_int_equal(a.iommu[j].segment, j % 2 ? 0 : segments[i]);
	}
}

static void test_each_ivhd_type(void **state)
{
	static const u8 types[] = {0x10, 0x11, 0x40};
	struct acpi a;
	u64 t;

	(void)state;
	for (u32 type = 0; type < 256; type++) {
		bool is_unit = memchr(types, (int)type, sizeof(types)) != NULL;

		t = make("IVRS", 1, IVHD_BYTES);
		put_ivhd(t + HEAD_BYTES, (u8)type, 0xfeb80000);
		load(t, &a);
		assert_int_equal(a.iommus, is_unit);
	}
}

static void test_too_many(void **state)
{
	struct acpi a;
	u64 t, at;

	(void)state;
	for (u32 count = ACPI_IOMMUS - 1; count <= ACPI_IOMMUS + 3; count++) {
		u32 fit = count < ACPI_IOMMUS ? count : ACPI_IOMMUS;

		t = make("DMAR", count, DRHD_BYTES);
		at = t + HEAD_BYTES;
		for (u32 i = 0; i < count; i++)
			at = put_drhd(at, 0xf0000000 + i * 0x1000);
		load(t, &a);
		assert_int_equal(a.iommus, fit);
		assert_int_equal(a.iommus_dropped, count - fit);
		assert_unit(&a, fit - 1, IOMMU_INTEL, 0xf0000000 + (fit - 1) * 0x1000);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		u64 base;
		bool intel, amd;
	} cases[] = {{0, false, false}, {0xfed91000, true, false}, {0xfed94000, true, true},
		{0xfed90800, false, false}, {0xfed90001, false, false}, {~0ull, false, false},
		{1ull << 52, false, false}, {(1ull << 52) - 0x4000, true, true}};
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 t = make("DMAR", 1, DRHD_BYTES);

		put_drhd(t + HEAD_BYTES, cases[i].base);
		load(t, &a);
		assert_int_equal(a.iommus, cases[i].intel);
		t = make("IVRS", 1, IVHD_BYTES);
		put_ivhd(t + HEAD_BYTES, 0x11, cases[i].base);
		load(t, &a);
		assert_int_equal(a.iommus, cases[i].amd);
	}
}

/* A structure's own length: what is before it counts, nothing of it and behind it. */
static void test_lengths(void **state)
{
	static const struct {
		u32 bytes;
		u32 units;
	} cases[] = {{0, 1}, {1, 1}, {3, 1}, {4, 1}, {15, 1}, {16, 2}, {24, 3}, {48, 2}, {49, 1},
		{0xffff, 1}};
	struct acpi a;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 t = make("DMAR", 3, DRHD_BYTES);
		u64 at = put_drhd(t + HEAD_BYTES, 0xfed90000);

		put_drhd(put_drhd(at, 0xfed91000), 0xfed92000);
		rig_put(&rig, at + 2, cases[i].bytes, 2);
		load(t, &a);
		assert_int_equal(a.iommus, cases[i].units);
		assert_unit(&a, 0, IOMMU_INTEL, 0xfed90000);
	}
}

/* A length shorter than the length's own place: no structure starts inside another's head. */
static void test_inside(void **state)
{
	struct acpi a;
	u64 t, at;

	(void)state;
	t = make("IVRS", 10, IVHD_BYTES);
	at = t + HEAD_BYTES;
	rig_put(&rig, at, 0x00011077, 4); /* one byte long; the next would be type 10h */
	rig_put(&rig, at + 4, 1, 1);	  /* and 256 bytes long */
	rig_put(&rig, at + 1 + 8, 0xfeb80000, 8);
	load(t, &a);
	assert_int_equal(a.iommus, 0);
}

/* Cut anywhere, with a good checksum: a unit counts only if all of it is in the table. */
static void test_cut(void **state)
{
	struct acpi a;

	(void)state;
	for (u32 bytes = RIG_HEADER; bytes <= HEAD_BYTES + 3 * IVHD_BYTES; bytes++) {
		u64 t = make("IVRS", 3, IVHD_BYTES);
		u64 at = put_ivhd(t + HEAD_BYTES, 0x10, 0xfeb80000);
		u32 whole = bytes < HEAD_BYTES ? 0 : (bytes - HEAD_BYTES) / IVHD_BYTES;

		put_ivhd(put_ivhd(at, 0x11, 0xfeb00000), 0x40, 0xfea00000);
		rig_put(&rig, t + 4, bytes, 4);
		load(t, &a);
		assert_int_equal(a.iommus, whole);
	}
}

static void test_damage(void **state)
{
	struct acpi a;
	u64 t;

	(void)state;
	t = make("DMAR", 1, DRHD_BYTES);
	put_drhd(t + HEAD_BYTES, 0xfed90000);
	load(t, &a);
	assert_int_equal(a.iommus, 1);
	for (u64 pa = t; pa < t + HEAD_BYTES + DRHD_BYTES; pa++) {
		u64 old = rig_get(&rig, pa, 1);

		rig_put(&rig, pa, old ^ 1, 1);
		assert_true(acpi_load(RIG_RSDP, &a));
		assert_int_equal(a.iommus, 0);
		rig_put(&rig, pa, old, 1);
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
		cmocka_unit_test(test_qemu),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_other_segments),
		cmocka_unit_test(test_each_ivhd_type),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
