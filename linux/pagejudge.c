/*
 * The verdict on one struct page: its class, and for how many pages it is meant. Looks at
 * the bytes of that struct and of the one behind it only. A class that drops the page is
 * given only if everything in the struct agrees with it; what contradicts itself is kept.
 */
#include <string.h>
#include "dumplog.h"
#include "pagefields.h"

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

static bool list_is_plausible(const struct page_rules *r, const u8 *bytes)
{
	if (r->list_next < 0)
		return true;
	return fields_pointer(r, load_u64(bytes, r->list_next)) &&
	       fields_pointer(r, load_u64(bytes, r->list_prev));
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
	if (f->slab || has_type(f) || !fields_mapping_plausible(r, f->mapping))
		return false;
	/* Each mapping holds a reference; mapcount is one less than their number. */
	if (r->refcount >= 0 && f->refcount == 0)
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
	return !(f->flags & (r->swapcache | r->head)) && fields_mapping_plausible(r, f->mapping);
}

/* Pages in the pool are free: no references, no mapping. */
static bool huge_is_plausible(const struct page_rules *r, const struct fields *f)
{
	if (f->slab || f->flags & (r->lru | r->swapcache))
		return false;
	if (r->hugetlb_from != HUGETLB_TYPE && has_type(f))
		return false;
	if (!fields_mapping_plausible(r, f->mapping))
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
	/* One flipped flag must not take along the tails of a page that belongs to no file. */
	if (!plausible || (head && !huge && f->mapping == 0))
		return single(DL_METADATA_LOST);
	return head ? judge_compound(r, page, next, class, huge) : single(class);
}

struct page_verdict page_judge(
	const struct page_rules *r, const struct page_ref *page, const u8 *next)
{
	struct fields f = fields_load(r, page->bytes);

	if (!fields_believable(r, &f, page->va) || fields_all_zero(r, &f, page->bytes))
		return single(DL_METADATA_LOST);
	if (f.flags & r->hwpoison)
		return fields_poisoned(r, &f) ? judge_poisoned(r, &f, page, next)
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
