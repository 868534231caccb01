/*
 * What the image's writer leaves on a disk, as the reader sees it: whole, and after
 * the power went at every write.
 */
#include "tests/unit/fake_scan.h"
#include "tests/unit/reader_help.h"
#include "tests/host/ports_mem.h"

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

/* The class of a page of RAM by the rig's map and plan; DL_NOT_RAM where there is none. */
static u32 planned_class(u64 pfn)
{
	const struct mem_range *m = memmap_find(&rig.map, pfn << PAGE_SHIFT);

	if (!m || m->type != MEM_RAM)
		return DL_NOT_RAM;
	if (m->touched == TOUCHED_NOBODY)
		return rig.plan[pfn];
	if (m->touched == TOUCHED_OURS)
		return DL_OVERWRITTEN_OURS;
	return m->touched == TOUCHED_LOADER ? DL_OVERWRITTEN_LOADER : DL_OVERWRITTEN_FIRMWARE;
}

static bool is_zero(u64 pfn)
{
	const u8 *page = rig.old + pfn * PAGE_BYTES;

	return page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
}

/* What a dump of @level should say of a page of @class that can be read. */
static enum reader_fate planned_fate(u64 pfn, u32 class, u32 level)
{
	if (!dl_class_has_data(class, level))
		return READER_EXCLUDED;
	if (class == DL_OVERWRITTEN_FIRMWARE || class == DL_OVERWRITTEN_LOADER)
		return READER_HERE;
	return level & DL_LEVEL_ZERO && is_zero(pfn) ? READER_ZERO : READER_HERE;
}

static struct reader_run page_at(u64 pfn)
{
	struct reader_iter it;
	struct reader_run run;

	reader_iter_start(&it, &map, pfn);
	if (!reader_iter_next(&it, &run) || run.pfn != pfn)
		run = (struct reader_run) {.pfn = pfn};
	return run;
}

/* Every page of a dump of level @taken, as seen through the filter @level. */
static void check_pages(u32 taken, u32 level)
{
	for (u64 pfn = 0; pfn < rig.opt.ram_bytes >> PAGE_SHIFT; pfn++) {
		u32 class = planned_class(pfn);
		struct reader_run run = page_at(pfn);
		enum reader_fate want = planned_fate(pfn, class, taken);

		if (class == DL_NOT_RAM) {
			assert_int_equal(run.count, 0);
			continue;
		}
		if (!dl_class_has_data(class, level))
			want = READER_EXCLUDED;
		/* Zero pages that were kept come before their class; they stay readable. */
		if (run.class == DL_ZERO)
			assert_true(want == READER_ZERO && dl_class_has_data(class, 31));
		else
			assert_int_equal(run.class, class);
		assert_int_equal(run.fate, want);
	}
}

static void levels_are_read_and_filtered(void **state)
{
	(void)state;
	for (u32 taken = 0; taken <= DL_LEVEL_MAX; taken++) {
		struct rig_options opt = rig_defaults();

		opt.level = taken;
		opt.compressor = taken % 3;
		rig_open(&rig, &opt);
		fake_scan_mix(&rig, 0);
		assert_int_equal(rig_dump(&rig), OK);
		look_at_disk();
		assert_int_equal(open_log(), OK);
		assert_int_equal(load(0), OK);
		for (u32 level = 0; level <= DL_LEVEL_MAX; level++) {
			reader_map_filter(&map, level);
			check_pages(taken, level);
		}
		compare_pages();
		check_indexes();
		reader_map_free(&map);
		reader_close(&reader);
		rig_close(&rig);
	}
}

/* Unreadable pages of later passes keep their class. */
static void unreadable_pages_are_read(void **state)
{
	struct rig_options opt = rig_defaults();
	struct reader_totals t;
	u64 later = 0;

	(void)state;
	opt.level = 0;
	rig_open(&rig, &opt);
	fake_scan_mix(&rig, 0);
	for (u64 pfn = 258; pfn < 258 + 3 * HOST_UNREADABLE; pfn += 3)
		host_ram_unreadable(pfn << PAGE_SHIFT);
	assert_int_equal(rig_dump(&rig), OK);
	look_at_disk();
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(0), OK);
	for (u64 pfn = 258; pfn < 258 + 3 * HOST_UNREADABLE; pfn += 3) {
		u32 class = planned_class(pfn);
		struct reader_run run = page_at(pfn);
		bool in_later = dl_class_has_data(class, 0) && !dl_class_has_data(class, 31);

		if (!dl_class_has_data(class, 0))
			continue;
		assert_int_equal(run.fate, READER_EXCLUDED);
		assert_int_equal(run.class, in_later ? class : DL_UNREADABLE);
		assert_int_equal(run.found, in_later ? DL_UNREADABLE : 0);
		later += in_later;
	}
	reader_map_count(&map, &t);
	assert_true(later > 3 && t.class[DL_UNREADABLE] > 3);
	assert_int_equal(t.unreadable[DL_USER] + t.unreadable[DL_CACHE] + t.unreadable[DL_FREE] +
				 t.unreadable[DL_PRIVATE_CACHE],
		later);
	assert_int_equal(t.missing, 0);
	reader_map_free(&map);
	reader_close(&reader);
	rig_close(&rig);
}

/* What a cut log lacks is missing; what level 31 keeps is there before anything else. */
static void a_cut_in_a_later_pass_loses_later_pages(void **state)
{
	u64 stages = 0;
	bool over = false;

	(void)state;
	for (u64 n = 10; n < 1000 && !over; n += 3) {
		struct rig_options opt = rig_defaults();
		struct reader_totals t;
		bool useful;

		opt.level = 0;
		opt.ram_bytes = 4 * MIB;
		opt.compressor = DL_COMP_NONE;
		rig_open(&rig, &opt);
		fake_scan_mix(&rig, 0);
		rig.disk.cut_at = n;
		over = rig_dump(&rig) == OK && n > rig.disk.writes;
		look_at_disk();
		assert_int_equal(open_log(), OK);
		load(0);
		reader_map_count(&map, &t);
		useful = t.fate[DL_USER][READER_HERE] > 0;
		assert_true(!useful || t.fate[DL_KEPT][READER_MISSING] == 0);
		assert_true(
			t.fate[DL_FREE][READER_HERE] == 0 || t.fate[DL_CACHE][READER_MISSING] == 0);
		stages |= useful && t.fate[DL_USER][READER_MISSING] > 0 ? 1u : 0;
		stages |= t.fate[DL_FREE][READER_HERE] > 0 && t.missing > 0 ? 2u : 0;
		assert_true(!over || t.missing == 0);
		reader_map_free(&map);
		reader_close(&reader);
		rig_close(&rig);
	}
	assert_true(over);
	assert_int_equal(stages, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_are_read_and_filtered),
		cmocka_unit_test(unreadable_pages_are_read),
		cmocka_unit_test(a_cut_in_a_later_pass_loses_later_pages),
		cmocka_unit_test(dumps_are_read_as_written),
		cmocka_unit_test(a_dump_cut_at_every_write_is_read),
		cmocka_unit_test(a_full_disk_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
