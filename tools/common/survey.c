/*
 * The record of a survey: one read each for header and ranges, the checks, the words. No
 * I/O of its own.
 */
#include <stdio.h>
#include "survey.h"

enum status survey_read(
	survey_read_fn read, void *ctx, const struct dl_super *super, struct survey_record *r)
{
	u64 at = dl_survey_block(super) * super->block_bytes;
	enum status st;

	if (super->survey_blocks == 0)
		return E_NO_DUMP;
	st = read(ctx, at, &r->v, sizeof(r->v));
	if (st == OK)
		st = dl_survey_check(&r->v, super);
	if (st != OK)
		return st;
	st = read(ctx, at + DL_SURVEY_RANGES_AT, r->range, r->v.range_count * sizeof(r->range[0]));
	return st == OK ? dl_survey_ranges_check(&r->v, r->range) : st;
}

u64 survey_lost_pages(const struct survey_record *r)
{
	u64 bytes = 0;

	for (u32 i = 0; i < r->v.range_count; i++)
		bytes += r->range[i].bytes;
	return min_u64(bytes / PAGE_BYTES, r->v.ram_pages);
}

u32 survey_share(const struct survey_record *r)
{
	u64 lost = survey_lost_pages(r);
	double share;

	if (r->v.ram_pages == 0)
		return 0;
	share = (double)(r->v.ram_pages - lost) / (double)r->v.ram_pages * 10000;
	return lost > 0 && share > 9999 ? 9999 : (u32)share;
}

const char *survey_state_name(u32 state)
{
	static const char *const names[] = {
		[DL_SURVEY_IDLE] = "off",
		[DL_SURVEY_ARMED] = "armed",
		[DL_SURVEY_FILLING] = "under way",
		[DL_SURVEY_FILLED] = "under way",
		[DL_SURVEY_DONE] = "done",
		[DL_SURVEY_ENDED] = "ended",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

const char *survey_why_name(u32 bit)
{
	switch (bit) {
	case DL_LOST_FIRMWARE:
		return "firmware map";
	case DL_LOST_CHANGED:
		return "changed";
	case DL_LOST_LOADER:
		return "loader";
	case DL_LOST_OURS:
		return "ours";
	default:
		return NULL;
	}
}

const char *survey_why_text(u32 why, char buf[SURVEY_WHY_BYTES])
{
	u32 at = 0;

	buf[0] = '\0';
	for (u32 i = 0; i < 32; i++) {
		const char *word = why >> i & 1 ? survey_why_name(1u << i) : NULL;

		if (word && at < SURVEY_WHY_BYTES)
			at += (u32)snprintf(
				buf + at, SURVEY_WHY_BYTES - at, "%s%s", at ? ", " : "", word);
	}
	if (at == 0)
		snprintf(buf, SURVEY_WHY_BYTES, "unknown");
	return buf;
}
