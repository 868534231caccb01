/*
 * The log of kernels from 3.5 to 5.9: the record buffer, with the struct's two names, going
 * round, damaged, and with pages that are not there.
 */
#include "tests/unit/printk_rig.h"

#define LOG_BUF	   VARS
#define LOG_LEN	   (VARS + 0x10)
#define LOG_FIRST  (VARS + 0x20)
#define LOG_NEXT   (VARS + 0x30)
#define LOG_END	   (VARS + 0x40)
#define HEADER	   24u
#define TIME	   8u
#define LEN	   0u
#define TEXT_LEN   2u
#define DICT_LEN   16u
#define DICT_BYTES 5u

static u32 log_bytes;
static u32 first;
static u32 next;
static u32 added;
static u32 oldest;

static void put_places(void)
{
	put_u32(LOG_FIRST, first);
	put_u32(LOG_NEXT, next);
}

static void make_records(const char *name, u32 bytes)
{
	char text[64];

	log_bytes = bytes;
	first = next = added = oldest = 0;
	symbol("log_buf", LOG_BUF);
	symbol("log_end", LOG_END); /* which the text ring has, too */
	symbol("log_buf_len", LOG_LEN);
	symbol("log_first_idx", LOG_FIRST);
	symbol("log_next_idx", LOG_NEXT);
	snprintf(text, sizeof(text), "SIZE(%s)", name);
	key(text, HEADER);
	snprintf(text, sizeof(text), "OFFSET(%s.ts_nsec)", name);
	key(text, TIME);
	snprintf(text, sizeof(text), "OFFSET(%s.len)", name);
	key(text, LEN);
	snprintf(text, sizeof(text), "OFFSET(%s.text_len)", name);
	key(text, TEXT_LEN);
	snprintf(text, sizeof(text), "OFFSET(%s.dict_len)", name);
	key(text, DICT_LEN);
	put_u64(LOG_BUF, VA + BUFFER);
	put_u32(LOG_LEN, bytes);
	put_places();
}

static u16 record_len(u32 at)
{
	u16 len;

	memcpy(&len, image + BUFFER + at, sizeof(len));
	return len;
}

static void drop_oldest(void)
{
	if (record_len(first) == 0)
		first = 0;
	first += record_len(first);
	oldest++;
	if (record_len(first) == 0 && first != next)
		first = 0;
}

/* Room for it and for one more header, as the kernel keeps it. */
static bool has_room(u32 bytes)
{
	u32 tail = log_bytes - next;
	u32 want = bytes + HEADER;

	if (added == oldest || next > first)
		return tail >= want || first >= want;
	return first - next >= want;
}

static void add_record(const char *text)
{
	u32 bytes = (HEADER + (u32)strlen(text) + DICT_BYTES + 3) / 4 * 4;
	u8 by[2] = {(u8)(added % 5), (u8)(added % 8 << 5 | 6)};
	u64 at;

	while (!has_room(bytes))
		drop_oldest();
	if (next + bytes + HEADER > log_bytes) {
		memset(image + BUFFER + next, 0, HEADER);
		next = 0;
	}
	at = BUFFER + next;
	memset(image + at, 'd', bytes);
	put_u16(at + LEN, bytes);
	put_u16(at + TEXT_LEN, (u32)strlen(text));
	put_u16(at + DICT_LEN, DICT_BYTES);
	put(at + DICT_LEN + 2, by, sizeof(by));
	put_u64(at + TIME, added * 1000000007ull);
	put(at + HEADER, text, strlen(text));
	next += bytes;
	added++;
	put_places();
}

static void expect_record(u32 i)
{
	expect_next(message(i));
	assert_int_equal(r.time_ns, i * 1000000007ull);
	assert_int_equal(r.level, i % 8);
	assert_int_equal(r.facility, i % 5);
	assert_false(r.cut);
}

static void check_rounds(const char *name)
{
	make_records(name, 1000);
	for (u32 n = 0; n < 500; n++) {
		add_record(message(added));
		assert_int_equal(open_log(), OK);
		for (u32 i = oldest; i < added; i++) {
			expect_record(i);
			assert_int_equal(r.sequence, i - oldest);
		}
		expect_end(0, 0);
	}
	assert_in_range(oldest, 450, 490);
}

static void test_records_go_round(void **state)
{
	(void)state;
	check_rounds("printk_log");
}

static void test_records_with_the_older_name(void **state)
{
	(void)state;
	check_rounds("log");
}

static void test_no_records(void **state)
{
	(void)state;
	make_records("printk_log", 1000);
	assert_int_equal(open_log(), OK);
	expect_end(0, 0);
}

static u32 place_of(u32 i)
{
	u32 at = 0;

	while (i-- > 0)
		at += record_len(at);
	return at;
}

