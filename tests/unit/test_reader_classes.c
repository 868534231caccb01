/*
 * The reader on dumps of every class: what was found in later passes, what was left
 * out because it would not fit, and what a higher level leaves out on top.
 */
#include "tests/unit/reader_help.h"

/* Where each class begins in class_dump; 16 pages each, class 0 being no RAM. */
#define CLASS_PAGES  16u
#define CLASS_PFN(c) ((u64)(c)*CLASS_PAGES)

/*
 * RAM of all classes, level 0: what level 31 keeps is in the log; of each later pass's class
 * pages 0-7 are in the log, 8-11 were found zero, 12-15 unreadable.
 */
static void class_dump(u32 number, u32 level)
{
	static const u32 later[] = {DL_USER, DL_PRIVATE_CACHE, DL_CACHE, DL_FREE};
	u64 classes[DL_CLASSES];

	logmaker_begin(&maker, number, level);
	for (u32 c = 0; c < DL_CLASSES; c++)
		classes[c] = dl_run(CLASS_PFN(c), CLASS_PAGES, c);
	logmaker_classes(&maker, classes, DL_CLASSES);
	for (u32 c = 0; c < DL_CLASSES; c++) {
		if (dl_class_has_data(c, DL_LEVEL_MAX))
			help_pages(&maker, CLASS_PFN(c), CLASS_PAGES, DL_COMP_LZF);
	}
	for (u32 i = 0; i < ARRAY_SIZE(later); i++) {
		const u64 found[] = {dl_run(CLASS_PFN(later[i]) + 8, 4, DL_ZERO),
			dl_run(CLASS_PFN(later[i]) + 12, 4, DL_UNREADABLE)};

		help_pages(&maker, CLASS_PFN(later[i]), 8, DL_COMP_LZF);
		logmaker_found(&maker, found, ARRAY_SIZE(found));
	}
	logmaker_end(&maker, OK);
}

static int class_setup(void **state)
{
	(void)state;
	make(512);
	class_dump(1, 0);
	return 0;
}

#define CLASS_TEST(f) cmocka_unit_test_setup_teardown(f, class_setup, teardown)

static enum status load_again(void)
{
	logmaker_put_header(&maker, true, true);
	assert_int_equal(open_log(), OK);
	return load(1);
}

static void done(void)
{
	reader_map_free(&map);
	reader_close(&reader);
}

/* The fate of page @pfn by the iterator, started there. */
static struct reader_run run_at(u64 pfn)
{
	struct reader_iter it;
	struct reader_run run;

	reader_iter_start(&it, &map, pfn);
	assert_true(reader_iter_next(&it, &run));
	assert_int_equal(run.pfn, pfn);
	return run;
}

static void expect_run(u64 pfn, u64 count, enum reader_fate fate, u32 found)
{
	struct reader_run run = run_at(pfn);

	assert_int_equal(run.count, count);
	assert_int_equal(run.fate, fate);
	assert_int_equal(run.class, pfn / CLASS_PAGES);
	assert_int_equal(run.found, found);
}

static void what_was_found_keeps_its_class(void **state)
{
	struct reader_totals t;

	(void)state;
	assert_int_equal(load_again(), OK);
	for (u32 c = DL_FREE; c <= DL_USER; c++) {
		expect_run(CLASS_PFN(c), 8, READER_HERE, 0);
		expect_run(CLASS_PFN(c) + 8, 4, READER_ZERO, DL_ZERO);
		expect_run(CLASS_PFN(c) + 12, 4, READER_EXCLUDED, DL_UNREADABLE);
	}
	expect_run(CLASS_PFN(DL_METADATA_LOST), 16, READER_HERE, 0);
	expect_run(CLASS_PFN(DL_HWPOISON), 16, READER_EXCLUDED, 0);
	reader_map_count(&map, &t);
	assert_int_equal(t.ram, 13 * 16);
	assert_int_equal(t.class[DL_USER], 16);
	assert_int_equal(t.fate[DL_USER][READER_HERE], 8);
	assert_int_equal(t.fate[DL_USER][READER_ZERO], 4);
	assert_int_equal(t.fate[DL_USER][READER_EXCLUDED], 4);
	assert_int_equal(t.unreadable[DL_USER], 4);
	assert_int_equal(t.unreadable[DL_UNREADABLE], 0);
	assert_int_equal(t.zero, 16 + 4 * 4);
	assert_int_equal(t.here, 4 * 16 + 4 * 8);
	assert_int_equal(t.missing, 0);
	done();
}

