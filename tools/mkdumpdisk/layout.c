/*
 * Arithmetic of a dump disk: positions, capacity, the order of a GUID's bytes. No I/O.
 */
#include <stdio.h>
#include <string.h>
#include "layout.h"
#include "surveylog.h"

#define GPT_ENTRIES_BYTES 16384u /* UEFI 2.10 s5.3.1: the least a table reserves */

/* The backup table: its entries and one block of header. */
static u64 gpt_tail_bytes(u32 block_bytes)
{
	return GPT_ENTRIES_BYTES + block_bytes;
}

/* What of a dump partition dumps can not fill: superblocks, directories, the survey. */
static u64 overhead_bytes(u32 block_bytes)
{
	return (2 + 2 * (u64)DL_DIR_SLOTS) * block_bytes + DL_SURVEY_AREA_BYTES;
}

static u64 least_dump_bytes(u32 block_bytes)
{
	return overhead_bytes(block_bytes) + DL_MIN_DATA_BYTES;
}

static u64 round_down_u64(u64 v, u64 to)
{
	return v / to * to;
}

static bool layout_partition(struct layout *l, u64 *need_bytes)
{
	*need_bytes = least_dump_bytes(l->block_bytes);
	if (l->target_bytes < *need_bytes)
		return false;
	l->part[PART_DUMP].bytes = round_down_u64(l->target_bytes, l->block_bytes);
	return true;
}

static bool layout_disk(struct layout *l, u64 *need_bytes)
{
	u64 start = MIB + BOOT_AREA_BYTES + ESP_BYTES;
	u64 tail = gpt_tail_bytes(l->block_bytes);
	u64 least = round_up_u64(least_dump_bytes(l->block_bytes), MIB);
	u64 whole = round_down_u64(l->target_bytes, l->block_bytes);

	*need_bytes = start + least + MIB;
	if (whole < start + least + tail)
		return false;
	l->part[PART_BOOT] = (struct extent) {MIB, BOOT_AREA_BYTES};
	l->part[PART_ESP] = (struct extent) {MIB + BOOT_AREA_BYTES, ESP_BYTES};
	l->part[PART_DUMP] = (struct extent) {start, round_down_u64(whole - tail - start, MIB)};
	return true;
}

bool layout_make(
	struct layout *l, bool whole_disk, u64 target_bytes, u32 block_bytes, u64 *need_bytes)
{
	*l = (struct layout) {
		.whole_disk = whole_disk,
		.block_bytes = block_bytes,
		.target_bytes = target_bytes,
	};
	return whole_disk ? layout_disk(l, need_bytes) : layout_partition(l, need_bytes);
}

u64 layout_capacity_bytes(const struct layout *l)
{
	return l->part[PART_DUMP].bytes - overhead_bytes(l->block_bytes);
}

void layout_super(const struct layout *l, struct dl_super *super)
{
	memcpy(super->magic, DL_SUPER_MAGIC, sizeof(super->magic));
	super->version = DL_VERSION;
	super->block_bytes = l->block_bytes;
	super->blocks = l->part[PART_DUMP].bytes / l->block_bytes;
	super->dir_slots = DL_DIR_SLOTS;
	super->survey_blocks = DL_SURVEY_AREA_BYTES / l->block_bytes;
}
