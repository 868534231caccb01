/*
 * Devices with 32-bit addresses: what they are to write is copied to where they reach it.
 */
#ifndef AFTERIMAGE_BOUNCE_H
#define AFTERIMAGE_BOUNCE_H

#include "arena.h"
#include "blk.h"

#define BOUNCE_ABOVE (4 * GIB)

/* Is there anything in @req that such a device can not reach? */
bool bounce_needed(const struct blk_req *req);

/*
 * Copies the data of a write to @to, one segment after the other: old memory, or what is in
 * @arena, which is the device's. E_WRITE if old memory can not be read.
 */
enum status bounce_fill(const struct blk *blk, const struct arena *arena, const struct blk_req *req,
	u8 *to) MUST_CHECK;

#endif
