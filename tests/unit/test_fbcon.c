/*
 * The framebuffer console's pixels: every format and stride, large and small modes, nothing
 * outside the framebuffer touched, and framebuffers that are none.
 */
#include "fbcon_rig.h"

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
	struct screen s = screen_open(640, 480, 0, &formats[FORMAT_BGRX]);

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
	for (u32 f = 0; f < FORMATS; f++) {
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
	struct screen s = screen_open(1366, 768, 7, &formats[FORMAT_24]);

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
		struct screen s =
			screen_open(want[i].width, want[i].height, 0, &formats[FORMAT_565]);

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
	struct screen s = screen_open(3840, 2160, 64, &formats[FORMAT_RGBX]);

	(void)state;
	write_text("afterimage: dump 1 complete\nrebooting");
	check_row(&s, 0, "afterimage: dump 1 complete");
	check_row(&s, 1, "rebooting");
	screen_close(&s);
}

static void test_refuses(void **state)
{
	static const struct format eight = {1, {0, 3}, {3, 3}, {6, 2}};
	const struct framebuffer good = make_fb(640, 480, 0, &formats[FORMAT_BGRX]);
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
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
