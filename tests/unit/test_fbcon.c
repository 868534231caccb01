/*
 * The framebuffer console: every pixel format and stride, large and small modes, nothing
 * outside the framebuffer touched, scrolling and wrapping against a plain model of the text,
 * the bar, and framebuffers that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fbcon.h"
#include "font.h"

#define GUARD_BYTES 64u
#define GUARD	    0xa5

#define RGBX                                                                                       \
	4, {0, 8}, {8, 8},                                                                         \
	{                                                                                          \
		16, 8                                                                              \
	}
#define BGRX                                                                                       \
	4, {16, 8}, {8, 8},                                                                        \
	{                                                                                          \
		0, 8                                                                               \
	}
#define R565                                                                                       \
	2, {11, 5}, {5, 6},                                                                        \
	{                                                                                          \
		0, 5                                                                               \
	}
#define R555                                                                                       \
	2, {10, 5}, {5, 5},                                                                        \
	{                                                                                          \
		0, 5                                                                               \
	}
#define BGR3                                                                                       \
	3, {16, 8}, {8, 8},                                                                        \
	{                                                                                          \
		0, 8                                                                               \
	}
#define TENS                                                                                       \
	4, {20, 10}, {10, 10},                                                                     \
	{                                                                                          \
		0, 10                                                                              \
	}

static struct fbcon con;

struct format {
	u32 bytes;
	struct framebuffer_colour red, green, blue;
};

static const struct format formats[] = {{RGBX}, {BGRX}, {R565}, {R555}, {BGR3}, {TENS}};

/* A framebuffer with guards around it; its bytes are 0xa5 until they are written. */
struct screen {
	struct framebuffer fb;
	u8 *memory;
	u8 *pixels;
};

static struct framebuffer make_fb(u32 width, u32 height, u32 pad_bytes, const struct format *format)
{
	struct framebuffer fb = {
		.pa = 0xe0000000,
		.width = width,
		.height = height,
		.stride_bytes = width * format->bytes + pad_bytes,
		.pixel_bytes = format->bytes,
		.red = format->red,
		.green = format->green,
		.blue = format->blue,
	};

	fb.bytes = (u64)fb.stride_bytes * height;
	return fb;
}

static struct screen screen_open(u32 width, u32 height, u32 pad_bytes, const struct format *format)
{
	struct screen s = {.fb = make_fb(width, height, pad_bytes, format)};

	s.memory = malloc(s.fb.bytes + 2 * GUARD_BYTES);
	assert_non_null(s.memory);
	memset(s.memory, GUARD, s.fb.bytes + 2 * GUARD_BYTES);
	s.pixels = s.memory + GUARD_BYTES;
	assert_true(fbcon_init(&con, &s.fb, s.pixels));
	return s;
}

static u64 pixel_at(const struct screen *s, u32 x, u32 y)
{
	u64 v = 0;

	assert_true(x < s->fb.width && y < s->fb.height);
	memcpy(&v, s->pixels + (u64)y * s->fb.stride_bytes + (u64)x * s->fb.pixel_bytes,
		s->fb.pixel_bytes);
	return v;
}

static u64 colour(const struct screen *s, u32 red, u32 green, u32 blue)
{
	const struct framebuffer *fb = &s->fb;

	return (u64)(red * ((1u << fb->red.bits) - 1) / 255) << fb->red.shift |
	       (u64)(green * ((1u << fb->green.bits) - 1) / 255) << fb->green.shift |
	       (u64)(blue * ((1u << fb->blue.bits) - 1) / 255) << fb->blue.shift;
}

static u64 background(const struct screen *s)
{
	return colour(s, 0x08, 0x0c, 0x14);
}

static u64 ink(const struct screen *s)
{
	return colour(s, 0xd8, 0xd8, 0xd8);
}

static u64 done_colour(const struct screen *s)
{
	return colour(s, 0x30, 0x90, 0xd8);
}

static u64 frame_colour(const struct screen *s)
{
	return colour(s, 0x80, 0x88, 0x90);
}

/* Neither guard was touched, nor what lies between the lines. */
static void check_guards(const struct screen *s)
{
	u32 line = s->fb.width * s->fb.pixel_bytes;

	for (u32 i = 0; i < GUARD_BYTES; i++) {
		assert_int_equal(s->memory[i], GUARD);
		assert_int_equal(s->pixels[s->fb.bytes + i], GUARD);
	}
	for (u32 y = 0; y < s->fb.height; y++) {
		const u8 *rest = s->pixels + (u64)y * s->fb.stride_bytes + line;

		for (u32 i = 0; i < s->fb.stride_bytes - line; i++)
			assert_int_equal(rest[i], GUARD);
	}
}

