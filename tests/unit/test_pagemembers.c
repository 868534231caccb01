/*
 * Compound pages: verdicts on their heads and who may follow; members of free blocks.
 */
#include "tests/unit/page_rig.h"

static void check_orders(void)
{
	struct spec s = rig_anon();

	s.flags |= rig.head;
	rig_expect_head(RIG_PFN + 512, &s, rig_write_next(RIG_PFN + 512, 9, false), DL_USER, 9);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 18, false), DL_USER, 18);
	rig_expect_head(2 * RIG_PFN, &s, rig_write_next(RIG_PFN, 19, false), DL_METADATA_LOST, 0);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 64, false), DL_METADATA_LOST, 0);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 0, false), DL_METADATA_LOST, 0);
	rig_expect_head(RIG_PFN, &s, NULL, DL_METADATA_LOST, 0);
	rig_expect_head(RIG_PFN + 2, &s, rig_write_next(RIG_PFN, 2, false), DL_METADATA_LOST, 0);
	rig_expect_head(RIG_PFN + 4, &s, rig_write_next(RIG_PFN, 2, false), DL_USER, 2);
	s = rig_cache();
	s.flags |= rig.head;
	rig_expect_head(RIG_PFN + 16, &s, rig_write_next(RIG_PFN, 4, false), DL_CACHE, 4);
	s.flags |= rig.private_flag;
	rig_expect_head(RIG_PFN + 16, &s, rig_write_next(RIG_PFN, 4, false), DL_PRIVATE_CACHE, 4);
	s.refcount = 0;
	rig_expect_head(RIG_PFN + 16, &s, rig_write_next(RIG_PFN, 4, false), DL_METADATA_LOST, 0);
	s = rig_kept();
	s.flags |= rig.head;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 3, false), DL_KEPT, 0);
	rig_expect_head(RIG_PFN, &s, NULL, DL_KEPT, 0);
}

static void check_hugetlb(void)
{
	struct spec s = rig_huge(1, RIG_POINTER); /* a file's */

	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_USER, 9);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 18, true), DL_USER, 18);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 10, true), DL_METADATA_LOST, 0);
	rig_expect_head(RIG_PFN + 8, &s, rig_write_next(RIG_PFN, 9, true), DL_METADATA_LOST, 0);
	s.flags |= rig.private_flag;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_USER, 9);
	s = rig_huge(1, RIG_POINTER | 1);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_USER, 9);
	s = rig_huge(0, 0); /* in the pool */
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_USER, 9);
	s = rig_huge(0, RIG_POINTER);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_METADATA_LOST, 0);
	s = rig_huge(1, 0x1000);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_METADATA_LOST, 0);
	s = rig_huge(1, RIG_POINTER);
	s.flags |= rig.lru;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_METADATA_LOST, 0);
	s.flags ^= rig.lru | rig.swapcache;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_METADATA_LOST, 0);
	s = rig_huge(1, 0);
	if (rig.hugetlb_from == HUGETLB_TYPE)
		return;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, false), DL_KEPT, 0);
	s.mapcount = 0xfffffbff;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_METADATA_LOST, 0);
	s = rig_huge(1, 0);
	s.flags |= rig.slab;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_METADATA_LOST, 0);
}

/* Only a head makes a compound page, whatever else looks like one. */
static void check_no_heads(void)
{
	struct spec s = rig_huge(1, RIG_POINTER);

	s.flags = 0;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_KEPT, 0);
	if (rig.has_offline_type) {
		s = rig_kept();
		s.flags = rig.head;
		s.mapcount = rig.offline_type;
		rig_expect_head(
			RIG_PFN, &s, rig_write_next(RIG_PFN, 3, false), DL_METADATA_LOST, 0);
	}
	if (rig.compound < 0)
		return;
	s = rig_anon();
	s.compound = rig_tail_word(RIG_PFN, 3);
	rig_expect_head(RIG_PFN + 1, &s, rig_write_next(RIG_PFN, 3, false), DL_KEPT, 0);
	s = rig_cache();
	s.compound = rig_tail_word(RIG_PFN, 3);
	rig_expect_head(RIG_PFN + 1, &s, NULL, DL_KEPT, 0);
}

static void test_compound(void **state)
{
	struct spec s;

	(void)state;
	rig_for_each_with_heads(check_orders);
	rig_for_each_with_heads(check_hugetlb);
	rig_for_each_with_heads(check_no_heads);
	rig_load(TEXT_6_1);
	s = rig_anon();
	s.flags |= rig.head;
	rig.order_from = ORDER_NONE;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, false), DL_KEPT, 0);
	rig_load(TEXT_6_1);
	rig.compound = -1;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, false), DL_USER, 9);
	rig.private = -1;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, false), DL_KEPT, 0);
}

static bool member(const struct page_verdict *head, u64 pfn, const struct spec *s)
{
	struct page_ref ref = rig_ref(pfn, rig_write(1, s));

	return page_is_member(&rig, head, &ref);
}

