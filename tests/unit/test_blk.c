/*
 * Waiting on a block device that is slow, full, failing or dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "blk.h"

/* A device that finishes its one request at the n-th poll. */
static struct {
	struct blk_req *req;
	struct blk_req last;
	u32 polls_left;
	u32 busy;
	enum status result;
	enum status dies;
	u32 submits, polls;
} dev;

static enum status dev_submit(struct blk *blk, struct blk_req *req)
{
	dev.submits++;
	if (dev.busy > 0)
		return E_BUSY;
	dev.req = req;
	dev.last = *req;
	req->done = false;
	blk->inflight = 1;
	return OK;
}

static enum status dev_poll(struct blk *blk)
{
	dev.polls++;
	if (dev.busy > 0)
		dev.busy--;
	if (dev.dies != OK)
		return dev.dies;
	if (dev.req && --dev.polls_left == 0) {
		dev.req->status = dev.result;
		dev.req->done = true;
		dev.req = NULL;
		blk->inflight = 0;
	}
	return OK;
}

static const struct blk_ops ops = {.submit = dev_submit, .poll = dev_poll};
static struct blk blk;

static int setup(void **state)
{
	(void)state;
	memset(&dev, 0, sizeof(dev));
	dev.polls_left = 3;
	blk = (struct blk) {.ops = &ops, .blocks = 100, .block_bytes = 512, .max_bytes = 8192};
	return 0;
}

static void test_read(void **state)
{
	(void)state;
	assert_int_equal(blk_read(&blk, 7, 16, 0x1200), OK);
	assert_int_equal(dev.polls, 3);
	assert_int_equal(dev.last.op, BLK_READ);
	assert_int_equal(dev.last.lba, 7);
	assert_int_equal(dev.last.blocks, 16);
	assert_int_equal(dev.last.nsegs, 1);
	assert_int_equal(dev.last.seg[0].pa, 0x1200);
	assert_int_equal(dev.last.seg[0].bytes, 8192);
	assert_int_equal(blk_read(&blk, 7, 17, 0x1200), E_INVAL);
	assert_int_equal(blk_read(&blk, 7, 0, 0x1200), E_INVAL);
	dev.polls_left = 1;
	dev.result = E_READ;
	assert_int_equal(blk_read(&blk, 7, 1, 0x1200), E_READ);
}

static void test_full_queue_is_polled(void **state)
{
	(void)state;
	dev.busy = 5;
	assert_int_equal(blk_read(&blk, 0, 1, 0), OK);
	assert_int_equal(dev.submits, 6);
}

static void test_death_ends_every_wait(void **state)
{
	struct blk_req req = {.op = BLK_FLUSH};

	(void)state;
	dev.dies = E_TIMEOUT;
	assert_int_equal(blk_read(&blk, 0, 1, 0), E_TIMEOUT);
	dev.busy = 2;
	assert_int_equal(blk_submit(&blk, &req), E_TIMEOUT);
	assert_int_equal(dev.busy, 1);
}

static void test_never_submitted(void **state)
{
	struct blk_req req = {.op = BLK_READ};

	(void)state;
	assert_int_equal(blk_wait(&blk, &req), E_INVAL);
}

static void test_writes_do_not_pass(void **state)
{
	struct blk_req req = {.op = BLK_WRITE, .blocks = 1};

	(void)state;
	assert_int_equal(blk_submit(&blk, &req), E_GATE);
	assert_int_equal(dev.submits, 0);
}

#define ARENA 0x20000ull

static enum status dma(enum blk_op op, u64 pa, u32 bytes)
{
	struct blk_req req = {.op = op, .nsegs = 1};

	blk.dma_pa = ARENA;
	blk.dma_bytes = 0x8000;
	req.seg[0] = (struct blk_seg) {pa, bytes};
	return blk_dma_check(&blk, &req);
}

/* What a device writes to memory lies in the range to the last byte. */
static void test_dma_range(void **state)
{
	static const struct {
		u64 pa;
		u32 bytes;
		enum status want;
	} cases[] = {{ARENA, 0x8000, OK}, {ARENA, 1, OK}, {ARENA + 0x7fff, 1, OK},
		{ARENA - 1, 1, E_DMA}, {ARENA - 1, 0x8000, E_DMA}, {ARENA, 0x8001, E_DMA},
		{ARENA + 0x8000, 1, E_DMA}, {ARENA + 0x7000, 0x1001, E_DMA}, {0, 512, E_DMA},
		{ARENA + 4, UINT32_MAX, E_DMA}, {UINT64_MAX, 1, E_DMA}, {UINT64_MAX, 2, E_DMA},
		{UINT64_MAX - 0xfff, 0x1000, E_DMA}, {UINT64_MAX - 3, 0x28000, E_DMA}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(dma(BLK_READ, cases[i].pa, cases[i].bytes), cases[i].want);
		assert_int_equal(dma((enum blk_op)9, cases[i].pa, cases[i].bytes), cases[i].want);
		assert_int_equal(dma(BLK_WRITE, cases[i].pa, cases[i].bytes), OK);
	}
	blk.dma_bytes = UINT64_MAX - ARENA;
	assert_int_equal(dma(BLK_FLUSH, 0, 0), OK);
}

static void test_dma_of_every_segment(void **state)
{
	struct blk_req req = {.op = BLK_READ, .nsegs = BLK_MAX_SEGS};

	(void)state;
	blk.dma_pa = ARENA;
	blk.dma_bytes = BLK_MAX_SEGS * PAGE_BYTES;
	for (u32 i = 0; i < BLK_MAX_SEGS; i++)
		req.seg[i] = (struct blk_seg) {ARENA + i * PAGE_BYTES, PAGE_BYTES};
	assert_int_equal(blk_dma_check(&blk, &req), OK);
	for (u32 i = 0; i < BLK_MAX_SEGS; i++) {
		struct blk_req bad = req;

		bad.seg[i].pa = ARENA + BLK_MAX_SEGS * PAGE_BYTES;
		assert_int_equal(blk_dma_check(&blk, &bad), E_DMA);
		bad.nsegs = i;
		assert_int_equal(blk_dma_check(&blk, &bad), OK);
	}
	req.nsegs++;
	assert_int_equal(blk_dma_check(&blk, &req), E_DMA);
	blk.dma_pa = 0;
	blk.dma_bytes = UINT64_MAX;
	assert_int_equal(blk_dma_check(&blk, &req), E_DMA);
	req.nsegs--;
	assert_int_equal(blk_dma_check(&blk, &req), OK);
	blk.dma_bytes = 0; /* nobody said what the device may write */
	assert_int_equal(blk_dma_check(&blk, &req), E_DMA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read, setup),
		cmocka_unit_test_setup(test_full_queue_is_polled, setup),
		cmocka_unit_test_setup(test_death_ends_every_wait, setup),
		cmocka_unit_test_setup(test_never_submitted, setup),
		cmocka_unit_test_setup(test_writes_do_not_pass, setup),
		cmocka_unit_test_setup(test_dma_range, setup),
		cmocka_unit_test_setup(test_dma_of_every_segment, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
