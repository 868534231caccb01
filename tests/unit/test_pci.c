/*
 * PCI enumeration and quieting against a modelled configuration space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "pci.h"
#include "ports.h"
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
	add(BDF(77, 31, 0), PCI_CLASS_NVME, 0, 0);
	add(BDF(255, 31, 0), CLASS_NIC, PCI_MODEL_MULTI, 0);
	add(BDF(255, 31, 7), CLASS_NIC, 0, 0);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(pci_next(&cursor, &dev));
		assert_int_equal(dev.bdf, want[i]);
		assert_int_equal(dev.vendor, 0x1b36);
		assert_int_equal(dev.device, 0x0010);
		if (dev.bdf == BDF(77, 31, 0))
			assert_int_equal(dev.class, PCI_CLASS_NVME);
	}
	assert_false(pci_next(&cursor, &dev));
	assert_false(pci_next(&cursor, &dev));
	assert_true(pci_model_reads() < 9000);
}

static void test_quiesce(void **state)
{
	struct pci_model_fn *nic, *bridge, *deep, *idle;

	(void)state;
	pci_model_reset();
	nic = add(BDF(0, 2, 0), CLASS_NIC, PCI_MODEL_MULTI, COMMAND_ALL);
	bridge = add(BDF(0, 2, 1), CLASS_BRIDGE, 0, COMMAND_ALL);
	deep = add(BDF(200, 4, 0), PCI_CLASS_NVME, 0, COMMAND_ALL);
	idle = add(BDF(201, 4, 0), PCI_CLASS_NVME, 0, PCI_MODEL_MEMORY);
	pci_quiesce();
	assert_false(pci_model_masters(nic));
	assert_true(pci_model_masters(bridge));
	assert_false(pci_model_masters(deep));
	assert_true(nic->config[1] & PCI_MODEL_MEMORY);
	assert_int_equal(nic->status_written | deep->status_written | idle->status_written, 0);
}

static void test_dma_on_and_off(void **state)
{
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};
	struct pci_model_fn *fn;

	(void)state;
	pci_model_reset();
	fn = add(dev.bdf, PCI_CLASS_NVME, 0, 0);
	pci_enable_memory(&dev);
	assert_int_equal(fn->config[1] & 0xffff, PCI_MODEL_MEMORY | PCI_MODEL_INTX);
	pci_enable_dma(&dev);
	assert_true(pci_model_masters(fn));
	assert_int_equal(pci_disable_dma(&dev), OK);
	assert_int_equal(fn->config[1] & 0xffff, PCI_MODEL_MEMORY | PCI_MODEL_INTX);
	pci_enable_dma(&dev);
	fn->master_stuck = true;
	assert_int_equal(pci_disable_dma(&dev), E_DEVICE_GONE);
	fn->gone = true;
	assert_int_equal(pci_disable_dma(&dev), E_DEVICE_GONE);
	assert_int_equal(fn->status_written, 0);
}

static void test_bars(void **state)
{
	struct pci_dev dev = {.bdf = BDF(3, 0, 0)};
	struct pci_model_fn *fn;
	u64 pa = 0;

	(void)state;
	pci_model_reset();
	fn = add(dev.bdf, PCI_CLASS_NVME, 0, 0);
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
		cmocka_unit_test(test_dma_on_and_off),
		cmocka_unit_test(test_bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
