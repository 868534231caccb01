/*
 * The verdict on one struct page: its class, and for how many pages it is meant. Looks at
 * the bytes of that struct and of the one behind it only. A class that drops the page is
 * given only if everything in the struct agrees with it; what contradicts itself is kept.
 */
#include <string.h>
#include "dumplog.h"
#include "pageinfo.h"

#define MAPCOUNT_NONE	0xffffffffu /* not mapped, no type */
#define TYPE_LOWEST	0xf0000000u /* all page types are at or above, of any version */
#define MAPPING_FLAGS	3ull	    /* low bits of mapping */
#define MAPPING_ANON	1ull
#define MAPPING_MOVABLE 2ull	/* with ANON: KSM; alone: not on any LRU list */
#define POINTER_FLAGS	7ull	/* what mapping and lru point to is aligned to 8 bytes */
#define POINTER_LAST	4096ull /* no object lies in the last page of the address space */
#define TAIL		1ull
#define REFS_MAX	0x40000000 /* of a page in use; a large page has one per mapped part */
#define POISON_REFS_MAX 0x1000000  /* of a page that processes were told to let go */
#define HUGE_2M_ORDER	9
#define HUGE_1G_ORDER	18

/* The fields of one struct page that nearly every question needs. */
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

static struct page_verdict verdict(u32 class, u32 order, u32 members, u64 head_va)
{
	struct page_verdict v = {.class = class, .order = order, .members = members};

	v.compound = head_va;
	return v;
}

static struct page_verdict single(u32 class)
{
	return verdict(class, 0, PAGE_SINGLE, 0);
}

static bool all_zero(const struct page_rules *r, const struct fields *f, const u8 *bytes)
{
	u64 seen = 0;

	if (f->flags | f->mapping | f->compound)
		return false;
	for (u32 i = 0; i < r->size; i += 8)
		seen |= load_u64(bytes, (s32)i);
	return seen == 0;
}

static bool is_pointer(const struct page_rules *r, u64 va)
{
	return va >= r->kernel_va && va < 0 - POINTER_LAST && !(va & POINTER_FLAGS);
}

/* Not for slab pages: they have other things there. */
static bool mapping_is_plausible(const struct page_rules *r, u64 mapping)
{
	u64 pointer = mapping & ~MAPPING_FLAGS;

	return pointer == 0 || is_pointer(r, pointer);
}

/* Where the word of a tail at @va leads: a pointer, or since 7.1 a mask. */
static u64 tail_target(const struct page_rules *r, u64 va, u64 word)
{
	u64 target = word & ~TAIL;
	u64 span = 0 - target;

	/* A mask clears the bits of a power of two; so high up there is no struct page. */
	if (r->compound_masked && span <= (u64)r->size << PAGEINFO_MAX_ORDER &&
		(span & (span - 1)) == 0)
		return va & target;
	return target;
}

/* The head must be a struct page before this one, no farther than the largest page has. */
static bool tail_is_plausible(const struct page_rules *r, u64 va, u64 word)
{
	u64 back = va - tail_target(r, va, word);

	return back != 0 && back < (u64)r->size << PAGEINFO_MAX_ORDER && (u32)back % r->size == 0;
}

/* Not of a struct that is all zero. */
static inline bool believable(const struct page_rules *r, const struct fields *f, u64 va)
{
	if (f->compound & TAIL)
		return tail_is_plausible(r, va, f->compound);
	if (f->refcount < 0)
		return false;
	/* Slab's own counters lie in mapcount before 6.10, and slab can not always be told. */
	if (f->slab || (!r->slab && !r->has_slab_type) || f->mapcount >= TYPE_LOWEST)
		return true;
	/* What is mapped is held by that. */
	return (s32)f->mapcount >= 0 && (r->refcount < 0 || f->refcount > 0);
}

/* @f is believable and not all zero. */
static inline bool poisoned(const struct page_rules *r, const struct fields *f)
{
	if (!(f->flags & r->hwpoison))
		return false;
	if (f->compound & TAIL)
		return true;
	if (f->refcount > POISON_REFS_MAX)
		return false;
	if (f->slab)
		return true;
	if (r->refcount >= 0 && (s32)f->mapcount > f->refcount)
		return false;
	return mapping_is_plausible(r, f->mapping);
}

static inline bool has_type(const struct fields *f)
{
	return (s32)f->mapcount < 0 && f->mapcount != MAPCOUNT_NONE;
}

static bool is_buddy(const struct page_rules *r, const struct fields *f)
{
	if (r->has_buddy_type)
		return f->mapcount == r->buddy_type && !f->slab;
	return (f->flags & r->buddy) != 0;
}

/* Flags that no free page has. */
static u64 used_flags(const struct page_rules *r)
{
	return r->lru | r->swapcache | r->private_flag | r->slab | r->head | r->hwpoison;
}

static bool list_is_plausible(const struct page_rules *r, const u8 *bytes)
{
	if (r->list_next < 0)
		return true;
	return is_pointer(r, load_u64(bytes, r->list_next)) &&
	       is_pointer(r, load_u64(bytes, r->list_prev));
}

