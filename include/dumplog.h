/*
 * The dump log on disk, shared by the image and the tools; docs/dump-log.md has the
 * byte tables. Little-endian. All positions are in the partition's blocks (512 or
 * 4096 bytes, as the superblock says), counted from its first.
 *
 *	block 0			superblock
 *	1 .. S			directory: slot i of dump headers, S = dir_slots
 *	S+1 ..			data: each dump one contiguous run of chunks
 *	B-1-S-V .. B-2-S	survey of this machine, V = survey_blocks; see surveylog.h
 *	B-1-S .. B-2		second copy of the directory
 *	B-1			second superblock
 */
#ifndef AFTERIMAGE_DUMPLOG_H
#define AFTERIMAGE_DUMPLOG_H

#include "status.h"
#include "types.h"

#define DL_SUPER_MAGIC	"AFTRSUP1"
#define DL_HEADER_MAGIC "AFTRDMP1"
#define DL_CHUNK_MAGIC	0x4b434941u /* "AICK" */
#define DL_VERSION	1

#define DL_DIR_SLOTS	   64 /* what mkdumpdisk makes; readers take dir_slots */
#define DL_MIN_DATA_BYTES  (16u * MIB)
#define DL_GROUP_PAGES	   16 /* most pages in one chunk */
#define DL_MAX_CHUNK_BYTES (DL_GROUP_PAGES * PAGE_BYTES + PAGE_BYTES)

enum dl_compressor {
	DL_COMP_NONE = 0,
	DL_COMP_LZF = 1,  /* liblzf's stream */
	DL_COMP_ZLIB = 2, /* RFC 1950 */
	DL_COMP_ZSTD = 3, /* not written yet */
};

enum dl_overwrite {
	DL_OVERWRITE_NEVER = 0,
	DL_OVERWRITE_OLDEST = 1,
};

/* Bits of the dump level, makedumpfile's: what is left out. */
#define DL_LEVEL_ZERO	       1u
#define DL_LEVEL_CACHE	       2u
#define DL_LEVEL_PRIVATE_CACHE 4u /* and all other cache */
#define DL_LEVEL_USER	       8u
#define DL_LEVEL_FREE	       16u
#define DL_LEVEL_MAX	       31u

/* What became of a page. Stored in the top byte of a run; never renumber. */
enum dl_class {
	DL_NOT_RAM = 0,
	DL_KEPT = 1,
	DL_ZERO = 2,
	DL_FREE = 3,
	DL_CACHE = 4,
	DL_PRIVATE_CACHE = 5,
	DL_USER = 6,
	DL_HWPOISON = 7,
	DL_OFFLINE = 8,
	DL_UNREADABLE = 9,
	DL_OVERWRITTEN_FIRMWARE = 10, /* contents are in the dump, but not the old kernel's */
	DL_OVERWRITTEN_LOADER = 11,   /* likewise */
	DL_OVERWRITTEN_OURS = 12,     /* the image's own memory: no contents */
	DL_METADATA_LOST = 13, /* kept because its struct page is missing or contradicts itself */
	DL_CLASSES = 14,
};

/* True if pages of @class carry their contents at @level, unless they are zero. */
static inline bool dl_class_has_data(u32 class, u32 level)
{
	switch (class) {
	case DL_KEPT:
	case DL_METADATA_LOST:
	case DL_OVERWRITTEN_FIRMWARE:
	case DL_OVERWRITTEN_LOADER:
		return true;
	case DL_CACHE:
		return !(level & (DL_LEVEL_CACHE | DL_LEVEL_PRIVATE_CACHE));
	case DL_PRIVATE_CACHE:
		return !(level & DL_LEVEL_PRIVATE_CACHE);
	case DL_USER:
		return !(level & DL_LEVEL_USER);
	case DL_FREE:
		return !(level & DL_LEVEL_FREE);
	default:
		return false;
	}
}

/* A run of pages as one u64: PFN in bits 0-39, count - 1 in 40-55, class in 56-63. */
#define DL_RUN_MAX_COUNT 65536u

static inline u64 dl_run(u64 pfn, u32 count, u32 class)
{
	return (pfn & 0xffffffffffull) | (u64)((count - 1) & 0xffff) << 40 | (u64) class << 56;
}

static inline u64 dl_run_pfn(u64 run)
{
	return run & 0xffffffffffull;
}

static inline u32 dl_run_count(u64 run)
{
	return (u32)(run >> 40 & 0xffff) + 1;
}

