/*
 * The virtio-blk driver against disks that misbehave at every request and every register
 * read in turn: no hang, no write elsewhere, no success for data that is not there.
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
#include "tests/model/virtio_bench.h"

#define WRITES	  6
#define FIRST_LBA 64u
#define PAGE_LBAS 8u
#define READ_US	  100000ull
/* Two deadlines, one reset in between, those of start and end, and the reads of a good life. */
#define LIFE_US (2 * VIRTIO_IO_TIMEOUT_US + 3 * VIRTIO_RESET_TIMEOUT_US + 150 * READ_US)

struct life {
	struct vbench b;
	struct blk_req w[WRITES];
	u32 resets;	/* of the device, when they were sent */
	enum status st; /* the first failure */
	bool unflushed; /* that was a flush: it is not sent again */
	u64 used;	/* of the arena, before */
};

static void life_renew(struct life *l)
{
	vbench_renew(&l->b);
	l->b.m.us_per_read = READ_US;
	l->b.m.write_first = FIRST_LBA;
	l->b.m.write_end = FIRST_LBA + WRITES * PAGE_LBAS;
	l->b.m.forgets_cache = true;
	for (u32 i = 0; i < VBENCH_DISK / 512; i++)
		memset(l->b.disk + i * 512, (u8)(i + 1), 512);
	memcpy(l->b.durable, l->b.disk, VBENCH_DISK);
	l->used = l->b.mc.arena.used;
	l->unflushed = false;
}

static void life_make(struct life *l)
{
	memset(l, 0, sizeof(*l));
	vbench_make(&l->b);
	life_renew(l);
}

static u64 source(const struct life *l, u32 i)
{
	return l->w[i].seg[0].pa;
}

/* Several writes at once; a write that is OK is on the disk, but for what a reset of it takes. */
static void writes(struct life *l, u64 pa)
{
	struct vbench *b = &l->b;

	l->resets = b->v->blk.resets;
	for (u32 i = 0; i < WRITES && l->st == OK; i++) {
		l->w[i] = bench_request(BLK_WRITE, FIRST_LBA + i * PAGE_LBAS, PAGE_LBAS,
			pa + i * PAGE_BYTES, PAGE_BYTES);
		l->st = b->v->blk.ops->submit(&b->v->blk, &l->w[i]);
	}
	for (u32 i = 0; i < WRITES && l->st == OK; i++)
		l->st = blk_wait(&b->v->blk, &l->w[i]);
	for (u32 i = 0; i < WRITES && l->st == OK && l->resets == b->v->blk.resets; i++)
		assert_memory_equal(b->disk + (FIRST_LBA + i * PAGE_LBAS) * 512,
			b->mc.ram + source(l, i), PAGE_BYTES);
}

/* What was read is what is there. */
static void reads(struct life *l, u64 lba, u32 blocks)
{
	struct vbench *b = &l->b;

	if (l->st != OK)
		return;
	memset(b->buf, 0, VBENCH_BUF);
	l->st = blk_read(&b->v->blk, lba, blocks, b->buf_pa + 512);
	if (l->st == OK)
		assert_memory_equal(b->buf + 512, b->disk + lba * 512, blocks * 512);
}

/* After a flush that is OK it stays there, whatever happens. */
static void flushes(struct life *l)
{
	struct blk_req f = {.op = BLK_FLUSH};
	struct vbench *b = &l->b;

	if (l->st != OK)
		return;
	l->st = bench_run(&b->v->blk, &f);
	l->unflushed = l->st == E_WRITE;
	for (u32 i = 0; i < WRITES && l->st == OK && b->v->blk.resets == l->resets; i++)
		assert_memory_equal(b->durable + (FIRST_LBA + i * PAGE_LBAS) * 512,
			b->mc.ram + source(l, i), PAGE_BYTES);
}

/* A whole life; its end is checked. */
static void live(struct life *l)
{
	struct vbench *b = &l->b;
	u64 start = clock_us();
	enum status stopped = OK;

	l->st = vbench_open(b);
	if (b->v && l->st == OK)
		l->st = virtio_select(&b->v->blk, 0);
	if (l->st == OK) {
		writes(l, MACHINE_OLD_PA);
		reads(l, FIRST_LBA, 40);
		flushes(l);
		reads(l, 1, 1);
		writes(l, MACHINE_OLD_PA + 64 * KIB);
		flushes(l);
	}
	if (b->v) {
		stopped = vbench_stop(b);
		assert_true(b->v->blk.silent || b->m.read_fault == VIRTIO_READ_STUCK);
		assert_int_not_equal(b->v->blk.dead, OK);
		assert_true(b->v->blk.resets <= 1);
	}
	assert_true(clock_us() - start < LIFE_US);
	assert_false(pci_model_masters(b->m.fn));
	l->st = l->st == OK ? stopped : l->st;
}