static void screen_close(struct screen *s)
{
	check_guards(s);
	free(s->memory);
}

/* Is @c what row @row and column @column of the text show, every pixel of it? */
static bool shows(const struct screen *s, u32 row, u32 column, char c)
{
	u32 scale = con.scale;

	for (u32 y = 0; y < FONT_HEIGHT * scale; y++) {
		for (u32 x = 0; x < FONT_WIDTH * scale; x++) {
			bool dot = font_glyphs[c - ' '][y / scale] << (x / scale) & 0x80;
			u64 is = pixel_at(
				s, (8 + column * 8) * scale + x, (8 + row * 16) * scale + y);

			if (is != (dot ? ink(s) : background(s)))
				return false;
		}
	}
	return true;
}

static void check_row(const struct screen *s, u32 row, const char *text)
{
	u32 n = (u32)strlen(text);

	assert_true(n <= con.columns && row < con.rows);
	for (u32 column = 0; column < con.columns; column++) {
		if (!shows(s, row, column, column < n ? text[column] : ' '))
			fail_msg("row %u column %u of \"%s\"", row, column, text);
	}
}

static void write_text(const char *text)
{
	fbcon_write(&con, text, (u32)strlen(text));
}

/* A letter as the eye knows it, at the place where it belongs. */
static void test_golden_glyph(void **state)
{
	static const char *const letter[FONT_HEIGHT] = {
		"........",
		"........",
		".#####..",
		"##...##.",
		"##...##.",
		"##...##.",
		"##...##.",
		"#######.",
		"##...##.",
		"##...##.",
		"##...##.",
		"##...##.",
		"........",
		"........",
		"........",
		"........",
	};
	struct screen s = screen_open(640, 480, 0, &formats[1]);

	(void)state;
	write_text("A");
	for (u32 y = 0; y < FONT_HEIGHT; y++) {
		for (u32 x = 0; x < FONT_WIDTH; x++)
			assert_int_equal(pixel_at(&s, 8 + x, 8 + y),
				letter[y][x] == '#' ? 0xd8d8d8 : 0x080c14);
	}
	screen_close(&s);
}

static void test_formats_and_strides(void **state)
{
	static const u32 pads[] = {0, 1, 3, 13, 256};

	(void)state;
	for (u32 f = 0; f < ARRAY_SIZE(formats); f++) {
		for (u32 p = 0; p < ARRAY_SIZE(pads); p++) {
			struct screen s = screen_open(333, 211, pads[p], &formats[f]);

			assert_int_equal(pixel_at(&s, 0, 0), background(&s));
			assert_int_equal(pixel_at(&s, 332, 210), background(&s));
			write_text("Hello, 42 %\n\n{~}");
			check_row(&s, 0, "Hello, 42 %");
			check_row(&s, 1, "");
			check_row(&s, 2, "{~}");
			fbcon_bar(&con, 333);
			fbcon_bar(&con, 1000);
			screen_close(&s);
		}
	}
}

/* Every pixel of a new screen is the background. */
static void test_clears(void **state)
{
	struct screen s = screen_open(1366, 768, 7, &formats[4]);

	(void)state;
	for (u32 y = 0; y < s.fb.height; y++) {
		for (u32 x = 0; x < s.fb.width; x++)
			assert_int_equal(pixel_at(&s, x, y), background(&s));
	}
	screen_close(&s);
}

static void test_letters_grow_with_the_mode(void **state)
{
	static const struct {
		u32 width, height, scale, columns, rows;
	} want[] = {
		{176, 72, 1, 20, 2},
		{320, 200, 1, 38, 10},
		{640, 480, 1, 78, 27},
		{800, 600, 1, 98, 35},
		{1024, 768, 1, 126, 45},
		{1080, 1920, 2, 65, 57},
		{1280, 1024, 1, 158, 61},
		{1366, 768, 2, 83, 21},
		{1920, 1080, 2, 118, 31},
		{2560, 1440, 2, 158, 42},
		{3440, 1440, 3, 141, 27},
		{3840, 2160, 3, 158, 42},
		{7680, 4320, 6, 158, 42},
		{4096, 16384, 16, 30, 61},
		{16384, 128, 1, 160, 5},
		{176, 16384, 1, 20, 64},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		struct screen s = screen_open(want[i].width, want[i].height, 0, &formats[2]);

		assert_int_equal(con.scale, want[i].scale);
		assert_int_equal(con.columns, want[i].columns);
		assert_int_equal(con.rows, want[i].rows);
		for (u32 n = 0; n < 70; n++)
			write_text("the last line comes to rest at the bottom\n");
		fbcon_bar(&con, 0);
		fbcon_bar(&con, 1000);
		screen_close(&s);
	}
}

