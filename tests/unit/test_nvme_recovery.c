/*
 * How the NVMe driver gets over one trouble at a time, and how long it takes:
 * commands that fail, commands that are late, resets, stopping. For everything at
 * every moment see test_nvme_faults.c.
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

/* A fatal status ends the wait for readiness; one from before the reset does not matter. */
static void test_fatal_at_start(void **state)
{
	struct bench b;
	u64 start;

	(void)state;
	bench_make(&b, 9);
	b.m.ready_stuck_0 = true;
	b.m.read_fault = NVME_READ_FATAL;
	b.m.read_fault_at = 30;
	start = clock_us();
	assert_int_equal(bench_open_all(&b), E_FATAL);
	assert_in_range(clock_us() - start, 10500000, 10600000); /* for the status to go */
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);

	bench_make(&b, 9);
	b.m.csts |= NVME_CSTS_CFS;
	assert_int_equal(bench_open_all(&b), OK);
	bench_free(&b);
}

/* What was asked for before the stop is finished first. */
static void test_stop_drains(void **state)
{
	struct bench b;
	struct blk_req r[3];

	(void)state;
	bench_make(&b, 9);
	b.m.delay_reads = 3;
	assert_int_equal(bench_open_all(&b), OK);
	for (u32 i = 0; i < 3; i++) {
		r[i] = bench_request(BLK_READ, i, 1, b.buf_pa + i * 512, 512);
		assert_int_equal(blk_submit(&b.n->blk, &r[i]), OK);
	}
	assert_int_equal(bench_stop(&b), OK);
	for (u32 i = 0; i < 3; i++)
		assert_true(r[i].done && r[i].status == OK);
	bench_free(&b);
}

static void test_stop_that_fails(void **state)
{
	struct bench b;
	u64 start;

	(void)state;
	bench_make(&b, 9);
	b.m.shutdown_stuck = true;
	b.m.us_per_read = 1000;
	assert_int_equal(bench_open_all(&b), OK);
	start = clock_us();
	assert_int_equal(bench_stop(&b), E_TIMEOUT);
	assert_in_range(clock_us() - start, 10000000, 10100000);
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);

	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.fn->master_stuck = true;
	assert_int_equal(bench_stop(&b), E_DEVICE_GONE);
	bench_free(&b);
}

/* A failed command is tried once more unless the controller says not to. */
static void test_retry(void **state)
{
	static const enum blk_op ops[] = {BLK_READ, BLK_WRITE};

	(void)state;
	for (u32 i = 0; i < 6; i++) {
		enum blk_op op = ops[i % 2];
		bool dnr = i / 2 == 1, twice = i / 2 == 2;
		struct bench b;
		struct blk_req r;
		enum status want = OK;

		bench_make(&b, 9);
		assert_int_equal(bench_open_all(&b), OK);
		b.m.fault = dnr ? NVME_FAULT_STATUS_DNR : NVME_FAULT_STATUS;
		b.m.fault_at = b.m.commands + 1;
		b.m.fault_count = twice ? 2 : 1;
		r = bench_request(op, 10, 8, b.buf_pa, 4096);
		if (dnr || twice)
			want = op == BLK_READ ? E_READ : E_WRITE;
		assert_int_equal(bench_run(&b.n->blk, &r), want);
		assert_int_equal(b.m.failed, twice ? 2 : 1);
		assert_int_equal(b.n->blk.dead, OK);
		assert_int_equal(b.n->blk.inflight, 0);
		r = bench_request(op, 10, 8, b.buf_pa, 4096);
		assert_int_equal(bench_run(&b.n->blk, &r), OK);
		assert_int_equal(bench_stop(&b), OK);
		bench_free(&b);
	}
}

