/*
 * A dump disk, its dump partition, or an image of either, opened as a log.
 */
#ifndef AFTERIMAGE_SOURCE_H
#define AFTERIMAGE_SOURCE_H

#include "reader.h"

struct source {
	const char *path;
	int fd;
	u64 bytes;	     /* of the whole source */
	u64 start;	     /* of the dump partition in it */
	u64 partition_bytes; /* of it, as far as they are there */
	struct reader reader;
};

/*
 * Opens @path and the log in it; a TOOL_* code, the message printed. On failure nothing is
 * held. @path must outlive the source.
 */
int source_open(struct source *s, const char *path, bool writable) MUST_CHECK;

void source_close(struct source *s);

/* Writes inside the partition, and nowhere else; E_GATE, E_WRITE. */
enum status source_write(struct source *s, u64 offset, const void *buf, u64 bytes) MUST_CHECK;

/* Makes what was written durable. */
enum status source_flush(struct source *s) MUST_CHECK;

/* The reader's unpack for a chunk's compressor; @ctx is not used. */
enum status source_unpack(
	void *ctx, const struct dl_chunk *c, const void *stored, void *raw) MUST_CHECK;

/* Opens @path as given and picks dump @number (0: the newest); a TOOL_* code, printed. */
int source_open_dump(
	struct source *s, const char *path, u32 number, const struct reader_dump **dump) MUST_CHECK;

/* realloc for the reader. */
void *source_resize(void *ctx, void *old, u64 bytes);

#endif
