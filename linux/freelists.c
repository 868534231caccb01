/*
 * Whether the page allocator agrees that a block is free. A struct page that was overwritten
 * with what looks like a free block would take other pages with it; its neighbours in the
 * list, which were not overwritten, show that. Looks at the two neighbours, never farther.
 */
#include <string.h>
#include "dumplog.h"
#include "pagemap_parts.h"

#define MAX_ZONES	8
#define MAX_NODE_IDS	1024
#define MAX_BYTES	((u64)16 * MIB) /* of a node's description */
#define LIST_HEAD_BYTES 16

enum link {
	LINK_BROKEN,
	LINK_SOUND,    /* points back, whatever it is */
	LINK_CONFIRMED /* and is of the same order */
};

static u64 number(const struct vmcoreinfo *vi, const char *key)
{
	s64 n;

	return vmcoreinfo_number(vi, key, &n) && n >= 0 && (u64)n <= MAX_BYTES ? (u64)n : MAX_BYTES;
}

static bool load_layout(struct freelists *f, const struct vmcoreinfo *vi)
{
	f->zones_at = number(vi, "OFFSET(pglist_data.node_zones)");
	f->zone_bytes = number(vi, "SIZE(zone)");
	f->areas_at = number(vi, "OFFSET(zone.free_area)");
	f->area_bytes = number(vi, "SIZE(free_area)");
	f->lists_at = number(vi, "OFFSET(free_area.free_list)");
	f->lists = number(vi, "LENGTH(free_area.free_list)");
	f->orders = (u32)min_u64(number(vi, "LENGTH(zone.free_area)"), PAGEINFO_MAX_ORDER + 1);
	return f->zones_at < MAX_BYTES && f->zone_bytes < MAX_BYTES && f->orders > 0 &&
	       f->area_bytes > 0 && f->lists_at < f->area_bytes && f->lists < MAX_BYTES &&
	       range_fits(f->areas_at, f->orders * f->area_bytes, f->zone_bytes);
}

static void load_nodes(struct freelists *f, struct physmem *pm, const struct oldkernel *k, u64 va)
{
	u64 ids = min_u64(number(&k->vi, "LENGTH(node_data)"), MAX_NODE_IDS);

	for (u64 i = 0; i < ids && f->nodes < FREELISTS_MAX_NODES; i++) {
		u64 node;

		if (pagetable_read(pm, &k->pt, va + i * sizeof(node), &node, sizeof(node)) == OK &&
			node)
			f->node_va[f->nodes++] = node;
	}
}

void freelists_load(struct freelists *f, struct physmem *pm, const struct oldkernel *k)
{
	u64 va;

	memset(f, 0, sizeof(*f));
	if (!load_layout(f, &k->vi))
		return;
	if (vmcoreinfo_hex(&k->vi, "SYMBOL(node_data)", &va))
		load_nodes(f, pm, k, va);
	else if (vmcoreinfo_hex(&k->vi, "SYMBOL(contig_page_data)", &va))
		f->node_va[f->nodes++] = va;
}

/* True if the zones of the node at @node_va have a list of free blocks of @order at @va. */
static bool is_list_of(const struct freelists *f, u64 node_va, u64 va, u32 order)
{
	u64 at = va - node_va - f->zones_at;

	if (va < node_va + f->zones_at || at >= MAX_ZONES * f->zone_bytes)
		return false;
	at %= f->zone_bytes;
	if (at < f->areas_at || (at - f->areas_at) / f->area_bytes != order)
		return false;
	at = (at - f->areas_at) % f->area_bytes;
	return at >= f->lists_at && (at - f->lists_at) % LIST_HEAD_BYTES == 0 &&
	       (at - f->lists_at) / LIST_HEAD_BYTES < f->lists;
}

static bool is_list(const struct freelists *f, u64 va, u32 order)
{
	if (order >= f->orders)
		return false;
	for (u32 i = 0; i < f->nodes; i++) {
		if (is_list_of(f, f->node_va[i], va, order))
			return true;
	}
	return false;
}

/*
 * Copies a few bytes of the old kernel. Neighbours lie all over the page map: walking to each of
 * them through page tables would take most of the time of a scan.
 */
static enum status read_at(struct pagemap *m, u64 va, void *buf, u64 len)
{
	u64 pa;

	if ((va & (PAGE_BYTES - 1)) + len <= PAGE_BYTES && pagemap_tract_pa(m, va, &pa))
		return physmem_read(m->pm, pa, buf, len);
	return pagetable_read(m->pm, &m->pt, va, buf, len);
}

/* Of the struct page at @va nothing is asked that depends on its PFN. */
static bool is_free_block(struct pagemap *m, u64 va, u32 order)
{
	u8 bytes[PAGEINFO_MAX_BYTES];
	struct page_ref page = {.pfn = 0, .va = va, .bytes = bytes};
	struct page_verdict v;

	if (read_at(m, va, bytes, m->rules.size) != OK)
		return false;
	v = page_judge(&m->rules, &page, NULL);
	return v.class == DL_FREE && v.order == order;
}

/* Where struct page has its list head; -1: not known. */
static s32 list_at(const struct page_rules *r)
{
	return r->list_next < r->list_prev ? r->list_next : r->list_prev;
}

/* Of two list heads: @own, and the one that its pointer at @from leads to. */
static enum link look(struct pagemap *m, const u8 *own, u64 own_va, u64 from, u32 order)
{
	u64 to = LIST_HEAD_BYTES / 2 - from;
	u64 va;
	u64 back;

	memcpy(&va, own + from, sizeof(va));
	if (va == own_va)
		return LINK_BROKEN;
	if (read_at(m, va + to, &back, sizeof(back)) != OK || back != own_va)
		return LINK_BROKEN;
	if (is_list(&m->lists, va, order) || is_free_block(m, va - (u64)list_at(&m->rules), order))
		return LINK_CONFIRMED;
	return LINK_SOUND;
}

bool freelists_hold(struct pagemap *m, const struct page_ref *page, u32 order)
{
	s32 lru = list_at(&m->rules);
	enum link one;
	enum link other;

	if (lru < 0)
		return true;
	one = look(m, page->bytes + lru, page->va + (u64)lru, 0, order);
	if (one == LINK_BROKEN)
		return false;
	other = look(m, page->bytes + lru, page->va + (u64)lru, LIST_HEAD_BYTES / 2, order);
	return other != LINK_BROKEN && (one == LINK_CONFIRMED || other == LINK_CONFIRMED);
}