/* What a flush could not keep is lost, and the next one would not tell. */
static void test_flush_is_not_repeated(void **state)
{
	struct bench b;
	struct blk_req f = {.op = BLK_FLUSH};

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.fault = NVME_FAULT_STATUS;
	b.m.fault_at = b.m.commands + 1;
	assert_int_equal(bench_run(&b.n->blk, &f), E_WRITE);
	assert_int_equal(b.m.flushes, 0);
	assert_int_equal(bench_run(&b.n->blk, &f), OK);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* The n-th I/O command from now on is lost, and @count in all. */
static void lose(struct bench *b, u32 nth, u64 count, enum nvme_abort how)
{
	b->m.fault = NVME_FAULT_NEVER;
	b->m.fault_io = true;
	b->m.fault_at = b->m.commands + nth;
	b->m.fault_count = count;
	b->m.abort = how;
}

static void open_slow(struct bench *b)
{
	bench_make(b, 9);
	assert_int_equal(bench_open_all(b), OK);
	b->m.us_per_read = 10000;
}

/* One late command: aborted and sent again, or a reset, by what the Abort comes to. */
static void test_late(void **state)
{
	(void)state;
	for (u32 how = 0; how < NVME_ABORTS; how++) {
		bool helps = how <= NVME_ABORT_AFTER;
		struct bench b;
		struct blk_req r;
		u64 start, us;

		open_slow(&b);
		lose(&b, 1, 1, (enum nvme_abort)how);
		r = bench_request(BLK_WRITE, 10, 8, MACHINE_OLD_PA, 4096);
		start = clock_us();
		assert_int_equal(bench_run(&b.n->blk, &r), OK);
		us = clock_us() - start;
		assert_memory_equal(b.disk + 10 * 512, b.mc.ram + MACHINE_OLD_PA, 4096);
		assert_int_equal(b.n->blk.resets, !helps);
		assert_int_equal(b.m.aborts, how == NVME_ABORT_LIMIT ? 2 : 1);
		if (helps)
			assert_in_range(us, 20000000, 20900000);
		else
			assert_in_range(us, 22000000, 22900000);
		assert_int_equal(bench_stop(&b), OK);
		assert_true(b.n->blk.silent);
		bench_free(&b);
	}
}

/* Late again, but each time it can be aborted: the request has failed, the device lives. */
static void test_late_twice(void **state)
{
	(void)state;
	for (u32 i = 0; i < 2; i++) {
		enum blk_op op = i ? BLK_WRITE : BLK_READ;
		struct bench b;
		struct blk_req r;
		u64 start;

		open_slow(&b);
		lose(&b, 1, 2, NVME_ABORT_WORKS);
		r = bench_request(op, 10, 8, b.buf_pa, 4096);
		start = clock_us();
		assert_int_equal(bench_run(&b.n->blk, &r), i ? E_WRITE : E_READ);
		assert_in_range(clock_us() - start, 40000000, 42000000);
		assert_int_equal(b.n->blk.resets, 0);
		assert_int_equal(b.n->blk.dead, OK);
		r = bench_request(op, 10, 8, b.buf_pa, 4096);
		assert_int_equal(bench_run(&b.n->blk, &r), OK);
		bench_free(&b);
	}
}

/* Everything that can take time does: the documented bound holds, and is not far off. */
static void test_longest_request(void **state)
{
	struct bench b;
	struct blk_req r;
	enum status st = OK;
	u64 start;

	(void)state;
	open_slow(&b);
	b.m.ready_reads = 950;
	lose(&b, 1, NVME_MODEL_FOREVER, NVME_ABORT_WORKS);
	r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	start = clock_us();
	assert_int_equal(blk_submit(&b.n->blk, &r), OK);
	while (st == OK && !r.done) {
		st = b.n->blk.ops->poll(&b.n->blk);
		if (b.m.aborts == 1)
			b.m.abort = NVME_ABORT_LIES;
	}
	assert_int_equal(st, E_TIMEOUT);
	assert_int_equal(b.n->blk.resets, 1);
	assert_in_range(clock_us() - start, NVME_REQUEST_MAX_US - 6000000, NVME_REQUEST_MAX_US);
	bench_free(&b);
}

/* A dead device stays dead, takes nothing more and loses its bus mastering. */
static void test_second_time_dead(void **state)
{
	struct bench b;
	struct blk_req r, other;

	(void)state;
	open_slow(&b);
	lose(&b, 1, 2, NVME_ABORT_NOT);
	r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	assert_int_equal(bench_run(&b.n->blk, &r), E_TIMEOUT);
	assert_int_equal(b.n->blk.resets, 1);
	assert_false(r.done);
	other = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	assert_int_equal(b.n->blk.ops->submit(&b.n->blk, &other), E_TIMEOUT);
	assert_int_equal(b.n->blk.ops->poll(&b.n->blk), E_TIMEOUT);
	assert_int_equal(nvme_select(&b.n->blk, 0), E_BUSY);
	assert_int_equal(bench_stop(&b), E_TIMEOUT);
	assert_true(b.n->blk.silent);
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);
}

