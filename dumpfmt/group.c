/*
 * Looks at pages of old memory, each once, gathers those with contents and sends them
 * packed or raw. Does not choose the pages nor record their classes.
 */
#include <string.h>
#include "crc32c.h"
#include "group.h"

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

bool group_space_is_ample(const struct capture *c)
{
	const struct writer *w = c->writer;

	return writer_left_blocks(w) >= writer_worst_blocks(c->left_pages, w->super->block_bytes);
}

static bool better_raw(const struct capture *c, u32 inflight)
{
	return inflight < c->raw_below && group_space_is_ample(c);
}

/* What goes out raw needs no copy, only its checksum. */
static void group_begin(struct capture *c)
{
	c->staged = c->staging && !better_raw(c, writer_inflight(c->writer));
	c->crc = 0;
	c->begun = true;
}

/*
 * Overwritten pages are kept even if zero: their class says more than DL_ZERO would.
 */
static bool counts_as_zero(const struct capture *c, u32 class, const void *page)
{
	if (!(c->level & DL_LEVEL_ZERO))
		return false;
	if (class == DL_OVERWRITTEN_FIRMWARE || class == DL_OVERWRITTEN_LOADER)
		return false;
	return capture_is_zero(page, PAGE_BYTES);
}

/*
 * Whether the page met a memory error is asked last, after all that is ever read of it, so
 * that no error can come in between.
 */
u32 group_take(struct capture *c, u64 pfn, u32 class)
{
	struct page_group *g = &c->group;
	u64 pa = pfn << PAGE_SHIFT;
	const void *page = physmem_view(c->pm, pa, PAGE_BYTES);
	bool zero;
	u32 crc;

	if (!c->begun)
		group_begin(c);
	if (!page)
		return DL_UNREADABLE;
	crc = c->crc;
	zero = counts_as_zero(c, class, page);
	if (!zero && c->staged)
		memcpy(c->staging + (size_t)g->count * PAGE_BYTES, page, PAGE_BYTES);
	else if (!zero)
		crc = crc32c(crc, page, PAGE_BYTES);
	if (phys_unreadable(pa))
		return DL_UNREADABLE;
	if (zero)
		return DL_ZERO;
	c->crc = crc;
	g->pfn[g->count] = pfn;
	g->class[g->count] = (u8) class;
	g->count++;
	return class;
}

enum status group_send(struct capture *c)
{
	struct page_group *g = &c->group;
	bool packed = false;
	u32 inflight;
	enum status st = writer_poll(c->writer, &inflight);

	if (st != OK || g->count == 0)
		return st;
	if (c->staged && !better_raw(c, inflight))
		st = writer_packed(c->writer, g, c->staging, c->comp, &packed);
	if (st == OK && !packed)
		st = writer_raw(c->writer, g,
			c->staged ? crc32c(0, c->staging, g->count * PAGE_BYTES) : c->crc);
	if (st != OK)
		return st;
	for (u32 i = 0; i < g->count; i++)
		c->count[g->class[i]].written++;
	c->left_pages -= g->count;
	g->count = 0;
	c->begun = false;
	return OK;
}
