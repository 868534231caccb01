/*
 * Framebuffer console: text in a font of 8x16 pixels, enlarged by whole numbers until its
 * lines are few enough to be read from a chair, and a progress bar below it. Adapters are
 * slow to write to and slower to read: only what changes is drawn, from the shadow of the
 * text, and nothing is ever read back. Maps nothing and sets no mode.
 *
 *	top	row 0
 *		...
 *		row rows - 1
 *		half a row
 *	bar	one row: frame, share that is done, percent
 */
#include <string.h>
#include "fbcon.h"
#include "font.h"
#include "str.h"

#define COLUMNS_MIN 20u
#define ROWS_MIN    2u
#define ROWS_GOOD   8u /* fewer than that, and smaller letters are better */
#define CHANNEL_MAX 16u

/* In pixels of the font. */
#define MARGIN	      8u
#define BAR_GAP	      8u
#define BAR_FRAME     1u
#define BAR_INSET     3u /* from the frame's outer edge to the share that is done */
#define PERCENT_CHARS 5u /* " 100%" */

#define BAR_FULL 1000u
#define BAR_NONE (BAR_FULL + 1)

#define SCALE_MAX  16u /* what FBCON_PIXELS_MAX both ways need */
#define LINE_BYTES (FONT_WIDTH * SCALE_MAX * FBCON_PIXEL_BYTES)

struct rgb {
	u8 red, green, blue;
};

struct box {
	u32 x, y, width, height; /* pixels of the screen */
};

static const struct rgb palette[FBCON_COLOURS] = {
	[FBCON_BACKGROUND] = {0x08, 0x0c, 0x14},
	[FBCON_TEXT] = {0xd8, 0xd8, 0xd8},
	[FBCON_FRAME] = {0x80, 0x88, 0x90},
	[FBCON_DONE] = {0x30, 0x90, 0xd8},
};

/* --- what fits ----------------------------------------------------------------------------- */

static u32 columns_at(const struct framebuffer *fb, u32 scale)
{
	u32 columns = fb->width / (FONT_WIDTH * scale);
	u32 margins = 2 * MARGIN / FONT_WIDTH;

	return columns > margins ? columns - margins : 0;
}

static u32 rows_at(const struct framebuffer *fb, u32 scale)
{
	u32 lines = fb->height / scale;
	u32 others = 2 * MARGIN + BAR_GAP + FONT_HEIGHT;

	return lines > others ? (lines - others) / FONT_HEIGHT : 0;
}

/* The smallest letters whose screen has not more text than there is room for in the shadow. */
static u32 scale_choose(const struct framebuffer *fb)
{
	u32 scale = 1;

	while (scale < SCALE_MAX &&
		(columns_at(fb, scale) > FBCON_COLUMNS_MAX || rows_at(fb, scale) > FBCON_ROWS_MAX))
		scale++;
	while (scale > 1 && (columns_at(fb, scale) < COLUMNS_MIN || rows_at(fb, scale) < ROWS_GOOD))
		scale--;
	return scale;
}

static bool colour_fits(const struct framebuffer *fb, const struct framebuffer_colour *c)
{
	return c->bits <= CHANNEL_MAX && range_fits(c->shift, c->bits, 8ull * fb->pixel_bytes);
}

static bool pixel_fits(const struct framebuffer *fb)
{
	if (fb->pixel_bytes < 2 || fb->pixel_bytes > FBCON_PIXEL_BYTES)
		return false;
	if (fb->red.bits == 0 && fb->green.bits == 0 && fb->blue.bits == 0)
		return false;
	return colour_fits(fb, &fb->red) && colour_fits(fb, &fb->green) &&
	       colour_fits(fb, &fb->blue);
}

bool fbcon_fits(const struct framebuffer *fb)
{
	if (!pixel_fits(fb))
		return false;
	if (fb->width > FBCON_PIXELS_MAX || fb->height > FBCON_PIXELS_MAX)
		return false;
	if (columns_at(fb, 1) < COLUMNS_MIN || rows_at(fb, 1) < ROWS_MIN)
		return false;
	if (fb->stride_bytes < (u64)fb->width * fb->pixel_bytes)
		return false;
	return range_fits(0, (u64)fb->stride_bytes * fb->height, fb->bytes);
}

