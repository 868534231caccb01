/*
 * The reader on good logs and on damaged superblocks and directories: what is found,
 * and what is said of each page.
 */
#include "tests/unit/reader_help.h"

static void good_dumps_are_complete(void **state)
{
	static const u32 block_bytes[] = {512, 4096};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(block_bytes); i++) {
		logmaker_free(&maker);
		make(block_bytes[i]);
		help_dump(&maker, 3, 24);
		help_dump(&maker, 4, 31);
		help_dump(&maker, 2, 24);
		assert_int_equal(open_log(), OK);
		assert_int_equal(reader.count, 3);
		for (u32 d = 0; d < 3; d++)
			assert_int_equal(reader.dump[d].h.number, 2 + d);
		assert_int_equal(reader_find(&reader, 0)->h.number, 4);
		assert_null(reader_find(&reader, 1));
		for (u32 number = 2; number <= 4; number++) {
			assert_int_equal(load(number), OK);
			check_contents(true);
			reader_map_free(&map);
		}
		reader_close(&reader);
	}
}

static void every_page_has_its_fate(void **state)
{
	static const struct reader_run want[] = {
		{0, 64, READER_HERE, DL_KEPT, 0},
		{64, 64, READER_ZERO, DL_ZERO, 0},
		{128, 32, READER_EXCLUDED, DL_FREE, 0},
		{256, 8, READER_HERE, DL_KEPT, 0},
		{264, 248, READER_EXCLUDED, DL_USER, 0},
	};
	struct reader_totals t;
	struct reader_iter it;
	struct reader_run run;
	u64 at = 0;

	(void)state;
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(1), OK);
	assert_int_equal(map.end_pfn, HELP_RAM_PAGES);
	reader_iter_start(&it, &map, 0);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		for (at = 0; at < want[i].count; at += run.count) {
			assert_true(reader_iter_next(&it, &run));
			assert_int_equal(run.pfn, want[i].pfn + at);
			assert_int_equal(run.fate, want[i].fate);
			assert_int_equal(run.class, want[i].class);
		}
		assert_int_equal(at, want[i].count);
	}
	assert_false(reader_iter_next(&it, &run));
	reader_iter_start(&it, &map, 130);
	assert_true(reader_iter_next(&it, &run));
	assert_int_equal(run.pfn, 130);
	assert_int_equal(run.count, 30);
	reader_map_count(&map, &t);
	assert_int_equal(t.ram, 416);
	assert_int_equal(t.here, 72);
	assert_int_equal(t.zero, 64);
	assert_int_equal(t.excluded, 280);
	assert_int_equal(t.missing, 0);
	assert_int_equal(t.class[DL_USER], 248);
	assert_int_equal(t.class[DL_CLASSES], 0);
	reader_map_free(&map);
	reader_close(&reader);
}

/* The same log at a level that keeps user pages: they are missing, not excluded. */
static void the_level_decides_what_is_missing(void **state)
{
	static const struct {
		u32 level;
		enum status verdict;
	} cases[] = {{31, OK}, {24, OK}, {16, E_ABSENT}, {8, E_ABSENT}, {1, E_ABSENT}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		maker.h.level_applied = cases[i].level;
		logmaker_put_header(&maker, true, true);
		assert_int_equal(open_log(), OK);
		assert_int_equal(load(1), cases[i].verdict);
		reader_map_free(&map);
		reader_close(&reader);
	}
}

