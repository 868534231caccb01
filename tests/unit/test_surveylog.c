/*
 * The survey's record on a disk: what is read back, and what is left when a write fails, is
 * torn or is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "surveyio.h"
#include "tests/model/dumprig.h"

#define RANGES 700u
#define FEW    3u

static struct rig rig;
static struct surveylog surveylog;
static struct dl_survey old_record;
static u8 *before; /* the disk */

static void open_with(u32 block_bytes)
{
	struct rig_options opt = rig_defaults();

	opt.block_bytes = block_bytes;
	opt.max_bytes = 8192;
	rig_open(&rig, &opt);
	rig_boot(&rig);
	rig.super.survey_blocks = DL_SURVEY_AREA_BYTES / block_bytes;
	rig.disk.allowed_lba = RIG_PART_LBA + dl_survey_block(&rig.super);
	rig.disk.allowed_blocks = rig.super.survey_blocks;
}

static int setup(void **state)
{
	(void)state;
	open_with(512);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(rig.disk.outside, 0);
	assert_int_equal(rig.disk.broken, 0);
	rig_close(&rig);
	return 0;
}

static enum status read_record(void)
{
	rig.arena.used = 0;
	memset(rig.arena.va, 0xee, SURVEYLOG_BYTES);
	return surveylog_read(&surveylog, &rig.gate, &rig.super, &rig.arena);
}

static u8 *on_disk(u64 at)
{
	u64 block = RIG_PART_LBA + dl_survey_block(&rig.super);

	return rig.disk.data + block * rig.super.block_bytes + at;
}

static void make_ranges(u32 count, u32 why)
{
	for (u32 i = 0; i < count; i++) {
		surveylog.range[i] = (struct dl_survey_range) {
			.pa = (u64)i * 16 * PAGE_BYTES,
			.bytes = PAGE_BYTES,
			.why = why,
		};
	}
	surveylog.record->range_count = count;
	surveylog.record->lost_pages = count;
}

/* As mkdumpdisk arms it: without a read before, there is nothing to be read. */
static void make_record(u32 state, u32 ranges)
{
	struct dl_survey *r;

	assert_int_equal(read_record(), E_NO_DUMP);
	r = surveylog.record;
	memcpy(r->magic, DL_SURVEY_MAGIC, sizeof(r->magic));
	memcpy(r->disk_uuid, rig.super.disk_uuid, sizeof(r->disk_uuid));
	r->version = DL_VERSION;
	r->state = state;
	r->cycles_wanted = 2;
	make_ranges(ranges, DL_LOST_CHANGED);
	assert_int_equal(surveylog_write(&surveylog), OK);
}

static void test_never_armed(void **state)
{
	(void)state;
	assert_int_equal(read_record(), E_NO_DUMP);
	assert_int_equal(rig.disk.writes, 0);
}

static void test_no_room(void **state)
{
	u64 reads = rig.disk.reads;

	(void)state;
	rig.super.survey_blocks = 0;
	assert_int_equal(read_record(), E_NO_DUMP);
	assert_int_equal(rig.disk.reads, reads);
	assert_int_equal(rig.arena.used, 0);
}

static void test_no_memory(void **state)
{
	(void)state;
	rig.arena.bytes = SURVEYLOG_BYTES - 1;
	assert_int_equal(read_record(), E_NO_MEMORY);
}

static void round_trip(u32 block_bytes, u32 ranges)
{
	static struct dl_survey_range wanted[DL_SURVEY_RANGES];

	open_with(block_bytes);
	make_record(DL_SURVEY_DONE, ranges);
	old_record = *surveylog.record;
	memcpy(wanted, surveylog.range, ranges * sizeof(wanted[0]));
	assert_int_equal(read_record(), OK);
	assert_memory_equal(surveylog.record, &old_record, sizeof(old_record));
	assert_memory_equal(surveylog.range, wanted, ranges * sizeof(wanted[0]));
	assert_memory_equal(on_disk(0), &old_record, sizeof(old_record));
	assert_memory_equal(on_disk(DL_SURVEY_RANGES_AT), wanted, ranges * sizeof(wanted[0]));
	assert_int_equal(rig.disk.flushes, 2);
	teardown(NULL);
}

static void test_round_trip(void **state)
{
	static const u32 counts[] = {0, 1, 21, 22, 170, 171, RANGES, DL_SURVEY_RANGES};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		round_trip(512, counts[i]);
		round_trip(4096, counts[i]);
	}
}

static void test_damaged(void **state)
{
	(void)state;
	make_record(DL_SURVEY_DONE, RANGES);
	for (u32 at = 0; at < 512; at += 13) {
		*on_disk(at) ^= 4;
		assert_int_equal(read_record(), E_SURVEY);
		*on_disk(at) ^= 4;
	}
	for (u32 at = 0; at < RANGES * 24; at += 131) {
		*on_disk(DL_SURVEY_RANGES_AT + at) ^= 4;
		assert_int_equal(read_record(), E_SURVEY);
		*on_disk(DL_SURVEY_RANGES_AT + at) ^= 4;
	}
	assert_int_equal(read_record(), OK);
}

