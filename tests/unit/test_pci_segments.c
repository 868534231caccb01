/*
 * PCI segments by memory: found, quieted, driven; ports where they work, memory where they do
 * not; and nothing touched where the tables say what can not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "drivers/nvme/nvmereg.h"
#include "drivers/pcivar.h"
#include "pci.h"
#include "ports.h"
#include "tests/host/ports_mem.h"
#include "tests/model/pci_model.h"

#define BDF(s, b, d, f) ((u32)(s) << 16 | (u32)((b) << 8 | (d) << 3 | (f)))
#define CLASS_NIC	0x020000u
#define COMMAND_ALL	(PCI_MODEL_MEMORY | PCI_MODEL_MASTER)
#define PLACE(i)	(0x3ff000000000ull + (u64)(i)*0x10000000)
#define WAIT_US		1000000u

static struct acpi acpi;
static struct memmap map;

static void start(void)
{
	host_reset_all();
	pci_model_reset();
	acpi = (struct acpi) {0};
	map = (struct memmap) {0};
	memmap_add(&map, 0, 0x80000000, MEM_RAM);
}

/* Tables name what is there. */
static void place(u64 pa, u32 segment, u32 first, u32 last)
{
	pci_model_area(pa, segment, first, last);
	acpi.ecam[acpi.ecams].pa = pa;
	acpi.ecam[acpi.ecams].segment = segment;
	acpi.ecam[acpi.ecams].first_bus = (u16)first;
	acpi.ecam[acpi.ecams].last_bus = (u16)last;
	acpi.ecams++;
}

static struct pci_model_fn *add(u32 bdf, u32 class)
{
	struct pci_model_fn *fn = pci_model_add(bdf, class);

	fn->config[1] = COMMAND_ALL;
	return fn;
}

static void assert_found(const u32 *want, u32 count)
{
	struct pci_dev dev;
	u32 cursor = 0;

	for (u32 i = 0; i < count; i++) {
		assert_true(pci_next(&cursor, &dev));
		assert_int_equal(dev.bdf, want[i]);
	}
	assert_false(pci_next(&cursor, &dev));
	assert_false(pci_next(&cursor, &dev));
}

static void test_all_are_found_and_quiet(void **state)
{
	static const u32 want[] = {BDF(0, 0, 1, 0), BDF(0, 255, 0, 0), BDF(1, 0x40, 0, 0),
		BDF(1, 0x7f, 31, 0), BDF(1, 0x80, 2, 0), BDF(0xfffe, 255, 31, 0)};
	struct pci_model_fn *fn[ARRAY_SIZE(want)], *hidden;

	(void)state;
	start();
	place(PLACE(3), 0xfffe, 0, 255);
	place(PLACE(1), 1, 0x80, 0x80);
	place(PLACE(1), 1, 0x40, 0x7f);
	place(0xb0000000, 0, 0, 127); /* of no use while ports work */
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		fn[i] = add(want[i], CLASS_NIC);
	hidden = add(BDF(1, 0x81, 0, 0), CLASS_NIC); /* on a bus that nobody names */
	pci_quiesce();
	assert_found(want, 2);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(pci_model_masters(fn[i]), i >= 2);
	assert_int_equal(pci_model_stray(), 0);
	pci_quiesce_segments(&acpi, &map);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		assert_false(pci_model_masters(fn[i]));
	assert_true(pci_model_masters(hidden));
	assert_found(want, ARRAY_SIZE(want));
	assert_true(pci_reached(0) && pci_reached(1) && pci_reached(0xfffe));
	assert_false(pci_reached(2) || pci_reached(0xffff) || pci_reached(0x10000) ||
		     pci_reached(0x10001));
	assert_int_equal(pci_model_stray(), 0);
}

/* With ports nothing of segment 0 is looked at twice; what is done later to it stays. */
static void test_segment_0_is_left_alone(void **state)
{
	struct pci_model_fn *fn;
	u64 reads;

	(void)state;
	start();
	place(0xb0000000, 0, 0, 255);
	fn = add(BDF(0, 0, 1, 0), CLASS_NIC);
	reads = pci_model_reads();
	pci_quiesce_segments(&acpi, &map);
	assert_int_equal(pci_model_reads(), reads);
	assert_true(pci_model_masters(fn));
	assert_int_equal(pci_read(BDF(0, 0, 1, 0), 0), 0x00101b36);
}

