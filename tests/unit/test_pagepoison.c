/*
 * Poisoned pages, what no kernel writes, and facts for people.
 */
#include "tests/unit/page_rig.h"

static void expect_poison(const struct spec *s, u32 class)
{
	struct page_ref ref = rig_ref(RIG_PFN + 5, rig_write(0, s));
	struct page_verdict v = page_judge(&rig, &ref, NULL);

	assert_string_equal(dl_class_name(v.class), dl_class_name(class));
	assert_int_equal(v.order, 0);
	assert_int_equal(v.members, PAGE_SINGLE);
	assert_int_equal(page_is_poisoned(&rig, &ref), class == DL_HWPOISON);
}

static void poison_states(void)
{
	struct spec s = rig_anon();

	expect_poison(&s, DL_USER);
	s.flags |= rig.hwpoison;
	expect_poison(&s, DL_HWPOISON);
	s.flags |= rig.head;
	expect_poison(&s, DL_HWPOISON);
	s = rig_cache();
	s.flags |= rig.hwpoison;
	expect_poison(&s, DL_HWPOISON);
	s = rig_kept();
	s.flags = rig.hwpoison;
	expect_poison(&s, DL_HWPOISON);
	s = rig_free(3);
	s.flags |= rig.hwpoison;
	expect_poison(&s, DL_HWPOISON);
	s = rig_kept();
	s.flags = rig.hwpoison | rig.slab;
	s.mapping = 0x1234567812345679;
	s.mapcount = rig.has_slab_type ? rig.slab_type : 0x80170009;
	expect_poison(&s, DL_HWPOISON);
	s.refcount = 0x1000001;
	expect_poison(&s, DL_METADATA_LOST);
}

/* Garbage may have the bit as well. */
static void check_poison(void)
{
	struct spec s = rig_kept();

	if (!rig.hwpoison)
		return;
	poison_states();
	s.flags = rig.hwpoison;
	s.refcount = 0x80000000;
	expect_poison(&s, DL_METADATA_LOST);
	s.refcount = 0x1000001;
	expect_poison(&s, DL_METADATA_LOST);
	s.refcount = 2;
	s.mapcount = 3;
	expect_poison(&s, DL_METADATA_LOST);
	s.mapcount = 0x8000ffff;
	expect_poison(&s, DL_METADATA_LOST);
	s = rig_kept();
	s.flags = rig.hwpoison;
	s.mapping = 0x1000;
	expect_poison(&s, DL_METADATA_LOST);
	if (rig.compound < 0)
		return;
	s = rig_tail_of(RIG_PFN + 4, 2);
	s.flags = rig.hwpoison;
	expect_poison(&s, DL_HWPOISON);
	s.compound = (RIG_MAP_VA + 6 * (u64)rig.size) | 1;
	expect_poison(&s, DL_METADATA_LOST);
}

static void check_poisoned_huge(void)
{
	struct spec s = rig_huge(1, RIG_POINTER);

	if (!rig.hwpoison)
		return;
	s.flags |= rig.hwpoison;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, true), DL_HWPOISON, 9);
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 5, true), DL_HWPOISON, 0);
	rig_expect_head(RIG_PFN, &s, NULL, DL_HWPOISON, 0);
	s = rig_anon();
	s.flags |= rig.head | rig.hwpoison;
	rig_expect_head(RIG_PFN, &s, rig_write_next(RIG_PFN, 9, false), DL_HWPOISON, 0);
}

static void test_poison(void **state)
{
	(void)state;
	rig_for_each_with_heads(check_poison);
	rig_for_each_with_heads(check_poisoned_huge);
}

static bool believable(u64 pfn, const struct spec *s)
{
	struct page_ref ref = rig_ref(pfn, rig_write(0, s));
	bool yes = page_is_believable(&rig, &ref);

	if (!yes)
		assert_int_equal(page_judge(&rig, &ref, NULL).class, DL_METADATA_LOST);
	return yes;
}

