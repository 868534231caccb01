/*
 * The AHCI driver and HBAs in every state that a crashed kernel or firmware can leave them in,
 * with no firmware in between: the first act of the capture, then open, use and stop. And
 * HBAs that die, hang, or can not be trusted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "drivers/ahci/ahcivar.h"
#include "ports.h"
#include "tests/host/ports_mem.h"
#include "tests/model/ahci_bench.h"

#define OLD_LISTS (MACHINE_OLD_PA + 0x40000u)

/*
 * Two busy ports: DMA and interrupt messages on, lists in old memory, 31 queued commands in flight
 * on each, which go on as soon as somebody lets them.
 */
static void crash(struct ahci_bench *b)
{
	ahci_bench_make(b, 4);
	ahci_bench_disk(b, 0, 512);
	ahci_bench_disk(b, 3, 512);
	b->m.us_per_read = 20;
	ahci_model_leave_running(&b->m, 0, OLD_LISTS, 31);
	ahci_model_leave_running(&b->m, 3, OLD_LISTS + 0x2000, 31);
}

/* Opened, used and stopped; that old memory is as it was sees ahci_bench_free. */
static void recovers(struct ahci_bench *b, u64 most_us)
{
	struct blk_req w = bench_request(BLK_WRITE, 64, 8, MACHINE_OLD_PA, PAGE_BYTES);
	u64 start = clock_us();

	pci_quiesce();
	assert_false(pci_model_masters(b->m.fn));
	assert_int_equal(ahci_bench_open(b), OK);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(b->blk->ops->select(b->blk, i ? 3 : 0), OK);
		assert_int_equal(bench_run(b->blk, &w), OK);
		assert_memory_equal(b->disk[i] + 64 * 512, b->mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
		assert_int_equal(blk_read(b->blk, 64, 8, b->buf_pa), OK);
		assert_memory_equal(b->buf, b->mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
	}
	assert_in_range(clock_us() - start, 0, most_us);
	assert_int_equal(ahci_bench_stop(b), OK);
	assert_true(b->blk->silent);
	ahci_bench_free(b);
}

static void test_busy(void **state)
{
	struct ahci_bench b;

	(void)state;
	crash(&b);
	recovers(&b, 300000);
	crash(&b); /* by its pin */
	b.m.fn->config[PCI_MODEL_MSI_AT / 4] &= ~PCI_MODEL_MSI_ON;
	recovers(&b, 300000);
	crash(&b); /* an engine that only a reset stops */
	b.m.cr_stuck_old = true;
	recovers(&b, 1500000);
	crash(&b); /* a command that failed, its drive refusing all others */
	b.m.port[0].is = IS_TFES | IS_SDBS;
	b.m.port[0].tfd = 0x4041;
	b.m.port[0].disk.ncq_error = true;
	recovers(&b, 300000);
	crash(&b); /* a drive that is busy */
	b.m.port[3].tfd = STS_BSY | STS_RDY;
	recovers(&b, 300000);
	crash(&b); /* not in AHCI mode at all */
	b.m.cap &= ~CAP_SAM;
	b.m.ghc = 0;
	recovers(&b, 300000);
	crash(&b);
	b.m.fn->config[1] &= ~PCI_MODEL_MEMORY;
	recovers(&b, 300000);
	crash(&b); /* links switched off, or in the middle of a reset */
	b.m.port[0].sctl = 4;
	b.m.port[0].ssts = 4;
	b.m.port[3].sctl = 1;
	b.m.port[3].ssts = 0;
	recovers(&b, 300000);
}

/* The driver itself sees to it that the reset comes before any DMA. */
static void test_not_quiesced(void **state)
{
	struct ahci_bench b;
	u32 stray;

	(void)state;
	crash(&b);
	stray = b.m.stray_dma;
	assert_int_equal(ahci_bench_open_all(&b), OK);
	assert_int_equal(b.m.stray_dma, stray);
	assert_int_equal(ahci_bench_stop(&b), OK);
	ahci_bench_free(&b);
}

/* A reset makes disks of an HBA with staggered spin-up wait until they are told. */
static void test_staggered(void **state)
{
	struct ahci_bench b;

	(void)state;
	crash(&b);
	b.m.cap |= CAP_SSS;
	b.m.port[0].disk.spin_up_us = 8000000;
	b.m.port[3].disk.spin_up_us = 8000000;
	recovers(&b, 17000000);
	crash(&b);
	b.m.cap |= CAP_SSS;
	pci_quiesce();
	assert_int_equal(ahci_bench_open(&b), OK);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(
			b.blk->ops->select(b.blk, i), i == 0 || i == 3 ? OK : E_NO_PARTITION);
	assert_int_equal(b.m.spinning_most, 1);
	assert_int_equal(ahci_bench_stop(&b), OK);
	ahci_bench_free(&b);
}

static void test_asleep(void **state)
{
	(void)state;
	for (u32 keeps = 0; keeps < 2; keeps++) {
		struct ahci_bench b;

		crash(&b);
		pci_model_sleep(b.m.fn);
		if (keeps)
			b.m.fn->config[PCI_MODEL_PM_AT / 4 + 1] |= PCI_MODEL_NO_RESET;
		recovers(&b, 300000);
	}
}

/* Handover from a BIOS (s10.6.3): one that lets go, one that takes its time, two that do not. */
static void test_bios(void **state)
{
	static const struct {
		enum ahci_bios bios;
		u64 bios_us, least_us, most_us;
	} cases[] = {
		{AHCI_BIOS_GOOD, 1000, 1000, 100000},
		{AHCI_BIOS_SLOW, 1500000, 1500000, 1700000},
		{AHCI_BIOS_SLOW, 1000000000, 2000000, 2300000},
		{AHCI_BIOS_STUCK, 0, 25000, 200000},
	};

	(void)state;
	for (u32 k = 0; k < 2 * ARRAY_SIZE(cases); k++) {
		u32 i = k / 2;
		struct ahci_bench b;
		u64 start;

		crash(&b);
		if (k & 1) { /* not in AHCI mode */
			b.m.cap &= ~CAP_SAM;
			b.m.ghc = 0;
		}
		b.m.cap2 = CAP2_BOH;
		b.m.bohc = BOHC_BOS;
		b.m.bios = cases[i].bios;
		b.m.bios_us = cases[i].bios_us;
		pci_quiesce();
		start = clock_us();
		assert_int_equal(ahci_bench_open(&b), OK);
		assert_in_range(clock_us() - start, cases[i].least_us, cases[i].most_us);
		assert_true(b.m.bohc & BOHC_OOS);
		assert_int_equal(b.blk->ops->select(b.blk, 0), OK);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* Places without a disk that we can use, and what is said about them. */
static void test_places(void **state)
{
	static const enum status want[] = {
		E_NO_PARTITION, OK, E_NO_PARTITION, E_NO_PARTITION, E_READY, OK, E_FORMAT};
	struct ahci_bench b;
	u64 start;

	(void)state;
	ahci_bench_make(&b, 10);
	b.m.us_per_read = 100;
	b.m.pi = 0x3d6; /* 1, 2, 4, 6, 7, 8, 9 */
	ahci_bench_disk(&b, 2, 512);
	ahci_model_put(&b.m, 4, AHCI_KIND_ATAPI);
	ahci_model_put(&b.m, 6, AHCI_KIND_MULTIPLIER);
	ahci_bench_disk(&b, 7, 512)->never_ready = true;
	ahci_bench_disk(&b, 8, 4096);
	ahci_bench_disk(&b, 9, 512)->no_lba48 = true;
	assert_int_equal(ahci_bench_open(&b), OK);
	assert_int_equal(b.blk->disks, 7);
	for (u32 round = 0; round < 3; round++) {
		for (u32 k = 0; k < 7; k++) {
			u32 i = round == 1 ? 6 - k : k;

			start = clock_us();
			assert_int_equal(b.blk->ops->select(b.blk, i), want[i]);
			assert_int_equal(b.blk->dead, OK);
			assert_in_range(clock_us() - start, 0, i == 4 ? 23000000 : 300000);
			if (want[i] != OK)
				continue;
			assert_int_equal(b.blk->block_bytes, i == 1 ? 512 : 4096);
			assert_string_equal(b.blk->name,
				i == 1 ? "ahci 00:1f.2 port 2" : "ahci 00:1f.2 port 8");
			assert_int_equal(blk_read(b.blk, 1, 1, b.buf_pa), OK);
			assert_memory_equal(b.buf, b.disk[i == 1 ? 0 : 2] + b.blk->block_bytes,
				b.blk->block_bytes);
		}
	}
	assert_non_null(strstr(host_console(), "port multiplier"));
	/* Once, however often it is looked at. */
	assert_null(strstr(strstr(host_console(), "port multiplier") + 1, "port multiplier"));
	assert_int_not_equal(b.blk->ops->select(b.blk, 7), OK);
	assert_int_equal(ahci_bench_stop(&b), OK);
	ahci_bench_free(&b);
}

/* Not while something is in flight; afterwards the other disk gets what is asked. */
static void test_select_busy(void **state)
{
	struct ahci_bench b;
	struct blk_req r;

	(void)state;
	crash(&b);
	pci_quiesce();
	assert_int_equal(ahci_bench_open_all(&b), OK);
	r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	assert_int_equal(b.blk->ops->submit(b.blk, &r), OK);
	assert_int_equal(b.blk->ops->select(b.blk, 3), E_BUSY);
	assert_int_equal(blk_wait(b.blk, &r), OK);
	assert_memory_equal(b.buf, b.disk[0], 4096);
	assert_int_equal(b.blk->ops->select(b.blk, 3), OK);
	assert_int_equal(blk_read(b.blk, 0, 8, b.buf_pa), OK);
	assert_memory_equal(b.buf, b.disk[1], 4096);
	assert_int_equal(ahci_bench_stop(&b), OK);
	ahci_bench_free(&b);
}

/* Never reset, gone, or with DMA that can not be had or not be taken away. */
static void test_not_to_be_had(void **state)
{
	static const enum status want[] = {
		E_READY, E_DEVICE_GONE, E_DEVICE_GONE, E_DEVICE_GONE, E_DEVICE_GONE};

	(void)state;
	for (u32 how = 0; how < 5; how++) {
		struct ahci_bench b;
		u64 used, start = clock_us();

		crash(&b);
		pci_quiesce();
		b.m.hr_stuck = how == 0;
		b.m.gone = how == 1;
		b.m.fn->gone = how == 2;
		b.m.fn->messages_stuck = how == 3;
		if (how == 4) {
			pci_model_sleep(b.m.fn);
			b.m.fn->wake_stuck = true;
		}
		used = b.mc.arena.used;
		assert_int_equal(ahci_bench_open(&b), want[how]);
		assert_int_equal(b.mc.arena.used, used);
		assert_in_range(clock_us() - start, 0, 4000000);
		assert_false(pci_model_masters(b.m.fn));
		assert_int_equal(b.m.commands, 0);
		ahci_bench_free(&b);
	}
}

static void test_stop_that_fails(void **state)
{
	(void)state;
	for (u32 how = 0; how < 3; how++) {
		struct ahci_bench b;
		u64 start;

		ahci_bench_one(&b, 512);
		assert_int_equal(ahci_bench_open_all(&b), OK);
		b.m.cr_stuck = how == 0;
		b.m.fr_stuck = how == 1;
		b.m.fn->master_stuck = how == 2;
		start = clock_us();
		if (how == 2)
			assert_int_equal(ahci_bench_stop(&b), E_DEVICE_GONE);
		else
			assert_int_equal(ahci_bench_stop(&b), OK); /* a reset does it */
		assert_int_equal(b.blk->silent, how != 2);
		assert_in_range(clock_us() - start, 0, 2000000);
		ahci_bench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_not_quiesced),
		cmocka_unit_test(test_staggered),
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_bios),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_select_busy),
		cmocka_unit_test(test_not_to_be_had),
		cmocka_unit_test(test_stop_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
