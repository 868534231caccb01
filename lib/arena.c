/*
 * Bump allocation from the one region the image may write. Nothing is freed.
 */
#include <string.h>
#include "arena.h"

void *arena_alloc(struct arena *a, u64 bytes, u64 align)
{
	u64 pad = (align - ((a->pa + a->used) & (align - 1))) & (align - 1);
	u8 *p;

	if (!range_fits(a->used, pad, a->bytes) || !range_fits(a->used + pad, bytes, a->bytes))
		return NULL;
	p = a->va + a->used + pad;
	a->used += pad + bytes;
	memset(p, 0, bytes);
	return p;
}

u64 arena_pa(const struct arena *a, const void *p)
{
	return a->pa + (u64)((const u8 *)p - a->va);
}
