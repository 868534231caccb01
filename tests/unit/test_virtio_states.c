/*
 * The virtio-blk driver and disks in every state a crashed kernel can leave them in, with no
 * firmware in between, and capabilities that are not what they should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ports.h"
#include "probe.h"
#include "tests/host/ports_mem.h"
#include "tests/model/virtio_bench.h"

#define OLD_QUEUE   (MACHINE_OLD_PA + 0x80000u)
#define NEEDS_RESET 0x40u
#define IO_BAR	    1u

/*
 * A busy disk: DMA and interrupt messages on, queue in old memory, requests in flight. It
 * begins to complete them as soon as somebody looks at it.
 */
static void crash(struct vbench *b)
{
	vbench_make(b);
	b->m.fn->config[1] |= PCI_MODEL_MEMORY | PCI_MODEL_MASTER;
	b->m.queue_live = true;
	b->m.desc_pa = OLD_QUEUE;
	b->m.avail_pa = OLD_QUEUE + 0x1000;
	b->m.used_pa = OLD_QUEUE + 0x2000;
	for (u32 i = 0; i < 31; i++)
		b->m.pending[b->m.pending_count++] = (struct virtio_model_chain) {.head = 3 * i,
			.count = 3,
			.piece = {{OLD_QUEUE + 0x3000, 16, false}, {OLD_QUEUE + 0x4000, 512, true},
				{OLD_QUEUE + 0x5000 + i, 1, true}}};
}

