/*
 * For the tests of the framebuffer console: a framebuffer with guards around it, and what its
 * pixels must be.
 */
#ifndef AFTERIMAGE_FBCON_RIG_H
#define AFTERIMAGE_FBCON_RIG_H

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

static struct fbcon con;

struct format {
	u32 bytes;
	struct framebuffer_colour red, green, blue;
};

enum {
	FORMAT_RGBX,
	FORMAT_BGRX,
	FORMAT_565,
	FORMAT_555,
	FORMAT_24,
	FORMAT_TENS,
	FORMATS
};

static const struct format formats[FORMATS] = {
	{4, {0, 8}, {8, 8}, {16, 8}},
	{4, {16, 8}, {8, 8}, {0, 8}},
	{2, {11, 5}, {5, 6}, {0, 5}},
	{2, {10, 5}, {5, 5}, {0, 5}},
	{3, {16, 8}, {8, 8}, {0, 8}},
	{4, {20, 10}, {10, 10}, {0, 10}},
};

/* A framebuffer with guards around it; its bytes are 0xa5 until they are written. */
struct screen {
	struct framebuffer fb;
	u8 *memory;
	u8 *pixels;
};

static inline struct framebuffer make_fb(
	u32 width, u32 height, u32 pad_bytes, const struct format *format)
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

static inline struct screen screen_open(
	u32 width, u32 height, u32 pad_bytes, const struct format *format)
{
	struct screen s = {.fb = make_fb(width, height, pad_bytes, format)};

	s.memory = malloc(s.fb.bytes + 2 * GUARD_BYTES);
	assert_non_null(s.memory);
	memset(s.memory, GUARD, s.fb.bytes + 2 * GUARD_BYTES);
	s.pixels = s.memory + GUARD_BYTES;
	assert_true(fbcon_init(&con, &s.fb, s.pixels));
	return s;
}

static inline u64 pixel_at(const struct screen *s, u32 x, u32 y)
{
	u64 v = 0;

	assert_true(x < s->fb.width && y < s->fb.height);
	memcpy(&v, s->pixels + (u64)y * s->fb.stride_bytes + (u64)x * s->fb.pixel_bytes,
		s->fb.pixel_bytes);
	return v;
}

static inline u64 colour(const struct screen *s, u32 red, u32 green, u32 blue)
{
	const struct framebuffer *fb = &s->fb;

	return (u64)(red * ((1u << fb->red.bits) - 1) / 255) << fb->red.shift |
	       (u64)(green * ((1u << fb->green.bits) - 1) / 255) << fb->green.shift |
	       (u64)(blue * ((1u << fb->blue.bits) - 1) / 255) << fb->blue.shift;
}

static inline u64 background(const struct screen *s)
{
	return colour(s, 0x08, 0x0c, 0x14);
}

static inline u64 ink(const struct screen *s)
{
	return colour(s, 0xd8, 0xd8, 0xd8);
}

static inline u64 done_colour(const struct screen *s)
{
	return colour(s, 0x30, 0x90, 0xd8);
}

static inline u64 frame_colour(const struct screen *s)
{
	return colour(s, 0x80, 0x88, 0x90);
}

/* Neither guard was touched, nor what lies between the lines. */
static inline void check_guards(const struct screen *s)
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

static inline void screen_close(struct screen *s)
{
	check_guards(s);
	free(s->memory);
}

/* Is @c what row @row and column @column of the text show, every pixel of it? */
static inline bool shows(const struct screen *s, u32 row, u32 column, char c)
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

static inline void check_row(const struct screen *s, u32 row, const char *text)
{
	u32 n = (u32)strlen(text);

	assert_true(n <= con.columns && row < con.rows);
	for (u32 column = 0; column < con.columns; column++) {
		if (!shows(s, row, column, column < n ? text[column] : ' '))
			fail_msg("row %u column %u of \"%s\"", row, column, text);
	}
}

static inline void write_text(const char *text)
{
	fbcon_write(&con, text, (u32)strlen(text));
}

#endif
