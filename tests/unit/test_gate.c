/*
 * The extent gate: what it lets through, where to, and that everything else never
 * reaches the device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"
#include "dumplog.h"
#include "gate.h"

#define BLOCKS	    100000u
#define PART_LBA    1000u
#define PART_BLOCKS 40000u
#define BUF_PA	    0x5000u

static struct {
	u32 submits;
	u64 lba;
	u32 busy;
	enum status refuse;
	enum status fail_at[2]; /* of reads at the partition's ends */
	u8 ends[2][512];
} dev;

static struct blk blk;
static struct gate gate;
static u8 buf[512];

static enum status dev_submit(struct blk *b, struct blk_req *req)
{
	(void)b;
	if (dev.busy > 0)
		return E_BUSY;
	dev.submits++;
	dev.lba = req->lba;
	if (dev.refuse != OK)
		return dev.refuse;
	req->done = true;
	req->status = OK;
	if (req->nsegs == 0)
		return OK; /* the test's own: no data wanted */
	assert_int_equal(req->blocks, 1);
	assert_int_equal(req->seg[0].pa, BUF_PA);
	req->status = dev.fail_at[req->lba != PART_LBA];
	memcpy(buf, dev.ends[req->lba != PART_LBA], sizeof(buf));
	return OK;
}

static enum status dev_poll(struct blk *b)
{
	if (dev.busy > 0)
		dev.busy--;
	return b->dead;
}

static const struct blk_ops ops = {.submit = dev_submit, .poll = dev_poll};

static void super_make(u8 *block)
{
	struct dl_super s = {
		.version = DL_VERSION, .block_bytes = 512, .blocks = PART_BLOCKS, .dir_slots = 4};

	memcpy(s.magic, DL_SUPER_MAGIC, sizeof(s.magic));
	dl_super_seal(&s);
	memcpy(block, &s, sizeof(s));
}

static int setup(void **state)
{
	static const struct extent part = {PART_LBA, PART_BLOCKS};

	(void)state;
	crc32c_init();
	memset(&dev, 0, sizeof(dev));
	blk = (struct blk) {.ops = &ops, .blocks = BLOCKS, .block_bytes = 512};
	super_make(dev.ends[0]);
	super_make(dev.ends[1]);
	return gate_open(&gate, &blk, &part, 1) == OK ? 0 : -1;
}

static enum status send(enum blk_op op, u64 lba, u32 blocks)
{
	struct blk_req req = {.op = op, .lba = lba, .blocks = blocks};
	enum status st = gate_submit(&gate, &req);

	if (st != OK)
		assert_int_equal(req.lba, lba);
	return st;
}

static void test_open_checks(void **state)
{
	struct gate g;
	struct extent e[5] = {{10, 10}, {20, 5}, {0, 10}, {50, 1}, {60, 1}};

	(void)state;
	assert_int_equal(gate_open(&g, &blk, e, 4), OK);
	assert_int_equal(g.blocks, 26);
	assert_false(g.writable);
	assert_int_equal(gate_open(&g, &blk, e, 5), E_GEOMETRY);
	assert_int_equal(gate_open(&g, &blk, e, 0), E_GEOMETRY);
	e[1].lba = 19;
	assert_int_equal(gate_open(&g, &blk, e, 4), E_GEOMETRY);
	e[1] = (struct extent) {5, 6};
	assert_int_equal(gate_open(&g, &blk, e, 2), E_GEOMETRY);
	e[1] = (struct extent) {12, 1};
	assert_int_equal(gate_open(&g, &blk, e, 2), E_GEOMETRY);
	e[0] = (struct extent) {BLOCKS - 1, 2};
	assert_int_equal(gate_open(&g, &blk, e, 1), E_GEOMETRY);
	e[0] = (struct extent) {1, UINT64_MAX};
	assert_int_equal(gate_open(&g, &blk, e, 1), E_GEOMETRY);
	e[0] = (struct extent) {UINT64_MAX, 1};
	assert_int_equal(gate_open(&g, &blk, e, 1), E_GEOMETRY);
	e[0] = (struct extent) {10, 0};
	assert_int_equal(gate_open(&g, &blk, e, 1), E_GEOMETRY);
	e[0] = (struct extent) {0, BLOCKS};
	assert_int_equal(gate_open(&g, &blk, e, 1), OK);
}

static void test_closed_for_writes(void **state)
{
	(void)state;
	assert_int_equal(send(BLK_WRITE, 0, 1), E_GATE);
	assert_int_equal(dev.submits, 0);
	assert_int_equal(send(BLK_READ, 5, 1), OK);
	assert_int_equal(dev.lba, PART_LBA + 5);
}