static void test_no_ports(void **state)
{
	static const u32 want[] = {BDF(0, 2, 1, 0), BDF(0, 7, 31, 0)};
	struct pci_model_fn *fn[ARRAY_SIZE(want)];
	u32 cursor = 0;
	struct pci_dev dev;

	(void)state;
	start();
	pci_model_no_ports();
	place(0xb0000000, 0, 2, 7);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		fn[i] = add(want[i], CLASS_NIC);
	add(BDF(0, 0, 0, 0), CLASS_NIC); /* its bus is not named */
	pci_quiesce();
	assert_false(pci_next(&cursor, &dev));
	pci_quiesce_segments(&acpi, &map);
	assert_found(want, ARRAY_SIZE(want));
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		assert_false(pci_model_masters(fn[i]));
	assert_true(pci_reached(0));
	assert_int_equal(pci_model_stray(), 0);
}

static void test_neither_ports_nor_tables(void **state)
{
	struct pci_dev dev;
	u32 cursor = 0;

	(void)state;
	start();
	pci_model_no_ports();
	add(BDF(0, 0, 1, 0), CLASS_NIC);
	pci_quiesce_segments(&acpi, &map);
	assert_false(pci_next(&cursor, &dev));
	assert_false(pci_reached(0));
	assert_int_equal(pci_read(BDF(0, 0, 1, 0), 0), UINT32_MAX);
	pci_write(BDF(0, 0, 1, 0), 4, 0);
}

/* A disk behind bridges there comes up like any other, and only its own bridges are touched. */
static void test_disk_behind_bridges(void **state)
{
	struct pci_dev dev = {.bdf = BDF(2, 9, 0, 0), .class = NVME_PCI_CLASS};
	struct pci_model_fn *fn, *outer, *inner, *other;

	(void)state;
	start();
	place(PLACE(0), 2, 0, 63);
	other = pci_model_bridge(BDF(0, 0, 1, 0), 9); /* the same number on another segment */
	outer = pci_model_bridge(BDF(2, 0, 1, 0), 5);
	inner = pci_model_bridge(BDF(2, 5, 0, 0), 9);
	fn = add(dev.bdf, NVME_PCI_CLASS);
	pci_model_sleep(inner);
	pci_quiesce();
	pci_quiesce_segments(&acpi, &map);
	assert_false(pci_model_masters(fn));
	assert_int_equal(inner->early, 0);
	fn->config[1] &= ~PCI_MODEL_MEMORY;
	pci_enable_memory(&dev);
	assert_true(pci_model_answers(fn));
	assert_int_equal(pci_enable_dma(&dev), OK);
	assert_true(pci_model_reaches_memory(fn) && pci_model_masters(fn));
	assert_true(pci_model_masters(outer) && pci_model_masters(inner));
	assert_int_equal(other->config[1], 0);
	assert_int_equal(pci_disable_dma(&dev), OK);
}

/* Of a segment of which one part can not be, no part is touched; others are not concerned. */
static void test_wrong_tables(void **state)
{
	for (u32 how = 0; how < 4; how++) {
		struct pci_model_fn *fn, *good;

		(void)state;
		start();
		place(PLACE(1), 1, 0, 63);
		place(PLACE(2), 1, 64, 127);
		place(PLACE(4), 4, 0, 255);
		fn = add(BDF(1, 0, 0, 0), CLASS_NIC);
		good = add(BDF(4, 0, 0, 0), CLASS_NIC);
		if (how == 0)
			acpi.ecam[1].pa = 0; /* as its parser leaves it */
		else if (how == 1)
			acpi.ecam[1].pa = 0x78000000; /* bus 127's is the last of RAM */
		else if (how == 2)
			acpi.ecam[1].pa = PCI_MODEL_END - (127u << 20);
		else
			memmap_add(&map, PLACE(2) + (127u << 20), PAGE_BYTES, MEM_RAM);
		pci_quiesce_segments(&acpi, &map);
		assert_true(pci_model_masters(fn));
		assert_false(pci_model_masters(good));
		assert_false(pci_reached(1));
		assert_true(pci_reached(4));
		assert_int_equal(pci_read(fn->bdf, 0), UINT32_MAX);
		assert_int_equal(pci_model_stray(), 0);
	}
}

