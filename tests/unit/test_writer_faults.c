/*
 * The writer on a disk where everything that can go wrong does: every write fails, is
 * lost, is torn or kills the device, one after the other, and earlier dumps stay as
 * they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/fake_scan.h"

static struct rig rig;
static struct rig_report report;

/* After whatever happened, the first dump is intact and the second readable. */
static void judge(const struct rig_keepsake *first, enum status told, u64 n)
{
	int slot = rig_slot_of(&rig, 2);
	struct dl_header h;

	rig_assert_untouched(&rig, first);
	rig_check_all(&rig, 0);
	if (slot < 0) {
		assert_true(told != OK || n <= 2);
		return;
	}
	rig_check(&rig, (u32)slot, &report);
	assert_true(rig_header(&rig, (u32)slot, &h));
	if (h.state == DL_STATE_COMPLETE)
		rig_check_all(&rig, (u32)slot);
	else
		assert_int_equal(h.state, DL_STATE_INCOMPLETE);
}

enum fault {
	FAIL,
	DIE,
	CUT,
	TEAR
};

static void set_fault(enum fault fault, u64 n)
{
	rig.disk.random = n;
	switch (fault) {
	case FAIL:
		rig.disk.fail_at = n;
		break;
	case DIE:
		rig.disk.die_at = n;
		break;
	case CUT:
		rig.disk.cut_at = n;
		break;
	case TEAR:
		rig.disk.tear_at = n;
		rig.disk.tear_blocks = (u32)(n * 7 % 40);
	}
}

static void after_failure(enum status told, u64 n)
{
	int slot = rig_slot_of(&rig, 2);
	struct dl_header h;

	/* One bad copy of a header does no harm. */
	if (told == OK) {
		rig_check_all(&rig, (u32)slot);
		return;
	}
	assert_int_equal(told, E_WRITE);
	assert_true(n > 2 && slot >= 0);
	assert_true(rig_header(&rig, (u32)slot, &h));
	assert_int_equal(h.state, DL_STATE_INCOMPLETE);
	assert_int_equal(h.reason, E_WRITE);
	rig_check_rest(&rig, (u32)slot);
	/* START, and what else was written before the failure. */
	assert_true(n <= 3 + 16 || report.chunks >= 1);
}

/*
 * Does @fault to write 1, 2, 3 ... until a dump gets through without it. After each, the
 * next boot finds its way: it takes a third dump that harms neither of the others.
 */
static void fault_everywhere(const struct rig_options *opt, enum fault fault, u32 *rounds)
{
	struct rig_keepsake first;
	u8 *clean;

	rig_open(&rig, opt);
	if (opt->level != DL_LEVEL_ZERO)
		fake_scan_mix(&rig, 0);
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 0);
	memdisk_power_on(&rig.disk);
	rig.disk.reorder = true;
	rig.disk.cached = fault == CUT;
	first = rig_keepsake(&rig, 1);
	clean = rig_disk_copy(&rig);
	for (u64 n = 1;; n++) {
		enum status told;
		bool hit;

		memcpy(rig.disk.data, clean, rig_disk_bytes(&rig));
		memdisk_power_on(&rig.disk);
		set_fault(fault, n);
		told = rig_dump(&rig);
		hit = rig.disk.writes >= n || rig.disk.blk.dead != OK;
		judge(&first, told, n);
		if (fault == FAIL && hit)
			after_failure(told, n);
		if (fault == DIE && hit)
			assert_int_equal(told, E_TIMEOUT);
		if (!hit) {
			assert_int_equal(told, OK);
			break;
		}
		*rounds += 1;
		assert_true(n < 10000);
		memdisk_power_on(&rig.disk);
		assert_int_equal(rig_dump(&rig), OK);
		judge(&first, OK, 0);
		rig_check_all(&rig, (u32)rig_slot_of(&rig, rig.writer.header.number));
	}
	free(clean);
	rig_close(&rig);
}

static void fault_in_all_shapes(enum fault fault)
{
	/* block size, largest transfer, compressor, level; with another level than 1 a page map */
	static const u32 shapes[][4] = {
		{512, 128 * KIB, DL_COMP_LZF, 1},
		{4096, 8 * KIB, DL_COMP_LZF, 1},
		{4096, 64 * KIB, DL_COMP_NONE, 1},
		{512, 16 * KIB, DL_COMP_LZF, 0},
		{512, 128 * KIB, DL_COMP_NONE, 5},
	};
	u32 rounds = 0;

	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct rig_options opt = rig_defaults();

		opt.ram_bytes = MIB + 512 * KIB;
		opt.block_bytes = shapes[i][0];
		opt.max_bytes = shapes[i][1];
		opt.compressor = shapes[i][2];
		opt.level = shapes[i][3];
		opt.raw_below = i % 2 ? 0 : CAPTURE_RAW_BELOW;
		fault_everywhere(&opt, fault, &rounds);
	}
	print_message("%u faults\n", (unsigned)rounds);
	assert_true(rounds > 50);
}

