/*
 * A made-up crashed kernel with its page map, of every kind, for all RAM of a memory map,
 * in the hosted RAM. Its struct pages are those of Linux 6.1.
 */
#ifndef AFTERIMAGE_FAKE_PAGEMAP_H
#define AFTERIMAGE_FAKE_PAGEMAP_H

#include "fake_kernel.h"
#include "memmap.h"
#include "pagemap.h"

#define FAKE_PARTS 1024u
#define FAKE_NODES 8u

/* What the struct pages have that is exported, and where: see fake_pagemap.c. */
#define FAKE_FLAG_LRU	     (1ull << 4)
#define FAKE_FLAG_SLAB	     (1ull << 9)
#define FAKE_FLAG_SWAPCACHE  (1ull << 10)
#define FAKE_FLAG_PRIVATE    (1ull << 13)
#define FAKE_FLAG_HEAD	     (1ull << 16)
#define FAKE_FLAG_SWAPBACKED (1ull << 19)
#define FAKE_FLAG_HWPOISON   (1ull << 22)
#define FAKE_TYPE_BUDDY	     0xffffff7fu
#define FAKE_TYPE_OFFLINE    0xfffffeffu
#define FAKE_ORDERS	     11u
#define FAKE_POINTER	     0xffff8a0100123450ull /* an object of the kernel's */

struct fake_pagemap {
	/* chosen before building */
	struct fake_kernel fk;
	u32 kind;	  /* enum pagemap_kind */
	bool extreme;	  /* sections in roots */
	bool indirect;	  /* SYMBOL(mem_section) is the address of a pointer */
	bool symbol;	  /* SYMBOL(vmemmap) is exported */
	bool small_pages; /* VMEMMAP: mapped by 4 KiB pages */
	bool down;	  /* sparse: each part lies below the one before */
	u32 phys_bits;	  /* MAX_PHYSMEM_BITS */
	u32 section_bytes;
	u32 section_flags; /* low bits of section_mem_map */
	u64 base_va;	   /* VMEMMAP: struct page of PFN 0 */
	u64 map_pa;	   /* the map goes here, in one piece, aligned to 2 MiB */
	u64 table_pa;	   /* what leads to it goes here, aligned to 4 KiB */
	u32 nodes;	   /* DISCONTIG: so many, each of */
	struct {
		u64 pfn;
		u64 end_pfn;
	} node[FAKE_NODES];
	const char *extra; /* more lines for vmcoreinfo, first; may be NULL */
	/* filled by building */
	u64 next_pa; /* behind the map */
	u32 parts;
	struct fake_part {
		u64 va;
		u64 pa;
		u64 bytes;
		u64 pfn; /* first that begins in it; not for VMEMMAP */
	} part[FAKE_PARTS];
};

/* One of @kind with its map at 64 MiB and tables at 32 MiB: memory there must be RAM. */
void fake_pagemap_init(struct fake_pagemap *fp, u32 kind);

/*
 * Builds kernel and page map for the RAM of @map; every page is kept. The pages that hold the map
 * itself must stay so, or it is not believed.
 */
void fake_pagemap_build(struct fake_pagemap *fp, const struct memmap *map);

/* Opens it as a found and verified kernel; @k is filled. Aborts if there is none. */
void fake_pagemap_find(struct physmem *pm, struct oldkernel *k);

/* Where @pfn's struct page lies in the old kernel, and in the hosted RAM. Abort if nowhere. */
u64 fake_page_va(const struct fake_pagemap *fp, u64 pfn);
u8 *fake_page(const struct fake_pagemap *fp, u64 pfn);

/* The entry of @pfn's section in the hosted RAM: section_mem_map. */
u64 *fake_section(const struct fake_pagemap *fp, u64 pfn);

/* Set fields of @pfn's struct page. */
void fake_page_flags(const struct fake_pagemap *fp, u64 pfn, u64 flags); /* zone's stay */
void fake_page_counts(const struct fake_pagemap *fp, u64 pfn, s32 refcount, u32 mapcount);
void fake_page_words(const struct fake_pagemap *fp, u64 pfn, u64 mapping, u64 private);
void fake_page_compound(const struct fake_pagemap *fp, u64 pfn, u64 word);

/* Make whole pages or blocks of 2^order from @pfn on. */
void fake_kept(const struct fake_pagemap *fp, u64 pfn, u64 count);
void fake_free(const struct fake_pagemap *fp, u64 pfn, u32 order);
void fake_anon(const struct fake_pagemap *fp, u64 pfn, u64 count);
void fake_cache(const struct fake_pagemap *fp, u64 pfn, u64 count, bool private);
void fake_offline(const struct fake_pagemap *fp, u64 pfn, u64 count);
void fake_compound(const struct fake_pagemap *fp, u64 pfn, u32 order, bool hugetlb);

#endif
