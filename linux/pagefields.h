/*
 * The fields of one struct page, and what can be said of them without asking what the page
 * is used for. Shared by the verdict on a struct page and the checks of its neighbours.
 */
#ifndef AFTERIMAGE_PAGEFIELDS_H
#define AFTERIMAGE_PAGEFIELDS_H

#include <string.h>
#include "pageinfo.h"

#define MAPCOUNT_NONE	0xffffffffu /* not mapped, no type */
#define TYPE_LOWEST	0xf0000000u /* all page types of any version are at or above */
#define MAPPING_FLAGS	3ull	    /* low bits of mapping */
#define MAPPING_ANON	1ull
#define MAPPING_MOVABLE 2ull /* with ANON: KSM; alone: not on any LRU list */
#define TAIL		1ull
#define LINK_UNALIGNED	4ull
#define LINK_NUMBER_MAX 0xffffull
#define LINK_POISON	0xdeadull
#define LINK_DMA_MASK	0x000ffffffffff000ull
#define REFCOUNT_MAX	0x10000000 /* a large page has one per mapped part */
#define HUGE_2M_ORDER	9
#define HUGE_1G_ORDER	18

/* What nearly every question needs. */
struct fields {
	u64 flags;
	u64 mapping;
	u64 compound; /* 0 where not exported */
	u32 mapcount; /* MAPCOUNT_NONE where not exported */
	s32 refcount;
	bool slab;
};

static inline u64 load_u64(const u8 *bytes, s32 at)
{
	u64 v;

	memcpy(&v, bytes + at, sizeof(v));
	return v;
}

static inline u32 load_u32(const u8 *bytes, s32 at)
{
	u32 v;

	memcpy(&v, bytes + at, sizeof(v));
	return v;
}

static inline struct fields fields_load(const struct page_rules *r, const u8 *bytes)
{
	struct fields f = {
		.flags = load_u64(bytes, r->flags),
		.mapping = load_u64(bytes, r->mapping),
		.compound = r->compound >= 0 ? load_u64(bytes, r->compound) : 0,
		.mapcount = r->mapcount >= 0 ? load_u32(bytes, r->mapcount) : MAPCOUNT_NONE,
		.refcount = r->refcount >= 0 ? (s32)load_u32(bytes, r->refcount) : 0,
	};

	f.slab = f.flags & r->slab || (r->has_slab_type && f.mapcount == r->slab_type);
	return f;
}

/* Flags that no free page has. */
static inline u64 used_flags(const struct page_rules *r)
{
	return r->lru | r->swapcache | r->private_flag | r->slab | r->head | r->hwpoison;
}

/* A pointer to an object of the kernel. */
bool fields_pointer(const struct page_rules *r, u64 va);

/* Not for slab pages: they have other things there. */
bool fields_mapping_plausible(const struct page_rules *r, u64 mapping);

bool fields_all_zero(const struct page_rules *r, const struct fields *f, const u8 *bytes);

/*
 * The word of a tail at @va leads to a struct page before it, no farther than the largest page
 * has struct pages.
 */
bool fields_tail_plausible(const struct page_rules *r, u64 va, u64 word);

/*
 * The same word where it is no tail's is the first of a list's two: a pointer, one that was
 * poisoned, a small number or nothing; before 5.14 also where a network card finds the page. Bit 1
 * is the network's. No verdict hangs on it, but what overwrites a struct page seldom keeps to this.
 */
static inline bool fields_link_plausible(const struct page_rules *r, u64 word)
{
	return word <= LINK_NUMBER_MAX || (word & ~LINK_DMA_MASK) == 0 ||
	       (word >= r->kernel_va && !(word & LINK_UNALIGNED)) || word >> 48 == LINK_POISON;
}

/* Of a struct page at @va that is not all zero. */
static inline bool fields_believable(const struct page_rules *r, const struct fields *f, u64 va)
{
	/* The highest node and zone are never there; a pointer has all these bits set. */
	if (f->flags >= r->kernel_va)
		return false;
	if (f->compound & TAIL)
		return fields_tail_plausible(r, va, f->compound);
	if (f->refcount < 0 || f->refcount > REFCOUNT_MAX || !fields_link_plausible(r, f->compound))
		return false;
	/* Slab's own counters lie in mapcount before 6.10, and slab can not always be told. */
	if (f->slab || (!r->slab && !r->has_slab_type) || f->mapcount >= TYPE_LOWEST)
		return true;
	/* What is mapped is held by that. */
	return (s32)f->mapcount >= 0 && (r->refcount < 0 || f->refcount > 0);
}

/* @f is believable and not all zero. */
bool fields_poisoned(const struct page_rules *r, const struct fields *f);

#endif