/* What a fault at one request must come to; OK: it is lived through. */
static void judge(const struct life *l, enum virtio_fault fault, bool always)
{
	u32 resets = l->b.v->blk.resets;

	switch (fault) {
	case VIRTIO_FAULT_GONE:
		assert_int_equal(l->st, E_DEVICE_GONE);
		return;
	case VIRTIO_FAULT_SHRINK:
	case VIRTIO_FAULT_UNSUPP:
		assert_true(l->st == OK || l->st == E_READ || l->st == E_WRITE);
		break;
	case VIRTIO_FAULT_IOERR:
	case VIRTIO_FAULT_ODD_STATUS:
	case VIRTIO_FAULT_SHORT:
		assert_true(l->st == OK || l->unflushed ||
			    (always && (l->st == E_READ || l->st == E_WRITE)));
		break;
	case VIRTIO_FAULT_LATE:
		assert_int_equal(l->st, OK);
		break;
	case VIRTIO_FAULT_NEVER:
		assert_int_equal(l->st, always ? E_TIMEOUT : OK);
		assert_int_equal(resets, 1);
		return;
	case VIRTIO_FAULT_NO_STATUS:
	case VIRTIO_FAULT_ID_UNKNOWN:
	case VIRTIO_FAULT_ID_FREE:
	case VIRTIO_FAULT_BACK:
	case VIRTIO_FAULT_NEEDS_RESET:
	case VIRTIO_FAULT_FORGETS:
		assert_int_equal(l->st, always ? E_FATAL : OK);
		assert_int_equal(resets, 1);
		return;
	default: /* noticed, or nobody looked again */
		assert_true(l->st == OK || (always && l->st == E_FATAL));
		return;
	}
	assert_int_equal(resets, 0);
}

static void test_fault_at_every_request(void **state)
{
	struct life l;
	u64 commands;

	(void)state;
	life_make(&l);
	live(&l);
	assert_int_equal(l.st, OK);
	assert_int_equal(l.b.v->blk.resets, 0);
	commands = l.b.m.commands;
	assert_true(commands >= 2 * WRITES + 5);
	for (u32 run = 0; run < VIRTIO_FAULTS * commands * 8; run++) {
		enum virtio_fault fault = run / 8 % VIRTIO_FAULTS;

		if (fault == VIRTIO_FAULT_NONE)
			continue;
		vbench_check(&l.b);
		life_renew(&l);
		l.b.m.fault = fault;
		l.b.m.fault_at = run / 8 / VIRTIO_FAULTS + 1;
		l.b.m.fault_count = run & 1 ? VIRTIO_MODEL_FOREVER : 1;
		l.b.m.features ^= run & 2 ? VIRTIO_F_INDIRECT_DESC : 0;
		l.b.m.delay_reads = run & 4 ? 1 : 0;
		l.b.m.lifo = run & 4;
		l.b.m.counts_data_only = run & 4;
		live(&l);
		judge(&l, fault, run & 1);
	}
	vbench_free(&l.b);
}

static void test_fault_at_every_read(void **state)
{
	struct life l;
	u64 reads_total;

	(void)state;
	life_make(&l);
	l.b.m.delay_reads = 1;
	live(&l);
	assert_int_equal(l.st, OK);
	reads_total = l.b.m.reads;
	for (u32 fault = VIRTIO_READ_GONE; fault < VIRTIO_READ_FAULTS; fault++) {
		for (u64 at = 1; at <= reads_total; at++) {
			vbench_check(&l.b);
			life_renew(&l);
			l.b.m.delay_reads = 1;
			l.b.m.read_fault = (enum virtio_read_fault)fault;
			l.b.m.read_fault_at = at;
			live(&l);
			if (fault == VIRTIO_READ_GONE)
				assert_int_equal(l.st, E_DEVICE_GONE);
			/* All ones can be what a limit or the generation is. */
			if (fault == VIRTIO_READ_BLINK && l.st != E_DEVICE_GONE)
				assert_int_equal(l.st, OK);
			/* But for the reads of the last reset. */
			if (fault == VIRTIO_READ_STUCK && at + 4 <= reads_total)
				assert_int_equal(l.st, E_READY);
			if (fault == VIRTIO_READ_SICK || fault == VIRTIO_READ_ZERO)
				assert_true(l.st != OK || at + 4 > reads_total);
			/* One that was in use is brought back; one that starts is not. */
			if ((fault == VIRTIO_READ_NEEDS_RESET || fault == VIRTIO_READ_FORGETS) &&
				l.b.v)
				assert_int_equal(l.st, OK);
			/* Memory comes back from what lets go of it only. */
			if (!l.b.v)
				assert_true(l.b.mc.arena.used != l.used || !l.b.m.queue_live);
		}
	}
	vbench_free(&l.b);
}

