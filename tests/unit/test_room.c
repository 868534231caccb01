/*
 * A disk too small for all that the level asks for: which classes are dropped, which
 * are cut, and what the dump says of that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dumpfmt/group.h"
#include "tests/host/ports_mem.h"
#include "tests/unit/fake_scan.h"

#define BIT(class) (1u << (class))
#define LATER	   (BIT(DL_USER) | BIT(DL_PRIVATE_CACHE) | BIT(DL_CACHE) | BIT(DL_FREE))

static const u8 later[] = {DL_USER, DL_PRIVATE_CACHE, DL_CACHE, DL_FREE};

static struct rig rig;
static struct rig_report report;
static struct dl_header head;

/* On a disk that is empty but for that. */
static enum status dump_into(const struct rig_options *opt, u64 room)
{
	u32 bb = opt->block_bytes;
	enum status st;

	rig.opt = *opt;
	rig.opt.room_blocks = room;
	memset(rig.disk.data + (RIG_PART_LBA + dl_slot_block(0)) * bb, 0, bb);
	memset(rig.disk.data + (RIG_PART_LBA + dl_slot_block_back(&rig.super, 0)) * bb, 0, bb);
	st = rig_dump(&rig);
	assert_true(rig_header(&rig, 0, &head));
	rig_check(&rig, 0, &report);
	return st;
}

/* What is whole, dropped or cut must agree with each other and with what fits. */
static void judge(enum status st, u64 room, const u64 need[])
{
	u64 used = report.pass_blocks[0];
	bool cut = head.incomplete & BIT(DL_KEPT);

	assert_true(st == OK ? head.incomplete == 0 : head.incomplete != 0);
	assert_int_equal(head.dropped & ~LATER, 0);
	assert_int_equal(head.dropped & head.incomplete, 0);
	for (u32 i = 0; i < ARRAY_SIZE(later); i++) {
		u64 left = room - min_u64(used + room / 20 + 40, room);
		u32 bit = BIT(later[i]);

		if (head.dropped & bit) {
			assert_false(cut);
			assert_true(need[i + 1] > left);
			assert_int_equal(report.pass_blocks[i + 1], 0);
			continue;
		}
		assert_int_equal(
			!(head.incomplete & bit), !cut && report.pass_blocks[i + 1] >= need[i + 1]);
		if (head.incomplete & bit && !cut)
			assert_true(need[i + 1] < 2 * (room - used));
		cut = cut || head.incomplete & bit;
		used += report.pass_blocks[i + 1];
	}
}

/* Every size from far too small to ample. */
static void test_every_size(void **state)
{
	static const u32 shapes[][3] = {
		{512, DL_COMP_NONE, 0}, {512, DL_COMP_LZF, 0}, {4096, DL_COMP_LZF, 1000}};
	u32 dropped = 0, cut = 0, cut_first = 0, whole = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct rig_options opt = rig_defaults();
		u64 need[1 + DL_LATER_PASSES];
		u64 all;

		opt.level = i == 1;
		opt.ram_bytes = 14 * MIB;
		opt.block_bytes = shapes[i][0];
		opt.compressor = shapes[i][1];
		opt.raw_below = shapes[i][2];
		rig_open(&rig, &opt);
		fake_scan_mix(&rig, 0);
		opt.raw_below = 0;
		assert_int_equal(dump_into(&opt, 0), OK);
		memcpy(need, report.pass_blocks, sizeof(need));
		all = report.blocks;
		opt.raw_below = shapes[i][2];
		for (u64 n = 1; n <= 30; n++) {
			enum status st = dump_into(&opt, all * n / 25);

			assert_true(st == OK || st == E_FULL);
			if (st == OK)
				rig_check_all(&rig, 0);
			else
				rig_check_rest(&rig, 0);
			judge(st, all * n / 25, need);
			cut += st == E_FULL && !(head.incomplete & BIT(DL_KEPT));
			cut_first += (head.incomplete & BIT(DL_KEPT)) != 0;
			dropped += head.dropped != 0;
			whole += st == OK && !head.dropped;
		}
		assert_int_equal(head.dropped, 0);
		rig_close(&rig);
	}
	print_message("%u cut in the first pass, %u in a later one, %u with a class dropped\n",
		(unsigned)cut_first, (unsigned)cut, (unsigned)dropped);
	assert_true(cut_first > 10 && cut > 5 && dropped > 20 && whole > 10);
}

/* Every class can be the one at which the disk is full, down to single blocks. */
static void test_full_in_every_pass(void **state)
{
	struct rig_options opt = rig_defaults();
	u32 cut_at[1 + DL_LATER_PASSES] = {0};

	(void)state;
	opt.level = 1;
	opt.ram_bytes = 3 * MIB;
	opt.compressor = DL_COMP_NONE;
	rig_open(&rig, &opt);
	fake_scan_mix(&rig, 0);
	assert_int_equal(dump_into(&opt, 0), OK);
	for (u64 room = report.blocks + 40; room > 60; room -= 3) {
		enum status st = dump_into(&opt, room);
		u32 first = 0;

		if (st == OK) {
			rig_check_all(&rig, 0);
			continue;
		}
		assert_int_equal(st, E_FULL);
		assert_int_equal(head.reason, E_FULL);
		assert_true(report.end);
		rig_check_rest(&rig, 0);
		while (first < DL_LATER_PASSES && !(head.incomplete & BIT(DL_KEPT)) &&
			!(head.incomplete & BIT(later[first])))
			first++;
		cut_at[head.incomplete & BIT(DL_KEPT) ? 0 : first + 1]++;
	}
	for (u32 i = 0; i < ARRAY_SIZE(cut_at); i++)
		assert_true(cut_at[i] > 3);
	rig_close(&rig);
}

