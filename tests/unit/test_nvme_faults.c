/*
 * The NVMe driver through a whole life - open, select, writes, reads, flushes, stop - with
 * a controller that misbehaves in every way at every command and every register read in
 * turn. Whatever happens: every step ends in its time, nothing is written outside the
 * extent or the arena, what is called done is on the disk, what was flushed is durable, and
 * blk.silent is true.
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

#define EXTENT_LBA    64u
#define EXTENT_BLOCKS 64u
#define WRITES	      3u /* in flight at a time */
#define WRITE_BLOCKS  16u
#define READ_US	      20000u /* model time of a register read */

/* The deadlines that nvmevar.h documents, and what finding out about them takes. */
#define SLACK_US	 (20 * READ_US)
#define READY_US	 (21 * 500000ull) /* what the model's CAP.TO makes of it */
#define OPEN_US		 (4 * READY_US + NVME_SHUTDOWN_TIMEOUT_US + RESCUED_ADMIN_US + SLACK_US)
#define SELECT_US	 (RESCUED_ADMIN_US + SLACK_US)
#define STOP_US		 (NVME_SHUTDOWN_TIMEOUT_US + 3 * READY_US + SLACK_US)
#define RESCUED_ADMIN_US (2 * NVME_ADMIN_TIMEOUT_US + NVME_RESET_TIMEOUT_US)

/* One life, and what it was told. */
struct life {
	struct bench b;
	enum status st;
	u64 used;	/* of the arena, before */
	bool unflushed; /* a flush failed: it is not sent again */
	bool durable;	/* the extent was flushed and no reset came in between */
};

/* Memory above MACHINE_OLD_PA before the life. */
static u8 old[MACHINE_RAM_BYTES - MACHINE_OLD_PA];

static u64 source_pa(u32 i)
{
	return MACHINE_OLD_PA + 0x20000u + i * 3u * PAGE_BYTES;
}

static u64 write_lba(u32 i)
{
	return EXTENT_LBA + (u64)i * WRITE_BLOCKS;
}

static void must_be_on_disk(const struct life *l, u32 i)
{
	assert_memory_equal(
		l->b.disk + write_lba(i) * 512, l->b.mc.ram + source_pa(i), WRITE_BLOCKS * 512);
}

/* Waits for one request of several; bounded for each from when it was sent. */
static enum status end(struct life *l, struct blk_req *r, u64 sent_us)
{
	enum status st = blk_wait(&l->b.n->blk, r);

	assert_true(clock_us() - sent_us < NVME_REQUEST_MAX_US + SLACK_US);
	return st;
}

static enum status writes(struct life *l)
{
	struct blk *blk = &l->b.n->blk;
	struct blk_req r[WRITES];
	u64 sent_us[WRITES];
	u32 resets = blk->resets;
	enum status st = OK;

	for (u32 i = 0; i < WRITES; i++) {
		r[i] = bench_request(
			BLK_WRITE, write_lba(i), WRITE_BLOCKS, source_pa(i), WRITE_BLOCKS * 512);
		sent_us[i] = clock_us();
		st = blk->ops->submit(blk, &r[i]);
		if (st != OK)
			return st;
	}
	for (u32 i = 0; i < WRITES; i++) {
		enum status one = end(l, &r[i], sent_us[i]);

		assert_int_equal(one == OK, r[i].done && r[i].status == OK);
		st = st == OK ? one : st;
	}
	for (u32 i = 0; i < WRITES; i++) {
		if (r[i].done && r[i].status == OK && (blk->resets == resets || !l->b.m.loses))
			must_be_on_disk(l, i);
	}
	return st;
}

static enum status flush(struct life *l, u32 resets)
{
	struct blk_req r = {.op = BLK_FLUSH};
	u64 sent_us = clock_us();
	enum status st = blk_submit(&l->b.n->blk, &r);

	if (st == OK)
		st = end(l, &r, sent_us);
	l->unflushed = st == E_WRITE;
	l->durable = st == OK && l->b.n->blk.resets == resets;
	return st;
}

/* Two at a time; what arrives is what the disk holds. */
static enum status reads(struct life *l)
{
	struct bench *b = &l->b;
	struct blk_req r[2];
	u64 sent_us = clock_us();
	enum status st = OK;

	memset(b->buf, 0xee, BUF_BYTES);
	for (u32 i = 0; i < 2 && st == OK; i++) {
		r[i] = bench_request(BLK_READ, write_lba(i), WRITE_BLOCKS,
			b->buf_pa + i * WRITE_BLOCKS * 512, WRITE_BLOCKS * 512);
		st = b->n->blk.ops->submit(&b->n->blk, &r[i]);
	}
	if (st != OK)
		return st;
	for (u32 i = 0; i < 2; i++) {
		enum status one = end(l, &r[i], sent_us);

		st = st == OK ? one : st;
		if (one == OK && b->m.fault != NVME_FAULT_SHORT)
			assert_memory_equal(b->buf + i * WRITE_BLOCKS * 512,
				b->disk + write_lba(i) * 512, WRITE_BLOCKS * 512);
	}
	return st;
}