/* What fails is tried once more, unless the disk does not know it; the disk lives on. */
static void test_retry(void **state)
{
	static const struct {
		enum virtio_fault fault;
		u32 count, tries;
		bool ok;
	} runs[] = {{VIRTIO_FAULT_IOERR, 1, 1, true}, {VIRTIO_FAULT_IOERR, 2, 2, false},
		{VIRTIO_FAULT_ODD_STATUS, 2, 2, false}, {VIRTIO_FAULT_UNSUPP, 2, 1, false}};
	static const enum blk_op ops[] = {BLK_READ, BLK_WRITE};

	(void)state;
	for (u32 i = 0; i < 2 * ARRAY_SIZE(runs); i++) {
		enum blk_op op = ops[i % 2];
		struct blk_req r;
		struct life l;

		life_make(&l);
		assert_int_equal(vbench_open_all(&l.b), OK);
		l.b.m.fault = runs[i / 2].fault;
		l.b.m.fault_at = l.b.m.commands + 1;
		l.b.m.fault_count = runs[i / 2].count;
		r = bench_request(op, FIRST_LBA, 8, l.b.buf_pa, 4096);
		assert_int_equal(bench_run(&l.b.v->blk, &r), runs[i / 2].ok   ? OK
							     : op == BLK_READ ? E_READ
									      : E_WRITE);
		assert_int_equal(l.b.m.failed, runs[i / 2].tries);
		l.b.m.fault = VIRTIO_FAULT_NONE;
		assert_int_equal(bench_run(&l.b.v->blk, &r), OK);
		assert_int_equal(l.b.v->blk.resets, 0);
		assert_int_equal(vbench_stop(&l.b), OK);
		vbench_free(&l.b);
	}
}

/* Two faults, the second after the reset for the first: dead, and a reset is not tried again. */
static void test_second_fault_is_the_end(void **state)
{
	static const enum virtio_fault faults[] = {VIRTIO_FAULT_NEVER, VIRTIO_FAULT_NO_STATUS,
		VIRTIO_FAULT_ID_UNKNOWN, VIRTIO_FAULT_NEEDS_RESET};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(faults); i++) {
		enum status want = faults[i] == VIRTIO_FAULT_NEVER ? E_TIMEOUT : E_FATAL;
		struct life l;
		struct blk_req other = bench_request(BLK_READ, 0, 8, 0, 4096);
		u64 start;

		life_make(&l);
		assert_int_equal(vbench_open_all(&l.b), OK);
		l.b.m.fault = faults[i];
		l.b.m.fault_at = l.b.m.commands + 1;
		l.b.m.fault_count = 2;
		start = clock_us();
		assert_int_equal(blk_read(&l.b.v->blk, 0, 8, l.b.buf_pa), want);
		if (want == E_TIMEOUT)
			assert_in_range(clock_us() - start, 2 * VIRTIO_IO_TIMEOUT_US,
				2 * VIRTIO_IO_TIMEOUT_US + 60 * READ_US);
		assert_int_equal(l.b.v->blk.resets, 1);
		assert_int_equal(l.b.v->blk.dead, want);
		other.seg[0].pa = l.b.buf_pa;
		assert_int_equal(l.b.v->blk.ops->submit(&l.b.v->blk, &other), want);
		assert_int_equal(l.b.v->blk.ops->poll(&l.b.v->blk), want);
		assert_int_not_equal(virtio_select(&l.b.v->blk, 0), OK);
		assert_true(pci_model_masters(l.b.m.fn));
		assert_int_equal(vbench_stop(&l.b), want);
		assert_true(l.b.v->blk.silent);
		vbench_free(&l.b);
	}
}

/* One lost request is noticed although others keep completing; what is finished is not repeated. */
static void test_starved(void **state)
{
	struct life l;
	struct blk_req lost, r;
	enum status st = OK;
	u32 i;

	(void)state;
	life_make(&l);
	l.b.m.us_per_read = 1;
	assert_int_equal(vbench_open_all(&l.b), OK);
	l.b.m.fault = VIRTIO_FAULT_NEVER;
	l.b.m.fault_at = l.b.m.commands + 1;
	lost = bench_request(BLK_READ, 0, 8, l.b.buf_pa, 4096);
	assert_int_equal(blk_submit(&l.b.v->blk, &lost), OK);
	for (i = 0; i < 2000 && st == OK && !lost.done; i++) {
		host_clock_advance_us(30000);
		r = bench_request(BLK_READ, 8, 8, l.b.buf_pa + 4096, 4096);
		st = bench_run(&l.b.v->blk, &r);
	}
	assert_int_equal(st, OK);
	assert_int_equal(lost.status, OK);
	assert_in_range(i, 990, 1010);
	assert_int_equal(l.b.m.commands, i + 3); /* id, the lost one, and that again */
	assert_int_equal(vbench_stop(&l.b), OK);
	vbench_free(&l.b);
}

