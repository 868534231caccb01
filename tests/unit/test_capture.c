/*
 * Whole captures: what arrives on the disk against what was in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/model/dumprig.h"
#include "tests/host/ports_mem.h"

static struct rig rig;
static struct rig_report report;

static void capture_with(const struct rig_options *opt, bool reorder)
{
	rig_open(&rig, opt);
	rig.disk.reorder = reorder;
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 0);
	rig_check(&rig, 0, &report);
	assert_int_equal(rig.writer.header.kept_pages, report.pages);
	assert_int_equal(rig.capture.at.done_pages, memmap_ram_pages(&rig.map));
	assert_int_equal(rig.capture.left_pages, 0);
}

/* Everything arrives, whatever the blocks, the transfer limit and the compressor. */
static void test_all_shapes(void **state)
{
	static const u32 blocks[] = {512, 4096};
	static const u32 limits[] = {8 * KIB, 12 * KIB, 64 * KIB, 68 * KIB, 128 * KIB, MIB};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(blocks) * ARRAY_SIZE(limits) * 3; i++) {
		struct rig_options opt = rig_defaults();

		opt.block_bytes = blocks[i % 2];
		opt.max_bytes = limits[i / 2 % ARRAY_SIZE(limits)];
		opt.compressor = i / 2 / (u32)ARRAY_SIZE(limits);
		capture_with(&opt, i % 3 == 0);
		rig_close(&rig);
	}
}

static void test_raw_only_without_compressor(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.compressor = DL_COMP_NONE;
	opt.raw_below = 0;
	capture_with(&opt, false);
	assert_int_equal(report.packed, 0);
	assert_true(report.raw > 10);
	rig_close(&rig);
}

static void test_packs_when_device_is_busy(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.raw_below = 0;
	capture_with(&opt, true);
	assert_true(report.packed > 0);
	rig_close(&rig);
}

/* Pages that pack to about four fifths, so that chunks fill what is reserved for them. */
static void fill_with_hard_pages(void)
{
	u32 x = 1;

	for (u64 i = MIB; i < rig.opt.ram_bytes; i++) {
		x = x * 1664525 + 1013904223;
		rig.ram[i] = i % PAGE_BYTES < 3300 ? (u8)(x >> 24) : 7;
	}
	memcpy(rig.old, rig.ram, rig.opt.ram_bytes);
}

/* More in flight than the ring holds, in many small requests that end in any order. */
static void test_ring_is_not_reused_too_early(void **state)
{
	static const u32 limits[] = {8 * KIB, 16 * KIB, 128 * KIB};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rig_options opt = rig_defaults();

		opt.ram_bytes = 8 * MIB;
		opt.max_bytes = limits[i];
		opt.raw_below = 0;
		rig_open(&rig, &opt);
		fill_with_hard_pages();
		rig.disk.blk.depth = 32;
		rig.disk.lazy = true;
		rig.disk.reorder = true;
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		assert_in_range(rig.disk.deepest, i < 2 ? 8 : 4, 32);
		rig_close(&rig);
	}
}

/* A device that has nothing to do gets raw groups. */
static void test_raw_when_device_is_idle(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.raw_below = 1000;
	capture_with(&opt, false);
	assert_int_equal(report.packed, 0);
	rig_close(&rig);
}

/* What is left beside an earlier dump is too little for raw pages: all that packs is packed. */
static void test_packs_when_space_is_short(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.ram_bytes = 13 * MIB;
	opt.raw_below = 1000;
	capture_with(&opt, false);
	assert_int_equal(report.packed, 0);
	assert_true(report.blocks * 512 > 8 * MIB);
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 1);
	rig_check(&rig, 1, &report);
	assert_true(report.packed > report.raw);
	rig_check_all(&rig, 0);
	rig_close(&rig);
}

static u64 pages_with_contents(const struct memmap *map)
{
	struct runs r;
	struct run run;
	u64 pages = 0;

	runs_init(&r, map, NULL);
	while (runs_next(&r, &run))
		pages += dl_class_has_data(run.class, 0) ? run.count : 0;
	return pages;
}

/* Everybody's, and only after a reset; without a page map nobody can tell more. */
static void test_lost_pages_are_counted(void **state)
{
	static const u64 first = 1 + 8 + 1 + RIG_ARENA_BYTES / PAGE_BYTES;
	struct dl_header h;

	(void)state;
	for (u32 use = 0; use <= DL_SURVEY_UNFIT; use++) {
		struct rig_options opt = rig_defaults();

		opt.survey = use;
		rig_open(&rig, &opt);
		memmap_touch(&rig.map, MIB, 5 * PAGE_BYTES, TOUCHED_SURVEY);
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, 0);
		assert_true(rig_header(&rig, 0, &h));
		assert_int_equal(h.survey, use);
		assert_int_equal(h.lost_pages, use ? first + 5 : 0);
		assert_int_equal(h.lost_told_pages, 0);
		assert_int_equal(h.lost_used_pages, 0);
		rig_close(&rig);
	}
}

