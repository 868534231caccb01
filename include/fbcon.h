/*
 * Text and a progress bar on a linear framebuffer. Knows pixels only: whoever has the
 * framebuffer maps it. Never reads a pixel; what the screen shows is kept here, as text.
 */
#ifndef AFTERIMAGE_FBCON_H
#define AFTERIMAGE_FBCON_H

#include "framebuffer.h"

#define FBCON_COLUMNS_MAX 160u
#define FBCON_ROWS_MAX	  64u
#define FBCON_PIXELS_MAX  16384u /* in a line, and lines */
#define FBCON_PIXEL_BYTES 4u

enum fbcon_colour {
	FBCON_BACKGROUND,
	FBCON_TEXT,
	FBCON_FRAME, /* of the bar */
	FBCON_DONE,
	FBCON_COLOURS
};

/* Private to fbcon.c. */
struct fbcon {
	struct framebuffer fb;
	u8 *pixels;
	u32 scale; /* pixels of the screen for one of the font's, each way */
	u32 columns, rows;
	u32 left, top; /* of the text, in pixels */
	u32 column, row;
	bool line_due; /* a new line begins with the next character */
	u32 bar;       /* thousandths it shows; more than 1000: there is none */
	u8 colour[FBCON_COLOURS][FBCON_PIXEL_BYTES];
	u8 text[FBCON_ROWS_MAX][FBCON_COLUMNS_MAX];
};

/*
 * Can @fb be drawn on? Every line lies inside its bytes, the colours inside a pixel, and there
 * is room for some text.
 */
bool fbcon_fits(const struct framebuffer *fb);

/*
 * Clears the screen. @pixels is where the framebuffer's first byte can be written; it stays
 * the caller's and nothing outside the fb->bytes from there on is touched. False, and nothing
 * written, if fbcon_fits says no.
 */
bool fbcon_init(struct fbcon *con, const struct framebuffer *fb, void *pixels) MUST_CHECK;

/*
 * '\n' starts a new line, '\b' goes back one place in it, long lines wrap between words that are
 * in one call, what the font has not is shown as '?'.
 */
void fbcon_write(struct fbcon *con, const char *text, u32 bytes);

/* The bar below the text, in thousandths; more than 1000 removes it. */
void fbcon_bar(struct fbcon *con, u32 permille);

#endif
