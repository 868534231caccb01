/*
 * SPARSEMEM: memory in sections of 128 MiB, each with a pointer to its part of the page
 * map. With VMEMMAP all pointers say the same, and one that does not is not believed;
 * without, a part is believed if its struct pages name their section.
 */
#include "pagemap_parts.h"

#define SECTION_BITS	27 /* of an address */
#define PRESENT		1ull
#define HAS_MAP		2ull
#define MAP_ADDRESS	(~0xfffull)
#define UNUSED_BITS	0xfc0ull     /* between the address and six bits of flags */
#define READER_SECTIONS (1ull << 17) /* 16 TiB: where the memory map is not known */
#define MIN_PHYS_BITS	36
#define MAX_PHYS_BITS	52

struct section_walk {
	u32 range;
	u64 next;
};

/* What the sections say that have RAM. */
struct vote {
	u64 present;
	u64 agree; /* with @base */
	u64 base;
	u64 va; /* of the part of one that agrees */
};

static enum status read_u64(struct pagemap *m, u64 va, u64 *value)
{
	return pagetable_read(m->pm, &m->pt, va, value, sizeof(*value));
}

/* Address of the entry of @section. */
static bool section_entry(struct pagemap *m, u64 section, u64 *va)
{
	u64 root;

	if (!m->sections_per_root) {
		*va = m->section_array_va + section * m->section_bytes;
		return true;
	}
	if (read_u64(m, m->section_array_va + section / m->sections_per_root * sizeof(root),
		    &root) != OK)
		return false;
	*va = root + section % m->sections_per_root * m->section_bytes;
	return root >= m->rules.kernel_va && *va >= root;
}

/* What @section says of PFN 0's struct page. False if it has no struct pages. */
static bool section_base(struct pagemap *m, u64 section, u64 *base)
{
	u64 value;
	u64 va;

	if (!section_entry(m, section, &va) || read_u64(m, va + m->section_map_at, &value) != OK)
		return false;
	if ((value & (PRESENT | HAS_MAP)) != (PRESENT | HAS_MAP))
		return false;
	if (m->kind == PAGEMAP_SPARSE && value & UNUSED_BITS)
		return false;
	*base = value & MAP_ADDRESS;
	return pagemap_can_lie(
		m, *base + (section << SECTION_SHIFT) * m->rules.size, SECTION_PAGES);
}

/* The next section that has RAM. */
static bool next_in_ram(const struct pagemap *m, struct section_walk *w, u64 *section)
{
	const struct memmap *map = m->pm->map;

	for (; w->range < map->count; w->range++) {
		const struct mem_range *r = &map->range[w->range];
		u64 first = max_u64(r->pa >> SECTION_BITS, w->next);

		if (r->type != MEM_RAM || first > (r->pa + r->bytes - 1) >> SECTION_BITS ||
			first >= m->sections)
			continue;
		w->next = first + 1;
		*section = first;
		return true;
	}
	return false;
}

/* The next that may be there, where nobody says what is RAM. */
static bool next_in_table(struct pagemap *m, struct section_walk *w, u64 *section)
{
	u64 end = min_u64(m->sections, READER_SECTIONS);

	while (w->next < end) {
		u64 va;

		*section = w->next++;
		if (section_entry(m, *section, &va))
			return true;
		/* so are all others that share its root */
		w->next = (*section / m->sections_per_root + 1) * m->sections_per_root;
	}
	return false;
}

static bool section_next(struct pagemap *m, struct section_walk *w, u64 *section)
{
	return m->pm->map ? next_in_ram(m, w, section) : next_in_table(m, w, section);
}

/* The only base that more than half of the sections can have (Boyer and Moore). */
static u64 majority(struct pagemap *m)
{
	struct section_walk w = {0};
	u64 winner = 0;
	u64 lead = 0;
	u64 section;

	while (section_next(m, &w, &section)) {
		u64 base;

		if (!section_base(m, section, &base))
			continue;
		if (lead == 0)
			winner = base;
		if (base == winner)
			lead++;
		else
			lead--;
	}
	return winner;
}

static void count_votes(struct pagemap *m, struct vote *v)
{
	struct section_walk w = {0};
	u64 section;

	while (section_next(m, &w, &section)) {
		u64 base;

		if (!section_base(m, section, &base))
			continue;
		v->present++;
		if (base != v->base)
			continue;
		v->agree++;
		v->va = base + (section << SECTION_SHIFT) * m->rules.size;
	}
}