/* A free block of 2^@order pages. */
static struct page_verdict judge_free(
	const struct page_rules *r, const struct fields *f, const struct page_ref *page, u64 order)
{
	if (order >= r->free_orders || page->pfn & ((1ull << order) - 1))
		return single(DL_METADATA_LOST);
	if (f->refcount != 0 || f->flags & used_flags(r) || !list_is_plausible(r, page->bytes))
		return single(DL_METADATA_LOST);
	return verdict(DL_FREE, (u32)order, PAGE_FREE_BLOCK, 0);
}

static bool is_cache(const struct page_rules *r, const struct fields *f)
{
	if (f->flags & r->lru)
		return true;
	return f->flags & r->swapcache && (!r->swapbacked || f->flags & r->swapbacked);
}

/* By makedumpfile's order of questions; hugetlb is not told here. */
static u32 class_of(const struct page_rules *r, const struct fields *f)
{
	if (f->mapping & MAPPING_ANON && !f->slab)
		return DL_USER;
	if (is_cache(r, f)) {
		/* Where the flag is not known, it could be set. */
		bool private = !r->private_flag || f->flags & r->private_flag;

		return private ? DL_PRIVATE_CACHE : DL_CACHE;
	}
	if (r->has_offline_type && f->mapcount == r->offline_type && !f->slab)
		return DL_OFFLINE;
	return DL_KEPT;
}

/* What holds for each page in use by a process or in the page cache. */
static bool use_is_plausible(const struct page_rules *r, const struct fields *f, u32 class)
{
	if (f->slab || has_type(f) || !mapping_is_plausible(r, f->mapping))
		return false;
	/* Each mapping holds a reference; mapcount is one less than their number. */
	if (r->refcount >= 0 && (f->refcount == 0 || f->refcount > REFS_MAX))
		return false;
	if (r->refcount >= 0 && (s32)f->mapcount > f->refcount)
		return false;
	if (class == DL_USER)
		return (f->mapping & ~MAPPING_FLAGS) != 0;
	/* What is cut off from its file was unmapped before. */
	return f->mapping == 0 ? f->mapcount == MAPCOUNT_NONE : !(f->mapping & MAPPING_MOVABLE);
}

static bool offline_is_plausible(const struct page_rules *r, const struct fields *f)
{
	return !(f->flags & (r->lru | r->swapcache | r->head)) &&
	       mapping_is_plausible(r, f->mapping);
}

/* Pages in the pool are free: no references, no mapping. */
static bool huge_is_plausible(const struct page_rules *r, const struct fields *f)
{
	if (f->slab || f->flags & (r->lru | r->swapcache))
		return false;
	if (r->hugetlb_from != HUGETLB_TYPE && has_type(f))
		return false;
	if (!mapping_is_plausible(r, f->mapping))
		return false;
	return r->refcount < 0 || f->refcount > 0 || f->mapping == 0;
}

/* The order of a compound page, from the struct behind its head; 0 if it is not known. */
static u64 compound_order(const struct page_rules *r, const u8 *next)
{
	u16 half;

	switch (r->order_from) {
	case ORDER_FLAGS:
		return load_u64(next, r->order_at) & 0xff;
	case ORDER_BYTE:
		return next[r->order_at];
	case ORDER_HALF:
		memcpy(&half, next + r->order_at, sizeof(half));
		return half;
	case ORDER_LIST_PREV:
		return load_u64(next, r->order_at);
	default:
		return 0;
	}
}

static u64 destructor(const struct page_rules *r, const u8 *next)
{
	u64 v = 0;

	if (r->hugetlb_bytes <= sizeof(v))
		memcpy(&v, next + r->hugetlb_at, r->hugetlb_bytes);
	return v;
}

static bool is_hugetlb(const struct page_rules *r, const struct fields *f, const u8 *next)
{
	switch (r->hugetlb_from) {
	case HUGETLB_TYPE:
		return f->mapcount == r->hugetlb_value;
	case HUGETLB_FLAG:
		return next && load_u64(next, r->hugetlb_at) & r->hugetlb_value;
	case HUGETLB_DTOR:
		return next && destructor(r, next) == r->hugetlb_value;
	default:
		return false;
	}
}

/* The verdict @class for a compound page, if there is one of that order. */
static struct page_verdict judge_compound(const struct page_rules *r, const struct page_ref *page,
	const u8 *next, u32 class, bool huge)
{
	u64 order;

	if (r->order_from == ORDER_NONE || (r->compound < 0 && r->private < 0))
		return single(DL_KEPT);
	order = next ? compound_order(r, next) : 0;
	if (order == 0 || order > PAGEINFO_MAX_ORDER || page->pfn & ((1ull << order) - 1))
		return single(DL_METADATA_LOST);
	if (huge && order != HUGE_2M_ORDER && order != HUGE_1G_ORDER)
		return single(DL_METADATA_LOST);
	return verdict(class, (u32)order, PAGE_COMPOUND, page->va);
}