/* All that was unfinished is sent again: reads, writes and the flush, each once. */
static void test_reset_repeats_all(void **state)
{
	struct bench b;
	struct blk_req r[NVME_SLOTS];
	u64 before, used;

	(void)state;
	open_slow(&b);
	for (u32 i = 0; i < 64 * 512; i++)
		b.disk[i] = (u8)(i / 512 + i);
	used = b.mc.arena.used;
	lose(&b, 1, NVME_SLOTS, NVME_ABORT_NOT);
	before = b.m.commands;
	for (u32 i = 0; i < NVME_SLOTS; i++) {
		r[i] = bench_request(i % 2 ? BLK_READ : BLK_WRITE, i % 2 ? i : 100 + i, 1,
			i % 2 ? b.buf_pa + i * 512 : MACHINE_OLD_PA + i * 512, 512);
		if (i == 8)
			r[i] = (struct blk_req) {.op = BLK_FLUSH};
		assert_int_equal(b.n->blk.ops->submit(&b.n->blk, &r[i]), OK);
	}
	for (u32 i = 0; i < NVME_SLOTS; i++) {
		assert_int_equal(blk_wait(&b.n->blk, &r[i]), OK);
		if (i % 2)
			assert_memory_equal(b.buf + i * 512, b.disk + i * 512, 512);
		else if (i != 8)
			assert_memory_equal(
				b.disk + (100 + i) * 512, b.mc.ram + MACHINE_OLD_PA + i * 512, 512);
	}
	assert_int_equal(b.n->blk.inflight, 0);
	assert_int_equal(b.n->blk.resets, 1);
	assert_int_equal(b.m.flushes, 1);
	assert_int_equal(b.m.commands - before, 2 * NVME_SLOTS);
	assert_int_equal(b.mc.arena.used, used);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* One lost command is noticed although others keep completing. */
static void test_starved(void **state)
{
	struct bench b;
	struct blk_req lost, r;
	u32 i;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	lose(&b, 1, 1, NVME_ABORT_WORKS);
	lost = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	assert_int_equal(blk_submit(&b.n->blk, &lost), OK);
	for (i = 0; i < 2000 && !lost.done; i++) {
		host_clock_advance_us(30000);
		r = bench_request(BLK_READ, 8, 8, b.buf_pa + 4096, 4096);
		assert_int_equal(b.n->blk.ops->submit(&b.n->blk, &r), OK);
		assert_int_equal(b.n->blk.ops->poll(&b.n->blk), OK);
		assert_true(r.done);
	}
	assert_int_equal(lost.status, OK);
	assert_in_range(i, 660, 680);
	bench_free(&b);
}

/* Whoever resets it behind our back, it is noticed at once and not when a command is late. */
static void test_reset_by_others(void **state)
{
	struct bench b;
	struct blk_req r;
	u64 start;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.us_per_read = 100;
	b.m.fault = NVME_FAULT_RESET;
	b.m.fault_at = b.m.commands + 1;
	r = bench_request(BLK_WRITE, 10, 8, MACHINE_OLD_PA, 4096);
	start = clock_us();
	assert_int_equal(bench_run(&b.n->blk, &r), OK);
	assert_true(clock_us() - start < 100000);
	assert_int_equal(b.n->blk.resets, 1);
	assert_memory_equal(b.disk + 10 * 512, b.mc.ram + MACHINE_OLD_PA, 4096);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* A reset that does not end is not waited for longer than all of a reset may take. */
static void test_reset_that_hangs(void **state)
{
	(void)state;
	for (u32 i = 0; i < 2; i++) {
		struct bench b;
		struct blk_req r;
		u64 start;

		bench_make(&b, 9);
		b.m.to = 255;
		assert_int_equal(bench_open_all(&b), OK);
		b.m.us_per_read = 10000;
		b.m.ready_stuck_0 = i == 0;
		b.m.ready_stuck_1 = i == 1;
		b.m.fault = NVME_FAULT_FATAL;
		b.m.fault_at = b.m.commands + 1;
		r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
		start = clock_us();
		assert_int_equal(bench_run(&b.n->blk, &r), E_FATAL);
		assert_in_range(clock_us() - start, 22000000, 22100000);
		assert_int_equal(bench_stop(&b), E_FATAL);
		assert_true(b.n->blk.silent);
		bench_free(&b);
	}
}

/* A controller that keeps its right to do DMA is not reset with our memory in its hands. */
static void test_reset_without_dma(void **state)
{
	struct bench b;
	struct blk_req r;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.fn->master_stuck = true;
	b.m.fault = NVME_FAULT_CID;
	b.m.fault_at = b.m.commands + 1;
	r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	assert_int_equal(bench_run(&b.n->blk, &r), E_DEVICE_GONE);
	assert_int_equal(b.m.disables, 1);
	assert_int_equal(bench_stop(&b), E_DEVICE_GONE);
	assert_false(b.n->blk.silent);
	bench_free(&b);
}

/* A completion that comes twice, the second time when its slot is in use again. */
static void test_stale_duplicate(void **state)
{
	struct bench b;
	struct blk_req r;
	enum status st = OK;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.delay_reads = 1;
	for (u32 time = 0; time < 2; time++) {
		b.m.fault = NVME_FAULT_DUPLICATE;
		b.m.fault_at = b.m.commands + 1;
		for (u32 i = 0; i < 3 && st == OK; i++) {
			r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
			st = bench_run(&b.n->blk, &r);
		}
		assert_int_equal(st, time ? E_FATAL : OK);
		assert_int_equal(b.n->blk.resets, 1);
	}
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fatal_at_start),
		cmocka_unit_test(test_stop_drains),
		cmocka_unit_test(test_stop_that_fails),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_flush_is_not_repeated),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_late_twice),
		cmocka_unit_test(test_longest_request),
		cmocka_unit_test(test_second_time_dead),
		cmocka_unit_test(test_reset_repeats_all),
		cmocka_unit_test(test_starved),
		cmocka_unit_test(test_reset_by_others),
		cmocka_unit_test(test_reset_that_hangs),
		cmocka_unit_test(test_reset_without_dma),
		cmocka_unit_test(test_stale_duplicate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
