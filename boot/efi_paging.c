/*
 * Firmware's page tables: which memory they show, and that it is shown where it is. Firmware may
 * leave pages out to catch its own mistakes; whoever looks there would be one of them.
 */
#include "boot/efi.h"

#define PTE_PRESENT   0x001ull
#define PTE_LARGE     0x080ull
#define PTE_ADDRESS   0x000ffffffffff000ull
#define TABLE_BITS    9u
#define LARGEST_LEVEL 3u /* that a page is shown by one entry of */

/*
 * Does the entry that is there for @va (Intel SDM Vol. 3A s4.5) show @va at its own address?
 * *bytes: from @va to the end of what that entry is for.
 */
static bool entry_shows(const struct efi_paging *p, u64 va, u64 *bytes)
{
	u64 table = p->root_pa;

	for (u32 level = p->levels; level > 0; level--) {
		u32 shift = PAGE_SHIFT + TABLE_BITS * (level - 1);
		u64 inside = va & ((1ull << shift) - 1);
		u64 entry = ((const u64 *)table)[va >> shift & ((1u << TABLE_BITS) - 1)];

		*bytes = (1ull << shift) - inside;
		if (!(entry & PTE_PRESENT))
			return false;
		if (level == 1 || (level <= LARGEST_LEVEL && entry & PTE_LARGE))
			return (entry & PTE_ADDRESS) >> shift == va >> shift;
		table = entry & PTE_ADDRESS;
	}
	return false;
}

u64 efi_paging_end(const struct efi_paging *p, u64 pa, u64 end)
{
	u64 bytes;

	while (pa < end && entry_shows(p, pa, &bytes))
		pa += bytes;
	return min_u64(pa, end);
}

/* Takes what is not shown of [pa, end) out of @map. */
static void range_cut(const struct efi_paging *p, u64 pa, u64 end, struct memmap *map)
{
	while (pa < end) {
		u64 bytes;

		if (!entry_shows(p, pa, &bytes))
			memmap_add(map, pa, min_u64(bytes, end - pa), MEM_RESERVED);
		pa += bytes;
	}
}

void efi_paging_cut(const struct efi_paging *p, struct memmap *map)
{
	/* The first page's address is the pointer to nothing. */
	memmap_add(map, 0, PAGE_BYTES, MEM_RESERVED);
	/* From the end on: what is cut moves only what comes after. */
	for (u32 i = map->count; i > 0; i--) {
		const struct mem_range r = map->range[i - 1];

		if (r.type == MEM_RAM)
			range_cut(p, r.pa, r.pa + r.bytes, map);
	}
}
