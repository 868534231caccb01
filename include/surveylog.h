/*
 * The record of a survey in the dump partition: which memory this machine's firmware destroys
 * between a warm reset and the start of the image. Armed by mkdumpdisk, carried out by the
 * image, read by both and by getdump. survey_blocks of the superblock, from dl_survey_block():
 *
 *	byte 0		struct dl_survey; all zero: never armed
 *	byte 4096	struct dl_survey_range, range_count of them, ascending
 *
 * A record that is damaged counts as none. The image writes ranges first, then the header.
 */
#ifndef AFTERIMAGE_SURVEYLOG_H
#define AFTERIMAGE_SURVEYLOG_H

#include "dumplog.h"

#define DL_SURVEY_MAGIC	     "AFTRSRV1"
#define DL_SURVEY_AREA_BYTES (64u * KIB) /* what mkdumpdisk sets aside */
#define DL_SURVEY_RANGES_AT  4096u
#define DL_SURVEY_RANGES     2048u
#define DL_SURVEY_CYCLES     2u /* default of mkdumpdisk --survey */
#define DL_SURVEY_CYCLES_MAX 16u

enum dl_survey_state {
	DL_SURVEY_IDLE = 0,
	DL_SURVEY_ARMED = 1, /* the next boot fills memory */
	DL_SURVEY_FILLING =
		2, /* written before the first page is: found at a boot, it was cut short */
	DL_SURVEY_FILLED = 3, /* the next boot compares */
	DL_SURVEY_DONE = 4,
	DL_SURVEY_ENDED = 5, /* without a result: see reason */
};

/* The administrator says that no crash in memory is worth keeping. */
#define DL_SURVEY_CONFIRMED 1u

struct dl_survey {
	u8 magic[8];
	u32 version; /* DL_VERSION */
	u32 state;   /* enum dl_survey_state */
	u8 disk_uuid[16];
	u32 flags;
	u32 door;	   /* enum door: by which it was made; 0 before the first fill */
	u32 cycles_wanted; /* 1 .. DL_SURVEY_CYCLES_MAX */
	u32 cycles_done;
	u64 seed;    /* of the pattern in memory */
	u64 armed_s; /* UTC, 0: unknown */
	u64 ended_s;
	u64 ram_pages; /* firmware's map at the last boot: RAM in it, and where it ends */
	u64 end_pfn;
	u64 checked_pages; /* compared in the last cycle */
	u64 lost_pages;	   /* sum of the ranges */
	u32 range_count;   /* valid in FILLING, FILLED (of the cycles before), DONE */
	u32 joined;	   /* ranges joined with a neighbour for want of room */
	u32 ranges_crc32c; /* of the ranges */
	u32 reason;	   /* enum status: why it ended */
	u8 zero[388];
	u32 crc32c; /* of the 512 bytes with this field 0 */
};
ASSERT_SIZE(struct dl_survey, 512);
ASSERT_AT(struct dl_survey, disk_uuid, 16);
ASSERT_AT(struct dl_survey, seed, 48);
ASSERT_AT(struct dl_survey, range_count, 104);
ASSERT_AT(struct dl_survey, crc32c, 508);

/* Why a range is lost; several may be true of one. */
#define DL_LOST_FIRMWARE 1u /* firmware's memory map says it holds it */
#define DL_LOST_CHANGED	 2u /* the pattern was not there any more */
#define DL_LOST_LOADER	 4u
#define DL_LOST_OURS	 8u /* the image works there */

struct dl_survey_range {
	u64 pa;	   /* page aligned */
	u64 bytes; /* likewise, never 0 */
	u32 why;   /* DL_LOST_* */
	u32 zero;
};
ASSERT_SIZE(struct dl_survey_range, 24);

/* First block of the record; @s has survey_blocks. */
static inline u64 dl_survey_block(const struct dl_super *s)
{
	return dl_data_end(s);
}

/* Is the record whole and of the disk of @super? OK, E_SURVEY, E_VERSION; E_NO_DUMP if all zero. */
enum status dl_survey_check(const struct dl_survey *v, const struct dl_super *super) MUST_CHECK;

/* Are the ranges of the checked @v whole, ascending and apart? OK or E_SURVEY. */
enum status dl_survey_ranges_check(
	const struct dl_survey *v, const struct dl_survey_range *range) MUST_CHECK;

/* Sets both checksums, that of the ranges first. */
void dl_survey_seal(struct dl_survey *v, const struct dl_survey_range *range);

#endif
