/*
 * The writer on a healthy disk: where dumps go, what is in them, and what happens when
 * there is no room.
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

static void test_header_says_what_was_asked(void **state)
{
	struct rig_options opt = rig_defaults();
	struct dl_header h;

	(void)state;
	rig_open_with_dump(&rig, &opt);
	assert_true(rig_header(&rig, 0, &h));
	assert_int_equal(h.number, 1);
	assert_int_equal(h.generation, 2);
	assert_int_equal(h.door, 1);
	assert_int_equal(h.time_s, 1700000000);
	assert_string_equal(h.release, "6.1.0-rig");
	assert_string_equal(h.nodename, "rig");
	assert_string_equal(h.machine, "x86_64");
	assert_string_equal(h.panic, "");
	assert_int_equal(h.start, dl_data_start(&rig.super));
	assert_true(h.duration_ms < 1000);
	rig_close(&rig);
}

/* Both copies of the header are the same; superblocks are as they were. */
static void test_both_header_copies(void **state)
{
	struct rig_options opt = rig_defaults();
	const u8 *front, *back;

	(void)state;
	rig_open_with_dump(&rig, &opt);
	front = rig.disk.data + (RIG_PART_LBA + dl_slot_block(0)) * opt.block_bytes;
	back = rig.disk.data + (RIG_PART_LBA + dl_slot_block_back(&rig.super, 0)) * opt.block_bytes;
	assert_memory_equal(front, back, sizeof(struct dl_header));
	rig_close(&rig);
}

static void test_several_dumps(void **state)
{
	struct rig_options opt = rig_defaults();
	struct rig_keepsake k[3];

	(void)state;
	rig_open(&rig, &opt);
	rig.disk.reorder = true;
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(rig_dump(&rig), OK);
		k[i] = rig_keepsake(&rig, i + 1);
		for (u32 j = 0; j <= i; j++) {
			rig_check_all(&rig, j);
			rig_assert_untouched(&rig, &k[j]);
		}
	}
	assert_memory_not_equal(k[0].h.dump_uuid, k[1].h.dump_uuid, 16);
	rig_close(&rig);
}

static void test_slots_run_out_and_come_back(void **state)
{
	struct rig_options opt = rig_defaults();
	struct rig_keepsake k;

	(void)state;
	opt.dir_slots = 2;
	rig_open(&rig, &opt);
	assert_int_equal(rig_dump(&rig), OK);
	assert_int_equal(rig_dump(&rig), OK);
	assert_int_equal(rig_dump(&rig), E_NO_SLOT);
	k = rig_keepsake(&rig, 2);
	rig_clear(&rig, 0);
	assert_int_equal(rig_dump(&rig), OK);
	assert_int_equal(rig_slot_of(&rig, 1), -1);
	assert_int_equal(rig_slot_of(&rig, 3), 0);
	rig_check_all(&rig, 0);
	rig_assert_untouched(&rig, &k);
	assert_int_equal(rig_dump(&rig), E_NO_SLOT);
	rig_close(&rig);
}

static struct rig_options big_dump(void)
{
	struct rig_options opt = rig_defaults();

	opt.ram_bytes = 14 * MIB;
	opt.compressor = DL_COMP_NONE;
	return opt;
}

/* The second dump ends in order when the disk is full; the third finds no room. */
static void test_full_disk(void **state)
{
	struct rig_options opt = big_dump();
	struct rig_keepsake first, second;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		opt.block_bytes = i ? 4096 : 512;
		rig_open(&rig, &opt);
		assert_int_equal(rig_dump(&rig), OK);
		first = rig_keepsake(&rig, 1);
		assert_int_equal(rig_dump(&rig), E_FULL);
		second = rig_keepsake(&rig, 2);
		assert_int_equal(second.h.state, DL_STATE_INCOMPLETE);
		assert_int_equal(second.h.reason, E_FULL);
		rig_check(&rig, 1, &report);
		assert_true(report.end && report.pages > 500);
		assert_int_equal(report.tail.reason, E_FULL);
		assert_int_equal(rig_dump(&rig), E_FULL);
		assert_int_equal(rig_slot_of(&rig, 3), -1);
		rig_assert_untouched(&rig, &first);
		rig_assert_untouched(&rig, &second);
		/* Room for one like the first, less what is kept in reserve. */
		rig_clear(&rig, 0);
		assert_int_equal(rig_dump(&rig), E_FULL);
		rig_check(&rig, (u32)rig_slot_of(&rig, 3), &report);
		assert_true(report.pages + 32 > first.h.kept_pages);
		rig_assert_untouched(&rig, &second);
		rig_clear(&rig, 1);
		rig_clear(&rig, (u32)rig_slot_of(&rig, 3));
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, (u32)rig_slot_of(&rig, 4));
		rig_close(&rig);
	}
}

