/*
 * Writes one dump to a dump partition: finds room, appends chunks, closes it. The
 * order of writes is what makes a dump safe at any moment:
 *
 *	header INCOMPLETE (back copy, front copy), flush, chunks ..., INDEX, END,
 *	wait for all, flush, header COMPLETE (back copy, front copy), flush
 *
 * Pages come in passes, the most useful first: the first pass records a class for every
 * page, those after it only what they find to be zero or unreadable. Which classes are
 * whole is decided at the end, by what is known to be on the disk.
 *
 * A reset of the device may have cost it what it had completed but not made durable. If there
 * was one after the first flush, the log is read back after the second, and what is not as it
 * was sent does not count: E_NOT_KEPT. A header is written again. The log is also read back if
 * the second flush fails: with that the device may have dropped anything.
 *
 * A failed write ends the log: nothing more is appended, and if the device still
 * lives the header is closed with the failure's code and the blocks known to be good.
 *
 * Memory taken from the arena, all of it in writer_start:
 *
 *	ring of what is in flight	160 KiB		outbox.h
 *	requests in flight		 11 KiB		at most 32
 *	class runs			  8 KiB
 *	index entries			  4 KiB
 *	header blocks			  8 KiB
 *
 * which with the compressor's state (at most 76 KiB) and the staging buffer of
 * capture.h (64 KiB) stays below 335 KiB. While it looks for room, the ring holds the
 * directory.
 */
#ifndef AFTERIMAGE_WRITER_H
#define AFTERIMAGE_WRITER_H

#include "compress.h"
#include "directory.h"
#include "outbox.h"

#define WRITER_CLASS_RUNS     1024u
#define WRITER_INDEX_ENTRIES  123u
#define WRITER_NOTE_MAX_BYTES (16u * KIB)
#define WRITER_MIN_BYTES      MIB
#define WRITER_RECENT_S	      3600u

/* The most that writer_start takes from the arena. */
#define WRITER_ARENA_BYTES                                                                         \
	(OUTBOX_RING_BYTES + OUTBOX_MAX_SLOTS * sizeof(struct outbox_slot) +                       \
		WRITER_CLASS_RUNS * sizeof(u64) +                                                  \
		WRITER_INDEX_ENTRIES * sizeof(struct dl_index_entry) + DIRECTORY_BUF_BYTES +       \
		PAGE_BYTES) /* alignment */

/* What the header says about the dump. Texts may be NULL; all are copied. */
struct dump_info {
	u32 door;	   /* enum door */
	u32 level_asked;   /* 0-31 */
	u32 level_applied; /* 0-31 */
	u32 compressor;	   /* enum dl_compressor */
	u32 degraded;	   /* DL_DEGRADED_* */
	u32 survey;	   /* enum dl_survey_use */
	u64 time_s;	   /* UTC, 0 unknown */
	u64 ram_pages;
	u64 crash_id; /* 0 unknown */
	const char *release;
	const char *nodename;
	const char *machine;
	const char *panic;
};

/* Pages that travel in one chunk, ascending. */
struct page_group {
	u32 count; /* 1 .. DL_GROUP_PAGES */
	u64 pfn[DL_GROUP_PAGES];
	u8 class[DL_GROUP_PAGES]; /* enum dl_class, each with contents */
};

/* A pass that has ended. */
struct writer_pass {
	u32 classes; /* bits: all their pages were sent in it */
	u64 blocks;  /* the log holds them and its runs once it is this long; ~0: runs not sent */
};

struct writer {
	struct gate *gate;
	const struct dl_super *super;
	struct directory dir;
	struct outbox out;
	struct dl_header header;
	u32 recent; /* dumps that began within WRITER_RECENT_S before this one, none cleared */
	u32 slot;
	u32 resets; /* of the device, when the header was on the disk */
	u64 start_us;
	struct outbox_mark sent; /* chunks handed to the device so far */
	u64 reserve_blocks;	 /* kept free to close the dump in order */
	bool full;
	u64 zero_pages;
	u64 class_next_pfn;
	u32 class_count;
	u64 *class_run;
	u32 run_kind; /* of the chunks that the runs go to: DL_KIND_CLASSES or DL_KIND_FOUND */
	u32 passes;
	struct writer_pass pass[1 + DL_LATER_PASSES];
	u64 last_index; /* block, relative to the dump's start; 0: none */
	u32 index_count;
	struct dl_index_entry *index;
};

