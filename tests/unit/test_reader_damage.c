/*
 * The reader against damaged, cut and misleading dumps, and against a source and an
 * allocator that fail at every call.
 */
#include "tests/unit/reader_help.h"

static void the_header_must_agree_with_the_log(void **state)
{
	struct dl_header good = maker.h;

	(void)state;
	assert_int_equal(verdict(), OK);
	maker.h.state = DL_STATE_INCOMPLETE;
	logmaker_put_header(&maker, true, true);
	assert_int_equal(verdict(), E_INTERRUPTED);
	maker.h.reason = E_FULL;
	logmaker_put_header(&maker, true, true);
	assert_int_equal(verdict(), E_FULL);
	maker.h = good;
	maker.h.end--;
	logmaker_put_header(&maker, true, true);
	assert_int_equal(verdict(), E_CHUNK);
	maker.h = good;
	maker.h.chunks++;
	logmaker_put_header(&maker, true, true);
	assert_int_equal(verdict(), E_CHUNK);
	maker.h = good;
	maker.h.limit = good.limit - 1;
	maker.h.used = maker.h.limit;
	maker.h.end = 0;
	logmaker_put_header(&maker, true, true);
	assert_int_equal(verdict(), E_CHUNK);
}

static void a_closed_incomplete_dump_tells_why(void **state)
{
	(void)state;
	logmaker_free(&maker);
	make(512);
	logmaker_begin(&maker, 1, 31);
	help_pages(&maker, 0, 16, DL_COMP_LZF);
	logmaker_end(&maker, E_FULL);
	assert_int_equal(verdict(), E_FULL);
	maker.h.reason = OK;
	logmaker_put_header(&maker, true, true);
	assert_int_equal(verdict(), E_FULL);
}

/* A page too few, though every chunk that is there is good. */
static void a_missing_page_is_noticed(void **state)
{
	(void)state;
	logmaker_free(&maker);
	make(512);
	logmaker_begin(&maker, 1, 31);
	help_pages(&maker, 0, 16, DL_COMP_LZF);
	maker.h.kept_pages++;
	logmaker_end(&maker, OK);
	assert_int_equal(verdict(), E_CHUNK);
}

static void torn_and_foreign_chunks_end_the_log(void **state)
{
	u64 chunks = maker.sequence;

	(void)state;
	for (u64 i = 0; i < chunks; i++) {
		struct dl_chunk *c = logmaker_find(&maker, i);

		c->dump_uuid[0] ^= 1;
		dl_chunk_seal(c);
		assert_int_equal(verdict(), E_CHUNK);
		c->dump_uuid[0] ^= 1;
		c->sequence++;
		dl_chunk_seal(c);
		assert_int_equal(verdict(), E_CHUNK);
		c->sequence--;
		dl_chunk_seal(c);
		c->zero[3] = 1;
		assert_int_equal(verdict(), E_CHUNK);
		c->zero[3] = 0;
		assert_int_equal(verdict(), OK);
	}
}

static void damaged_payloads_are_noticed(void **state)
{
	u64 chunks = maker.sequence;

	(void)state;
	for (u64 i = 0; i < chunks; i++) {
		struct dl_chunk *c = logmaker_find(&maker, i);
		u8 *payload = (u8 *)c + c->payload_offset;
		bool read_by_map = c->kind == DL_KIND_NOTE || c->kind == DL_KIND_CLASSES ||
				   c->kind == DL_KIND_END;

		payload[c->stored_bytes / 2] ^= 0x10;
		assert_int_equal(verdict(), read_by_map ? E_CHECKSUM : OK);
		payload[c->stored_bytes / 2] ^= 0x10;
	}
}

