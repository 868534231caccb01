/*
 * The AHCI driver against an HBA and disks that misbehave at every command and every register
 * read of a whole life in turn: no hang, no write elsewhere, no success for data that is not
 * there, no silence that is none.
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

#define WRITES	     36u
#define WRITE_BLOCKS 16u
#define WRITE_BYTES  (WRITE_BLOCKS * 512u)
#define FIRST_LBA    64u
#define BAD_LBA	     (FIRST_LBA + WRITES * WRITE_BLOCKS + 3)
#define LAST_LBA     (FIRST_LBA + (WRITES + 2) * WRITE_BLOCKS)
#define FOREVER	     1000000u

/* A request of a life, what it was sent with, and how often power was lost by then. */
struct trial {
	struct blk_req r;
	u64 losses;
	bool seen;
};

struct life {
	struct ahci_bench b;
	struct trial w[WRITES];
	bool flushed; /* some flush ended well */
	u64 reads_ok, writes_ok;
};

/* One register read of the model takes so long, so that deadlines come soon. */
#define SLOW_READ_US 40000u

/*
 * Bounds on one life: what bringing up and identifying may take, twice; what a lost command
 * takes before and after the only reset; what is still in flight at the stop.
 */
#define UP_US	(1000000ull + AHCI_PRESENT_US + AHCI_LINK_US + AHCI_SPINUP_US + 2 * AHCI_ADMIN_US)
#define LIFE_US (2 * UP_US + 3 * AHCI_IO_US)

static bool must_be_there(const struct life *l)
{
	return l->b.blk->resets == 0 || l->b.m.power_losses == 0;
}

static const u8 *data_of(const struct blk_req *r)
{
	return host_ram_at(r->seg[0].pa, r->seg[0].bytes);
}

/* What has just ended well must be where it belongs. */
static void look(struct life *l, struct trial *t)
{
	const u8 *disk = l->b.disk[0] + t->r.lba * 512;

	if (t->seen || !t->r.done)
		return;
	t->seen = true;
	if (t->r.status != OK || t->losses != l->b.m.power_losses)
		return;
	assert_memory_equal(disk, data_of(&t->r), t->r.seg[0].bytes);
	l->writes_ok += t->r.op == BLK_WRITE;
	l->reads_ok += t->r.op == BLK_READ;
}

static void look_all(struct life *l)
{
	for (u32 i = 0; i < WRITES; i++)
		look(l, &l->w[i]);
}

/* A flush that ends well: every write that did so before is kept. */
static enum status flush(struct life *l)
{
	struct blk_req f = {.op = BLK_FLUSH};
	enum status st = bench_run(l->b.blk, &f);

	look_all(l);
	for (u32 i = 0; i < WRITES && st == OK && must_be_there(l); i++) {
		const struct blk_req *r = &l->w[i].r;

		if (r->done && r->status == OK)
			assert_memory_equal(l->b.kept[0] + r->lba * 512, data_of(r), WRITE_BYTES);
	}
	l->flushed = l->flushed || st == OK;
	return st;
}

/* More writes than there are slots; an error of one of them is not the end. */
static enum status write_many(struct life *l)
{
	struct blk *blk = l->b.blk;

	for (u32 i = 0; i < WRITES; i++) {
		struct trial *t = &l->w[i];
		enum status st;

		t->r = bench_request(BLK_WRITE, FIRST_LBA + i * WRITE_BLOCKS, WRITE_BLOCKS,
			MACHINE_OLD_PA + i * WRITE_BYTES, WRITE_BYTES);
		t->losses = l->b.m.power_losses;
		while ((st = blk->ops->submit(blk, &t->r)) == E_BUSY) {
			st = blk->ops->poll(blk);
			look_all(l);
			if (st != OK)
				return st;
		}
		if (st != OK)
			return st;
	}
	while (blk->inflight > 0) {
		enum status st = blk->ops->poll(blk);

		look_all(l);
		if (st != OK)
			return st;
	}
	return OK;
}

static enum status one(struct life *l, enum blk_op op, u64 lba, u64 pa)
{
	struct trial t = {.r = bench_request(op, lba, WRITE_BLOCKS, pa, WRITE_BYTES),
		.losses = l->b.m.power_losses};
	enum status st;

	memset(l->b.buf, 0, AHCI_BUF_BYTES);
	st = bench_run(l->b.blk, &t.r);
	look(l, &t);
	return st;
}

static bool alive(const struct life *l)
{
	return l->b.blk->dead == OK;
}

static void use(struct life *l)
{
	static const u64 reads[] = {0, FIRST_LBA, FIRST_LBA + WRITE_BLOCKS, LAST_LBA};
	u64 pa = MACHINE_OLD_PA;

	(void)one(l, BLK_READ, reads[0], l->b.buf_pa);
	if (alive(l))
		(void)write_many(l);
	if (alive(l))
		(void)flush(l);
	for (u32 i = 1; i < ARRAY_SIZE(reads) && alive(l); i++)
		(void)one(l, BLK_READ, reads[i], l->b.buf_pa + i * WRITE_BYTES);
	for (u32 i = 0; i < 2 && alive(l); i++)
		assert_int_not_equal(
			one(l, i ? BLK_READ : BLK_WRITE, BAD_LBA - 3, i ? l->b.buf_pa : pa), OK);
	if (alive(l))
		(void)one(l, BLK_WRITE, LAST_LBA - WRITE_BLOCKS, pa);
	if (alive(l))
		(void)flush(l);
}

/* Open to stop; E_* if any of the driver's calls that mean the whole device said so. */
static enum status live(struct life *l)
{
	enum status st = ahci_bench_open(&l->b);
	enum status stopped;

