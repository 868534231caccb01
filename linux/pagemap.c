/*
 * The old kernel's page map as the rest of the program sees it: opens the kind that
 * vmcoreinfo describes and finds the struct page of any PFN. Judges no struct page.
 */
#include <string.h>
#include "pagemap_parts.h"
#include "verify.h"

#define SAMPLES 1024u

static enum status open_kind(struct pagemap *m, const struct oldkernel *k)
{
	s64 offset;
	u64 va;

	if (vmcoreinfo_hex(&k->vi, "SYMBOL(mem_section)", &va))
		return pagemap_open_sparse(m, k);
	/* kernels with sections export node_data too, but not what it takes to use it */
	if (vmcoreinfo_hex(&k->vi, "SYMBOL(node_data)", &va) &&
		vmcoreinfo_number(&k->vi, "OFFSET(pglist_data.node_mem_map)", &offset))
		return pagemap_open_nodes(m, &k->vi);
	return pagemap_open_flat(m, &k->vi);
}

enum status pagemap_open(struct pagemap *m, struct physmem *pm, const struct oldkernel *k)
{
	enum status st;

	memset(m, 0, sizeof(*m));
	m->pm = pm;
	m->pt = k->pt;
	m->page_offset = k->page_offset;
	st = page_rules_load(&k->vi, k->pt.levels, &m->rules);
	if (st == OK)
		st = open_kind(m, k);
	if (st == OK) {
		pagemap_walk(m);
		freelists_load(&m->lists, pm, k);
		st = m->present_pages ? OK : E_PAGEMAP;
	}
	if (st != OK)
		m->end_pfn = 0;
	return st;
}

void pagemap_stretch(struct pagemap *m, u64 pfn, struct pagemap_stretch *s)
{
	*s = (struct pagemap_stretch) {.pfn = pfn, .end_pfn = UINT64_MAX};
	if (pfn >= m->end_pfn)
		return;
	s->end_pfn = m->end_pfn;
	if (m->kind == PAGEMAP_SPARSE || m->kind == PAGEMAP_VMEMMAP)
		pagemap_stretch_sparse(m, s);
	else
		pagemap_stretch_nodes(m, s);
}

/* No kind of page map reaches up to where the kernel itself is mapped. */
bool pagemap_can_lie(const struct pagemap *m, u64 va, u64 count)
{
	if (va < m->rules.kernel_va || va > KERNEL_MAP_VA)
		return false;
	return count <= (KERNEL_MAP_VA - va) / m->rules.size;
}

/* Piece by piece: a struct page may lie across two pages of the page map. */
enum status pagemap_read(struct pagemap *m, u64 pfn, u8 *buf, u64 *va)
{
	struct pagemap_stretch s;
	u64 done = 0;

	pagemap_stretch(m, pfn, &s);
	if (!s.va)
		return E_PAGEMAP;
	*va = s.va;
	while (done < m->rules.size) {
		enum status st;
		u64 bytes;
		u64 pa;

		st = pagemap_translate(m, s.va + done, &pa, &bytes);
		bytes = min_u64(bytes, m->rules.size - done);
		if (st == OK)
			st = physmem_read(m->pm, pa, buf + done, bytes);
		if (st != OK)
			return st;
		done += bytes;
	}
	return OK;
}

const char *pagemap_name(const struct pagemap *m)
{
	switch (m->kind) {
	case PAGEMAP_SPARSE:
		return m->sections_per_root ? "sparse, extreme" : "sparse";
	case PAGEMAP_VMEMMAP:
		return "sparse, vmemmap";
	case PAGEMAP_FLAT:
		return "flat";
	default:
		return "discontiguous";
	}
}

bool pagemap_is_blank(const u8 *page, u32 bytes)
{
	u8 any = 0;

	for (u32 i = 0; i < bytes; i++)
		any |= page[i];
	return any == 0;
}

static bool is_described(struct pagemap *m, u64 pfn)
{
	struct page_ref page = {.pfn = pfn};
	u8 buf[PAGEINFO_MAX_BYTES];

	if (pagemap_read(m, pfn, buf, &page.va) != OK)
		return false;
	page.bytes = buf;
	return !pagemap_is_blank(buf, m->rules.size) && page_is_believable(&m->rules, &page);
}

/* One page in so many of all RAM, however it is split into ranges. */
u64 pagemap_coverage(struct pagemap *m, const struct memmap *map)
{
	u64 pages = memmap_ram_pages(map);
	u64 step = pages / SAMPLES + 1;
	u64 skip = 0;
	u64 found = 0;

	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];
		u64 count = r->type == MEM_RAM ? r->bytes >> PAGE_SHIFT : 0;

		for (; skip < count; skip += step)
			found += is_described(m, (r->pa >> PAGE_SHIFT) + skip);
		skip -= count;
	}
	return min_u64(found * step, pages);
}
