/*
 * CRC32 (IEEE 802.3, reflected polynomial 0xedb88320), the checksum of partition tables.
 */
#ifndef AFTERIMAGE_CRC32_H
#define AFTERIMAGE_CRC32_H

#include "types.h"

/* Checksum of @bytes at @data continued from @crc, which is 0 for the first piece. */
u32 crc32_ieee(u32 crc, const void *data, u64 bytes);

#endif
