/*
 * A page map made by hand, in place of linux/pagemap*.c, so that tests choose where each of
 * its pages lies and which are missing. Struct pages are laid out as in Linux 6.1.
 */
#ifndef AFTERIMAGE_PAGESCAN_RIG_H
#define AFTERIMAGE_PAGESCAN_RIG_H

#include <stdlib.h>
#include <string.h>
#include "dumplog.h"
#include "pagescan.h"
#include "tests/host/ports_mem.h"

#define RIG_VA	      0xffffea0000000000ull
#define RIG_NONE      (~0ull)
#define RIG_MAP_PAGES 5000u /* most pages of the page map */
#define RIG_RAM_BYTES (32u * MIB)

#define RIG_LRU	     0x20ull
#define RIG_PRIVATE  0x2000ull
#define RIG_HEAD     0x10000ull
#define RIG_HWPOISON 0x800000ull
#define RIG_OTHER    0x1000ull
#define RIG_POINTER  0xffff888000100000ull
#define RIG_BUDDY    0xffffff7fu

enum rig_field {
	RIG_FLAGS = 0,
	RIG_COMPOUND = 8, /* lru.next */
	RIG_PREV = 16,
	RIG_MAPPING = 24,
	RIG_PRIVATE_FIELD = 40,
	RIG_MAPCOUNT = 48,
	RIG_REFCOUNT = 52,
};

#define RIG_DTOR  16 /* of the struct behind a head, both u8 */
#define RIG_ORDER 17

struct rig {
	u64 pages;    /* pages that the map describes */
	u64 hole_pfn; /* without struct pages */
	u64 hole_end_pfn;
	u64 stretch_pages;     /* longest stretch */
	u64 piece_pages;       /* longest piece of the map in one, in pages */
	u64 pa[RIG_MAP_PAGES]; /* of each page of the map */
	u64 translations;
	u64 unlisted_pfn; /* a free block that hangs in no list */
	u8 *ram;
	struct memmap map;
	struct physmem pm;
	struct pagemap m;
	struct pagescan scan;
};

static struct rig rig;

static inline u64 rig_va(u64 pfn)
{
	return RIG_VA + pfn * rig.m.rules.size;
}

void pagemap_stretch(struct pagemap *m, u64 pfn, struct pagemap_stretch *s)
{
	u64 end = (pfn / rig.stretch_pages + 1) * rig.stretch_pages;

	s->pfn = pfn;
	s->va = rig_va(pfn);
	s->end_pfn = min_u64(end, m->end_pfn);
	if (pfn >= rig.hole_pfn && pfn < rig.hole_end_pfn) {
		s->va = 0;
		s->end_pfn = rig.hole_end_pfn;
	} else if (pfn < rig.hole_pfn) {
		s->end_pfn = min_u64(s->end_pfn, rig.hole_pfn);
	}
	if (pfn >= m->end_pfn) {
		s->va = 0;
		s->end_pfn = UINT64_MAX;
	}
}

enum status pagemap_translate(struct pagemap *m, u64 va, u64 *pa, u64 *bytes)
{
	u64 page = (va - RIG_VA) / PAGE_BYTES;
	u64 n = 1;

	(void)m;
	rig.translations++;
	if (page >= RIG_MAP_PAGES || rig.pa[page] == RIG_NONE)
		return E_PAGETABLE;
	while (page + n < RIG_MAP_PAGES && n < rig.piece_pages &&
		rig.pa[page + n] == rig.pa[page] + n * PAGE_BYTES)
		n++;
	*pa = rig.pa[page] + (va & (PAGE_BYTES - 1));
	*bytes = n * PAGE_BYTES - (va & (PAGE_BYTES - 1));
	return OK;
}

enum status pagemap_read(struct pagemap *m, u64 pfn, u8 *buf, u64 *va)
{
	struct pagemap_stretch s;
	u64 done = 0;

	pagemap_stretch(m, pfn, &s);
	*va = s.va;
	if (!s.va)
		return E_PAGEMAP;
	while (done < m->rules.size) {
		enum status st;
		u64 bytes;
		u64 pa;

		st = pagemap_translate(m, s.va + done, &pa, &bytes);
		bytes = min_u64(bytes, m->rules.size - done);
		if (st == OK)
			st = physmem_read(m->pm, pa, buf + done, bytes);
		if (st != OK)
			return st;
		done += bytes;
	}
	return OK;
}

bool freelists_hold(struct pagemap *m, const struct page_ref *page, u32 order)
{
	(void)order;
	/* looking around closes all windows that were open */
	for (u64 i = 0; i < PHYS_WINDOW_SLOTS && m->pm->map; i++)
		(void)physmem_view(m->pm, (page->pfn + i) % 16 * 2 * MIB, PAGE_BYTES);
	return page->va == rig_va(page->pfn) && page->pfn != rig.unlisted_pfn &&
	       page->bytes[RIG_REFCOUNT] == 0;
}

/* Copies to @pfn's struct page, from @at on; lost where the map is not mapped. */
static inline void rig_copy(u64 pfn, u32 at, const void *from, u32 bytes)
{
	u64 off = pfn * rig.m.rules.size + at;
	u64 first = min_u64(bytes, PAGE_BYTES - off % PAGE_BYTES);
	u64 pa = rig.pa[off / PAGE_BYTES];

	if (pa != RIG_NONE)
		memcpy(rig.ram + pa + off % PAGE_BYTES, from, first);
	pa = rig.pa[off / PAGE_BYTES + 1];
	if (first < bytes && pa != RIG_NONE)
		memcpy(rig.ram + pa, (const u8 *)from + first, bytes - first);
}