/* What was found outweighs contents, which are then of no use. */
static void found_pages_read_as_found(void **state)
{
	const u64 found[] = {dl_run(2, 2, DL_ZERO), dl_run(6, 1, DL_UNREADABLE)};
	u8 page[PAGE_BYTES];

	(void)state;
	logmaker_begin(&maker, 2, 0);
	help_pages(&maker, 0, 8, DL_COMP_LZF);
	logmaker_found(&maker, found, ARRAY_SIZE(found));
	logmaker_end(&maker, OK);
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(2), OK);
	assert_int_equal(run_at(0).count, 2);
	assert_int_equal(run_at(2).fate, READER_ZERO);
	assert_int_equal(run_at(6).fate, READER_EXCLUDED);
	assert_int_equal(run_at(7).fate, READER_HERE);
	assert_int_equal(reader_pages_open(&pages, &map), OK);
	assert_int_equal(reader_pages_get(&pages, 3, page), OK);
	assert_int_equal(page[0] | page[1], 0);
	assert_int_equal(reader_pages_get(&pages, 6, page), E_ABSENT);
	assert_int_equal(reader_pages_get(&pages, 7, page), OK);
	assert_int_equal(page[0], 7);
	reader_pages_close(&pages);
	done();
}

/* Written out from makedumpfile's description, not from the code's own table. */
static bool left_out(u32 class, u32 level)
{
	switch (class) {
	case DL_CACHE:
		return level & 2 || level & 4;
	case DL_PRIVATE_CACHE:
		return level & 4;
	case DL_USER:
		return level & 8;
	case DL_FREE:
		return level & 16;
	default:
		return false;
	}
}

static void a_filter_leaves_out_classes(void **state)
{
	(void)state;
	assert_int_equal(load_again(), OK);
	for (u32 level = 0; level <= DL_LEVEL_MAX; level++) {
		u64 out = 0;
		struct reader_totals t;

		reader_map_filter(&map, level);
		for (u32 c = DL_FREE; c <= DL_USER; c++) {
			bool no = left_out(c, level);

			out += no;
			expect_run(CLASS_PFN(c), 8, no ? READER_EXCLUDED : READER_HERE, 0);
			expect_run(
				CLASS_PFN(c) + 8, 4, no ? READER_EXCLUDED : READER_ZERO, DL_ZERO);
			expect_run(CLASS_PFN(c) + 12, 4, READER_EXCLUDED, DL_UNREADABLE);
		}
		expect_run(CLASS_PFN(DL_KEPT), 16, READER_HERE, 0);
		expect_run(CLASS_PFN(DL_ZERO), 16, READER_ZERO, 0);
		expect_run(CLASS_PFN(DL_OVERWRITTEN_LOADER), 16, READER_HERE, 0);
		reader_map_count(&map, &t);
		assert_int_equal(t.here, 4 * 16 + (4 - out) * 8);
		assert_int_equal(t.ram, 13 * 16);
	}
	done();
}

/* Contents of a page whose class the dump's own level leaves out are not thrown away. */
static void without_a_filter_all_contents_count(void **state)
{
	(void)state;
	maker.h.level_applied = 31;
	assert_int_equal(load_again(), OK);
	expect_run(CLASS_PFN(DL_USER), 8, READER_HERE, 0);
	reader_map_filter(&map, 31);
	expect_run(CLASS_PFN(DL_USER), 8, READER_EXCLUDED, 0);
	expect_run(CLASS_PFN(DL_OVERWRITTEN_LOADER), 16, READER_HERE, 0);
	done();
}

/* A dump of level 0 whose user and free pages are not there. */
static void poor_dump(enum status reason)
{
	const u64 classes[] = {dl_run(0, 16, DL_KEPT), dl_run(16, 16, DL_USER),
		dl_run(32, 16, DL_CACHE), dl_run(48, 16, DL_FREE)};

	logmaker_free(&maker);
	make(512);
	logmaker_begin(&maker, 1, 0);
	logmaker_classes(&maker, classes, ARRAY_SIZE(classes));
	help_pages(&maker, 0, 16, DL_COMP_LZF);
	help_pages(&maker, 32, 16, DL_COMP_LZF);
	logmaker_end(&maker, reason);
}