/* Without VMEMMAP the parts lie in the direct map, often one behind the other. */
static bool is_direct(struct pagemap *m, const struct oldkernel *k, u64 va)
{
	u64 pa;

	return k->page_offset && pagetable_walk(m->pm, &m->pt, va, &pa) == OK &&
	       va - pa == k->page_offset;
}

static enum status choose_base(struct pagemap *m, const struct oldkernel *k)
{
	struct vote v = {0};
	bool exported = vmcoreinfo_hex(&k->vi, "SYMBOL(vmemmap)", &v.base);

	m->kind = PAGEMAP_VMEMMAP;
	if (!exported)
		v.base = majority(m);
	count_votes(m, &v);
	m->present_pages = v.present * SECTION_PAGES;
	if (v.present == 0)
		return E_PAGEMAP;
	if (v.agree > v.present / 2 && (exported || !is_direct(m, k, v.va))) {
		m->base_va = v.base;
		return OK;
	}
	m->kind = PAGEMAP_SPARSE;
	return exported ? E_PAGEMAP : OK;
}

/* The array has one pointer for each root, or one entry for each section. */
static bool layout_fits(struct pagemap *m, u64 length, u32 phys_bits)
{
	u64 sections = 1ull << (phys_bits - SECTION_BITS);
	u32 per_root = PAGE_BYTES / m->section_bytes;

	if (length == (sections + per_root - 1) / per_root)
		m->sections_per_root = per_root;
	else if (length == sections)
		m->sections_per_root = 0;
	else
		return false;
	m->sections = sections;
	m->owner_shift = 64 - (phys_bits - SECTION_BITS);
	m->end_pfn = sections << SECTION_SHIFT;
	return true;
}

static enum status load_layout(struct pagemap *m, const struct vmcoreinfo *vi)
{
	static const u8 usual_bits[] = {46, 52, 44, 40};
	s64 length, bytes, offset, bits;

	if (!vmcoreinfo_number(vi, "LENGTH(mem_section)", &length) ||
		!vmcoreinfo_number(vi, "SIZE(mem_section)", &bytes) ||
		!vmcoreinfo_number(vi, "OFFSET(mem_section.section_mem_map)", &offset))
		return E_PAGEMAP;
	if (vmcoreinfo_number(vi, "NUMBER(SECTION_SIZE_BITS)", &bits) && bits != SECTION_BITS)
		return E_PAGEMAP;
	if (length <= 0 || bytes < 8 || bytes > PAGE_BYTES || offset < 0 || offset > bytes - 8)
		return E_PAGEMAP;
	m->section_bytes = (u32)bytes;
	m->section_map_at = (u64)offset;
	if (vmcoreinfo_number(vi, "NUMBER(MAX_PHYSMEM_BITS)", &bits)) {
		if (bits < MIN_PHYS_BITS || bits > MAX_PHYS_BITS)
			return E_PAGEMAP;
		return layout_fits(m, (u64)length, (u32)bits) ? OK : E_PAGEMAP;
	}
	for (u32 i = 0; i < ARRAY_SIZE(usual_bits); i++) {
		if (layout_fits(m, (u64)length, usual_bits[i]))
			return OK;
	}
	return E_PAGEMAP;
}

/* Some kernels export the address of a pointer to the array, most that of the array. */
enum status pagemap_open_sparse(struct pagemap *m, const struct oldkernel *k)
{
	enum status st = load_layout(m, &k->vi);

	if (st != OK)
		return st;
	if (!vmcoreinfo_hex(&k->vi, "SYMBOL(mem_section)", &m->section_array_va) ||
		m->section_array_va < m->rules.kernel_va)
		return E_PAGEMAP;
	st = choose_base(m, k);
	if (st == OK || !m->sections_per_root)
		return st;
	if (read_u64(m, m->section_array_va, &m->section_array_va) != OK ||
		m->section_array_va < m->rules.kernel_va)
		return E_PAGEMAP;
	return choose_base(m, k);
}

void pagemap_stretch_sparse(struct pagemap *m, struct pagemap_stretch *s)
{
	u64 section = s->pfn >> SECTION_SHIFT;
	struct pagemap_node part = {.pfn = section << SECTION_SHIFT};
	u64 base;

	part.end_pfn = part.pfn + SECTION_PAGES;
	s->end_pfn = part.end_pfn;
	if (!section_base(m, section, &base))
		return;
	part.va = base + part.pfn * m->rules.size;
	if (m->kind == PAGEMAP_VMEMMAP ? base == m->base_va : pagemap_belongs(m, &part, section))
		s->va = base + s->pfn * m->rules.size;
}
