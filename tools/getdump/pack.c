/*
 * The compressors of the KDUMP format, one page at a time, fastest settings: the
 * file is a copy for readers, not for keeping.
 */
#include <stdlib.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>
#include "extract.h"

struct packer {
	enum pack_method method;
	ZSTD_CCtx *zstd;
	void *lzo;
};

#define ZSTD_LEVEL 1

struct packer *packer_open(enum pack_method method)
{
	struct packer *p = calloc(1, sizeof(*p));
	bool good = true;

	if (!p)
		return NULL;
	p->method = method;
	if (method == PACK_ZSTD) {
		p->zstd = ZSTD_createCCtx();
		good = p->zstd != NULL;
	}
	if (method == PACK_LZO) {
		p->lzo = malloc(LZO1X_1_MEM_COMPRESS);
		good = p->lzo && lzo_init() == LZO_E_OK;
	}
	if (good)
		return p;
	packer_close(p);
	return NULL;
}

void packer_close(struct packer *p)
{
	ZSTD_freeCCtx(p->zstd);
	free(p->lzo);
	free(p);
}

static u64 pack_zlib(const u8 *page, u8 *out)
{
	uLongf bytes = PACK_ROOM;

	return compress2(out, &bytes, page, PAGE_BYTES, Z_BEST_SPEED) == Z_OK ? bytes : 0;
}

static u64 pack_lzo(struct packer *p, const u8 *page, u8 *out)
{
	lzo_uint bytes = PACK_ROOM;

	return lzo1x_1_compress(page, PAGE_BYTES, out, &bytes, p->lzo) == LZO_E_OK ? bytes : 0;
}

static u64 pack_zstd(struct packer *p, const u8 *page, u8 *out)
{
	size_t bytes = ZSTD_compressCCtx(p->zstd, out, PACK_ROOM, page, PAGE_BYTES, ZSTD_LEVEL);

	return ZSTD_isError(bytes) ? 0 : bytes;
}

u32 packer_pack(struct packer *p, const u8 *page, u8 *out)
{
	u64 bytes = 0;

	if (p->method == PACK_ZLIB)
		bytes = pack_zlib(page, out);
	if (p->method == PACK_LZO)
		bytes = pack_lzo(p, page, out);
	if (p->method == PACK_ZSTD)
		bytes = pack_zstd(p, page, out);
	return bytes < PAGE_BYTES ? (u32)bytes : 0;
}