static inline u32 dl_run_class(u64 run)
{
	return (u32)(run >> 56);
}

/* First and last block of the partition; the rest of the block is zero. */
struct dl_super {
	u8 magic[8];
	u32 version;
	u32 block_bytes;
	u8 disk_uuid[16];
	u64 blocks;	/* of the partition */
	u32 dir_slots;	/* 1 .. 4096 */
	u32 level;	/* 0-31 */
	u32 compressor; /* enum dl_compressor */
	u32 after;	/* enum machine_action */
	u32 overwrite;	/* enum dl_overwrite */
	u32 zero0;
	u64 created_s;	   /* UTC, seconds since 1970 */
	char label[64];	   /* NUL-terminated UTF-8 */
	u32 survey_blocks; /* 0: a disk without room for a survey */
	u8 zero1[368];
	u32 crc32c; /* of the 512 bytes with this field 0 */
};
ASSERT_SIZE(struct dl_super, 512);
ASSERT_AT(struct dl_super, disk_uuid, 16);
ASSERT_AT(struct dl_super, blocks, 32);
ASSERT_AT(struct dl_super, dir_slots, 40);
ASSERT_AT(struct dl_super, created_s, 64);
ASSERT_AT(struct dl_super, label, 72);
ASSERT_AT(struct dl_super, survey_blocks, 136);
ASSERT_AT(struct dl_super, crc32c, 508);

enum dl_state {
	DL_STATE_FREE = 0,
	DL_STATE_INCOMPLETE = 1, /* being written, or cut short: see reason */
	DL_STATE_COMPLETE = 2,
};

#define DL_FLAG_CLEARED	 1u /* fetched: the space may be reused */
#define DL_FLAG_GAVE_WAY 2u /* cleared for the room that a newer dump needed, not by anybody */

/* What had to be given up; bits of dl_header.degraded. */
#define DL_DEGRADED_NO_VMCOREINFO 1u  /* candidates seen, none verified: everything kept */
#define DL_DEGRADED_SEVERAL	  2u  /* several kernels verified; the best was taken */
#define DL_DEGRADED_MEMMAP	  4u  /* the firmware's map had too many ranges */
#define DL_DEGRADED_SUPERBLOCK	  8u  /* one of the superblocks is damaged */
#define DL_DEGRADED_LEVEL	  16u /* level_applied lacks bits of level_asked */
#define DL_DEGRADED_BOOT_HEADER	  32u /* boot area settings damaged, defaults used */
#define DL_DEGRADED_DIRECTORY	  64u /* a slot is lost in both copies: its dump is not protected */
#define DL_DEGRADED_PAGEMAP	  128u	/* no usable page map: everything kept */
#define DL_DEGRADED_DROPPED	  256u	/* classes left out because they would not fit */
#define DL_DEGRADED_ELFCOREHDR	  512u	/* the loader's description of memory is damaged: guessed */
#define DL_DEGRADED_REGISTERS	  1024u /* registers of some processors could not be read */
#define DL_DEGRADED_NEXT_DISK	  2048u /* another disk failed before; the dump began again here */

/* How a dump knows which memory the reset destroyed; dl_header.survey. */
enum dl_survey_use {
	DL_SURVEY_NOT_NEEDED = 0, /* there was no reset (kexec) */
	DL_SURVEY_NONE = 1,	  /* no survey was made: only what firmware's memory map says */
	DL_SURVEY_USED = 2,
	DL_SURVEY_UNFIT = 3, /* it was made by another boot path or with other memory */
};

#define DL_PANIC_BYTES 97

/*
 * One directory slot: a dump. Both copies are written, the back one first; where they
 * differ the one with the higher generation counts. All zero: never used.
 */
