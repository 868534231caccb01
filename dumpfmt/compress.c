/*
 * liblzf and zlib's deflate with their state in the arena. Knows nothing of chunks.
 */
#include <string.h>
#include <zlib.h>
#include "compress.h"
#include "dumplog.h"

/*
 * liblzf's own header declares the function without the state argument. The table needs no
 * clearing between calls: every slot is checked against the input before it is believed.
 */
unsigned int lzf_compress(const void *in, unsigned int in_bytes, void *out, unsigned int out_bytes,
	unsigned int *table);

struct zlib_state {
	z_stream stream;
	struct arena *arena;
};

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
	struct zlib_state *z = opaque;

	return arena_alloc(z->arena, (u64)items * size, 16);
}

/* The state lives as long as the image; called only if deflateInit fails half-way. */
static void zlib_free(voidpf opaque, voidpf address)
{
	(void)opaque;
	(void)address;
}

static enum status zlib_init(struct compressor *c, struct arena *arena)
{
	struct zlib_state *z = arena_alloc(arena, sizeof(*z), 16);
	int err;

	if (!z)
		return E_NO_MEMORY;
	z->arena = arena;
	z->stream.zalloc = zlib_alloc;
	z->stream.zfree = zlib_free;
	z->stream.opaque = z;
	err = deflateInit2(&z->stream, COMPRESS_ZLIB_LEVEL, Z_DEFLATED, COMPRESS_ZLIB_WINDOW_BITS,
		COMPRESS_ZLIB_MEM_LEVEL, Z_DEFAULT_STRATEGY);
	if (err == Z_MEM_ERROR)
		return E_NO_MEMORY;
	if (err != Z_OK)
		return E_COMPRESS;
	c->state = z;
	return OK;
}

static u32 zlib_pack(struct zlib_state *z, const void *in, u32 bytes, void *out, u32 room)
{
	if (deflateReset(&z->stream) != Z_OK)
		return 0;
	/* zlib's interface is not const, but it does not write to its input. */
	z->stream.next_in = (z_const Bytef *)(uintptr_t)in;
	z->stream.avail_in = bytes;
	z->stream.next_out = out;
	z->stream.avail_out = room;
	if (deflate(&z->stream, Z_FINISH) != Z_STREAM_END)
		return 0;
	return room - z->stream.avail_out;
}

enum status compress_init(struct compressor *c, u32 method, struct arena *arena)
{
	memset(c, 0, sizeof(*c));
	c->method = method;
	switch (method) {
	case DL_COMP_NONE:
		return OK;
	case DL_COMP_LZF:
		c->state = arena_alloc(arena, COMPRESS_LZF_STATE_BYTES, 64);
		return c->state ? OK : E_NO_MEMORY;
	case DL_COMP_ZLIB:
		return zlib_init(c, arena);
	default:
		return E_METHOD;
	}
}

u32 compress_pack(struct compressor *c, const void *in, u32 bytes, void *out, u32 room)
{
	/* liblzf reads two bytes before it looks at the length. */
	if (bytes < 4 || room < 4)
		return 0;
	switch (c->method) {
	case DL_COMP_LZF:
		return lzf_compress(in, bytes, out, room, c->state);
	case DL_COMP_ZLIB:
		return zlib_pack(c->state, in, bytes, out, room);
	default:
		return 0;
	}
}
