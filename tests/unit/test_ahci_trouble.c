/*
 * The AHCI driver when it matters most: deadlines, the only reset, power that goes away, a disk
 * that is another one afterwards, memory that no device may write to.
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

#define SLOW_US 10000u

_Static_assert(AHCI_IO_US <= 30000000, "nobody waits longer for a command");

static void slow_one(struct ahci_bench *b, bool ncq)
{
	ahci_bench_one(b, 512);
	b->m.port[0].disk.depth = ncq ? 32 : 0;
	assert_int_equal(ahci_bench_open_all(b), OK);
	b->m.us_per_read = SLOW_US;
}

/* A lost command: reset after its deadline and sent again; lost again: dead for ever. */
static void test_timeouts(void **state)
{
	(void)state;
	for (u32 i = 0; i < 4; i++) {
		bool ncq = i & 1, twice = i & 2;
		struct ahci_bench b;
		struct blk_req r, other;
		u64 start;

		slow_one(&b, ncq);
		b.m.fault = AHCI_FAULT_NEVER;
		/* The second command of that kind: the disk is identified in between. */
		b.m.fault_at = b.m.commands + 1;
		r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
		start = clock_us();
		assert_int_equal(b.blk->ops->submit(b.blk, &r), OK);
		while (b.blk->resets == 0)
			assert_int_equal(b.blk->ops->poll(b.blk), OK);
		assert_in_range(clock_us() - start, AHCI_IO_US, AHCI_IO_US + 2000000);
		if (!twice) {
			assert_int_equal(blk_wait(b.blk, &r), OK);
			assert_memory_equal(b.buf, b.disk[0], 4096);
			assert_int_equal(ahci_bench_stop(&b), OK);
			ahci_bench_free(&b);
			continue;
		}
		b.m.fault_at = b.m.commands; /* it was sent again already */
		b.m.port[0].cmds[0].due_us = UINT64_MAX;
		start = clock_us();
		assert_int_equal(blk_wait(b.blk, &r), E_TIMEOUT);
		assert_in_range(clock_us() - start, AHCI_IO_US - SLOW_US, AHCI_IO_US + 2000000);
		assert_false(r.done);
		other = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
		assert_int_equal(b.blk->ops->submit(b.blk, &other), E_TIMEOUT);
		assert_int_equal(b.blk->ops->poll(b.blk), E_TIMEOUT);
		assert_int_equal(ahci_bench_stop(&b), E_TIMEOUT);
		assert_true(b.blk->silent);
		assert_false(pci_model_masters(b.m.fn));
		ahci_bench_free(&b);
	}
}

