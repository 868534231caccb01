/*
 * A directory on a disk in memory and what puts headers into it. Shared by the tests of
 * dumpfmt/directory.c.
 */
#ifndef AFTERIMAGE_DIRECTORY_RIG_H
#define AFTERIMAGE_DIRECTORY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "directory.h"
#include "tests/model/dumprig.h"

static struct rig rig;
static struct directory dir;
static struct dir_entry entries[DIRECTORY_MAX_SLOTS];

#define FIRST dl_data_start(&rig.super)
#define END   dl_data_end(&rig.super)

static inline int setup_with(u32 block_bytes, u32 slots)
{
	struct rig_options opt = rig_defaults();

	opt.block_bytes = block_bytes;
	opt.dir_slots = slots;
	rig_open(&rig, &opt);
	rig_boot(&rig);
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	return setup_with(512, 8);
}

static inline int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static inline enum status load(void)
{
	struct dir_memory mem = {.entry = entries};

	rig.arena.used = 0;
	mem.buf = arena_alloc(&rig.arena, DIRECTORY_BUF_BYTES, PAGE_BYTES);
	mem.buf_pa = arena_pa(&rig.arena, mem.buf);
	memset(entries, 0xee, sizeof(entries));
	return directory_load(&dir, &rig.gate, &rig.super, &mem);
}

static inline u8 *block(u64 n)
{
	return rig.disk.data + (RIG_PART_LBA + n) * rig.opt.block_bytes;
}

static inline struct dl_header header(u32 number, u64 start, u64 used)
{
	struct dl_header h;

	memset(&h, 0, sizeof(h));
	memcpy(h.magic, DL_HEADER_MAGIC, sizeof(h.magic));
	memcpy(h.disk_uuid, rig.super.disk_uuid, sizeof(h.disk_uuid));
	memset(h.dump_uuid, (int)number, sizeof(h.dump_uuid));
	h.version = DL_VERSION;
	h.generation = 2;
	h.number = number;
	h.state = DL_STATE_COMPLETE;
	h.start = start;
	h.limit = used + 100;
	h.used = used;
	return h;
}

static inline void put_front(u32 slot, struct dl_header h)
{
	dl_header_seal(&h);
	memcpy(block(dl_slot_block(slot)), &h, sizeof(h));
}

static inline void put_back(u32 slot, struct dl_header h)
{
	dl_header_seal(&h);
	memcpy(block(dl_slot_block_back(&rig.super, slot)), &h, sizeof(h));
}

static inline void put(u32 slot, struct dl_header h)
{
	put_front(slot, h);
	put_back(slot, h);
}

static inline void damage(u64 n)
{
	block(n)[200] ^= 1;
}

#endif
