/*
 * PCI enumeration and quieting against a modelled configuration space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "drivers/nvme/nvmereg.h"
#include "pci.h"
#include "ports.h"
#include "tests/host/ports_mem.h"
#include "tests/model/pci_model.h"

#define BDF(b, d, f) ((u32)((b) << 8 | (d) << 3 | (f)))
#define CLASS_NIC    0x020000u
#define CLASS_BRIDGE 0x060400u
#define COMMAND_ALL  (PCI_MODEL_MEMORY | PCI_MODEL_MASTER)

static struct pci_model_fn *add(u32 bdf, u32 class, u32 header, u32 command)
{
	struct pci_model_fn *fn = pci_model_add(bdf, class);

	fn->config[3] = header;
	fn->config[1] = command | 0xfff00000u; /* status bits that a write of ones clears */
	return fn;
}

static void test_finds_all(void **state)
{
	static const u32 want[] = {BDF(0, 0, 0), BDF(0, 3, 0), BDF(0, 3, 5), BDF(77, 31, 0),
		BDF(255, 31, 0), BDF(255, 31, 7)};
	struct pci_dev dev;
	u32 cursor = 0;

	(void)state;
	pci_model_reset();
	add(BDF(0, 0, 0), CLASS_NIC, 0, 0);
	add(BDF(0, 0, 1), CLASS_NIC, 0, 0); /* function 0 says it is alone */
	add(BDF(0, 3, 0), CLASS_BRIDGE, PCI_MODEL_MULTI, 0);
	add(BDF(0, 3, 5), CLASS_NIC, 0, 0);
	add(BDF(0, 9, 2), CLASS_NIC, 0, 0); /* no function 0: not there */
	add(BDF(77, 31, 0), NVME_PCI_CLASS, 0, 0);
	add(BDF(255, 31, 0), CLASS_NIC, PCI_MODEL_MULTI, 0);
	add(BDF(255, 31, 7), CLASS_NIC, 0, 0);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(pci_next(&cursor, &dev));
		assert_int_equal(dev.bdf, want[i]);
		assert_int_equal(dev.vendor, 0x1b36);
		assert_int_equal(dev.device, 0x0010);
		if (dev.bdf == BDF(77, 31, 0))
			assert_int_equal(dev.class, NVME_PCI_CLASS);
	}
	assert_false(pci_next(&cursor, &dev));
	assert_false(pci_next(&cursor, &dev));
	assert_true(pci_model_reads() < 9000 + 256 * 6); /* a look at all, then six buses */
}

static void test_quiesce(void **state)
{
	struct pci_model_fn *nic, *bridge, *deep, *idle;

	(void)state;
	pci_model_reset();
	nic = add(BDF(0, 2, 0), CLASS_NIC, PCI_MODEL_MULTI, COMMAND_ALL);
	bridge = add(BDF(0, 2, 1), CLASS_BRIDGE, 0, COMMAND_ALL);
	deep = add(BDF(200, 4, 0), NVME_PCI_CLASS, 0, COMMAND_ALL);
	idle = add(BDF(201, 4, 0), NVME_PCI_CLASS, 0, PCI_MODEL_MEMORY);
	pci_quiesce();
	assert_false(pci_model_masters(nic));
	assert_true(pci_model_masters(bridge));
	assert_false(pci_model_masters(deep));
	assert_true(nic->config[1] & PCI_MODEL_MEMORY);
	assert_int_equal(nic->status_written | deep->status_written | idle->status_written, 0);
}