static void test_record_with_a_bad_length(void **state)
{
	static const u32 bad[] = {1, HEADER - 1, 900, 0xffff, 0};

	(void)state;
	make_records("printk_log", 2000);
	for (u32 i = 0; i < 12; i++)
		add_record(message(i));
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		u32 at = place_of(5);
		u16 was = record_len(at);

		put_u16(BUFFER + at, bad[i]);
		assert_int_equal(open_log(), OK);
		for (u32 n = 0; n < 5; n++)
			expect_record(n);
		expect_end(1, 0);
		put_u16(BUFFER + at, was);
	}
}

/* Places from which the end is never met. */
static void test_records_do_not_end(void **state)
{
	u32 n;

	(void)state;
	make_records("printk_log", 2000);
	for (u32 i = 0; i < 12; i++)
		add_record(message(i));
	put_u32(LOG_NEXT, place_of(7) + 4);
	assert_int_equal(open_log(), OK);
	for (n = 0; printk_next(&p, &r); n++)
		assert_true(n < 12);
	expect_end(1, 0);
	put_u32(LOG_NEXT, 4);
	put_u32(LOG_FIRST, place_of(3));
	assert_int_equal(open_log(), OK);
	for (n = 0; printk_next(&p, &r); n++)
		assert_true(n < 12);
	assert_int_equal(n, 9);
	expect_end(1, 0);
	/* no room for a header at the end */
	put_u32(LOG_LEN, next + HEADER - 1);
	put_u32(LOG_NEXT, place_of(1));
	assert_int_equal(open_log(), OK);
	for (n = 0; printk_next(&p, &r); n++)
		assert_true(n < 12);
	assert_int_equal(n, 9);
	expect_end(1, 0);
	/* the end is the start */
	put_u32(LOG_LEN, 2000);
	put_u32(LOG_NEXT, 0);
	assert_int_equal(open_log(), OK);
	for (n = 3; n < 12; n++)
		expect_record(n);
	expect_end(0, 0);
	put_u32(LOG_NEXT, 4);
	/* all zero: a step to the start, which is at the start */
	memset(image + BUFFER, 0, 2000);
	assert_int_equal(open_log(), OK);
	expect_end(1, 0);
}

static void test_text_longer_than_its_record(void **state)
{
	(void)state;
	make_records("printk_log", 2000);
	add_record("0123456");
	add_record(message(1));
	put_u16(BUFFER + TEXT_LEN, 0xffff);
	assert_int_equal(open_log(), OK);
	expect_next("0123456ddddd");
	assert_true(r.cut);
	expect_record(1);
	expect_end(0, 0);
}

static void test_record_page_absent(void **state)
{
	u32 n;

	(void)state;
	make_records("printk_log", 16384);
	for (u32 i = 0; i < 200; i++)
		add_record(message(i));
	page_present(BUFFER + PAGE_BYTES, false);
	assert_int_equal(open_log(), OK);
	for (n = 0; printk_next(&p, &r) && !r.cut; n++)
		expect_text(message(n));
	assert_in_range(n, 60, 120);
	while (printk_next(&p, &r))
		fail();
	assert_int_equal(p.lost, 1);
	assert_in_range(p.unreadable, 1, 2);
}

static void test_record_places_out_of_range(void **state)
{
	static const u32 at[] = {LOG_FIRST, LOG_NEXT};

	(void)state;
	make_records("printk_log", 2000);
	add_record(message(0));
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		put_u32(at[i], 2000);
		assert_int_equal(open_log(), E_NO_LOG);
		put_u32(at[i], UINT32_MAX);
		assert_int_equal(open_log(), E_NO_LOG);
		put_places();
	}
	put_u32(LOG_LEN, 0);
	assert_int_equal(open_log(), E_NO_LOG);
	put_u32(LOG_LEN, 0x80000001);
	assert_int_equal(open_log(), E_NO_LOG);
	put_u32(LOG_LEN, 2000);
	page_present(VARS, false);
	assert_int_equal(open_log(), E_NO_LOG);
}

static void test_record_key_missing(void **state)
{
	static struct vmcoreinfo whole;
	u32 n = 0;

	(void)state;
	make_records("printk_log", 2000);
	add_record(message(0));
	put_u32(LOG_END, 5);
	whole = vi;
	for (; drop_line(n); n++) {
		/* log_end is the text ring's; without log_first_idx it is taken for one */
		assert_int_equal(open_log(), n == 1 ? OK : E_NO_LOG);
		vi = whole;
	}
	assert_int_equal(n, 10);
	vi.bytes = 0;
	make_records("printk_log", 2000);
	key("SIZE(printk_log)", HEADER);
	drop_line(5);
	assert_int_equal(open_log(), OK);
	vi.bytes = 0;
	key("SIZE(printk_log)", 15);
	make_records("printk_log", 2000);
	assert_int_equal(open_log(), E_NO_LOG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_records_go_round),
		T(test_records_with_the_older_name),
		T(test_no_records),
		T(test_record_with_a_bad_length),
		T(test_records_do_not_end),
		T(test_text_longer_than_its_record),
		T(test_record_page_absent),
		T(test_record_places_out_of_range),
		T(test_record_key_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
