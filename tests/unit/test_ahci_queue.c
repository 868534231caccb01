/*
 * The AHCI driver's queue: thousands of requests that end in any order, flushes among them,
 * memory that the HBA can not address, deadlines, retries, the one reset.
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

#define AREA_BLOCKS 16u /* of the disk, for one request */
#define AREAS	    (AHCI_DISK_BYTES / 512 / AREA_BLOCKS)
#define IN_FLIGHT   48u
#define REQUESTS    20000u

struct flight {
	struct blk_req r;
	bool on;
};

struct storm {
	struct ahci_bench b;
	struct flight f[IN_FLIGHT];
	u8 shadow[AHCI_DISK_BYTES];
	bool busy[AREAS];
	u32 flushes;
	u64 seed;
};

static u32 random_below(struct storm *s, u32 below)
{
	s->seed = s->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(s->seed >> 33) % below;
}

/* Whatever a flush that has ended covers must be kept: all that had ended when it was sent. */
static void settle(struct storm *s, struct flight *f)
{
	struct blk_req *r = &f->r;

	if (!f->on || !r->done)
		return;
	assert_int_equal(r->status, OK);
	f->on = false;
	if (r->op == BLK_FLUSH) {
		s->flushes++;
		return;
	}
	s->busy[r->lba / AREA_BLOCKS] = false;
	if (r->op == BLK_READ)
		assert_memory_equal(host_ram_at(r->seg[0].pa, r->seg[0].bytes),
			s->shadow + r->lba * 512, r->seg[0].bytes);
	else
		memcpy(s->shadow + r->lba * 512, host_ram_at(r->seg[0].pa, r->seg[0].bytes),
			r->seg[0].bytes);
}

static void settle_all(struct storm *s)
{
	assert_int_equal(s->b.blk->ops->poll(s->b.blk), OK);
	for (u32 i = 0; i < IN_FLIGHT; i++)
		settle(s, &s->f[i]);
}

static void fly(struct storm *s, u32 n)
{
	struct flight *f = &s->f[n];
	u32 area = random_below(s, AREAS), what = random_below(s, 40);
	u32 blocks = 1 + random_below(s, AREA_BLOCKS - 1), skip;
	enum status st;
	u64 pa;

	if (f->on || s->busy[area])
		return;
	skip = random_below(s, AREA_BLOCKS - blocks + 1);
	pa = what < 20 ? MACHINE_OLD_PA + random_below(s, AHCI_OLD_BYTES - 8192) / 4 * 4
		       : s->b.buf_pa + (n % 16) * 8192;
	f->r = bench_request(what < 20 ? BLK_WRITE : BLK_READ, area * AREA_BLOCKS + skip, blocks,
		pa, blocks * 512);
	if (what == 39)
		f->r = (struct blk_req) {.op = BLK_FLUSH};
	for (u32 i = 0; i < IN_FLIGHT && what >= 20 && what < 39; i++) {
		if (s->f[i].on && i % 16 == n % 16)
			return; /* its buffer is in use */
	}
	while ((st = s->b.blk->ops->submit(s->b.blk, &f->r)) == E_BUSY)
		settle_all(s);
	assert_int_equal(st, OK);
	f->on = true;
	s->busy[area] = what < 39;
}

static void storm(u32 depth, u32 spread_us, bool reverse)
{
	struct storm *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	ahci_bench_one(&s->b, 512);
	s->seed = depth + spread_us;
	s->b.m.port[0].disk.depth = depth;
	s->b.m.spread_us = spread_us;
	s->b.m.reverse = reverse;
	memcpy(s->shadow, s->b.disk[0], AHCI_DISK_BYTES);
	assert_int_equal(ahci_bench_open_all(&s->b), OK);
	for (u32 i = 0; i < REQUESTS; i++) {
		fly(s, random_below(s, IN_FLIGHT));
		if (random_below(s, 3) == 0)
			settle_all(s);
	}
	while (s->b.blk->inflight)
		settle_all(s);
	assert_true(s->flushes > 20 && s->b.m.commands > 1500);
	assert_memory_equal(s->shadow, s->b.disk[0], AHCI_DISK_BYTES);
	assert_int_equal(s->b.blk->resets, 0);
	assert_int_equal(ahci_bench_stop(&s->b), OK);
	ahci_bench_free(&s->b);
	free(s);
}

static void test_storms(void **state)
{
	(void)state;
	storm(32, 400, false);
	storm(32, 0, true);
	storm(3, 100, true);
	storm(0, 200, false);
}

