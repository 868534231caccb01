/*
 * FLATMEM and DISCONTIGMEM: one array of struct pages, or one for each memory node. The
 * nodes are found by their table; their list is not followed.
 */
#include "pagemap_parts.h"
#include "verify.h"

#define MAX_PFN (1ull << 40)

/* Where struct pglist_data has what is needed. */
struct pgdat_layout {
	u64 mem_map;
	u64 start_pfn;
	u64 spanned_pages;
};

static bool load_offset(const struct vmcoreinfo *vi, const char *key, u64 *offset)
{
	s64 n;

	if (!vmcoreinfo_number(vi, key, &n) || n < 0 || n > MIB)
		return false;
	*offset = (u64)n;
	return true;
}

static bool load_pgdat(const struct vmcoreinfo *vi, struct pgdat_layout *l)
{
	return load_offset(vi, "OFFSET(pglist_data.node_mem_map)", &l->mem_map) &&
	       load_offset(vi, "OFFSET(pglist_data.node_start_pfn)", &l->start_pfn) &&
	       load_offset(vi, "OFFSET(pglist_data.node_spanned_pages)", &l->spanned_pages);
}

static bool read_u64(struct pagemap *m, u64 va, u64 *value)
{
	return va >= m->rules.kernel_va &&
	       pagetable_read(m->pm, &m->pt, va, value, sizeof(*value)) == OK;
}

/* False if the struct pglist_data at @va describes nothing that can be. */
static bool read_node(
	struct pagemap *m, const struct pgdat_layout *l, u64 va, struct pagemap_node *node)
{
	u64 count;

	if (va < m->rules.kernel_va || va > UINT64_MAX - 2 * MIB)
		return false;
	if (!read_u64(m, va + l->mem_map, &node->va) ||
		!read_u64(m, va + l->start_pfn, &node->pfn) ||
		!read_u64(m, va + l->spanned_pages, &count))
		return false;
	if (count == 0 || !range_fits(node->pfn, count, MAX_PFN) || node->va % sizeof(u64))
		return false;
	node->end_pfn = node->pfn + count;
	return pagemap_can_lie(m, node->va, count);
}

/* Two nodes that claim the same pages or the same struct pages. */
static bool collide(
	const struct pagemap *m, const struct pagemap_node *a, const struct pagemap_node *b)
{
	u64 a_bytes = (a->end_pfn - a->pfn) * m->rules.size;
	u64 b_bytes = (b->end_pfn - b->pfn) * m->rules.size;

	return (a->pfn < b->end_pfn && b->pfn < a->end_pfn) ||
	       (a->va < b->va + b_bytes && b->va < a->va + a_bytes);
}

/* Which of two that collide is wrong can not be told: none of them is kept. */
static void drop_colliding(struct pagemap *m)
{
	bool bad[PAGEMAP_MAX_NODES] = {false};
	u32 kept = 0;

	for (u32 i = 0; i < m->nodes; i++) {
		for (u32 j = 0; j < i; j++) {
			if (collide(m, &m->node[i], &m->node[j]))
				bad[i] = bad[j] = true;
		}
	}
	for (u32 i = 0; i < m->nodes; i++) {
		if (!bad[i])
			m->node[kept++] = m->node[i];
	}
	m->nodes = kept;
}

/* Struct pages hold their node's number in as many bits as the table is long. */
static u32 owner_shift(u64 length)
{
	u32 shift = 64;

	if (length < 2 || length & (length - 1))
		return 0;
	for (; length > 1; length >>= 1)
		shift--;
	return shift;
}

static enum status finish(struct pagemap *m)
{
	drop_colliding(m);
	for (u32 i = 0; i < m->nodes; i++) {
		m->end_pfn = max_u64(m->end_pfn, m->node[i].end_pfn);
		m->present_pages += m->node[i].end_pfn - m->node[i].pfn;
	}
	return m->nodes ? OK : E_PAGEMAP;
}

enum status pagemap_open_nodes(struct pagemap *m, const struct vmcoreinfo *vi)
{
	struct pgdat_layout layout;
	s64 length;
	u64 table;

	m->kind = PAGEMAP_DISCONTIG;
	if (!load_pgdat(vi, &layout) || !vmcoreinfo_hex(vi, "SYMBOL(node_data)", &table) ||
		!vmcoreinfo_number(vi, "LENGTH(node_data)", &length) || length <= 0)
		return E_PAGEMAP;
	m->owner_shift = owner_shift((u64)length);
	for (u32 i = 0; i < min_u64((u64)length, PAGEMAP_MAX_NODES); i++) {
		struct pagemap_node *node = &m->node[m->nodes];
		u64 pgdat;

		if (!read_u64(m, table + i * sizeof(pgdat), &pgdat) ||
			!read_node(m, &layout, pgdat, node))
			continue;
		if (pagemap_belongs(m, node, i))
			m->nodes++;
	}
	return finish(m);
}

/* What contig_page_data says is used where it is exported; it must agree with mem_map. */
static bool read_contig(struct pagemap *m, const struct vmcoreinfo *vi, struct pagemap_node *node)
{
	struct pgdat_layout layout;
	struct pagemap_node contig;
	u64 va;

	if (!vmcoreinfo_hex(vi, "SYMBOL(contig_page_data)", &va) || !load_pgdat(vi, &layout))
		return true;
	if (!read_node(m, &layout, va, &contig) ||
		contig.va - contig.pfn * m->rules.size != m->base_va)
		return false;
	*node = contig;
	return true;
}

enum status pagemap_open_flat(struct pagemap *m, const struct vmcoreinfo *vi)
{
	struct pagemap_node *node = &m->node[0];
	u64 va;

	m->kind = PAGEMAP_FLAT;
	if (!vmcoreinfo_hex(vi, "SYMBOL(mem_map)", &va) || !read_u64(m, va, &m->base_va) ||
		m->base_va % sizeof(u64))
		return E_PAGEMAP;
	node->va = m->base_va;
	node->end_pfn = m->pm->map ? memmap_end_pfn(m->pm->map) : MAX_PFN;
	if (!read_contig(m, vi, node) || !pagemap_can_lie(m, node->va, 1))
		return E_PAGEMAP;
	node->end_pfn =
		min_u64(node->end_pfn, node->pfn + (KERNEL_MAP_VA - node->va) / m->rules.size);
	if (!pagemap_belongs(m, node, 0))
		return E_PAGEMAP;
	m->nodes = 1;
	return finish(m);
}

void pagemap_stretch_nodes(const struct pagemap *m, struct pagemap_stretch *s)
{
	for (u32 i = 0; i < m->nodes; i++) {
		const struct pagemap_node *n = &m->node[i];

		if (s->pfn >= n->pfn && s->pfn < n->end_pfn) {
			s->va = n->va + (s->pfn - n->pfn) * m->rules.size;
			s->end_pfn = n->end_pfn;
			return;
		}
		if (n->pfn > s->pfn)
			s->end_pfn = min_u64(s->end_pfn, n->pfn);
	}
}
