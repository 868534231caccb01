/*
 * The virtio-blk driver against a good disk of every shape: transfers, rules, queues, limits,
 * configuration.
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

#define INDIRECT (1u << 28)

static void test_open(void **state)
{
	struct vbench b;
	u64 used;

	(void)state;
	vbench_make(&b);
	used = b.mc.arena.used;
	assert_int_equal(vbench_open(&b), OK);
	assert_int_equal(b.v->blk.disks, 1);
	assert_int_equal(b.v->blk.blocks, 0);
	assert_int_equal(virtio_select(&b.v->blk, 1), E_INVAL);
	assert_int_equal(virtio_select(&b.v->blk, 0), OK);
	assert_string_equal(b.v->blk.name, "virtio 00:05.0");
	assert_string_equal(b.v->blk.id, "virtio S? 20");
	assert_int_equal(b.v->blk.blocks, VBENCH_DISK / 512);
	assert_int_equal(b.v->blk.block_bytes, 512);
	assert_int_equal(b.v->blk.max_bytes, 68 * KIB);
	assert_int_equal(b.v->blk.depth, VIRTIO_SLOTS);
	assert_true(b.mc.arena.used - used <= VIRTIO_MEMORY_BYTES);
	assert_true(pci_model_masters(b.m.fn));
	assert_int_equal(b.m.status, 0xf);
	assert_int_equal(b.m.accepted, 0x10000246);
	assert_int_equal(b.m.accepted_hi, 1); /* no packed queue */
	assert_int_equal(b.m.queue_size, 32);
	assert_int_equal(b.m.fn->status_written, 0);
	assert_int_equal(*host_ram_at(b.m.avail_pa, 1), VIRTIO_AVAIL_NO_INTERRUPT);
	assert_int_equal(vbench_stop(&b), OK);
	assert_true(b.v->blk.silent);
	assert_int_equal(b.v->blk.resets, 0);
	assert_int_equal(b.m.status, 0);
	assert_false(pci_model_masters(b.m.fn));
	assert_int_not_equal(b.v->blk.dead, OK);
	vbench_free(&b);
}

/* Segments from all over old memory, first one inside a page, land on disk in order. */
static void write_mixed(struct vbench *b, u32 first_bytes, u32 pages, u64 lba)
{
	u32 bs = b->v->blk.block_bytes;
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
	assert_int_equal(bench_run(&b->v->blk, &r), OK);
	for (u32 i = 0; i < r.nsegs; i++) {
		assert_memory_equal(at, b->mc.ram + r.seg[i].pa, r.seg[i].bytes);
		at += r.seg[i].bytes;
	}
	assert_int_equal(*at, 0xee);
}

static void test_segments(void **state)
{
	struct vbench b;

	(void)state;
	vbench_make(&b);
	assert_int_equal(vbench_open_all(&b), OK);
	for (u32 pages = 0; pages <= 16; pages++) {
		write_mixed(&b, 512, pages, pages * 7);
		write_mixed(&b, 3584, pages, 100 + pages);
		write_mixed(&b, 4096, pages, 500 + pages);
	}
	assert_int_equal(vbench_stop(&b), OK);
	vbench_free(&b);
}

/* Requests as long as the limits allow, with as many pieces as can be: all must fit a chain. */
static void longest(struct vbench *b)
{
	u32 pages = b->v->blk.max_bytes / PAGE_BYTES;
	u32 bs = b->v->blk.block_bytes;
	struct blk_req r = {.op = BLK_WRITE, .lba = 8, .blocks = pages * PAGE_BYTES / bs};
	u8 *at = b->disk + 8 * bs;

	for (u32 i = 0; i <= pages && r.nsegs < BLK_MAX_SEGS; i++) {
		u64 pa = MACHINE_OLD_PA + i * 2 * PAGE_BYTES;
		bool last = i == pages || r.nsegs == BLK_MAX_SEGS - 1;

		r.seg[r.nsegs].pa = i ? pa : pa + 2048;
		r.seg[r.nsegs++].bytes = i == 0 ? 2048 : last ? 2048 : PAGE_BYTES;
	}
	r.seg[r.nsegs - 1].bytes = pages * PAGE_BYTES - 2048 - (r.nsegs - 2) * PAGE_BYTES;
	assert_int_equal(bench_run(&b->v->blk, &r), OK);
	for (u32 i = 0; i < r.nsegs; i++) {
		assert_memory_equal(at, b->mc.ram + r.seg[i].pa, r.seg[i].bytes);
		at += r.seg[i].bytes;
	}
	r.nsegs = 1;
	r.seg[0] = (struct blk_seg) {MACHINE_OLD_PA + 1536, pages * PAGE_BYTES};
	assert_int_equal(bench_run(&b->v->blk, &r), OK);
	assert_memory_equal(b->disk + 8 * bs, b->mc.ram + r.seg[0].pa, pages * PAGE_BYTES);
}

