/*
 * Where everything lies on a dump disk. Arithmetic only.
 *
 *	0	 protective MBR with the boot code, GPT
 *	1 MiB	 boot area: the image
 *	2 MiB	 EFI system partition
 *	66 MiB	 dump partition, to the last whole MiB before the backup GPT
 */
#ifndef MKDUMPDISK_LAYOUT_H
#define MKDUMPDISK_LAYOUT_H

#include "dumplog.h"
#include "types.h"

/* Type GUID of a dump partition as people and libraries write it; see gpt.h. */
#define DUMP_TYPE_TEXT "3f5d8c62-6b0e-4e2c-9a41-af7e1d0b5c90"

#define BOOT_AREA_BYTES (1u * MIB)
#define ESP_BYTES	(64u * MIB)

enum layout_part {
	PART_BOOT,
	PART_ESP,
	PART_DUMP,
	PARTS,
};

/* Bytes from the start of the target. */
struct extent {
	u64 start;
	u64 bytes;
};

struct layout {
	bool whole_disk; /* false: only PART_DUMP, from byte 0 */
	u32 block_bytes;
	u64 target_bytes;
	struct extent part[PARTS];
};

/*
 * Lays out a target of @target_bytes with blocks of @block_bytes. False if it is too small:
 * then *@need_bytes is the least size that will do.
 */
bool layout_make(struct layout *l, bool whole_disk, u64 target_bytes, u32 block_bytes,
	u64 *need_bytes) MUST_CHECK;

/* Bytes that dumps can fill. */
u64 layout_capacity_bytes(const struct layout *l);

/* Fills magic and geometry of @super for @l; the rest, and sealing it, are the caller's. */
void layout_super(const struct layout *l, struct dl_super *super);

#endif
