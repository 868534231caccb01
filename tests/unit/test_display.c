/*
 * Is a framebuffer inside a display controller's memory? BARs of both widths, controllers that
 * are off, asleep or something else, and every one left as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "display.h"
#include "tests/model/pci_model.h"

#define CLASS_VGA   0x030000u
#define CLASS_OTHER 0x038000u
#define CLASS_NIC   0x020000u
#define COMMAND	    1
#define HEADER	    3
#define BAR0	    4

#define FB_PA	 0xfd000000ull
#define FB_BYTES 0x1000000ull
#define HIGH_PA	 0x38010000000ull

static struct pci_model_fn *vga;

static int setup(void **state)
{
	(void)state;
	pci_model_reset();
	pci_model_add(0x00, 0x060000);
	vga = pci_model_add(0x08, CLASS_VGA);
	vga->config[COMMAND] = PCI_MODEL_MEMORY | PCI_MODEL_MASTER | 0xfff00000u;
	pci_model_memory_bar(vga, 0, FB_PA, FB_BYTES, false);
	pci_model_memory_bar(vga, 2, 0xfebf4000, 0x1000, false);
	return 0;
}

/* Whatever was asked: the controller is as it was before. */
static bool has(u64 pa, u64 bytes)
{
	struct pci_model_fn before = *vga;
	bool found = display_has(pa, bytes);

	assert_memory_equal(before.config, vga->config, sizeof(before.config));
	assert_int_equal(vga->bar_moved, 0);
	assert_int_equal(vga->status_written, 0);
	return found;
}

static void test_inside(void **state)
{
	(void)state;
	assert_true(has(FB_PA, 1024 * 768 * 4));
	assert_true(has(FB_PA, FB_BYTES));
	assert_true(has(FB_PA + 0x1000, FB_BYTES - 0x1000));
	assert_true(has(0xfebf4000, 0x1000));
	assert_true(has(FB_PA + FB_BYTES - 1, 1));
}

static void test_outside(void **state)
{
	(void)state;
	assert_false(has(FB_PA, FB_BYTES + 1));
	assert_false(has(FB_PA - 1, 16));
	assert_false(has(FB_PA + 0x1000, FB_BYTES));
	assert_false(has(FB_PA + FB_BYTES, 1));
	assert_false(has(0xe0000000, 0x1000));
	assert_false(has(0x100000, 0x1000));
	assert_false(has(UINT64_MAX, UINT64_MAX));
	assert_false(has(FB_PA, UINT64_MAX));
}

static void test_wide_bar(void **state)
{
	(void)state;
	memset(vga->bar_fixed, 0, sizeof(vga->bar_fixed));
	memset(&vga->config[BAR0], 0, 6 * sizeof(u32));
	pci_model_memory_bar(vga, 0, HIGH_PA, 0x10000000, true);
	pci_model_memory_bar(vga, 2, 0x200000000000, 0x400000000, true);
	pci_model_memory_bar(vga, 4, 0xc0000000, 0x200000, true);
	assert_true(has(HIGH_PA, 0x10000000));
	assert_false(has(HIGH_PA, 0x10000001));
	assert_false(has((u32)HIGH_PA, 0x1000));
	assert_true(has(0x200000000000, 0x400000000));
	assert_false(has(0x200000000000, 0x400000001));
	assert_true(has(0xc0000000, 0x200000));
	assert_false(has(0xc0200000, 1));
}

/* The upper half of a 64-bit BAR is not taken for a BAR. */
static void test_upper_half(void **state)
{
	(void)state;
	memset(&vga->config[BAR0], 0, 6 * sizeof(u32));
	memset(vga->bar_fixed, 0, sizeof(vga->bar_fixed));
	pci_model_memory_bar(vga, 0, 0xe000000000000000, 0x10000000, true);
	assert_false(has(0xe0000000, 0x1000));
	assert_true(has(0xe000000000000000, 0x1000));
}

static void test_not_a_display(void **state)
{
	(void)state;
	vga->config[2] = CLASS_NIC << 8;
	assert_false(has(FB_PA, 0x1000));
	vga->config[2] = CLASS_OTHER << 8;
	assert_true(has(FB_PA, 0x1000));
	vga->config[HEADER] = 1u << 16; /* a bridge has fewer BARs */
	assert_false(has(FB_PA, 0x1000));
}

static void test_does_not_answer(void **state)
{
	(void)state;
	vga->config[COMMAND] = PCI_MODEL_MASTER;
	assert_false(has(FB_PA, 0x1000));
	vga->config[COMMAND] = PCI_MODEL_MEMORY;
	assert_true(has(FB_PA, 0x1000));
	pci_model_sleep(vga);
	assert_false(has(FB_PA, 0x1000));
	vga->gone = true;
	assert_false(has(FB_PA, 0x1000));
}

static void test_strange_bars(void **state)
{
	(void)state;
	vga->config[BAR0] = FB_PA | 1; /* I/O */
	assert_false(has(FB_PA, 0x1000));
	vga->config[BAR0] = 0;
	assert_false(has(0, 0x1000));
	vga->config[BAR0] = 0xffffffff;
	assert_false(has(FB_PA, 0x1000));
	vga->config[BAR0] = FB_PA;
	vga->bar_fixed[0] = UINT32_MAX; /* one that can not be written has no size */
	assert_false(has(FB_PA, 0x1000));
	memset(&vga->config[BAR0], 0, 6 * sizeof(u32));
	vga->config[BAR0 + 5] = FB_PA | 4; /* 64 bits, and the last */
	assert_false(has(FB_PA, 0x1000));
}

static void test_second_controller(void **state)
{
	struct pci_model_fn *other = pci_model_add(0x3800, CLASS_OTHER);

	(void)state;
	other->config[COMMAND] = PCI_MODEL_MEMORY;
	pci_model_memory_bar(other, 0, 0xd0000000, 0x8000000, false);
	assert_true(has(0xd0000000, 0x8000000));
	assert_true(has(FB_PA, FB_BYTES));
	assert_int_equal(other->bar_moved, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_inside, setup),
		cmocka_unit_test_setup(test_outside, setup),
		cmocka_unit_test_setup(test_wide_bar, setup),
		cmocka_unit_test_setup(test_upper_half, setup),
		cmocka_unit_test_setup(test_not_a_display, setup),
		cmocka_unit_test_setup(test_does_not_answer, setup),
		cmocka_unit_test_setup(test_strange_bars, setup),
		cmocka_unit_test_setup(test_second_controller, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
