/*
 * What one struct page of the old kernel says about its page, by the rules that the
 * old kernel's vmcoreinfo gives; nothing about any kernel version is compiled in. No
 * I/O: bytes in, verdict out, total over all inputs.
 */
#ifndef AFTERIMAGE_PAGEINFO_H
#define AFTERIMAGE_PAGEINFO_H

#include "oldkernel.h"

#define PAGEINFO_MAX_BYTES 512 /* largest SIZE(page) that is taken for one */
#define PAGEINFO_MAX_ORDER 18  /* 1 GiB, the largest page Linux has on x86-64 */

/* Where a compound page's order lies, in the struct page behind its head. */
enum order_source {
	ORDER_NONE,	 /* not known: every compound page is kept */
	ORDER_FLAGS,	 /* low byte of flags */
	ORDER_BYTE,	 /* u8 */
	ORDER_HALF,	 /* u16 */
	ORDER_LIST_PREV, /* u64, as lru.prev */
};

/* How hugetlb pages are told. */
enum hugetlb_source {
	HUGETLB_NONE,
	HUGETLB_TYPE, /* head's mapcount */
	HUGETLB_FLAG, /* flag of the struct page behind the head */
	HUGETLB_DTOR, /* destructor's number or address there */
};

/* Byte offsets in struct page, -1: not exported. Masks 0 and "has" false: likewise. */
struct page_rules {
	u32 size;	      /* SIZE(page) */
	s32 flags;	      /* u64 */
	s32 refcount;	      /* u32 */
	s32 mapcount;	      /* u32; also the page's type */
	s32 mapping;	      /* u64 */
	s32 private;	      /* u64 */
	s32 compound;	      /* u64: compound_head or compound_info */
	s32 list_next;	      /* u64: lru */
	s32 list_prev;	      /* u64 */
	bool compound_masked; /* 7.1 on: a tail holds a mask for its own address */
	u64 lru, swapcache, swapbacked, private_flag, hwpoison, slab, head, buddy; /* flag masks */
	bool has_slab_type, has_buddy_type, has_offline_type, has_unaccepted_type;
	u32 slab_type, buddy_type, offline_type, unaccepted_type; /* whole mapcount */
	u32 free_orders; /* LENGTH(zone.free_area); 0: free pages can not be told */
	u64 kernel_va;	 /* lowest address of the kernel's half */
	enum order_source order_from;
	s32 order_at;
	enum hugetlb_source hugetlb_from;
	s32 hugetlb_at;
	u32 hugetlb_bytes; /* of the destructor's field */
	u64 hugetlb_value;
};

/*
 * Reads the rules for a kernel with page tables of @levels levels. E_PAGEMAP if what is needed
 * to tell any page (size, flags, mapping) is absent or out of bounds, or if one flag or one page
 * type stands for two. Without mapcount (before 3.10) there are no page types.
 */
enum status page_rules_load(
	const struct vmcoreinfo *vi, u32 levels, struct page_rules *r) MUST_CHECK;

/* What the pages that follow a head must be for its verdict to hold for them. */
enum page_members {
	PAGE_SINGLE,	 /* there are none: the verdict is for one page */
	PAGE_FREE_BLOCK, /* free, without a type of their own */
	PAGE_COMPOUND,	 /* tails of this head; before 7.1 also what hugetlb maps in their place */
};

struct page_verdict {
	u32 class;    /* KEPT FREE CACHE PRIVATE_CACHE USER HWPOISON OFFLINE METADATA_LOST */
	u32 order;    /* the verdict is meant for 2^order pages, the first of them this one */
	u32 members;  /* enum page_members */
	u64 compound; /* PAGE_COMPOUND: its head's address */
};

/* One struct page and its place. */
struct page_ref {
	u64 pfn;
	u64 va;		 /* of the struct page in the old kernel */
	const u8 *bytes; /* rules->size of them */
};

/*
 * The verdict on @page. @next: the struct page behind it, or NULL if it can not be had; only
 * looked at for compound heads. A struct that is all zero or contradicts itself (order,
 * alignment, flags that exclude each other, impossible counts or pointers) is METADATA_LOST.
 * A tail page on its own is KEPT, or HWPOISON. A poisoned head is HWPOISON with all its tails if
 * it is hugetlb, else alone.
 */
struct page_verdict page_judge(
	const struct page_rules *r, const struct page_ref *page, const u8 *next);

/*
 * True if @page may follow in a block that was judged @head. HWPOISON pages may be members of
 * compound pages, see page_is_poisoned, but not of free blocks.
 */
bool page_is_member(
	const struct page_rules *r, const struct page_verdict *head, const struct page_ref *page);

/* A believable struct page marked as hardware-poisoned: its contents must not be read. */
bool page_is_poisoned(const struct page_rules *r, const struct page_ref *page);

/*
 * False if no Linux writes such a struct page (tail of nothing, negative reference count, mapped
 * but not referenced): what lies there has been overwritten. All zero is believable.
 */
bool page_is_believable(const struct page_rules *r, const struct page_ref *page);

/* Facts for people; -1 or 0 where not exported. */
struct page_facts {
	u64 flags;
	u64 mapping;
	u64 private;
	s64 refcount;
	s64 mapcount;
};
void page_facts_read(const struct page_rules *r, const u8 *page, struct page_facts *f);

#endif