/* The log ends in the middle of a class run; what the memory map alone knows is missing too. */
static void contents_may_begin_and_end_inside_a_class_run(void **state)
{
	static const struct reader_run want[] = {
		{0, 8, READER_MISSING, DL_KEPT, 0},
		{8, 4, READER_HERE, DL_KEPT, 0},
		{12, 4, READER_MISSING, DL_KEPT, 0},
		{16, 14, READER_MISSING, DL_CLASSES, 0},
		{30, 4, READER_HERE, DL_CLASSES, 0},
		{34, 6, READER_MISSING, DL_CLASSES, 0},
		{50, 2, READER_HERE, DL_CLASSES, 0},
	};
	const struct mem_range ram = {.bytes = 40 * PAGE_BYTES, .type = MEM_RAM};
	const u64 classes[] = {dl_run(0, 16, DL_KEPT)};
	struct reader_iter it;
	struct reader_run run;

	(void)state;
	logmaker_begin(&maker, 2, 31);
	logmaker_note(&maker, DL_NOTE_MEMMAP, &ram, sizeof(ram));
	logmaker_classes(&maker, classes, 1);
	help_pages(&maker, 8, 4, DL_COMP_LZF);
	help_pages(&maker, 30, 4, DL_COMP_LZF);
	help_pages(&maker, 50, 2, DL_COMP_LZF);
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(2), E_INTERRUPTED);
	reader_iter_start(&it, &map, 0);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(reader_iter_next(&it, &run));
		assert_int_equal(run.pfn, want[i].pfn);
		assert_int_equal(run.count, want[i].count);
		assert_int_equal(run.fate, want[i].fate);
		assert_int_equal(run.class, want[i].class);
	}
	assert_false(reader_iter_next(&it, &run));
	reader_map_free(&map);
	reader_close(&reader);
}

/* Passes over memory interleave: each chunk is read once, not once per page. */
static void interleaved_chunks_are_read_once(void **state)
{
	u8 page[PAGE_BYTES];
	u64 reads;

	(void)state;
	logmaker_begin(&maker, 2, 31);
	for (u32 chunk = 0; chunk < 24; chunk++) {
		u8 contents[4 * PAGE_BYTES];
		u64 runs[4];

		for (u32 i = 0; i < 4; i++) {
			u64 pfn = chunk / 6 * 24 + i * 6 + chunk % 6;

			runs[i] = dl_run(pfn, 1, DL_KEPT);
			help_page(pfn, contents + i * PAGE_BYTES);
		}
		logmaker_runs(&maker, runs, 4);
		maker.h.kept_pages += 4;
		logmaker_chunk(&maker, DL_KIND_PAGES, DL_COMP_LZF, contents, sizeof(contents));
	}
	logmaker_end(&maker, OK);
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(2), OK);
	assert_int_equal(reader_pages_open(&pages, &map), OK);
	reads = source.reads;
	for (u64 pfn = 0; pfn < 96; pfn++) {
		u8 want[PAGE_BYTES];

		assert_int_equal(reader_pages_get(&pages, pfn, page), OK);
		help_page(pfn, want);
		assert_memory_equal(page, want, PAGE_BYTES);
	}
	assert_true(source.reads - reads <= 2 * 24);
	reader_pages_close(&pages);
	reader_map_free(&map);
	reader_close(&reader);
}

static void notes_are_kept(void **state)
{
	const struct reader_note *n;

	(void)state;
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(1), OK);
	n = reader_map_note(&map, DL_NOTE_VMCOREINFO, 0);
	assert_non_null(n);
	assert_memory_equal(n->data, "OSRELEASE=6.1.0-test\n", 21);
	assert_int_equal(n->data[n->bytes], 0);
	assert_null(reader_map_note(&map, DL_NOTE_VMCOREINFO, 1));
	assert_null(reader_map_note(&map, DL_NOTE_PRSTATUS, 0));
	reader_map_free(&map);
	reader_close(&reader);
}

static u8 *last_super(void)
{
	return maker.disk + maker.bytes - maker.super.block_bytes;
}

static void one_superblock_suffices(void **state)
{
	static const u32 block_bytes[] = {512, 4096};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(block_bytes); i++) {
		logmaker_free(&maker);
		make(block_bytes[i]);
		help_dump(&maker, 1, 24);
		maker.disk[100] ^= 1;
		assert_int_equal(open_log(), OK);
		assert_int_equal(reader.super_front, E_SUPERBLOCK);
		assert_int_equal(reader.super_back, OK);
		assert_int_equal(load(1), OK);
		reader_map_free(&map);
		reader_close(&reader);
		maker.disk[100] ^= 1;
		memset(last_super(), 0, 512);
		assert_int_equal(open_log(), OK);
		assert_int_equal(reader.super_back, E_FOREIGN);
		reader_close(&reader);
		maker.disk[100] ^= 1;
		assert_int_equal(open_log(), E_SUPERBLOCK);
		memset(maker.disk, 0, 512);
		assert_int_equal(open_log(), E_FOREIGN);
	}
}