static void test_fail_at_every_write(void **state)
{
	(void)state;
	fault_in_all_shapes(FAIL);
}

/* One request at a time, so that every failure is known before the next: only headers follow. */
static void test_nothing_follows_a_failed_write(void **state)
{
	struct rig_options opt = rig_defaults();
	u64 writes = UINT64_MAX;

	(void)state;
	opt.max_bytes = 8 * KIB;
	for (u64 n = 2; n + 2 <= writes; n++) {
		rig_open(&rig, &opt);
		rig.disk.blk.depth = 1;
		if (writes != UINT64_MAX)
			rig.disk.fail_at = n;
		if (rig_dump(&rig) == OK) {
			assert_true(writes == UINT64_MAX && rig.disk.writes > 20);
			writes = rig.disk.writes;
		} else {
			assert_int_equal(rig.disk.writes, n + 2);
		}
		rig_close(&rig);
	}
}

static void test_die_at_every_write(void **state)
{
	(void)state;
	fault_in_all_shapes(DIE);
}

static void test_cut_at_every_write(void **state)
{
	(void)state;
	fault_in_all_shapes(CUT);
}

static void test_tear_every_write(void **state)
{
	(void)state;
	fault_in_all_shapes(TEAR);
}

/* What a cut dump was given but never used is free again once it is needed. */
static void test_room_of_a_cut_dump_is_found(void **state)
{
	struct rig_options opt = rig_defaults();
	struct dl_header h;

	(void)state;
	opt.ram_bytes = 10 * MIB;
	opt.compressor = DL_COMP_NONE;
	rig_open(&rig, &opt);
	rig.disk.cut_at = 20;
	assert_int_equal(rig_dump(&rig), OK);
	memdisk_power_on(&rig.disk);
	assert_true(rig_header(&rig, 0, &h));
	assert_true(h.limit * 512 > 10 * MIB);
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 1);
	rig_check(&rig, 0, &report);
	assert_true(report.chunks > 10 && !report.end);
	rig_close(&rig);
}

/* A cleared slot is used again, but one copy of it can not be written any more. */
static void test_stale_copy_of_a_reused_slot(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.dir_slots = 1;
	for (u32 i = 0; i < 2; i++) {
		rig_open_with_dump(&rig, &opt);
		rig_clear(&rig, 0);
		rig.disk.fail_write_lba =
			RIG_PART_LBA + (i ? dl_slot_block(0) : dl_slot_block_back(&rig.super, 0));
		assert_int_equal(rig_dump(&rig), OK);
		assert_int_equal(rig_slot_of(&rig, 2), 0);
		rig_check_all(&rig, 0);
		rig_close(&rig);
	}
}

/* Nothing more is sent to a device that died. */
static void test_dead_device_is_left_alone(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	rig_open(&rig, &opt);
	rig.disk.die_at = 12;
	assert_int_equal(rig_dump(&rig), E_TIMEOUT);
	assert_int_equal(rig.disk.writes, 11);
	assert_true(writer_safe_bytes(&rig.writer) > 0);
	rig_close(&rig);
}

/* Writes keep failing from some point on, the header's included. */
static void test_disk_stops_taking_writes(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	rig_open(&rig, &opt);
	for (u64 n = 1; n < 20; n++) {
		memdisk_power_on(&rig.disk);
		memset(rig.disk.data + (RIG_PART_LBA + 1) * 512, 0,
			(size_t)(rig.super.blocks - 2) * 512);
		rig.disk.fail_at = n;
		rig.disk.fail_count = 1000000;
		assert_int_equal(rig_dump(&rig), E_WRITE);
		if (n > 1)
			rig_check(&rig, 0, &report);
	}
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail_at_every_write),
		cmocka_unit_test(test_nothing_follows_a_failed_write),
		cmocka_unit_test(test_die_at_every_write),
		cmocka_unit_test(test_cut_at_every_write),
		cmocka_unit_test(test_tear_every_write),
		cmocka_unit_test(test_room_of_a_cut_dump_is_found),
		cmocka_unit_test(test_stale_copy_of_a_reused_slot),
		cmocka_unit_test(test_dead_device_is_left_alone),
		cmocka_unit_test(test_disk_stops_taking_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
