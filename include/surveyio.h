/*
 * The record of a survey, read from and written to the dump partition. surveylog.h has its
 * layout; in memory it lies as on the disk.
 */
#ifndef AFTERIMAGE_SURVEYIO_H
#define AFTERIMAGE_SURVEYIO_H

#include "arena.h"
#include "gate.h"
#include "surveylog.h"

/* What surveylog_read takes from the arena: whole pages, and their alignment. */
#define SURVEYLOG_BYTES                                                                            \
	(DL_SURVEY_RANGES_AT + DL_SURVEY_RANGES * (u32)sizeof(struct dl_survey_range))

struct surveylog {
	struct gate *gate;
	const struct dl_super *super;
	u64 pa;			       /* of the record */
	struct dl_survey *record;      /* in the arena */
	struct dl_survey_range *range; /* DL_SURVEY_RANGES of them behind it */
};

/*
 * Takes memory from @arena and reads the record and its ranges. @gate and @super stay the
 * caller's and must stay. E_NO_DUMP if no survey was ever armed or the disk has no room for
 * one, E_SURVEY or E_VERSION if the record can not be used, E_NO_MEMORY, or why the device
 * failed.
 */
enum status surveylog_read(struct surveylog *log, struct gate *gate, const struct dl_super *super,
	struct arena *arena) MUST_CHECK;

/*
 * Seals the record as it is in memory and writes it: ranges, flush, header, flush. When it fails
 * the disk has the old record, the new one, or one that is damaged.
 */
enum status surveylog_write(struct surveylog *log) MUST_CHECK;

#endif
