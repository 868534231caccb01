/*
 * The main loop of a dump: walks all RAM once for every pass, finds a class for every
 * page, and sends those with contents in groups, packed or raw.
 *
 * The first pass tells the class of every page and sends what no level leaves out; then
 * user pages, private cache, cache and free pages follow in passes of their own as far as
 * the level asks for them, so that wherever a dump ends the most useful pages are in it.
 * A pass that has no chance to fit is left out, for those behind it may.
 *
 * Raw or packed: if the device would run dry, the next group goes out raw, straight
 * from old memory, as long as the rest of the dump is sure to fit uncompressed; a slow
 * CPU in front of a fast disk then sends nearly everything raw. Otherwise the group is
 * packed, so that compression can only help.
 */
#ifndef AFTERIMAGE_CAPTURE_H
#define AFTERIMAGE_CAPTURE_H

#include "physmem.h"
#include "runs.h"
#include "writer.h"

#define CAPTURE_STAGING_BYTES (DL_GROUP_PAGES * PAGE_BYTES)

/* The most that capture_init takes from the arena; nothing with DL_COMP_NONE. */
#define CAPTURE_ARENA_BYTES (CAPTURE_STAGING_BYTES + PAGE_BYTES)

/* With fewer requests than this in flight the device is about to run dry. */
#define CAPTURE_RAW_BELOW 2u

#define CAPTURE_PROGRESS_US 1000000u

/* Runs of one class that are remembered to estimate the room it takes. */
#define CAPTURE_SAMPLES 128u

struct capture_progress {
	u64 done_pages; /* of RAM: written, found to have no contents, or left out */
	u64 total_pages;
	u64 looked_pages; /* of those done: the others took no time */
	u64 elapsed_us;
	u64 left_us; /* about; 0 unknown */
};

/* What became of the pages of one class. */
struct capture_count {
	u64 pages; /* all there are; complete after the first pass */
	u64 written;
	u64 zero;
	u64 unreadable;
};

/* A class's pages in evenly spread stretches of DL_GROUP_PAGES. */
struct sample {
	u64 run[CAPTURE_SAMPLES]; /* as dl_run, ascending */
	u32 count;
	u32 taken;	   /* pages of the present stretch */
	u64 seen;	   /* pages of the class so far */
	u64 next;	   /* of them, the next one to take */
	u64 spacing_pages; /* one stretch in so many pages */
};

struct capture {
	struct writer *writer;
	struct physmem *pm;
	struct compressor *comp;
	struct pagescan *scan; /* the old kernel's page map; NULL: all plain RAM is kept */
	u32 level;	       /* 0-31 */
	u32 raw_below;	       /* CAPTURE_RAW_BELOW; 0: never raw to save time */
	/* Called at most once in CAPTURE_PROGRESS_US; may be NULL. */
	void (*progress)(void *ctx, const struct capture_progress *p);
	void *progress_ctx;
	/* what was done */
	struct capture_progress at;
	struct capture_count count[DL_CLASSES];
	/* the module's own */
	bool first_pass;
	bool lost;	/* a pass did not meet all pages that it should have */
	u32 sending;	/* classes (bits) that this pass sends */
	u64 left_pages; /* that may still be sent */
	u64 start_us;
	u64 reported_us;
	struct page_group group;
	bool begun;  /* it is decided how the group is gathered */
	bool staged; /* its pages are copied to @staging */
	u32 crc;     /* of its pages, if they are not */
	u8 *staging;
	struct sample sample[DL_LATER_PASSES];
};

/*
 * Sets defaults and takes the staging buffer. @w is started, @comp is ready; all stay the
 * caller's. The caller may then change scan, level, raw_below and progress. E_NO_MEMORY.
 */
enum status capture_init(struct capture *c, struct writer *w, struct physmem *pm,
	struct compressor *comp, struct arena *arena) MUST_CHECK;

/*
 * Writes the pages and classes of all RAM in @pm's memory map. Classes that will not fit
 * are left out: the console and the writer's header are told. OK or why the log ended early;
 * the writer still has to be finished, with that status as its reason.
 */
enum status capture_run(struct capture *c) MUST_CHECK;

/* True if all @bytes (a multiple of 64) at @p, 8-byte aligned, are zero. */
bool capture_is_zero(const void *p, u32 bytes);

#endif
