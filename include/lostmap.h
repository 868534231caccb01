/*
 * The memory that a reset destroys, as a list of bounded length. When it is full the ranges
 * that lie closest are joined: more is called lost than is, but never less.
 */
#ifndef AFTERIMAGE_LOSTMAP_H
#define AFTERIMAGE_LOSTMAP_H

#include "surveylog.h"

struct lostmap {
	struct dl_survey_range *range; /* the caller's; ascending, apart, touching ones differ */
	u32 count;
	u32 max;    /* at least 3 */
	u32 joined; /* ranges that were joined for want of room */
};

/*
 * Adds [pa, pa+bytes) of whole pages below 2^52, lost because of @why. What was in the list
 * before keeps its reasons and gets these too.
 */
void lostmap_add(struct lostmap *map, u64 pa, u64 bytes, u32 why);

/* Joins ranges until at most @max, not 0, are left. */
void lostmap_shrink(struct lostmap *map, u32 max);

/* Pages in all ranges. */
u64 lostmap_pages(const struct lostmap *map);

#endif
