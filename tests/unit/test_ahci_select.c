/*
 * The AHCI driver from one disk to the next: one that died does not take the others with it,
 * and nothing of its requests comes back.
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

#define KILLING 2u /* the read, and the identification after the reset */

static void open_two(struct ahci_bench *b, enum ahci_fault fault)
{
	ahci_bench_make(b, 2);
	ahci_bench_disk(b, 0, 512);
	ahci_bench_disk(b, 1, 512);
	b->m.us_per_read = 2000;
	assert_int_equal(ahci_bench_open_all(b), OK);
	b->m.fault = fault;
	b->m.fault_at = b->m.commands + 1;
	b->m.fault_count = KILLING;
}

static void expect_second_works(struct ahci_bench *b)
{
	struct blk *blk = b->blk;

	assert_int_equal(blk->ops->select(blk, 1), OK);
	assert_int_equal(blk->dead, OK);
	assert_int_equal(blk->resets, 0);
	assert_int_equal(blk->inflight, 0);
	assert_int_equal(blk_read(blk, 9, 8, b->buf_pa), OK);
	assert_memory_equal(b->buf, b->disk[1] + 9 * 512, 8 * 512);
	assert_int_equal(ahci_bench_stop(b), OK);
	assert_true(blk->silent);
	/* After the stop nothing brings it back. */
	assert_int_not_equal(blk->ops->select(blk, 0), OK);
	assert_int_not_equal(blk->dead, OK);
	ahci_bench_free(b);
}

static void test_dead_disk_alone(void **state)
{
	struct ahci_bench b;
	struct blk_req r;

	(void)state;
	open_two(&b, AHCI_FAULT_NEVER);
	r = bench_request(BLK_READ, 0, 8, b.buf_pa, PAGE_BYTES);
	assert_int_equal(bench_run(b.blk, &r), E_TIMEOUT);
	assert_int_equal(b.blk->dead, E_TIMEOUT);
	assert_int_equal(b.blk->inflight, 1);
	expect_second_works(&b);
	assert_false(r.done);
}

static void test_unplugged_disk_alone(void **state)
{
	struct ahci_bench b;

	(void)state;
	open_two(&b, AHCI_FAULT_UNPLUG);
	assert_int_equal(blk_read(b.blk, 0, 8, b.buf_pa), E_DEVICE_GONE);
	assert_int_equal(b.blk->dead, E_DEVICE_GONE);
	b.m.fault = AHCI_FAULT_NONE;
	expect_second_works(&b);
}

static void test_dead_controller(void **state)
{
	struct ahci_bench b;

	(void)state;
	open_two(&b, AHCI_FAULT_GONE);
	assert_int_equal(blk_read(b.blk, 0, 8, b.buf_pa), E_DEVICE_GONE);
	assert_int_equal(b.blk->ops->select(b.blk, 1), E_DEVICE_GONE);
	assert_int_equal(b.blk->dead, E_DEVICE_GONE);
	ahci_bench_free(&b);
}

/* Bits for slots that were not issued: what else the HBA says is not to be trusted either. */
static void test_impossible_bits(void **state)
{
	(void)state;
	for (u32 i = 0; i < 2; i++) {
		struct ahci_bench b;

		open_two(&b, AHCI_FAULT_NONE);
		b.m.command_us = 100000;
		b.m.read_fault = i ? AHCI_READ_CI_EXTRA : AHCI_READ_SACT_EXTRA;
		b.m.read_fault_at = b.m.reads + (i ? 2 : 3);
		assert_int_equal(blk_read(b.blk, 9, 8, b.buf_pa), OK);
		assert_memory_equal(b.buf, b.disk[0] + 9 * 512, 8 * 512);
		assert_int_equal(b.blk->resets, 1);
		expect_second_works(&b);
	}
}

/* Nobody took the right to do DMA from it before: the driver does, before all else. */
static void test_master_when_opened(void **state)
{
	struct ahci_bench b;

	(void)state;
	ahci_bench_make(&b, 1);
	ahci_bench_disk(&b, 0, 512);
	ahci_model_leave_running(&b.m, 0, MACHINE_OLD_PA, 31);
	assert_true(pci_model_masters(b.m.fn));
	assert_int_equal(ahci_bench_open_all(&b), OK);
	assert_int_equal(blk_read(b.blk, 9, 8, b.buf_pa), OK);
	assert_int_equal(ahci_bench_stop(&b), OK);
	ahci_bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dead_disk_alone),
		cmocka_unit_test(test_unplugged_disk_alone),
		cmocka_unit_test(test_dead_controller),
		cmocka_unit_test(test_impossible_bits),
		cmocka_unit_test(test_master_when_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
