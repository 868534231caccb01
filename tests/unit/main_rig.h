/*
 * A machine for the core as a whole: a made-up kernel in memory, a modelled NVMe disk,
 * the console. Shared by the tests of boot/main.c.
 */
#ifndef AFTERIMAGE_MAIN_RIG_H
#define AFTERIMAGE_MAIN_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"
#include "main.h"
#include "oldkernel.h"
#include "ports.h"
#include "writer.h"
#include "tests/host/fake_pagemap.h"
#include "tests/host/ports_mem.h"
#include "tests/model/machine_model.h"
#include "tests/model/nvme_model.h"

#define RAM_BYTES   (32u * MIB)
#define ARENA_PA    0x30000u
#define ARENA_BYTES (432u * KIB)
#define BLOCKS	    (96u * 2048u)
#define FIRST	    4096u
#define BDF	    0x20u

/* What the header says of a kernel without a page map. */
#define NO_MAP (DL_DEGRADED_LEVEL | DL_DEGRADED_PAGEMAP)

static u8 *ram, *ram_before;
static struct fake_kernel fk;
static struct fake_pagemap fp;
static struct nvme_model m;
static struct machine_disk disk;
static struct handoff handoff;

static inline void fill_ram(void)
{
	for (u32 page = 256; page < RAM_BYTES / PAGE_BYTES; page++) {
		if (page % 3)
			memset(ram + page * PAGE_BYTES, (int)page | 1, PAGE_BYTES);
	}
	fk = fake_kernel_default();
	fk.log = "<6>[    0.000000] Linux version " FAKE_RELEASE "\n<6>[    1.500000] hung\n";
	memset(ram + fk.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&fk);
}

static inline void make_disk(u64 last)
{
	disk = (struct machine_disk) {
		.bytes = malloc((u64)BLOCKS * 512),
		.blocks = BLOCKS,
		.block_bytes = 512,
		.first = FIRST,
		.last = last,
		.uuid = {1, 2, 3},
	};
	assert_non_null(disk.bytes);
	machine_disk_format(&disk);
	nvme_model_init(&m, BDF);
	nvme_model_add(&m, 1, disk.bytes, BLOCKS, 9);
	m.dma_first = ARENA_PA;
	m.dma_end = ARENA_PA + ARENA_BYTES;
	m.write_first = FIRST;
	m.write_end = last + 1;
}

static inline int setup(void **state)
{
	(void)state;
	host_reset_all();
	pci_model_reset();
	crc32c_init();
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	ram_before = malloc(RAM_BYTES);
	memset(ram, 0, RAM_BYTES);
	host_ram_set(ram, RAM_BYTES);
	fill_ram();
	make_disk(BLOCKS - 100);
	memset(&handoff, 0, sizeof(handoff));
	handoff.version = HANDOFF_VERSION;
	handoff.door = DOOR_BIOS;
	handoff.time_s = 1795248375;
	memcpy(handoff.target_uuid, disk.uuid, 16);
	memmap_add(&handoff.map, 0, 0x9f000, MEM_RAM);
	memmap_add(&handoff.map, MIB, RAM_BYTES - MIB, MEM_RAM);
	memmap_touch(&handoff.map, 0x1000, 0x9e000, TOUCHED_OURS);
	handoff.arena_pa = ARENA_PA;
	handoff.arena_bytes = ARENA_BYTES;
	return 0;
}

/* What the page map of setup_mapped tells apart, in pages. */
#define USER_PFN    0xa00u
#define CACHE_PFN   0xc00u
#define PRIVATE_PFN 0xe00u
#define OFFLINE_PFN 0xf00u
#define FREE_PFN    0x1000u

/* Two free blocks, one behind the other, that make up a list of their own: page.lru. */
static inline void free_pair(u64 pfn, u32 order)
{
	u64 pages = 1ull << order;

	for (u32 i = 0; i < 2; i++) {
		u64 other = fake_page_va(&fp, pfn + (1 - i) * pages) + 8;
		const u64 list[2] = {other, other};

		fake_free(&fp, pfn + i * pages, order);
		memcpy(fake_page(&fp, pfn + i * pages) + 8, list, sizeof(list));
	}
}

