/*
 * The NVMe driver and where controllers may write: requests, admin commands and queues
 * that name memory outside the arena are not sent.
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

static void expect_dma(struct bench *b, struct blk_req r)
{
	u64 commands = b->m.commands;

	assert_int_equal(b->n->blk.ops->submit(&b->n->blk, &r), E_DMA);
	assert_int_equal(blk_submit(&b->n->blk, &r), E_DMA);
	assert_int_equal(b->m.commands, commands);
	assert_int_equal(b->n->blk.inflight, 0);
	assert_int_equal(b->n->blk.dead, OK);
}

/* Reads go to the arena only; more often than there are slots, so none is lost by it. */
static void test_reads_outside_the_arena(void **state)
{
	const u64 first = MACHINE_ARENA_PA, end = first + MACHINE_ARENA_BYTES;
	struct bench b;
	struct blk_req good, r;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	good = bench_request(BLK_READ, 0, 16, b.buf_pa, PAGE_BYTES);
	good.nsegs = 2;
	good.seg[1] = (struct blk_seg) {b.buf_pa + 8192, PAGE_BYTES};
	for (u32 i = 0; i < 2 * NVME_SLOTS; i++) {
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
	for (u32 i = 0; i < 2; i++) { /* the list of pages is ours too */
		u64 list_pa = b.n->slot[0].list_pa;

		b.n->slot[0].list_pa = i ? end - NVME_LIST_BYTES + 8 : first - 8;
		expect_dma(&b, good);
		b.n->slot[0].list_pa = list_pa;
	}
	assert_int_equal(bench_run(&b.n->blk, &good), OK);
	r = bench_request(BLK_READ, 0, 1, end - 512, 512);
	assert_int_equal(bench_run(&b.n->blk, &r), OK);
	r = bench_request(BLK_WRITE, 0, 1, first - 512, 512);
	assert_int_equal(bench_run(&b.n->blk, &r), OK);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* A request that was good when it was sent is looked at again before it is sent again. */
static void test_retry_is_checked(void **state)
{
	struct bench b;
	struct blk_req r;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.fault = NVME_FAULT_STATUS;
	b.m.fault_at = b.m.commands + 1;
	b.m.delay_reads = 1;
	r = bench_request(BLK_READ, 0, 1, b.buf_pa, 512);
	assert_int_equal(blk_submit(&b.n->blk, &r), OK);
	r.seg[0].pa = MACHINE_OLD_PA;
	assert_int_equal(blk_wait(&b.n->blk, &r), E_DMA);
	assert_int_equal(b.n->blk.inflight, 0);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* And before it is sent again after a reset. */
static void test_repeat_is_checked(void **state)
{
	struct bench b;
	struct blk_req r, other;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	b.m.delay_reads = 10;
	b.m.fault = NVME_FAULT_FATAL;
	b.m.fault_at = b.m.commands + 2;
	r = bench_request(BLK_READ, 0, 1, b.buf_pa, 512);
	other = bench_request(BLK_READ, 1, 1, b.buf_pa + 512, 512);
	assert_int_equal(blk_submit(&b.n->blk, &r), OK);
	assert_int_equal(blk_submit(&b.n->blk, &other), OK);
	r.seg[0].pa = MACHINE_OLD_PA;
	assert_int_equal(blk_wait(&b.n->blk, &r), E_DMA);
	assert_int_equal(blk_wait(&b.n->blk, &other), OK);
	assert_int_equal(b.n->blk.resets, 1);
	assert_int_equal(b.n->blk.inflight, 0);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* Admin commands: data and queues are pages of the arena, else nothing is sent. */
static void test_admin_outside_the_arena(void **state)
{
	static const u64 bad[] = {MACHINE_ARENA_PA - PAGE_BYTES,
		MACHINE_ARENA_PA + MACHINE_ARENA_BYTES, MACHINE_OLD_PA, MACHINE_ARENA_PA + 4, 0,
		~0xfffull};
	static const u8 opcodes[] = {NVME_ADMIN_IDENTIFY, NVME_ADMIN_CREATE_CQ,
		NVME_ADMIN_CREATE_SQ, NVME_ADMIN_SET_FEATURES, NVME_ADMIN_ABORT};
	struct bench b;
	u64 commands;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	commands = b.m.commands;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		for (u32 k = 0; k < ARRAY_SIZE(opcodes); k++) {
			struct nvme_sqe sqe = {.opcode = opcodes[k], .prp1 = bad[i], .cdw10 = 1};

			if (k >= 3 && bad[i] == 0)
				continue;
			assert_int_equal(nvme_admin(b.n, &sqe), E_DMA);
			sqe.prp1 = k >= 3 ? 0 : b.buf_pa;
			sqe.prp2 = MACHINE_OLD_PA;
			assert_int_equal(nvme_admin(b.n, &sqe), E_DMA);
		}
	}
	assert_int_equal(b.m.commands, commands);
	assert_int_equal(b.n->blk.dead, OK);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_outside_the_arena),
		cmocka_unit_test(test_retry_is_checked),
		cmocka_unit_test(test_repeat_is_checked),
		cmocka_unit_test(test_admin_outside_the_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
