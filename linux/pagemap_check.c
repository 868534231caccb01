/*
 * Which parts of the page map can be trusted: none of its memory may serve two parts of
 * it, be anything but RAM, or have been written to since the old kernel stopped. Where
 * an entry of a page table was overwritten, this shows it.
 */
#include <string.h>
#include "pagemap_parts.h"

/*
 * Only memory mapped in pieces of this size is compared: that the old kernel maps one 4 KiB
 * page several times is normal, it saves memory for hugetlb pages so.
 */
#define PIECE	       ((u64)PAGEMAP_PIECE)
#define CLEARLY_LONGER 4 /* pieces of a tract, for a single one to be the odd one */

/* Where the map has the byte at @pa, which lies in the tract. */
static u64 tract_va(const struct pagemap_tract *t, u64 pa)
{
	u64 at = pa - t->pa;

	if (t->down)
		at = t->bytes - PIECE - (at & ~(PIECE - 1)) + (at & (PIECE - 1));
	return t->va + at;
}

static bool is_in(const struct pagemap_tract *t, u64 pa)
{
	return pa >= t->pa && pa - t->pa < t->bytes;
}

/* Lengthens the tract by the piece if it goes on there. */
static bool join(struct pagemap_tract *t, u64 va, u64 pa)
{
	bool single = t->bytes == PIECE;
	bool above = pa == t->pa + t->bytes;
	bool below = pa + PIECE == t->pa;
	bool after = va == t->va + t->bytes;
	bool before = va + PIECE == t->va;
	bool up = (after && above) || (before && below);
	bool down = (after && below) || (before && above);

	if (is_in(t, pa) && tract_va(t, pa) == va)
		return true;
	if (!(up && (single || !t->down)) && !(down && (single || t->down)))
		return false;
	t->down = down;
	t->va = min_u64(t->va, va);
	t->pa = min_u64(t->pa, pa);
	t->bytes += PIECE;
	return true;
}

static void add_piece(struct pagemap *m, u64 va, u64 pa)
{
	for (u32 i = m->tracts; i > 0; i--) {
		if (join(&m->tract[i - 1], va, pa))
			return;
	}
	if (m->tracts < PAGEMAP_MAX_TRACTS)
		m->tract[m->tracts++] = (struct pagemap_tract) {va, pa, PIECE, false};
}

/* The aligned pieces that hold [va, va+bytes) of the map. */
static void add_pieces(struct pagemap *m, u64 va, u64 bytes)
{
	u64 end = va + bytes;

	for (va &= ~(PIECE - 1); va < end; va += PIECE) {
		u64 left;
		u64 pa;

		if (pagetable_map(m->pm, &m->pt, va, &pa, &left) == OK && left >= PIECE)
			add_piece(m, va, pa);
	}
}

/* What all pieces have in common that lie in one line, whatever is missing between them. */
static u64 line_of(const struct pagemap_tract *t, bool down)
{
	return down ? t->va + t->pa + t->bytes : t->va - t->pa;
}

static u64 line_bytes(const struct pagemap *m, u32 n, bool down)
{
	u64 line = line_of(&m->tract[n], down);
	u64 bytes = 0;

	for (u32 i = 0; i < m->tracts; i++) {
		const struct pagemap_tract *t = &m->tract[i];

		if ((t->bytes == PIECE || t->down == down) && line_of(t, down) == line)
			bytes += t->bytes;
	}
	return bytes;
}

/* Bytes that lie in one line with tract @n. */
static u64 tract_weight(const struct pagemap *m, u32 n)
{
	const struct pagemap_tract *t = &m->tract[n];

	if (t->bytes > PIECE)
		return line_bytes(m, n, t->down);
	return max_u64(line_bytes(m, n, false), line_bytes(m, n, true));
}

/* A single piece that uses the memory of a much longer tract is the one that is wrong. */
static bool is_odd(const struct pagemap *m, u32 n)
{
	const struct pagemap_tract *t = &m->tract[n];

	if (tract_weight(m, n) > PIECE)
		return false;
	for (u32 i = 0; i < m->tracts; i++) {
		if (i != n && is_in(&m->tract[i], t->pa) &&
			tract_weight(m, i) >= CLEARLY_LONGER * PIECE)
			return true;
	}
	return false;
}

/*
 * What is no tract conflicts with nothing: the others can be used again. The odd piece can not:
 * its memory is theirs.
 */
static void drop_odd(struct pagemap *m)
{
	bool odd[PAGEMAP_MAX_TRACTS];
	u32 kept = 0;

	for (u32 i = 0; i < m->tracts; i++)
		odd[i] = is_odd(m, i);
	for (u32 i = 0; i < m->tracts; i++) {
		if (!odd[i])
			m->tract[kept++] = m->tract[i];
	}
	m->tracts = kept;
}

