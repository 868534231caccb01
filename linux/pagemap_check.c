/*
 * Which parts of the page map can be believed: its memory must be RAM that nobody has
 * written to since the old kernel stopped, serve no other part of the map, and not be in
 * use for something else by what the map itself says of it.
 */
#include "pagemap_parts.h"
#include "dumplog.h"

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

/* Without what the map says of its own memory, which is read by this. */
static enum status translate(struct pagemap *m, u64 va, u64 *pa, u64 *bytes)
{
	enum status st = pagetable_map(m->pm, &m->pt, va, pa, bytes);

	if (st != OK)
		return st;
	*bytes = min_u64(*bytes, PAGEMAP_PIECE - (*pa & (PAGEMAP_PIECE - 1)));
	return m->pm->map ? cut_to_ram(m->pm->map, *pa, bytes) : OK;
}

/* Piece by piece: a struct page may lie across two pages of the page map. */
static bool read_map(struct pagemap *m, u64 va, u8 *buf, u64 len)
{
	while (len > 0) {
		u64 bytes;
		u64 pa;

		if (translate(m, va, &pa, &bytes) != OK)
			return false;
		bytes = min_u64(bytes, len);
		if (physmem_read(m->pm, pa, buf, bytes) != OK)
			return false;
		va += bytes;
		buf += bytes;
		len -= bytes;
	}
	return true;
}

/* What the map says of one page. */
struct look {
	struct page_verdict verdict;
	bool in_block; /* it can be one of a free block, but not the first */
};

/* False if its struct page can not be had. */
static bool look_at(struct pagemap *m, u64 pfn, struct look *l)
{
	const struct page_verdict block = {.members = PAGE_FREE_BLOCK};
	struct page_ref page = {.pfn = pfn};
	u8 bytes[PAGEINFO_MAX_BYTES];
	u8 next[PAGEINFO_MAX_BYTES];
	struct pagemap_stretch s;
	bool has_next;

	pagemap_stretch(m, pfn, &s);
	if (!s.va || !read_map(m, s.va, bytes, m->rules.size))
		return false;
	has_next = pfn + 1 < s.end_pfn && read_map(m, s.va + m->rules.size, next, m->rules.size);
	page.va = s.va;
	page.bytes = bytes;
	l->verdict = page_judge(&m->rules, &page, has_next ? next : NULL);
	l->in_block = page_is_member(&m->rules, &block, &page);
	return true;
}

/* True if @pfn lies in a free block that begins before it. */
static bool is_in_free_block(struct pagemap *m, u64 pfn)
{
	struct look head;

	for (u32 order = 1; order < m->rules.free_orders; order++) {
		u64 head_pfn = pfn & ~((1ull << order) - 1);

		if (head_pfn != pfn && look_at(m, head_pfn, &head) &&
			head.verdict.class == DL_FREE &&
			pfn - head_pfn < 1ull << head.verdict.order)
			return true;
	}
	return false;
}

/* True if @va is in a large page. */
static bool is_large(struct pagemap *m, u64 va)
{
	u64 bytes;
	u64 pa;

	va &= ~((u64)PAGEMAP_PIECE - 1);
	return pagetable_map(m->pm, &m->pt, va, &pa, &bytes) == OK && bytes >= PAGEMAP_PIECE;
}

/*
 * True if the memory at @pa is free or holds what processes or files have there: then it is not
 * the page map's. With VMEMMAP a large page is the map's as a whole, so the beginning is asked.
 */
static bool is_foreign(struct pagemap *m, u64 va, u64 pa)
{
	struct look l;
	u32 class;

	if (m->kind == PAGEMAP_VMEMMAP && is_large(m, va))
		pa &= ~((u64)PAGEMAP_PIECE - 1);
	if (!look_at(m, pa >> PAGE_SHIFT, &l))
		return false;
	class = l.verdict.class;
	if (class == DL_FREE || class == DL_CACHE || class == DL_PRIVATE_CACHE || class == DL_USER)
		return true;
	return l.in_block && is_in_free_block(m, pa >> PAGE_SHIFT);
}

enum status pagemap_translate(struct pagemap *m, u64 va, u64 *pa, u64 *bytes)
{
	enum status st = translate(m, va, pa, bytes);

	if (st != OK)
		return st;
	return pagemap_is_shared(m, va, *pa) || is_foreign(m, va, *pa) ? E_PAGEMAP : OK;
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

	if (!read_map(m, page.va, buf, m->rules.size))
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