static void test_policy_oldest(void **state)
{
	struct rig_options opt = big_dump();

	(void)state;
	opt.overwrite = DL_OVERWRITE_OLDEST;
	opt.dir_slots = 3;
	opt.ram_bytes = 6 * MIB;
	rig_open(&rig, &opt);
	for (u32 n = 1; n <= 9; n++) {
		struct rig_keepsake k = {.crc = 0};

		if (n > 1)
			k = rig_keepsake(&rig, n - 1);
		assert_int_equal(rig_dump(&rig), OK);
		rig_check_all(&rig, (u32)rig_slot_of(&rig, n));
		/* The newest before this one had to stay: only the oldest gives way. */
		if (n > 1)
			rig_assert_untouched(&rig, &k);
	}
	rig_close(&rig);
}

/* With the policy "never" nothing of the kind happens. */
static void test_policy_never(void **state)
{
	struct rig_options opt = big_dump();
	u8 *before;

	(void)state;
	opt.dir_slots = 1;
	rig_open_with_dump(&rig, &opt);
	before = rig_disk_copy(&rig);
	assert_int_equal(rig_dump(&rig), E_NO_SLOT);
	assert_memory_equal(before, rig.disk.data, rig_disk_bytes(&rig));
	assert_int_equal(rig.disk.writes, 0);
	free(before);
	rig_close(&rig);
}

static void start_plain(const struct rig_options *opt, u64 ram_pages)
{
	struct dump_info info = {.ram_pages = ram_pages, .compressor = DL_COMP_NONE};

	rig_open(&rig, opt);
	rig_boot(&rig);
	assert_int_equal(writer_start(&rig.writer, &rig.gate, &rig.super, &rig.arena, &info), OK);
}

static void test_notes(void **state)
{
	static u8 data[WRITER_NOTE_MAX_BYTES + 1];
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.max_bytes = 8 * KIB;
	start_plain(&opt, 512);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(writer_note(&rig.writer, 1, data, sizeof(data)), E_INVAL);
	for (u32 bytes = 0; bytes < sizeof(data); bytes += 1024)
		assert_int_equal(writer_note(&rig.writer, 1, data, bytes), OK);
	assert_int_equal(writer_finish(&rig.writer, OK), OK);
	rig_check(&rig, 0, &report);
	assert_int_equal(report.notes, 17);
	assert_int_equal(report.tail.reason, OK);
	rig_close(&rig);
}

/* Many small chunks: indexes are linked backwards and list everything. */
static void test_many_chunks(void **state)
{
	struct rig_options opt = rig_defaults();
	u32 counts[] = {0, 1, 2, 120, 121, 122, 123, 124, 125, 244, 245, 246, 247, 1000, 5000};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		start_plain(&opt, 4096);
		rig.disk.reorder = true;
		for (u32 n = 0; n < counts[i]; n++) {
			u64 data = n;

			assert_int_equal(writer_note(&rig.writer, 3, &data, sizeof(data)), OK);
		}
		assert_int_equal(writer_finish(&rig.writer, OK), OK);
		rig_check(&rig, 0, &report);
		assert_int_equal(report.notes, counts[i]);
		assert_true(report.indexes >= counts[i] / WRITER_INDEX_ENTRIES);
		rig_close(&rig);
	}
}

static void test_classes_merge_and_ascend(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	start_plain(&opt, 4096);
	assert_int_equal(writer_classes(&rig.writer, 0, 1, DL_KEPT), OK);
	assert_int_equal(writer_classes(&rig.writer, 1, 2, DL_KEPT), OK);
	assert_int_equal(rig.writer.class_count, 1);
	assert_int_equal(writer_classes(&rig.writer, 3, 1, DL_ZERO), OK);
	assert_int_equal(writer_classes(&rig.writer, 5, 1, DL_ZERO), OK);
	assert_int_equal(rig.writer.class_count, 3);
	assert_int_equal(writer_classes(&rig.writer, 5, 1, DL_FREE), E_INVAL);
	assert_int_equal(writer_classes(&rig.writer, 6, 0, DL_FREE), OK);
	assert_int_equal(rig.writer.class_count, 3);
	for (u64 pfn = 6; pfn < 4000; pfn++)
		assert_int_equal(writer_classes(&rig.writer, pfn, 1, 2 + pfn % 2), OK);
	assert_int_equal(writer_finish(&rig.writer, OK), OK);
	rig_check(&rig, 0, &report);
	assert_int_equal(report.class[0], DL_KEPT);
	assert_int_equal(report.class[2], DL_KEPT);
	assert_int_equal(report.class[3], DL_ZERO);
	assert_int_equal(report.class[4], 0xff);
	for (u64 pfn = 6; pfn < 4000; pfn++)
		assert_int_equal(report.class[pfn], 2 + pfn % 2);
	rig_close(&rig);
}

