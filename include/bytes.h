/*
 * Little-endian numbers at any address, and whether there is anything at all.
 */
#ifndef AFTERIMAGE_BYTES_H
#define AFTERIMAGE_BYTES_H

#include "types.h"

static inline u16 get_u16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static inline u32 get_u32(const u8 *p)
{
	return (u32)get_u16(p) | (u32)get_u16(p + 2) << 16;
}

static inline u64 get_u64(const u8 *p)
{
	return (u64)get_u32(p) | (u64)get_u32(p + 4) << 32;
}

static inline bool bytes_are_zero(const u8 *p, u32 bytes)
{
	u8 any = 0;

	for (u32 i = 0; i < bytes; i++)
		any |= p[i];
	return any == 0;
}

#endif