static void dropped_classes_are_not_missing(void **state)
{
	(void)state;
	poor_dump(OK);
	assert_int_equal(load_again(), E_ABSENT);
	assert_int_equal(run_at(16).fate, READER_MISSING);
	done();
	maker.h.dropped = 1u << DL_FREE;
	assert_int_equal(load_again(), E_ABSENT);
	assert_int_equal(run_at(16).fate, READER_MISSING);
	assert_int_equal(run_at(48).fate, READER_EXCLUDED);
	done();
	maker.h.dropped |= 1u << DL_USER;
	assert_int_equal(load_again(), OK);
	assert_int_equal(run_at(16).fate, READER_EXCLUDED);
	assert_int_equal(run_at(32).fate, READER_HERE);
	done();
}

static void incomplete_classes_are_missing(void **state)
{
	struct reader_totals t;

	(void)state;
	poor_dump(E_FULL);
	maker.h.incomplete = 1u << DL_USER | 1u << DL_FREE;
	assert_int_equal(load_again(), E_FULL);
	reader_map_count(&map, &t);
	assert_int_equal(t.fate[DL_USER][READER_MISSING], 16);
	assert_int_equal(t.missing, 32);
	reader_map_filter(&map, 16);
	reader_map_count(&map, &t);
	assert_int_equal(t.missing, 16);
	done();
}

static void found_runs_are_checked(void **state)
{
	struct reader_found f = {0};

	(void)state;
	assert_int_equal(reader_found_check(&f, dl_run(5, 1, DL_KEPT)), E_CHUNK);
	assert_int_equal(reader_found_check(&f, dl_run(5, 1, 200)), E_CHUNK);
	assert_int_equal(reader_found_check(&f, dl_run(5, 3, DL_ZERO)), OK);
	assert_int_equal(reader_found_check(&f, dl_run(8, 1, DL_UNREADABLE)), OK);
	/* Five more passes, each one begun by a run that does not ascend. */
	for (u32 i = 0; i < DL_LATER_PASSES + 1; i++)
		assert_int_equal(reader_found_check(&f, dl_run(8, 1, DL_ZERO)), OK);
	assert_int_equal(reader_found_check(&f, dl_run(9, 1, DL_ZERO)), OK);
	assert_int_equal(reader_found_check(&f, dl_run(9, 1, DL_ZERO)), E_CHUNK);
}

/* Packed repetitions of FOUND runs take no more memory than the passes need. */
static void found_repetitions_are_refused(void **state)
{
	static u64 runs[DL_GROUP_PAGES * PAGE_BYTES / sizeof(u64)];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(runs); i++)
		runs[i] = dl_run(5 - i % 2, 1, i % 2 ? DL_ZERO : DL_UNREADABLE);
	logmaker_begin(&maker, 2, 0);
	for (u32 i = 0; i < 3; i++)
		logmaker_found(&maker, runs, ARRAY_SIZE(runs));
	logmaker_end(&maker, OK);
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(2), E_CHUNK);
	assert_int_equal(map.bad_chunks, 3);
	assert_in_range(map.found.room, 1, 256);
	assert_int_equal(map.found.count, 2);
	done();
}

static void a_damaged_found_chunk_makes_pages_missing(void **state)
{
	struct dl_chunk *c;
	u64 i = 0;

	(void)state;
	do {
		c = logmaker_find(&maker, i++);
		assert_non_null(c);
	} while (c->kind != DL_KIND_FOUND);
	((u8 *)c)[c->payload_offset] ^= 1;
	assert_int_equal(load_again(), E_CHECKSUM);
	expect_run(CLASS_PFN(DL_USER) + 8, 8, READER_MISSING, 0);
	expect_run(CLASS_PFN(DL_FREE) + 8, 4, READER_ZERO, DL_ZERO);
	done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLASS_TEST(what_was_found_keeps_its_class),
		CLASS_TEST(found_pages_read_as_found),
		CLASS_TEST(a_filter_leaves_out_classes),
		CLASS_TEST(without_a_filter_all_contents_count),
		CLASS_TEST(dropped_classes_are_not_missing),
		CLASS_TEST(incomplete_classes_are_missing),
		CLASS_TEST(found_runs_are_checked),
		CLASS_TEST(found_repetitions_are_refused),
		CLASS_TEST(a_damaged_found_chunk_makes_pages_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
