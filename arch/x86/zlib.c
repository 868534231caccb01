/*
 * What zlib's deflate refers to and never calls here: it writes zlib streams, and only those
 * of gzip have a CRC. Keeps zlib's own, with its tables of 10 KiB, out of the image.
 */
#include <zlib.h>
#include "crc32.h"

uLong crc32(uLong crc, const Bytef *buf, uInt len)
{
	return buf ? crc32_ieee((u32)crc, buf, len) : 0;
}