static void lying_chunks_do_no_harm(void **state)
{
	struct dl_chunk *c = logmaker_find(&maker, 6);
	struct dl_chunk good = *c;
	u64 run = dl_run(0, 17, DL_KEPT);

	(void)state;
	assert_int_equal(c->kind, DL_KIND_PAGES);
	c->raw_bytes -= PAGE_BYTES;
	dl_chunk_seal(c);
	assert_int_not_equal(verdict(), OK);
	*c = good;
	memcpy((u8 *)c + c->header_bytes, &run, sizeof(run));
	dl_chunk_seal(c);
	assert_int_not_equal(verdict(), OK);
	*c = good;
	c->compressor = 9;
	dl_chunk_seal(c);
	assert_int_equal(open_log(), OK);
	assert_int_equal(load(1), E_CHUNK);
	reader_map_free(&map);
	reader_close(&reader);
}

/* Well packed repetitions must not take memory without end. */
static void packed_repetitions_are_refused(void **state)
{
	static u64 runs[DL_GROUP_PAGES * PAGE_BYTES / sizeof(u64)];
	static struct dl_note note[READER_PAYLOAD_MAX / sizeof(struct dl_note)];
	u32 fit = 64 * MIB / (sizeof(note) - sizeof(note[0]));

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(runs); i++)
		runs[i] = dl_run(5, 1, DL_KEPT);
	note[0] = (struct dl_note) {.type = 99, .bytes = sizeof(note) - sizeof(note[0])};
	logmaker_free(&maker);
	make(512);
	logmaker_begin(&maker, 1, 31);
	for (u32 i = 0; i < 2; i++)
		logmaker_chunk(&maker, DL_KIND_CLASSES, DL_COMP_ZLIB, runs, sizeof(runs));
	for (u32 i = 0; i < fit + 3; i++)
		logmaker_chunk(&maker, DL_KIND_NOTE, DL_COMP_ZLIB, note, sizeof(note));
	assert_int_equal(open_log(), OK);
	assert_int_not_equal(load(1), OK);
	assert_int_equal(map.classes.count, 1);
	assert_int_equal(map.notes, fit);
	assert_int_equal(map.bad_chunks, 2 + 3);
	reader_map_free(&map);
	reader_close(&reader);
}

static void page_failures_are_told_apart(void **state)
{
	u8 buf[PAGE_BYTES];
	struct dl_chunk *c = logmaker_find(&maker, 6);

	(void)state;
	c->compressor = 9;
	dl_chunk_seal(c);
	c = logmaker_find(&maker, 7);
	((u8 *)c)[c->payload_offset] ^= 1;
	assert_int_equal(open_log(), OK);
	load(1);
	assert_int_equal(reader_pages_open(&pages, &map), OK);
	assert_int_equal(reader_pages_get(&pages, 3, buf), E_METHOD);
	assert_int_equal(reader_pages_get(&pages, 20, buf), E_CHECKSUM);
	assert_int_equal(reader_pages_get(&pages, 40, buf), OK);
	assert_int_equal(reader_pages_get(&pages, 130, buf), E_ABSENT);
	assert_int_equal(reader_pages_get(&pages, 200, buf), E_ABSENT);
	assert_int_equal(reader_pages_get(&pages, ~0ull, buf), E_ABSENT);
	reader_pages_close(&pages);
	reader_map_free(&map);
	reader_close(&reader);
}

/* The byte behind the dump's last used one, in the partition. */
static u64 end_of_data(void)
{
	struct dl_chunk *c = logmaker_find(&maker, maker.sequence - 1);

	return (u64)((u8 *)c - maker.disk) + c->payload_offset + c->stored_bytes;
}

static void cut_files_are_incomplete_but_readable(void **state)
{
	u64 start = maker.h.start * maker.super.block_bytes;
	u64 end = end_of_data();

	(void)state;
	for (u64 cut = start; cut < end; cut += 389) {
		source.bytes = cut;
		assert_int_equal(verdict(), E_TRUNCATED);
	}
	for (u64 cut = end - 40; cut < end + 40; cut++) {
		source.bytes = cut;
		assert_int_equal(verdict(), cut < end ? E_TRUNCATED : OK);
	}
	/* A directory cut away leaves no dump, and no failure either. */
	for (u64 cut = 512; cut < start; cut += 7) {
		source.bytes = cut;
		assert_int_equal(open_log(), OK);
		assert_int_equal(reader.count, cut >= 1024 ? 1 : 0);
		assert_int_equal(reader.bad_slots, 0);
		reader_close(&reader);
	}
}

