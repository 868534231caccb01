/*
 * The NVMe driver against controllers that misbehave at every command and every
 * register read in turn: no hang, no write elsewhere, no success for data that is not there.
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
	assert_in_range(clock_us() - start, 500000, 600000);
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);

	bench_make(&b, 9);
	b.m.to = 0;
	b.m.ready_reads = 1000;
	assert_int_equal(bench_open_all(&b), OK);
	bench_free(&b);
}

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
	assert_true(clock_us() - start < 10000);
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

/* A dead device stays dead, takes nothing more and loses its bus mastering. */
static void test_timeout_is_for_ever(void **state)
{
	struct bench b;
	struct blk_req r, other;
	u64 start;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.us_per_read = 10000;
	b.m.fault = NVME_FAULT_NEVER;
	b.m.fault_at = b.m.commands + 1;
	r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	start = clock_us();
	assert_int_equal(bench_run(&b.n->blk, &r), E_TIMEOUT);
	assert_in_range(clock_us() - start, 30000000, 30100000);
	assert_false(r.done);
	other = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	assert_int_equal(b.n->blk.ops->submit(&b.n->blk, &other), E_TIMEOUT);
	assert_int_equal(b.n->blk.ops->poll(&b.n->blk), E_TIMEOUT);
	assert_int_equal(nvme_select(&b.n->blk, 0), E_BUSY);
	assert_int_equal(bench_stop(&b), E_TIMEOUT);
	assert_false(pci_model_masters(b.m.fn));
	bench_free(&b);
}

/* One lost command is noticed although others keep completing. */
static void test_starved(void **state)
{
	struct bench b;
	struct blk_req lost, r;
	enum status st = OK;
	u32 i;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.fault = NVME_FAULT_NEVER;
	b.m.fault_at = b.m.commands + 1;
	lost = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
	assert_int_equal(blk_submit(&b.n->blk, &lost), OK);
	for (i = 0; i < 2000 && st == OK; i++) {
		host_clock_advance_us(30000);
		r = bench_request(BLK_READ, 8, 8, b.buf_pa + 4096, 4096);
		st = b.n->blk.ops->submit(&b.n->blk, &r);
		if (st == OK)
			st = b.n->blk.ops->poll(&b.n->blk);
	}
	assert_int_equal(st, E_TIMEOUT);
	assert_in_range(i, 990, 1010);
	bench_free(&b);
}

/* Writes, reads back, flushes, and checks what arrived each time it is told OK. */
static enum status use(struct bench *b)
{
	struct blk_req w = bench_request(BLK_WRITE, 64, 24, MACHINE_OLD_PA, 3 * PAGE_BYTES);
	struct blk_req f = {.op = BLK_FLUSH};
	enum status st = bench_run(&b->n->blk, &w);

	if (st != OK)
		return st;
	assert_memory_equal(b->disk + 64 * 512, b->mc.ram + MACHINE_OLD_PA, 3 * PAGE_BYTES);
	memset(b->buf, 0, BUF_BYTES);
	st = blk_read(&b->n->blk, 64, 16, b->buf_pa);
	if (st != OK)
		return st;
	assert_memory_equal(b->buf, b->mc.ram + MACHINE_OLD_PA, 2 * PAGE_BYTES);
	return bench_run(&b->n->blk, &f);
}

static enum status life(struct bench *b)
{
	enum status st = bench_open(b);
	enum status stopped;

	if (st != OK)
		return st;
	st = nvme_select(&b->n->blk, 0);
	if (st == OK)
		st = use(b);
	stopped = bench_stop(b);
	return st == OK ? stopped : st;
}

/* Bounds on one life: each wait may run into its deadline once. */
#define LIFE_US (3 * 10500000ull + 5000000ull + 4 * 30000000ull + 30000000ull)

static void bench_life(struct bench *b)
{
	bench_make(b, 9);
	b->m.us_per_read = 20000;
	b->m.delay_reads = 2;
	b->m.write_first = 64;
	b->m.write_end = 88;
}

static void test_fault_at_every_command(void **state)
{
	struct bench b;
	u64 commands;

	(void)state;
	bench_life(&b);
	assert_int_equal(life(&b), OK);
	commands = b.m.commands;
	bench_free(&b);
	for (u32 fault = NVME_FAULT_NEVER; fault < NVME_FAULTS; fault++) {
		for (u64 at = 1; at <= commands; at++) {
			enum status st;
			u64 used, start;

			bench_life(&b);
			b.m.fault = (enum nvme_fault)fault;
			b.m.fault_at = at;
			used = b.mc.arena.used;
			start = clock_us();
			st = life(&b);
			assert_true(clock_us() - start < LIFE_US);
			assert_false(pci_model_masters(b.m.fn));
			if (fault == NVME_FAULT_LATE)
				assert_int_equal(st, OK);
			if (fault == NVME_FAULT_NEVER || fault == NVME_FAULT_PHASE)
				assert_int_equal(st, E_TIMEOUT);
			if (fault == NVME_FAULT_CID || fault == NVME_FAULT_SQID ||
				fault == NVME_FAULT_FATAL)
				assert_int_equal(st, E_FATAL);
			if (fault == NVME_FAULT_GONE)
				assert_int_equal(st, E_DEVICE_GONE);
			/* A refused command leaves a controller that lets go of its memory. */
			if (st == E_COMMAND && !b.n)
				assert_int_equal(b.mc.arena.used, used);
			if ((st == E_TIMEOUT || st == E_DEVICE_GONE) && !b.n)
				assert_true(b.mc.arena.used > used);
			bench_free(&b);
		}
	}
}

static void test_fault_at_every_read(void **state)
{
	struct bench b;
	u64 reads;

	(void)state;
	bench_life(&b);
	assert_int_equal(life(&b), OK);
	reads = b.m.reads;
	bench_free(&b);
	for (u32 fault = NVME_READ_GONE; fault < NVME_READ_FAULTS; fault++) {
		for (u64 at = 1; at <= reads; at++) {
			enum status st;
			u64 start;

			bench_life(&b);
			b.m.read_fault = (enum nvme_read_fault)fault;
			b.m.read_fault_at = at;
			start = clock_us();
			st = life(&b);
			assert_true(clock_us() - start < LIFE_US);
			assert_false(pci_model_masters(b.m.fn));
			if (fault == NVME_READ_GONE || fault == NVME_READ_BLINK)
				assert_int_equal(st, E_DEVICE_GONE);
			bench_free(&b);
		}
	}
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
	b.m.fault = NVME_FAULT_DUPLICATE;
	b.m.fault_at = b.m.commands + 1;
	b.m.delay_reads = 1;
	for (u32 i = 0; i < 3 && st == OK; i++) {
		r = bench_request(BLK_READ, 0, 8, b.buf_pa, 4096);
		st = bench_run(&b.n->blk, &r);
	}
	assert_int_equal(st, E_FATAL);
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready_times),
		cmocka_unit_test(test_fatal_at_start),
		cmocka_unit_test(test_stop_drains),
		cmocka_unit_test(test_stop_that_fails),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_timeout_is_for_ever),
		cmocka_unit_test(test_starved),
		cmocka_unit_test(test_fault_at_every_command),
		cmocka_unit_test(test_fault_at_every_read),
		cmocka_unit_test(test_stale_duplicate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