static enum status use(struct life *l)
{
	u32 resets = l->b.n->blk.resets;
	enum status st = writes(l);

	if (st == OK)
		st = flush(l, resets);
	return st == OK ? reads(l) : st;
}

static enum status open_timed(struct life *l)
{
	u64 start_us = clock_us();
	enum status st = bench_open(&l->b);

	assert_true(clock_us() - start_us < OPEN_US);
	if (st != OK)
		return st;
	start_us = clock_us();
	st = nvme_select(&l->b.n->blk, 0);
	assert_true(clock_us() - start_us < SELECT_US);
	return st;
}

static enum status stop_timed(struct life *l)
{
	u64 start_us = clock_us();
	enum status st = bench_stop(&l->b);

	assert_true(clock_us() - start_us < STOP_US);
	assert_int_equal(l->b.n->blk.silent, !pci_model_masters(l->b.m.fn));
	assert_int_not_equal(l->b.n->blk.dead, OK);
	return st;
}

static void life_begin(struct life *l)
{
	struct bench *b = &l->b;

	memset(l, 0, sizeof(*l));
	bench_make(b, 9);
	b->m.us_per_read = READ_US;
	b->m.delay_reads = 2;
	b->m.write_first = EXTENT_LBA;
	b->m.write_end = EXTENT_LBA + EXTENT_BLOCKS;
	b->m.caches = true;
	l->used = b->mc.arena.used;
	memcpy(old, b->mc.ram + MACHINE_OLD_PA, sizeof(old));
}

/* After a start that failed: what a controller may still write to is not used again. */
static void memory_must_be_kept(const struct life *l)
{
	if (l->st == E_COMMAND)
		assert_int_equal(l->b.mc.arena.used, l->used);
	if (l->b.m.commands > 0 && (l->st == E_TIMEOUT || l->st == E_DEVICE_GONE))
		assert_true(l->b.mc.arena.used > l->used);
}

static void life_live(struct life *l)
{
	enum status stopped;

	l->st = open_timed(l);
	if (l->st == OK)
		l->st = use(l);
	if (!l->b.n) {
		memory_must_be_kept(l);
		return;
	}
	assert_true(l->b.n->blk.resets <= 1);
	stopped = stop_timed(l);
	l->st = l->st == OK ? stopped : l->st;
}

/* What holds after every life. */
static void life_end(struct life *l)
{
	struct bench *b = &l->b;
	static const u8 zeros[64 * 512];

	nvme_model_cut(&b->m);
	if (l->durable) {
		for (u32 i = 0; i < WRITES; i++)
			must_be_on_disk(l, i);
	}
	assert_memory_equal(b->disk, zeros, EXTENT_LBA * 512);
	assert_memory_equal(b->disk + (EXTENT_LBA + EXTENT_BLOCKS) * 512, zeros, sizeof(zeros));
	assert_memory_equal(old, b->mc.ram + MACHINE_OLD_PA, sizeof(old));
	if (!b->m.fn->master_stuck)
		assert_false(pci_model_masters(b->m.fn));
	bench_free(b);
}

/* Of a life without a fault. */
static void life_count(u64 *commands, u64 *reads_)
{
	struct life l;

	life_begin(&l);
	life_live(&l);
	assert_int_equal(l.st, OK);
	assert_true(l.durable);
	*commands = l.b.m.commands;
	*reads_ = l.b.m.reads;
	life_end(&l);
}

/* What a single fault in a controller that is sound otherwise must end in. */
static void expect_single(const struct life *l, enum nvme_fault fault)
{
	switch (fault) {
	case NVME_FAULT_NEVER:
	case NVME_FAULT_LATE:
	case NVME_FAULT_PHASE:
	case NVME_FAULT_CID:
	case NVME_FAULT_SQID:
	case NVME_FAULT_DUPLICATE:
	case NVME_FAULT_SPURIOUS:
	case NVME_FAULT_FATAL:
	case NVME_FAULT_RESET:
		assert_int_equal(l->st, OK);
		break;
	case NVME_FAULT_STATUS:
		assert_int_equal(l->st, l->unflushed ? E_WRITE : OK);
		break;
	case NVME_FAULT_GONE:
		assert_int_equal(l->st, E_DEVICE_GONE);
		break;
	default:
		break;
	}
	if (fault == NVME_FAULT_LATE || fault == NVME_FAULT_STATUS)
		assert_true(!l->b.n || l->b.n->blk.resets == 0);
}