/* From the cut on zeros, or what some other use of the disk left there. */
static void torn_logs_are_incomplete_but_readable(void **state)
{
	u64 start = maker.h.start * maker.super.block_bytes;
	u64 end = end_of_data();
	u8 *copy = malloc(end - start);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, maker.disk + start, end - start);
	maker.h.state = DL_STATE_INCOMPLETE;
	logmaker_put_header(&maker, true, true);
	for (u64 cut = start; cut < end; cut += 787) {
		for (int fill = 0; fill < 512; fill += 255) {
			memset(maker.disk + cut, fill, end - cut);
			assert_int_not_equal(verdict(), OK);
			memcpy(maker.disk + cut, copy + (cut - start), end - cut);
		}
	}
	free(copy);
}

/* Every single bit of the first chunks' headers and of the directory slot. */
static void flipped_bits_do_no_harm(void **state)
{
	u64 start = maker.h.start * maker.super.block_bytes;
	u64 slot_at = maker.super.block_bytes;

	(void)state;
	for (u64 bit = 0; bit < 8 * 700; bit += 5) {
		maker.disk[start + bit / 8] ^= (u8)(1 << bit % 8);
		verdict();
		maker.disk[start + bit / 8] ^= (u8)(1 << bit % 8);
	}
	for (u64 bit = 0; bit < 8 * 512; bit += 7) {
		maker.disk[slot_at + bit / 8] ^= (u8)(1 << bit % 8);
		assert_int_equal(verdict(), OK);
		maker.disk[slot_at + bit / 8] ^= (u8)(1 << bit % 8);
	}
}

static enum status read_everything(void)
{
	u8 buf[PAGE_BYTES];
	enum status st = open_log();

	if (st != OK)
		return st;
	st = reader.count ? reader_map_load(&map, &reader, &reader.dump[0]) : E_NO_DUMP;
	if (st == OK) {
		st = reader_pages_open(&pages, &map);
		for (u64 pfn = 0; pfn < HELP_RAM_PAGES && st == OK; pfn++) {
			st = reader_pages_get(&pages, pfn, buf);
			st = st == E_ABSENT ? OK : st;
		}
		st = st == OK ? map.verdict : st;
		reader_pages_close(&pages);
		reader_map_free(&map);
	}
	reader_close(&reader);
	return st;
}

static void failing_reads_are_survived(void **state)
{
	enum status st = E_READ;
	u64 survived = 0;

	(void)state;
	source.fail_read = 1;
	do {
		source.reads = 0;
		st = read_everything();
		survived += st == OK;
		assert_int_equal(source.held, 0);
		source.fail_read++;
	} while (source.reads >= source.fail_read - 1);
	assert_int_equal(st, OK);
	/* Both superblocks and both copies of each slot may be lost, one at a time. */
	assert_true(survived >= 2 + 2 * 8);
	assert_true(survived < source.fail_read - 2);
}

static void failing_allocations_are_survived(void **state)
{
	enum status st;

	(void)state;
	source.fail_alloc = 1;
	do {
		source.allocs = 0;
		st = read_everything();
		assert_int_equal(source.held, 0);
		assert_true(st == OK || st == E_NO_MEMORY);
		source.fail_alloc++;
	} while (st != OK);
	assert_true(source.fail_alloc > 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_header_must_agree_with_the_log),
		TEST(a_closed_incomplete_dump_tells_why),
		TEST(a_missing_page_is_noticed),
		TEST(torn_and_foreign_chunks_end_the_log),
		TEST(damaged_payloads_are_noticed),
		TEST(lying_chunks_do_no_harm),
		TEST(packed_repetitions_are_refused),
		TEST(page_failures_are_told_apart),
		TEST(cut_files_are_incomplete_but_readable),
		TEST(torn_logs_are_incomplete_but_readable),
		TEST(flipped_bits_do_no_harm),
		TEST(failing_reads_are_survived),
		TEST(failing_allocations_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
