/*
 * A linear framebuffer as firmware or a loader left it: where it is and how a pixel looks.
 */
#ifndef AFTERIMAGE_FRAMEBUFFER_H
#define AFTERIMAGE_FRAMEBUFFER_H

#include "types.h"

/* Bits of one colour in a pixel, the lowest first. */
struct framebuffer_colour {
	u8 shift;
	u8 bits; /* 0: the pixel has none of it */
};

struct framebuffer {
	u64 pa;
	u64 bytes; /* 0: there is none */
	u32 width; /* pixels */
	u32 height;
	u32 stride_bytes; /* from one line to the next, at least width * pixel_bytes */
	u32 pixel_bytes;  /* 2, 3 or 4 */
	struct framebuffer_colour red, green, blue;
};

#endif
