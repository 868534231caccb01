/*
 * The printk ring buffer of a made-up kernel: wrapped text, reused descriptors, positions
 * that are none, writers caught in the act, everything that can be wrong with the numbers in
 * it, pages that are not there.
 */
#include "tests/unit/printk_ring_rig.h"

static void test_records(void **state)
{
	(void)state;
	make(5, 12);
	ring.facility = 3;
	add_many(4);
	add("two\nlines \x1b[31m");
	add("");
	assert_int_equal(open_log(), OK);
	for (u32 i = 0; i < 4; i++)
		expect_message(i);
	expect_next("two\nlines \x1b[31m");
	expect_next("");
	assert_false(r.cut);
	expect_end(0, 0);
}

static void test_no_message_yet(void **state)
{
	(void)state;
	make(5, 12);
	assert_int_equal(open_log(), OK);
	expect_end(0, 0);
}

/* Looked at after every message, in a ring whose text or whose descriptors run out first. */
static void check_rounds(u32 desc_bits, u32 text_bits, bool end_wraps)
{
	make(desc_bits, text_bits);
	ring.end_wraps = end_wraps;
	for (u32 n = 0; n < 700; n++) {
		add_many(1);
		assert_int_equal(open_log(), OK);
		expect_all();
	}
	assert_true(oldest() > 600);
}

static void test_text_goes_round(void **state)
{
	(void)state;
	check_rounds(6, 9, false);
}

static void test_text_goes_round_as_in_older_kernels(void **state)
{
	(void)state;
	check_rounds(6, 9, true);
}

static void test_descriptors_go_round(void **state)
{
	(void)state;
	check_rounds(3, 14, false);
	assert_int_equal(ring.added - oldest(), 8);
}

/* The writer's CPU stopped before it was done, or the next has just taken the oldest. */
static void test_states(void **state)
{
	(void)state;
	make(3, 12);
	add_many(20);
	set_state(id_of(14), 0);
	set_state(id_of(16), 3);
	assert_int_equal(open_log(), OK);
	for (u32 i = oldest(); i < 20; i++) {
		if (i != 14 && i != 16)
			expect_message(i);
	}
	expect_end(1, 0);
}

static void test_descriptor_of_another_round(void **state)
{
	(void)state;
	make(3, 12);
	add_many(20);
	put_u64(desc_at(id_of(15)) + STATE + COUNTER, 2ull << 62 | id_of(7));
	assert_int_equal(open_log(), OK);
	for (u32 i = oldest(); i < 20; i++) {
		if (i != 15)
			expect_message(i);
	}
	expect_end(1, 0);
}

/* All of them leave the record, its text is gone. */
static void test_positions_of_no_block(void **state)
{
	static const u64 lpos[][2] = {{1, 1}, {1, 3}, {3, 1}, {3, 3 + 8}, {0x101, 0x111}, {0, 0},
		{0x100, 0x100}, {0x100, 0x104}, {0x104, 0x118}, {0x110, 0x100}, {0x100, 0x100 + 8},
		{0x1100, 0x3110}, {0x100, 0x2110}, {0x100, ~0ull - 7}, {~0ull - 7, 0x1010},
		{0xff0, 0x1004}};

	(void)state;
	make(5, 12);
	add_many(3);
	for (u32 i = 0; i < ARRAY_SIZE(lpos); i++) {
		set_block(id_of(1), lpos[i][0], lpos[i][1]);
		/* its ID is where such a block would have it */
		put_u64(room(max_u64(lpos[i][0], 0x100)), id_of(1));
		assert_int_equal(open_log(), OK);
		expect_message(0);
		expect_next("");
		assert_true(r.cut);
		assert_int_equal(r.sequence, 1);
		expect_message(2);
		expect_end(0, 0);
	}
}