/* RAM before the first bus's space and behind the last one's does not count. */
static void test_memory_around(void **state)
{
	(void)state;
	start();
	memmap_add(&map, PLACE(1), 0x4000000, MEM_RAM);
	memmap_add(&map, PLACE(1) + 0x5000000, 0x1000, MEM_RAM);
	place(PLACE(1), 1, 0x40, 0x4f);
	pci_quiesce_segments(&acpi, &map);
	assert_true(pci_reached(1));
}

/* Virtual functions are on the bus of their physical function or the next one there. */
static void test_virtual_functions(void **state)
{
	static const u32 where[] = {BDF(1, 3, 0, 2), BDF(1, 4, 31, 7)};
	struct pci_model_fn *fn[ARRAY_SIZE(where)], *elsewhere[2];

	(void)state;
	start();
	place(PLACE(0), 1, 0, 255);
	place(PLACE(2), 2, 0, 255);
	add(BDF(1, 3, 0, 0), CLASS_NIC);
	add(BDF(2, 9, 0, 0), CLASS_NIC);
	elsewhere[0] = add(BDF(2, 3, 0, 2), CLASS_NIC);
	elsewhere[1] = add(BDF(1, 9, 0, 2), CLASS_NIC);
	elsewhere[0]->config[0] = elsewhere[1]->config[0] = UINT32_MAX;
	for (u32 i = 0; i < ARRAY_SIZE(where); i++) {
		fn[i] = add(where[i], CLASS_NIC);
		fn[i]->config[0] = UINT32_MAX;
	}
	pci_quiesce_segments(&acpi, &map);
	for (u32 i = 0; i < ARRAY_SIZE(where); i++)
		assert_false(pci_model_masters(fn[i]));
	/* No physical function is near them. */
	assert_true(pci_model_masters(elsewhere[0]) && pci_model_masters(elsewhere[1]));
}

/* Names that are none. */
static void test_nobody(void **state)
{
	static const u32 ids[] = {0x00000000, 0xffff0000, 0x00100000, 0x0000ffff, 0x0010ffff};
	static const u32 real[] = {0x00100001, 0x00011b36, 0xffff1b36};
	struct pci_dev dev;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(ids) + ARRAY_SIZE(real); i++) {
		bool is_real = i >= ARRAY_SIZE(ids);
		struct pci_model_fn *fn;
		u32 cursor = 0;

		start();
		fn = add(BDF(0, 0, 1, 0), CLASS_NIC);
		fn->config[0] = is_real ? real[i - ARRAY_SIZE(ids)] : ids[i];
		assert_int_equal(pci_next(&cursor, &dev), is_real);
	}
}

/* Starting still: waited for, but not for ever; the others are quiet before that. */
static void test_late(void **state)
{
	static const u64 ready_us[] = {300000, 10 * WAIT_US};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(ready_us); i++) {
		struct pci_model_fn *late, *nic;
		u64 most_us = i ? WAIT_US : ready_us[i];

		start();
		place(PLACE(0), 1, 0, 7);
		late = add(BDF(1, 1, 0, 0), CLASS_NIC);
		nic = add(BDF(1, 0, 2, 0), CLASS_NIC);
		late->late_us = ready_us[i];
		pci_quiesce_segments(&acpi, &map);
		assert_in_range(clock_us(), most_us, most_us + 100000);
		assert_int_equal(pci_model_masters(late), i);
		assert_false(pci_model_masters(nic));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_found_and_quiet),
		cmocka_unit_test(test_segment_0_is_left_alone),
		cmocka_unit_test(test_no_ports),
		cmocka_unit_test(test_neither_ports_nor_tables),
		cmocka_unit_test(test_disk_behind_bridges),
		cmocka_unit_test(test_wrong_tables),
		cmocka_unit_test(test_memory_around),
		cmocka_unit_test(test_virtual_functions),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
