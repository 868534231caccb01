/*
 * The directory of a dump partition as the writer needs it: which slots can be used,
 * which blocks belong to dumps that were not fetched, where the most room is.
 */
#ifndef AFTERIMAGE_DIRECTORY_H
#define AFTERIMAGE_DIRECTORY_H

#include "arena.h"
#include "dumplog.h"
#include "gate.h"

#define DIRECTORY_MAX_SLOTS 4096
#define DIRECTORY_BUF_BYTES (2 * PAGE_BYTES)

enum dir_state {
	DIR_UNUSED = 0,	 /* never written */
	DIR_CLEARED = 1, /* fetched: slot and blocks may be reused */
	DIR_TAKEN = 2,	 /* closed: [start, start + blocks) is protected */
	DIR_CUT = 3,	 /* cut by power loss: all that was given to it is protected */
	DIR_UNKNOWN = 4, /* both copies unreadable, damaged or foreign: left alone */
};

struct dir_entry {
	u64 start;
	u64 blocks;
	u64 time_s; /* capture began, UTC; 0: unknown */
	u32 number;
	u8 state;      /* enum dir_state */
	bool gave_way; /* cleared, but by nobody who fetched it */
};

struct directory {
	struct gate *gate;
	const struct dl_super *super;
	struct dir_entry *entry; /* dir_slots of them */
	u32 highest;		 /* number of the newest dump seen, 0: none */
	u32 unknown;		 /* slots that are DIR_UNKNOWN: their dumps may be overwritten */
	u8 *buf;		 /* two pages for the device: back copy and front copy */
	u64 buf_pa;
	struct blk_req req;
};

/* Memory lent to the directory: dir_slots entries, and DIRECTORY_BUF_BYTES for the device. */
struct dir_memory {
	struct dir_entry *entry;
	u8 *buf; /* page aligned */
	u64 buf_pa;
};

/*
 * Reads both copies of every slot; the valid one with the higher generation counts, and
 * one that can not be read counts as damaged. Entries are used by the calls that take
 * slots or gaps, the buffer by every call. Fails only if the device died.
 */
enum status directory_load(struct directory *d, struct gate *gate, const struct dl_super *super,
	const struct dir_memory *mem) MUST_CHECK;

/*
 * Follows the chunks of every dump that was cut by power loss and protects only what it
 * really holds. One read for each chunk; bounded by what was given to the dump.
 */
enum status directory_walk_cut(struct directory *d) MUST_CHECK;

/* The largest run of blocks in the data area that no protected dump touches; 0 blocks: none. */
struct extent directory_largest_gap(const struct directory *d);

/* A slot for a new dump: never used, else the cleared one with the lowest number. E_NO_SLOT. */
enum status directory_free_slot(const struct directory *d, u32 *slot) MUST_CHECK;

/* The slot of the oldest protected dump; false if there is none. */
bool directory_oldest(const struct directory *d, u32 *slot);

/*
 * Dumps that nobody has cleared and that began at most @within_s before @now_s, or after it
 * by as much: clocks are set back. Those that gave way to newer ones count too, as long as there
 * is one that did not. What has no known time does not; if @now_s is 0, unknown, nothing does.
 */
u32 directory_recent(const struct directory *d, u64 now_s, u64 within_s);

/*
 * Marks the dump in @slot as cleared because it gave way, on disk (both copies, flushed) and in
 * @d.
 */
enum status directory_clear(struct directory *d, u32 slot) MUST_CHECK;

/* Generation of the header in @slot now, 0 if there is none. */
enum status directory_generation(struct directory *d, u32 slot, u32 *generation) MUST_CHECK;

/*
 * Writes @h, sealed by this function, to both copies of @slot, the back one first, and makes
 * that durable; again if the disk was reset before it was. OK if at least one copy was written:
 * the next reader takes that. E_NOT_KEPT if it was reset the second time too.
 */
enum status directory_write(struct directory *d, u32 slot, struct dl_header *h) MUST_CHECK;

/* Makes what was written durable. */
enum status directory_flush(struct directory *d) MUST_CHECK;

/* One request of blocks of the partition, with one piece of memory for the device, and its end. */
enum status directory_io(
	struct directory *d, enum blk_op op, u64 block, u32 blocks, u64 pa) MUST_CHECK;

#endif
