/*
 * Remapping off on models of VT-d and AMD-Vi units: every unit, only what has to change, no
 * write to what is no unit, and an end to every wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "iommu.h"
#include "mmio.h"
#include "pci.h"
#include "ports.h"
#include "tests/host/ports_mem.h"

#define UNITS	  ACPI_IOMMUS
#define BASE	  0xfed00000ull
#define DISTANCE  0x10000u
#define NEVER	  UINT32_MAX
#define ONE_SHOTS 0x69000000u
#define TE	  0x80000000u
#define QIE	  0x04000000u
#define IRE	  0x02000000u
#define UNREACHED 7u /* a PCI segment */

struct unit {
	enum acpi_iommu_kind kind;
	bool unmappable, bare; /* bare: all ones */
	u32 version, gsts, pmen, control, control_high, status;
	u32 delay;	/* reads until an order is carried out */
	u32 pending;	/* of them */
	u32 gone_after; /* accesses; 0: stays */
	u32 accesses;
	u32 writes;
	u32 orders[4];
	u32 running; /* AMD-Vi: what was, at the last order */
	u64 mapped_bytes;
	bool bad_access;
	bool status_stuck;
	struct mmio regs;
};

static struct unit unit[UNITS];
static struct acpi acpi;
static struct memmap map;

static bool is_gone(struct unit *u)
{
	u->accesses++;
	return u->bare || (u->gone_after && u->accesses > u->gone_after);
}

static void vtd_order(struct unit *u, u32 value)
{
	if (value & ONE_SHOTS)
		u->bad_access = true; /* it would do something again */
	u->pending = u->delay;
	u->gsts = (u->gsts & TE) | (value & ~TE);
}

/* The order takes effect at a later read of the status. */
static u32 vtd_status(struct unit *u)
{
	u32 now = u->gsts;

	if (u->writes && u->pending != NEVER && u->pending-- == 0) {
		u->pending = 0;
		u->gsts &= ~TE;
		now = u->gsts;
	}
	return now;
}

static u32 amd_read(struct unit *u, u32 offset)
{
	if (offset == 0x2020 && u->pending != NEVER && u->pending-- == 0)
		u->pending = 0, u->status &= u->control & 0x10003004 ? ~0u : 0u;
	if (offset == 0x18)
		return u->control;
	if (offset == 0x2020)
		return u->status;
	u->bad_access = true;
	return 0;
}

static u32 unit_read(void *model, u32 offset)
{
	struct unit *u = model;

	if (is_gone(u))
		return 0xffffffff;
	if (offset % 4 || offset + 4 > u->mapped_bytes)
		u->bad_access = true;
	if (u->kind == IOMMU_AMD)
		return amd_read(u, offset);
	switch (offset) {
	case 0x00:
		return u->version;
	case 0x1c:
		return vtd_status(u);
	case 0x64:
		return u->pmen;
	default:
		u->bad_access = true;
		return 0;
	}
}

static void unit_write(void *model, u32 offset, u32 value)
{
	struct unit *u = model;

	if (is_gone(u))
		return;
	u->running = u->status;
	u->orders[u->writes++ % ARRAY_SIZE(u->orders)] = value;
	u->pending = u->delay;
	if (u->kind == IOMMU_AMD && offset == 0x18)
		u->control = u->delay == NEVER ? u->control : value;
	else if (u->kind == IOMMU_INTEL && offset == 0x18)
		vtd_order(u, value);
	else if (u->kind == IOMMU_INTEL && offset == 0x64)
		u->pmen = u->delay == NEVER ? u->pmen : value & 0x80000000;
	else
		u->bad_access = true;
}

bool pci_reached(u32 segment)
{
	return segment != UNREACHED;
}

const struct mmio *mmio_map(u64 pa, u64 bytes)
{
	struct unit *u = &unit[(pa - BASE) / DISTANCE];

	assert_true(pa >= BASE && (pa - BASE) / DISTANCE < UNITS && pa % DISTANCE == 0);
	if (u->unmappable)
		return NULL;
	u->mapped_bytes = bytes;
	u->regs = (struct mmio) {.model = u, .read32 = unit_read, .write32 = unit_write};
	return &u->regs;
}

static struct unit *add(enum acpi_iommu_kind kind)
{
	struct unit *u = &unit[acpi.iommus];

	acpi.iommu[acpi.iommus].kind = kind;
	acpi.iommu[acpi.iommus].pa = BASE + acpi.iommus * DISTANCE;
	acpi.iommus++;
	u->kind = kind;
	u->version = 0x10;
	return u;
}

