/*
 * CRC32C (Castagnoli, reflected polynomial 0x82f63b78), the checksum of everything
 * that afterimage writes.
 */
#ifndef AFTERIMAGE_CRC32C_H
#define AFTERIMAGE_CRC32C_H

#include "types.h"

/* Fills the lookup tables; call once before crc32c. */
void crc32c_init(void);

/*
 * Checksum of @bytes at @data continued from @crc, which is 0 for the first piece:
 * crc32c(crc32c(0, a), b) is the checksum of a followed by b.
 */
u32 crc32c(u32 crc, const void *data, u64 bytes);

#endif
