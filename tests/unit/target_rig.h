/*
 * Modelled NVMe disks with a dump partition each, for the search for the target.
 */
#ifndef AFTERIMAGE_TARGET_RIG_H
#define AFTERIMAGE_TARGET_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "capture.h"
#include "target.h"
#include "tests/host/ports_mem.h"
#include "tests/model/machine_model.h"
#include "tests/model/nvme_model.h"

#define DISKS  3
#define BLOCKS 40960u
#define FIRST  4096u
#define LAST   40000u
#define BDF(i) (0x20u + 8 * (i))

static struct machine mc;
static struct nvme_model m[DISKS];
static struct machine_disk disk[DISKS];
static struct target t;
static const u8 any[16];

/* @count disks, the i-th with uuid i+1 throughout. */
static inline void make(u32 count)
{
	machine_init(&mc);
	for (u32 i = 0; i < count; i++) {
		nvme_model_init(&m[i], BDF(i));
		disk[i] = (struct machine_disk) {
			.blocks = BLOCKS, .block_bytes = 512, .first = FIRST, .last = LAST};
		disk[i].bytes = calloc(BLOCKS, 512);
		memset(disk[i].uuid, (int)i + 1, 16);
		machine_disk_format(&disk[i]);
		nvme_model_add(&m[i], 1, disk[i].bytes, BLOCKS, 9);
		m[i].dma_first = MACHINE_ARENA_PA;
		m[i].dma_end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;
		m[i].write_first = FIRST;
		m[i].write_end = LAST + 1;
		m[i].us_per_read = 5000;
	}
}

static inline void unmake(u32 count)
{
	for (u32 i = 0; i < count; i++) {
		assert_int_equal(m[i].stray_dma, 0);
		assert_int_equal(m[i].stray_writes, 0);
		assert_int_equal(m[i].protocol_errors, 0);
		free(disk[i].bytes);
	}
	machine_free(&mc);
}

/* The search on the first try. */
static inline enum status find(const u8 *uuid, const u8 *boot_part)
{
	const struct target_ask ask = {.uuid = uuid, .boot_part = boot_part};

	return target_find(&ask, &mc.arena, &t);
}

static inline u8 *block(u32 i, u64 lba)
{
	return disk[i].bytes + lba * 512;
}

#endif
