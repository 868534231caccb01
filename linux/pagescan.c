/*
 * Streams the page map and turns verdicts on struct pages into runs. Decides what part of
 * the page map can be trusted; what a struct page means is for pagejudge.c.
 *
 * Work is bounded whatever the map holds. A struct page is judged once as a page of its own.
 * It is looked at as a member only by heads whose block would hold it; these are aligned to
 * their order, so there is at most one such head for each of the PAGEINFO_MAX_ORDER orders.
 * A call that does not go on where the last one ended tries these heads too, for its first
 * page only.
 */
#include <string.h>
#include "dumplog.h"
#include "pagescan.h"

#define PAGE_MASK ((u64)PAGE_BYTES - 1)
#define NO_VA	  (~0ull)

/* Struct pages that lie one behind the other in one view, which ends with the call. */
struct batch {
	u64 pfn;
	u64 end_pfn;
	u64 va;		 /* of @pfn's struct page */
	const u8 *bytes; /* NULL: there are none, or what is there can not be trusted */
};

static u32 struct_bytes(const struct pagescan *s)
{
	return s->map->rules.size;
}

/*
 * The stretch that holds @pfn, from the beginning of the page of the map before the one that
 * @pfn's struct page begins in: what is said of a page must not depend on where one begins.
 */
static void find_stretch(struct pagescan *s, u64 pfn)
{
	struct pagemap_stretch *t = &s->stretch;
	u64 bytes = struct_bytes(s);
	u64 back;

	if (pfn >= t->pfn && pfn < t->end_pfn)
		return;
	s->sane_va = NO_VA;
	pagemap_stretch(s->map, pfn, t);
	back = t->va & PAGE_MASK ? (PAGE_BYTES + (t->va & PAGE_MASK)) / bytes : 0;
	for (back = min_u64(back, pfn); back > 0; back--) {
		struct pagemap_stretch before;

		pagemap_stretch(s->map, pfn - back, &before);
		if (!before.va || before.va + back * bytes != t->va || before.end_pfn <= pfn)
			continue;
		*t = before;
		return;
	}
}

/* Physical address of the page of the map at @page_va. */
static bool translate(struct pagescan *s, u64 page_va, u64 *pa)
{
	if (!range_fits(page_va - s->piece_va, PAGE_BYTES, s->piece_bytes)) {
		s->piece_va = page_va;
		if (pagemap_translate(s->map, page_va, &s->piece_pa, &s->piece_bytes) != OK)
			s->piece_bytes = 0;
		if (s->piece_bytes < PAGE_BYTES)
			return false;
	}
	*pa = s->piece_pa + (page_va - s->piece_va);
	return true;
}

/* True if every struct page of the stretch that lies whole in @page, at @page_va, is one. */
static bool is_sane(const struct pagescan *s, u64 page_va, const u8 *page)
{
	const struct pagemap_stretch *t = &s->stretch;
	u64 bytes = struct_bytes(s);
	u64 skip = page_va > t->va ? (page_va - t->va + bytes - 1) / bytes : 0;
	struct page_ref ref = {.pfn = t->pfn + skip, .va = t->va + skip * bytes};
	u64 at = ref.va - page_va;

	while (range_fits(at, bytes, PAGE_BYTES) && ref.pfn < t->end_pfn) {
		ref.bytes = page + at;
		if (!page_is_believable(&s->map->rules, &ref))
			return false;
		ref.pfn++;
		ref.va += bytes;
		at += bytes;
	}
	return true;
}

static const u8 *copy_page(struct pagescan *s, u64 pa)
{
	return physmem_read(s->map->pm, pa, s->copy, PAGE_BYTES) == OK ? s->copy : NULL;
}

/* The page of the map at @page_va, if it is RAM, readable, and nobody has overwritten it. */
static const u8 *map_page(struct pagescan *s, u64 page_va)
{
	struct physmem *pm = s->map->pm;
	const u8 *page;
	u64 pa;

	if (!translate(s, page_va, &pa))
		return NULL;
	if (s->copy)
		page = copy_page(s, pa);
	else if (page_va != s->sane_va)
		page = physmem_page(pm, pa);
	else
		page = phys_unreadable(pa) ? NULL : physmem_view(pm, pa, PAGE_BYTES);
	if (!page || page_va == s->sane_va)
		return page;
	if (!is_sane(s, page_va, page))
		return NULL;
	s->sane_va = page_va;
	return page;
}

