/*
 * CRC32C by eight tables of 256 entries ("slicing by eight"), made at start so that
 * they cost no room in the image file.
 */
#include <string.h>
#include "crc32c.h"

#define CRC32C_POLY 0x82f63b78u

static u32 table[8][256];

void crc32c_init(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ CRC32C_POLY : crc >> 1;
		table[0][i] = crc;
	}
	for (u32 i = 0; i < 256; i++) {
		for (u32 t = 1; t < 8; t++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
	}
}

static u32 crc_u64(u32 crc, u64 v)
{
	v ^= crc;
	return table[7][v & 0xff] ^ table[6][v >> 8 & 0xff] ^ table[5][v >> 16 & 0xff] ^
	       table[4][v >> 24 & 0xff] ^ table[3][v >> 32 & 0xff] ^ table[2][v >> 40 & 0xff] ^
	       table[1][v >> 48 & 0xff] ^ table[0][v >> 56];
}

u32 crc32c(u32 crc, const void *data, u64 bytes)
{
	const u8 *p = data;

	crc = ~crc;
	for (; bytes >= 8; bytes -= 8, p += 8) {
		u64 v;

		memcpy(&v, p, 8);
		crc = crc_u64(crc, v);
	}
	for (; bytes > 0; bytes--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return ~crc;
}