struct dl_header {
	u8 magic[8];
	u32 version;
	u32 generation;
	u8 disk_uuid[16];
	u8 dump_uuid[16];
	u32 number; /* 1, 2, ... ; higher is newer; not reused while the slot is remembered */
	u32 state;  /* enum dl_state */
	u32 flags;  /* DL_FLAG_* */
	u32 reason; /* enum status: why incomplete; OK while being written or complete */
	u64 start;  /* first block */
	u64 limit;  /* blocks given to it */
	u64 used;   /* blocks written; valid unless state is INCOMPLETE with reason OK */
	u64 chunks; /* likewise */
	u64 end;    /* block of the END chunk relative to start, 0 if there is none */
	u64 time_s; /* capture began, UTC, from the RTC; 0 unknown */
	u32 duration_ms;
	u32 door; /* enum door */
	u32 level_asked;
	u32 level_applied;
	u32 compressor;
	u32 degraded; /* DL_DEGRADED_* */
	u64 ram_pages;
	u64 kept_pages; /* with contents in the dump */
	u64 zero_pages;
	u64 stored_bytes; /* of all chunks, padding included */
	char release[65];
	char nodename[65];
	char machine[65];
	char panic[DL_PANIC_BYTES]; /* empty if unknown */
	u32 dropped;	     /* bit per class: asked for, left out because it would not fit */
	u32 incomplete;	     /* bit per class: asked for, not all of it was written */
	u32 survey;	     /* enum dl_survey_use */
	u64 lost_pages;	     /* of RAM: overwritten by anybody since the old kernel stopped */
	u64 lost_used_pages; /* of them, not free in the old kernel's page map */
	u64 lost_told_pages; /* of them, those whose use the page map could tell */
	u64 crash_id;	     /* of the run of the old kernel (ending.h); 0: not known */
	u8 zero[4];
	u32 crc32c; /* of the 512 bytes with this field 0 */
};
ASSERT_SIZE(struct dl_header, 512);
ASSERT_AT(struct dl_header, number, 48);
ASSERT_AT(struct dl_header, start, 64);
ASSERT_AT(struct dl_header, duration_ms, 112);
ASSERT_AT(struct dl_header, ram_pages, 136);
ASSERT_AT(struct dl_header, release, 168);
ASSERT_AT(struct dl_header, dropped, 460);
ASSERT_AT(struct dl_header, incomplete, 464);
ASSERT_AT(struct dl_header, survey, 468);
ASSERT_AT(struct dl_header, lost_pages, 472);
ASSERT_AT(struct dl_header, crash_id, 496);
ASSERT_AT(struct dl_header, crc32c, 508);

/* Chunk kinds; unknown ones are skipped. */
enum dl_kind {
	DL_KIND_START = 1,   /* payload: the dump's header as first written */
	DL_KIND_NOTE = 2,    /* payload: struct dl_note, then its data */
	DL_KIND_PAGES = 3,   /* runs: which pages; payload: their contents in that order */
	DL_KIND_CLASSES = 4, /* payload: runs (u64) with their class, ascending through the dump */
	DL_KIND_INDEX = 5,   /* payload: struct dl_index, then its entries */
	DL_KIND_END = 6,     /* payload: struct dl_end */
	/*
	 * Payload: runs of pages that CLASSES names with a class of contents and that were found
	 * to be zero (class ZERO) or unreadable (UNREADABLE) when their turn came in a later
	 * pass; ascending through each pass, at most DL_LATER_PASSES of them.
	 */
	DL_KIND_FOUND = 7,
};

#define DL_LATER_PASSES 4 /* user, private cache, cache, free */

/*
 * A chunk is this header, run_count runs (u64), and at payload_offset the payload,
 * padded with anything to whole blocks. The next chunk follows directly. Header and runs
 * lie inside the first 4096 bytes. Chunks of pages written straight from old memory have a
 * payload_offset of exactly one block.
 */
struct dl_chunk {
	u32 magic;
	u16 header_bytes; /* 128: a longer header has fields unknown to version 1 */
	u16 kind;	  /* enum dl_kind */
	u8 dump_uuid[16];
	u64 sequence;	    /* 0, 1, ... */
	u32 blocks;	    /* whole chunk */
	u32 payload_offset; /* bytes from the chunk's start, a multiple of 8 */
	u32 stored_bytes;   /* payload as stored */
	u32 raw_bytes;	    /* payload unpacked, at most DL_GROUP_PAGES pages */
	u16 compressor;	    /* enum dl_compressor of this payload */
	u16 run_count;
	u32 payload_crc32c; /* of the stored bytes */
	u8 nonce[12];	    /* zero: room for authentication */
	u8 tag[16];	    /* zero: likewise */
	u8 zero[40];
	u32 header_crc32c; /* of header (this field 0) and runs */
};
ASSERT_SIZE(struct dl_chunk, 128);
ASSERT_AT(struct dl_chunk, dump_uuid, 8);
ASSERT_AT(struct dl_chunk, sequence, 24);
ASSERT_AT(struct dl_chunk, blocks, 32);
ASSERT_AT(struct dl_chunk, compressor, 48);
ASSERT_AT(struct dl_chunk, payload_crc32c, 52);
ASSERT_AT(struct dl_chunk, nonce, 56);
ASSERT_AT(struct dl_chunk, tag, 68);
ASSERT_AT(struct dl_chunk, header_crc32c, 124);

