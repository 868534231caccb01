/*
 * The console's font: glyphs of the printable ASCII characters. The build makes them of a font
 * that Debian has (lib/font.sh).
 */
#ifndef AFTERIMAGE_FONT_H
#define AFTERIMAGE_FONT_H

#include "types.h"

#define FONT_WIDTH  8u
#define FONT_HEIGHT 16u
#define FONT_FIRST  ' '
#define FONT_GLYPHS 95u

/* One byte for each line of a glyph, its highest bit the leftmost pixel. */
extern const u8 font_glyphs[FONT_GLYPHS][FONT_HEIGHT];

#endif