static void test_large_mode_is_drawn_right(void **state)
{
	struct screen s = screen_open(3840, 2160, 64, &formats[0]);

	(void)state;
	write_text("afterimage: dump 1 complete\nrebooting");
	check_row(&s, 0, "afterimage: dump 1 complete");
	check_row(&s, 1, "rebooting");
	screen_close(&s);
}

static void test_wraps(void **state)
{
	struct screen s = screen_open(320, 240, 0, &formats[1]);
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
	struct screen s = screen_open(320, 320, 0, &formats[1]);

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
	struct screen s = screen_open(320, 240, 0, &formats[1]);

	(void)state;
	write_text("a\tb\x7f\xff\x1b[");
	check_row(&s, 0, "a?b???[");
	screen_close(&s);
}

/* Against a model that remembers all lines ever written. */
static void test_scrolls(void **state)
{
	struct screen s = screen_open(320, 240, 5, &formats[4]);
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
	struct screen s = screen_open(320, 240, 0, &formats[1]);

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
	struct screen s = screen_open(800, 600, 0, &formats[1]);
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

static void test_refuses(void **state)
{
	static const struct format eight = {1, {0, 3}, {3, 3}, {6, 2}};
	const struct framebuffer good = make_fb(640, 480, 0, &formats[1]);
	struct framebuffer fb;
	u8 untouched[64];

	(void)state;
	memset(untouched, GUARD, sizeof(untouched));
	assert_true(fbcon_fits(&good));
#define REFUSED(...)                                                                               \
	do {                                                                                       \
		fb = good;                                                                         \
		__VA_ARGS__;                                                                       \
		assert_false(fbcon_fits(&fb));                                                     \
		assert_false(fbcon_init(&con, &fb, untouched));                                    \
	} while (0)
	REFUSED(fb.bytes = 0);
	REFUSED(fb.bytes--);
	REFUSED(fb.stride_bytes--);
	REFUSED(fb.stride_bytes = 0);
	REFUSED(fb.stride_bytes++);
	REFUSED(fb.stride_bytes = UINT32_MAX);
	REFUSED(fb.width = 0);
	REFUSED(fb.width = 175, fb.stride_bytes = 4096);
	REFUSED(fb.width = UINT32_MAX);
	REFUSED(fb.width = 1u << 30); /* times 4 is 0 in 32 bits */
	REFUSED(fb.width = 16385, fb.stride_bytes = 1u << 17, fb.bytes = UINT64_MAX);
	REFUSED(fb.height = 0);
	REFUSED(fb.height = 71);
	REFUSED(fb.height = 481);
	REFUSED(fb.height = 16385, fb.bytes = UINT64_MAX);
	REFUSED(fb.height = UINT32_MAX);
	REFUSED(fb.pixel_bytes = 0);
	REFUSED(fb.pixel_bytes = 1);
	REFUSED(fb.pixel_bytes = 5, fb.stride_bytes = 8192, fb.bytes = UINT64_MAX);
	REFUSED(fb = make_fb(640, 480, 0, &eight));
	REFUSED(fb.red.shift = 25);
	REFUSED(fb.green.shift = 255);
	REFUSED(fb.blue.bits = 17);
	REFUSED(fb.blue.bits = 255);
	REFUSED(fb.red.bits = fb.green.bits = fb.blue.bits = 0);
	REFUSED(memset(&fb, 0, sizeof(fb)));
	REFUSED(memset(&fb, 0xff, sizeof(fb)));
#undef REFUSED
	for (u32 i = 0; i < sizeof(untouched); i++)
		assert_int_equal(untouched[i], GUARD);
	fb = good;
	fb.red.bits = fb.blue.bits = 0; /* green on green is readable */
	assert_true(fbcon_fits(&fb));
	fb.bytes = UINT64_MAX;
	assert_true(fbcon_fits(&fb));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_glyph),
		cmocka_unit_test(test_formats_and_strides),
		cmocka_unit_test(test_clears),
		cmocka_unit_test(test_letters_grow_with_the_mode),
		cmocka_unit_test(test_large_mode_is_drawn_right),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_wraps_between_words),
		cmocka_unit_test(test_unknown_characters),
		cmocka_unit_test(test_scrolls),
		cmocka_unit_test(test_scrolling_draws_only_changes),
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_bar_and_text),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
