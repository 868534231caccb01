/*
 * A small machine for driver tests: RAM, an arena in it, and dump disks made without
 * the code under test.
 */
#ifndef AFTERIMAGE_MACHINE_MODEL_H
#define AFTERIMAGE_MACHINE_MODEL_H

#include "arena.h"
#include "dumplog.h"

#define MACHINE_RAM_BYTES   (2u * MIB)
#define MACHINE_ARENA_PA    0x20000u
#define MACHINE_ARENA_BYTES (256u * KIB)
#define MACHINE_OLD_PA	    (1u * MIB) /* old memory: above this */

struct machine {
	u8 *ram;
	struct arena arena;
};

/* Fresh RAM full of a pattern, no PCI functions, clock at 0. */
void machine_init(struct machine *mc);
void machine_free(struct machine *mc);

/* A dump disk's shape, over zeroed bytes; machine_disk_format fills them. */
struct machine_disk {
	u8 *bytes;
	u64 blocks;
	u32 block_bytes;
	u64 first, last; /* of the dump partition */
	u8 uuid[16];
};

/* Protective MBR, both partition tables, both superblocks. */
void machine_disk_format(struct machine_disk *d);

/* Seals the table whose header is at @lba again after a test has edited it. */
void machine_gpt_seal(struct machine_disk *d, u64 lba);

#endif
