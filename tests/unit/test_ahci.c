/*
 * The AHCI driver against good HBAs and disks of every shape: identify data, transfers, queues,
 * flushes, block sizes, many ports.
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

static void test_open_identifies(void **state)
{
	struct ahci_bench b;
	u64 used;

	(void)state;
	ahci_bench_one(&b, 512);
	used = b.mc.arena.used;
	assert_int_equal(ahci_bench_open_all(&b), OK);
	assert_string_equal(b.blk->name, "ahci 00:1f.2 port 0");
	assert_string_equal(b.blk->id, "ata A? fa-0 MODEL DRIVE");
	assert_int_equal(b.blk->disks, 1);
	assert_int_equal(b.blk->blocks, AHCI_DISK_BYTES / 512);
	assert_int_equal(b.blk->block_bytes, 512);
	assert_int_equal(b.blk->max_bytes, 68 * KIB);
	assert_int_equal(b.blk->depth, AHCI_SLOTS);
	assert_int_equal(b.blk->resets, 0);
	assert_true(b.mc.arena.used - used <= 24 * KIB);
	assert_true(pci_model_masters(b.m.fn));
	assert_false(b.m.ghc & GHC_IE);
	assert_int_equal(b.m.port[0].ie, 0);
	assert_int_equal(b.m.fn->status_written, 0);
	assert_int_equal(ahci_bench_stop(&b), OK);
	assert_false(b.m.port[0].cmd & (CMD_ST | CMD_CR | CMD_FRE | CMD_FR));
	assert_true(b.blk->silent);
	assert_false(pci_model_masters(b.m.fn));
	assert_int_not_equal(b.blk->dead, OK);
	ahci_bench_free(&b);

	ahci_bench_one(&b, 512);
	b.m.port[0].disk.wwn = 0x5000c500a1b2c3d4ull;
	assert_int_equal(ahci_bench_open_all(&b), OK);
	assert_string_equal(b.blk->id, "ata 5000c500a1b2c3d4");
	ahci_bench_free(&b);
}

/* Segments from all over old memory, first one inside a page, land on disk in order. */
static void write_mixed(struct ahci_bench *b, u32 first_bytes, u32 pages, u64 lba)
{
	u32 bs = b->blk->block_bytes;
	u32 total = first_bytes + pages * PAGE_BYTES;
	struct blk_req r = {.op = BLK_WRITE, .lba = lba, .blocks = total / bs, .nsegs = 1};
	u8 *at = b->disk[0] + lba * bs;
	u64 pa = MACHINE_OLD_PA + 0x10000;

	r.seg[0].pa = MACHINE_OLD_PA + PAGE_BYTES - first_bytes % PAGE_BYTES;
	r.seg[0].bytes = first_bytes;
	for (u32 left = pages; left > 0 && r.nsegs < BLK_MAX_SEGS; r.nsegs++) {
		u32 n = r.nsegs % 3 == 2 && left > 1 ? 2 : 1;

		r.seg[r.nsegs] = (struct blk_seg) {pa, n * PAGE_BYTES};
		pa += (n + 2) * PAGE_BYTES;
		left -= n;
	}
	memset(at, 0xee, total + bs);
	assert_int_equal(bench_run(b->blk, &r), OK);
	for (u32 i = 0; i < r.nsegs; i++) {
		assert_memory_equal(at, b->mc.ram + r.seg[i].pa, r.seg[i].bytes);
		at += r.seg[i].bytes;
	}
	assert_int_equal(*at, 0xee);
}