static void check_tail_words(void)
{
	struct spec s = {.mapcount = 0x8000ffff, .refcount = 0x80000000};
	const u64 far = RIG_PFN + (1ull << 18);

	if (rig.compound < 0)
		return;
	s.compound = RIG_MAP_VA | 1;
	assert_true(believable(RIG_PFN + 1, &s));
	assert_true(believable(far - 1, &s));
	assert_false(believable(far, &s));
	assert_false(believable(RIG_PFN, &s));
	assert_false(believable(RIG_PFN - 1, &s));
	s.compound = (RIG_MAP_VA + 8) | 1;
	assert_false(believable(RIG_PFN + 1, &s));
	s.compound = RIG_POINTER | 1;
	assert_false(believable(RIG_PFN + 1, &s));
	s.compound = 0xffffffffffffa001ull; /* no mask */
	assert_false(believable(RIG_PFN + 0x100, &s));
	s.compound = rig_tail_word(RIG_PFN, 9);
	assert_true(believable(RIG_PFN + 2, &s));
	s = rig_kept();
	s.compound = RIG_POINTER;
	assert_true(believable(RIG_PFN, &s));
}

/* The first word of a list where Linux has other things at times, and what it never has there. */
static void check_links(void)
{
	static const u64 good[] = {0, 12, 0xfffe, RIG_POINTER, RIG_POINTER | 2, 0xdead000000000100,
		0xdeadbeefcafe0042};
	static const u64 bad[] = {0x10000, 0x3efdd0003efdeeb8, 0x7fffffffffffe000, RIG_POINTER | 4,
		0xdeae000000000000, 0xfe00000000000000};
	struct spec s = rig_kept();

	if (rig.compound < 0)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		s.compound = good[i];
		assert_true(believable(RIG_PFN, &s));
	}
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		s.compound = bad[i];
		assert_false(believable(RIG_PFN, &s));
	}
}

static void check_counts(void)
{
	struct spec s = rig_kept();

	assert_true(believable(RIG_PFN, &s));
	s.refcount = 0x10000000;
	assert_true(believable(RIG_PFN, &s));
	s.refcount = 0x10000001;
	assert_int_equal(believable(RIG_PFN, &s), rig.refcount < 0);
	s.refcount = 0x80000000;
	assert_int_equal(believable(RIG_PFN, &s), rig.refcount < 0);
	s = rig_kept();
	s.mapcount = 0xefffffff;
	assert_false(believable(RIG_PFN, &s));
	s.mapcount = 0x80000000;
	assert_false(believable(RIG_PFN, &s));
	s.mapcount = 0xf0000000;
	assert_true(believable(RIG_PFN, &s));
	s.mapcount = 0x7fffffff;
	assert_true(believable(RIG_PFN, &s));
	s.refcount = 0;
	assert_false(believable(RIG_PFN, &s));
	s.mapcount = 0;
	assert_false(believable(RIG_PFN, &s));
	s.mapcount = RIG_UNMAPPED;
	assert_true(believable(RIG_PFN, &s));
	rig.refcount = -1;
	s.mapcount = 0;
	assert_true(believable(RIG_PFN, &s));
}

static void test_believable(void **state)
{
	(void)state;
	rig_for_each_with_heads(check_tail_words);
	rig_for_each_with_heads(check_links);
	rig_for_each_with_heads(check_counts);
}

static void test_facts(void **state)
{
	struct page_facts f;
	struct spec s = {1, 2, 3, 4, 0, 0, 0xfffffff0, 0xffffff7f};

	(void)state;
	rig_load(TEXT_6_1);
	page_facts_read(&rig, rig_write(0, &s), &f);
	assert_int_equal(f.flags, 1);
	assert_int_equal(f.mapping, 2);
	assert_int_equal(f.private, 3);
	assert_true(f.refcount == -16);
	assert_true(f.mapcount == -129);
	rig.private = -1;
	rig.refcount = -1;
	rig.mapcount = -1;
	page_facts_read(&rig, rig_write(0, &s), &f);
	assert_int_equal(f.private, 0);
	assert_true(f.refcount == -1 && f.mapcount == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_believable),
		cmocka_unit_test(test_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
