/*
 * The NVMe driver and controllers in every state a crashed kernel can leave them in, with
 * no firmware in between: the first act of the capture, then open, use and stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ports.h"
#include "tests/host/ports_mem.h"
#include "tests/model/nvme_bench.h"

#define OLD_QUEUES (MACHINE_OLD_PA + 0x80000u)

/*
 * A busy controller: DMA and interrupt messages on, queues in old memory, commands in
 * flight. It begins to complete them as soon as somebody looks at it.
 */
static void crash(struct bench *b)
{
	bench_make(b, 9);
	b->m.fn->config[1] |= PCI_MODEL_MEMORY | PCI_MODEL_MASTER;
	for (u32 qid = 0; qid < 2; qid++) {
		b->m.queue[qid] = (struct nvme_model_queue) {
			.sq_pa = OLD_QUEUES + qid * 8192,
			.cq_pa = OLD_QUEUES + qid * 8192 + 4096,
			.sq_entries = 64,
			.cq_entries = 64,
			.phase = 1,
			.live = true,
			.interrupts = true,
		};
		b->m.asq = OLD_QUEUES;
		b->m.acq = OLD_QUEUES + 4096;
		for (u32 i = 0; i < 8; i++)
			b->m.pending[b->m.pending_count++].qid = qid;
	}
}