static struct unit *start(enum acpi_iommu_kind kind)
{
	host_reset_all();
	memset(unit, 0, sizeof(unit));
	memset(&acpi, 0, sizeof(acpi));
	memset(&map, 0, sizeof(map));
	memmap_add(&map, MIB, BASE - MIB, MEM_RAM);
	memmap_add(&map, BASE, UNITS * DISTANCE, MEM_RESERVED);
	return add(kind);
}

static void disable(enum status want, u32 want_switched)
{
	u32 switched = 99;
	u64 begin = clock_us();

	assert_int_equal(iommu_disable(&acpi, &map, &switched), want);
	assert_int_equal(switched, want_switched);
	assert_true(clock_us() - begin < 2100000ull * acpi.iommus + 100);
	for (u32 i = 0; i < acpi.iommus; i++)
		assert_false(unit[i].bad_access);
}

static void test_vtd(void **state)
{
	(void)state;
	for (u32 delay = 0; delay < 1000; delay = delay * 3 + 1) {
		struct unit *u = start(IOMMU_INTEL);

		u->delay = delay;
		/* With queued invalidation, interrupt remapping, and every status of an order. */
		u->gsts = 0xffffffff & ~0x00000001u;
		disable(OK, 1);
		assert_int_equal(u->writes, 1);
		assert_int_equal(u->orders[0], 0x16fffffe);
		assert_int_equal(u->gsts & (TE | QIE | IRE), QIE | IRE);
	}
}

static void test_vtd_off(void **state)
{
	struct unit *u;

	(void)state;
	u = start(IOMMU_INTEL);
	u->gsts = QIE | IRE;
	disable(OK, 0);
	assert_int_equal(u->writes, 0);
}

/* Damaged tables: what looks like a unit in memory is none. */
static void test_unit_in_memory(void **state)
{
	static const u64 last[] = {0, 0xfff, 0x2fff};

	(void)state;
	for (u32 kind = IOMMU_INTEL; kind <= IOMMU_AMD; kind++) {
		for (u32 i = 0; i < ARRAY_SIZE(last); i++) {
			struct unit *u = start(kind);
			bool is_inside = last[i] <= (kind == IOMMU_INTEL ? 0xfff : 0x2fff);

			u->gsts = TE;
			u->control = 1;
			memset(&map, 0, sizeof(map));
			memmap_add(&map, (BASE + last[i]) & ~0xfffull, PAGE_BYTES, MEM_RAM);
			disable(OK, !is_inside);
			assert_int_equal(u->accesses == 0, is_inside);
		}
	}
}

/* No unit: all ones, zeros, memory's contents. Not one write. */
static void test_no_unit(void **state)
{
	static const u32 versions[] = {0, 0x05, 0x110, 0x80000010, 0xffffffff, 0x20202020};
	struct unit *u;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(versions); i++) {
		u = start(IOMMU_INTEL);
		u->version = versions[i];
		u->gsts = u->pmen = TE;
		disable(OK, 0);
		assert_int_equal(u->writes, 0);
	}
	u = start(IOMMU_INTEL);
	u->gsts = 0xffffffff;
	disable(OK, 0);
	assert_int_equal(u->writes, 0);
	for (u32 kind = IOMMU_INTEL; kind <= IOMMU_AMD; kind++) {
		u = start(kind);
		u->bare = true;
		disable(OK, 0);
		assert_int_equal(u->writes, 0);
	}
}

static void test_vtd_stuck(void **state)
{
	struct unit *u = start(IOMMU_INTEL);

	(void)state;
	u->gsts = TE;
	u->delay = NEVER;
	disable(E_IOMMU, 1);
	assert_int_equal(u->gsts, TE);
}

static void test_protected_memory(void **state)
{
	struct unit *u = start(IOMMU_INTEL);

	(void)state;
	u->pmen = 0x80000001;
	disable(OK, 1);
	assert_int_equal(u->pmen, 0);
	assert_int_equal(u->writes, 1);
	assert_int_equal(u->orders[0], 1); /* reserved bits as they were */

	u = start(IOMMU_INTEL);
	u->pmen = 0x80000001;
	u->gsts = TE;
	disable(OK, 1);
	assert_int_equal(u->writes, 2);
	assert_int_equal(u->gsts | u->pmen, 0);

	u = start(IOMMU_INTEL);
	u->pmen = 0x80000001;
	u->delay = NEVER;
	disable(OK, 1); /* it may stop DMA, not turn it elsewhere */
	assert_int_equal(u->writes, 1);

	/* Translation that stays on is not forgotten when the second step works. */
	u = start(IOMMU_INTEL);
	u->pmen = 0x80000000;
	u->gsts = TE;
	u->delay = NEVER;
	disable(E_IOMMU, 1);
}

