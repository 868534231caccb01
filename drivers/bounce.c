/*
 * Copies of old memory for devices that do not reach it. Has no memory of its own.
 */
#include <string.h>
#include "bounce.h"
#include "ports.h"

bool bounce_needed(const struct blk_req *req)
{
	for (u32 i = 0; i < req->nsegs; i++) {
		if (!range_fits(req->seg[i].pa, req->seg[i].bytes, BOUNCE_ABOVE))
			return true;
	}
	return false;
}

enum status bounce_fill(
	const struct blk *blk, const struct arena *arena, const struct blk_req *req, u8 *to)
{
	for (u32 i = 0; i < req->nsegs; i++) {
		const struct blk_seg *s = &req->seg[i];

		if (blk_ours(blk, s->pa, s->bytes))
			memcpy(to, arena->va + (s->pa - arena->pa), s->bytes);
		else if (!phys_copy(s->pa, to, s->bytes))
			return E_WRITE;
		to += s->bytes;
	}
	return OK;
}