/* Opened, used and stopped; old memory is as it was, and nothing was sent anywhere else. */
static void recovers(struct vbench *b)
{
	u8 *before = malloc(MACHINE_RAM_BYTES - MACHINE_OLD_PA);
	struct blk_req w = bench_request(BLK_WRITE, 64, 8, MACHINE_OLD_PA, PAGE_BYTES);
	u64 start = clock_us();

	assert_non_null(before);
	memcpy(before, b->mc.ram + MACHINE_OLD_PA, MACHINE_RAM_BYTES - MACHINE_OLD_PA);
	pci_quiesce();
	assert_false(pci_model_masters(b->m.fn));
	assert_int_equal(vbench_open_all(b), OK);
	assert_true(clock_us() - start < 200000);
	assert_int_equal(bench_run(&b->v->blk, &w), OK);
	assert_int_equal(blk_read(&b->v->blk, 64, 8, b->buf_pa), OK);
	assert_memory_equal(b->buf, b->mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
	assert_int_equal(vbench_stop(b), OK);
	assert_memory_equal(before, b->mc.ram + MACHINE_OLD_PA, MACHINE_RAM_BYTES - MACHINE_OLD_PA);
	assert_false(pci_model_masters(b->m.fn));
	free(before);
	vbench_free(b);
}

static void test_busy(void **state)
{
	struct vbench b;

	(void)state;
	crash(&b);
	recovers(&b);
	crash(&b); /* by its pin */
	b.m.fn->config[PCI_MODEL_MSIX_AT / 4] &= ~PCI_MODEL_MSIX_ON;
	recovers(&b);
	crash(&b);
	b.m.fn->config[1] &= ~PCI_MODEL_MEMORY;
	recovers(&b);
	crash(&b); /* failed */
	b.m.status |= NEEDS_RESET | 0x80;
	recovers(&b);
	crash(&b); /* half way up */
	b.m.status = 3;
	b.m.accepted_hi = 1;
	b.m.queue_live = false;
	recovers(&b);
	crash(&b); /* never used */
	b.m.status = 0;
	b.m.queue_live = b.m.firmware = false;
	b.m.pending_count = 0;
	recovers(&b);
}

/* Without the driver's care the model does notice. */
static void test_the_model_notices(void **state)
{
	struct vbench b;

	(void)state;
	crash(&b);
	b.m.mapped[VIRTIO_AREA_COMMON] = VIRTIO_COMMON_BYTES;
	b.m.firmware = false;
	(void)b.m.regs[VIRTIO_AREA_COMMON].read(&b.m, VIRTIO_STATUS, 1);
	assert_true(b.m.stray_dma >= 31);
	b.m.stray_dma = b.m.protocol_errors = 0;
	vbench_free(&b);
}

static void test_asleep(void **state)
{
	(void)state;
	for (u32 keeps = 0; keeps < 2; keeps++) {
		struct vbench b;

		crash(&b);
		pci_model_sleep(b.m.fn);
		if (keeps)
			b.m.fn->config[PCI_MODEL_PM_AT / 4 + 1] |= PCI_MODEL_NO_RESET;
		recovers(&b);
	}
}

static void test_behind_bridges(void **state)
{
	struct pci_dev dev = {.bdf = 0x300, .vendor = 0x1af4, .device = 0x1042};
	struct vbench b;
	struct pci_model_fn *bridge;
	struct blk *blk;

	(void)state;
	crash(&b);
	bridge = pci_model_bridge(0x08, 3);
	b.m.fn->bdf = 0x300;
	pci_model_sleep(bridge);
	pci_quiesce();
	assert_int_equal(virtio_driver.open(&dev, &b.mc.arena, &blk), OK);
	assert_int_equal(blk->ops->select(blk, 0), OK);
	assert_int_equal(blk_read(blk, 0, 8, b.buf_pa), OK);
	assert_int_equal(blk->ops->stop(blk), OK);
	vbench_free(&b);
}

/* What can not be opened: why, with no DMA, and the memory given back. */
static void fails(struct vbench *b, enum status st)
{
	u64 used;

	pci_quiesce();
	used = b->mc.arena.used;
	assert_int_equal(vbench_open(b), st);
	assert_int_equal(b->mc.arena.used, used);
	assert_false(pci_model_masters(b->m.fn));
	assert_int_equal(b->m.commands, 0);
	vbench_free(b);
}

/* Ones everywhere, ones in configuration space only, ones in the registers only. */
static void test_gone(void **state)
{
	(void)state;
	for (u32 how = 0; how < 4; how++) {
		struct vbench b;

		crash(&b);
		pci_quiesce();
		b.m.gone = how != 1;
		b.m.fn->gone = how == 0 || how == 1;
		if (how == 3) {
			pci_model_sleep(b.m.fn);
			b.m.fn->wake_stuck = true;
		}
		fails(&b, E_DEVICE_GONE);
	}
}

/* A reset that never ends, messages or DMA that can not be switched off, features refused. */
static void test_not_to_be_trusted(void **state)
{
	struct vbench b;
	u64 start;

	(void)state;
	crash(&b);
	b.m.reset_stuck = true;
	b.m.us_per_read = 1000;
	start = clock_us();
	fails(&b, E_READY);
	assert_true(clock_us() - start < 1100000);
	crash(&b);
	b.m.reset_reads = 500;
	b.m.us_per_read = 1000;
	assert_int_equal(vbench_open(&b), OK);
	vbench_free(&b);
	crash(&b);
	b.m.fn->messages_stuck = true;
	fails(&b, E_DEVICE_GONE);
	crash(&b);
	b.m.features_refused = true;
	fails(&b, E_READY);
	crash(&b);
	b.m.features_hi = 0;
	fails(&b, E_FORMAT);
	crash(&b); /* it would write behind our rings */
	b.m.size_fixed = true;
	fails(&b, E_FORMAT);
	crash(&b);
	b.m.queue_max = b.m.queue_size = 48;
	fails(&b, E_FORMAT);
	crash(&b);
	b.m.fn->master_stuck = true;
	pci_quiesce();
	assert_int_equal(vbench_open(&b), E_DEVICE_GONE);
	assert_int_equal(b.m.reads, 0);
	vbench_free(&b);
}

/* Structures that are not where a BAR is, or too short, or missing. */
static void test_capabilities(void **state)
{
	static const u32 least[] = {VIRTIO_COMMON_BYTES, 14, VIRTIO_BLK_CONFIG_BYTES};
	const u32 bar = VIRTIO_MODEL_BAR;
	struct vbench b;

	(void)state;
	for (u32 i = 0; i < VIRTIO_AREAS; i++) {
		static const u32 bad[][3] = {{5, 0, 0x1000}, {6, 0, 0x1000}, {0, 0, 0x1000},
			{1, 0, 0x1000}, {4, 2, 0x1000}, {4, 0x10000, 0xf0000001},
			{4, 0xfffffff0, 0x1000}, {4, 0, 1}, {4, 0, 0}, {255, 0, 0x1000}};

		for (u32 k = 0; k < ARRAY_SIZE(bad); k++) {
			crash(&b);
			b.m.fn->config[4] = IO_BAR; /* BAR 0 is of ports, BAR 1 not assigned */
			virtio_model_area(&b.m, i, bad[k][0], bad[k][1], bad[k][2]);
			fails(&b, E_READY);
		}
		crash(&b); /* just long enough */
		virtio_model_area(&b.m, i, bar, i * 0x1000, least[i]);
		recovers(&b);
		crash(&b);
		virtio_model_area(&b.m, i, bar, i * 0x1000, least[i] - 1);
		fails(&b, E_READY);
		crash(&b); /* another type */
		b.m.fn->config[VIRTIO_MODEL_CAP_AT(i) / 4] |= 0xff000000;
		fails(&b, E_READY);
	}
	crash(&b);
	b.m.fn->config[4 + VIRTIO_MODEL_BAR] = 0xc; /* no address */
	b.m.fn->config[5 + VIRTIO_MODEL_BAR] = 0;
	fails(&b, E_READY);
}

/* A list that goes in a circle or leads nowhere; no list at all. */
static void test_capability_lists(void **state)
{
	struct vbench b;
	u32 at = VIRTIO_MODEL_CAP_AT(0) / 4;

	(void)state;
	crash(&b);
	b.m.fn->config[at] = (b.m.fn->config[at] & ~0xff00u) | VIRTIO_MODEL_CAP_AT(1) << 8;
	b.m.fn->config[VIRTIO_MODEL_CAP_AT(2) / 4] |= 0xff000000;
	fails(&b, E_READY);
	crash(&b);
	b.m.fn->config[1] &= ~PCI_MODEL_CAPS;
	fails(&b, E_READY);
	crash(&b);
	b.m.fn->config[13] = 0xfc; /* a capability that would end behind the space */
	b.m.fn->config[63] = 0x01 << 24 | VIRTIO_CAP;
	fails(&b, E_READY);
	crash(&b);
	b.m.fn->config[at] = UINT32_MAX;
	fails(&b, E_READY);
}

/* Of several structures of a type the first that can be used counts (s4.1.4.1). */
static void test_first_usable(void **state)
{
	struct vbench b;

	(void)state;
	crash(&b);
	b.m.fn->config[4] = IO_BAR;
	pci_model_cap(b.m.fn, 0xd0, VIRTIO_CAP, 20u << 16 | 2u << 24);
	b.m.fn->config[0xd4 / 4] = 0;
	b.m.fn->config[0xdc / 4] = 0x1000;
	recovers(&b);
	crash(&b); /* and none after it */
	b.m.fn->config[PCI_MODEL_MSIX_AT / 4] |= 0xd0 << 8;
	b.m.fn->config[0xd0 / 4] = VIRTIO_CAP | 20u << 16 | 2u << 24;
	b.m.fn->config[0xd4 / 4] = VIRTIO_MODEL_BAR;
	b.m.fn->config[0xd8 / 4] = 0x3000;
	b.m.fn->config[0xdc / 4] = 0x1000;
	recovers(&b);
	crash(&b); /* the upper half of a BAR is none, whatever it looks like */
	b.m.fn->config[5 + VIRTIO_MODEL_BAR] = 0x40000000;
	virtio_model_area(&b.m, 0, VIRTIO_MODEL_BAR + 1, 0, 0x1000);
	fails(&b, E_READY);
}

/* Doorbells at every distance, as far as they are inside. */
static void test_doorbells(void **state)
{
	static const struct {
		u32 unit, multiplier;
		bool ok;
	} shapes[] = {{0, 0, true}, {7, 0, true}, {1, 2, true}, {1, 0xffe, true}, {1, 0xfff, false},
		{1, 0x1000, false}, {0xfffe, 4, false}, {0xfffe, 0x10002, false}, {3, 5, false},
		{2, 0x80000001, false}};
	struct vbench b;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++) {
		crash(&b);
		b.m.notify_unit = shapes[i].unit;
		b.m.multiplier = shapes[i].multiplier;
		virtio_model_area(&b.m, VIRTIO_AREA_NOTIFY, VIRTIO_MODEL_BAR, 0x1000, 0x1000);
		if (shapes[i].ok)
			recovers(&b);
		else
			fails(&b, E_READY);
	}
}

/* Transitional devices are ours if they are modern too; else they are named. */
static void test_who_is_driven(void **state)
{
	struct pci_dev dev = {.bdf = VBENCH_BDF, .vendor = 0x1af4, .device = 0x1042};
	struct vbench b;

	(void)state;
	vbench_make(&b);
	assert_ptr_equal(probe_driver(&dev), &virtio_driver);
	dev.device = 0x1001;
	assert_ptr_equal(probe_driver(&dev), &virtio_driver);
	assert_null(probe_hidden(&dev));
	b.m.fn->config[1] &= ~PCI_MODEL_CAPS;
	assert_null(probe_driver(&dev));
	assert_non_null(probe_hidden(&dev));
	dev.device = 0x1000; /* a network card */
	assert_null(probe_driver(&dev));
	assert_null(probe_hidden(&dev));
	dev.device = 0x1042;
	dev.vendor = 0x1af5;
	assert_null(probe_driver(&dev));
	vbench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_the_model_notices),
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_behind_bridges),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_not_to_be_trusted),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_capability_lists),
		cmocka_unit_test(test_first_usable),
		cmocka_unit_test(test_doorbells),
		cmocka_unit_test(test_who_is_driven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
