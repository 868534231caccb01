/*
 * Where an extracted dump goes: a file written anywhere in it, or a stream of
 * flattened records ("makedumpfile -F") for pipes. Holes stay holes.
 */
#ifndef AFTERIMAGE_SINK_H
#define AFTERIMAGE_SINK_H

#include "status.h"
#include "types.h"

struct sink {
	const char *path; /* as the user knows it */
	char *part;	  /* the name while it is being written; NULL for a stream */
	int fd;
	bool flat;
	bool replace;
	int err; /* errno of the first failure */
	u64 written;
};

/*
 * Creates a file beside @path that takes its name on sink_commit. A TOOL_* code, printed:
 * refuses what exists unless @replace, and always what is not a regular file.
 */
int sink_open_file(struct sink *s, const char *path, bool replace) MUST_CHECK;

/* Standard output; flat only. Refuses a terminal. */
int sink_open_stdout(struct sink *s) MUST_CHECK;

/* From now on flattened records are written. E_WRITE. */
enum status sink_flatten(struct sink *s) MUST_CHECK;

/* Writes @bytes at @offset of the dump file. After a failure does nothing more. E_WRITE. */
enum status sink_write(struct sink *s, u64 offset, const void *buf, u64 bytes) MUST_CHECK;

/* Makes the file (or what the records will become) @bytes long. E_WRITE. */
enum status sink_extend(struct sink *s, u64 bytes) MUST_CHECK;

/* Ends the stream, makes the file durable, closes it, gives it its name. TOOL_*, printed. */
int sink_commit(struct sink *s) MUST_CHECK;

/* Closes and removes what was written. Prints why if a write failed. */
void sink_abort(struct sink *s);

#endif
