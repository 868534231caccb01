/*
 * Walking the old kernel's page tables (Intel SDM Vol. 3A s4.5; AMD APM Vol. 2 s5.3).
 * A table may hold anything: each entry is copied, checked, and followed at most once
 * per level.
 */
#include <string.h>
#include "oldkernel.h"
#include "pagetable.h"

/* All bits from the highest that is translated must be equal. */
static bool is_canonical(u64 va, u32 levels)
{
	s64 high = (s64)va >> (pt_shift(levels + 1) - 1);

	return high == 0 || high == -1;
}

enum status pagetable_map(
	struct physmem *pm, const struct pagetable *pt, u64 va, u64 *pa, u64 *bytes)
{
	u64 address = PT_ADDRESS & ~pt->sme_mask;
	u64 table = pt->root_pa & address;
	enum status st;

	if ((pt->levels != 4 && pt->levels != 5) || !is_canonical(va, pt->levels))
		return E_PAGETABLE;
	for (u32 level = pt->levels; level > 0; level--) {
		u32 shift = pt_shift(level);
		u64 page = (1ull << shift) - 1;
		u64 entry;

		st = physmem_read(pm, table + (va >> shift & (PT_ENTRIES - 1)) * sizeof(entry),
			&entry, sizeof(entry));
		if (st != OK)
			return st;
		if (!(entry & PT_PRESENT))
			return E_PAGETABLE;
		if (level == 1 || (entry & PT_LARGE && level <= PT_LEVEL_1GIB)) {
			*pa = (entry & address & ~page) | (va & page);
			*bytes = page + 1 - (va & page);
			return OK;
		}
		if (entry & PT_LARGE)
			return E_PAGETABLE;
		table = entry & address;
	}
	return E_PAGETABLE;
}

enum status pagetable_walk(struct physmem *pm, const struct pagetable *pt, u64 va, u64 *pa)
{
	u64 bytes;

	return pagetable_map(pm, pt, va, pa, &bytes);
}

/* Goes page by page; @va may wrap only at the very end. */
enum status pagetable_read(
	struct physmem *pm, const struct pagetable *pt, u64 va, void *buf, u64 len)
{
	u8 *to = buf;

	if (len > 0 && len - 1 > UINT64_MAX - va)
		return E_PAGETABLE;
	while (len > 0) {
		u64 n = min_u64(len, PAGE_BYTES - (va & (PAGE_BYTES - 1)));
		enum status st;
		u64 pa;

		st = pagetable_walk(pm, pt, va, &pa);
		if (st == OK)
			st = physmem_read(pm, pa, to, n);
		if (st != OK)
			return st;
		to += n;
		va += n;
		len -= n;
	}
	return OK;
}
