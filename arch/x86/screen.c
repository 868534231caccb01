/*
 * Screen console: VGA text memory, 80x25, scrolling. It only ever writes; reading
 * back would be slow on real adapters, so the text is kept in a shadow.
 */
#include <string.h>
#include "metal.h"
#include "x86.h"

#define VGA_PA	       0xb8000u
#define COLUMNS	       80u
#define ROWS	       25u
#define LIGHT_GREY     0x0700u
#define CRTC_INDEX     0x3d4
#define CRTC_DATA      0x3d5
#define CRTC_CURSOR_HI 0x0e
#define CRTC_CURSOR_LO 0x0f

extern char va_base[];

static u16 shadow[ROWS * COLUMNS];
static u32 row, column;
static bool ready;

static void cell_write(u32 at, u16 cell)
{
	shadow[at] = cell;
	((volatile u16 *)((u64)va_base + VGA_PA))[at] = cell;
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
		if (column == COLUMNS)
			line_feed();
		cell_write(row * COLUMNS + column, (u16)(LIGHT_GREY | (u8)text[i]));
		column++;
	}
	cursor_move();
}