/* Every size of queue and limit on segments, with tables and without. */
static void test_limits(void **state)
{
	static const u32 size_max[] = {0, 512, 4095, 4096, 6000, 8192, 65536, UINT32_MAX};

	(void)state;
	for (u32 log2 = 0; log2 <= 15; log2++) {
		for (u32 seg_max = 0; seg_max <= 20; seg_max++) {
			u32 i = (seg_max + log2) % ARRAY_SIZE(size_max);
			u32 queue = 1u << log2;
			bool tables = (log2 + seg_max) % 2;
			u32 segs = (u32)min_u64(min_u64(seg_max, queue < 3 ? 0 : queue - 2), 18);
			bool fits = segs >= 3 && size_max[i] >= PAGE_BYTES;
			struct vbench b;

			vbench_make(&b);
			b.m.queue_max = queue;
			b.m.seg_max = seg_max;
			b.m.size_max = size_max[i];
			b.m.features ^= tables ? 0 : INDIRECT;
			assert_int_equal(vbench_open_all(&b), fits ? OK : E_FORMAT);
			if (fits) {
				assert_int_equal(b.v->blk.max_bytes, (segs - 1) * PAGE_BYTES);
				assert_true(b.v->blk.max_bytes >= 8192);
				assert_true(b.v->blk.depth >= 1);
				longest(&b);
				assert_true(b.m.longest <= queue);
				assert_int_equal(vbench_stop(&b), OK);
			}
			assert_false(pci_model_masters(b.m.fn));
			vbench_free(&b);
		}
	}
}

/* Features that are not offered are no limits; the smallest memory that does. */
static void test_features(void **state)
{
	struct vbench b;

	(void)state;
	vbench_make(&b);
	b.m.features = 0xfffff401 & ~INDIRECT; /* what we know nothing of */
	b.m.features_hi = 0x7fffffff;
	b.m.blk_size = 4096; /* means nothing without its feature */
	assert_int_equal(vbench_open_all(&b), OK);
	assert_int_equal(b.m.accepted, 0);
	assert_int_equal(b.m.accepted_hi, 0x13);
	assert_int_equal(b.v->blk.block_bytes, 512);
	assert_int_equal(b.v->blk.max_bytes, 68 * KIB);
	assert_int_equal(b.v->blk.depth, 256 / 20);
	b.m.blk_size = 512;
	b.m.size_max = b.m.seg_max = UINT32_MAX;
	longest(&b);
	assert_int_equal(vbench_stop(&b), OK);
	vbench_free(&b);
	for (u32 tables = 0; tables < 2; tables++) {
		for (u64 kib = 0; kib < 24; kib++) {
			u64 used;
			enum status st;

			vbench_make(&b);
			b.m.queue_max = 512;
			b.m.features ^= tables ? 0 : INDIRECT;
			used = b.mc.arena.used;
			b.mc.arena.bytes = used + kib * KIB;
			st = vbench_open(&b);
			assert_true(st == OK || st == E_NO_MEMORY);
			assert_true(kib >= 8 ? true : st == E_NO_MEMORY);
			assert_true(kib >= 20 ? st == OK : true);
			if (st != OK)
				assert_int_equal(b.mc.arena.used, used);
			assert_int_equal(pci_model_masters(b.m.fn), st == OK);
			vbench_free(&b);
		}
	}
}

static void expect(struct vbench *b, struct blk_req r, enum status st)
{
	u64 commands = b->m.commands;

	assert_int_equal(b->v->blk.ops->submit(&b->v->blk, &r), st);
	assert_int_equal(b->m.commands, commands);
	assert_int_equal(b->v->blk.inflight, 0);
	assert_int_equal(b->v->blk.dead, OK);
}