static void test_text_of_another_record(void **state)
{
	(void)state;
	make(5, 12);
	add_many(3);
	put_u64(BUFFER, id_of(0) + 1);
	assert_int_equal(open_log(), OK);
	expect_next("");
	assert_true(r.cut);
	expect_message(1);
	expect_message(2);
	expect_end(0, 0);
}

static void test_text_longer_than_its_block(void **state)
{
	(void)state;
	make(5, 12);
	add("0123456789");
	add_many(1);
	put_u16(info_at(id_of(0)) + TEXT_LEN, 0xffff);
	assert_int_equal(open_log(), OK);
	memset(&r, 0, sizeof(r));
	assert_true(printk_next(&p, &r));
	assert_int_equal(r.bytes, 16);
	assert_memory_equal(r.text, "0123456789", 10);
	assert_true(r.cut);
	expect_next("message 1 abcdefg");
	expect_end(0, 0);
}

static void test_text_longer_than_a_record(void **state)
{
	static u8 text[3 * PRINTK_TEXT_MAX];

	(void)state;
	for (u32 i = 0; i < sizeof(text); i++)
		text[i] = (u8)(i * 7 + i / 256);
	make(5, 16);
	add_bytes(text, PRINTK_TEXT_MAX);
	add_bytes(text, PRINTK_TEXT_MAX + 1);
	add_bytes(text, sizeof(text));
	assert_int_equal(open_log(), OK);
	for (u32 i = 0; i < 3; i++) {
		assert_true(printk_next(&p, &r));
		assert_int_equal(r.bytes, PRINTK_TEXT_MAX);
		assert_memory_equal(r.text, text, PRINTK_TEXT_MAX);
		assert_int_equal(r.cut, i > 0);
	}
	expect_end(0, 0);
}

/* The text's second page is not in the dump: of what lies across, the beginning is. */
static void test_text_page_absent(void **state)
{
	u32 cut = 0;
	u32 n = 0;

	(void)state;
	make(9, 13);
	add_many(300);
	page_present(BUFFER + PAGE_BYTES, false);
	assert_int_equal(open_log(), OK);
	for (u32 i = oldest(); i < ring.added; i++, n++) {
		const char *want = message(i);

		memset(&r, 0xee, sizeof(r));
		assert_true(printk_next(&p, &r));
		assert_int_equal(r.sequence, i);
		assert_true(r.bytes <= strlen(want));
		assert_memory_equal(r.text, want, r.bytes);
		assert_int_equal(r.cut, r.bytes < strlen(want));
		cut += r.cut;
	}
	assert_in_range(cut, n / 3, n * 2 / 3);
	expect_end(0, cut);
	page_present(BUFFER + PAGE_BYTES, true);
	assert_int_equal(open_log(), OK);
	expect_all();
}

static void test_descriptor_or_info_page_absent(void **state)
{
	static const u32 at[] = {DESC_AT, INFO_AT};

	(void)state;
	make(8, 14);
	add_many(200);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		u32 n = 0;

		page_present(at[i], false);
		assert_int_equal(open_log(), OK);
		for (n = 0; printk_next(&p, &r); n++)
			assert_false(r.cut);
		assert_in_range(n, 50, 150);
		assert_int_equal(n, 200 - p.lost);
		assert_int_equal(p.unreadable, p.lost);
		page_present(at[i], true);
	}
}

static void test_memory_error_is_a_missing_page(void **state)
{
	(void)state;
	make(5, 12);
	add_many(3);
	host_ram_unreadable(BUFFER);
	assert_int_equal(open_log(), OK);
	for (u32 i = 0; i < 3; i++) {
		expect_next("");
		assert_true(r.cut);
	}
	expect_end(0, 3);
}

