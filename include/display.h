/*
 * Display controllers on the PCI bus: is the framebuffer still there that somebody told of
 * before other drivers had the machine?
 */
#ifndef AFTERIMAGE_DISPLAY_H
#define AFTERIMAGE_DISPLAY_H

#include "types.h"

/*
 * True if all of [pa, pa+bytes) lies inside one memory BAR of a display controller that answers
 * there. To learn the BAR's size its address is taken away and put back, with the controller
 * deaf meanwhile.
 */
bool display_has(u64 pa, u64 bytes);

#endif
