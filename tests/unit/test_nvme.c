/*
 * The NVMe driver against a good controller of every shape: transfers, rules, queues,
 * formats, namespaces.
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

static void test_open_identifies(void **state)
{
	struct bench b;
	u64 used;

	(void)state;
	bench_make(&b, 9);
	used = b.mc.arena.used;
	assert_int_equal(bench_open_all(&b), OK);
	assert_string_equal(b.n->blk.name, "nvme 00:04.0 ns 1");
	assert_string_equal(b.n->serial, "S? 20");
	assert_string_equal(b.n->blk.id, "nvme S? 20 1");
	assert_int_equal(b.n->blk.blocks, DISK_BYTES / 512);
	assert_int_equal(b.n->blk.block_bytes, 512);
	assert_int_equal(b.n->blk.max_bytes, 68 * KIB);
	assert_int_equal(b.n->blk.depth, NVME_SLOTS);
	assert_true(b.mc.arena.used - used <= 24 * KIB);
	assert_true(pci_model_masters(b.m.fn));
	assert_true(b.m.queue[1].live && !b.m.queue[1].interrupts);
	assert_int_equal(b.m.fn->status_written, 0);
	assert_int_equal(bench_stop(&b), OK);
	assert_true(b.m.shut_down);
	assert_false(pci_model_masters(b.m.fn));
	assert_false(b.m.cc & NVME_CC_EN);
	assert_int_not_equal(b.n->blk.dead, OK);
	bench_free(&b);
}

/* Segments from all over old memory, first one inside a page, land on disk in order. */
static void write_mixed(struct bench *b, u32 first_bytes, u32 pages, u64 lba)
{
	u32 bs = b->n->blk.block_bytes;
	u32 total = first_bytes + pages * PAGE_BYTES;
	struct blk_req r = {.op = BLK_WRITE, .lba = lba, .blocks = total / bs, .nsegs = 1};
	u8 *at = b->disk + lba * bs;
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
	assert_int_equal(bench_run(&b->n->blk, &r), OK);
	for (u32 i = 0; i < r.nsegs; i++) {
		assert_memory_equal(at, b->mc.ram + r.seg[i].pa, r.seg[i].bytes);
		at += r.seg[i].bytes;
	}
	assert_int_equal(*at, 0xee);
}

static void test_segments(void **state)
{
	struct bench b;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	for (u32 pages = 0; pages <= 16; pages++) {
		write_mixed(&b, 512, pages, pages * 7);
		write_mixed(&b, 3584, pages, 100 + pages);
		write_mixed(&b, 4096, pages, 1000 + pages);
	}
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

static void test_reads_what_it_wrote(void **state)
{
	static const u32 log2[] = {9, 12};

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		struct bench b;
		struct blk_req r;
		u32 offset = i ? 0 : 1536;

		bench_make(&b, log2[i]);
		assert_int_equal(bench_open_all(&b), OK);
		assert_int_equal(b.n->blk.block_bytes, 1u << log2[i]);
		/* Longest transfer from the middle of a page: 18 pages touched. */
		r = bench_request(
			BLK_WRITE, 3, (68 * KIB) >> log2[i], MACHINE_OLD_PA + offset, 68 * KIB);
		assert_int_equal(bench_run(&b.n->blk, &r), OK);
		assert_memory_equal(
			b.disk + (3u << log2[i]), b.mc.ram + MACHINE_OLD_PA + offset, 68 * KIB);
		assert_int_equal(
			blk_read(&b.n->blk, 3, (68 * KIB) >> log2[i], b.buf_pa + offset), OK);
		assert_memory_equal(b.buf + offset, b.mc.ram + MACHINE_OLD_PA + offset, 68 * KIB);
		assert_int_equal(bench_stop(&b), OK);
		bench_free(&b);
	}
}

static void expect_inval(struct bench *b, struct blk_req r)
{
	u64 commands = b->m.commands;

	assert_int_equal(b->n->blk.ops->submit(&b->n->blk, &r), E_INVAL);
	assert_int_equal(b->m.commands, commands);
	assert_int_equal(b->n->blk.inflight, 0);
}