static void test_rules(void **state)
{
	struct vbench b;
	u64 end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;

	(void)state;
	vbench_make(&b);
	assert_int_equal(vbench_open_all(&b), OK);
	for (u32 i = 0; i < 2 * VIRTIO_SLOTS; i++) {
		expect(&b, bench_request(BLK_READ, b.v->blk.blocks, 1, b.buf_pa, 512), E_INVAL);
		expect(&b, bench_request(BLK_READ, 0, 2, b.buf_pa, 512), E_INVAL);
		expect(&b, bench_request(BLK_READ, 0, 137, b.buf_pa, 137 * 512), E_INVAL);
		expect(&b, bench_request(BLK_READ, 0, 1, MACHINE_OLD_PA, 512), E_DMA);
		expect(&b, bench_request(BLK_READ, 0, 1, end - 508, 512), E_DMA);
	}
	b.v->blk.dma_bytes -= MACHINE_ARENA_BYTES - 512; /* as if the rings were elsewhere */
	expect(&b, bench_request(BLK_WRITE, 0, 1, MACHINE_OLD_PA, 512), E_DMA);
	b.v->blk.dma_bytes = MACHINE_ARENA_BYTES;
	assert_int_equal(blk_read(&b.v->blk, 0, 1, end - 512), OK);
	assert_int_equal(vbench_stop(&b), OK);
	vbench_free(&b);
}

/* A request that was good when it was sent is looked at again before it is sent again. */
static void test_retry_is_checked(void **state)
{
	struct vbench b;
	struct blk_req r;

	(void)state;
	vbench_make(&b);
	assert_int_equal(vbench_open_all(&b), OK);
	b.m.fault = VIRTIO_FAULT_IOERR;
	b.m.fault_at = b.m.commands + 1;
	b.m.delay_reads = 1;
	r = bench_request(BLK_READ, 0, 1, b.buf_pa, 512);
	assert_int_equal(blk_submit(&b.v->blk, &r), OK);
	r.seg[0].pa = MACHINE_OLD_PA;
	assert_int_equal(blk_wait(&b.v->blk, &r), E_DMA);
	assert_int_equal(b.v->blk.inflight, 0);
	assert_int_equal(vbench_stop(&b), OK);
	vbench_free(&b);
}

/* Many in flight, completions out of order, every read checked: the 16-bit indices wrap. */
static void thousands(u32 features, u32 queue_max, u64 count)
{
	struct vbench b;
	struct blk_req req[VIRTIO_SLOTS + 8];
	u64 next = 0;

	vbench_make(&b);
	for (u64 i = 0; i < VBENCH_DISK / 512; i++)
		memcpy(b.disk + i * 512, &i, sizeof(i));
	b.m.features = features;
	b.m.queue_max = queue_max;
	b.m.delay_reads = 1;
	b.m.lifo = true;
	b.m.us_per_read = 1000;
	assert_int_equal(vbench_open_all(&b), OK);
	memset(req, 0, sizeof(req));
	while (next < count) {
		for (u32 i = 0; i < ARRAY_SIZE(req); i++) {
			u64 lba = (next * 37) % (VBENCH_DISK / 512);

			req[i] = bench_request(BLK_READ, lba, 1, b.buf_pa + i * 512, 512);
			assert_int_equal(blk_submit(&b.v->blk, &req[i]), OK);
			assert_true(b.v->blk.inflight <= b.v->blk.depth);
			next++;
		}
		for (u32 i = 0; i < ARRAY_SIZE(req); i++) {
			assert_int_equal(blk_wait(&b.v->blk, &req[i]), OK);
			assert_memory_equal(b.buf + i * 512, &req[i].lba, sizeof(u64));
		}
		assert_int_equal(b.v->blk.inflight, 0);
	}
	assert_int_equal(b.m.deepest, b.v->blk.depth);
	assert_int_equal(vbench_stop(&b), OK);
	vbench_free(&b);
}

static void test_thousands(void **state)
{
	(void)state;
	thousands(0x10000246, 256, 70000);
	thousands(0x246, 256, 4000);
	thousands(0x10000246, 8, 4000);
}

