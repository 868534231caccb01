/*
 * Struct pages of any of the known layouts for the tests: written field by field where
 * the rules say; all other bytes hold a pattern that nobody may take for anything.
 */
#ifndef AFTERIMAGE_PAGE_RIG_H
#define AFTERIMAGE_PAGE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "dumplog.h"
#include "pageinfo.h"
#include "tests/unit/page_texts.h"

#define RIG_FILLER   0x5b
#define RIG_MAP_VA   0xffffea0004000000ull /* a multiple of 2^18 * 64 */
#define RIG_POINTER  0xffff888012345678ull
#define RIG_UNMAPPED 0xffffffffu
#define RIG_PFN	     0x40000ull

struct spec {
	u64 flags;
	u64 mapping;
	u64 private;
	u64 compound;
	u64 next; /* 0: not a list */
	u64 prev;
	u32 refcount;
	u32 mapcount;
};

static const struct rig_kernel {
	const char *name;
	const char *text;
} rig_kernel[] = {
	{"5.10", TEXT_5_10},
	{"6.1", TEXT_6_1},
	{"6.4", TEXT_6_4},
	{"6.7", TEXT_6_7},
	{"6.12", TEXT_6_12},
	{"7.2", TEXT_7_2},
	{"4.4", TEXT_4_4},
	{"3.18", TEXT_3_18},
	{"2.6.32", TEXT_2_6_32},
};

static struct page_rules rig;
static struct vmcoreinfo rig_vi;
static u8 rig_bytes[2][PAGEINFO_MAX_BYTES + 1];

static inline void rig_load(const char *text)
{
	memset(&rig_vi, 0, sizeof(rig_vi));
	rig_vi.bytes = (u32)strlen(text);
	memcpy(rig_vi.text, text, rig_vi.bytes);
	assert_int_equal(page_rules_load(&rig_vi, 4, &rig), OK);
}

static inline void rig_put(u8 *to, s32 at, const void *value, u32 bytes)
{
	if (at >= 0)
		memcpy(to + at, value, bytes);
}

/* Struct page 0 or 1; it lies at an odd address. */
static inline u8 *rig_write(u32 which, const struct spec *s)
{
	u8 *to = rig_bytes[which] + 1;

	memset(to, RIG_FILLER, PAGEINFO_MAX_BYTES);
	rig_put(to, rig.flags, &s->flags, 8);
	rig_put(to, rig.mapping, &s->mapping, 8);
	rig_put(to, rig.private, &s->private, 8);
	rig_put(to, rig.refcount, &s->refcount, 4);
	rig_put(to, rig.mapcount, &s->mapcount, 4);
	rig_put(to, rig.compound, &s->compound, 8);
	if (s->next) {
		rig_put(to, rig.list_next, &s->next, 8);
		rig_put(to, rig.list_prev, &s->prev, 8);
	}
	return to;
}

static inline struct page_ref rig_ref(u64 pfn, const u8 *bytes)
{
	return (struct page_ref) {pfn, RIG_MAP_VA + (pfn - RIG_PFN) * rig.size, bytes};
}

/* The word of a tail of the head at @pfn, in a compound page of @order. */
static inline u64 rig_tail_word(u64 pfn, u32 order)
{
	if (rig.compound_masked)
		return (0 - ((u64)rig.size << (order & 31))) | 1;
	return (RIG_MAP_VA + (pfn - RIG_PFN) * rig.size) | 1;
}

/* The struct behind a head: a tail that holds the order and what makes it hugetlb. */
static inline u8 *rig_write_next(u64 pfn, u32 order, bool huge)
{
	struct spec s = {.compound = rig_tail_word(pfn, order), .mapcount = RIG_UNMAPPED};
	u64 order_value = order;
	u64 dtor = huge ? rig.hugetlb_value : rig.hugetlb_value ^ 3;
	u8 *to;

	if (rig.order_from == ORDER_FLAGS)
		s.flags = 0x17ffffc0000000ull << 4 | order;
	if (rig.hugetlb_from == HUGETLB_FLAG && huge)
		s.flags |= rig.hugetlb_value;
	to = rig_write(1, &s);
	if (rig.hugetlb_from == HUGETLB_DTOR)
		rig_put(to, rig.hugetlb_at, &dtor, rig.hugetlb_bytes);
	if (rig.order_from == ORDER_BYTE)
		rig_put(to, rig.order_at, &order_value, 1);
	if (rig.order_from == ORDER_HALF)
		rig_put(to, rig.order_at, &order_value, 2);
	if (rig.order_from == ORDER_LIST_PREV)
		rig_put(to, rig.order_at, &order_value, 8);
	return to;
}

/* Whole states that kernels of all ages write. */
static inline struct spec rig_free(u64 order)
{
	struct spec s = {.flags = rig.buddy, .private = order, .mapcount = RIG_UNMAPPED};

	s.next = RIG_POINTER;
	s.prev = RIG_POINTER + 0x40;
	if (rig.has_buddy_type)
		s.mapcount = rig.buddy_type;
	return s;
}

static inline struct spec rig_cache(void)
{
	return (struct spec) {
		.flags = rig.lru, .mapping = RIG_POINTER, .refcount = 2, .mapcount = RIG_UNMAPPED};
}

static inline struct spec rig_anon(void)
{
	return (struct spec) {
		.flags = rig.lru, .mapping = RIG_POINTER | 1, .refcount = 1, .mapcount = 0};
}

static inline struct spec rig_kept(void)
{
	return (struct spec) {.refcount = 1, .mapcount = RIG_UNMAPPED};
}

static inline struct spec rig_huge(u32 refcount, u64 mapping)
{
	struct spec s = {.flags = rig.head, .mapping = mapping, .refcount = refcount};

	s.mapcount = rig.hugetlb_from == HUGETLB_TYPE ? (u32)rig.hugetlb_value : RIG_UNMAPPED;
	return s;
}

static inline struct page_verdict rig_judge_head(u64 pfn, const struct spec *s, const u8 *next)
{
	struct page_ref ref = rig_ref(pfn, rig_write(0, s));

	return page_judge(&rig, &ref, next);
}

static inline void rig_expect_head(
	u64 pfn, const struct spec *s, const u8 *next, u32 class, u32 order)
{
	struct page_verdict v = rig_judge_head(pfn, s, next);
	bool compound = order > 0;

	assert_string_equal(dl_class_name(v.class), dl_class_name(class));
	assert_int_equal(v.order, order);
	assert_int_equal(v.members, compound ? PAGE_COMPOUND : PAGE_SINGLE);
	assert_true(v.compound == (compound ? rig_ref(pfn, NULL).va : 0));
}

static inline void rig_for_each_with_heads(void (*check)(void))
{
	for (u32 i = 0; i < ARRAY_SIZE(rig_kernel); i++) {
		print_message("    %s\n", rig_kernel[i].name);
		rig_load(rig_kernel[i].text);
		if (rig.head)
			check();
	}
}

static inline struct spec rig_tail_of(u64 pfn, u32 order)
{
	struct spec s = {.compound = rig_tail_word(pfn, order), .mapcount = RIG_UNMAPPED};

	s.private = RIG_MAP_VA + (pfn - RIG_PFN) * rig.size;
	s.mapping = 0xdead000000000400;
	return s;
}

#endif
