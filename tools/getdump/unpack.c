/*
 * The decompressors for the log's payloads.
 */
#include <liblzf/lzf.h>
#include <zlib.h>
#include <zstd.h>
#include "source.h"

static bool unpack_zlib(const struct dl_chunk *c, const void *stored, void *raw)
{
	uLongf got = c->raw_bytes;

	return uncompress(raw, &got, stored, c->stored_bytes) == Z_OK && got == c->raw_bytes;
}

static bool unpack_zstd(const struct dl_chunk *c, const void *stored, void *raw)
{
	return ZSTD_decompress(raw, c->raw_bytes, stored, c->stored_bytes) == c->raw_bytes;
}

static bool unpack_lzf(const struct dl_chunk *c, const void *stored, void *raw)
{
	return lzf_decompress(stored, c->stored_bytes, raw, c->raw_bytes) == c->raw_bytes;
}

enum status source_unpack(void *ctx, const struct dl_chunk *c, const void *stored, void *raw)
{
	bool good;

	(void)ctx;
	switch (c->compressor) {
	case DL_COMP_LZF:
		good = unpack_lzf(c, stored, raw);
		break;
	case DL_COMP_ZLIB:
		good = unpack_zlib(c, stored, raw);
		break;
	case DL_COMP_ZSTD:
		good = unpack_zstd(c, stored, raw);
		break;
	default:
		return E_METHOD;
	}
	return good ? OK : E_DECOMPRESS;
}