/*
 * Begins a dump: finds room and a slot as super->overwrite allows, writes the header and
 * the START chunk. @gate must be open for writes; @super stays the caller's and must stay.
 * E_NO_MEMORY, E_FULL (less than 1 MiB in one piece), E_NO_SLOT, or why the device failed.
 * After a failure @w is of no use, but for w->recent, by directory_recent: known as soon as
 * the directory was read, so with E_FULL and E_NO_SLOT too, and 0 before.
 */
enum status writer_start(struct writer *w, struct gate *gate, const struct dl_super *super,
	struct arena *arena, const struct dump_info *info) MUST_CHECK;

/* Appends a note of at most WRITER_NOTE_MAX_BYTES; E_INVAL if longer. */
enum status writer_note(struct writer *w, u32 type, const void *data, u32 bytes) MUST_CHECK;

/*
 * Names the classes (bits) whose contents are asked for: each counts as incomplete until a
 * pass with it has ended and all of that is on the disk.
 */
void writer_expect(struct writer *w, u32 classes);

/* All pages of @classes (bits) were sent or recorded. At most 1 + DL_LATER_PASSES times. */
void writer_pass_end(struct writer *w, u32 classes);

/*
 * Begins a pass after the first: runs start anew and go to FOUND chunks from here on. E_FULL
 * as for any chunk; what was recorded before is not lost by it.
 */
enum status writer_pass_begin(struct writer *w) MUST_CHECK;

/* Pages of @class will not be written for want of room. */
void writer_drop(struct writer *w, u32 class);

/*
 * Records what became of @count pages from @pfn. Runs must come ascending through a pass
 * (E_INVAL); alike neighbours are merged. Zero pages are counted here.
 */
enum status writer_classes(struct writer *w, u64 pfn, u64 count, u32 class) MUST_CHECK;

/*
 * Sends a group as it is, straight from old memory without a copy. @crc is the CRC32C of
 * its pages in order.
 */
enum status writer_raw(struct writer *w, const struct page_group *g, u32 crc) MUST_CHECK;

/*
 * Packs the group's pages, copied to @pages in order, and sends them, if that saves at
 * least an eighth; *packed tells. Nothing was sent if not.
 */
enum status writer_packed(struct writer *w, const struct page_group *g, const void *pages,
	struct compressor *c, bool *packed) MUST_CHECK;

/*
 * The blocks that the group would take, packed if that pays as in writer_packed, without
 * sending it. @pages is not looked at with DL_COMP_NONE.
 */
enum status writer_trial(struct writer *w, const struct page_group *g, const void *pages,
	struct compressor *c, u64 *blocks) MUST_CHECK;

/* Settles what the device has finished and says how many requests it still has. */
enum status writer_poll(struct writer *w, u32 *inflight) MUST_CHECK;

/* Requests that the device had not finished at the last look, and those sent since. */
u32 writer_inflight(const struct writer *w);

/* Blocks still free for chunks of pages, and how many @pages would take uncompressed. */
u64 writer_left_blocks(const struct writer *w);
u64 writer_worst_blocks(u64 pages, u32 block_bytes);

/* Bytes of the dump known to be on the disk, or that it had taken before it died. */
u64 writer_safe_bytes(const struct writer *w);

/*
 * Closes the dump: with @reason OK as complete if everything was written, else as
 * incomplete with what went wrong. OK if the dump is complete and durable; else the
 * reason it is not, and header.incomplete names the classes that are not whole. If the
 * device is dead nothing is sent.
 */
enum status writer_finish(struct writer *w, enum status reason) MUST_CHECK;

#endif
