/*
 * The framebuffer console's text and bar: wrapping, scrolling against a plain model of the text,
 * only what changes drawn, the bar at every position.
 */
#include "fbcon_rig.h"

static void test_wraps(void **state)
{
	struct screen s = screen_open(320, 240, 0, &formats[FORMAT_BGRX]);
	char text[2 * 38 + 4];

	(void)state;
	assert_int_equal(con.columns, 38);
	memset(text, 'x', 76);
	strcpy(text + 76, "yz\n");
	write_text(text);
	text[38] = '\0';
	check_row(&s, 0, text);
	check_row(&s, 1, text);
	check_row(&s, 2, "yz");
	check_row(&s, 3, "");
	write_text(text); /* just one line: its end makes no empty one */
	write_text("\nend");
	check_row(&s, 3, text);
	check_row(&s, 4, "end");
	screen_close(&s);
}

/* Words stay whole unless they are longer than a line; the blank where a line breaks is gone. */
static void test_wraps_between_words(void **state)
{
	struct screen s = screen_open(320, 320, 0, &formats[FORMAT_BGRX]);

	(void)state;
	write_text("extract the dump and filter the file with makedumpfile\n");
	check_row(&s, 0, "extract the dump and filter the file");
	check_row(&s, 1, "with makedumpfile");
	write_text("a line of exactly thirty-eight letters and a second one\n");
	check_row(&s, 2, "a line of exactly thirty-eight letters");
	check_row(&s, 3, "and a second one");
	write_text("then 0123456789012345678901234567890123456789 is cut\n");
	check_row(&s, 4, "then 012345678901234567890123456789012");
	check_row(&s, 5, "3456789 is cut");
	write_text("now 01234567890123456789012345678901234567\n");
	check_row(&s, 6, "now ");
	check_row(&s, 7, "01234567890123456789012345678901234567");
	write_text("two  blanks ");
	write_text("go on");
	check_row(&s, 8, "two  blanks go on");
	screen_close(&s);
}

static void test_unknown_characters(void **state)
{
	struct screen s = screen_open(320, 240, 0, &formats[FORMAT_BGRX]);

	(void)state;
	write_text("a\tb\x7f\xff\x1b[");
	check_row(&s, 0, "a?b???[");
	screen_close(&s);
}

/* A character that is taken back while a level is typed. */
static void test_backspace(void **state)
{
	struct screen s = screen_open(320, 240, 0, &formats[FORMAT_BGRX]);

	(void)state;
	write_text("\b\blevel 12");
	write_text("\b \b");
	write_text("3");
	check_row(&s, 0, "level 13");
	screen_close(&s);
}

/* Against a model that remembers all lines ever written. */
static void test_scrolls(void **state)
{
	struct screen s = screen_open(320, 240, 5, &formats[FORMAT_24]);
	static char lines[200][39];
	u32 rows = con.rows;

	(void)state;
	srand(7);
	for (u32 n = 0; n < ARRAY_SIZE(lines); n++) {
		u32 length = (u32)rand() % 39;

		for (u32 i = 0; i < length; i++)
			lines[n][i] = (char)(' ' + rand() % 95);
		write_text(lines[n]);
		write_text("\n");
		for (u32 row = 0; n % 20 == 19 && row < rows; row++) {
			u32 first = n + 1 > rows ? n + 1 - rows : 0;

			check_row(&s, row, first + row <= n ? lines[first + row] : "");
		}
	}
	screen_close(&s);
}

/* What did not change is not written again: an adapter's memory is slow. */
static void test_scrolling_draws_only_changes(void **state)
{
	struct screen s = screen_open(320, 240, 0, &formats[FORMAT_BGRX]);

	(void)state;
	for (u32 n = 0; n < con.rows; n++)
		write_text("all alike\n");
	memset(s.pixels, 0, s.fb.bytes);
	write_text("all alike\n");
	for (u32 y = 0; y < 8 + (con.rows - 1) * 16; y++) {
		for (u32 x = 0; x < s.fb.width; x++)
			assert_int_equal(pixel_at(&s, x, y), 0);
	}
	screen_close(&s);
}

/* Pixels of @wanted in the line through the middle of the bar. */
static u32 bar_count(const struct screen *s, u64 wanted)
{
	u32 y = (8 + con.rows * 16 + 8 + 8) * con.scale;
	u32 n = 0;

	for (u32 x = 0; x < (8 + (con.columns - 5) * 8) * con.scale; x++)
		n += pixel_at(s, x, y) == wanted;
	return n;
}

static void check_percent(const struct screen *s, const char *text)
{
	u32 x0 = 8 + (con.columns - 5) * 8, y0 = 8 + con.rows * 16 + 8;

	for (u32 i = 0; i < 5; i++) {
		for (u32 y = 0; y < 16; y++) {
			for (u32 x = 0; x < 8; x++) {
				bool dot = font_glyphs[text[i] - ' '][y] << x & 0x80;

				assert_int_equal(pixel_at(s, x0 + i * 8 + x, y0 + y),
					dot ? ink(s) : background(s));
			}
		}
	}
}

static void test_bar(void **state)
{
	static const struct {
		u32 permille;
		const char *percent;
	} steps[] = {{0, "   0%"}, {1, "   0%"}, {500, "  50%"}, {999, "  99%"}, {1000, " 100%"},
		{250, "  25%"}, {0, "   0%"}, {1000, " 100%"}};
	struct screen s = screen_open(800, 600, 0, &formats[FORMAT_BGRX]);
	u32 full = (98 - 5) * 8 - 6;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		fbcon_bar(&con, steps[i].permille);
		assert_int_equal(bar_count(&s, frame_colour(&s)), 2);
		assert_int_equal(bar_count(&s, done_colour(&s)), full * steps[i].permille / 1000);
		check_percent(&s, steps[i].percent);
	}
	fbcon_bar(&con, 1001);
	assert_int_equal(bar_count(&s, background(&s)), 8 + 93 * 8);
	check_percent(&s, "     ");
	fbcon_bar(&con, 1000); /* at once */
	assert_int_equal(bar_count(&s, done_colour(&s)), full);
	assert_int_equal(bar_count(&s, frame_colour(&s)), 2);
	check_percent(&s, " 100%");
	fbcon_bar(&con, UINT32_MAX);
	assert_int_equal(bar_count(&s, done_colour(&s)), 0);
	screen_close(&s);
}

/* Text that scrolls and a bar that moves do not touch each other, in all modes. */
static void test_bar_and_text(void **state)
{
	static const u32 modes[][2] = {{176, 72}, {640, 350}, {1366, 768}, {2560, 1440}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(modes); i++) {
		struct screen s = screen_open(modes[i][0], modes[i][1], 1, &formats[i]);
		u32 all = ((con.columns - 5) * 8 - 6) * con.scale;

		for (u32 n = 0; n < 100; n++) {
			fbcon_bar(&con, n * 10);
			write_text("a line that says something\n");
			assert_int_equal(bar_count(&s, done_colour(&s)), all * n / 100);
		}
		write_text("result");
		check_row(&s, con.rows - 1, "result");
		screen_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_wraps_between_words),
		cmocka_unit_test(test_unknown_characters),
		cmocka_unit_test(test_backspace),
		cmocka_unit_test(test_scrolls),
		cmocka_unit_test(test_scrolling_draws_only_changes),
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_bar_and_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