static void seal_supers(void)
{
	dl_super_seal(&maker.super);
	memcpy(maker.disk, &maker.super, 512);
	memcpy(last_super(), &maker.super, 512);
}

static void bad_superblocks_are_refused(void **state)
{
	(void)state;
	maker.super.version = 2;
	seal_supers();
	assert_int_equal(open_log(), E_VERSION);
	maker.super.version = 1;
	maker.super.blocks = (u64)1 << 54;
	maker.super.block_bytes = 4096;
	seal_supers();
	assert_int_equal(open_log(), E_SUPERBLOCK);
	maker.super.block_bytes = 1024;
	seal_supers();
	assert_int_equal(open_log(), E_SUPERBLOCK);
	for (source.bytes = 0; source.bytes < 512; source.bytes += 73)
		assert_int_equal(open_log(), E_FOREIGN);
}

/* A superblock at the end that tells of another size is not this partition's. */
static void a_strange_last_superblock_is_refused(void **state)
{
	(void)state;
	memset(maker.disk, 0, 512);
	maker.super.blocks -= 1;
	dl_super_seal(&maker.super);
	memcpy(last_super(), &maker.super, 512);
	assert_int_equal(open_log(), E_SUPERBLOCK);
}

static u8 *slot(bool back)
{
	u64 block = back ? dl_slot_block_back(&maker.super, maker.slot) : dl_slot_block(maker.slot);

	return maker.disk + block * maker.super.block_bytes;
}

static void the_higher_generation_counts(void **state)
{
	(void)state;
	maker.h.flags = DL_FLAG_CLEARED;
	logmaker_put_header(&maker, false, true);
	assert_int_equal(open_log(), OK);
	assert_int_equal(reader.dump[0].h.flags, DL_FLAG_CLEARED);
	reader_close(&reader);
	maker.h.flags = 0;
	logmaker_put_header(&maker, true, false);
	assert_int_equal(open_log(), OK);
	assert_int_equal(reader.dump[0].h.flags, 0);
	reader_close(&reader);
}

static void one_copy_of_a_slot_suffices(void **state)
{
	(void)state;
	slot(false)[60] ^= 1;
	assert_int_equal(open_log(), OK);
	assert_int_equal(reader.count, 1);
	assert_int_equal(reader.dump[0].front, E_CHECKSUM);
	assert_int_equal(reader.dump[0].back, OK);
	assert_int_equal(reader.bad_slots, 0);
	reader_close(&reader);
	slot(true)[60] ^= 1;
	assert_int_equal(open_log(), OK);
	assert_int_equal(reader.count, 0);
	assert_int_equal(reader.bad_slots, 1);
	assert_int_equal(reader.bad_slot_why, E_CHECKSUM);
	assert_null(reader_find(&reader, 0));
	reader_close(&reader);
	slot(false)[60] ^= 1;
	memset(slot(true), 0, 512);
	assert_int_equal(open_log(), OK);
	assert_int_equal(reader.count, 1);
	reader_close(&reader);
}

static void another_disks_leftovers_are_no_dumps(void **state)
{
	(void)state;
	maker.h.disk_uuid[3] ^= 1;
	logmaker_put_header(&maker, true, true);
	assert_int_equal(open_log(), OK);
	assert_int_equal(reader.count, 0);
	assert_int_equal(reader.bad_slots, 0);
	reader_close(&reader);
}

static void unknown_chunks_are_skipped(void **state)
{
	static const u8 data[100];
	struct dl_chunk *c;

	(void)state;
	logmaker_free(&maker);
	make(512);
	logmaker_begin(&maker, 1, 31);
	logmaker_chunk(&maker, 99, DL_COMP_NONE, data, sizeof(data));
	help_pages(&maker, 0, 16, DL_COMP_NONE);
	/* A header longer than ours, with a field we do not know. */
	c = logmaker_find(&maker, 2);
	memmove((u8 *)c + 140, (u8 *)c + 128, sizeof(u64));
	memset((u8 *)c + 128, 0xee, 12);
	c->header_bytes = 140;
	dl_chunk_seal(c);
	logmaker_chunk(&maker, 77, 9, data, sizeof(data));
	logmaker_end(&maker, OK);
	assert_int_equal(verdict(), OK);
}