/* Functions that only claim to be bridges, and those that vanish or never were. */
static void test_quiesce_strange_functions(void **state)
{
	struct pci_model_fn *ntb, *cardbus, *isa, *gone, *stuck, *asleep;

	(void)state;
	pci_model_reset();
	ntb = add(BDF(0, 4, 0), 0x068000, 0, COMMAND_ALL); /* an endpoint of class bridge */
	cardbus = add(BDF(0, 5, 0), 0x060700, 2u << 16, COMMAND_ALL);
	isa = add(BDF(0, 31, 0), 0x060100, 0, COMMAND_ALL);
	gone = add(BDF(3, 0, 0), CLASS_NIC, 0, COMMAND_ALL);
	gone->config[1] = 0xffffffff; /* between two reads */
	stuck = add(BDF(4, 0, 0), CLASS_NIC, 0, COMMAND_ALL);
	stuck->master_stuck = true;
	asleep = add(BDF(5, 0, 0), CLASS_NIC, 0, COMMAND_ALL);
	pci_model_sleep(asleep);
	pci_quiesce();
	assert_false(pci_model_masters(ntb));
	assert_true(pci_model_masters(cardbus));
	assert_true(pci_model_masters(isa));
	assert_int_equal(gone->config[1], 0xffffffff);
	assert_false(pci_model_masters(asleep));
	assert_true(pci_model_reads() < 9000 + 256 * 6); /* a look at all, then six buses */
}

/* What is behind sleeping bridges comes to light when they wake, and is quiet then. */
/* Their vendor reads as all ones; on the bus of the physical function and the next one. */
static void test_quiesce_virtual_functions(void **state)
{
	static const u32 where[] = {0x302, 0x37f, 0x400, 0x4ff};
	struct pci_model_fn *fn[ARRAY_SIZE(where)];

	(void)state;
	pci_model_reset();
	pci_model_add(0x300, 0x020000)->config[1] = PCI_MODEL_MASTER;
	for (u32 i = 0; i < ARRAY_SIZE(where); i++) {
		fn[i] = pci_model_add(where[i], 0x020000);
		fn[i]->config[0] = UINT32_MAX;
		fn[i]->config[1] = PCI_MODEL_MEMORY | PCI_MODEL_MASTER;
	}
	pci_quiesce();
	for (u32 i = 0; i < ARRAY_SIZE(where); i++) {
		assert_false(pci_model_masters(fn[i]));
		assert_int_equal(fn[i]->config[1] & PCI_MODEL_MEMORY, PCI_MODEL_MEMORY);
	}
}

static void test_quiesce_behind_sleeping_bridges(void **state)
{
	struct pci_model_fn *outer, *inner, *dead, *deep, *lost, *nic;
	u64 start;

	(void)state;
	host_reset_all();
	pci_model_reset();
	outer = pci_model_bridge(BDF(0, 1, 0), 5);
	inner = pci_model_bridge(BDF(5, 0, 0), 9);
	dead = pci_model_bridge(BDF(0, 2, 0), 12);
	deep = add(BDF(9, 0, 0), NVME_PCI_CLASS, 0, COMMAND_ALL);
	lost = add(BDF(12, 0, 0), NVME_PCI_CLASS, 0, COMMAND_ALL);
	nic = add(BDF(77, 0, 0), CLASS_NIC, 0, COMMAND_ALL);
	pci_model_sleep(outer);
	pci_model_sleep(inner);
	pci_model_sleep(dead);
	dead->wake_stuck = true;
	inner->config[8] = 0xfeb0fea0;
	start = clock_us();
	pci_quiesce();
	assert_true(clock_us() - start < 500000);
	assert_false(pci_model_masters(deep));
	assert_true(pci_model_masters(lost)); /* nobody can reach it, nor it memory */
	assert_false(pci_model_masters(nic));
	assert_int_equal(inner->config[6], 9 << 16 | 9 << 8 | 5);
	assert_int_equal(inner->config[8], 0xfeb0fea0);
	assert_int_equal(inner->config[1] & 0xffff, PCI_MODEL_MEMORY);
	assert_int_equal(inner->early | outer->early, 0);
}

/* However many sleep, the first act ends soon. */
static void test_quiesce_is_bounded(void **state)
{
	struct pci_model_fn *nic;
	u64 start;

	(void)state;
	host_reset_all();
	pci_model_reset();
	for (u32 i = 0; i < PCI_MODEL_FUNCTIONS - 1; i++) {
		struct pci_model_fn *fn = pci_model_bridge(BDF(0, i, 0), i + 1);

		pci_model_sleep(fn);
		fn->wake_stuck = true;
	}
	nic = add(BDF(1, 0, 0), CLASS_NIC, 0, COMMAND_ALL);
	start = clock_us();
	pci_quiesce();
	assert_in_range(clock_us() - start, 1500000, 1700000);
	assert_true(pci_model_masters(nic));
}

