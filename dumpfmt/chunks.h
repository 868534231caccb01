/*
 * Between the writer's files: assembling one chunk in the ring and sending it.
 */
#ifndef AFTERIMAGE_CHUNKS_H
#define AFTERIMAGE_CHUNKS_H

#include "writer.h"

/* Part of a payload that is copied. */
struct piece {
	const void *data;
	u32 bytes;
};

/*
 * Sends a chunk without runs whose payload is both pieces in order, together at most
 * DL_MAX_CHUNK_BYTES less a page. Adds it to the index, which must have room.
 */
enum status chunk_put(struct writer *w, u32 kind, struct piece a, struct piece b) MUST_CHECK;

/* The START chunk: as chunk_put, but not indexed. */
enum status chunk_put_start(struct writer *w) MUST_CHECK;

/* Sends the index if it has no room for another chunk. Comes before every chunk. */
enum status chunk_index_room(struct writer *w) MUST_CHECK;

/* Sends the index if it lists anything. */
enum status chunk_index_flush(struct writer *w) MUST_CHECK;

/* Sends the runs collected so far, if any, as the kind that the pass has them in. */
enum status chunk_classes_flush(struct writer *w) MUST_CHECK;

/*
 * Reads the log, which has all been sent, back from its start into the ring. What counts as safe
 * ends before the first chunk that is not as it was sent or can not be read: then E_NOT_KEPT.
 */
enum status log_read_back(struct writer *w) MUST_CHECK;

/* Blocks that closing a dump may take: class runs, two indexes and END. */
u64 chunk_reserve_blocks(u32 block_bytes);

#endif
