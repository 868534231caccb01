/*
 * Screen console: VGA text memory, 80x25, scrolling, a progress bar in the last line. It only ever
 * writes; reading back would be slow on real adapters, so the text is kept in a shadow.
 */
#include <string.h>
#include "metal.h"
#include "str.h"
#include "x86.h"

#define VGA_PA	       0xb8000u
#define COLUMNS	       80u
#define ROWS	       24u /* of the text */
#define LIGHT_GREY     0x0700u
#define BAR_DONE       0x09dbu /* light blue blocks */
#define BAR_TO_DO      0x07b0u /* dotted */
#define BAR_COLUMNS    75u     /* then the percentage */
#define BAR_FULL       1000u
#define CRTC_INDEX     0x3d4
#define CRTC_DATA      0x3d5
#define CRTC_CURSOR_HI 0x0e
#define CRTC_CURSOR_LO 0x0f

extern char va_base[];

static u16 shadow[ROWS * COLUMNS];
static u32 row, column;
static bool ready;

static void cell_show(u32 at, u16 cell)
{
	((volatile u16 *)((u64)va_base + VGA_PA))[at] = cell;
}

static void cell_write(u32 at, u16 cell)
{
	shadow[at] = cell;
	cell_show(at, cell);
}

static void scroll(void)
{
	for (u32 i = 0; i < (ROWS - 1) * COLUMNS; i++)
		cell_write(i, shadow[i + COLUMNS]);
	for (u32 i = (ROWS - 1) * COLUMNS; i < ROWS * COLUMNS; i++)
		cell_write(i, LIGHT_GREY | ' ');
}

static void cursor_move(void)
{
	u32 at = row * COLUMNS + column;

	outb(CRTC_INDEX, CRTC_CURSOR_HI);
	outb(CRTC_DATA, (u8)(at >> 8));
	outb(CRTC_INDEX, CRTC_CURSOR_LO);
	outb(CRTC_DATA, (u8)at);
}

static void line_feed(void)
{
	column = 0;
	if (row + 1 < ROWS)
		row++;
	else
		scroll();
}

void screen_init(void)
{
	for (u32 i = 0; i < ROWS * COLUMNS; i++)
		cell_write(i, LIGHT_GREY | ' ');
	screen_bar(BAR_FULL + 1);
	row = 0;
	column = 0;
	ready = true;
}

void screen_write(const char *text, u32 bytes)
{
	if (!ready)
		return;
	for (u32 i = 0; i < bytes; i++) {
		if (text[i] == '\n') {
			line_feed();
			continue;
		}
		if (text[i] == '\b') {
			column -= column > 0;
			continue;
		}
		if (column == COLUMNS)
			line_feed();
		cell_write(row * COLUMNS + column, (u16)(LIGHT_GREY | (u8)text[i]));
		column++;
	}
	cursor_move();
}

void screen_bar(u32 permille)
{
	char text[COLUMNS - BAR_COLUMNS + 1];

	str_format(text, sizeof(text), "%4u%%", permille / 10);
	for (u32 i = 0; i < COLUMNS; i++) {
		u16 cell = i * BAR_FULL < permille * BAR_COLUMNS ? BAR_DONE : BAR_TO_DO;

		if (i >= BAR_COLUMNS)
			cell = (u16)(LIGHT_GREY | (u8)text[i - BAR_COLUMNS]);
		cell_show(ROWS * COLUMNS + i, permille > BAR_FULL ? LIGHT_GREY | ' ' : cell);
	}
}