static void test_wake(void **state)
{
	(void)state;
	for (u32 keeps = 0; keeps < 2; keeps++) {
		struct pci_dev dev = {.bdf = BDF(3, 0, 0), .class = NVME_PCI_CLASS};
		struct pci_model_fn *fn;
		u64 start, pa;

		host_reset_all();
		pci_model_reset();
		fn = add(dev.bdf, NVME_PCI_CLASS, 0, COMMAND_ALL);
		pci_model_bar(fn, 0x12febf0000, 0x4000, NULL);
		fn->config[12] = 0xfea00001; /* ROM */
		pci_model_cap(fn, PCI_MODEL_MSIX_AT, PCI_MODEL_MSIX, PCI_MODEL_MSIX_ON);
		pci_model_sleep(fn);
		if (keeps)
			fn->config[PCI_MODEL_PM_AT / 4 + 1] |= PCI_MODEL_NO_RESET;
		start = clock_us();
		assert_int_equal(pci_wake(&dev), OK);
		assert_in_range(clock_us() - start, 10000, 10200);
		assert_int_equal(fn->config[PCI_MODEL_PM_AT / 4 + 1],
			keeps ? PCI_MODEL_NO_RESET : 0); /* PME off too */
		assert_int_equal(fn->resets, !keeps);
		assert_true(pci_bar(&dev, 0, &pa));
		assert_int_equal(pa, 0x12febf0000);
		assert_int_equal(fn->config[12], 0xfea00001);
		assert_int_equal(fn->config[1] & 0xffff, 0);
		assert_int_equal(fn->early | fn->status_written, 0);
		start = clock_us();
		assert_int_equal(pci_wake(&dev), OK); /* awake already */
		assert_true(clock_us() - start < 100);
		fn->gone = true;
		assert_int_equal(pci_wake(&dev), E_DEVICE_GONE);
	}
}

static void test_wake_fails(void **state)
{
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};
	struct pci_model_fn *fn;

	(void)state;
	host_reset_all();
	pci_model_reset();
	fn = add(dev.bdf, NVME_PCI_CLASS, 0, 0);
	assert_int_equal(pci_wake(&dev), OK); /* has no states */
	pci_model_sleep(fn);
	fn->wake_stuck = true;
	assert_int_equal(pci_wake(&dev), E_DEVICE_GONE);
}

/* Lists that go in circles, out of the header, or to where nothing is. */
static void test_broken_lists(void **state)
{
	static const u32 next[] = {0x40, 0x50, 0x00, 0x3c, 0x04, 0xfc, 0xff, 0x53};
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(next); i++) {
		struct pci_model_fn *fn;

		pci_model_reset();
		fn = add(dev.bdf, NVME_PCI_CLASS, 0, PCI_MODEL_CAPS);
		fn->config[13] = 0x40;
		fn->config[16] = 0x09 | 0x50 << 8;
		fn->config[20] = 0x09 | next[i] << 8;
		fn->config[63] = 0x09 | 0xfc << 8;
		assert_int_equal(pci_wake(&dev), OK);
		assert_int_equal(pci_enable_dma(&dev), OK);
		assert_true(pci_model_reads() < 400);
	}
	/* Power management in the last word: its register would be outside. */
	pci_model_reset();
	pci_model_cap(add(dev.bdf, NVME_PCI_CLASS, 0, 0), 0xfc, PCI_MODEL_PM, 0);
	assert_int_equal(pci_wake(&dev), OK);
}

