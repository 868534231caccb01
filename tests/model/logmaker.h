/*
 * Makes dump logs in memory for tests, chunk by chunk as the test asks, valid or
 * deliberately not. Shares the structs and their checksums with the product, but not
 * its writer.
 */
#ifndef AFTERIMAGE_LOGMAKER_H
#define AFTERIMAGE_LOGMAKER_H

#include "dumplog.h"

#define LOGMAKER_INDEX_MAX 4096

struct logmaker {
	u8 *disk; /* the partition; the maker's */
	u64 bytes;
	struct dl_super super;
	u64 free; /* next free block of the partition */
	/* the dump being made */
	struct dl_header h;
	u32 slot;
	u64 next; /* block relative to h.start */
	u64 sequence;
	u64 last_index;
	u32 entries;
	struct dl_index_entry entry[LOGMAKER_INDEX_MAX];
};

/* A partition of @blocks with both superblocks and an empty directory. Aborts without memory. */
void logmaker_init(struct logmaker *m, u32 block_bytes, u64 blocks, u32 slots);
void logmaker_free(struct logmaker *m);

/* Begins a dump: START chunk, header INCOMPLETE in both copies. */
void logmaker_begin(struct logmaker *m, u32 number, u32 level);

/* A chunk of @kind with @runs and a payload packed as @method if that makes it smaller. */
void logmaker_runs(struct logmaker *m, const u64 *runs, u32 count);
void logmaker_chunk(struct logmaker *m, u32 kind, u32 method, const void *raw, u32 bytes);

void logmaker_note(struct logmaker *m, u32 type, const void *data, u32 bytes);

/* Pages [pfn, pfn+count) with their @contents, at most DL_GROUP_PAGES. */
void logmaker_pages(struct logmaker *m, u64 pfn, u32 count, u32 method, const void *contents);

void logmaker_classes(struct logmaker *m, const u64 *runs, u32 count);
/* Runs of pages found to be zero or unreadable in a later pass. */
void logmaker_found(struct logmaker *m, const u64 *runs, u32 count);

void logmaker_index(struct logmaker *m);

/* END chunk, then the header completed (INCOMPLETE if @reason is not OK). */
void logmaker_end(struct logmaker *m, enum status reason);

/* Writes the dump's header as it is now to the copies asked for. */
void logmaker_put_header(struct logmaker *m, bool front, bool back);

/* Start of the @sequence-th chunk of the dump being made; NULL if there is none. */
struct dl_chunk *logmaker_find(struct logmaker *m, u64 sequence);

#endif
