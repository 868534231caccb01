/*
 * The record of a survey as the tools read it: with bounds, checked, and in words. Where the
 * partition is, and how it is read, is the caller's.
 */
#ifndef AFTERIMAGE_TOOLS_SURVEY_H
#define AFTERIMAGE_TOOLS_SURVEY_H

#include "surveylog.h"

#define SURVEY_WHY_BYTES 64

struct survey_record {
	struct dl_survey v;
	struct dl_survey_range range[DL_SURVEY_RANGES]; /* v.range_count of them */
};

/* Exactly @bytes bytes at @offset from the dump partition's start, or a status. */
typedef enum status (*survey_read_fn)(void *ctx, u64 offset, void *buf, u64 bytes);

/*
 * Reads and checks the record on the disk with the checked @super. OK; E_NO_DUMP if the survey
 * was never armed or the disk has no room for one (@super->survey_blocks is 0); E_SURVEY,
 * E_VERSION; or the reader's status. *@r is valid only with OK.
 */
enum status survey_read(survey_read_fn read, void *ctx, const struct dl_super *super,
	struct survey_record *r) MUST_CHECK;

/* Pages in the ranges; at most as many as there is RAM. */
u64 survey_lost_pages(const struct survey_record *r);

/*
 * The share of RAM that survives in hundredths of a percent, rounded down, so that a single
 * page lost shows.
 */
u32 survey_share(const struct survey_record *r);

/* "off", "armed", "under way" (two states), "done", "ended", or "unknown". */
const char *survey_state_name(u32 state);

/* The word for one bit of DL_LOST_*: "firmware map", "changed", "loader", "ours"; NULL: none. */
const char *survey_why_name(u32 bit);

/* The words for all bits of @why, separated by commas. Returns @buf. */
const char *survey_why_text(u32 why, char buf[SURVEY_WHY_BYTES]);

#endif
