/*
 * Reads dump logs: from the bytes of a dump partition to the list of its dumps, a
 * dump's chunks, and what became of each page of RAM. No I/O of its own and no
 * memory of its own: both come through struct reader_ops. The source may be damaged,
 * cut short or made to mislead; nothing in it is trusted.
 */
#ifndef AFTERIMAGE_READER_H
#define AFTERIMAGE_READER_H

#include "dumplog.h"
#include "memmap.h"

struct reader_ops {
	/* Exactly @bytes bytes at @offset from the partition's start; never asked past the source's end. */
	enum status (*read)(void *ctx, u64 offset, void *buf, u64 bytes);
	/* As realloc: @bytes 0 frees and returns NULL, NULL otherwise means no memory and @old stays. */
	void *(*resize)(void *ctx, void *old, u64 bytes);
	/*
	 * Unpacks @c->stored_bytes at @stored to exactly @c->raw_bytes at @raw as @c->compressor
	 * says (never DL_COMP_NONE). E_METHOD, E_DECOMPRESS.
	 */
	enum status (*unpack)(void *ctx, const struct dl_chunk *c, const void *stored, void *raw);
};

#define READER_PAYLOAD_MAX (DL_GROUP_PAGES * PAGE_BYTES)

struct reader_dump {
	struct dl_header h; /* of the copy with the higher generation; texts terminated */
	u32 slot;
	enum status front; /* state of the slot's two copies */
	enum status back;
};

struct reader {
	const struct reader_ops *ops;
	void *ctx;
	u64 bytes; /* of the source, from the partition's start */
	struct dl_super super;
	enum status super_front;
	enum status super_back;
	u32 bad_slots; /* directory slots readable in neither copy */
	enum status bad_slot_why;
	u32 count;
	struct reader_dump *dump; /* ascending by number; the reader's */
	u8 *stored;		  /* scratch for one payload */
};

/*
 * Opens the log in the @bytes bytes that are there of a partition: finds a superblock at
 * either end, reads both copies of the directory. On failure nothing is held.
 * E_FOREIGN if nothing looks like a superblock, E_SUPERBLOCK, E_VERSION, E_NO_MEMORY, or the
 * source's error.
 */
enum status reader_open(
	struct reader *r, const struct reader_ops *ops, void *ctx, u64 bytes) MUST_CHECK;

void reader_close(struct reader *r);

/* The dump with @number, or the newest if that is 0; NULL if there is none. */
const struct reader_dump *reader_find(const struct reader *r, u32 number);

/*
 * A walk over one dump's chunks. It ends behind the END chunk or where the log is torn,
 * foreign or cut. Big: not for the stack of small systems.
 */
struct reader_walk {
	struct reader *r;
	const struct reader_dump *dump;
	u64 block;    /* of the current chunk, relative to the dump's start */
	u64 next;     /* the one after */
	u64 sequence; /* of the next chunk: chunks so far */
	u64 pages;    /* with contents, so far */
	bool seeking; /* the next chunk need not be the first */
	bool closed;  /* the END chunk was reached and is good */
	struct dl_end end;
	enum status why; /* the walk is over: OK behind END, else what stopped it */
	/* The current chunk's header and runs, checked. */
	union {
		struct dl_chunk chunk;
		u8 head[4096];
		u64 align;
	};
};

void reader_walk_start(struct reader_walk *w, struct reader *r, const struct reader_dump *dump);

/* The same from the chunk at @block, whatever its sequence number, for that one chunk. */
void reader_walk_seek(
	struct reader_walk *w, struct reader *r, const struct reader_dump *dump, u64 block);

/* Goes to the next chunk; false at the end, see @why. Payloads are not read, but END's. */
bool reader_walk_next(struct reader_walk *w);

/* The @i-th run of the current chunk, @i < run_count. */
u64 reader_walk_run(const struct reader_walk *w, u32 i);

/* Pages that the runs of the current chunk name, or 0 if they do not fit its payload. */
u32 reader_walk_pages(const struct reader_walk *w);

/* Reads the current chunk's payload, checks it and unpacks it to @raw (READER_PAYLOAD_MAX bytes). */
enum status reader_walk_payload(struct reader_walk *w, void *raw) MUST_CHECK;

/* After the last chunk: OK if the dump is complete, else why not. */
enum status reader_walk_verdict(const struct reader_walk *w);

/* Checks the indexes against the chunks met on a walk, with no memory but this. */
struct reader_index {
	u64 previous; /* block of the last index, 0: none */
	u64 count;    /* chunks since */
	u32 crc;      /* of the entries they should have */
};

/*
 * Takes notice of the current chunk; for an INDEX chunk @raw is its payload and the result
 * says whether it lists exactly the chunks before it. E_CHUNK if not.
 */
enum status reader_index_check(
	struct reader_index *x, const struct reader_walk *w, const void *raw) MUST_CHECK;

/*
 * Checks the runs of FOUND chunks: their classes, and that they ascend but where a new pass
 * begins, as a few packed bytes could name one page without end.
 */
struct reader_found {
	u64 next_pfn;
	u32 descents;
};

