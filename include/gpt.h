/*
 * GUID partition table (UEFI 2.10 s5.3), read only: finds a partition by its type or by its own GUID.
 * Bytes in, facts out; used by the image and by the tools.
 */
#ifndef AFTERIMAGE_GPT_H
#define AFTERIMAGE_GPT_H

#include "status.h"
#include "types.h"

/* Type GUID of a dump partition, as stored on disk: 3f5d8c62-6b0e-4e2c-9a41-af7e1d0b5c90. */
extern const u8 gpt_dump_type[16];

struct gpt_partition {
	u64 first_lba;
	u64 last_lba; /* inclusive */
	u8 uuid[16];
};

/*
 * Reads @blocks device blocks at @lba to @buf; the caller's transport. Returns a status.
 */
typedef enum status (*gpt_read_fn)(void *ctx, u64 lba, u32 blocks, void *buf);

/*
 * The @index-th (from 0) partition with @type on a device of @device_blocks blocks of
 * @block_bytes. Uses the primary table or, if that is damaged, the backup in the last block.
 * @buf is scratch of 2 blocks. Header and entry array checksums must match; every partition
 * returned lies inside the device, except that with @device_blocks == 0 (size unknown or image
 * cut short) only the primary is read and bounds are the header's own.
 * OK, E_NO_PARTITION (no such index), E_GPT (no valid table), E_GEOMETRY (the entry reaches
 * outside the table's usable blocks or the device; later indices may be good), or the
 * transport's error.
 */
enum status gpt_find(gpt_read_fn read, void *ctx, u64 device_blocks, u32 block_bytes,
	const u8 type[16], u32 index, void *buf, struct gpt_partition *out) MUST_CHECK;

/*
 * The same for the one partition, of any type, whose unique GUID is @uuid: E_NO_PARTITION if
 * there is none.
 */
enum status gpt_find_uuid(gpt_read_fn read, void *ctx, u64 device_blocks, u32 block_bytes,
	const u8 uuid[16], void *buf, struct gpt_partition *out) MUST_CHECK;

/*
 * True if the device's first 512 bytes hold the protective MBR that a GPT needs (s5.2.3).
 * Without it a table still on the disk is left over from an earlier use.
 */
bool gpt_protected(const void *block0);

#endif