/* After its reset the disk is another one: nothing more is written to it. */
static void test_another_after_reset(void **state)
{
	(void)state;
	for (u32 i = 0; i < 8; i++) {
		struct life l;
		struct virtio_model *m = &l.b.m;
		struct blk_req r;

		life_make(&l);
		assert_int_equal(vbench_open_all(&l.b), OK);
		m->fault = VIRTIO_FAULT_NO_STATUS;
		m->fault_at = m->commands + 1;
		r = bench_request(BLK_READ, 0, 8, l.b.buf_pa, 4096);
		assert_int_equal(blk_submit(&l.b.v->blk, &r), OK);
		m->sectors -= i == 0;
		m->blk_size = i == 1 ? 4096 : 512;
		m->features ^= i == 2 ? VIRTIO_BLK_F_FLUSH : 0;
		m->features_hi |= i == 3 ? VIRTIO_F_HI_ACCESS_PLATFORM : 0;
		m->queue_max = i == 4 ? 16 : 256;
		m->notify_unit = i == 5 ? 2 : 3;
		m->seg_max -= i == 6;
		m->features_refused = i == 7;
		assert_int_equal(blk_wait(&l.b.v->blk, &r), i == 7 ? E_READY : E_FATAL);
		assert_false(r.done);
		assert_int_equal(m->commands, 2);
		assert_int_equal(vbench_stop(&l.b), i == 7 ? E_READY : E_FATAL);
		vbench_free(&l.b);
	}
}

/* What a flush could not keep is lost, and the next one would not tell. */
static void test_flush_is_not_repeated(void **state)
{
	struct life l;
	struct blk_req f = {.op = BLK_FLUSH};

	(void)state;
	life_make(&l);
	assert_int_equal(vbench_open_all(&l.b), OK);
	l.b.m.fault = VIRTIO_FAULT_IOERR;
	l.b.m.fault_at = l.b.m.commands + 1;
	assert_int_equal(bench_run(&l.b.v->blk, &f), E_WRITE);
	assert_int_equal(l.b.m.flushes, 0);
	assert_int_equal(bench_run(&l.b.v->blk, &f), OK);
	assert_int_equal(vbench_stop(&l.b), OK);
	vbench_free(&l.b);
}

/* A host that does not reset it may still carry out what was asked for. */
static void test_not_reset_is_not_silent(void **state)
{
	struct life l;
	struct blk_req r;

	(void)state;
	life_make(&l);
	assert_int_equal(vbench_open_all(&l.b), OK);
	l.b.m.fault = VIRTIO_FAULT_NEVER;
	l.b.m.fault_at = l.b.m.commands + 1;
	l.b.m.reset_stuck = true;
	r = bench_request(BLK_READ, 0, 8, l.b.buf_pa, 4096);
	assert_int_equal(bench_run(&l.b.v->blk, &r), E_READY);
	assert_int_equal(vbench_stop(&l.b), E_READY);
	assert_false(l.b.v->blk.silent);
	assert_false(pci_model_masters(l.b.m.fn));
	vbench_free(&l.b);
}

/* DMA that can not be taken away is said so. */
static void test_not_silent(void **state)
{
	struct life l;

	(void)state;
	life_make(&l);
	assert_int_equal(vbench_open_all(&l.b), OK);
	l.b.m.fn->master_stuck = true;
	assert_int_equal(vbench_stop(&l.b), E_DEVICE_GONE);
	assert_false(l.b.v->blk.silent);
	vbench_free(&l.b);
	life_make(&l);
	assert_int_equal(vbench_open_all(&l.b), OK);
	l.b.m.fn->gone = l.b.m.gone = true;
	assert_int_equal(blk_read(&l.b.v->blk, 0, 8, l.b.buf_pa), E_DEVICE_GONE);
	assert_int_equal(vbench_stop(&l.b), E_DEVICE_GONE);
	assert_false(l.b.v->blk.silent);
	vbench_free(&l.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_at_every_request),
		cmocka_unit_test(test_fault_at_every_read),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_second_fault_is_the_end),
		cmocka_unit_test(test_starved),
		cmocka_unit_test(test_another_after_reset),
		cmocka_unit_test(test_flush_is_not_repeated),
		cmocka_unit_test(test_not_reset_is_not_silent),
		cmocka_unit_test(test_not_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