/* The last place in the longest list counts, a word that reads as ones ends it. */
static void test_longest_list(void **state)
{
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};
	struct pci_model_fn *fn;

	(void)state;
	pci_model_reset();
	fn = add(dev.bdf, NVME_PCI_CLASS, 0, 0);
	pci_model_cap(fn, 0xfc, PCI_MODEL_MSI, PCI_MODEL_MSI_ON);
	for (u32 at = 0xf8; at >= 0x40; at -= 4)
		pci_model_cap(fn, at, 0x09, 0);
	assert_int_equal(pci_enable_dma(&dev), OK);
	assert_false(fn->config[63] & PCI_MODEL_MSI_ON);
	fn->config[63] |= PCI_MODEL_MSI_ON;
	fn->config[40] = 0xffffffff;
	assert_int_equal(pci_enable_dma(&dev), OK);
	assert_true(fn->config[63] & PCI_MODEL_MSI_ON);
}

/* Messages are writes to memory: off before DMA is on, or it stays off. */
static void test_messages(void **state)
{
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};
	struct pci_model_fn *fn;

	(void)state;
	pci_model_reset();
	fn = add(dev.bdf, NVME_PCI_CLASS, 0, 0);
	pci_model_cap(fn, PCI_MODEL_MSI_AT, PCI_MODEL_MSI, PCI_MODEL_MSI_ON);
	pci_model_cap(fn, PCI_MODEL_MSIX_AT, PCI_MODEL_MSIX, PCI_MODEL_MSIX_ON);
	fn->messages_stuck = true;
	assert_true(pci_model_interrupt(fn));
	assert_int_equal(pci_enable_dma(&dev), E_DEVICE_GONE);
	assert_false(pci_model_masters(fn));
	fn->messages_stuck = false;
	assert_int_equal(pci_enable_dma(&dev), OK);
	assert_true(pci_model_masters(fn));
	assert_false(pci_model_interrupt(fn));
	assert_int_equal(fn->pins, 0);
	assert_false(fn->config[PCI_MODEL_MSI_AT / 4] & PCI_MODEL_MSI_ON);
	assert_false(fn->config[PCI_MODEL_MSIX_AT / 4] & PCI_MODEL_MSIX_ON);
	assert_int_equal(fn->status_written, 0);
	fn->gone = true;
	assert_int_equal(pci_enable_dma(&dev), E_DEVICE_GONE);
}

/* Bridges on the way are opened for what is needed, others are left alone. */
static void test_bridges_on_the_way(void **state)
{
	struct pci_dev dev = {.bdf = BDF(9, 0, 0)};
	struct pci_model_fn *fn, *outer, *inner, *other;

	(void)state;
	pci_model_reset();
	other = pci_model_bridge(BDF(0, 0, 0), 4);
	outer = pci_model_bridge(BDF(0, 1, 0), 5);
	inner = pci_model_bridge(BDF(5, 0, 0), 9);
	fn = add(dev.bdf, NVME_PCI_CLASS, 0, 0);
	pci_enable_memory(&dev);
	assert_true(pci_model_answers(fn));
	assert_false(pci_model_masters(inner) || pci_model_masters(outer));
	assert_int_equal(pci_enable_dma(&dev), OK);
	assert_true(pci_model_reaches_memory(fn));
	assert_int_equal(other->config[1], 0);
	assert_int_equal(pci_disable_dma(&dev), OK);
	assert_false(pci_model_masters(fn));
	/* Numbers that make a circle. */
	inner->config[6] = outer->config[6] = 9 << 8;
	outer->secondary = inner->secondary = 0;
	pci_enable_memory(&dev);
}

static void test_dma_on_and_off(void **state)
{
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};
	struct pci_model_fn *fn;

	(void)state;
	pci_model_reset();
	fn = add(dev.bdf, NVME_PCI_CLASS, 0, 0);
	pci_enable_memory(&dev);
	assert_int_equal(fn->config[1] & 0xffff, PCI_MODEL_MEMORY | PCI_MODEL_INTX);
	assert_int_equal(pci_enable_dma(&dev), OK);
	assert_true(pci_model_masters(fn));
	assert_int_equal(pci_disable_dma(&dev), OK);
	assert_int_equal(fn->config[1] & 0xffff, PCI_MODEL_MEMORY | PCI_MODEL_INTX);
	assert_int_equal(pci_enable_dma(&dev), OK);
	fn->master_stuck = true;
	assert_int_equal(pci_disable_dma(&dev), E_DEVICE_GONE);
	fn->gone = true;
	assert_int_equal(pci_disable_dma(&dev), E_DEVICE_GONE);
	assert_int_equal(fn->status_written, 0);
}