static void walk_range(struct pagemap *m, u64 pfn, u64 end_pfn)
{
	while (pfn < end_pfn) {
		struct pagemap_stretch s;
		u64 count;

		pagemap_stretch(m, pfn, &s);
		count = min_u64(s.end_pfn, end_pfn) - pfn;
		pfn += count;
		if (!s.va)
			continue;
		m->present_pages += count;
		add_pieces(m, s.va, count * m->rules.size);
	}
}

void pagemap_walk(struct pagemap *m)
{
	const struct memmap *map = m->pm->map;

	if (!map)
		return;
	m->present_pages = 0;
	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (r->type == MEM_RAM)
			walk_range(m, r->pa >> PAGE_SHIFT, (r->pa + r->bytes) >> PAGE_SHIFT);
	}
	drop_odd(m);
}

/* Cuts *bytes where the RAM ends that was not written to. */
static enum status cut_to_ram(const struct memmap *map, u64 pa, u64 *bytes)
{
	const struct mem_range *r = memmap_find(map, pa);

	if (!r || r->type != MEM_RAM)
		return E_NOT_RAM;
	if (r->touched != TOUCHED_NOBODY)
		return E_PAGEMAP;
	*bytes = min_u64(*bytes, r->pa + r->bytes - pa);
	return OK;
}

/* True if a tract has the memory at @pa for another part of the map. */
static bool is_shared(const struct pagemap *m, u64 va, u64 pa)
{
	for (u32 i = 0; i < m->tracts; i++) {
		if (is_in(&m->tract[i], pa) && tract_va(&m->tract[i], pa) != va)
			return true;
	}
	return false;
}

enum status pagemap_translate(struct pagemap *m, u64 va, u64 *pa, u64 *bytes)
{
	enum status st = pagetable_map(m->pm, &m->pt, va, pa, bytes);

	if (st != OK)
		return st;
	*bytes = min_u64(*bytes, PIECE - (*pa & (PIECE - 1)));
	if (m->pm->map)
		st = cut_to_ram(m->pm->map, *pa, bytes);
	if (st == OK && is_shared(m, va, *pa))
		st = E_PAGEMAP;
	return st;
}

/* The first or last page of RAM in @part. */
static u64 edge_pfn(const struct memmap *map, const struct pagemap_node *part, bool last)
{
	u64 first_pfn = part->end_pfn - 1;
	u64 last_pfn = part->pfn;

	if (!map)
		return last ? part->end_pfn - 1 : part->pfn;
	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];
		u64 pfn = max_u64(r->pa >> PAGE_SHIFT, part->pfn);
		u64 end_pfn = min_u64((r->pa + r->bytes) >> PAGE_SHIFT, part->end_pfn);

		if (r->type != MEM_RAM || pfn >= end_pfn)
			continue;
		first_pfn = min_u64(first_pfn, pfn);
		last_pfn = max_u64(last_pfn, end_pfn - 1);
	}
	return last ? last_pfn : first_pfn;
}

enum answer {
	SAYS_NOTHING,
	SAYS_YES,
	SAYS_NO
};

static enum answer ask(struct pagemap *m, const struct pagemap_node *part, u64 pfn, u64 owner)
{
	struct page_ref page = {.pfn = pfn, .va = part->va + (pfn - part->pfn) * m->rules.size};
	u8 buf[PAGEINFO_MAX_BYTES];
	struct page_facts f;

	if (pagetable_read(m->pm, &m->pt, page.va, buf, m->rules.size) != OK)
		return SAYS_NOTHING;
	page.bytes = buf;
	page_facts_read(&m->rules, buf, &f);
	/* nobody knows whether there is RAM at the edge of the part */
	if (!m->pm->map && pagemap_is_blank(buf, m->rules.size))
		return SAYS_NOTHING;
	if (!page_is_believable(&m->rules, &page))
		return SAYS_NO;
	return m->owner_shift == 0 || f.flags >> m->owner_shift == owner ? SAYS_YES : SAYS_NO;
}

bool pagemap_belongs(struct pagemap *m, const struct pagemap_node *part, u64 owner)
{
	enum answer first = ask(m, part, edge_pfn(m->pm->map, part, false), owner);
	enum answer last = ask(m, part, edge_pfn(m->pm->map, part, true), owner);

	return first != SAYS_NO && last != SAYS_NO && (first == SAYS_YES || last == SAYS_YES);
}