static void test_long_class_runs(void **state)
{
	struct rig_options opt = rig_defaults();
	const u64 *run;

	(void)state;
	start_plain(&opt, 4096);
	run = rig.writer.class_run;
	assert_int_equal(writer_classes(&rig.writer, 7, 65535, DL_KEPT), OK);
	assert_int_equal(writer_classes(&rig.writer, 65542, 70000, DL_KEPT), OK);
	assert_int_equal(rig.writer.class_count, 3);
	assert_int_equal(run[0], dl_run(7, 65536, DL_KEPT));
	assert_int_equal(run[1], dl_run(65543, 65536, DL_KEPT));
	assert_int_equal(run[2], dl_run(131079, 4463, DL_KEPT));
	rig_close(&rig);
}

static void test_bad_groups(void **state)
{
	struct rig_options opt = rig_defaults();
	struct page_group g = {.count = 0};

	(void)state;
	start_plain(&opt, 512);
	assert_int_equal(writer_raw(&rig.writer, &g, 0), E_INVAL);
	g.count = DL_GROUP_PAGES + 1;
	assert_int_equal(writer_raw(&rig.writer, &g, 0), E_INVAL);
	rig_close(&rig);
}

/* The caller's reason is recorded; the pages before it stay readable. */
static void test_closed_with_a_reason(void **state)
{
	struct rig_options opt = rig_defaults();
	struct dl_header h;

	(void)state;
	start_plain(&opt, 512);
	assert_int_equal(writer_finish(&rig.writer, E_COMPRESS), E_COMPRESS);
	assert_true(rig_header(&rig, 0, &h));
	assert_int_equal(h.state, DL_STATE_INCOMPLETE);
	assert_int_equal(h.reason, E_COMPRESS);
	rig_check(&rig, 0, &report);
	assert_int_equal(report.tail.reason, E_COMPRESS);
	rig_close(&rig);
}

static void test_no_memory(void **state)
{
	struct rig_options opt = rig_defaults();
	struct dump_info info = {.ram_pages = 512};
	u8 *before;

	(void)state;
	rig_open(&rig, &opt);
	before = rig_disk_copy(&rig);
	for (u64 bytes = 0; bytes < 180 * KIB; bytes += 10000) {
		rig_boot(&rig);
		rig.arena.bytes = bytes;
		assert_int_equal(
			writer_start(&rig.writer, &rig.gate, &rig.super, &rig.arena, &info),
			E_NO_MEMORY);
	}
	assert_memory_equal(before, rig.disk.data, rig_disk_bytes(&rig));
	free(before);
	rig_close(&rig);
}

/* The gate stays shut: nothing arrives. */
static void test_closed_gate(void **state)
{
	struct rig_options opt = rig_defaults();
	struct dump_info info = {.ram_pages = 512};

	(void)state;
	rig_open(&rig, &opt);
	rig_boot(&rig);
	rig.gate.writable = false;
	assert_int_equal(
		writer_start(&rig.writer, &rig.gate, &rig.super, &rig.arena, &info), E_GATE);
	assert_int_equal(rig.disk.writes, 0);
	rig_close(&rig);
}

static void test_queue_is_kept_full(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.compressor = DL_COMP_NONE;
	rig_open(&rig, &opt);
	rig.disk.lazy = true;
	rig.disk.blk.depth = 7;
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 0);
	assert_int_equal(rig.disk.deepest, 7);
	rig.disk.blk.depth = 1;
	assert_int_equal(rig_dump(&rig), OK);
	rig_check_all(&rig, 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_says_what_was_asked),
		cmocka_unit_test(test_both_header_copies),
		cmocka_unit_test(test_several_dumps),
		cmocka_unit_test(test_slots_run_out_and_come_back),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_policy_oldest),
		cmocka_unit_test(test_policy_never),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_many_chunks),
		cmocka_unit_test(test_classes_merge_and_ascend),
		cmocka_unit_test(test_long_class_runs),
		cmocka_unit_test(test_bad_groups),
		cmocka_unit_test(test_closed_with_a_reason),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_closed_gate),
		cmocka_unit_test(test_queue_is_kept_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
