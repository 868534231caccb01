/*
 * The compressors of the image behind one call: liblzf and zlib's deflate, each
 * with its state in the arena.
 */
#ifndef AFTERIMAGE_COMPRESS_H
#define AFTERIMAGE_COMPRESS_H

#include "arena.h"
#include "status.h"

struct compressor {
	u32 method; /* enum dl_compressor */
	void *state;
};

/* Takes the state from @arena. E_NO_MEMORY, E_METHOD. */
enum status compress_init(struct compressor *c, u32 method, struct arena *arena) MUST_CHECK;

/* Packs @in into at most @room bytes; the packed size, or 0 if it does not fit. */
u32 compress_pack(struct compressor *c, const void *in, u32 bytes, void *out, u32 room);

#endif