/* A struct page that begins in one page and ends in the next, put together in @joint. */
static const u8 *join(struct pagescan *s, u64 va, u8 *joint)
{
	u64 first = PAGE_BYTES - (va & PAGE_MASK);
	const u8 *page = map_page(s, va & ~PAGE_MASK);

	if (!page)
		return NULL;
	memcpy(joint, page + (va & PAGE_MASK), first);
	page = map_page(s, va + first);
	if (!page)
		return NULL;
	memcpy(joint + first, page, struct_bytes(s) - first);
	return joint;
}

/* The batch that begins with @pfn. @joint is where to put a struct page that must be joined. */
static void load_batch(struct pagescan *s, struct batch *b, u64 pfn, u8 *joint)
{
	u64 bytes = struct_bytes(s);
	const u8 *page;
	u64 at;

	find_stretch(s, pfn);
	b->pfn = pfn;
	b->end_pfn = s->stretch.end_pfn;
	b->bytes = NULL;
	if (!s->stretch.va)
		return;
	b->va = s->stretch.va + (pfn - s->stretch.pfn) * bytes;
	at = b->va & PAGE_MASK;
	if (!range_fits(at, bytes, PAGE_BYTES)) {
		b->end_pfn = pfn + 1;
		b->bytes = join(s, b->va, joint);
		return;
	}
	page = map_page(s, b->va & ~PAGE_MASK);
	b->end_pfn = min_u64(b->end_pfn, pfn + (PAGE_BYTES - at) / bytes);
	b->bytes = page ? page + at : NULL;
}

static inline bool seek(struct pagescan *s, struct batch *b, u64 pfn)
{
	if (pfn < b->pfn || pfn >= b->end_pfn)
		load_batch(s, b, pfn, s->joint);
	return b->bytes != NULL;
}

static inline struct page_ref batch_ref(const struct pagescan *s, const struct batch *b, u64 pfn)
{
	u64 at = (pfn - b->pfn) * struct_bytes(s);

	return (struct page_ref) {pfn, b->va + at, b->bytes + at};
}

/* The last of a batch: the struct page behind it is somewhere else. */
static struct page_verdict judge_last(struct pagescan *s, struct batch *b, struct page_ref *page)
{
	memmove(s->joint, page->bytes, struct_bytes(s));
	page->bytes = s->joint;
	load_batch(s, b, page->pfn + 1, s->joint + PAGEINFO_MAX_BYTES);
	return page_judge(&s->map->rules, page, b->bytes);
}

/* The verdict on @pfn, which the batch holds. Compound pages do not begin at odd PFNs. */
static inline struct page_verdict judge(struct pagescan *s, struct batch *b, u64 pfn)
{
	struct page_ref page = batch_ref(s, b, pfn);

	if (pfn + 1 < b->end_pfn)
		return page_judge(&s->map->rules, &page, page.bytes + struct_bytes(s));
	if (pfn & 1)
		return page_judge(&s->map->rules, &page, NULL);
	return judge_last(s, b, &page);
}

/* Looks at all of the batch from @pfn up to @end_pfn; false if one is not a member. */
static bool check_members(struct pagescan *s, const struct batch *b, u64 pfn, u64 end_pfn,
	const struct page_verdict *v)
{
	const struct page_rules *r = &s->map->rules;
	struct page_ref page = batch_ref(s, b, pfn);

	while (page.pfn < end_pfn) {
		if (!page_is_member(r, v, &page))
			return false;
		if (r->hwpoison && page_is_poisoned(r, &page))
			s->known_poisoned = true;
		page.pfn++;
		page.va += r->size;
		page.bytes += r->size;
	}
	return true;
}

static bool is_poisoned(struct pagescan *s, struct batch *b, u64 pfn)
{
	struct page_ref page;

	if (!seek(s, b, pfn))
		return false;
	page = batch_ref(s, b, pfn);
	return page_is_poisoned(&s->map->rules, &page);
}

static bool head_holds(struct pagescan *s, struct batch *b, u64 pfn, const struct page_verdict *v)
{
	struct page_ref page;

	if (v->members != PAGE_FREE_BLOCK)
		return true;
	if (!seek(s, b, pfn))
		return false;
	page = batch_ref(s, b, pfn);
	memmove(s->joint, page.bytes, struct_bytes(s));
	page.bytes = s->joint;
	b->end_pfn = b->pfn;
	return freelists_hold(s->map, &page, v->order);
}

/* True if all the members of the block that @head is judged to begin bear it out. */
static bool check_block(
	struct pagescan *s, struct batch *b, u64 head_pfn, const struct page_verdict *v)
{
	u64 pages = 1ull << v->order;
	u64 end = head_pfn + pages;
	u64 pfn = head_pfn + 1;

