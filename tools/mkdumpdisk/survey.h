/*
 * mkdumpdisk --survey: the record of a survey in a dump partition, armed or disarmed. What its
 * parts share.
 */
#ifndef MKDUMPDISK_SURVEY_H
#define MKDUMPDISK_SURVEY_H

#include "options.h"
#include "tools/common/survey.h"

/* --- a dump partition (surveydisk.c) --- */

/* Prepared before: alone, on its disk, or in an image of either. */
struct dumpdisk {
	const char *path;
	int fd;
	u64 bytes; /* of all that is open */
	u64 start; /* of the dump partition in it */
	u64 size;  /* of the dump partition */
	bool block_device;
	struct dl_super super;
	bool super_damaged; /* one of the two */
};

/*
 * Opens @path and finds the dump partition. To @write it must not be in use; a partition of the
 * running system is then held exclusively, an image file locked, until dumpdisk_close(). False:
 * reported, nothing is held. @path must outlive it.
 */
bool dumpdisk_open(struct dumpdisk *d, const char *path, bool write) MUST_CHECK;

/* Closes; false if that failed, with errno. */
bool dumpdisk_close(struct dumpdisk *d) MUST_CHECK;

/* A survey_read_fn; @ctx is the struct dumpdisk. E_TRUNCATED, E_READ. */
enum status dumpdisk_read(void *ctx, u64 offset, void *buf, u64 bytes) MUST_CHECK;

/* Dumps that are not cleared, in @count. False: reported. */
bool dumpdisk_count_dumps(const struct dumpdisk *d, u32 *count) MUST_CHECK;

/*
 * Replaces the record's header by @v, sealed by the caller, or by zeros if that is NULL, in one
 * block, and waits until it is on the disk. False with errno.
 */
bool dumpdisk_write_survey(const struct dumpdisk *d, const struct dl_survey *v) MUST_CHECK;

/* --- the actions (survey.c, surveyreport.c) --- */

struct survey_plan {
	const struct options *options;
	struct dumpdisk disk;
	u32 dumps;		 /* not cleared */
	enum status before_st;	 /* of the record found: OK, E_NO_DUMP, E_SURVEY, E_VERSION */
	struct dl_survey before; /* if OK */
	bool writes;		 /* false: there is nothing to disarm */
};

/* What --survey asks for. False: reported. */
bool survey_act(const struct options *o) MUST_CHECK;

/* "never armed", "damaged", or survey_state_name() of what was there. */
const char *survey_before_name(const struct survey_plan *p);

/* The report to stdout. False if stdout failed. */
bool survey_report(const struct survey_plan *p) MUST_CHECK;

#endif