/* A torn head: as many steps as there are descriptors, not one more. */
static void test_range_too_long(void **state)
{
	static const u64 off[] = {8, 9, 100, 1ull << 40, ID_MASK};

	(void)state;
	make(3, 12);
	add_many(20);
	for (u32 i = 0; i < ARRAY_SIZE(off); i++) {
		put_u64(RB + DESC_RING + TAIL_ID + COUNTER, (ring.head_id - off[i]) & ID_MASK);
		assert_int_equal(open_log(), OK);
		for (u32 n = 12; n < 20; n++)
			expect_message(n);
		expect_end(0, 0);
	}
	put_ids();
	put_u64(RB + DESC_RING + HEAD_ID + COUNTER, (ring.head_id + 1000) & ID_MASK);
	assert_int_equal(open_log(), OK);
	expect_end(8, 0);
}

static void test_bits_out_of_range(void **state)
{
	static const u32 bad[] = {0, 25, 32, 33, 63, 64, 0x80000000, UINT32_MAX};

	(void)state;
	make(5, 12);
	add_many(3);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		put_u32(RB + DESC_RING + COUNT_BITS, bad[i]);
		assert_int_equal(open_log(), E_NO_LOG);
		put_u32(RB + DESC_RING + COUNT_BITS, 5);
		put_u32(RB + TEXT_RING + SIZE_BITS, bad[i] == 25 ? 32 : bad[i]);
		assert_int_equal(open_log(), E_NO_LOG);
		put_u32(RB + TEXT_RING + SIZE_BITS, 12);
		assert_int_equal(open_log(), OK);
	}
}

/* Pointers into nowhere lose the records, not the way. */
static void test_pointers_to_nowhere(void **state)
{
	static const u64 bad[] = {0, VA + RAM_BYTES, 1ull << 47, UINT64_MAX, UINT64_MAX - 4096};

	(void)state;
	make(5, 12);
	add_many(3);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		put_u64(RB + DESC_RING + DESCS, bad[i]);
		assert_int_equal(open_log(), OK);
		expect_end(4, 4);
		put_u64(RB + DESC_RING + DESCS, VA + DESC_AT);
		put_u64(RB + DESC_RING + INFOS, bad[i]);
		assert_int_equal(open_log(), OK);
		expect_end(3, 3);
		put_u64(RB + DESC_RING + INFOS, VA + INFO_AT);
		put_u64(VARS, bad[i]);
		assert_int_equal(open_log(), E_NO_LOG);
		put_u64(VARS, VA + RB);
	}
}

/* No line of vmcoreinfo can be missed. */
static void test_key_missing(void **state)
{
	static struct vmcoreinfo whole;
	u32 n = 0;

	(void)state;
	make(5, 12);
	add_many(1);
	whole = vi;
	assert_int_equal(open_log(), OK);
	for (; drop_line(n); n++) {
		assert_int_equal(open_log(), E_NO_LOG);
		vi = whole;
	}
	assert_int_equal(n, 20);
}

static void test_key_out_of_range(void **state)
{
	static const s64 bad[] = {-1, 65536, INT64_MAX, INT64_MIN};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		vi.bytes = 0;
		key("OFFSET(prb_data_ring.data)", bad[i]);
		make(5, 12);
		assert_int_equal(open_log(), E_NO_LOG);
	}
	vi.bytes = 0;
	key("SIZE(prb_desc)", 0);
	make(5, 12);
	assert_int_equal(open_log(), E_NO_LOG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_records),
		T(test_no_message_yet),
		T(test_text_goes_round),
		T(test_text_goes_round_as_in_older_kernels),
		T(test_descriptors_go_round),
		T(test_states),
		T(test_descriptor_of_another_round),
		T(test_positions_of_no_block),
		T(test_text_of_another_record),
		T(test_text_longer_than_its_block),
		T(test_text_longer_than_a_record),
		T(test_text_page_absent),
		T(test_descriptor_or_info_page_absent),
		T(test_memory_error_is_a_missing_page),
		T(test_range_too_long),
		T(test_bits_out_of_range),
		T(test_pointers_to_nowhere),
		T(test_key_missing),
		T(test_key_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
