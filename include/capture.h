/*
 * The main loop of a dump: walks all RAM, finds a class for every page, and sends
 * those with contents in groups, packed or raw.
 *
 * Raw or packed: if the device would run dry, the next group goes out raw, straight
 * from old memory, as long as the rest of the dump is sure to fit uncompressed; a slow
 * CPU in front of a fast disk then sends nearly everything raw. Otherwise the group is
 * copied to the staging buffer and packed, so that compression can only help.
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

struct capture_progress {
	u64 done_pages; /* of RAM, looked at */
	u64 total_pages;
	u64 elapsed_us;
};

struct capture {
	struct writer *writer;
	struct physmem *pm;
	struct compressor *comp;
	u32 level;     /* DL_LEVEL_ZERO */
	u32 raw_below; /* CAPTURE_RAW_BELOW; 0: never raw to save time */
	/* Called at most once in CAPTURE_PROGRESS_US; may be NULL. */
	void (*progress)(void *ctx, const struct capture_progress *p);
	void *progress_ctx;
	/* what was done */
	struct capture_progress at;
	/* the module's own */
	u64 left_pages; /* with contents, not sent or found zero yet */
	u64 start_us;
	u64 reported_us;
	struct page_group group;
	u8 *staging;
};

/*
 * Sets defaults and takes the staging buffer. @w is started, @comp is ready; all stay the
 * caller's. The caller may then change level, raw_below and progress. E_NO_MEMORY.
 */
enum status capture_init(struct capture *c, struct writer *w, struct physmem *pm,
	struct compressor *comp, struct arena *arena) MUST_CHECK;

/*
 * Writes the pages and classes of all RAM in @pm's memory map. OK or why the log ended
 * early; the writer still has to be finished, with that status as its reason.
 */
enum status capture_run(struct capture *c) MUST_CHECK;

/* True if all @bytes (a multiple of 64) at @p, 8-byte aligned, are zero. */
bool capture_is_zero(const void *p, u32 bytes);

#endif