enum dl_note_type {
	DL_NOTE_VMCOREINFO = 1, /* the text as found */
	DL_NOTE_UTSNAME =
		2, /* six fields of 65 bytes: sysname node release version machine domain */
	DL_NOTE_MEMMAP = 3,   /* array of struct mem_range */
	DL_NOTE_PRSTATUS = 4, /* ELF note per CPU */
	DL_NOTE_SURVEY = 5,   /* struct dl_survey as it was used, then its ranges */
	DL_NOTE_KERNEL = 6,   /* struct dl_kernel */
};

struct dl_note {
	u32 type;
	u32 bytes; /* of the data that follows */
};
ASSERT_SIZE(struct dl_note, 8);

/* Facts about the old kernel that are not in vmcoreinfo as such. */
struct dl_kernel {
	u64 root_pa;	 /* top-level page table */
	u64 phys_base;	 /* signed */
	u64 page_offset; /* direct map; 0 unknown */
	u64 vmcoreinfo_pa;
	u32 levels;	/* of page tables: 4 or 5 */
	u32 candidates; /* vmcoreinfo copies seen */
	u32 verified;	/* of them */
	u32 zero;
};
ASSERT_SIZE(struct dl_kernel, 48);

/* Chunks before this one that no earlier index lists, oldest first; START is not listed. */
struct dl_index {
	u64 previous; /* block of the index before, relative to the dump's start; 0: none */
	u32 count;
	u32 zero;
};
ASSERT_SIZE(struct dl_index, 16);

struct dl_index_entry {
	u64 block;     /* relative to the dump's start */
	u64 first_pfn; /* lowest and highest of the chunk's runs; 0 for other kinds */
	u64 last_pfn;
	u32 blocks;
	u16 kind;
	u16 zero;
};
ASSERT_SIZE(struct dl_index_entry, 32);

/* Last chunk of a dump that was closed, complete or not. */
struct dl_end {
	u64 last_index; /* block, relative to the dump's start; 0: none */
	u64 chunks;	/* this one included */
	u64 ram_pages;
	u64 kept_pages;
	u64 zero_pages;
	u32 reason; /* enum status */
	u32 zero;
};
ASSERT_SIZE(struct dl_end, 48);

/*
 * Checks of untrusted bytes; no I/O. Each returns OK or says what is wrong.
 */

/* @block holds at least 512 bytes. E_SUPERBLOCK, E_VERSION; geometry is checked in itself. */
enum status dl_super_check(const struct dl_super *super) MUST_CHECK;

/* Of a slot against its superblock: E_NO_DUMP if all zero, E_CHECKSUM, E_VERSION, E_FOREIGN. */
enum status dl_header_check(const struct dl_header *h, const struct dl_super *super) MUST_CHECK;

/*
 * Of a chunk's first @bytes bytes (at least one block) as the @sequence-th of dump @uuid,
 * with @room blocks left in the dump. E_CHUNK if it is not that chunk or is torn; never
 * reads past @bytes; E_TRUNCATED if the run table does not lie inside @bytes.
 */
enum status dl_chunk_check(const void *chunk, u64 bytes, const u8 uuid[16], u64 sequence,
	u32 block_bytes, u64 room) MUST_CHECK;

/* Sets the checksums. */
void dl_super_seal(struct dl_super *super);
void dl_header_seal(struct dl_header *h);
void dl_chunk_seal(struct dl_chunk *c); /* runs must follow the header in memory */

/* Layout, in partition blocks. */
static inline u64 dl_slot_block(u32 slot)
{
	return 1 + (u64)slot;
}

static inline u64 dl_slot_block_back(const struct dl_super *s, u32 slot)
{
	return s->blocks - 1 - s->dir_slots + slot;
}

static inline u64 dl_data_start(const struct dl_super *s)
{
	return 1 + (u64)s->dir_slots;
}

static inline u64 dl_data_end(const struct dl_super *s) /* exclusive; the survey's first block */
{
	return s->blocks - 1 - s->dir_slots - s->survey_blocks;
}

/* Words for list, info and messages; "unknown" for numbers not known. */
const char *dl_class_name(u32 class);
const char *dl_compressor_name(u32 compressor);

#endif