/* --- pixels -------------------------------------------------------------------------------- */

static u64 channel(const struct framebuffer_colour *c, u8 value)
{
	return (value * ((1ull << c->bits) - 1) / 255) << c->shift;
}

static void colours_init(struct fbcon *con)
{
	const struct framebuffer *fb = &con->fb;

	for (u32 i = 0; i < FBCON_COLOURS; i++) {
		const struct rgb *c = &palette[i];
		u64 pixel = channel(&fb->red, c->red) | channel(&fb->green, c->green) |
			    channel(&fb->blue, c->blue);

		for (u32 k = 0; k < FBCON_PIXEL_BYTES; k++)
			con->colour[i][k] = (u8)(pixel >> 8 * k);
	}
}

/* @bytes of one line of the screen, from pixel @x on. */
static void line_put(struct fbcon *con, u32 x, u32 y, const u8 *line, u32 bytes)
{
	u64 at = (u64)y * con->fb.stride_bytes + (u64)x * con->fb.pixel_bytes;

	memcpy(con->pixels + at, line, bytes);
}

/* Puts @count pixels into a line being built; returns its length. */
static u32 line_add(
	const struct fbcon *con, u8 *line, u32 used, u32 count, enum fbcon_colour colour)
{
	for (u32 i = 0; i < count; i++) {
		memcpy(line + used, con->colour[colour], con->fb.pixel_bytes);
		used += con->fb.pixel_bytes;
	}
	return used;
}

static void box_fill(struct fbcon *con, const struct box *box, enum fbcon_colour colour)
{
	u32 chunk = FONT_WIDTH * SCALE_MAX;
	u8 line[LINE_BYTES];

	line_add(con, line, 0, chunk, colour);
	for (u32 y = 0; y < box->height; y++) {
		for (u32 x = 0; x < box->width; x += chunk) {
			u32 n = (u32)min_u64(box->width - x, chunk);

			line_put(con, box->x + x, box->y + y, line, n * con->fb.pixel_bytes);
		}
	}
}

static void glyph_draw(struct fbcon *con, u32 x, u32 y, u8 c)
{
	const u8 *glyph = font_glyphs[c - FONT_FIRST];
	u8 line[LINE_BYTES];

	for (u32 i = 0; i < FONT_HEIGHT; i++) {
		u32 bytes = 0;

		for (u32 bit = 0; bit < FONT_WIDTH; bit++)
			bytes = line_add(con, line, bytes, con->scale,
				glyph[i] >> (FONT_WIDTH - 1 - bit) & 1 ? FBCON_TEXT
								       : FBCON_BACKGROUND);
		for (u32 k = 0; k < con->scale; k++)
			line_put(con, x, y + i * con->scale + k, line, bytes);
	}
}

/* --- text ---------------------------------------------------------------------------------- */

static u8 printable(char c)
{
	u8 code = (u8)c;

	return code >= FONT_FIRST && code < FONT_FIRST + FONT_GLYPHS ? code : '?';
}

static void cell_set(struct fbcon *con, u32 row, u32 column, u8 c)
{
	if (con->text[row][column] == c)
		return;
	con->text[row][column] = c;
	glyph_draw(con, con->left + column * FONT_WIDTH * con->scale,
		con->top + row * FONT_HEIGHT * con->scale, c);
}

static void scroll(struct fbcon *con)
{
	for (u32 row = 0; row < con->rows; row++) {
		for (u32 column = 0; column < con->columns; column++)
			cell_set(con, row, column,
				row + 1 < con->rows ? con->text[row + 1][column] : ' ');
	}
}

static void line_feed(struct fbcon *con)
{
	con->line_due = false;
	con->column = 0;
	if (con->row + 1 < con->rows)
		con->row++;
	else
		scroll(con);
}

/* Of the word that @text begins with, or of the blank. */
static u32 word_bytes(const char *text, u32 bytes)
{
	u32 n = 1;

	while (n < bytes && text[0] != ' ' && text[n] != ' ' && text[n] != '\n')
		n++;
	return n;
}

/* A word that would be cut at the end of the line goes to the next one, if it fits there. */
static bool line_is_full(const struct fbcon *con, const char *text, u32 at, u32 bytes)
{
	u32 room = con->columns - con->column;
	u32 word = 1;

	if (at == 0 || text[at - 1] == ' ')
		word = word_bytes(text + at, bytes - at);
	return room == 0 || (word > room && word <= con->columns);
}

