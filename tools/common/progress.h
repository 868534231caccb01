/*
 * Progress on stderr, only if that is a terminal, at most five times a second.
 */
#ifndef AFTERIMAGE_PROGRESS_H
#define AFTERIMAGE_PROGRESS_H

#include "types.h"

/* Begins a line for @what, a string that outlives it, with @total bytes of work. */
void progress_start(const char *what, u64 total);

/* So much is done; cheap, call it often. */
void progress_at(u64 done);

/* Takes the line away. */
void progress_end(void);

/* Takes the line away so that a message can be printed; the next progress_at brings it back. */
void progress_break(void);

#endif