	if (st != OK)
		return st;
	st = l->b.blk->ops->select(l->b.blk, 0);
	if (st == OK)
		use(l);
	if (!alive(l))
		st = l->b.blk->dead;
	stopped = ahci_bench_stop(&l->b);
	if (stopped == OK || l->b.blk->silent)
		assert_true(l->b.blk->silent && !pci_model_masters(l->b.m.fn));
	return st == OK ? stopped : st;
}

/* The run that is on, for who wants to know which one failed. */
static struct {
	bool on;
	u32 shape, fault;
	u64 at;
} now;

static int tell(void **state)
{
	(void)state;
	if (now.on)
		print_error("shape %u, fault %u at %llu\n", now.shape, now.fault,
			(unsigned long long)now.at);
	now.on = false;
	return 0;
}

/* Shapes: a disk with NCQ, one without, an HBA that can not address much. */
#define SHAPES 3u

static void prepare(struct life *l, u32 shape)
{
	struct ahci_model_disk *d;

	memset(l, 0, sizeof(*l));
	ahci_bench_one(&l->b, 512);
	d = &l->b.m.port[0].disk;
	d->bad_lba = BAD_LBA;
	d->write_first = FIRST_LBA;
	d->write_end = LAST_LBA;
	d->depth = shape == 1 ? 0 : 32;
	if (shape == 2)
		l->b.m.cap &= ~CAP_S64A;
	l->b.m.us_per_read = SLOW_READ_US;
	l->b.m.command_us = 3 * SLOW_READ_US;
	l->b.m.spread_us = 4 * SLOW_READ_US;
}

static enum status run(struct life *l, u32 shape, u32 fault, u64 at)
{
	u64 start = clock_us(), used = l->b.mc.arena.used, took;
	enum status st;

	now.on = true;
	now.shape = shape;
	now.fault = fault;
	now.at = at;
	st = live(l);

	took = clock_us() - start;
	if (took >= LIFE_US)
		print_error("%llu us\n", (unsigned long long)took);
	assert_true(took < LIFE_US);
	assert_false(pci_model_masters(l->b.m.fn));
	/* Memory is given back only by what has let go of it. */
	if (!l->b.blk && l->b.mc.arena.used != used)
		assert_int_not_equal(st, OK);
	ahci_bench_free(&l->b);
	return st;
}

/* What each fault must lead to; OK: the life goes on to its end. */
static void judge_command(enum ahci_fault fault, bool always, const struct life *l, enum status st)
{
	bool lives = fault == AHCI_FAULT_NONFATAL || fault == AHCI_FAULT_SDB_NONE ||
		     (fault == AHCI_FAULT_LATE && !always);

	if (lives)
		assert_int_equal(st, OK);
	if (lives && l->b.blk)
		assert_true(l->flushed);
	if (fault == AHCI_FAULT_GONE)
		assert_int_equal(st, E_DEVICE_GONE);
	if (fault == AHCI_FAULT_BUSY_EVER || fault == AHCI_FAULT_UNPLUG)
		assert_int_not_equal(st, OK);
}

static u64 commands_of(u32 shape)
{
	static struct life l;

	prepare(&l, shape);
	assert_int_equal(run(&l, shape, 0, 0), OK);
	assert_true(l.flushed);
	assert_int_equal(l.writes_ok, WRITES + 1);
	assert_int_equal(l.reads_ok, 4);
	assert_int_equal(l.b.blk->resets, 0);
	return l.b.m.commands;
}

static void every_command(u32 shape, bool always)
{
	static struct life l;
	u64 commands = commands_of(shape), runs = 0;

	for (u32 fault = AHCI_FAULT_NEVER; fault < AHCI_FAULTS; fault++) {
		for (u64 at = 1; at <= commands; at++) {
			enum status st;

			prepare(&l, shape);
			l.b.m.fault = (enum ahci_fault)fault;
			l.b.m.fault_at = at;
			l.b.m.fault_count = always ? FOREVER : 1;
			st = run(&l, shape, fault, at);
			judge_command((enum ahci_fault)fault, always, &l, st);
			now.on = false;
			runs++;
		}
	}
	print_message("shape %u: %llu commands, %llu runs\n", shape, (unsigned long long)commands,
		(unsigned long long)runs);
}

static void test_every_command_once(void **state)
{
	(void)state;
	for (u32 shape = 0; shape < SHAPES; shape++)
		every_command(shape, false);
}

static void test_every_command_always(void **state)
{
	(void)state;
	for (u32 shape = 0; shape < 2; shape++)
		every_command(shape, true);
}

static void test_every_read(void **state)
{
	static struct life l;
	u64 reads, runs = 0;

	(void)state;
	(void)commands_of(0);
	prepare(&l, 0);
	assert_int_equal(run(&l, 0, 0, 0), OK);
	reads = l.b.m.reads;
	for (u32 fault = AHCI_READ_GONE; fault < AHCI_READ_FAULTS; fault++) {
		for (u64 at = 1; at <= reads; at++) {
			enum status st;

			prepare(&l, 0);
			l.b.m.read_fault = (enum ahci_read_fault)fault;
			l.b.m.read_fault_at = at;
			st = run(&l, 0, fault, at);
			if (fault == AHCI_READ_GONE)
				assert_int_equal(st, E_DEVICE_GONE);
			now.on = false;
			runs++;
		}
	}
	print_message(
		"%llu reads, %llu runs\n", (unsigned long long)reads, (unsigned long long)runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_every_command_once, tell),
		cmocka_unit_test_teardown(test_every_command_always, tell),
		cmocka_unit_test_teardown(test_every_read, tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
