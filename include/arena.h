/*
 * The only RAM the image may write. All memory is taken at the start and nothing
 * is freed. Virtual and physical addresses differ by a constant, so that a buffer
 * can be handed to a device.
 */
#ifndef AFTERIMAGE_ARENA_H
#define AFTERIMAGE_ARENA_H

#include "types.h"

struct arena {
	u8 *va;	   /* start of the region */
	u64 pa;	   /* the same place as a device sees it */
	u64 bytes; /* its size */
	u64 used;
};

/* Zeroed memory of @bytes aligned to @align (a power of two), or NULL if it does not fit. */
void *arena_alloc(struct arena *a, u64 bytes, u64 align);

/* Physical address of @p, which must come from arena_alloc on @a. */
u64 arena_pa(const struct arena *a, const void *p);

#endif
