/*
 * The commands of getdump.
 */
#ifndef AFTERIMAGE_GETDUMP_H
#define AFTERIMAGE_GETDUMP_H

#include "types.h"

struct options {
	const char *source;
	u32 number; /* 0: the newest */
	bool all;
	bool json;
	bool force;
	bool level_given;
	u32 level;	/* 0-31 */
	char **address; /* what follows the source */
	u32 addresses;
	const char *format; /* NULL: not given, as below */
	const char *method;
	const char *output;
};

/* Each returns a TOOL_* code. */
int cmd_list(const struct options *o);
int cmd_info(const struct options *o);
int cmd_verify(const struct options *o);
int cmd_dmesg(const struct options *o);
int cmd_clear(const struct options *o);
int cmd_extract(const struct options *o);
int cmd_why(const struct options *o);
int cmd_survey(const struct options *o);

#endif