	if (head_pfn & (pages - 1) || !range_fits(head_pfn, pages, s->map->end_pfn))
		return false;
	while (pfn < end) {
		u64 stop;

		if (!seek(s, b, pfn))
			return false;
		stop = min_u64(end, b->end_pfn);
		if (!check_members(s, b, pfn, stop, v))
			return false;
		pfn = stop;
	}
	return head_holds(s, b, head_pfn, v);
}

static void set_known(struct pagescan *s, u64 pfn, u64 end_pfn, u32 class, u32 order)
{
	s->known_pfn = pfn;
	s->known_end_pfn = end_pfn;
	s->known_class = class;
	s->known_order = order;
}

/* Finds out about @pfn and what follows it in one block or gap. */
static void look(struct pagescan *s, struct batch *b, u64 pfn)
{
	struct page_verdict v;

	s->known_poisoned = false;
	if (!seek(s, b, pfn)) {
		set_known(s, pfn, b->end_pfn, DL_METADATA_LOST, 0);
		return;
	}
	v = judge(s, b, pfn);
	if (v.order == 0) {
		set_known(s, pfn, pfn + 1, v.class, 0);
	} else if (v.order <= PAGEINFO_MAX_ORDER && check_block(s, b, pfn, &v)) {
		set_known(s, pfn, pfn + (1ull << v.order), v.class, v.order);
	} else {
		s->known_poisoned = false;
		set_known(s, pfn, pfn + 1, DL_METADATA_LOST, 0);
	}
}

/* The block that @pfn lies in, but does not begin, if there is one. */
static bool look_around(struct pagescan *s, struct batch *b, u64 pfn)
{
	for (u32 order = 0; order < PAGEINFO_MAX_ORDER; order++) {
		u64 head = pfn >> order << order;

		if (!(head >> order & 1))
			continue;
		head -= 1ull << order;
		look(s, b, head);
		if (s->known_order > 0 && pfn < s->known_end_pfn)
			return true;
	}
	return false;
}

static void find_known(struct pagescan *s, struct batch *b, u64 pfn)
{
	if (pfn >= s->known_pfn && pfn < s->known_end_pfn)
		return;
	if (pfn == s->known_end_pfn || !look_around(s, b, pfn))
		look(s, b, pfn);
}

/* The class of @pfn, which is known, and where it ends or is cut off at @end_pfn. */
static u32 class_until(struct pagescan *s, struct batch *b, u64 pfn, u64 *end_pfn)
{
	bool poisoned;

	*end_pfn = min_u64(*end_pfn, s->known_end_pfn);
	if (!s->known_poisoned)
		return s->known_class;
	poisoned = is_poisoned(s, b, pfn);
	for (u64 at = pfn + 1; at < *end_pfn; at++) {
		if (is_poisoned(s, b, at) != poisoned)
			*end_pfn = at;
	}
	return poisoned ? DL_HWPOISON : s->known_class;
}

void pagescan_init(struct pagescan *s, struct pagemap *map)
{
	memset(s, 0, sizeof(*s));
	s->map = map;
	s->sane_va = NO_VA;
}

void pagescan_run(struct pagescan *s, u64 pfn, u64 end_pfn, struct run *out)
{
	struct batch b = {.bytes = NULL};
	u64 at = pfn;

	if (end_pfn - pfn > PAGESCAN_RUN_PAGES)
		end_pfn = pfn + PAGESCAN_RUN_PAGES;
	while (at < end_pfn) {
		u64 end = end_pfn;
		u32 class;

		find_known(s, &b, at);
		class = class_until(s, &b, at, &end);
		if (at == pfn)
			out->class = class;
		if (class != out->class)
			break;
		at = end;
	}
	out->pfn = pfn;
	out->count = at - pfn;
}

/*
 * Everything as in a scan, only that pages of the map are copied where there are no views.
 */
void pagescan_report(struct pagescan *s, u64 pfn, struct page_report *r)
{
	u8 page[PAGE_BYTES];
	struct run run;

	memset(r, 0, sizeof(*r));
	r->facts.refcount = -1;
	r->facts.mapcount = -1;
	if (!s->map->pm->map)
		s->copy = page;
	pagescan_run(s, pfn, pfn + 1, &run);
	s->copy = NULL;
	r->class = run.class;
	r->order = s->known_order;
	r->head_pfn = s->known_order > 0 ? s->known_pfn : pfn;
	if (pagemap_read(s->map, pfn, page, &r->struct_va) == OK)
		page_facts_read(&s->map->rules, page, &r->facts);
	else
		r->struct_va = 0;
}