static void test_rules(void **state)
{
	struct bench b;
	struct blk_req good;
	struct blk_req r;

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	good = bench_request(BLK_READ, 0, 16, b.buf_pa, PAGE_BYTES);
	good.nsegs = 2;
	good.seg[1] = (struct blk_seg) {b.buf_pa + 8192, PAGE_BYTES};
	r = good;
	assert_int_equal(bench_run(&b.n->blk, &r), OK);
	r = good, r.seg[1].pa += 512;
	expect_inval(&b, r);
	r = good, r.seg[0].pa += 512;
	expect_inval(&b, r);
	r = good, r.seg[0].pa += 2, r.seg[0].bytes -= 2, r.seg[1].bytes += 2;
	expect_inval(&b, r);
	r = good, r.seg[1].bytes -= 512;
	expect_inval(&b, r);
	r = good, r.seg[1].bytes = 0, r.blocks = 8;
	expect_inval(&b, r);
	r = good, r.seg[1].pa = UINT64_MAX - 4095;
	expect_inval(&b, r);
	r = good, r.nsegs = 0, r.blocks = 0;
	expect_inval(&b, r);
	r = good, r.nsegs = BLK_MAX_SEGS + 1;
	expect_inval(&b, r);
	r = good, r.lba = b.n->blk.blocks - 15;
	expect_inval(&b, r);
	r = good, r.lba = UINT64_MAX;
	expect_inval(&b, r);
	r = good, r.op = (enum blk_op)7;
	expect_inval(&b, r);
	r = bench_request(BLK_READ, 0, 137, b.buf_pa, 137 * 512);
	expect_inval(&b, r);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

/* Many in flight, completions out of order, every read checked: phases wrap often. */
static void test_thousands(void **state)
{
	struct bench b;
	struct blk_req req[NVME_SLOTS + 8];
	u64 next = 0;

	(void)state;
	bench_make(&b, 9);
	for (u64 i = 0; i < DISK_BYTES / 512; i++)
		memcpy(b.disk + i * 512, &i, sizeof(i));
	b.m.delay_reads = 2;
	b.m.lifo = true;
	assert_int_equal(bench_open_all(&b), OK);
	memset(req, 0, sizeof(req));
	while (next < 5000) {
		for (u32 i = 0; i < ARRAY_SIZE(req); i++) {
			u64 lba = (next * 37) % (DISK_BYTES / 512);

			req[i] = bench_request(BLK_READ, lba, 1, b.buf_pa + i * 512, 512);
			assert_int_equal(blk_submit(&b.n->blk, &req[i]), OK);
			assert_true(b.n->blk.inflight <= b.n->blk.depth);
			next++;
		}
		for (u32 i = 0; i < ARRAY_SIZE(req); i++) {
			assert_int_equal(blk_wait(&b.n->blk, &req[i]), OK);
			assert_memory_equal(b.buf + i * 512, &req[i].lba, sizeof(u64));
		}
		assert_int_equal(b.n->blk.inflight, 0);
	}
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
}

static void test_flush(void **state)
{
	struct bench b;
	struct blk_req r = {.op = BLK_FLUSH};

	(void)state;
	bench_make(&b, 9);
	assert_int_equal(bench_open_all(&b), OK);
	assert_int_equal(bench_run(&b.n->blk, &r), OK);
	assert_int_equal(b.m.flushes, 1);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);

	bench_make(&b, 9);
	b.m.vwc = 0;
	assert_int_equal(bench_open_all(&b), OK);
	assert_int_equal(bench_run(&b.n->blk, &r), OK);
	assert_int_equal(b.m.flushes, 0);
	assert_int_equal(b.n->blk.inflight, 0);
	bench_free(&b);
}

static void test_shapes(void **state)
{
	static const u32 strides[] = {0, 1, 4, 10, 15};
	static const u32 mqes[] = {1, 2, 30, 31, 32, 65535};
	struct bench b;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(strides); i++) {
		bench_make(&b, 9);
		b.m.dstrd = strides[i];
		assert_int_equal(bench_open_all(&b), OK);
		write_mixed(&b, 512, 9, 5);
		bench_free(&b);
	}
	for (u32 i = 0; i < ARRAY_SIZE(mqes); i++) {
		bench_make(&b, 9);
		b.m.mqes = mqes[i];
		assert_int_equal(bench_open_all(&b), OK);
		assert_int_equal(b.n->blk.depth, min_u64(mqes[i], NVME_SLOTS));
		for (u32 k = 0; k < 100; k++)
			write_mixed(&b, 512, 9, k);
		bench_free(&b);
	}
	for (u32 mdts = 0; mdts < 256; mdts++) {
		bench_make(&b, 9);
		b.m.mdts = mdts;
		assert_int_equal(bench_open_all(&b), OK);
		assert_int_equal(
			b.n->blk.max_bytes, mdts == 0 || mdts > 4 ? 68 * KIB : 4096u << mdts);
		b.m.mdts = mdts < 16 ? mdts : 0;
		if (mdts != 0)
			write_mixed(&b, 4096, 1, 5);
		bench_free(&b);
	}
}

