/*
 * What the doors of boot loaders share: consoles by the words of the command line, on whatever
 * screen the loader left.
 */
#ifndef AFTERIMAGE_LOADER_H
#define AFTERIMAGE_LOADER_H

#include "handoff.h"
#include "linuxboot.h"

/* A screen that a loader tells of. */
struct loader_screen {
	bool text_mode;	       /* VGA's */
	struct framebuffer fb; /* bytes 0: none */
};

/*
 * The consoles that @c asks for, and the first line of @door. For a framebuffer the text is kept
 * until loader_screen_open.
 */
void loader_console(const struct linuxboot_cmdline *c, const struct loader_screen *s, u32 door);

/*
 * Shows the text on the framebuffer, if it is wanted. What is told of it may be as old as the old
 * kernel's start: it must not be RAM by h->map, and a display controller must have it.
 */
void loader_screen_open(
	struct handoff *h, const struct linuxboot_cmdline *c, const struct loader_screen *s);

#endif
