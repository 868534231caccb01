/*
 * The passes over page runs: which classes go out when, what is recorded of each page,
 * and what is left out when room is short. Does not know the format on disk; the
 * writer does.
 */
#include <string.h>
#include "group.h"
#include "pageuse.h"
#include "ports.h"
#include "str.h"

#define BIT(class) (1u << (class))

/* What the first pass sends. */
#define ALWAYS_SENT                                                                                \
	(BIT(DL_KEPT) | BIT(DL_METADATA_LOST) | BIT(DL_OVERWRITTEN_FIRMWARE) |                     \
		BIT(DL_OVERWRITTEN_LOADER))

#define PROGRESS_RUNS 256u /* the clock is not looked at for every run */

/* Classes with a pass of their own, the most useful first. */
static const u8 later_class[DL_LATER_PASSES] = {DL_USER, DL_PRIVATE_CACHE, DL_CACHE, DL_FREE};

enum status capture_init(struct capture *c, struct writer *w, struct physmem *pm,
	struct compressor *comp, struct arena *arena)
{
	memset(c, 0, sizeof(*c));
	c->writer = w;
	c->pm = pm;
	c->comp = comp;
	c->level = DL_LEVEL_ZERO;
	c->raw_below = CAPTURE_RAW_BELOW;
	if (comp->method == DL_COMP_NONE)
		return OK;
	c->staging = arena_alloc(arena, CAPTURE_STAGING_BYTES, PAGE_BYTES);
	return c->staging ? OK : E_NO_MEMORY;
}

/*
 * How many of the pages ahead take no time is not known before the first pass has ended: until
 * then as many as of those behind. Thereafter all that are ahead are to be looked at.
 */
static u64 time_left_us(const struct capture *c)
{
	const struct capture_progress *at = &c->at;
	u64 paced = c->first_pass ? at->done_pages : at->looked_pages;

	if (paced == 0 || at->done_pages >= at->total_pages)
		return 0;
	return (at->total_pages - at->done_pages) * (at->elapsed_us / 1000) / paced * 1000;
}

static void report_progress(struct capture *c)
{
	u64 now = clock_us();

	if (!c->progress || now - c->reported_us < CAPTURE_PROGRESS_US)
		return;
	c->reported_us = now;
	c->at.elapsed_us = now - c->start_us;
	c->at.left_us = time_left_us(c);
	c->progress(c->progress_ctx, &c->at);
}

/* DL_LATER_PASSES if there is none for @class. */
static u32 pass_of(u32 class)
{
	u32 n = 0;

	while (n < DL_LATER_PASSES && later_class[n] != class)
		n++;
	return n;
}

static enum status capture_page(struct capture *c, u64 pfn, u32 class)
{
	u32 found = group_take(c, pfn, class);
	enum status st = OK;

	c->at.done_pages++;
	c->at.looked_pages++;
	if (found != class) {
		c->left_pages--;
		c->count[class].zero += found == DL_ZERO;
		c->count[class].unreadable += found == DL_UNREADABLE;
	}
	if (c->first_pass || found != class)
		st = writer_classes(c->writer, pfn, 1, found);
	if (st == OK && c->group.count == DL_GROUP_PAGES)
		st = group_send(c);
	if (pfn % DL_GROUP_PAGES == 0)
		report_progress(c);
	return st;
}

/* Pages that the first pass does not send: later, or never. None of them is looked at. */
static enum status pass_over(struct capture *c, const struct run *run)
{
	u32 later = pass_of(run->class);

	if (later < DL_LATER_PASSES && dl_class_has_data(run->class, c->level)) {
		sample_offer(&c->sample[later], run);
	} else if (run->class != DL_NOT_RAM) {
		c->at.done_pages += run->count;
		c->left_pages -= run->count;
	}
	return writer_classes(c->writer, run->pfn, run->count, run->class);
}

static enum status capture_pages(struct capture *c, const struct run *run)
{
	enum status st = OK;

	if (c->first_pass)
		c->count[run->class].pages += run->count;
	if (!(c->sending & BIT(run->class)))
		return c->first_pass ? pass_over(c, run) : OK;
	for (u64 i = 0; i < run->count && st == OK; i++)
		st = capture_page(c, run->pfn + i, run->class);
	return st;
}

/* One pass over all memory. */
static enum status walk(struct capture *c)
{
	struct runs runs;
	struct run run;
	enum status st = OK;

	runs_init(&runs, c->pm->map, c->scan);
	for (u64 i = 0; i < runs.end_pfn && st == OK && runs_next(&runs, &run); i++) {
		if (i % PROGRESS_RUNS == 0)
			report_progress(c);
		st = capture_pages(c, &run);
	}
	return st == OK ? group_send(c) : st;
}