static void test_refuses(void **state)
{
	struct bench b;

	(void)state;
	bench_make(&b, 9);
	b.m.mpsmin = 1;
	assert_int_equal(bench_open_all(&b), E_FORMAT);
	bench_free(&b);
	bench_make(&b, 9);
	b.m.css_nvm = 0;
	assert_int_equal(bench_open_all(&b), E_FORMAT);
	bench_free(&b);
	bench_make(&b, 9);
	b.m.mqes = 0;
	assert_int_equal(bench_open_all(&b), E_FORMAT);
	bench_free(&b);
	bench_make(&b, 9);
	b.m.fn->config[4] = 0x1001;
	assert_int_equal(bench_open_all(&b), E_READY);
	bench_free(&b);
	for (u64 kib = 0; kib < 24; kib++) {
		u64 used;

		bench_make(&b, 9);
		used = b.mc.arena.used;
		b.mc.arena.bytes = used + kib * KIB;
		assert_int_equal(bench_open(&b), E_NO_MEMORY);
		assert_int_equal(b.mc.arena.used, used);
		assert_false(pci_model_masters(b.m.fn));
		bench_free(&b);
	}
}

static void test_namespace_formats(void **state)
{
	struct bench b;

	(void)state;
	for (u32 log2 = 0; log2 < 32; log2++) {
		bench_make(&b, 9);
		b.m.ns[0].block_log2 = log2;
		assert_int_equal(bench_open_all(&b), log2 == 9 || log2 == 12 ? OK : E_FORMAT);
		assert_int_equal(bench_stop(&b), OK);
		bench_free(&b);
	}
	for (u32 format = 0; format < 64; format++) {
		bench_make(&b, 12);
		b.m.ns[0].format = format;
		assert_int_equal(bench_open_all(&b), OK);
		bench_free(&b);
	}
}

static void test_namespaces_refused(void **state)
{
	struct bench b;

	(void)state;
	bench_make(&b, 9);
	b.m.ns[0].metadata_bytes = 8;
	assert_int_equal(bench_open_all(&b), E_FORMAT);
	b.m.ns[0].metadata_bytes = 0;
	b.m.ns[0].protection = 1;
	assert_int_equal(nvme_select(&b.n->blk, 0), E_FORMAT);
	b.m.ns[0].protection = 0;
	b.m.ns[0].blocks = 0;
	assert_int_equal(nvme_select(&b.n->blk, 0), E_NO_PARTITION);
	b.m.ns[0].blocks = UINT64_MAX;
	assert_int_equal(nvme_select(&b.n->blk, 0), E_FORMAT);
	assert_int_equal(blk_read(&b.n->blk, 0, 1, b.buf_pa), E_INVAL);
	b.m.ns[0].blocks = 100;
	assert_int_equal(nvme_select(&b.n->blk, 0), OK);
	b.n->nsids[0] = 9;
	assert_int_equal(nvme_select(&b.n->blk, 0), E_COMMAND);
	assert_int_equal(nvme_select(&b.n->blk, 1), E_INVAL);
	assert_int_equal(b.n->blk.dead, OK);
	/* What was selected before must not be reachable under the new name. */
	assert_int_equal(blk_read(&b.n->blk, 0, 1, b.buf_pa), E_INVAL);
	bench_free(&b);
}

