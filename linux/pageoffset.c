/*
 * Where the old kernel maps physical address 0: no kernel exports it, two things show it.
 * What they show is believed only if the kernel's own root table is mapped accordingly.
 */
#include "pagetable.h"
#include "verify.h"

#define DIRECT_MAP_MIN 272u /* first entry of the root table that can be the direct map's */
#define DIRECT_MAP_END 511u /* the last entry maps the kernel itself */
#define DIRECT_ALIGN   ((u64)GIB)

/* True if the kernel maps its own root table there too, as the direct map does. */
static bool is_page_offset(struct physmem *pm, const struct pagetable *pt, u64 page_offset)
{
	u64 pa;

	if (page_offset & (DIRECT_ALIGN - 1) || page_offset >= KERNEL_MAP_VA)
		return false;
	return page_offset >> 63 && pagetable_walk(pm, pt, page_offset + pt->root_pa, &pa) == OK &&
	       pa == pt->root_pa;
}

/* From 4.15 on mem_section is a pointer into the direct map; before, it is kernel data. */
static bool offset_from_symbol(struct physmem *pm, const struct oldkernel *k, u64 *page_offset)
{
	u64 va;
	u64 pa;

	if (!vmcoreinfo_hex(&k->vi, "SYMBOL(mem_section)", &va) || va >= KERNEL_MAP_VA)
		return false;
	if (pagetable_walk(pm, &k->pt, va, &pa) != OK)
		return false;
	*page_offset = va - pa;
	return is_page_offset(pm, &k->pt, *page_offset);
}

/* Index of the first present entry in [from, end) of the table at @pa; @end if none. */
static u32 first_present(struct physmem *pm, u64 pa, u32 from, u32 end, u64 *entry)
{
	for (u32 i = from; i < end; i++) {
		if (physmem_read(pm, pa + i * sizeof(*entry), entry, sizeof(*entry)) != OK)
			return end;
		if (*entry & PT_PRESENT)
			return i;
	}
	return end;
}

/* The direct map starts with physical address 0 on a 1 GiB boundary: the first one mapped. */
static bool offset_from_tables(struct physmem *pm, const struct oldkernel *k, u64 *page_offset)
{
	u64 mask = PT_ADDRESS & ~k->pt.sme_mask;
	u64 table = k->pt.root_pa;
	u32 from = DIRECT_MAP_MIN;
	u32 end = DIRECT_MAP_END;
	u64 va = ~0ull << pt_shift(k->pt.levels + 1);

	for (u32 level = k->pt.levels; level >= PT_LEVEL_1GIB; level--) {
		u64 entry = 0;
		u32 i = first_present(pm, table, from, end, &entry);

		if (i == end)
			return false;
		va |= (u64)i << pt_shift(level);
		table = entry & mask;
		from = 0;
		end = PT_ENTRIES;
	}
	*page_offset = va;
	return is_page_offset(pm, &k->pt, va);
}

u64 oldkernel_page_offset(struct physmem *pm, const struct oldkernel *k)
{
	u64 page_offset;

	if (offset_from_symbol(pm, k, &page_offset) || offset_from_tables(pm, k, &page_offset))
		return page_offset;
	return 0;
}
