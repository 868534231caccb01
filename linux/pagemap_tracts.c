/*
 * Walks the page map over all RAM once and notes where it lies, so that memory shows that
 * serves two parts of it: then an entry of a page table was overwritten.
 */
#include "pagemap_parts.h"

/*
 * Only memory mapped in pieces of this size is compared: that the old kernel maps one 4 KiB
 * page several times is normal, it saves memory for hugetlb pages so.
 */
#define PIECE	       ((u64)PAGEMAP_PIECE)
#define CLEARLY_LONGER 4 /* pieces of a tract, for a single one to be the odd one */

/* From a byte's distance to the tract's lowest physical address to that to its va, and back. */
static u64 tract_turn(const struct pagemap_tract *t, u64 at)
{
	return t->down ? t->bytes - PIECE - (at & ~(PIECE - 1)) + (at & (PIECE - 1)) : at;
}

/* Where the map has the byte at @pa, which lies in the tract. */
static u64 tract_va(const struct pagemap_tract *t, u64 pa)
{
	return t->va + tract_turn(t, pa - t->pa);
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

bool pagemap_is_shared(const struct pagemap *m, u64 va, u64 pa)
{
	for (u32 i = 0; i < m->tracts; i++) {
		if (is_in(&m->tract[i], pa) && tract_va(&m->tract[i], pa) != va)
			return true;
	}
	return false;
}

bool pagemap_tract_pa(const struct pagemap *m, u64 va, u64 *pa)
{
	for (u32 i = 0; i < m->tracts; i++) {
		const struct pagemap_tract *t = &m->tract[i];
		u64 at = va - t->va;

		if (va < t->va || at >= t->bytes)
			continue;
		*pa = t->pa + tract_turn(t, at);
		return true;
	}
	return false;
}