/* A poisoned hugetlb page does not say which part of it is bad. */
static struct page_verdict judge_poisoned(const struct page_rules *r, const struct fields *f,
	const struct page_ref *page, const u8 *next)
{
	struct page_verdict v;

	if (!(f->flags & r->head) || f->compound & TAIL || !is_hugetlb(r, f, next))
		return single(DL_HWPOISON);
	v = judge_compound(r, page, next, DL_HWPOISON, true);
	return v.class == DL_HWPOISON ? v : single(DL_HWPOISON);
}

static struct page_verdict judge_used(const struct page_rules *r, const struct fields *f,
	const struct page_ref *page, const u8 *next)
{
	bool head = (f->flags & r->head) != 0;
	bool huge = head && is_hugetlb(r, f, next);
	u32 class = huge ? DL_USER : class_of(r, f);
	bool plausible;

	if (class == DL_KEPT)
		return single(DL_KEPT);
	if (huge)
		plausible = huge_is_plausible(r, f);
	else if (class == DL_OFFLINE)
		plausible = offline_is_plausible(r, f);
	else
		plausible = use_is_plausible(r, f, class);
	if (!plausible)
		return single(DL_METADATA_LOST);
	return head ? judge_compound(r, page, next, class, huge) : single(class);
}

struct page_verdict page_judge(
	const struct page_rules *r, const struct page_ref *page, const u8 *next)
{
	struct fields f = fields_load(r, page->bytes);

	if (!believable(r, &f, page->va) || all_zero(r, &f, page->bytes))
		return single(DL_METADATA_LOST);
	if (f.flags & r->hwpoison)
		return poisoned(r, &f) ? judge_poisoned(r, &f, page, next)
				       : single(DL_METADATA_LOST);
	if (f.compound & TAIL)
		return single(DL_KEPT);
	if (is_buddy(r, &f)) {
		if (r->private < 0 || r->free_orders == 0)
			return single(DL_KEPT);
		return judge_free(r, &f, page, load_u64(page->bytes, r->private));
	}
	if (r->has_unaccepted_type && f.mapcount == r->unaccepted_type) {
		if (r->free_orders == 0)
			return single(DL_KEPT);
		return judge_free(r, &f, page, r->free_orders - 1);
	}
	return judge_used(r, &f, page, next);
}

static bool is_free_member(const struct page_rules *r, const struct fields *f)
{
	return f->refcount == 0 && f->mapcount == MAPCOUNT_NONE && !(f->compound & TAIL) &&
	       !(f->flags & used_flags(r));
}

/*
 * Before 7.1 the memory of a hugetlb page's page map may be reduced to its first 4 KiB, mapped
 * again and again: what begins each of these mappings looks like the head itself.
 */
static bool is_false_head(const struct page_rules *r, const struct page_verdict *head,
	const struct fields *f, const struct page_ref *page)
{
	u64 distance = page->va - head->compound;

	if (!(f->flags & r->head) || page->va % PAGE_BYTES != 0 || r->compound_masked)
		return false;
	if (head->order != HUGE_2M_ORDER && head->order != HUGE_1G_ORDER)
		return false;
	if (distance == 0 || distance >= (u64)r->size << head->order)
		return false;
	return r->hugetlb_from == HUGETLB_DTOR ||
	       (r->hugetlb_from == HUGETLB_TYPE && f->mapcount == r->hugetlb_value);
}

static bool is_tail_of(const struct page_rules *r, const struct page_verdict *head,
	const struct fields *f, const struct page_ref *page)
{
	if (r->compound < 0)
		return !(f->flags & r->head) && load_u64(page->bytes, r->private) == head->compound;
	if (!(f->compound & TAIL))
		return false;
	return tail_target(r, page->va, f->compound) == head->compound;
}

bool page_is_member(
	const struct page_rules *r, const struct page_verdict *head, const struct page_ref *page)
{
	struct fields f = fields_load(r, page->bytes);

	if (head->members == PAGE_FREE_BLOCK)
		return is_free_member(r, &f);
	if (head->members != PAGE_COMPOUND)
		return false;
	return is_tail_of(r, head, &f, page) || is_false_head(r, head, &f, page);
}

bool page_is_poisoned(const struct page_rules *r, const struct page_ref *page)
{
	struct fields f;

	if (!(load_u64(page->bytes, r->flags) & r->hwpoison))
		return false;
	f = fields_load(r, page->bytes);
	return believable(r, &f, page->va) && poisoned(r, &f);
}

bool page_is_believable(const struct page_rules *r, const struct page_ref *page)
{
	struct fields f = fields_load(r, page->bytes);

	return believable(r, &f, page->va) || all_zero(r, &f, page->bytes);
}

void page_facts_read(const struct page_rules *r, const u8 *page, struct page_facts *f)
{
	f->flags = load_u64(page, r->flags);
	f->mapping = load_u64(page, r->mapping);
	f->private = r->private >= 0 ? load_u64(page, r->private) : 0;
	f->refcount = r->refcount >= 0 ? (s32)load_u32(page, r->refcount) : -1;
	f->mapcount = r->mapcount >= 0 ? (s32)load_u32(page, r->mapcount) : -1;
}