static void test_segments(void **state)
{
	struct ahci_bench b;

	(void)state;
	for (u32 ncq = 0; ncq < 2; ncq++) {
		ahci_bench_one(&b, 512);
		b.m.port[0].disk.depth = ncq ? 32 : 0;
		assert_int_equal(ahci_bench_open_all(&b), OK);
		for (u32 pages = 0; pages <= 16; pages++) {
			write_mixed(&b, 512, pages, pages * 7);
			write_mixed(&b, 3584, pages, 100 + pages);
			write_mixed(&b, 4096, pages, 700 + pages);
		}
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

static void test_block_sizes(void **state)
{
	static const u32 sizes[] = {512, 4096};

	(void)state;
	for (u32 i = 0; i < 4; i++) {
		u32 bs = sizes[i % 2], offset = bs == 512 ? 1536 : 0;
		struct ahci_bench b;
		struct blk_req r;

		ahci_bench_one(&b, bs);
		b.m.port[0].disk.depth = i < 2 ? 32 : 0;
		assert_int_equal(ahci_bench_open_all(&b), OK);
		assert_int_equal(b.blk->block_bytes, bs);
		assert_int_equal(b.blk->blocks, AHCI_DISK_BYTES / bs);
		r = bench_request(BLK_WRITE, 3, 68 * KIB / bs, MACHINE_OLD_PA + offset, 68 * KIB);
		assert_int_equal(bench_run(b.blk, &r), OK);
		assert_memory_equal(
			b.disk[0] + 3 * bs, b.mc.ram + MACHINE_OLD_PA + offset, 68 * KIB);
		assert_int_equal(blk_read(b.blk, 3, 68 * KIB / bs, b.buf_pa + offset), OK);
		assert_memory_equal(b.buf + offset, b.mc.ram + MACHINE_OLD_PA + offset, 68 * KIB);
		/* The last block, and not one more. */
		assert_int_equal(blk_read(b.blk, b.blk->blocks - 1, 1, b.buf_pa), OK);
		assert_memory_equal(b.buf, b.disk[0] + AHCI_DISK_BYTES - bs, bs);
		assert_int_equal(blk_read(b.blk, b.blk->blocks, 1, b.buf_pa), E_INVAL);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

/* High addresses of the disk: every byte of an LBA is in its place. */
static void test_large_disk(void **state)
{
	static const u64 lbas[] = {0xffffff, 0x1000000, 0xfffffff, 0x10000000, 0xffffffffull,
		0x100000000ull, 0xfedcba987654ull};

	(void)state;
	for (u32 ncq = 0; ncq < 2; ncq++) {
		for (u32 i = 0; i < ARRAY_SIZE(lbas); i++) {
			struct ahci_bench b;

			ahci_bench_one(&b, 512);
			b.m.port[0].disk.depth = ncq ? 32 : 0;
			b.m.port[0].disk.blocks = 0xffffffffffffull;
			b.m.port[0].disk.first_lba = lbas[i];
			assert_int_equal(ahci_bench_open_all(&b), OK);
			assert_int_equal(b.blk->blocks, 0xffffffffffffull);
			assert_int_equal(blk_read(b.blk, lbas[i] + 2, 3, b.buf_pa), OK);
			assert_memory_equal(b.buf, b.disk[0] + 2 * 512, 3 * 512);
			ahci_bench_free(&b);
		}
	}
}

static void test_formats(void **state)
{
	struct ahci_bench b;

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		ahci_bench_one(&b, i == 0 ? 528 : 512);
		b.m.port[0].disk.no_lba48 = i == 1;
		if (i == 2)
			b.m.port[0].disk.blocks = 0;
		assert_int_equal(ahci_bench_open_all(&b), E_FORMAT);
		assert_int_equal(b.blk->dead, OK);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
	ahci_bench_one(&b, 512);
	b.m.port[0].disk.no_id_checksum = true;
	assert_int_equal(ahci_bench_open_all(&b), OK);
	ahci_bench_free(&b);
}

static void expect_inval(struct ahci_bench *b, struct blk_req r)
{
	u64 commands = b->m.commands;

	assert_int_equal(b->blk->ops->submit(b->blk, &r), E_INVAL);
	assert_int_equal(b->m.commands, commands);
	assert_int_equal(b->blk->inflight, 0);
}

static void test_rules(void **state)
{
	struct ahci_bench b;
	struct blk_req good, r;

	(void)state;
	ahci_bench_one(&b, 512);
	assert_int_equal(ahci_bench_open(&b), OK);
	good = bench_request(BLK_READ, 0, 16, b.buf_pa, 2 * PAGE_BYTES);
	expect_inval(&b, good); /* no disk is selected */
	assert_int_equal(b.blk->ops->select(b.blk, 0), OK);
	assert_int_equal(bench_run(b.blk, &good), OK);
	r = good, r.seg[0].pa += 2;
	expect_inval(&b, r);
	r = good, r.seg[0].bytes -= 512;
	expect_inval(&b, r);
	r = good, r.lba = b.blk->blocks - 15;
	expect_inval(&b, r);
	r = good, r.nsegs = 0;
	expect_inval(&b, r);
	r = good, r.op = (enum blk_op)3;
	expect_inval(&b, r);
	r = bench_request(BLK_READ, 0, 144, b.buf_pa, 72 * KIB); /* more than max_bytes */
	expect_inval(&b, r);
	assert_int_equal(ahci_bench_stop(&b), OK);
	assert_int_not_equal(b.blk->ops->submit(b.blk, &good), OK);
	ahci_bench_free(&b);
}

/* What one queue is made of, and how many commands it takes. */
static void test_depths(void **state)
{
	static const struct {
		u32 slots, disk;
		bool sncq;
		u32 depth;
	} cases[] = {{32, 32, true, 31}, {32, 31, true, 31}, {32, 8, true, 8}, {32, 1, true, 1},
		{8, 32, true, 8}, {2, 32, true, 2}, {1, 32, true, 1}, {32, 32, false, 31},
		{32, 0, true, 31}, {4, 0, true, 4}, {1, 0, false, 1}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ahci_bench b;
		struct blk_req r[40];
		u32 sent = 0;

		ahci_bench_one(&b, 512);
		b.m.cap = (b.m.cap & ~(31u << 8)) | (cases[i].slots - 1) << 8;
		if (!cases[i].sncq)
			b.m.cap &= ~CAP_SNCQ;
		b.m.port[0].disk.depth = cases[i].disk;
		b.m.command_us = 200;
		assert_int_equal(ahci_bench_open_all(&b), OK);
		assert_int_equal(b.blk->depth, cases[i].depth);
		for (; sent < 40; sent++) {
			r[sent] = bench_request(
				BLK_WRITE, sent * 8, 8, MACHINE_OLD_PA + sent * 4096, 4096);
			if (b.blk->ops->submit(b.blk, &r[sent]) == E_BUSY)
				break;
		}
		assert_int_equal(sent, cases[i].depth);
		while (b.blk->inflight)
			assert_int_equal(b.blk->ops->poll(b.blk), OK);
		assert_memory_equal(b.disk[0], b.mc.ram + MACHINE_OLD_PA, sent * 4096);
		assert_int_equal(b.m.queued > 0, cases[i].sncq && cases[i].disk > 0);
		assert_int_equal(ahci_bench_stop(&b), OK);
		ahci_bench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_identifies),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_block_sizes),
		cmocka_unit_test(test_large_disk),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_depths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
