/*
 * The writer on a disk that is reset and forgets what it had only in its cache: before every
 * write and flush, one after the other. A dump is complete only if all of it is on the disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"
#include "tests/unit/fake_scan.h"

static struct rig rig;
static struct rig_report report;

/* Is the chunk after those that @h counts on the disk too? */
static bool next_is_there(const struct dl_header *h)
{
	u32 bb = rig.opt.block_bytes;
	u64 left = h->limit - h->used;
	const u8 *at = rig.disk.data + (RIG_PART_LBA + h->start + h->used) * bb;
	struct dl_chunk c;

	if (left == 0)
		return false;
	if (dl_chunk_check(at, left * bb, h->dump_uuid, h->chunks, bb, left) != OK)
		return false;
	memcpy(&c, at, sizeof(c));
	return crc32c(0, at + c.payload_offset, c.stored_bytes) == c.payload_crc32c;
}

/* What the writer told is what is on the disk for good, no more and no less. */
static void judge(const struct rig_keepsake *first, enum status told)
{
	int slot = rig_slot_of(&rig, 2);
	struct dl_header h;

	memdisk_lose_cache(&rig.disk);
	rig_assert_untouched(&rig, first);
	assert_true(slot >= 0);
	assert_true(rig_header(&rig, (u32)slot, &h));
	assert_int_equal(h.reason, told);
	if (told == OK) {
		rig_check_all(&rig, (u32)slot);
		return;
	}
	assert_int_equal(told, E_NOT_KEPT);
	rig_check_rest(&rig, (u32)slot);
	rig_check(&rig, (u32)slot, &report);
	assert_true(!report.end && !next_is_there(&h));
	assert_int_equal(h.kept_pages, report.pages);
	assert_int_equal(writer_safe_bytes(&rig.writer), h.used * rig.opt.block_bytes);
}

/* Returns how many dumps lost something. */
static u32 reset_everywhere(const struct rig_options *opt, bool forgetful)
{
	struct rig_keepsake first;
	u32 lost = 0;
	u8 *clean;

	rig_open(&rig, opt);
	if (opt->level != DL_LEVEL_ZERO)
		fake_scan_mix(&rig, 0);
	assert_int_equal(rig_dump(&rig), OK);
	memdisk_power_on(&rig.disk);
	rig.disk.reorder = true;
	rig.disk.cached = true;
	rig.disk.forgetful = forgetful;
	first = rig_keepsake(&rig, 1);
	clean = rig_disk_copy(&rig);
	for (u64 n = 1;; n++) {
		enum status told;

		memcpy(rig.disk.data, clean, rig_disk_bytes(&rig));
		memdisk_power_on(&rig.disk);
		rig.disk.random = n;
		rig.disk.reset_at = n;
		told = rig_dump(&rig);
		judge(&first, told);
		lost += told != OK;
		if (rig.disk.blk.resets == 0)
			break;
		assert_true(n < 10000);
	}
	free(clean);
	rig_close(&rig);
	return lost;
}

static void test_reset_at_every_command(void **state)
{
	/* block size, largest transfer, compressor, level; with another level than 1 a page map */
	static const u32 shapes[][4] = {
		{512, 128 * KIB, DL_COMP_LZF, 1},
		{4096, 8 * KIB, DL_COMP_LZF, 1},
		{4096, 64 * KIB, DL_COMP_NONE, 1},
		{512, 128 * KIB, DL_COMP_NONE, 5},
	};

	(void)state;
	for (u32 i = 0; i < 2 * ARRAY_SIZE(shapes); i++) {
		struct rig_options opt = rig_defaults();

		opt.ram_bytes = MIB + 512 * KIB;
		opt.block_bytes = shapes[i / 2][0];
		opt.max_bytes = shapes[i / 2][1];
		opt.compressor = shapes[i / 2][2];
		opt.level = shapes[i / 2][3];
		opt.raw_below = i % 4 < 2 ? 0 : CAPTURE_RAW_BELOW;
		assert_true(reset_everywhere(&opt, i % 2) > 10);
	}
}

/* Without a cache a reset costs nothing, and without a reset nothing is read back. */
static void test_read_back_only_after_a_reset(void **state)
{
	struct rig_options opt = rig_defaults();
	u64 reads;

	(void)state;
	rig_open_with_dump(&rig, &opt);
	assert_int_equal(rig_dump(&rig), OK);
	reads = rig.disk.reads;
	rig_check_all(&rig, 1);
	memdisk_power_on(&rig.disk);
	/* After the header's two writes and flush. */
	rig.disk.reset_at = 4;
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 2);
	assert_true(rig.disk.reads > reads + 5);
	memdisk_power_on(&rig.disk);
	rig.disk.reset_at = 2;
	assert_int_equal(rig_dump(&rig), OK);
	assert_int_equal(rig.disk.reads, reads);
	/* The first header twice. */
	assert_int_equal(rig.disk.flushes, 4);
	rig_close(&rig);
}