static void test_foreign(void **state)
{
	(void)state;
	make_record(DL_SURVEY_DONE, FEW);
	rig.super.disk_uuid[3] ^= 1;
	assert_int_equal(read_record(), E_SURVEY);
	rig.super.disk_uuid[3] ^= 1;
	assert_int_equal(read_record(), OK);
	surveylog.record->version = DL_VERSION + 1;
	assert_int_equal(surveylog_write(&surveylog), OK);
	assert_int_equal(read_record(), E_VERSION);
}

static void expect_refused(void)
{
	assert_int_equal(surveylog_write(&surveylog), OK);
	assert_int_equal(read_record(), E_SURVEY);
	memset(on_disk(0), 0, 512);
	make_record(DL_SURVEY_DONE, FEW);
	assert_int_equal(read_record(), OK);
}

/* Sealed, but nothing that the image or mkdumpdisk could have written. */
static void test_impossible(void **state)
{
	(void)state;
	make_record(DL_SURVEY_DONE, FEW);
	surveylog.record->state = DL_SURVEY_ENDED + 1;
	expect_refused();
	surveylog.record->cycles_wanted = 0;
	expect_refused();
	surveylog.record->cycles_wanted = DL_SURVEY_CYCLES_MAX + 1;
	expect_refused();
	surveylog.record->cycles_done = 3;
	expect_refused();
	surveylog.range[1].pa = surveylog.range[0].pa; /* overlaps */
	expect_refused();
	surveylog.range[1].pa += 8;
	expect_refused();
	surveylog.range[1].bytes = 0;
	expect_refused();
	surveylog.range[FEW - 1].bytes = 1ull << 52;
	expect_refused();
}

static void test_read_fails(void **state)
{
	(void)state;
	make_record(DL_SURVEY_DONE, RANGES);
	for (u64 block = 0; block < 8 + RANGES * 24 / 512; block += block ? 1 : 8) {
		rig.disk.fail_read_lba = RIG_PART_LBA + dl_survey_block(&rig.super) + block;
		assert_int_equal(read_record(), E_READ);
	}
	rig.disk.fail_read_lba = 0;
	assert_int_equal(read_record(), OK);
}

/* From FILLED with few ranges to DONE with many. */
static enum status overwrite(void)
{
	memcpy(rig.disk.data, before, rig_disk_bytes(&rig));
	rig.disk.writes = 0;
	assert_int_equal(read_record(), OK);
	surveylog.record->state = DL_SURVEY_DONE;
	make_ranges(RANGES, DL_LOST_FIRMWARE);
	return surveylog_write(&surveylog);
}

/* The old record, the new one, or one that says that it is none. */
static u32 judge_rest(void)
{
	enum status st;

	memdisk_power_on(&rig.disk);
	st = read_record();
	if (st != OK) {
		assert_int_equal(st, E_SURVEY);
		return 0;
	}
	if (surveylog.record->state == DL_SURVEY_FILLED) {
		assert_memory_equal(surveylog.record, &old_record, sizeof(old_record));
		assert_int_equal(surveylog.range[FEW - 1].why, DL_LOST_CHANGED);
		return 1;
	}
	assert_int_equal(surveylog.record->state, DL_SURVEY_DONE);
	assert_int_equal(surveylog.record->range_count, RANGES);
	assert_int_equal(surveylog.range[RANGES - 1].why, DL_LOST_FIRMWARE);
	return 2;
}

static void make_before(void)
{
	make_record(DL_SURVEY_FILLED, FEW);
	old_record = *surveylog.record;
	before = rig_disk_copy(&rig);
}

static void test_every_write_fails(void **state)
{
	u64 n = 0;
	u32 result;

	(void)state;
	make_before();
	do {
		enum status st;

		memdisk_power_on(&rig.disk);
		rig.disk.fail_at = ++n;
		st = overwrite();
		assert_true(st == (rig.disk.writes >= n ? E_WRITE : OK));
		result = judge_rest();
		assert_int_equal(result == 2, st == OK);
	} while (result != 2);
	assert_int_equal(n, 5); /* three pieces of ranges, the header, none */
	free(before);
}

static void test_every_cut(void **state)
{
	u32 seen[3] = {0};

	(void)state;
	make_before();
	for (u32 seed = 0; seed < 40; seed++) {
		for (u64 n = 1; n <= 5; n++) {
			memdisk_power_on(&rig.disk);
			rig.disk.random = seed;
			rig.disk.cached = true;
			if (seed % 2) {
				rig.disk.tear_at = n;
				rig.disk.tear_blocks = 1 + seed % 3;
			} else {
				rig.disk.cut_at = n;
			}
			(void)!overwrite();
			seen[judge_rest()]++;
		}
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	free(before);
}

/* The header never says more than the ranges that are on the disk with it. */
static void test_ranges_come_first(void **state)
{
	(void)state;
	make_before();
	rig.disk.fail_at = 4;
	assert_int_equal(overwrite(), E_WRITE);
	assert_memory_equal(on_disk(0), &old_record, sizeof(old_record));
	assert_int_equal(rig.disk.flushes, 3); /* two of make_record */
	free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_never_armed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_write_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranges_come_first, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
