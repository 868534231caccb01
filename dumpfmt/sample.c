/*
 * How much room a class of pages would take on the disk: remembers evenly spread
 * stretches of it, across runs, and packs them on trial. Does not decide what follows from it.
 */
#include <string.h>
#include "group.h"

/* Half of what was remembered gives way for as much, at twice the spacing. */
static void thin_out(struct sample *s)
{
	s->count /= 2;
	for (u32 i = 0; i < s->count; i++)
		s->run[i] = s->run[2 * i];
	s->spacing_pages *= 2;
}

/*
 * Somewhere in the next interval: pages come in blocks of powers of two, and stretches at
 * the same place of each would not be typical.
 */
static u64 next_place(const struct sample *s, u64 after)
{
	u64 interval = after / s->spacing_pages + 1;
	u64 stir = interval * 0x9e3779b97f4a7c15ull >> 32;

	return interval * s->spacing_pages + stir % (s->spacing_pages - DL_GROUP_PAGES + 1);
}

void sample_offer(struct sample *s, const struct run *run)
{
	u64 end = s->seen + run->count;

	if (s->spacing_pages == 0)
		s->spacing_pages = DL_GROUP_PAGES;
	while (s->next < end) {
		u64 skip = s->next - s->seen;
		u32 pages = (u32)min_u64(DL_GROUP_PAGES - s->taken, end - s->next);

		if (s->count == CAPTURE_SAMPLES)
			thin_out(s);
		s->run[s->count++] = dl_run(run->pfn + skip, pages, run->class);
		s->taken = (s->taken + pages) % DL_GROUP_PAGES;
		s->next += pages;
		if (s->taken == 0)
			s->next = next_place(s, s->next - 1);
	}
	s->seen = end;
}

/* What the group would take, and an empty group. */
static enum status try_group(struct capture *c, u64 *blocks)
{
	u64 took = 0;
	enum status st = OK;

	if (c->group.count > 0)
		st = writer_trial(c->writer, &c->group, c->staging, c->comp, &took);
	*blocks += took;
	c->group.count = 0;
	return st;
}

static enum status try_run(struct capture *c, u64 run, u64 *blocks)
{
	enum status st = OK;

	for (u32 i = 0; i < dl_run_count(run) && st == OK; i++) {
		(void)group_take(c, dl_run_pfn(run) + i, dl_run_class(run));
		if (c->group.count == DL_GROUP_PAGES)
			st = try_group(c, blocks);
	}
	return st;
}

enum status sample_estimate(struct capture *c, const struct sample *s, u32 class, u64 *blocks)
{
	u64 looked = 0;
	u64 took = 0;
	enum status st = OK;

	c->begun = true;
	c->staged = c->staging != NULL;
	for (u32 i = 0; i < s->count && st == OK; i++) {
		st = try_run(c, s->run[i], &took);
		looked += dl_run_count(s->run[i]);
	}
	if (st == OK)
		st = try_group(c, &took);
	c->begun = false;
	*blocks = looked ? c->count[class].pages * took / looked : 0;
	return st;
}
