/*
 * Reads, more writes than there are slots, flush, reads of what was written, a bad sector
 * among some more writes, flush, stop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ahci_life.h"
#include "ports.h"
#include "tests/host/ports_mem.h"

#define BLOCK_BYTES  512u
#define WRITE_BLOCKS 8u
#define WRITE_BYTES  (WRITE_BLOCKS * BLOCK_BYTES)
#define FIRST_LBA    64u
#define BAD_AREA     (FIRST_LBA + LIFE_WRITES * WRITE_BLOCKS)
#define LATER_AREA   (BAD_AREA + WRITE_BLOCKS)
#define END_LBA	     (LATER_AREA + LIFE_LATER * WRITE_BLOCKS)
#define WRITES_ALL   (LIFE_WRITES + LIFE_LATER)
#define SLOW_READ_US 40000u

static void must(const struct life *l, bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "AHCI life: %s; fault %u at %llu, read fault %u at %llu\n", what,
		l->b.m.fault, (unsigned long long)l->b.m.fault_at, l->b.m.read_fault,
		(unsigned long long)l->b.m.read_fault_at);
	abort();
}

static bool alive(const struct life *l)
{
	return l->b.blk->dead == OK;
}

static bool same(const struct blk_req *r, const u8 *disk)
{
	return memcmp(disk + r->lba * BLOCK_BYTES, host_ram_at(r->seg[0].pa, WRITE_BYTES),
		       WRITE_BYTES) == 0;
}

/* What has just ended well must be where it belongs. */
static void look(struct life *l, struct life_req *t)
{
	if (t->seen || !t->r.done)
		return;
	t->seen = true;
	/* Power that was lost meanwhile may have taken it away after it had arrived. */
	if (t->r.status != OK || t->losses != l->b.m.power_losses)
		return;
	must(l, same(&t->r, l->b.disk[0]), "OK, but the data did not arrive");
	l->writes_ok += t->r.op == BLK_WRITE;
	l->reads_ok += t->r.op == BLK_READ;
}

static enum status poll(struct life *l)
{
	enum status st = l->b.blk->ops->poll(l->b.blk);

	for (u32 i = 0; i < WRITES_ALL; i++)
		look(l, &l->w[i]);
	return st;
}

/* A flush that ends well: every write that did so before is kept, or blk.resets tells. */
static void flush(struct life *l)
{
	struct blk_req f = {.op = BLK_FLUSH};
	bool told = l->b.blk->resets > 0;
	enum status st = bench_run(l->b.blk, &f);

	l->flushes_failed += st == E_WRITE;
	if (st != OK)
		return;
	told = (told || l->b.blk->resets > 0) && l->b.m.power_losses > 0;
	for (u32 i = 0; i < WRITES_ALL && !told; i++) {
		const struct blk_req *r = &l->w[i].r;

		if (r->done && r->status == OK)
			must(l, same(r, l->b.kept[0]), "flushed, but not kept");
	}
	l->flushes_ok++;
}

/* Hands @t to the driver; writes that fail are looked at later, the device's end now. */
static enum status submit(struct life *l, struct life_req *t)
{
	struct blk *blk = l->b.blk;
	enum status st;

	t->losses = l->b.m.power_losses;
	while ((st = blk->ops->submit(blk, &t->r)) == E_BUSY) {
		st = poll(l);
		if (st != OK)
			return st;
	}
	return st;
}

static void drain(struct life *l)
{
	enum status st = OK;

	while (l->b.blk->inflight > 0 && st == OK)
		st = poll(l);
}

/* Writes @first .. @end - 1 to @lba and on. */
static void write_many(struct life *l, u32 first, u32 end, u64 lba, u64 from_pa)
{
	enum status st = OK;

	for (u32 i = first; i < end && st == OK; i++) {
		struct life_req *t = &l->w[i];

		t->r = bench_request(BLK_WRITE, lba + (i - first) * WRITE_BLOCKS, WRITE_BLOCKS,
			from_pa + i * WRITE_BYTES / 2, WRITE_BYTES);
		st = submit(l, t);
	}
}

