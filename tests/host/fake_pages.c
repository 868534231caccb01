/*
 * Struct pages of a made-up page map, as Linux 6.1 has them.
 */
#include <string.h>
#include "fake_pagemap.h"

#define ZONE_FLAGS 0x0fffffc000000000ull /* node, zone and the last processor */

enum page_layout {
	AT_FLAGS = 0,
	AT_COMPOUND = 8, /* and lru */
	AT_DTOR = 16,
	AT_ORDER = 17,
	AT_MAPPING = 24,
	AT_PRIVATE = 40,
	AT_MAPCOUNT = 48,
	AT_REFCOUNT = 52,
};

static void put_word(const struct fake_pagemap *fp, u64 pfn, u32 at, u64 word)
{
	memcpy(fake_page(fp, pfn) + at, &word, sizeof(word));
}

/* Section or node are in the highest bits, if they are there. */
static u64 owner_flags(const struct fake_pagemap *fp, u64 pfn)
{
	if (fp->kind == PAGEMAP_SPARSE)
		return pfn / SECTION_PAGES << (64 - (fp->phys_bits - 27));
	for (u32 i = 0; i < fp->nodes; i++) {
		if (pfn >= fp->node[i].pfn && pfn < fp->node[i].end_pfn)
			return (u64)i << (64 - 6);
	}
	return fp->kind == PAGEMAP_VMEMMAP ? ZONE_FLAGS : 0;
}

void fake_page_flags(const struct fake_pagemap *fp, u64 pfn, u64 flags)
{
	put_word(fp, pfn, AT_FLAGS, owner_flags(fp, pfn) | flags);
}

void fake_page_counts(const struct fake_pagemap *fp, u64 pfn, s32 refcount, u32 mapcount)
{
	u8 *page = fake_page(fp, pfn);

	memcpy(page + AT_REFCOUNT, &refcount, sizeof(refcount));
	memcpy(page + AT_MAPCOUNT, &mapcount, sizeof(mapcount));
}

void fake_page_words(const struct fake_pagemap *fp, u64 pfn, u64 mapping, u64 private)
{
	put_word(fp, pfn, AT_MAPPING, mapping);
	put_word(fp, pfn, AT_PRIVATE, private);
}

void fake_page_compound(const struct fake_pagemap *fp, u64 pfn, u64 word)
{
	put_word(fp, pfn, AT_COMPOUND, word);
}

static void set(const struct fake_pagemap *fp, u64 pfn, u64 flags, s32 refcount, u32 mapcount)
{
	const u64 list[] = {FAKE_POINTER, FAKE_POINTER};
	u8 *page = fake_page(fp, pfn);

	memset(page, 0, fp->fk.page_bytes);
	flags |= owner_flags(fp, pfn);
	memcpy(page + AT_FLAGS, &flags, sizeof(flags));
	memcpy(page + AT_COMPOUND, list, sizeof(list));
	memcpy(page + AT_MAPCOUNT, &mapcount, sizeof(mapcount));
	memcpy(page + AT_REFCOUNT, &refcount, sizeof(refcount));
}

void fake_kept(const struct fake_pagemap *fp, u64 pfn, u64 count)
{
	for (u64 i = 0; i < count; i++)
		set(fp, pfn + i, 0, 1, UINT32_MAX);
}

void fake_free(const struct fake_pagemap *fp, u64 pfn, u32 order)
{
	for (u64 i = 0; i < 1ull << order; i++)
		set(fp, pfn + i, 0, 0, UINT32_MAX);
	fake_page_counts(fp, pfn, 0, FAKE_TYPE_BUDDY);
	fake_page_words(fp, pfn, 0, order);
}

void fake_anon(const struct fake_pagemap *fp, u64 pfn, u64 count)
{
	for (u64 i = 0; i < count; i++) {
		set(fp, pfn + i, FAKE_FLAG_LRU | FAKE_FLAG_SWAPBACKED, 1, 0);
		fake_page_words(fp, pfn + i, FAKE_POINTER | 1, 0);
	}
}

void fake_cache(const struct fake_pagemap *fp, u64 pfn, u64 count, bool private)
{
	for (u64 i = 0; i < count; i++) {
		set(fp, pfn + i, FAKE_FLAG_LRU | (private ? FAKE_FLAG_PRIVATE : 0), 2, UINT32_MAX);
		fake_page_words(fp, pfn + i, FAKE_POINTER, private ? FAKE_POINTER : 0);
	}
}

void fake_offline(const struct fake_pagemap *fp, u64 pfn, u64 count)
{
	for (u64 i = 0; i < count; i++)
		set(fp, pfn + i, 0, 1, FAKE_TYPE_OFFLINE);
}

void fake_compound(const struct fake_pagemap *fp, u64 pfn, u32 order, bool hugetlb)
{
	u64 head_va = fake_page_va(fp, pfn);

	if (hugetlb)
		fake_kept(fp, pfn, 1ull << order);
	else
		fake_anon(fp, pfn, 1ull << order);
	fake_page_flags(
		fp, pfn, FAKE_FLAG_HEAD | (hugetlb ? 0 : FAKE_FLAG_LRU | FAKE_FLAG_SWAPBACKED));
	for (u64 i = 1; i < 1ull << order; i++) {
		memset(fake_page(fp, pfn + i), 0, fp->fk.page_bytes);
		fake_page_flags(fp, pfn + i, 0);
		fake_page_counts(fp, pfn + i, 0, UINT32_MAX);
		fake_page_compound(fp, pfn + i, head_va | 1);
	}
	fake_page(fp, pfn + 1)[AT_DTOR] = hugetlb ? 2 : 1;
	fake_page(fp, pfn + 1)[AT_ORDER] = (u8)order;
}
