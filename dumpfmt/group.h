/*
 * Between the files of capture: looking at pages, the group they gather in, and what
 * a class would take on the disk.
 */
#ifndef AFTERIMAGE_GROUP_H
#define AFTERIMAGE_GROUP_H

#include "capture.h"

/*
 * Looks at the page once. Its class if it is now in the group, which must not be full;
 * else DL_ZERO or DL_UNREADABLE.
 */
u32 group_take(struct capture *c, u64 pfn, u32 class);

/* Sends the group, if there is anything in it. */
enum status group_send(struct capture *c) MUST_CHECK;

/* All that may still be sent would fit uncompressed. */
bool group_space_is_ample(const struct capture *c);

/* @run, of the class that @s is for, comes by in the first pass. */
void sample_offer(struct sample *s, const struct run *run);

/*
 * Blocks that the pages of @class would take by its sample, whose pages are looked at and
 * packed for that, at most CAPTURE_SAMPLES groups of them. The group must be empty.
 */
enum status sample_estimate(
	struct capture *c, const struct sample *s, u32 class, u64 *blocks) MUST_CHECK;

#endif
