/*
 * Windows on old memory: which one shows an address, which one to give up. Maps as
 * much RAM around an address as one aligned 2 MiB has; never anything that is not RAM.
 */
#include <string.h>
#include "physmem.h"

#define CACHE_LINE_BYTES 64u

void physmem_init(struct physmem *pm, const struct memmap *map)
{
	memset(pm, 0, sizeof(*pm));
	pm->map = map;
}

void physmem_init_reader(
	struct physmem *pm, enum status (*read)(void *ctx, u64 pa, void *buf, u64 len), void *ctx)
{
	memset(pm, 0, sizeof(*pm));
	pm->read = read;
	pm->ctx = ctx;
}

/*
 * The stretch of RAM around @pa, across adjoining ranges, cut to the aligned 2 MiB
 * that holds @pa. False if @pa is not RAM.
 */
static bool ram_around(const struct memmap *map, u64 pa, u64 *from, u64 *to)
{
	u64 low = pa & ~((u64)PHYS_WINDOW_BYTES - 1);
	u64 high = low + PHYS_WINDOW_BYTES;
	const struct mem_range *first = memmap_find(map, pa);
	const struct mem_range *end = &map->range[map->count];
	const struct mem_range *last = first;

	if (!first || first->type != MEM_RAM)
		return false;
	while (first > map->range && first->pa > low && first[-1].type == MEM_RAM &&
		first[-1].pa + first[-1].bytes == first->pa)
		first--;
	while (last + 1 < end && last->pa + last->bytes < high && last[1].type == MEM_RAM &&
		last->pa + last->bytes == last[1].pa)
		last++;
	*from = max_u64(low, first->pa);
	*to = min_u64(high, last->pa + last->bytes);
	return true;
}

static u32 oldest_slot(const struct physmem *pm)
{
	u32 oldest = 0;

	for (u32 i = 1; i < PHYS_WINDOW_SLOTS; i++) {
		if (pm->slot[i].last_view < pm->slot[oldest].last_view)
			oldest = i;
	}
	return oldest;
}

static struct phys_slot *open_window(struct physmem *pm, u64 pa)
{
	u32 n = oldest_slot(pm);
	struct phys_slot *s = &pm->slot[n];
	u64 from;
	u64 to;

	if (!ram_around(pm->map, pa, &from, &to))
		return NULL;
	s->bytes = 0;
	s->va = phys_window(n, from, (u32)((to - from) >> PAGE_SHIFT));
	if (!s->va)
		return NULL;
	s->pa = from;
	s->bytes = to - from;
	return s;
}

static bool slot_shows(const struct phys_slot *s, u64 pa, u64 len)
{
	return pa >= s->pa && range_fits(pa - s->pa, len, s->bytes);
}

const void *physmem_view(struct physmem *pm, u64 pa, u64 len)
{
	struct phys_slot *s = NULL;

	if (!pm->map)
		return NULL;
	if (!range_fits(pa & (PHYS_WINDOW_BYTES - 1), len, PHYS_WINDOW_BYTES) || len == 0)
		return NULL;
	for (u32 i = 0; i < PHYS_WINDOW_SLOTS && !s; i++) {
		if (slot_shows(&pm->slot[i], pa, len))
			s = &pm->slot[i];
	}
	if (!s)
		s = open_window(pm, pa);
	if (!s || !slot_shows(s, pa, len))
		return NULL;
	s->last_view = ++pm->views;
	return s->va + (pa - s->pa);
}

const void *physmem_page(struct physmem *pm, u64 pa)
{
	const volatile u8 *page = physmem_view(pm, pa, PAGE_BYTES);

	if (!page)
		return NULL;
	for (u32 i = 0; i < PAGE_BYTES; i += CACHE_LINE_BYTES)
		(void)page[i];
	return phys_unreadable(pa) ? NULL : (const void *)page;
}

/* Whether any page of [pa, pa+len), which lies inside one window, met a memory error. */
static bool any_unreadable(u64 pa, u64 len)
{
	for (u64 at = pa & ~(u64)(PAGE_BYTES - 1); at < pa + len; at += PAGE_BYTES) {
		if (phys_unreadable(at))
			return true;
	}
	return false;
}

enum status physmem_read(struct physmem *pm, u64 pa, void *buf, u64 len)
{
	u8 *to = buf;

	if (pm->read)
		return pm->read(pm->ctx, pa, buf, len);
	if (len > UINT64_MAX - pa)
		return E_NOT_RAM;
	while (len > 0) {
		u64 left = PHYS_WINDOW_BYTES - (pa & (PHYS_WINDOW_BYTES - 1));
		u64 n = min_u64(len, left);
		const void *view = physmem_view(pm, pa, n);

		if (!view)
			return E_NOT_RAM;
		memcpy(to, view, n);
		if (any_unreadable(pa, n))
			return E_UNREADABLE;
		to += n;
		pa += n;
		len -= n;
	}
	return OK;
}