static void test_bounds(void **state)
{
	static const struct {
		u64 lba;
		u32 blocks;
		bool ok;
	} cases[] = {{0, 1, true}, {0, PART_BLOCKS, true}, {PART_BLOCKS - 1, 1, true},
		{PART_BLOCKS - 1, 2, false}, {PART_BLOCKS, 1, false}, {1, PART_BLOCKS, false},
		{0, PART_BLOCKS + 1, false}, {UINT64_MAX, 1, false}, {UINT64_MAX, 2, false},
		{UINT64_MAX - PART_LBA + 1, 1, false}, {7, UINT32_MAX, false}, {7, 0, false}};

	(void)state;
	assert_int_equal(gate_allow_writes(&gate, buf, BUF_PA), OK);
	for (u32 i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		u32 c = i / 2;

		dev.submits = 0;
		assert_int_equal(send(i % 2 ? BLK_WRITE : BLK_READ, cases[c].lba, cases[c].blocks),
			cases[c].ok ? OK : E_GATE);
		assert_int_equal(dev.submits, cases[c].ok);
		if (cases[c].ok)
			assert_int_equal(dev.lba, PART_LBA + cases[c].lba);
	}
}

static void test_several_extents(void **state)
{
	static const struct extent e[3] = {{500, 10}, {100, 10}, {300, 10}};

	(void)state;
	assert_int_equal(gate_open(&gate, &blk, e, 3), OK);
	gate.writable = true;
	assert_int_equal(send(BLK_WRITE, 9, 1), OK);
	assert_int_equal(dev.lba, 509);
	assert_int_equal(send(BLK_WRITE, 10, 10), OK);
	assert_int_equal(dev.lba, 100);
	assert_int_equal(send(BLK_WRITE, 29, 1), OK);
	assert_int_equal(dev.lba, 309);
	dev.submits = 0;
	assert_int_equal(send(BLK_WRITE, 9, 2), E_GATE);
	assert_int_equal(send(BLK_WRITE, 30, 1), E_GATE);
	assert_int_equal(dev.submits, 0);
}

static void test_superblocks_open_it(void **state)
{
	(void)state;
	for (u32 bad = 0; bad < 4; bad++) {
		setup(NULL);
		if (bad & 1)
			dev.ends[0][100] ^= 1;
		if (bad & 2)
			dev.fail_at[1] = E_READ;
		assert_int_equal(
			gate_allow_writes(&gate, buf, BUF_PA), bad == 3 ? E_SUPERBLOCK : OK);
		assert_int_equal(gate.writable, bad != 3);
	}
}

/* A superblock of a partition of another size or block size is not this one's. */
static void test_foreign_superblocks(void **state)
{
	(void)state;
	blk.block_bytes = 4096;
	assert_int_equal(gate_allow_writes(&gate, buf, BUF_PA), E_SUPERBLOCK);
	blk.block_bytes = 512;
	gate.blocks--;
	assert_int_equal(gate_allow_writes(&gate, buf, BUF_PA), E_SUPERBLOCK);
	gate.blocks++;
	memset(dev.ends, 0, sizeof(dev.ends));
	assert_int_equal(gate_allow_writes(&gate, buf, BUF_PA), E_SUPERBLOCK);
	assert_false(gate.writable);
	memset(&gate, 0, sizeof(gate));
	assert_int_equal(gate_allow_writes(&gate, buf, BUF_PA), E_GATE);
}

static void test_dead_device(void **state)
{
	(void)state;
	dev.refuse = blk.dead = E_TIMEOUT;
	assert_int_equal(gate_allow_writes(&gate, buf, BUF_PA), E_TIMEOUT);
	assert_false(gate.writable);
}

static void test_full_queue_and_refusal(void **state)
{
	struct blk_req req = {.op = BLK_READ, .lba = 3, .blocks = 1};

	(void)state;
	dev.busy = 4;
	assert_int_equal(gate_submit(&gate, &req), OK);
	assert_int_equal(req.lba, PART_LBA + 3);
	assert_int_equal(dev.submits, 1);
	dev.refuse = E_INVAL;
	assert_int_equal(send(BLK_READ, 3, 1), E_INVAL);
	dev.refuse = OK;
	req = (struct blk_req) {.op = BLK_FLUSH};
	assert_int_equal(gate_run(&gate, &req), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_open_checks, setup),
		cmocka_unit_test_setup(test_closed_for_writes, setup),
		cmocka_unit_test_setup(test_bounds, setup),
		cmocka_unit_test_setup(test_several_extents, setup),
		cmocka_unit_test_setup(test_superblocks_open_it, setup),
		cmocka_unit_test_setup(test_foreign_superblocks, setup),
		cmocka_unit_test_setup(test_dead_device, setup),
		cmocka_unit_test_setup(test_full_queue_and_refusal, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