/* What a survey found is asked for like all that firmware overwrote. */
static void test_what_a_survey_found_is_whole(void **state)
{
	struct rig_options opt = rig_defaults();
	u64 firmware = 1 + 8;
	struct dl_header h;

	(void)state;
	for (u64 room = 0; room < 300; room += 60) {
		enum status st;

		opt.room_blocks = room;
		rig_open(&rig, &opt);
		for (u32 i = 0; i < rig.map.count; i++) {
			if (rig.map.range[i].touched == TOUCHED_FIRMWARE)
				rig.map.range[i].touched = TOUCHED_SURVEY;
		}
		st = rig_dump(&rig);
		assert_int_equal(st, room ? E_FULL : OK);
		assert_true(rig_header(&rig, 0, &h));
		assert_int_equal(h.incomplete >> DL_OVERWRITTEN_FIRMWARE & 1, st != OK);
		if (st == OK)
			assert_int_equal(
				rig.capture.count[DL_OVERWRITTEN_FIRMWARE].written, firmware);
		rig_close(&rig);
	}
}

static void test_level_0_keeps_zero_pages(void **state)
{
	struct rig_options opt = rig_defaults();
	struct dump_info info = {.ram_pages = 0};
	struct rig_report *r = &report;

	(void)state;
	rig_open(&rig, &opt);
	rig_boot(&rig);
	info.ram_pages = memmap_ram_pages(&rig.map);
	assert_int_equal(writer_start(&rig.writer, &rig.gate, &rig.super, &rig.arena, &info), OK);
	assert_int_equal(compress_init(&rig.comp, DL_COMP_ZLIB, &rig.arena), OK);
	assert_int_equal(
		capture_init(&rig.capture, &rig.writer, &rig.pm, &rig.comp, &rig.arena), OK);
	rig.capture.level = 0;
	assert_int_equal(capture_run(&rig.capture), OK);
	assert_int_equal(writer_finish(&rig.writer, OK), OK);
	rig_check(&rig, 0, r);
	assert_int_equal(r->pages, pages_with_contents(&rig.map));
	assert_int_equal(rig.writer.header.zero_pages, 0);
	rig_close(&rig);
}

/* Views must not be used after their window has gone. */
static void test_views_do_not_outlive_their_window(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.ram_bytes = 12 * MIB;
	rig_open(&rig, &opt);
	host_windows_private(true);
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 0);
	rig_close(&rig);
}

static u32 reports;
static u64 last_report_us;

static void count_progress(void *ctx, const struct capture_progress *p)
{
	const struct rig *r = ctx;

	assert_true(p->done_pages <= p->total_pages);
	assert_int_equal(p->total_pages, memmap_ram_pages(&r->map));
	assert_true(p->elapsed_us - last_report_us >= CAPTURE_PROGRESS_US);
	last_report_us = p->elapsed_us;
	reports++;
}

/* A compressor's worth of time passes with every request. */
static enum status slow_submit(struct blk *blk, struct blk_req *req)
{
	host_clock_advance_us(CAPTURE_PROGRESS_US / 4);
	return ((struct memdisk *)(void *)blk)->plain_ops->submit(blk, req);
}

static void test_progress_at_most_once_a_second(void **state)
{
	struct rig_options opt = rig_defaults();
	struct blk_ops slow;

	(void)state;
	rig_open(&rig, &opt);
	slow = *rig.disk.blk.ops;
	slow.submit = slow_submit;
	rig.disk.plain_ops = rig.disk.blk.ops;
	rig.disk.blk.ops = &slow;
	rig.progress = count_progress;
	reports = 0;
	last_report_us = 0;
	assert_int_equal(rig_dump(&rig), OK);
	assert_true(reports >= 3 && reports <= rig.disk.writes / 4 + 1);
	rig_close(&rig);
}

static void test_zero_test(void **state)
{
	static _Alignas(64) u8 page[PAGE_BYTES];

	(void)state;
	assert_true(capture_is_zero(page, PAGE_BYTES));
	for (u32 i = 0; i < PAGE_BYTES; i++) {
		page[i] = 1;
		assert_false(capture_is_zero(page, PAGE_BYTES));
		page[i] = 0;
	}
}

static void test_memory_budget(void **state)
{
	static const u32 methods[] = {DL_COMP_NONE, DL_COMP_LZF, DL_COMP_ZLIB};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(methods); i++) {
		struct rig_options opt = rig_defaults();

		opt.compressor = methods[i];
		rig_open(&rig, &opt);
		rig.disk.blk.depth = 64;
		assert_int_equal(rig_dump(&rig), OK);
		assert_true(rig.arena.used <= 335 * KIB);
		print_message("%s: %u KiB of the arena\n", dl_compressor_name(methods[i]),
			(unsigned)(rig.arena.used / KIB));
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_shapes),
		cmocka_unit_test(test_raw_only_without_compressor),
		cmocka_unit_test(test_packs_when_device_is_busy),
		cmocka_unit_test(test_ring_is_not_reused_too_early),
		cmocka_unit_test(test_raw_when_device_is_idle),
		cmocka_unit_test(test_packs_when_space_is_short),
		cmocka_unit_test(test_lost_pages_are_counted),
		cmocka_unit_test(test_what_a_survey_found_is_whole),
		cmocka_unit_test(test_level_0_keeps_zero_pages),
		cmocka_unit_test(test_views_do_not_outlive_their_window),
		cmocka_unit_test(test_progress_at_most_once_a_second),
		cmocka_unit_test(test_zero_test),
		cmocka_unit_test(test_memory_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