static void test_namespace_lists(void **state)
{
	struct bench b;
	u8 *more = calloc(1, DISK_BYTES);

	(void)state;
	bench_make(&b, 9);
	nvme_model_add(&b.m, 7, more, 100, 12);
	assert_int_equal(bench_open_all(&b), OK);
	assert_int_equal(b.n->blk.disks, 2);
	assert_int_equal(b.n->nsids[1], 7);
	assert_int_equal(nvme_select(&b.n->blk, 1), OK);
	assert_int_equal(b.n->blk.blocks, 100);
	assert_string_equal(b.n->blk.name, "nvme 00:04.0 ns 7");
	bench_free(&b);
	for (u32 i = 0; i < 3; i++) {
		bench_make(&b, 9);
		b.m.no_list = i == 0;
		b.m.list_empty = i == 1;
		b.m.version = i == 2 ? 0x10000 : 0x10200; /* 1.0 must not even be asked */
		b.m.nn = 1000;
		assert_int_equal(bench_open_all(&b), OK);
		assert_int_equal(b.n->blk.disks, NVME_MAX_NAMESPACES);
		assert_int_equal(b.n->nsids[15], 16);
		bench_free(&b);
	}
	free(more);
}

/* Who a namespace is, on whatever controller: by the best name it has. */
static void test_ids(void **state)
{
	struct bench b;

	(void)state;
	bench_make(&b, 9);
	memcpy(b.m.ns[0].eui64, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	assert_int_equal(bench_open_all(&b), OK);
	assert_string_equal(b.n->blk.id, "nvme 0123456789abcdef");
	memcpy(b.m.ns[0].nguid + 1, b.m.ns[0].eui64, 8);
	assert_int_equal(nvme_select(&b.n->blk, 0), OK);
	assert_string_equal(b.n->blk.id, "nvme 000123456789abcdef00000000000000");
	b.m.ns[0].metadata_bytes = 8;
	assert_int_equal(nvme_select(&b.n->blk, 0), E_FORMAT);
	assert_string_equal(b.n->blk.id, "");
	bench_free(&b);
	bench_make(&b, 9); /* nothing at all: not taken for another one like it */
	b.m.serial[0] = 0;
	assert_int_equal(bench_open_all(&b), OK);
	assert_string_equal(b.n->blk.id, "");
	bench_free(&b);
}

static void test_write_protected(void **state)
{
	struct bench b;
	u8 *more = calloc(1, DISK_BYTES);

	(void)state;
	bench_make(&b, 9);
	nvme_model_add(&b.m, 2, more, 100, 12);
	b.m.ns[0].protected = true;
	assert_int_equal(bench_open_all(&b), E_READ_ONLY);
	assert_string_equal(b.n->blk.name, "nvme 00:04.0 ns 1");
	expect_inval(&b, bench_request(BLK_READ, 0, 1, b.buf_pa, 512));
	assert_int_equal(nvme_select(&b.n->blk, 1), OK);
	assert_int_equal(bench_stop(&b), OK);
	bench_free(&b);
	free(more);
}

/* Controllers for discovery and administration have no namespaces, and no I/O queues. */
static void test_controller_types(void **state)
{
	struct bench b;

	(void)state;
	for (u32 type = 0; type < 4; type++) {
		u64 used;

		bench_make(&b, 9);
		b.m.type = type;
		used = b.mc.arena.used;
		assert_int_equal(bench_open_all(&b), type < 2 ? OK : E_NO_PARTITION);
		if (type >= 2) {
			assert_int_equal(b.m.commands, 1);
			assert_int_equal(b.mc.arena.used, used);
			assert_false(pci_model_masters(b.m.fn));
		}
		bench_free(&b);
	}
}

/* A list that does not ascend or names what can not exist is good up to there only. */
static void test_lying_lists(void **state)
{
	static const u32 second[] = {5, 3, 0, 9, UINT32_MAX};
	struct bench b;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(second); i++) {
		bench_make(&b, 9);
		b.m.ns[0].nsid = 5;
		nvme_model_add(&b.m, 6, b.disk, 100, 12);
		b.m.ns[1].nsid = second[i];
		b.m.nn = 8;
		assert_int_equal(bench_open_all(&b), OK);
		assert_int_equal(b.n->blk.disks, 1);
		assert_int_equal(b.n->nsids[0], 5);
		bench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_identifies),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_reads_what_it_wrote),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_thousands),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_namespace_formats),
		cmocka_unit_test(test_namespaces_refused),
		cmocka_unit_test(test_namespace_lists),
		cmocka_unit_test(test_lying_lists),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_write_protected),
		cmocka_unit_test(test_controller_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
