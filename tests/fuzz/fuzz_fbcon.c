/*
 * The first bytes are a framebuffer, the rest what is done on it: lengths of text, positions of
 * the bar. The pixels are memory of just the size that the framebuffer says, so that the sanitizer
 * sees a write beside it.
 */
#include <stdlib.h>
#include <string.h>
#include "bytes.h"
#include "fbcon.h"

#define HEAD_BYTES 24u
#define PIXELS_MAX (1u * MIB)

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

/* Mostly of sizes that can be, or nothing would ever be drawn. */
static struct framebuffer take_framebuffer(const u8 *d)
{
	struct framebuffer fb = {
		.width = get_u16(d),
		.height = get_u16(d + 2),
		.pixel_bytes = d[4] % 8,
		.red = {d[5], d[6]},
		.green = {d[7], d[8]},
		.blue = {d[9], d[10]},
		.bytes = get_u32(d + 12),
	};

	fb.stride_bytes = d[11] & 1 ? get_u32(d + 16) : fb.width * fb.pixel_bytes + d[16];
	if (!(d[11] & 2))
		fb.bytes = (u64)fb.stride_bytes * fb.height;
	if (d[11] & 4)
		fb.width <<= d[20] % 32;
	if (d[11] & 8)
		fb.height <<= d[21] % 32;
	return fb;
}

static void play(struct fbcon *con, const u8 *data, size_t bytes)
{
	size_t at = 0;

	while (at + 3 <= bytes) {
		u32 n = (u32)min_u64(data[at], bytes - at - 3);

		fbcon_bar(con, get_u16(data + at + 1));
		fbcon_write(con, (const char *)data + at + 3, n);
		at += 3 + n;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	static struct fbcon con;
	struct framebuffer fb;
	u8 *pixels;

	if (bytes < HEAD_BYTES)
		return 0;
	fb = take_framebuffer(data);
	if (fbcon_fits(&fb) && fb.bytes > PIXELS_MAX)
		return 0;
	pixels = malloc(fb.bytes <= PIXELS_MAX ? fb.bytes : 0);
	if (!pixels)
		abort();
	if (fbcon_init(&con, &fb, pixels) != fbcon_fits(&fb))
		abort();
	if (fbcon_fits(&fb))
		play(&con, data + HEAD_BYTES, bytes - HEAD_BYTES);
	free(pixels);
	return 0;
}