/* Faults that nothing helps against while they last. */
static void expect_lasting(const struct life *l, enum nvme_fault fault)
{
	if (fault == NVME_FAULT_NEVER || fault == NVME_FAULT_PHASE)
		assert_true(l->st == E_TIMEOUT);
	if (fault == NVME_FAULT_CID || fault == NVME_FAULT_SQID || fault == NVME_FAULT_FATAL)
		assert_true(l->st == E_FATAL);
}

static void test_every_command(void **state)
{
	u64 commands, reads_;

	(void)state;
	life_count(&commands, &reads_);
	for (u32 k = 0; k < NVME_FAULTS * 3; k++) {
		enum nvme_fault fault = (enum nvme_fault)(k / 3);
		bool lasting = k % 3 == 1;

		for (u64 at = 1; at <= commands; at++) {
			struct life l;

			life_begin(&l);
			l.b.m.fault = fault;
			l.b.m.fault_at = at;
			l.b.m.fault_count = lasting ? NVME_MODEL_FOREVER : 1;
			l.b.m.loses = k % 3 == 2;
			life_live(&l);
			if (lasting)
				expect_lasting(&l, fault);
			else
				expect_single(&l, fault);
			life_end(&l);
		}
	}
}

/* Commands that are lost, once or from then on, and every way an Abort can end. */
static void test_every_abort(void **state)
{
	u64 commands, reads_;

	(void)state;
	life_count(&commands, &reads_);
	for (u32 k = 0; k < NVME_ABORTS * 2; k++) {
		for (u64 at = 1; at <= commands; at++) {
			struct life l;

			life_begin(&l);
			l.b.m.fault = NVME_FAULT_NEVER;
			l.b.m.fault_at = at;
			l.b.m.fault_count = 1 + k % 2 * 2;
			l.b.m.abort = (enum nvme_abort)(k / 2);
			l.b.m.loses = true;
			life_live(&l);
			if (k % 2 == 0)
				assert_int_equal(l.st, OK);
			life_end(&l);
		}
	}
}

/* The reset that a fault asks for does not end, or works once, at every command. */
static void test_every_reset(void **state)
{
	static const enum nvme_fault faults[] = {
		NVME_FAULT_NEVER, NVME_FAULT_CID, NVME_FAULT_FATAL, NVME_FAULT_RESET};
	u64 commands, reads_;

	(void)state;
	life_count(&commands, &reads_);
	for (u32 k = 0; k < ARRAY_SIZE(faults) * 4; k++) {
		for (u64 at = 1; at <= commands; at++) {
			struct life l;

			life_begin(&l);
			l.b.m.fault = faults[k / 4];
			l.b.m.fault_at = at;
			l.b.m.abort = NVME_ABORT_NOT;
			l.b.m.disables_ok = k % 4 == 0;
			l.b.m.enables_ok = k % 4 == 1;
			l.b.m.fault_count = k % 4 == 2 ? NVME_MODEL_FOREVER : 1;
			l.b.m.loses = k % 4 == 3;
			life_live(&l);
			if (k % 4 < 3)
				assert_int_not_equal(l.st, OK);
			else
				assert_int_equal(l.st, OK);
			life_end(&l);
		}
	}
}

static void test_every_read(void **state)
{
	u64 commands, reads_;

	(void)state;
	life_count(&commands, &reads_);
	for (u32 fault = NVME_READ_GONE; fault < NVME_READ_FAULTS; fault++) {
		for (u64 at = 1; at <= reads_; at++) {
			struct life l;

			life_begin(&l);
			l.b.m.read_fault = (enum nvme_read_fault)fault;
			l.b.m.read_fault_at = at;
			l.b.m.loses = at % 2;
			life_live(&l);
			if (fault == NVME_READ_GONE || fault == NVME_READ_BLINK)
				assert_int_equal(l.st, E_DEVICE_GONE);
			life_end(&l);
		}
	}
}

/* Its right to do DMA can not be taken from it, from some command on. */
static void test_never_silent(void **state)
{
	u64 commands, reads_;

	(void)state;
	life_count(&commands, &reads_);
	for (u64 at = 1; at <= commands; at++) {
		struct life l;

		life_begin(&l);
		l.st = open_timed(&l);
		assert_int_equal(l.st, OK);
		l.b.m.fn->master_stuck = true;
		l.b.m.fault = NVME_FAULT_FATAL;
		l.b.m.fault_at = at;
		l.st = use(&l);
		assert_int_equal(stop_timed(&l), E_DEVICE_GONE);
		assert_false(l.b.n->blk.silent);
		if (at > l.b.m.commands || l.b.n->blk.resets > 0)
			assert_true(l.st == OK || l.st == E_DEVICE_GONE);
		life_end(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_command),
		cmocka_unit_test(test_every_abort),
		cmocka_unit_test(test_every_reset),
		cmocka_unit_test(test_every_read),
		cmocka_unit_test(test_never_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
