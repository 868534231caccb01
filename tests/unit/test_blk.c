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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read, setup),
		cmocka_unit_test_setup(test_full_queue_is_polled, setup),
		cmocka_unit_test_setup(test_death_ends_every_wait, setup),
		cmocka_unit_test_setup(test_never_submitted, setup),
		cmocka_unit_test_setup(test_writes_do_not_pass, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
