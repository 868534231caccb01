/*
 * The compressors of the image behind one call: liblzf and zlib's deflate, each
 * with its state in the arena.
 *
 * DL_COMP_LZF is liblzf's stream; DL_COMP_ZLIB is a zlib stream (RFC 1950), so that
 * plain uncompress() unpacks it.
 */
#ifndef AFTERIMAGE_COMPRESS_H
#define AFTERIMAGE_COMPRESS_H

#include "arena.h"
#include "status.h"

/* Hash table of liblzf: four bytes for each of its slots; the Makefile sets how many. */
#define COMPRESS_LZF_STATE_BYTES (4u << LZF_HLOG)

/*
 * zlib: a 13-bit window and memory level 6 take 70 KiB instead of 262; on groups of at
 * most 64 KiB level 1 loses about a percent by it (tests/bench/bench_compress.c).
 */
#define COMPRESS_ZLIB_LEVEL	  1
#define COMPRESS_ZLIB_WINDOW_BITS 13
#define COMPRESS_ZLIB_MEM_LEVEL	  6
#define COMPRESS_ZLIB_STATE_BYTES (76u * KIB)

/* The most any method takes from the arena. */
#define COMPRESS_MAX_STATE_BYTES COMPRESS_ZLIB_STATE_BYTES

struct compressor {
	u32 method; /* enum dl_compressor */
	void *state;
};

/*
 * Takes the state from @arena; DL_COMP_NONE takes none. E_NO_MEMORY, E_COMPRESS, E_METHOD
 * (zstd and anything unknown).
 */
enum status compress_init(struct compressor *c, u32 method, struct arena *arena) MUST_CHECK;

/*
 * Packs @in into at most @room bytes; the packed size, or 0 if it does not fit. Each call
 * makes a stream of its own. DL_COMP_NONE packs nothing: always 0.
 */
u32 compress_pack(struct compressor *c, const void *in, u32 bytes, void *out, u32 room);

#endif