static bool index_agrees(void)
{
	static u8 raw[READER_PAYLOAD_MAX];
	static struct reader_walk walk;
	struct reader_index index = {0};
	bool good = true;

	assert_int_equal(open_log(), OK);
	reader_walk_start(&walk, &reader, &reader.dump[0]);
	while (reader_walk_next(&walk)) {
		assert_int_equal(reader_walk_payload(&walk, raw), OK);
		good = reader_index_check(&index, &walk, raw) == OK && good;
	}
	assert_int_equal(walk.why, OK);
	reader_close(&reader);
	return good;
}

static void reseal_payload(struct dl_chunk *c)
{
	c->payload_crc32c = crc32c(0, (u8 *)c + c->payload_offset, c->stored_bytes);
	dl_chunk_seal(c);
}

static void an_index_lists_what_the_walk_finds(void **state)
{
	(void)state;
	assert_true(index_agrees());
	for (u64 i = 0; i < maker.sequence; i++) {
		struct dl_chunk *c = logmaker_find(&maker, i);
		u8 *payload = (u8 *)c + c->payload_offset;

		if (c->kind != DL_KIND_INDEX)
			continue;
		for (u32 at = 0; at < c->raw_bytes; at += 5) {
			if (at >= 12 && at < 16)
				continue;
			payload[at] ^= 1;
			reseal_payload(c);
			assert_false(index_agrees());
			payload[at] ^= 1;
			reseal_payload(c);
		}
	}
	assert_true(index_agrees());
}

static void spans_are_settled(void **state)
{
	static const struct reader_span in[] = {
		{50, 10, 5}, {10, 5, 100}, {12, 8, 200}, {12, 2, 50}, {30, 1, 7}, {0, 4, 9}};
	static const struct reader_span want[] = {
		{0, 4, 9}, {10, 5, 100}, {15, 5, 203}, {30, 1, 7}, {50, 10, 5}};
	struct reader_spans s = {.placed = true};

	(void)state;
	assert_int_equal(open_log(), OK);
	for (u32 i = 0; i < ARRAY_SIZE(in); i++)
		assert_int_equal(reader_spans_add(&reader, &s, &in[i]), OK);
	reader_spans_settle(&s);
	assert_int_equal(s.count, ARRAY_SIZE(want));
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		assert_memory_equal(&s.span[i], &want[i], sizeof(want[i]));
	assert_int_equal(reader_spans_find(&s, 0), 0);
	assert_int_equal(reader_spans_find(&s, 4), 1);
	assert_int_equal(reader_spans_find(&s, 14), 1);
	assert_int_equal(reader_spans_find(&s, 15), 2);
	assert_int_equal(reader_spans_find(&s, 60), 5);
	help_resize(&source, s.span, 0);
	reader_close(&reader);
}

static void many_spans_are_sorted(void **state)
{
	struct reader_spans s = {0};
	u64 seed = 12345;

	(void)state;
	assert_int_equal(open_log(), OK);
	for (u32 i = 0; i < 20000; i++) {
		struct reader_span span = {.pfn = seed >> 40, .count = 1 + (seed & 3)};

		assert_int_equal(reader_spans_add(&reader, &s, &span), OK);
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	}
	reader_spans_settle(&s);
	assert_true(s.count > 1000);
	for (u64 i = 1; i < s.count; i++)
		assert_true(s.span[i - 1].pfn + s.span[i - 1].count <= s.span[i].pfn);
	help_resize(&source, s.span, 0);
	reader_close(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_dumps_are_complete),
		TEST(every_page_has_its_fate),
		TEST(the_level_decides_what_is_missing),
		TEST(contents_may_begin_and_end_inside_a_class_run),
		TEST(interleaved_chunks_are_read_once),
		TEST(notes_are_kept),
		TEST(one_superblock_suffices),
		TEST(bad_superblocks_are_refused),
		TEST(a_strange_last_superblock_is_refused),
		TEST(the_higher_generation_counts),
		TEST(one_copy_of_a_slot_suffices),
		TEST(another_disks_leftovers_are_no_dumps),
		TEST(unknown_chunks_are_skipped),
		TEST(an_index_lists_what_the_walk_finds),
		TEST(spans_are_settled),
		TEST(many_spans_are_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