static void check_tails(void)
{
	struct spec s = rig_anon();
	struct page_verdict head;
	const u64 pfn = RIG_PFN + 512;

	s.flags |= rig.head;
	head = rig_judge_head(pfn, &s, rig_write_next(pfn, 9, false));
	assert_int_equal(head.order, 9);
	s = rig_tail_of(pfn, 9);
	assert_true(member(&head, pfn + 1, &s));
	assert_true(member(&head, pfn + 511, &s));
	s.flags = rig.hwpoison | rig.lru; /* the order lies in flags of the first */
	assert_true(member(&head, pfn + 1, &s));
	s = rig_tail_of(pfn + 1, 8);
	assert_false(member(&head, pfn + 2, &s));
	s = rig_tail_of(pfn, 9);
	s.compound &= ~1ull;
	s.private &= ~0xfull;
	s.private ^= 0x100;
	assert_false(member(&head, pfn + 1, &s));
	s = rig_kept();
	assert_false(member(&head, pfn + 1, &s));
	s = rig_anon();
	s.flags |= rig.head;
	s.private = head.compound;
	assert_false(member(&head, pfn + 1, &s));
	head.members = PAGE_SINGLE;
	s = rig_tail_of(pfn, 9);
	assert_false(member(&head, pfn + 1, &s));
}

/* Both words of 7.1, and neither taken for the other. */
static void test_masks(void **state)
{
	struct page_verdict head = {DL_USER, 9, PAGE_COMPOUND, RIG_MAP_VA};
	struct spec s;

	(void)state;
	rig_load(TEXT_7_2);
	s = rig_tail_of(RIG_PFN, 9);
	assert_true(s.compound == 0xffffffffffff8001ull);
	assert_true(member(&head, RIG_PFN + 511, &s));
	assert_false(member(&head, RIG_PFN + 512, &s));
	s.compound = RIG_MAP_VA | 1;
	assert_true(member(&head, RIG_PFN + 5, &s));
	s.compound = 0xffffffffffffc001ull; /* of order 8 */
	assert_false(member(&head, RIG_PFN + 5, &s));
	s.compound = 0xffffffffffff0001ull; /* of order 10 */
	assert_false(member(&head, RIG_PFN + 5, &s));
	s.compound = 0xffffffffffffa001ull;
	assert_false(member(&head, RIG_PFN + 5, &s));
	rig.compound_masked = false;
	s = rig_tail_of(RIG_PFN, 9);
	s.compound = 0xffffffffffff8001ull;
	assert_false(member(&head, RIG_PFN + 5, &s));
}

/* The map of a hugetlb page may be one page of memory, mapped eight times. */
static void check_false_heads(void)
{
	struct spec s = rig_huge(1, RIG_POINTER);
	struct page_verdict head = rig_judge_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true));
	const u64 step = PAGE_BYTES / rig.size;

	assert_int_equal(head.order, 9);
	if (rig.compound < 0)
		return;
	assert_true(member(&head, RIG_PFN + step, &s) == !rig.compound_masked);
	assert_true(member(&head, RIG_PFN + 7 * step, &s) == !rig.compound_masked);
	assert_false(member(&head, RIG_PFN + 1, &s));
	assert_false(member(&head, RIG_PFN + step + 1, &s));
	assert_false(member(&head, RIG_PFN, &s));
	assert_false(member(&head, RIG_PFN + 8 * step, &s));
	head.order = 8;
	assert_false(member(&head, RIG_PFN + step, &s));
	head.order = 9;
	if (rig.hugetlb_from == HUGETLB_TYPE) {
		s.mapcount = 0;
		assert_false(member(&head, RIG_PFN + step, &s));
	}
	s.flags = 0;
	assert_false(member(&head, RIG_PFN + step, &s));
}

static void check_free_members(void)
{
	const u64 flag[] = {
		rig.lru, rig.swapcache, rig.private_flag, rig.slab, rig.head, rig.hwpoison};
	struct page_verdict head = {DL_FREE, 5, PAGE_FREE_BLOCK, 0};
	struct spec s = {.mapcount = RIG_UNMAPPED, .private = 3, .mapping = RIG_POINTER};

	assert_true(member(&head, RIG_PFN + 1, &s));
	for (u32 i = 0; i < ARRAY_SIZE(flag); i++) {
		s.flags = flag[i];
		assert_true(member(&head, RIG_PFN + 1, &s) == (flag[i] == 0));
	}
	s.flags = 0;
	s.refcount = 1;
	assert_false(member(&head, RIG_PFN + 1, &s));
	s.refcount = 0;
	if (rig.compound >= 0) {
		s.compound = 1;
		assert_false(member(&head, RIG_PFN + 1, &s));
		s.compound = 0;
	}
	s = rig_free(2);
	assert_false(member(&head, RIG_PFN + 4, &s));
	s.flags = 0;
	s.mapcount = 0;
	assert_true(member(&head, RIG_PFN + 4, &s) == (rig.mapcount < 0));
}

static void test_members(void **state)
{
	(void)state;
	rig_for_each_with_heads(check_tails);
	rig_for_each_with_heads(check_false_heads);
	rig_for_each_with_heads(check_free_members);
	rig_load(TEXT_2_6_32);
	check_free_members();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compound),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
