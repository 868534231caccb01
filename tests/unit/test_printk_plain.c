/*
 * The log of kernels before 3.5: a ring of plain text, going round, damaged, and with pages
 * that are not there.
 */
#include "tests/unit/printk_rig.h"

#define LOG_BUF	  VARS
#define LOG_LEN	  (VARS + 0x10)
#define LOG_END	  (VARS + 0x40)
#define LOG_CHARS (VARS + 0x50)

static u32 log_bytes;
static u64 written;

static void make_plain(u32 bytes)
{
	log_bytes = bytes;
	written = 0;
	symbol("log_buf", LOG_BUF);
	symbol("log_end", LOG_END);
	symbol("log_buf_len", LOG_LEN);
	symbol("logged_chars", LOG_CHARS);
	put_u64(LOG_BUF, VA + BUFFER);
	put_u32(LOG_LEN, bytes);
}

static void write_text(const char *text)
{
	for (; *text; text++)
		image[BUFFER + (written++ & (log_bytes - 1))] = (u8)*text;
	put_u32(LOG_END, (u32)written);
	put_u32(LOG_CHARS, (u32)min_u64(written, UINT32_MAX));
}

static void expect_line(const char *text, u32 level, u64 time_ns)
{
	expect_next(text);
	assert_int_equal(r.level, level);
	assert_true(r.time_ns == time_ns);
}

static void test_plain_lines(void **state)
{
	(void)state;
	make_plain(4096);
	write_text("<6>[    0.000000] Linux version 2.6.32\n"
		   "<4>no time\n"
		   "[12345.678901] no level\n"
		   "\n"
		   "<30>[   1.5] [x] facility 3\n"
		   "<>[ 1.000000]no blank\n"
		   "<7>[    2.000001] end missing");
	assert_int_equal(open_log(), OK);
	expect_line("Linux version 2.6.32", 6, 0);
	expect_line("no time", 4, PRINTK_TIME_UNKNOWN);
	expect_line("no level", PRINTK_LEVEL_UNKNOWN, 12345678901000ull);
	expect_line("", PRINTK_LEVEL_UNKNOWN, PRINTK_TIME_UNKNOWN);
	expect_line("[   1.5] [x] facility 3", 6, PRINTK_TIME_UNKNOWN);
	assert_int_equal(r.facility, 3);
	expect_line("<>[ 1.000000]no blank", PRINTK_LEVEL_UNKNOWN, PRINTK_TIME_UNKNOWN);
	expect_line("end missing", 7, 2000001000);
	assert_int_equal(r.facility, PRINTK_BY_KERNEL);
	assert_false(r.cut);
	assert_int_equal(r.sequence, 6);
	expect_end(0, 0);
}

static void test_plain_goes_round(void **state)
{
	u32 last;

	(void)state;
	make_plain(512);
	for (u32 i = 0; i < 400; i++) {
		write_text("<5>");
		write_text(message(i));
		write_text("\n");
		last = 0;
		assert_int_equal(open_log(), OK);
		while (printk_next(&p, &r))
			last++;
		expect_text(message(i));
		assert_in_range(last, i < 30 ? min_u64(i, 14) : 14, 30);
		expect_end(0, 0);
	}
	/* the count of all characters goes round at 2^32 */
	written = (1ull << 32) - 10;
	write_text("\nover the edge\nthe last\n");
	put_u32(LOG_CHARS, 24);
	assert_int_equal(open_log(), OK);
	assert_int_equal(p.steps, 24);
	expect_next("");
	expect_next("over the edge");
	expect_next("the last");
	expect_end(0, 0);
}

static void test_plain_long_line(void **state)
{
	u32 sum = 0;

	(void)state;
	make_plain(32768);
	for (u32 i = 0; i < 20000; i++)
		write_text("x");
	write_text("\nend");
	assert_int_equal(open_log(), OK);
	while (printk_next(&p, &r)) {
		sum += r.bytes;
		assert_int_equal(r.cut, r.bytes == PRINTK_TEXT_MAX);
	}
	assert_int_equal(sum, 20003);
	expect_end(0, 0);
}

static void test_plain_page_absent(void **state)
{
	u32 n;
	u32 cut = 0;

	(void)state;
	make_plain(16384);
	for (u32 i = 0; i < 650; i++) {
		write_text(message(i));
		write_text("\n");
	}
	page_present(BUFFER + PAGE_BYTES, false);
	page_present(BUFFER + 2 * PAGE_BYTES, false);
	assert_int_equal(open_log(), OK);
	for (n = 0; printk_next(&p, &r); n++)
		cut += r.cut;
	assert_in_range(n, 150, 350);
	assert_int_equal(cut, 1);
	expect_text(message(649));
	expect_end(2, 2);
}

static void test_plain_length_out_of_range(void **state)
{
	static const u32 bad[] = {0, 3, 4097, 0x80000001, UINT32_MAX};

	(void)state;
	make_plain(4096);
	write_text("text\n");
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		put_u32(LOG_LEN, bad[i]);
		assert_int_equal(open_log(), E_NO_LOG);
	}
	put_u32(LOG_LEN, 4096);
	put_u64(LOG_BUF, 1);
	assert_int_equal(open_log(), OK);
	expect_end(1, 1);
	put_u64(LOG_BUF, UINT64_MAX - 2);
	assert_int_equal(open_log(), OK);
	while (printk_next(&p, &r))
		assert_true(r.bytes <= 5);
	put_u32(LOG_END, 0);
	put_u32(LOG_CHARS, 0);
	assert_int_equal(open_log(), OK);
	expect_end(0, 0);
}

static void test_no_log_at_all(void **state)
{
	(void)state;
	key("PAGESIZE", 4096);
	assert_int_equal(open_log(), E_NO_LOG);
	vi.bytes = 0;
	assert_int_equal(open_log(), E_NO_LOG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_plain_lines),
		T(test_plain_goes_round),
		T(test_plain_long_line),
		T(test_plain_page_absent),
		T(test_plain_length_out_of_range),
		T(test_no_log_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
