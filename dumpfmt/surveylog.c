/*
 * Reads and writes the record of a survey through the gate. Does not know what a state means
 * or what follows from it.
 */
#include <string.h>
#include "surveyio.h"

#define PIECE_BYTES (2u * PAGE_BYTES) /* every disk takes that many at once */

_Static_assert(SURVEYLOG_BYTES <= DL_SURVEY_AREA_BYTES, "the record fits its place");
_Static_assert(SURVEYLOG_BYTES % PAGE_BYTES == 0, "no write takes in what lies behind");

/* @bytes from byte @at of the record, widened to whole blocks, between disk and memory. */
static enum status transfer(const struct surveylog *log, enum blk_op op, u64 at, u64 bytes)
{
	u32 bb = log->super->block_bytes;
	u64 end = round_up_u64(at + bytes, bb);
	enum status st = OK;

	while (at < end && st == OK) {
		u32 n = (u32)min_u64(end - at, PIECE_BYTES);
		struct blk_req req = {.op = op, .blocks = n / bb, .nsegs = 1};

		req.lba = dl_survey_block(log->super) + at / bb;
		req.seg[0].pa = log->pa + at;
		req.seg[0].bytes = n;
		st = gate_run(log->gate, &req);
		at += n;
	}
	return st;
}

static u64 ranges_bytes(const struct surveylog *log)
{
	return log->record->range_count * sizeof(log->range[0]);
}

enum status surveylog_read(
	struct surveylog *log, struct gate *gate, const struct dl_super *super, struct arena *arena)
{
	enum status st;
	u8 *memory;

	memset(log, 0, sizeof(*log));
	if (super->survey_blocks == 0)
		return E_NO_DUMP;
	memory = arena_alloc(arena, SURVEYLOG_BYTES, PAGE_BYTES);
	if (!memory)
		return E_NO_MEMORY;
	log->gate = gate;
	log->super = super;
	log->pa = arena_pa(arena, memory);
	log->record = (struct dl_survey *)(void *)memory;
	log->range = (struct dl_survey_range *)(void *)(memory + DL_SURVEY_RANGES_AT);
	st = transfer(log, BLK_READ, 0, sizeof(*log->record));
	if (st == OK)
		st = dl_survey_check(log->record, super);
	if (st == OK)
		st = transfer(log, BLK_READ, DL_SURVEY_RANGES_AT, ranges_bytes(log));
	return st == OK ? dl_survey_ranges_check(log->record, log->range) : st;
}

static enum status flush(const struct surveylog *log)
{
	struct blk_req req = {.op = BLK_FLUSH};

	return gate_run(log->gate, &req);
}

enum status surveylog_write(struct surveylog *log)
{
	enum status st;

	dl_survey_seal(log->record, log->range);
	st = transfer(log, BLK_WRITE, DL_SURVEY_RANGES_AT, ranges_bytes(log));
	if (st == OK)
		st = flush(log);
	if (st == OK)
		st = transfer(log, BLK_WRITE, 0, sizeof(*log->record));
	return st == OK ? flush(log) : st;
}
