/*
 * The input is a survey's record: a byte of options, the header, the ranges. What is read from
 * the disk must be safe to compare with and to mark in a memory map, which loses no memory by it.
 */
#include <stdlib.h>
#include <string.h>
#include "surveyio.h"
#include "surveymem.h"
#include "tests/host/ports_mem.h"
#include "tests/model/memdisk.h"

#define RAM_BYTES   (4u * MIB)
#define ARENA_PA    0x40000u
#define ARENA_BYTES (64u * KIB)
#define SLOTS	    4u
#define BLOCKS	    (16u * 2048u + 2 + 2 * SLOTS + DL_SURVEY_AREA_BYTES / 512)

/* Bits of the first byte. */
#define SEALED	  1u /* with good checksums, name and version */
#define ASCENDING 2u /* each range behind the one before */
#define CUT	  4u /* the memory map is nearly full */
#define COMPARED  8u /* with memory that lost all of it */

static u8 *ram;
static struct memdisk disk;
static struct gate gate;
static struct dl_super super;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct extent all = {0, BLOCKS};

	(void)argc;
	(void)argv;
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	if (!ram)
		abort();
	memset(ram, 0, RAM_BYTES);
	host_reset_all();
	host_ram_set(ram, RAM_BYTES);
	memdisk_open(&disk, BLOCKS, 512, 8192);
	memcpy(super.magic, DL_SUPER_MAGIC, sizeof(super.magic));
	super.version = DL_VERSION;
	super.block_bytes = 512;
	super.blocks = BLOCKS;
	super.dir_slots = SLOTS;
	super.survey_blocks = DL_SURVEY_AREA_BYTES / 512;
	if (gate_open(&gate, &disk.blk, &all, 1) != OK)
		abort();
	return 0;
}

/* Where a range is to begin, as the input says it, but not before @from. */
static u64 ascend(struct dl_survey_range *r, u64 from)
{
	r->pa = from + (r->pa & 0x1ff000);
	r->bytes = max_u64(r->bytes & 0x3ff000, PAGE_BYTES);
	return r->pa + r->bytes;
}

static void put_record(const u8 *data, size_t bytes)
{
	u8 *at = disk.data + dl_survey_block(&super) * 512;
	struct dl_survey *v = (struct dl_survey *)(void *)at;
	struct dl_survey_range *range =
		(struct dl_survey_range *)(void *)(at + DL_SURVEY_RANGES_AT);
	u64 header = min_u64(bytes - 1, sizeof(*v));
	u64 end = 0;

	memset(at, 0, DL_SURVEY_AREA_BYTES);
	memcpy(at, data + 1, header);
	memcpy(range, data + 1 + header,
		min_u64(bytes - 1 - header, DL_SURVEY_RANGES * sizeof(*range)));
	for (u32 i = 0; i < DL_SURVEY_RANGES && data[0] & ASCENDING; i++)
		end = ascend(&range[i], end);
	if (!(data[0] & SEALED))
		return;
	memcpy(v->magic, DL_SURVEY_MAGIC, sizeof(v->magic));
	memcpy(v->disk_uuid, super.disk_uuid, sizeof(v->disk_uuid));
	v->version = DL_VERSION;
	v->range_count %= DL_SURVEY_RANGES + 1;
	dl_survey_seal(v, range);
}

static void make_map(struct memmap *map, bool cut)
{
	memset(map, 0, sizeof(*map));
	memmap_add(map, 0, RAM_BYTES, MEM_RAM);
	memmap_add(map, 0xa0000, 0x60000, MEM_RESERVED);
	memmap_touch(map, ARENA_PA, ARENA_BYTES, TOUCHED_OURS);
	for (u64 i = 0; i < 250 && cut; i++)
		memmap_touch(map, MIB + i * 2 * PAGE_BYTES, PAGE_BYTES, TOUCHED_FIRMWARE);
}

static void check_list(const struct lostmap *lost)
{
	u64 end = 0;

	if (lost->count > lost->max)
		abort();
	for (u32 i = 0; i < lost->count; i++) {
		const struct dl_survey_range *r = &lost->range[i];

		if (r->pa < end || r->bytes == 0 || (r->pa | r->bytes) & (PAGE_BYTES - 1))
			abort();
		end = r->pa + r->bytes;
	}
}

static void use_record(struct surveylog *log, u8 options)
{
	struct lostmap lost = {log->range, log->record->range_count, DL_SURVEY_RANGES, 0};
	static struct memmap map;
	struct physmem pm;
	u64 pages;

	make_map(&map, options & CUT);
	physmem_init(&pm, &map);
	check_list(&lost);
	if (options & COMPARED &&
		surveymem_compare(&pm, log->record->seed, &lost, NULL) != surveymem_pages(&map))
		abort();
	check_list(&lost);
	log->record->range_count = lost.count;
	dl_survey_seal(log->record, log->range);
	if (dl_survey_ranges_check(log->record, log->range) != OK)
		abort();
	pages = memmap_ram_pages(&map);
	if (!surveymem_apply(&map, &lost) && map.count < MEMMAP_MAX - 1)
		abort();
	if (memmap_ram_pages(&map) != pages || map.dropped || map.count > MEMMAP_MAX)
		abort();
	if (memmap_find(&map, ARENA_PA)->touched != TOUCHED_OURS)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct arena arena = {.va = ram + ARENA_PA, .pa = ARENA_PA, .bytes = ARENA_BYTES};
	struct surveylog log;

	if (bytes < 2)
		return 0;
	put_record(data, bytes);
	if (surveylog_read(&log, &gate, &super, &arena) == OK)
		use_record(&log, data[0]);
	return 0;
}