/* Opened, used and stopped; old memory is as it was, and nothing was sent anywhere else. */
static void recovers(struct bench *b, u64 least_us, u64 most_us)
{
	u8 *before = malloc(MACHINE_RAM_BYTES - MACHINE_OLD_PA);
	struct blk_req w = bench_request(BLK_WRITE, 64, 8, MACHINE_OLD_PA, PAGE_BYTES);
	u64 start = clock_us();

	assert_non_null(before);
	memcpy(before, b->mc.ram + MACHINE_OLD_PA, MACHINE_RAM_BYTES - MACHINE_OLD_PA);
	pci_quiesce();
	assert_false(pci_model_masters(b->m.fn));
	assert_int_equal(bench_open_all(b), OK);
	assert_in_range(clock_us() - start, least_us, most_us);
	assert_int_equal(bench_run(&b->n->blk, &w), OK);
	assert_int_equal(blk_read(&b->n->blk, 64, 8, b->buf_pa), OK);
	assert_memory_equal(b->buf, b->mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
	assert_int_equal(bench_stop(b), OK);
	assert_memory_equal(before, b->mc.ram + MACHINE_OLD_PA, MACHINE_RAM_BYTES - MACHINE_OLD_PA);
	assert_false(pci_model_masters(b->m.fn));
	free(before);
	bench_free(b);
}

static void test_busy(void **state)
{
	struct bench b;

	(void)state;
	crash(&b);
	recovers(&b, 0, 200000);
	crash(&b); /* by the older kind of message */
	b.m.fn->config[PCI_MODEL_MSIX_AT / 4] &= ~PCI_MODEL_MSIX_ON;
	pci_model_cap(b.m.fn, PCI_MODEL_MSI_AT, PCI_MODEL_MSI, PCI_MODEL_MSI_ON);
	recovers(&b, 0, 200000);
	crash(&b); /* by its pin */
	b.m.fn->config[PCI_MODEL_MSIX_AT / 4] &= ~PCI_MODEL_MSIX_ON;
	recovers(&b, 0, 200000);
	crash(&b);
	b.m.fn->config[1] &= ~PCI_MODEL_MEMORY;
	recovers(&b, 0, 200000);
}

/* Without the driver's care the model does notice. */
static void test_the_model_notices(void **state)
{
	struct bench b;

	(void)state;
	crash(&b);
	b.m.dma_first = MACHINE_OLD_PA;
	b.m.dma_end = MACHINE_RAM_BYTES;
	b.m.firmware = false;
	(void)b.m.regs.read32(&b.m, NVME_CSTS);
	assert_int_equal(b.m.stray_dma, 16); /* one message for each completion */
	b.m.stray_dma = 0;
	bench_free(&b);
	crash(&b);
	b.m.firmware = false;
	(void)b.m.regs.read32(&b.m, NVME_CSTS);
	assert_true(b.m.stray_dma >= 16);
	b.m.stray_dma = 0;
	bench_free(&b);
}

static void test_fatal(void **state)
{
	struct bench b;

	(void)state;
	crash(&b);
	b.m.csts |= NVME_CSTS_CFS;
	recovers(&b, 0, 200000);
	crash(&b); /* never came up; nobody need wait for that any more */
	b.m.csts = NVME_CSTS_CFS;
	b.m.settle_read = 1u << 30;
	b.m.us_per_read = 1000;
	recovers(&b, 0, 200000);
}

static void test_disabled(void **state)
{
	struct bench b;

	(void)state;
	crash(&b);
	b.m.cc = b.m.csts = 0;
	b.m.firmware = false;
	memset(b.m.queue, 0, sizeof(b.m.queue));
	recovers(&b, 0, 200000);
	crash(&b); /* being disabled: not ready yet to be enabled */
	b.m.cc = 0;
	b.m.settle_read = 50;
	recovers(&b, 0, 200000);
	crash(&b); /* being enabled */
	b.m.csts = 0;
	b.m.settle_read = 50;
	recovers(&b, 0, 200000);
}

static void test_shutting_down(void **state)
{
	struct bench b;

	(void)state;
	crash(&b); /* its cache is saved before the reset */
	b.m.cc |= NVME_CC_SHN_NORMAL;
	b.m.csts |= NVME_CSTS_SHST_BUSY;
	b.m.us_per_read = 1000;
	b.m.settle_read = 3000;
	recovers(&b, 2900000, 4000000);
	crash(&b);
	b.m.cc |= NVME_CC_SHN_NORMAL;
	b.m.csts |= NVME_CSTS_SHST_DONE;
	recovers(&b, 0, 200000);
	crash(&b); /* never ends: reset all the same */
	b.m.cc |= NVME_CC_SHN_NORMAL;
	b.m.csts |= NVME_CSTS_SHST_BUSY;
	b.m.us_per_read = 1000;
	b.m.shutdown_stuck = true;
	pci_quiesce();
	assert_int_equal(bench_open_all(&b), OK);
	assert_in_range(clock_us(), 10000000, 10300000);
	b.m.shutdown_stuck = false;
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

static void test_asleep(void **state)
{
	(void)state;
	for (u32 keeps = 0; keeps < 2; keeps++) {
		struct bench b;

		crash(&b);
		pci_model_sleep(b.m.fn);
		if (keeps)
			b.m.fn->config[PCI_MODEL_PM_AT / 4 + 1] |= PCI_MODEL_NO_RESET;
		recovers(&b, 0, 200000);
	}
}

static void test_behind_bridges(void **state)
{
	struct bench b;
	struct pci_model_fn *bridge;

	(void)state;
	crash(&b);
	bridge = pci_model_bridge(0x08, 3);
	b.m.fn->bdf = 0x300;
	b.m.dma_end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;
	pci_model_sleep(bridge);
	pci_quiesce();
	assert_false(pci_model_masters(b.m.fn));
	{
		struct pci_dev dev = {.bdf = 0x300, .class = NVME_PCI_CLASS};
		struct blk *blk;

		assert_int_equal(nvme_driver.open(&dev, &b.mc.arena, &blk), OK);
		b.n = (struct nvme *)blk;
	}
	assert_int_equal(nvme_select(&b.n->blk, 0), OK);
	assert_int_equal(blk_read(&b.n->blk, 0, 8, b.buf_pa), OK);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* Ones everywhere, ones in configuration space only, ones in the registers only. */
static void test_gone(void **state)
{
	(void)state;
	for (u32 how = 0; how < 4; how++) {
		struct bench b;
		u64 used;

		crash(&b);
		pci_quiesce();
		b.m.gone = how != 1;
		b.m.fn->gone = how == 0 || how == 1;
		if (how == 3) {
			pci_model_sleep(b.m.fn);
			b.m.fn->wake_stuck = true;
		}
		used = b.mc.arena.used;
		assert_int_equal(bench_open(&b), E_DEVICE_GONE);
		assert_int_equal(b.mc.arena.used, used);
		assert_false(pci_model_masters(b.m.fn));
		assert_int_equal(b.m.commands, 0);
		bench_free(&b);
	}
}

/* Messages that can not be switched off, DMA that can not: not used, memory given back. */
static void test_not_to_be_trusted(void **state)
{
	struct bench b;
	u64 used;

	(void)state;
	crash(&b);
	b.m.fn->messages_stuck = true;
	pci_quiesce();
	used = b.mc.arena.used;
	assert_int_equal(bench_open(&b), E_DEVICE_GONE);
	assert_int_equal(b.mc.arena.used, used);
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);
	crash(&b);
	b.m.fn->master_stuck = true;
	pci_quiesce();
	assert_int_equal(bench_open(&b), E_DEVICE_GONE);
	assert_int_equal(b.m.reads, 0);
	bench_free(&b);
}

static void test_ready_times(void **state)
{
	struct bench b;
	u64 start;

	(void)state;
	bench_make(&b, 9);
	b.m.ready_stuck_1 = true;
	b.m.us_per_read = 1000;
	start = clock_us();
	assert_int_equal(bench_open_all(&b), E_READY);
	assert_in_range(clock_us() - start, 10500000, 10600000);
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);

	/* Firmware has just begun to enable it. */
	bench_make(&b, 9);
	b.m.csts = 0;
	b.m.settle_read = 100;
	assert_int_equal(bench_open_all(&b), OK);
	bench_free(&b);

	bench_make(&b, 9);
	b.m.ready_stuck_0 = true;
	b.m.us_per_read = 1000;
	b.m.to = 0;
	start = clock_us();
	assert_int_equal(bench_open_all(&b), E_READY);
	/* Waited for, then for the reset to begin, then after it. */
	assert_in_range(clock_us() - start, 1500000, 1600000);
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);

	bench_make(&b, 9);
	b.m.to = 0;
	b.m.ready_reads = 1000;
	assert_int_equal(bench_open_all(&b), OK);
	bench_free(&b);
}

/* Controllers of NVMe 2.0 say elsewhere how long they take; not all that they say is waited for. */
static void test_ready_times_2_0(void **state)
{
	static const u32 crto[] = {40, 0x10028, 0xffff};
	struct bench b;
	u64 start;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(crto); i++) {
		bench_make(&b, 9);
		b.m.to = 1;
		b.m.crto = crto[i];
		b.m.us_per_read = 1000;
		b.m.ready_reads = 20000;
		assert_int_equal(bench_open_all(&b), OK);
		bench_free(&b);

		bench_make(&b, 9);
		b.m.to = 1;
		b.m.crto = crto[i];
		b.m.us_per_read = 1000;
		b.m.ready_stuck_1 = true;
		start = clock_us();
		assert_int_equal(bench_open_all(&b), E_READY);
		if (i < 2)
			assert_in_range(clock_us() - start, 20500000, 20600000);
		else
			assert_in_range(clock_us() - start, 128000000, 128500000);
		bench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready_times),
		cmocka_unit_test(test_ready_times_2_0),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_the_model_notices),
		cmocka_unit_test(test_fatal),
		cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_shutting_down),
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_behind_bridges),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_not_to_be_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