static enum status one(struct life *l, enum blk_op op, u64 lba, u64 pa)
{
	struct life_req t = {.r = bench_request(op, lba, WRITE_BLOCKS, pa, WRITE_BYTES),
		.losses = l->b.m.power_losses};
	enum status st;

	memset(l->b.buf, 0, AHCI_BUF_BYTES);
	st = bench_run(l->b.blk, &t.r);
	look(l, &t);
	return st;
}

/* Some writes, of which nobody has asked yet that they be kept, and a bad sector among them. */
static void use_bad_sector(struct life *l, u64 pa)
{
	const u32 half = LIFE_WRITES + LIFE_LATER / 2;
	struct life_req bad = {
		.r = bench_request(BLK_WRITE, BAD_AREA, WRITE_BLOCKS, pa, WRITE_BYTES)};

	write_many(l, LIFE_WRITES, half, LATER_AREA, pa);
	drain(l);
	if (alive(l) && submit(l, &bad) == OK) {
		write_many(l, half, WRITES_ALL, LATER_AREA + LIFE_LATER / 2 * WRITE_BLOCKS, pa);
		drain(l);
		must(l, !bad.r.done || bad.r.status != OK, "a bad sector written");
	}
	if (alive(l))
		must(l, one(l, BLK_READ, BAD_AREA, l->b.buf_pa) != OK, "a bad sector read");
}

static void use(struct life *l)
{
	static const u64 reads[LIFE_READS] = {
		0, FIRST_LBA, FIRST_LBA + LIFE_WRITES / 2 * WRITE_BLOCKS, END_LBA};
	u64 pa = l->b.m.cap & CAP_S64A ? MACHINE_OLD_PA : AHCI_HIGH_PA;

	(void)one(l, BLK_READ, reads[0], l->b.buf_pa);
	if (alive(l))
		write_many(l, 0, LIFE_WRITES, FIRST_LBA, pa);
	if (alive(l))
		drain(l);
	if (alive(l))
		flush(l);
	for (u32 i = 1; i < LIFE_READS && alive(l); i++)
		(void)one(l, BLK_READ, reads[i], l->b.buf_pa + i * WRITE_BYTES);
	if (alive(l))
		use_bad_sector(l, pa);
	if (alive(l))
		flush(l);
}

static enum status live(struct life *l)
{
	enum status st = ahci_bench_open(&l->b);
	enum status stopped;

	if (st != OK)
		return st;
	st = l->b.blk->ops->select(l->b.blk, 0);
	l->selected = st == OK;
	if (st == OK)
		use(l);
	if (!alive(l))
		st = l->b.blk->dead;
	stopped = ahci_bench_stop(&l->b);
	must(l, l->b.blk->silent == !pci_model_masters(l->b.m.fn), "blk.silent does not tell");
	must(l, l->b.blk->resets < 2, "reset more than once");
	return st == OK ? stopped : st;
}

void life_make(struct life *l, enum life_shape shape)
{
	struct ahci_model_disk *d;

	memset(l, 0, sizeof(*l));
	ahci_bench_one(&l->b, BLOCK_BYTES);
	d = &l->b.m.port[0].disk;
	d->bad_lba = BAD_AREA + 3;
	d->write_first = FIRST_LBA;
	d->write_end = END_LBA;
	if (shape == LIFE_NO_NCQ)
		d->depth = 0;
	if (shape == LIFE_NO_S64A)
		l->b.m.cap &= ~CAP_S64A;
	l->b.m.us_per_read = SLOW_READ_US;
	l->b.m.command_us = 3 * SLOW_READ_US;
	l->b.m.spread_us = 4 * SLOW_READ_US;
}

enum status life_run(struct life *l)
{
	u64 start = clock_us();
	enum status st = live(l);

	l->took_us = clock_us() - start;
	must(l, l->took_us < LIFE_US, "too long");
	if (!l->b.m.fn->master_stuck)
		must(l, !pci_model_masters(l->b.m.fn), "bus mastering left on");
	ahci_bench_free(&l->b);
	return st;
}
