/*
 * What the image's writer leaves on a disk, as the reader sees it: whole, and after
 * the power went at every write.
 */
#include "tests/unit/reader_help.h"
#include "tests/model/dumprig.h"

static struct rig rig;
static u64 good_pages;

static void look_at_disk(void)
{
	memset(&source, 0, sizeof(source));
	source.disk = rig.disk.data + (u64)RIG_PART_LBA * rig.opt.block_bytes;
	source.bytes = rig.super.blocks * rig.opt.block_bytes;
}

/* What can be read of the newest dump equals old memory. */
static void compare_pages(void)
{
	u8 buf[PAGE_BYTES];

	good_pages = 0;
	assert_int_equal(reader_pages_open(&pages, &map), OK);
	for (u64 pfn = 0; pfn < rig.opt.ram_bytes / PAGE_BYTES; pfn++) {
		if (reader_pages_get(&pages, pfn, buf) != OK)
			continue;
		assert_memory_equal(buf, rig.old + pfn * PAGE_BYTES, PAGE_BYTES);
		good_pages++;
	}
	reader_pages_close(&pages);
}

static void check_indexes(void)
{
	static struct reader_walk walk;
	static u8 raw[READER_PAYLOAD_MAX];
	struct reader_index index = {0};

	reader_walk_start(&walk, &reader, reader_find(&reader, 0));
	while (reader_walk_next(&walk)) {
		assert_int_equal(reader_walk_payload(&walk, raw), OK);
		assert_int_equal(reader_index_check(&index, &walk, raw), OK);
	}
	assert_int_equal(walk.why, OK);
}

static void dumps_are_read_as_written(void **state)
{
	static const u32 block_bytes[] = {512, 4096};
	struct reader_totals t;

	(void)state;
	for (u32 i = 0; i < 6; i++) {
		struct rig_options opt = rig_defaults();

		opt.block_bytes = block_bytes[i % 2];
		opt.compressor = i / 2;
		rig_open(&rig, &opt);
		assert_int_equal(rig_dump(&rig), OK);
		look_at_disk();
		assert_int_equal(open_log(), OK);
		assert_int_equal(reader.count, 1);
		assert_int_equal(load(0), OK);
		reader_map_count(&map, &t);
		assert_int_equal(t.ram, memmap_ram_pages(&rig.map));
		assert_int_equal(t.here, reader.dump[0].h.kept_pages);
		assert_int_equal(t.zero, reader.dump[0].h.zero_pages);
		assert_int_equal(t.class[DL_CLASSES], 0);
		compare_pages();
		assert_int_equal(good_pages, t.here + t.zero);
		check_indexes();
		reader_map_free(&map);
		reader_close(&reader);
		rig_close(&rig);
	}
}

/* Power goes before write @n; false if the dump was complete by then. */
static bool cut_at(u64 n, bool cached)
{
	struct rig_options opt = rig_defaults();
	enum status st;
	bool complete;

	rig_open(&rig, &opt);
	rig.disk.cut_at = n;
	rig.disk.cached = cached;
	st = rig_dump(&rig);
	look_at_disk();
	assert_int_equal(open_log(), OK);
	complete = false;
	good_pages = 0;
	if (reader.count) {
		complete = load(0) == OK;
		compare_pages();
		reader_map_free(&map);
	}
	reader_close(&reader);
	/* Never complete if it is not; that it is may be told by the first copy of the header. */
	assert_true(!complete || n + 2 >= rig.disk.writes);
	rig_close(&rig);
	return st != OK || !complete;
}

static void a_dump_cut_at_every_write_is_read(void **state)
{
	(void)state;
	for (u32 cached = 0; cached < 2; cached++) {
		u64 last = 0;
		u64 n = 1;

		while (n < 1000 && cut_at(n, cached)) {
			assert_true(cached || good_pages + DL_GROUP_PAGES >= last);
			last = good_pages;
			n++;
		}
		assert_in_range(n, 10, 999);
		assert_true(good_pages > 100);
	}
}

static void a_full_disk_is_read(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.ram_bytes = 14 * MIB;
	opt.compressor = DL_COMP_NONE;
	rig_open_with_dump(&rig, &opt);
	assert_int_equal(rig_dump(&rig), E_FULL);
	look_at_disk();
	assert_int_equal(open_log(), OK);
	assert_int_equal(reader.count, 2);
	assert_int_equal(load(0), E_FULL);
	compare_pages();
	assert_true(good_pages > 0);
	reader_map_free(&map);
	reader_close(&reader);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dumps_are_read_as_written),
		cmocka_unit_test(a_dump_cut_at_every_write_is_read),
		cmocka_unit_test(a_full_disk_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
