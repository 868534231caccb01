/*
 * What one struct page says without a verdict: whether any kernel wrote it, whether it marks
 * bad memory, whether it belongs to a block whose head was judged. Does not tell classes.
 */
#include "pagefields.h"

#define POINTER_FLAGS	7ull	  /* what mapping and lru point to is aligned to 8 bytes */
#define POINTER_LAST	4096ull	  /* no object lies in the last page of the address space */
#define POISON_REFS_MAX 0x1000000 /* of a page that processes were told to let go */

bool fields_all_zero(const struct page_rules *r, const struct fields *f, const u8 *bytes)
{
	u64 seen = 0;

	if (f->flags | f->mapping | f->compound)
		return false;
	for (u32 i = 0; i < r->size; i += 8)
		seen |= load_u64(bytes, (s32)i);
	return seen == 0;
}

bool fields_pointer(const struct page_rules *r, u64 va)
{
	return va >= r->kernel_va && va < 0 - POINTER_LAST && !(va & POINTER_FLAGS);
}

bool fields_mapping_plausible(const struct page_rules *r, u64 mapping)
{
	u64 pointer = mapping & ~MAPPING_FLAGS;

	return pointer == 0 || fields_pointer(r, pointer);
}

/*
 * The word of a tail without its flag: a pointer, or since 7.1 a mask that clears the bits of a
 * power of two. So high up there is no struct page.
 */
static bool is_mask(const struct page_rules *r, u64 target)
{
	u64 span = 0 - target;

	return r->compound_masked && span <= (u64)r->size << PAGEINFO_MAX_ORDER &&
	       (span & (span - 1)) == 0;
}

/* Where the word of a tail at @va leads. */
static u64 tail_target(const struct page_rules *r, u64 va, u64 word)
{
	u64 target = word & ~TAIL;

	return is_mask(r, target) ? va & target : target;
}

bool fields_tail_plausible(const struct page_rules *r, u64 va, u64 word)
{
	u64 back = va - tail_target(r, va, word);

	return back != 0 && back < (u64)r->size << PAGEINFO_MAX_ORDER && (u32)back % r->size == 0;
}

bool fields_poisoned(const struct page_rules *r, const struct fields *f)
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
	return fields_mapping_plausible(r, f->mapping);
}

static bool is_free_member(const struct page_rules *r, const struct fields *f)
{
	return f->refcount == 0 && f->mapcount == MAPCOUNT_NONE && !(f->compound & TAIL) &&
	       !(f->flags & (used_flags(r) | r->buddy));
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
	return r->hugetlb_from != HUGETLB_TYPE || f->mapcount == r->hugetlb_value;
}

static bool is_tail_of(const struct page_rules *r, const struct page_verdict *head,
	const struct fields *f, const struct page_ref *page)
{
	if (r->compound < 0)
		return !(f->flags & r->head) && load_u64(page->bytes, r->private) == head->compound;
	if (!(f->compound & TAIL))
		return false;
	if (is_mask(r, f->compound & ~TAIL) &&
		f->compound != ((0 - ((u64)r->size << head->order)) | TAIL))
		return false; /* of a compound page of another size */
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
	return fields_believable(r, &f, page->va) && fields_poisoned(r, &f);
}

bool page_is_believable(const struct page_rules *r, const struct page_ref *page)
{
	struct fields f = fields_load(r, page->bytes);

	return fields_believable(r, &f, page->va) || fields_all_zero(r, &f, page->bytes);
}

void page_facts_read(const struct page_rules *r, const u8 *page, struct page_facts *f)
{
	f->flags = load_u64(page, r->flags);
	f->mapping = load_u64(page, r->mapping);
	f->private = r->private >= 0 ? load_u64(page, r->private) : 0;
	f->refcount = r->refcount >= 0 ? (s32)load_u32(page, r->refcount) : -1;
	f->mapcount = r->mapcount >= 0 ? (s32)load_u32(page, r->mapcount) : -1;
}