static void fill_class(u32 class, bool hard)
{
	u32 x = class;

	for (u64 pfn = 0; pfn < rig.opt.ram_bytes >> PAGE_SHIFT; pfn++) {
		if (rig.plan[pfn] != class)
			continue;
		for (u32 i = 0; i < PAGE_BYTES; i++) {
			x = x * 1664525 + 1013904223;
			rig.ram[(pfn << PAGE_SHIFT) + i] = hard ? (u8)(x >> 24) : (u8)(pfn + class);
		}
	}
	memcpy(rig.old, rig.ram, rig.opt.ram_bytes);
}

/*
 * @soft: user pages take next to nothing, the kernel's can not be packed; else the other way
 * round. There is a little more room than all of it takes, or too little by two thirds of the
 * user pages.
 */
static enum status lopsided(bool soft, u32 compressor)
{
	struct rig_options opt = rig_defaults();
	opt.level = 1;
	opt.ram_bytes = 15 * MIB;
	opt.compressor = compressor;
	rig_open(&rig, &opt);
	fake_scan_use(&rig);
	memset(rig.plan + 512, DL_KEPT, 1024);
	memset(rig.plan + 1536, DL_USER, 2048);
	memset(rig.plan + 3584, DL_CACHE, 100);
	fill_class(DL_KEPT, soft);
	fill_class(DL_USER, !soft);
	opt.raw_below = 0;
	assert_int_equal(dump_into(&opt, 0), OK);
	return dump_into(&opt, soft ? report.blocks + report.pass_blocks[1]
				    : report.blocks - report.pass_blocks[1] * 2 / 3);
}

static void test_estimate_is_of_the_class_itself(void **state)
{
	(void)state;
	for (u32 compressor = DL_COMP_LZF; compressor <= DL_COMP_ZLIB; compressor++) {
		assert_int_equal(lopsided(true, compressor), OK);
		assert_int_equal(head.dropped, 0);
		assert_int_equal(head.degraded & DL_DEGRADED_DROPPED, 0);
		rig_check_all(&rig, 0);
		assert_string_equal(host_console(), "");
		rig_close(&rig);
		assert_int_equal(lopsided(false, compressor), OK);
		assert_int_equal(head.dropped, BIT(DL_USER));
		assert_int_equal(head.degraded & DL_DEGRADED_DROPPED, DL_DEGRADED_DROPPED);
		rig_check_all(&rig, 0);
		rig_check(&rig, 0, &report);
		assert_int_equal(report.passes, 1 | BIT(3));
		assert_non_null(strstr(host_console(), "afterimage: user pages left out: about "));
		assert_int_equal(rig.capture.at.done_pages, rig.capture.at.total_pages);
		assert_int_equal(rig.capture.left_pages, 0);
		rig_close(&rig);
	}
}

/* Mostly zero pages take no room. */
static void test_zero_pages_count_for_nothing(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.level = 1;
	opt.ram_bytes = 15 * MIB;
	opt.compressor = DL_COMP_NONE;
	rig_open(&rig, &opt);
	fake_scan_use(&rig);
	memset(rig.plan + 512, DL_FREE, 3000);
	memset(rig.ram + 512 * PAGE_BYTES, 0, 3000 * PAGE_BYTES);
	for (u64 pfn = 512; pfn < 3512; pfn += 8)
		rig.ram[pfn * PAGE_BYTES] = 1;
	memcpy(rig.old, rig.ram, rig.opt.ram_bytes);
	assert_int_equal(dump_into(&opt, 12000), OK);
	assert_int_equal(head.dropped, 0);
	rig_check_all(&rig, 0);
	rig_close(&rig);
}

/* Written as a small part of what could be looked at. */
static void test_sample_is_bounded(void **state)
{
	static struct sample s;
	static const u64 sizes[] = {1, 15, 16, 17, 2000, 2048, 2049, 100000, 1ull << 33};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (u64 step = 1; step <= sizes[i]; step = step * 9 + 1) {
			struct run run = {.class = DL_USER};

			if (sizes[i] / step > 200000)
				continue;
			memset(&s, 0, sizeof(s));
			while (run.pfn < sizes[i]) {
				run.count = min_u64(step, sizes[i] - run.pfn);
				sample_offer(&s, &run);
				run.pfn += run.count;
			}
			assert_int_equal(s.seen, sizes[i]);
			assert_true(s.count > 0 && s.count <= CAPTURE_SAMPLES);
			assert_true(s.count >= min_u64(sizes[i] / 16, CAPTURE_SAMPLES / 2));
			for (u32 n = 0; n < s.count; n++) {
				u64 next = n + 1 < s.count ? dl_run_pfn(s.run[n + 1]) : sizes[i];

				assert_true(dl_run_pfn(s.run[n]) + dl_run_count(s.run[n]) <= next);
				assert_true(next - dl_run_pfn(s.run[n]) <= 3 * s.spacing_pages);
				assert_true(dl_run_count(s.run[n]) <= DL_GROUP_PAGES);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_full_in_every_pass),
		cmocka_unit_test(test_estimate_is_of_the_class_itself),
		cmocka_unit_test(test_zero_pages_count_for_nothing),
		cmocka_unit_test(test_sample_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