/* What the disk could not keep does not count, though it lives on and takes the header. */
static void test_flush_fails(void **state)
{
	struct rig_options opt = rig_defaults();
	u32 lost = 0;

	(void)state;
	for (u32 i = 0; i < 16; i++) {
		struct dl_header h;
		enum status st;

		rig_open(&rig, &opt);
		rig.disk.random += i * 12345;
		rig.disk.cached = true;
		/* After the one of the first header. */
		rig.disk.fail_flush_at = 2;
		st = rig_dump(&rig);
		assert_true(st == E_WRITE || st == E_NOT_KEPT);
		lost += st == E_NOT_KEPT;
		assert_true(rig_header(&rig, 0, &h));
		assert_int_equal(h.state, DL_STATE_INCOMPLETE);
		assert_int_equal(h.reason, st);
		rig_check_rest(&rig, 0);
		rig_close(&rig);
	}
	assert_true(lost > 8);
}

/* A block that can not be read ends what counts; the chunks before it still do. */
static void test_unreadable_block(void **state)
{
	struct rig_options opt = rig_defaults();
	u64 used = 1;

	(void)state;
	for (u64 block = 0; block < used; block += 7) {
		struct dl_header h;
		u64 at;

		rig_open(&rig, &opt);
		at = RIG_PART_LBA + dl_data_start(&rig.super) + block;
		rig.disk.reset_at = 4;
		rig.disk.fail_read_lba = at;
		assert_int_equal(rig_dump(&rig), E_NOT_KEPT);
		assert_true(rig_header(&rig, 0, &h));
		assert_int_equal(h.reason, E_NOT_KEPT);
		assert_true(h.used <= block);
		assert_true(block - h.used <= 2 * DL_MAX_CHUNK_BYTES / 512);
		rig_check_rest(&rig, 0);
		used = rig.writer.sent.blocks;
		rig_close(&rig);
	}
	assert_true(used > 1000);
}

/* It was reset, and then it died before the log could be read. */
static void test_reset_then_dead(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	rig_open(&rig, &opt);
	rig.disk.cached = true;
	rig.disk.reset_at = 10;
	rig.disk.die_at = 20;
	assert_int_equal(rig_dump(&rig), E_TIMEOUT);
	rig_check(&rig, 0, &report);
	assert_true(!report.end);
	assert_true(writer_safe_bytes(&rig.writer) > 0);
	rig_close(&rig);
}

/* What was read by then is what is known. */
static void test_dead_while_reading_back(void **state)
{
	struct rig_options opt = rig_defaults();
	u64 writes;

	(void)state;
	rig_open(&rig, &opt);
	assert_int_equal(rig_dump(&rig), OK);
	writes = rig.disk.writes;
	rig_close(&rig);
	rig_open(&rig, &opt);
	rig.disk.reset_at = 4;
	rig.disk.die_read_lba = RIG_PART_LBA + dl_data_start(&rig.super) + 600;
	assert_int_equal(rig_dump(&rig), E_TIMEOUT);
	/* All but the closing header. */
	assert_int_equal(rig.disk.writes, writes - 2);
	assert_in_range(writer_safe_bytes(&rig.writer), 100 * 512, 600 * 512);
	rig_close(&rig);
}

/* What can not be made durable in two attempts is never said to be. */
static void test_resets_without_end(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	rig_open(&rig, &opt);
	rig.disk.reset_at = 1;
	rig.disk.reset_count = 1000;
	assert_int_equal(rig_dump(&rig), E_NOT_KEPT);
	assert_int_equal(rig.disk.writes, 4);
	rig_close(&rig);
}

/* A dump that gives way is cleared for good before its blocks are written over. */
static void test_reset_while_a_dump_gives_way(void **state)
{
	struct rig_options opt = rig_defaults();
	struct dl_header h;

	(void)state;
	opt.dir_slots = 1;
	opt.overwrite = DL_OVERWRITE_OLDEST;
	for (u64 n = 1; n <= 3; n++) {
		rig_open_with_dump(&rig, &opt);
		rig.disk.cached = true;
		rig.disk.forgetful = true;
		rig.disk.reset_at = n;
		/* Write, write, flush, all again; then it is done, and the device dies. */
		rig.disk.die_at = 5;
		assert_int_equal(rig_dump(&rig), E_TIMEOUT);
		memdisk_lose_cache(&rig.disk);
		assert_int_equal(rig.disk.flushes, 2);
		assert_true(rig_header(&rig, 0, &h));
		assert_true(h.number == 1 && h.flags & DL_FLAG_GAVE_WAY);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_at_every_command),
		cmocka_unit_test(test_read_back_only_after_a_reset),
		cmocka_unit_test(test_flush_fails),
		cmocka_unit_test(test_unreadable_block),
		cmocka_unit_test(test_reset_then_dead),
		cmocka_unit_test(test_dead_while_reading_back),
		cmocka_unit_test(test_resets_without_end),
		cmocka_unit_test(test_reset_while_a_dump_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