void fbcon_write(struct fbcon *con, const char *text, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++) {
		if (con->line_due)
			line_feed(con);
		if (text[i] == '\n') {
			con->line_due = true;
			continue;
		}
		if (text[i] == '\b') {
			con->column -= con->column > 0;
			continue;
		}
		if (line_is_full(con, text, i, bytes)) {
			line_feed(con);
			if (text[i] == ' ')
				continue; /* the line's end stands for it */
		}
		cell_set(con, con->row, con->column, printable(text[i]));
		con->column++;
	}
}

/* --- the bar ------------------------------------------------------------------------------- */

static struct box bar_box(const struct fbcon *con)
{
	struct box box = {
		.x = con->left,
		.y = con->top + (con->rows * FONT_HEIGHT + BAR_GAP) * con->scale,
		.width = (con->columns - PERCENT_CHARS) * FONT_WIDTH * con->scale,
		.height = FONT_HEIGHT * con->scale,
	};

	return box;
}

static struct box box_shrink(const struct box *box, u32 by)
{
	struct box inner = {box->x + by, box->y + by, box->width - 2 * by, box->height - 2 * by};

	return inner;
}

static void percent_draw(struct fbcon *con, u32 permille)
{
	struct box bar = bar_box(con);
	char text[PERCENT_CHARS + 1] = "";

	str_format(text, sizeof(text), "%4u%%", permille / 10);
	for (u32 i = 0; i < PERCENT_CHARS; i++)
		glyph_draw(
			con, bar.x + bar.width + i * FONT_WIDTH * con->scale, bar.y, (u8)text[i]);
}

static void bar_frame(struct fbcon *con)
{
	struct box box = bar_box(con);
	struct box inner = box_shrink(&box, BAR_FRAME * con->scale);

	box_fill(con, &box, FBCON_FRAME);
	box_fill(con, &inner, FBCON_BACKGROUND);
}

static void bar_remove(struct fbcon *con)
{
	struct box box = bar_box(con);

	box.width = con->columns * FONT_WIDTH * con->scale;
	box_fill(con, &box, FBCON_BACKGROUND);
}

/* From what it shows to @permille: only the difference. */
static void bar_move(struct fbcon *con, u32 permille)
{
	struct box box = bar_box(con);
	struct box inner = box_shrink(&box, BAR_INSET * con->scale);
	u32 old = con->bar <= BAR_FULL ? inner.width * con->bar / BAR_FULL : 0;
	u32 new = inner.width *permille / BAR_FULL;
	struct box change = inner;

	change.x += (u32)min_u64(old, new);
	change.width = new > old ? new - old : old - new;
	box_fill(con, &change, new > old ? FBCON_DONE : FBCON_BACKGROUND);
}

void fbcon_bar(struct fbcon *con, u32 permille)
{
	if (permille == con->bar || (permille > BAR_FULL && con->bar > BAR_FULL))
		return;
	if (permille > BAR_FULL) {
		bar_remove(con);
		con->bar = BAR_NONE;
		return;
	}
	if (con->bar > BAR_FULL)
		bar_frame(con);
	bar_move(con, permille);
	if (con->bar > BAR_FULL || con->bar / 10 != permille / 10)
		percent_draw(con, permille);
	con->bar = permille;
}

bool fbcon_init(struct fbcon *con, const struct framebuffer *fb, void *pixels)
{
	struct box screen = {0, 0, fb->width, fb->height};

	if (!fbcon_fits(fb))
		return false;
	memset(con, 0, sizeof(*con));
	con->fb = *fb;
	con->pixels = pixels;
	con->scale = scale_choose(fb);
	con->columns = (u32)min_u64(columns_at(fb, con->scale), FBCON_COLUMNS_MAX);
	con->rows = (u32)min_u64(rows_at(fb, con->scale), FBCON_ROWS_MAX);
	con->left = MARGIN * con->scale;
	con->top = MARGIN * con->scale;
	con->bar = BAR_NONE;
	memset(con->text, ' ', sizeof(con->text));
	colours_init(con);
	box_fill(con, &screen, FBCON_BACKGROUND);
	return true;
}
