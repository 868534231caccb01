/*
 * What a survey writes to memory: pages whose every word names the page it belongs to, so that
 * one that was moved, mirrored or partly overwritten shows.
 */
#ifndef AFTERIMAGE_PATTERN_H
#define AFTERIMAGE_PATTERN_H

#include "types.h"

/* Fills the @count pages at @pages, the first of which is @pfn. */
void pattern_fill(void *pages, u64 pfn, u64 count, u64 seed);

/* Is the page at @page exactly as pattern_fill left it? */
bool pattern_holds(const void *page, u64 pfn, u64 seed);

/* Is one word repeated all over the page? *word: which. Memory that was wiped looks so. */
bool pattern_uniform(const void *page, u64 *word);

#endif