static void test_flush(void **state)
{
	struct vbench b;
	struct blk_req f = {.op = BLK_FLUSH};
	struct blk_req w = bench_request(BLK_WRITE, 3, 8, MACHINE_OLD_PA, PAGE_BYTES);

	(void)state;
	for (u32 through = 0; through < 2; through++) {
		vbench_make(&b);
		b.m.features ^= through ? 1u << 9 : 0;
		assert_int_equal(vbench_open_all(&b), OK);
		assert_int_equal(bench_run(&b.v->blk, &w), OK);
		assert_int_equal(bench_run(&b.v->blk, &f), OK);
		assert_int_equal(b.m.flushes, 1 - through);
		assert_memory_equal(b.durable + 3 * 512, b.mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
		assert_int_equal(b.v->blk.inflight, 0);
		assert_int_equal(vbench_stop(&b), OK);
		vbench_free(&b);
	}
}

/* Blocks of 4096 bytes: addresses on the disk are in sectors all the same. */
static void test_blocks_of_4096(void **state)
{
	struct vbench b;

	(void)state;
	vbench_make(&b);
	b.m.blk_size = 4096;
	b.m.sectors = 1023; /* the last one is no block */
	assert_int_equal(vbench_open_all(&b), OK);
	assert_int_equal(b.v->blk.block_bytes, 4096);
	assert_int_equal(b.v->blk.blocks, 127);
	write_mixed(&b, 4096, 3, 100);
	memset(b.buf, 0, VBENCH_BUF);
	assert_int_equal(blk_read(&b.v->blk, 100, 4, b.buf_pa + 512), OK);
	assert_memory_equal(b.buf + 512, b.disk + 100 * 4096, 4 * 4096);
	assert_int_equal(vbench_stop(&b), OK);
	vbench_free(&b);
}

/* Disks that can be looked at but not used. */
static void test_refuses(void **state)
{
	static const struct {
		u64 sectors;
		u32 blk_size;
		enum status st;
	} shapes[] = {{0, 512, E_NO_PARTITION}, {1ull << 55, 512, E_FORMAT},
		{UINT64_MAX, 512, E_FORMAT}, {1024, 0, E_FORMAT}, {1024, 520, E_FORMAT},
		{1024, 1024, E_FORMAT}, {1024, 8192, E_FORMAT}, {1024, UINT32_MAX, E_FORMAT},
		{1ull << 54, 4096, OK}};
	struct vbench b;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++) {
		vbench_make(&b);
		b.m.sectors = shapes[i].sectors;
		b.m.blk_size = shapes[i].blk_size;
		assert_int_equal(vbench_open_all(&b), shapes[i].st);
		assert_int_equal(b.v->blk.dead, OK);
		if (shapes[i].st != OK)
			assert_int_equal(blk_read(&b.v->blk, 0, 1, b.buf_pa), E_INVAL);
		assert_int_equal(vbench_stop(&b), OK);
		vbench_free(&b);
	}
	vbench_make(&b);
	b.m.features |= 1u << 5; /* read-only */
	assert_int_equal(vbench_open_all(&b), OK);
	assert_int_equal(blk_read(&b.v->blk, 0, 1, b.buf_pa), OK);
	expect(&b, bench_request(BLK_WRITE, 0, 1, MACHINE_OLD_PA, 512), E_READ_ONLY);
	assert_int_equal(vbench_stop(&b), OK);
	vbench_free(&b);
}

/* A configuration that changes while it is read; one that does so for ever. */
static void test_config_changes(void **state)
{
	struct vbench b;

	(void)state;
	for (u32 churn = 0; churn < 40; churn++) {
		vbench_make(&b);
		b.m.config_churn = churn;
		if (vbench_open_all(&b) == OK)
			assert_true(b.v->config.sectors == b.m.sectors && b.m.config_churn == 0);
		else
			assert_true(churn >= 2 * (VIRTIO_CONFIG_TRIES - 1));
		vbench_free(&b);
	}
}

static void test_ids(void **state)
{
	static const char *const ids[][2] = {{"", ""},
		{"0123456789abcdefghij", "virtio 0123456789abcdefghij"}, {"a", "virtio a"},
		{" \x7f ", "virtio  ?"}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(ids); i++) {
		struct vbench b;

		vbench_make(&b);
		memset(b.m.id, 0, sizeof(b.m.id));
		memcpy(b.m.id, ids[i][0], strlen(ids[i][0]));
		assert_int_equal(vbench_open_all(&b), OK);
		assert_string_equal(b.v->blk.id, ids[i][1]);
		assert_int_equal(vbench_stop(&b), OK);
		vbench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_retry_is_checked),
		cmocka_unit_test(test_thousands),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_blocks_of_4096),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_config_changes),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