static inline void rig_put(u64 pfn, u32 at, u64 value, u32 bytes)
{
	rig_copy(pfn, at, &value, bytes);
}

static inline void rig_page(u64 pfn, u64 flags, u64 mapping, u32 mapcount, u32 refcount)
{
	u64 word[PAGEINFO_MAX_BYTES / 8] = {0};

	word[RIG_FLAGS / 8] = flags;
	word[RIG_COMPOUND / 8] = RIG_POINTER;
	word[RIG_PREV / 8] = RIG_POINTER;
	word[RIG_MAPPING / 8] = mapping;
	word[RIG_MAPCOUNT / 8] = mapcount | (u64)refcount << 32;
	rig_copy(pfn, 0, word, rig.m.rules.size);
}

static inline void rig_kernel(u64 pfn)
{
	rig_page(pfn, RIG_OTHER, 0, ~0u, 1);
}

static inline void rig_user(u64 pfn)
{
	rig_page(pfn, RIG_OTHER | RIG_LRU, RIG_POINTER | 1, 0, 1);
}

static inline void rig_cache(u64 pfn)
{
	rig_page(pfn, RIG_OTHER | RIG_LRU, RIG_POINTER, ~0u, 1);
}

/* A free page that does not begin a block. */
static inline void rig_idle(u64 pfn)
{
	rig_page(pfn, RIG_OTHER, 0, ~0u, 0);
}

static inline void rig_free_head(u64 pfn, u64 order)
{
	rig_page(pfn, RIG_OTHER, 0, RIG_BUDDY, 0);
	rig_put(pfn, RIG_PRIVATE_FIELD, order, 8);
}

static inline void rig_free(u64 pfn, u64 order)
{
	rig_free_head(pfn, order);
	for (u64 i = 1; i < 1ull << order; i++)
		rig_idle(pfn + i);
}

/* Anonymous memory in one large page. */
static inline void rig_huge(u64 pfn, u64 order)
{
	rig_user(pfn);
	rig_put(pfn, RIG_FLAGS, RIG_OTHER | RIG_LRU | RIG_HEAD, 8);
	for (u64 i = 1; i < 1ull << order; i++) {
		rig_page(pfn + i, RIG_OTHER, 0, ~0u, 0);
		rig_put(pfn + i, RIG_COMPOUND, rig_va(pfn) | 1, 8);
		rig_put(pfn + i, RIG_PREV, 0, 8);
	}
	rig_put(pfn + 1, RIG_ORDER, order, 1);
}

/*
 * Starts anew: struct pages of @size bytes for @pages pages, all zero; the pages of the map lie
 * backwards from the end of RAM, or one behind the other.
 */
static inline void rig_start(u32 size, u64 pages, bool backwards)
{
	u64 map_pages = (pages * size + PAGE_BYTES - 1) / PAGE_BYTES;
	u8 *ram = rig.ram;

	if (!ram)
		ram = aligned_alloc(PAGE_BYTES, RIG_RAM_BYTES);
	if (!ram || map_pages >= RIG_MAP_PAGES)
		abort();
	memset(&rig, 0, sizeof(rig));
	memset(ram, 0, (map_pages + 1) * PAGE_BYTES);
	memset(ram + RIG_RAM_BYTES - map_pages * PAGE_BYTES, 0, map_pages * PAGE_BYTES);
	rig.ram = ram;
	rig.pages = pages;
	rig.unlisted_pfn = RIG_NONE;
	rig.stretch_pages = SECTION_PAGES;
	rig.piece_pages = 512;
	memset(rig.pa, 0xff, sizeof(rig.pa));
	for (u64 i = 0; i < map_pages; i++)
		rig.pa[i] = (backwards ? RIG_RAM_BYTES / PAGE_BYTES - 1 - i : i) * PAGE_BYTES;
	host_reset_all();
	host_ram_set(ram, RIG_RAM_BYTES);
	memmap_add(&rig.map, 0, RIG_RAM_BYTES, MEM_RAM);
	physmem_init(&rig.pm, &rig.map);
	rig.m.pm = &rig.pm;
	rig.m.end_pfn = pages;
	rig.m.rules = (struct page_rules) {.size = size,
		.flags = RIG_FLAGS,
		.refcount = RIG_REFCOUNT,
		.mapcount = RIG_MAPCOUNT,
		.mapping = RIG_MAPPING,
		.private = RIG_PRIVATE_FIELD,
		.compound = RIG_COMPOUND,
		.list_next = RIG_COMPOUND,
		.list_prev = RIG_PREV,
		.lru = RIG_LRU,
		.private_flag = RIG_PRIVATE,
		.hwpoison = RIG_HWPOISON,
		.slab = 0x200,
		.head = RIG_HEAD,
		.has_buddy_type = true,
		.buddy_type = RIG_BUDDY,
		.free_orders = 11,
		.kernel_va = 0xffff800000000000ull,
		.order_from = ORDER_BYTE,
		.order_at = RIG_ORDER,
		.hugetlb_from = HUGETLB_DTOR,
		.hugetlb_at = RIG_DTOR,
		.hugetlb_bytes = 1,
		.hugetlb_value = 2};
	pagescan_init(&rig.scan, &rig.m);
}

/* The same with kernel pages. */
static inline void rig_start_kernel(u32 size, u64 pages, bool backwards)
{
	rig_start(size, pages, backwards);
	for (u64 pfn = 0; pfn < pages; pfn++)
		rig_kernel(pfn);
}

static inline u32 rig_class(u64 pfn)
{
	struct run run;

	pagescan_run(&rig.scan, pfn, pfn + 1, &run);
	return run.pfn == pfn && run.count == 1 ? run.class : DL_CLASSES;
}

#endif