static void test_amd(void **state)
{
	(void)state;
	for (u32 delay = 0; delay < 1000; delay = delay * 3 + 1) {
		struct unit *u = start(IOMMU_AMD);

		u->delay = delay;
		u->control = 0x30007dff;
		u->status = 0x198;
		disable(OK, 1);
		assert_int_equal(u->writes, 2);
		assert_int_equal(u->orders[0], 0x00000df3); /* its own writing first */
		assert_int_equal(u->orders[1], 0x00000df2);
		assert_int_equal(u->control, 0x00000df2);
		assert_int_equal(u->running, 0);
	}
}

static void test_amd_off(void **state)
{
	struct unit *u = start(IOMMU_AMD);

	(void)state;
	u->control = 0x1004;
	disable(OK, 0);
	assert_int_equal(u->writes, 0);
}

/* As firmware locks it for confidential guests: the register does not change. */
static void test_amd_stuck(void **state)
{
	struct unit *u = start(IOMMU_AMD);

	(void)state;
	u->control = 1;
	u->delay = NEVER;
	disable(E_IOMMU, 1);

	/* Its queues never stop: translation is switched off all the same. */
	u = start(IOMMU_AMD);
	u->control = 1;
	u->delay = NEVER - 1;
	u->status = 8;
	disable(OK, 1);
	assert_int_equal(u->control, 0);
}

/* A unit that disappears at any access: no endless wait, no false success. */
static void test_gone(void **state)
{
	(void)state;
	for (u32 kind = IOMMU_INTEL; kind <= IOMMU_AMD; kind++) {
		u32 failed = 0;

		for (u32 after = 1; after < 12; after++) {
			struct unit *u = start(kind);
			u32 switched;

			u->gsts = TE;
			u->control = 1;
			u->gone_after = after;
			if (iommu_disable(&acpi, &map, &switched) == E_IOMMU)
				failed++;
			else
				assert_true(
					switched == 0 || ((u->gsts & TE) == 0 || u->control == 0));
			assert_false(u->bad_access);
			assert_true(clock_us() < 1000); /* and nobody waits for it */
		}
		assert_true(failed > 0);
	}
}

/* One bad unit does not keep the others on. */
static void test_all_tried(void **state)
{
	(void)state;
	for (u32 bad = 0; bad < UNITS; bad++) {
		start(IOMMU_INTEL);
		for (u32 i = 1; i < UNITS; i++)
			add(i % 2 ? IOMMU_AMD : IOMMU_INTEL);
		for (u32 i = 0; i < UNITS; i++) {
			unit[i].gsts = TE | QIE;
			unit[i].control = 0x1005;
		}
		unit[bad].unmappable = true;
		disable(E_IOMMU, UNITS - 1);
		for (u32 i = 0; i < UNITS; i++)
			assert_true(i == bad || unit[i].gsts == QIE || unit[i].control == 0);
	}
}

/* What nobody took DMA from stays behind its unit; that is no failure. */
static void test_unreached_segment(void **state)
{
	(void)state;
	start(IOMMU_INTEL);
	add(IOMMU_AMD);
	add(IOMMU_INTEL);
	acpi.iommu[0].segment = acpi.iommu[1].segment = UNREACHED;
	acpi.iommu[2].segment = UNREACHED - 1;
	for (u32 i = 0; i < 3; i++) {
		unit[i].gsts = TE | QIE;
		unit[i].control = 1;
	}
	disable(OK, 1);
	assert_int_equal(unit[0].accesses + unit[1].accesses, 0);
	assert_int_equal(unit[0].mapped_bytes + unit[1].mapped_bytes, 0);
	assert_int_equal(unit[2].gsts, QIE);
}

static void test_none(void **state)
{
	(void)state;
	start(IOMMU_INTEL);
	acpi.iommus = 0;
	disable(OK, 0);
	acpi.iommus_dropped = 1;
	disable(E_IOMMU, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vtd),
		cmocka_unit_test(test_vtd_off),
		cmocka_unit_test(test_no_unit),
		cmocka_unit_test(test_unit_in_memory),
		cmocka_unit_test(test_vtd_stuck),
		cmocka_unit_test(test_protected_memory),
		cmocka_unit_test(test_amd),
		cmocka_unit_test(test_amd_off),
		cmocka_unit_test(test_amd_stuck),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_all_tried),
		cmocka_unit_test(test_unreached_segment),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