/* All classes that pages with contents may have here. */
static u32 classes_asked(const struct capture *c)
{
	const struct memmap *map = c->pm->map;
	u32 asked = BIT(DL_KEPT);

	for (u32 i = 0; i < map->count && i < MEMMAP_MAX; i++) {
		if (map->range[i].type == MEM_RAM)
			asked |= BIT(runs_range_class(&map->range[i])) & ALWAYS_SENT;
	}
	if (!c->scan)
		return asked;
	for (u32 i = 0; i < DL_LATER_PASSES; i++) {
		if (dl_class_has_data(later_class[i], c->level))
			asked |= BIT(later_class[i]);
	}
	return asked | BIT(DL_METADATA_LOST);
}

/*
 * What the reset destroyed, and of that what the old kernel used. Where there was none, all that
 * was written to since is memory that the old kernel had reserved for us.
 */
static void count_lost(struct capture *c)
{
	const struct memmap *map = c->pm->map;
	struct dl_header *h = &c->writer->header;
	struct pageuse lost = {0};

	if (h->survey == DL_SURVEY_NOT_NEEDED)
		return;
	for (u32 i = 0; i < map->count && i < MEMMAP_MAX; i++) {
		const struct mem_range *r = &map->range[i];
		u64 pages = r->bytes >> PAGE_SHIFT;

		if (r->type != MEM_RAM || r->touched == TOUCHED_NOBODY)
			continue;
		h->lost_pages += pages;
		if (c->scan)
			pageuse_count(
				c->scan, r->pa >> PAGE_SHIFT, (r->pa >> PAGE_SHIFT) + pages, &lost);
	}
	h->lost_told_pages = lost.told;
	h->lost_used_pages = lost.used;
}

static enum status first_pass(struct capture *c)
{
	u32 done = ALWAYS_SENT;
	enum status st;

	writer_expect(c->writer, classes_asked(c));
	c->first_pass = true;
	c->sending = ALWAYS_SENT;
	st = walk(c);
	c->first_pass = false;
	if (st != OK)
		return st;
	for (u32 i = 0; i < DL_LATER_PASSES; i++)
		done |= c->count[later_class[i]].pages == 0 ? BIT(later_class[i]) : 0;
	writer_pass_end(c->writer, done);
	return OK;
}

static u64 to_mib(const struct capture *c, u64 blocks)
{
	return blocks * c->writer->super->block_bytes / MIB;
}

/*
 * False if the pages of @class would not fit even if they took a quarter less than their
 * sample says.
 */
static enum status may_fit(struct capture *c, u32 class, bool *fits)
{
	const struct writer *w = c->writer;
	u64 pages = c->count[class].pages;
	u64 left = writer_left_blocks(w);
	u64 need;
	enum status st;

	*fits = true;
	if (left >= writer_worst_blocks(pages, w->super->block_bytes))
		return OK;
	st = sample_estimate(c, &c->sample[pass_of(class)], class, &need);
	if (st != OK || need - need / 4 <= left)
		return st;
	*fits = false;
	con_printf("afterimage: %s pages left out: about %lu MiB needed, %lu MiB left\n",
		dl_class_name(class), to_mib(c, need), to_mib(c, left));
	return OK;
}

static void drop(struct capture *c, u32 class)
{
	c->at.done_pages += c->count[class].pages;
	c->left_pages -= c->count[class].pages;
	writer_drop(c->writer, class);
}

/* Else part of the page map has become unreadable since the first pass. */
static bool all_met(const struct capture_count *n)
{
	return n->written + n->zero + n->unreadable == n->pages;
}

static enum status later_pass(struct capture *c, u32 class)
{
	bool fits;
	enum status st;

	if (!dl_class_has_data(class, c->level) || c->count[class].pages == 0)
		return OK;
	st = may_fit(c, class, &fits);
	if (st != OK)
		return st;
	if (!fits) {
		drop(c, class);
		return OK;
	}
	st = writer_pass_begin(c->writer);
	c->sending = BIT(class);
	if (st == OK)
		st = walk(c);
	if (st != OK)
		return st;
	if (all_met(&c->count[class]))
		writer_pass_end(c->writer, BIT(class));
	else
		c->lost = true;
	return OK;
}

enum status capture_run(struct capture *c)
{
	enum status st;

	c->start_us = clock_us();
	c->reported_us = c->start_us;
	c->left_pages = memmap_ram_pages(c->pm->map);
	c->at.total_pages = c->left_pages;
	count_lost(c);
	st = first_pass(c);
	for (u32 i = 0; i < DL_LATER_PASSES && st == OK; i++)
		st = later_pass(c, later_class[i]);
	return st == OK && c->lost ? E_UNREADABLE : st;
}
