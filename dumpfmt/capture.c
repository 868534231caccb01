/*
 * Walks page runs, looks at pages, fills groups and decides how each travels. Does not
 * know the format on disk; the writer does.
 */
#include <string.h>
#include "capture.h"
#include "crc32c.h"

bool capture_is_zero(const void *p, u32 bytes)
{
	const u64 *word = p;

	for (u32 i = 0; i < bytes / sizeof(*word); i += 8) {
		u64 some = word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] |
			   word[i + 5] | word[i + 6] | word[i + 7];

		if (some)
			return false;
	}
	return true;
}

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

static const void *page_view(struct capture *c, u64 pfn)
{
	return physmem_view(c->pm, pfn << PAGE_SHIFT, PAGE_BYTES);
}

static void report_progress(struct capture *c)
{
	u64 now = clock_us();

	if (!c->progress || now - c->reported_us < CAPTURE_PROGRESS_US)
		return;
	c->reported_us = now;
	c->at.elapsed_us = now - c->start_us;
	c->progress(c->progress_ctx, &c->at);
}

/* Sends the group without a copy; the views serve only for the checksum. */
static enum status send_raw(struct capture *c)
{
	u32 crc = 0;

	for (u32 i = 0; i < c->group.count; i++) {
		const void *page = page_view(c, c->group.pfn[i]);

		if (!page)
			return E_NOT_RAM;
		crc = crc32c(crc, page, PAGE_BYTES);
	}
	return writer_raw(c->writer, &c->group, crc);
}

static enum status send_packed(struct capture *c, bool *packed)
{
	for (u32 i = 0; i < c->group.count; i++) {
		const void *page = page_view(c, c->group.pfn[i]);

		if (!page)
			return E_NOT_RAM;
		memcpy(c->staging + (size_t)i * PAGE_BYTES, page, PAGE_BYTES);
	}
	return writer_packed(c->writer, &c->group, c->staging, c->comp, packed);
}

/* All that may still come would fit uncompressed. */
static bool space_is_ample(const struct capture *c)
{
	const struct writer *w = c->writer;

	return writer_left_blocks(w) >= writer_worst_blocks(c->left_pages, w->super->block_bytes);
}

static enum status send_group(struct capture *c)
{
	bool packed = false;
	u32 inflight;
	enum status st = writer_poll(c->writer, &inflight);

	if (st != OK || c->group.count == 0)
		return st;
	if (c->comp->method != DL_COMP_NONE && !(inflight < c->raw_below && space_is_ample(c)))
		st = send_packed(c, &packed);
	if (st == OK && !packed)
		st = send_raw(c);
	if (st != OK)
		return st;
	c->left_pages -= c->group.count;
	c->group.count = 0;
	report_progress(c);
	return OK;
}

static enum status add_page(struct capture *c, u64 pfn, u32 class)
{
	struct page_group *g = &c->group;

	g->pfn[g->count] = pfn;
	g->class[g->count] = (u8) class;
	g->count++;
	return g->count == DL_GROUP_PAGES ? send_group(c) : OK;
}

/*
 * Overwritten pages are kept even if zero: their class says more than DL_ZERO would.
 */
static u32 page_class(struct capture *c, const void *page, u32 class)
{
	if (!page)
		return DL_UNREADABLE;
	if (class == DL_KEPT && c->level & DL_LEVEL_ZERO && capture_is_zero(page, PAGE_BYTES))
		return DL_ZERO;
	return class;
}

static enum status capture_page(struct capture *c, u64 pfn, u32 run_class)
{
	u32 class = page_class(c, page_view(c, pfn), run_class);
	enum status st = writer_classes(c->writer, pfn, 1, class);

	c->at.done_pages++;
	if (st != OK)
		return st;
	if (class != DL_ZERO && class != DL_UNREADABLE)
		return add_page(c, pfn, class);
	c->left_pages--;
	if (pfn % DL_GROUP_PAGES == 0)
		report_progress(c);
	return OK;
}

static enum status capture_run_pages(struct capture *c, const struct run *run)
{
	enum status st = OK;

	if (!dl_class_has_data(run->class, c->level)) {
		if (run->class != DL_NOT_RAM) {
			c->at.done_pages += run->count;
			c->left_pages -= run->count;
		}
		return writer_classes(c->writer, run->pfn, run->count, run->class);
	}
	for (u64 i = 0; i < run->count && st == OK; i++)
		st = capture_page(c, run->pfn + i, run->class);
	return st;
}

enum status capture_run(struct capture *c)
{
	struct runs runs;
	struct run run;
	enum status st = OK;

	c->start_us = clock_us();
	c->reported_us = c->start_us;
	c->left_pages = memmap_ram_pages(c->pm->map);
	c->at.total_pages = memmap_ram_pages(c->pm->map);
	runs_init(&runs, c->pm->map, NULL);
	for (u32 i = 0; i <= 2 * MEMMAP_MAX && st == OK && runs_next(&runs, &run); i++)
		st = capture_run_pages(c, &run);
	return st == OK ? send_group(c) : st;
}