/* What a device that was pulled may still send ends at the bridge, unless others need that. */
static void test_dma_of_a_function_that_has_gone(void **state)
{
	struct pci_dev dev = {.bdf = BDF(9, 0, 0)}, other = {.bdf = BDF(9, 1, 0)};
	struct pci_model_fn *fn, *outer, *inner, *neighbour;

	(void)state;
	pci_model_reset();
	outer = pci_model_bridge(BDF(0, 1, 0), 5);
	inner = pci_model_bridge(BDF(5, 0, 0), 9);
	fn = add(dev.bdf, NVME_PCI_CLASS, 0, 0);
	neighbour = add(other.bdf, NVME_PCI_CLASS, 0, 0);
	add(BDF(10, 0, 0), NVME_PCI_CLASS, 0, 0);
	assert_int_equal(pci_enable_dma(&dev), OK);
	fn->gone = true;
	assert_int_equal(pci_disable_dma(&dev), E_DEVICE_GONE);
	assert_true(pci_model_masters(inner) && pci_model_masters(outer));
	neighbour->gone = true;
	assert_int_equal(pci_disable_dma(&dev), OK);
	assert_false(pci_model_masters(inner));
	assert_true(pci_model_masters(outer));
	/* The bridge is needed again, and opened. */
	neighbour->gone = false;
	assert_int_equal(pci_enable_dma(&other), OK);
	assert_true(pci_model_reaches_memory(neighbour));
	neighbour->gone = true;
	inner->master_stuck = true;
	assert_int_equal(pci_disable_dma(&dev), E_DEVICE_GONE);
	inner->gone = true;
	assert_int_equal(pci_disable_dma(&dev), E_DEVICE_GONE);
}

static void test_bars(void **state)
{
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};
	struct pci_model_fn *fn;
	u64 pa = 0;

	(void)state;
	pci_model_reset();
	fn = add(dev.bdf, NVME_PCI_CLASS, 0, 0);
	fn->config[4] = 0xfebf000c; /* 64-bit, prefetchable */
	fn->config[5] = 0x00000012;
	assert_true(pci_bar(&dev, 0, &pa));
	assert_int_equal(pa, 0x12febf0000ull);
	fn->config[5] = 0xffffffff;
	assert_false(pci_bar(&dev, 0, &pa));
	fn->config[4] = 0xfebf0000; /* 32-bit: the next one is another BAR */
	assert_true(pci_bar(&dev, 0, &pa));
	assert_int_equal(pa, 0xfebf0000);
	fn->config[4] = 0xc001;
	assert_false(pci_bar(&dev, 0, &pa));
	fn->config[4] = 0;
	assert_false(pci_bar(&dev, 0, &pa));
	fn->config[9] = 0xfebf0004; /* 64-bit in the last BAR has no upper half */
	assert_false(pci_bar(&dev, 5, &pa));
	assert_false(pci_bar(&dev, 6, &pa));
	fn->gone = true;
	assert_false(pci_bar(&dev, 0, &pa));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_all),
		cmocka_unit_test(test_quiesce),
		cmocka_unit_test(test_quiesce_strange_functions),
		cmocka_unit_test(test_quiesce_virtual_functions),
		cmocka_unit_test(test_quiesce_behind_sleeping_bridges),
		cmocka_unit_test(test_quiesce_is_bounded),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_wake_fails),
		cmocka_unit_test(test_broken_lists),
		cmocka_unit_test(test_longest_list),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_bridges_on_the_way),
		cmocka_unit_test(test_dma_on_and_off),
		cmocka_unit_test(test_dma_of_a_function_that_has_gone),
		cmocka_unit_test(test_bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