/* One lost command is noticed although others keep completing. */
static void test_starved(void **state)
{
	(void)state;
	for (u32 ncq = 0; ncq < 2; ncq++) {
		struct ahci_bench b;
		struct blk_req lost, r;
		u64 start;

		slow_one(&b, ncq);
		b.m.fault = ncq ? AHCI_FAULT_NEVER : AHCI_FAULT_NONE;
		b.m.fault_at = b.m.commands + 1;
		lost = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
		assert_int_equal(blk_submit(b.blk, &lost), OK);
		start = clock_us();
		while (!lost.done && clock_us() - start < 2 * AHCI_IO_US) {
			r = bench_request(BLK_READ, 8, 8, b.buf_pa + 4096, 4096);
			assert_int_equal(bench_run(b.blk, &r), OK);
		}
		assert_true(lost.done);
		assert_int_equal(lost.status, OK);
		assert_int_equal(b.blk->resets, ncq);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* What was asked for before the stop is finished first. */
static void test_stop_drains(void **state)
{
	struct ahci_bench b;
	struct blk_req r[9];

	(void)state;
	slow_one(&b, true);
	b.m.command_us = 5 * SLOW_US;
	for (u32 i = 0; i < 8; i++) {
		r[i] = bench_request(BLK_WRITE, i * 8, 8, MACHINE_OLD_PA + i * 4096, 4096);
		assert_int_equal(b.blk->ops->submit(b.blk, &r[i]), OK);
	}
	r[8] = (struct blk_req) {.op = BLK_FLUSH};
	assert_int_equal(b.blk->ops->submit(b.blk, &r[8]), OK);
	assert_int_equal(ahci_bench_stop(&b), OK);
	for (u32 i = 0; i < 9; i++)
		assert_true(r[i].done && r[i].status == OK);
	assert_memory_equal(b.kept[0], b.mc.ram + MACHINE_OLD_PA, 8 * 4096);
	ahci_bench_free(&b);
}

/* Power is lost while nothing is asked for; the next flush must not hide what that took. */
static void test_power_lost_between(void **state)
{
	(void)state;
	for (u32 i = 0; i < 8; i++) {
		bool back = i & 1, ncq = i & 2;
		struct ahci_bench b;
		struct blk_req w = bench_request(BLK_WRITE, 8, 8, MACHINE_OLD_PA, PAGE_BYTES);
		struct blk_req f = {.op = BLK_FLUSH};

		slow_one(&b, ncq);
		b.m.lenient = i & 4;
		assert_int_equal(bench_run(b.blk, &w), OK);
		ahci_model_power_loss(&b.m.port[0], clock_us(), back);
		host_clock_advance_us(60000000);
		assert_int_equal(bench_run(b.blk, &f), OK);
		assert_int_equal(b.blk->resets, 1);
		assert_int_equal(bench_run(b.blk, &w), OK);
		assert_int_equal(bench_run(b.blk, &f), OK);
		assert_memory_equal(b.kept[0] + 4096, b.mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* What a flush could not keep is lost, and the next one would not tell. */
static void test_flush_is_not_repeated(void **state)
{
	static const enum ahci_fault faults[] = {AHCI_FAULT_ERROR, AHCI_FAULT_D2H_ERROR};

	(void)state;
	for (u32 i = 0; i < 4; i++) {
		struct ahci_bench b;
		struct blk_req f = {.op = BLK_FLUSH};

		slow_one(&b, i & 1);
		b.m.fault = faults[i / 2];
		b.m.fault_at = b.m.commands + 1;
		assert_int_equal(bench_run(b.blk, &f), E_WRITE);
		assert_int_equal(b.m.flushes, 0);
		assert_int_equal(bench_run(b.blk, &f), OK);
		assert_int_equal(b.blk->resets, 0);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* What the HBA reports is not waited for as if nothing were known. */
static void test_errors_are_noticed(void **state)
{
	static const enum ahci_fault faults[] = {AHCI_FAULT_INTERFACE, AHCI_FAULT_BUS,
		AHCI_FAULT_BUS_DATA, AHCI_FAULT_ERROR, AHCI_FAULT_D2H_ERROR, AHCI_FAULT_POWER,
		AHCI_FAULT_POWER_BACK};

	(void)state;
	for (u32 i = 0; i < 2 * ARRAY_SIZE(faults); i++) {
		struct ahci_bench b;
		struct blk_req r;
		u64 start;

		slow_one(&b, i & 1);
		b.m.fault = faults[i / 2];
		b.m.fault_at = b.m.commands + 1;
		r = bench_request(BLK_WRITE, 8, 8, MACHINE_OLD_PA, PAGE_BYTES);
		start = clock_us();
		assert_int_equal(bench_run(b.blk, &r), OK);
		assert_in_range(clock_us() - start, 0, 2000000);
		assert_memory_equal(b.disk[0] + 4096, b.mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* Another disk in the same place gets nothing. */
static void test_swapped(void **state)
{
	(void)state;
	for (u32 i = 0; i < 4; i++) {
		struct ahci_bench b;
		struct blk_req r[8];
		enum status st = OK;

		slow_one(&b, i & 2);
		b.m.port[0].disk.swapped = true;
		b.m.fault = i & 1 ? AHCI_FAULT_POWER_BACK : AHCI_FAULT_POWER;
		b.m.fault_at = b.m.commands + 4;
		for (u32 k = 0; k < 8; k++) {
			r[k] = bench_request(BLK_WRITE, k * 8, 8, MACHINE_OLD_PA + k * 4096, 4096);
			(void)b.blk->ops->submit(b.blk, &r[k]);
		}
		while (b.blk->inflight && st == OK)
			st = b.blk->ops->poll(b.blk);
		assert_int_equal(st, E_DEVICE_GONE);
		assert_int_equal(ahci_bench_stop(&b), E_DEVICE_GONE);
		assert_true(b.blk->silent);
		ahci_bench_free(&b);
	}
}

static void expect_dma(struct ahci_bench *b, struct blk_req r)
{
	u64 commands = b->m.commands;

	assert_int_equal(b->blk->ops->submit(b->blk, &r), E_DMA);
	assert_int_equal(b->m.commands, commands);
	assert_int_equal(b->blk->inflight, 0);
	assert_int_equal(b->blk->dead, OK);
}

/* Reads go to the arena only; more often than there are slots, so none is lost by it. */
static void test_reads_outside_the_arena(void **state)
{
	const u64 first = MACHINE_ARENA_PA, end = first + AHCI_ARENA_BYTES;
	struct ahci_bench b;
	struct blk_req good, r;

	(void)state;
	ahci_bench_one(&b, 512);
	assert_int_equal(ahci_bench_open_all(&b), OK);
	good = bench_request(BLK_READ, 0, 16, b.buf_pa, PAGE_BYTES);
	good.nsegs = 2;
	good.seg[1] = (struct blk_seg) {b.buf_pa + 8192, PAGE_BYTES};
	for (u32 i = 0; i < 40; i++) {
		expect_dma(&b, bench_request(BLK_READ, 0, 1, first - 4, 512));
		expect_dma(&b, bench_request(BLK_READ, 0, 1, end - 508, 512));
		r = good, r.seg[0].pa = first - PAGE_BYTES;
		expect_dma(&b, r);
		r = good, r.seg[1].pa = end;
		expect_dma(&b, r);
		r = good, r.seg[1].pa = MACHINE_OLD_PA;
		expect_dma(&b, r);
		r = good, r.seg[1].pa = UINT64_MAX - 2 * PAGE_BYTES + 1;
		expect_dma(&b, r);
	}
	assert_int_equal(bench_run(b.blk, &good), OK);
	r = bench_request(BLK_READ, 0, 1, end - 512, 512);
	assert_int_equal(bench_run(b.blk, &r), OK);
	r = bench_request(BLK_WRITE, 0, 1, first - 512, 512);
	assert_int_equal(bench_run(b.blk, &r), OK);
	assert_int_equal(ahci_bench_stop(&b), OK);
	ahci_bench_free(&b);
}

/* A request that was good when it was sent is looked at again before it is sent again. */
static void test_sent_again_is_checked(void **state)
{
	static const enum ahci_fault faults[] = {
		AHCI_FAULT_ERROR, AHCI_FAULT_POWER, AHCI_FAULT_NEVER, AHCI_FAULT_BUS};

	(void)state;
	for (u32 i = 0; i < 8; i++) {
		struct ahci_bench b;
		struct blk_req r;

		slow_one(&b, i & 1);
		b.m.fault = faults[i / 2];
		b.m.fault_at = b.m.commands + 1;
		r = bench_request(BLK_READ, 0, 1, b.buf_pa, 512);
		assert_int_equal(blk_submit(b.blk, &r), OK);
		r.seg[0].pa = MACHINE_OLD_PA;
		assert_int_equal(blk_wait(b.blk, &r), E_DMA);
		assert_int_equal(b.blk->inflight, 0);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* Lists, frames and the driver's own buffer outside the arena: not a bit is set for them. */
static void test_own_memory_is_checked(void **state)
{
	(void)state;
	for (u32 how = 0; how < 6; how++) {
		u64 end = MACHINE_ARENA_PA + AHCI_ARENA_BYTES;
		struct ahci_bench b;

		ahci_bench_one(&b, 512);
		assert_int_equal(ahci_bench_open(&b), OK);
		if (how == 0) /* nothing at all may be written to */
			b.blk->dma_bytes = 0;
		else if (how == 1)
			b.blk->dma_pa = end;
		else if (how == 2)
			b.blk->dma_bytes = 0x100;
		else if (how == 3)
			b.blk->dma_pa = MACHINE_ARENA_PA + b.mc.arena.used;
		else if (how == 4)
			b.blk->dma_bytes = b.buf_pa + AHCI_BUF_BYTES - MACHINE_ARENA_PA;
		else
			b.blk->dma_pa = UINT64_MAX;
		assert_int_equal(b.blk->ops->select(b.blk, 0), E_DMA);
		assert_int_equal(b.m.commands, 0);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_starved),
		cmocka_unit_test(test_stop_drains),
		cmocka_unit_test(test_power_lost_between),
		cmocka_unit_test(test_flush_is_not_repeated),
		cmocka_unit_test(test_errors_are_noticed),
		cmocka_unit_test(test_swapped),
		cmocka_unit_test(test_reads_outside_the_arena),
		cmocka_unit_test(test_sent_again_is_checked),
		cmocka_unit_test(test_own_memory_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