/*
 * The same machine with a kernel that has a page map of @kind. Page 0 is not sent: the model
 * of the disk takes its address for one that was forgotten.
 */
static inline void map_build(u32 kind)
{
	memmap_touch(&handoff.map, 0, PAGE_BYTES, TOUCHED_OURS);
	fake_pagemap_init(&fp, kind);
	fp.table_pa = 24 * MIB;
	fp.map_pa = 26 * MIB;
	fp.nodes = 1;
	fp.node[0].end_pfn = RAM_BYTES / PAGE_BYTES;
	memset(ram + fp.fk.image_pa, 0, FAKE_IMAGE_BYTES);
	memset(ram + fp.table_pa, 0, 4 * MIB);
	fake_pagemap_build(&fp, &handoff.map);
	fk = fp.fk;
	fake_anon(&fp, USER_PFN, 512);
	fake_cache(&fp, CACHE_PFN, 512, false);
	fake_cache(&fp, PRIVATE_PFN, 256, true);
	fake_offline(&fp, OFFLINE_PFN, 256);
	free_pair(FREE_PFN, 9);
}

static inline int setup_mapped(void **state)
{
	setup(state);
	map_build(PAGEMAP_VMEMMAP);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	free(ram);
	free(ram_before);
	free(disk.bytes);
	host_reset_all();
	return 0;
}

static inline u32 count_of(const char *word)
{
	u32 n = 0;

	for (const char *p = host_console(); (p = strstr(p, word)) != NULL; p++)
		n++;
	return n;
}

/* Runs the core; whatever happens, these hold. */
static inline void run(void)
{
	memcpy(ram_before, ram, RAM_BYTES);
	host_console_clear();
	dump_main(&handoff);
	assert_int_equal(count_of("afterimage: no dump: E") + count_of(" incomplete: E") +
				 count_of(" complete: "),
		1);
	/* cmocka's own comparison is slow. */
	assert_int_equal(memcmp(ram + MIB, ram_before + MIB, RAM_BYTES - MIB), 0);
	assert_int_equal(m.stray_writes, 0);
	assert_int_equal(m.stray_dma, 0);
	assert_int_equal(m.protocol_errors, 0);
	assert_true(host_reset_action() >= 0);
}

static inline void expect(const char *words)
{
	if (!strstr(host_console(), words))
		fail_msg("\"%s\" is not in:\n%s", words, host_console());
}

static inline struct dl_super super_read(void)
{
	struct dl_super s;

	memcpy(&s, disk.bytes + disk.first * 512, sizeof(s));
	return s;
}

static inline void super_write(struct dl_super *s)
{
	dl_super_seal(s);
	memcpy(disk.bytes + disk.first * 512, s, sizeof(*s));
	memcpy(disk.bytes + disk.last * 512, s, sizeof(*s));
}

static inline void super_edit(u32 after, u32 compressor)
{
	struct dl_super s = super_read();

	s.after = after;
	s.compressor = compressor;
	super_write(&s);
}

static inline void super_level(u32 level)
{
	struct dl_super s = super_read();

	s.level = level;
	super_write(&s);
}

static inline struct dl_header header(u32 slot)
{
	struct dl_super s;
	struct dl_header h;

	memcpy(&s, disk.bytes + disk.last * 512, sizeof(s));
	memcpy(&h, disk.bytes + (disk.first + dl_slot_block(slot)) * 512, sizeof(h));
	assert_int_equal(dl_header_check(&h, &s), OK);
	assert_memory_equal(
		&h, disk.bytes + (disk.first + dl_slot_block_back(&s, slot)) * 512, sizeof(h));
	return h;
}

static inline void expect_nothing_written(void)
{
	assert_int_equal(m.blocks_written, 0);
}

#endif
