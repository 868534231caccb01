/*
 * What getdump and mkdumpdisk share on the command line: exit codes, messages of
 * the form `TOOL: TARGET: what is wrong; what to do`, sizes, texts from disk made
 * fit for a terminal.
 */
#ifndef AFTERIMAGE_TOOL_H
#define AFTERIMAGE_TOOL_H

#include "status.h"
#include "types.h"

enum tool_exit {
	TOOL_DONE = 0,
	TOOL_FAILED = 1,
	TOOL_USAGE = 2,
	TOOL_INCOMPLETE = 3, /* done, but the dump is incomplete */
};

/*
 * The name every message begins with; a string that lives as long as the program. A file size
 * limit shows as a failed write from now on, so that it is reported and cleaned up after.
 */
void tool_init(const char *name);

/*
 * One line on stderr: `TOOL: TARGET: what; todo`. A NULL target or todo is left out.
 * Ends a progress line first. Returns TOOL_FAILED, for `return tool_error(...)`.
 */
int tool_error(const char *target, const char *todo, const char *what, ...) PRINTF_LIKE(3, 4);

/* The same in the words of a status, with its number: `... (E32); ...`. */
int tool_error_status(const char *target, enum status st);

/* The same for a failed system call: `TARGET: cannot VERB: strerror; todo`. */
int tool_error_errno(const char *target, const char *verb, int err, const char *todo);

/* A usage error: the message and where to find help. Returns TOOL_USAGE. */
int tool_error_usage(const char *what, ...) PRINTF_LIKE(1, 2);

/*
 * Bytes of a text like 4G: digits and one of K M G T (powers of 1024, either case, an
 * optional iB or B after it) or nothing. False if malformed or beyond 2^63 - 1.
 */
bool tool_parse_size(const char *text, u64 *bytes);

/* A plain decimal number of at most @max; false otherwise. */
bool tool_parse_number(const char *text, u64 max, u64 *value);

/* @bytes as people read it ("1.5 GiB") in @buf of @size; returns @buf. */
const char *tool_size_text(u64 bytes, char *buf, u32 size);

/*
 * Copies the field @src of at most @max bytes to @dst of @size > 0, terminated, with
 * everything but printable ASCII and well-formed UTF-8 replaced by '?'. Returns @dst.
 */
const char *tool_printable(char *dst, u32 size, const char *src, u32 max);

#endif