/* Takes notice of the next @run. E_CHUNK. */
enum status reader_found_check(struct reader_found *f, u64 run) MUST_CHECK;

/* Pages [pfn, pfn+count) with a class, or with their place in the log. */
struct reader_span {
	u64 pfn;
	u64 count;
	u64 where; /* class; or chunk's block << 4 | position of the first page */
};

struct reader_spans {
	u64 count;
	u64 room;
	bool placed;		  /* where is a place, which moves along with the page */
	struct reader_span *span; /* ascending, not overlapping once the map is loaded */
};

struct reader_note {
	u32 type; /* enum dl_note_type */
	u32 bytes;
	u8 *data; /* NUL after the last byte */
};

/* All about one dump: where its pages are, what became of the others, its notes. */
struct reader_map {
	struct reader *r;
	const struct reader_dump *dump;
	enum status verdict; /* OK: complete */
	u64 chunks;
	u64 log_blocks; /* that they take */
	u64 bad_chunks; /* that could not be used */
	enum status bad_why;
	u64 missing; /* pages, before any filter */
	struct reader_spans pages;
	struct reader_spans classes;
	struct reader_spans found; /* ZERO or UNREADABLE when their turn came; over the others */
	struct reader_spans ram;   /* from the memory map note */
	u32 notes;
	u32 notes_room;
	u64 notes_bytes; /* of all notes' data */
	struct reader_note *note;
	u64 end_pfn; /* one more than the highest page of RAM */
	u32 filter;  /* level bits on top of the dump's own */
};

/* Walks the whole dump. E_NO_MEMORY; damage is no failure but is noted in the map. */
enum status reader_map_load(
	struct reader_map *m, struct reader *r, const struct reader_dump *dump) MUST_CHECK;

void reader_map_free(struct reader_map *m);

/*
 * From now on the iterator and the counts are as if the dump had been taken at its level and
 * @level together. Zero pages with contents are for the caller to find.
 */
void reader_map_filter(struct reader_map *m, u32 level);

/* The @index-th note of @type, or NULL. */
const struct reader_note *reader_map_note(const struct reader_map *m, u32 type, u32 index);

enum reader_fate {
	READER_HERE,	 /* contents are in the log */
	READER_ZERO,	 /* the page was zero */
	READER_EXCLUDED, /* left out on purpose, see its class */
	READER_MISSING,	 /* should be here and is not */
	READER_FATES,
};

struct reader_run {
	u64 pfn;
	u64 count;
	enum reader_fate fate;
	u32 class; /* as recorded; DL_CLASSES if not known */
	u32 found; /* DL_ZERO or DL_UNREADABLE if that was seen when its turn came, else 0 */
};

#define READER_TABLES 4

/* Iterates over all RAM in ascending runs. */
struct reader_iter {
	const struct reader_map *m;
	u64 pfn;
	u64 at[READER_TABLES]; /* places in the map's tables */
};

void reader_iter_start(struct reader_iter *it, const struct reader_map *m, u64 pfn);
bool reader_iter_next(struct reader_iter *it, struct reader_run *run);

struct reader_totals {
	u64 ram;
	u64 here;
	u64 zero;
	u64 excluded;
	u64 missing;
	u64 class[DL_CLASSES + 1]; /* pages of RAM by class, as recorded; the last: not recorded */
	u64 fate[DL_CLASSES + 1][READER_FATES]; /* the same, by what became of them */
	u64 unreadable[DL_CLASSES + 1];		/* of the excluded: found so when their turn came */
};

void reader_map_count(const struct reader_map *m, struct reader_totals *t);

/*
 * Contents of pages, with the last few chunks kept unpacked: as many as there are passes
 * over memory in a dump.
 */
#define READER_CACHE 8

struct reader_pages {
	const struct reader_map *m;
	u64 clock;
	u8 *raw; /* READER_CACHE payloads */
	struct reader_cached {
		u64 block; /* relative to the dump's start */
		u64 used;  /* clock of the last use; 0: nothing here */
		u32 bytes;
		enum status status;
	} slot[READER_CACHE];
	struct reader_walk walk;
};

/* E_NO_MEMORY. @m must stay. */
enum status reader_pages_open(struct reader_pages *p, const struct reader_map *m) MUST_CHECK;
void reader_pages_close(struct reader_pages *p);

/*
 * Copies the page's contents to @buf. E_ABSENT if the page is not in the dump, E_CHECKSUM,
 * E_CHUNK, E_DECOMPRESS, E_METHOD or the source's error if it can not be had.
 */
enum status reader_pages_get(struct reader_pages *p, u64 pfn, u8 *buf) MUST_CHECK;

/* For the reader's own files: a table of spans. */
enum status reader_spans_add(
	struct reader *r, struct reader_spans *s, const struct reader_span *span) MUST_CHECK;
void reader_spans_settle(struct reader_spans *s); /* sorts, cuts overlaps away */
/* Index of the first span that ends after @pfn; s->count if none. */
u64 reader_spans_find(const struct reader_spans *s, u64 pfn);
/* The span that holds @pfn, or NULL. */
const struct reader_span *reader_spans_at(const struct reader_spans *s, u64 pfn);

#endif
