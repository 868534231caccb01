/*
 * A whole capture in the test's memory: RAM with a bit of everything in it, a memory
 * map, a dump partition in the middle of a modelled disk, and an independent check of
 * what a dump left there.
 */
#ifndef AFTERIMAGE_DUMPRIG_H
#define AFTERIMAGE_DUMPRIG_H

#include "capture.h"
#include "tests/model/memdisk.h"

#define RIG_ARENA_PA	0x10000u
#define RIG_ARENA_BYTES (360u * KIB)
#define RIG_PART_LBA	37u
#define RIG_MAX_PAGES	4096u

struct rig_options {
	u32 block_bytes;
	u32 max_bytes;
	u32 compressor;
	u32 dir_slots;
	u32 overwrite;
	u32 raw_below;
	u32 level;
	u32 survey;	 /* enum dl_survey_use */
	u64 ram_bytes;	 /* at least 2 MiB */
	u64 data_bytes;	 /* of the data area; at least DL_MIN_DATA_BYTES */
	u64 room_blocks; /* for one dump, as if the disk had no more; 0: what it has */
};

struct rig {
	struct rig_options opt;
	struct memdisk disk;
	struct dl_super super;
	struct gate gate;
	struct memmap map;
	u8 *ram;
	u8 *old;		/* RAM as it was before the capture */
	u8 plan[RIG_MAX_PAGES]; /* class by the old kernel's page map; 0: kept */
	struct pagescan *scan;	/* NULL: the plan does not count */
	struct physmem pm;
	struct arena arena;
	struct writer writer;
	struct compressor comp;
	struct capture capture;
	void (*progress)(void *ctx, const struct capture_progress *p); /* ctx: the rig */
};

/* 512-byte blocks, 128 KiB transfers, lzf, 4 slots, level 1, 2 MiB of RAM, 16 MiB of data. */
struct rig_options rig_defaults(void);

void rig_open(struct rig *rig, const struct rig_options *opt);
void rig_close(struct rig *rig);

/* From now on any look at the page ends the test. */
void rig_forbid(struct rig *rig, u64 pfn);

/* A fresh arena, and the gate open for writes. Asserts. */
void rig_boot(struct rig *rig);

/* rig_boot, start, two notes, capture, finish; what the console would report. */
enum status rig_dump(struct rig *rig);

/* rig_open and one complete dump; the disk's counters start anew. Asserts. */
void rig_open_with_dump(struct rig *rig, const struct rig_options *opt);

/* Slot by both copies as on disk; false if neither is a valid header. */
bool rig_header(const struct rig *rig, u32 slot, struct dl_header *h);

/* The slot of dump @number, or -1. */
int rig_slot_of(const struct rig *rig, u32 number);

/* Sets the cleared flag of a dump on both copies, as getdump does. */
void rig_clear(struct rig *rig, u32 slot);

struct rig_report {
	u64 chunks;
	u64 blocks;
	u64 pages; /* with contents, all compared with old memory */
	u64 raw;
	u64 packed;
	u64 notes;
	u64 indexes;
	u64 founds;
	bool end; /* an END chunk closes the log */
	struct dl_end tail;
	u8 have[RIG_MAX_PAGES];
	u8 class[RIG_MAX_PAGES]; /* 0xff: no run told */
	u8 found[RIG_MAX_PAGES]; /* by a later pass; 0: nothing */
	u32 passes;		 /* bits of the passes with pages in the log, in their order */
	u64 pass_blocks[1 + DL_LATER_PASSES]; /* of chunks of pages */
};

/*
 * Follows the chunks of the dump in @slot, checks every checksum, unpacks every page and
 * compares it with old memory, and checks the index if the log has its end, and that classes
 * come in their order. Asserts on anything wrong inside what the header says is there.
 */
void rig_check(const struct rig *rig, u32 slot, struct rig_report *r);

/*
 * Asserts that the dump is complete and holds all of RAM: a class for every page, contents
 * as the level and dropped classes let expect.
 */
void rig_check_all(const struct rig *rig, u32 slot);

/* The same of a closed dump that is incomplete, but for the classes it says are not whole. */
void rig_check_rest(const struct rig *rig, u32 slot);

/* What a closed dump looks like, to be compared bit for bit later. */
struct rig_keepsake {
	struct dl_header h;
	u32 crc;
};
struct rig_keepsake rig_keepsake(const struct rig *rig, u32 number);
void rig_assert_untouched(const struct rig *rig, const struct rig_keepsake *before);

/* A copy of the whole disk; free() it. */
u8 *rig_disk_copy(const struct rig *rig);
size_t rig_disk_bytes(const struct rig *rig);

#endif
