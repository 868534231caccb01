/*
 * Facts of a log in words, for list, info and verify.
 */
#ifndef AFTERIMAGE_DESCRIBE_H
#define AFTERIMAGE_DESCRIBE_H

#include "source.h"

#define DESCRIBE_TIME 32

/* UTC in ISO 8601, or "unknown" for 0. Returns @buf. */
const char *describe_time(u64 time_s, char *buf, u32 size);

/* Says on stderr which superblock or directory slots are damaged; true if any. */
bool describe_damage(const struct source *s);

/* The classes in @mask, a bit each: "user, private cache". Returns @buf. */
#define DESCRIBE_CLASSES 320
const char *describe_classes(u32 mask, char buf[DESCRIBE_CLASSES]);

/* What bit @bit of dl_header.degraded means, or NULL. */
const char *describe_degraded(u32 bit);

/* How a dump knows what memory was lost: enum dl_survey_use. */
const char *describe_survey(u32 use);

/* The words of the numbers in a superblock. */
const char *describe_after(u32 after);
const char *describe_overwrite(u32 overwrite);

#endif
