/*
 * The console's lines about pages, and its bar.
 */
#ifndef AFTERIMAGE_WORDS_H
#define AFTERIMAGE_WORDS_H

#include "capture.h"

/* How far it is. */
void words_progress(const struct capture_progress *p);

/* All is done. What the level leaves out, by class; nothing if that is nothing. */
void words_left_out(const struct capture *c);

/* How much of memory was lost before, and what the old kernel had there; nothing for nothing. */
void words_lost(const struct dl_header *h);

/* Not all is done. Names the classes (bits) of which not all pages were written; none for 0. */
void words_incomplete(u32 classes);

#endif