/* A flush is for what had ended before; with a queue it waits for its turn. */
static void test_flush(void **state)
{
	(void)state;
	for (u32 ncq = 0; ncq < 2; ncq++) {
		struct ahci_bench b;
		struct blk_req w = bench_request(BLK_WRITE, 8, 8, MACHINE_OLD_PA, PAGE_BYTES);
		struct blk_req other = bench_request(BLK_WRITE, 80, 8, MACHINE_OLD_PA, PAGE_BYTES);
		struct blk_req f = {.op = BLK_FLUSH};

		ahci_bench_one(&b, 512);
		b.m.port[0].disk.depth = ncq ? 32 : 0;
		b.m.command_us = 500;
		assert_int_equal(ahci_bench_open_all(&b), OK);
		assert_int_equal(bench_run(b.blk, &w), OK);
		assert_memory_equal(b.disk[0] + 4096, b.mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
		assert_memory_not_equal(b.kept[0] + 4096, b.mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
		assert_int_equal(b.blk->ops->submit(b.blk, &other), OK);
		assert_int_equal(bench_run(b.blk, &f), OK);
		assert_memory_equal(b.kept[0] + 4096, b.mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
		assert_int_equal(blk_wait(b.blk, &other), OK);
		assert_int_equal(b.m.flushes, 1);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* A disk without a cache need not be asked; one that has it switched off may be. */
static void test_no_cache(void **state)
{
	struct ahci_bench b;
	struct blk_req w = bench_request(BLK_WRITE, 8, 8, MACHINE_OLD_PA, PAGE_BYTES);
	struct blk_req f = {.op = BLK_FLUSH};

	(void)state;
	ahci_bench_one(&b, 512);
	b.m.port[0].disk.no_wcache = true;
	b.m.port[0].disk.wcache = false;
	assert_int_equal(ahci_bench_open_all(&b), OK);
	assert_int_equal(bench_run(b.blk, &w), OK);
	assert_int_equal(bench_run(b.blk, &f), OK);
	assert_memory_equal(b.kept[0] + 4096, b.mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
	assert_int_equal(ahci_bench_stop(&b), OK);
	ahci_bench_free(&b);
}

/* Old memory above 4 GiB through an HBA that has only 32 address bits. */
static void test_bounce(void **state)
{
	(void)state;
	for (u32 ncq = 0; ncq < 2; ncq++) {
		struct ahci_bench b;
		struct blk_req r[16];
		u32 bytes;

		ahci_bench_one(&b, 512);
		b.m.cap &= ~CAP_S64A;
		b.m.port[0].disk.depth = ncq ? 32 : 0;
		b.m.spread_us = 300;
		assert_int_equal(ahci_bench_open_all(&b), OK);
		bytes = b.blk->max_bytes;
		assert_in_range(bytes, 8192, 68 * KIB);
		for (u32 i = 0; i < ARRAY_SIZE(r); i++) {
			u64 pa = AHCI_HIGH_PA + i * 8192;

			r[i] = bench_request(BLK_WRITE, i * 16, 16, pa, 8192);
			if (i % 4 == 1) /* one page high, one low */
				r[i].seg[0].bytes = PAGE_BYTES;
			if (i % 4 == 1)
				r[i].nsegs = 2;
			r[i].seg[1] = (struct blk_seg) {MACHINE_OLD_PA + i * 8192, PAGE_BYTES};
			if (i % 4 == 2) /* the boundary itself, from below */
				r[i].seg[0].pa = MACHINE_OLD_PA;
			while (b.blk->ops->submit(b.blk, &r[i]) == E_BUSY)
				assert_int_equal(b.blk->ops->poll(b.blk), OK);
		}
		while (b.blk->inflight)
			assert_int_equal(b.blk->ops->poll(b.blk), OK);
		for (u32 i = 0; i < ARRAY_SIZE(r); i++) {
			const u8 *at = b.disk[0] + i * 8192;

			for (u32 k = 0; k < r[i].nsegs; k++) {
				const struct blk_seg *g = &r[i].seg[k];

				assert_memory_equal(at, host_ram_at(g->pa, g->bytes), g->bytes);
				at += g->bytes;
			}
		}
		assert_int_equal(blk_read(b.blk, 0, 16, b.buf_pa), OK);
		assert_memory_equal(b.buf, b.high, 8192);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* A failed request is sent once more; then it has failed, and the device lives. */
static void test_retry(void **state)
{
	(void)state;
	for (u32 i = 0; i < 8; i++) {
		enum blk_op op = i & 1 ? BLK_WRITE : BLK_READ;
		bool twice = i & 2, ncq = i & 4;
		struct ahci_bench b;
		struct blk_req r;

		ahci_bench_one(&b, 512);
		b.m.port[0].disk.depth = ncq ? 32 : 0;
		assert_int_equal(ahci_bench_open_all(&b), OK);
		b.m.fault = AHCI_FAULT_ERROR;
		b.m.fault_at = b.m.commands + 1;
		b.m.port[0].disk.bad_lba = twice ? 12 : UINT64_MAX;
		r = bench_request(op, 10, 8, b.buf_pa, 4096);
		assert_int_equal(bench_run(b.blk, &r), !twice		? OK
						       : op == BLK_READ ? E_READ
									: E_WRITE);
		assert_int_equal(b.m.failed, twice ? 2 : 1);
		assert_int_equal(b.blk->dead, OK);
		assert_int_equal(b.blk->resets, 0);
		assert_int_equal(b.blk->inflight, 0);
		r = bench_request(op, 20, 8, b.buf_pa, 4096);
		assert_int_equal(bench_run(b.blk, &r), OK);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* Of many in flight only the one on the bad sector fails, whichever it is. */
static void test_one_of_many_fails(void **state)
{
	(void)state;
	for (u32 i = 0; i < 2 * 31; i++) {
		struct ahci_bench b;
		struct blk_req r[31];
		u32 bad = i % 31;

		ahci_bench_one(&b, 512);
		b.m.port[0].disk.depth = i < 31 ? 32 : 0;
		b.m.port[0].disk.bad_lba = bad * 8 + 5;
		b.m.spread_us = 100;
		assert_int_equal(ahci_bench_open_all(&b), OK);
		for (u32 k = 0; k < 31; k++) {
			r[k] = bench_request(BLK_WRITE, k * 8, 8, MACHINE_OLD_PA + k * 4096, 4096);
			assert_int_equal(b.blk->ops->submit(b.blk, &r[k]), OK);
		}
		while (b.blk->inflight)
			assert_int_equal(b.blk->ops->poll(b.blk), OK);
		for (u32 k = 0; k < 31; k++) {
			assert_int_equal(r[k].status, k == bad ? E_WRITE : OK);
			if (k != bad)
				assert_memory_equal(b.disk[0] + k * 4096,
					b.mc.ram + MACHINE_OLD_PA + k * 4096, 4096);
		}
		assert_int_equal(b.blk->resets, 0);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storms),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_no_cache),
		cmocka_unit_test(test_bounce),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_one_of_many_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
