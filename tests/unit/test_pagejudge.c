/*
 * The verdict on single struct pages and on heads of blocks: each state that a kernel
 * writes, on each kernel's layout, and each way in which a struct can contradict itself.
 */
#include "tests/unit/page_rig.h"

static struct page_verdict judge_at(u64 pfn, const struct spec *s, const u8 *next)
{
	struct page_ref ref = rig_ref(pfn, rig_write(0, s));

	return page_judge(&rig, &ref, next);
}

static void expect(const struct spec *s, u32 class)
{
	struct page_verdict v = judge_at(RIG_PFN, s, NULL);

	assert_string_equal(dl_class_name(v.class), dl_class_name(class));
	assert_int_equal(v.order, 0);
	assert_int_equal(v.members, PAGE_SINGLE);
}

/* @a where the number that tells them apart is exported, else @b. */
static u32 if_known(bool known, u32 a, u32 b)
{
	return known ? a : b;
}

static void for_each_kernel(void (*check)(void))
{
	for (u32 i = 0; i < ARRAY_SIZE(rig_kernel); i++) {
		print_message("    %s\n", rig_kernel[i].name);
		rig_load(rig_kernel[i].text);
		check();
	}
}

static void check_cache(void)
{
	struct spec s = rig_cache();

	expect(&s, DL_CACHE);
	s.mapcount = 3;
	s.refcount = 5;
	expect(&s, DL_CACHE);
	s.flags |= rig.private_flag;
	expect(&s, DL_PRIVATE_CACHE);
	s = rig_cache();
	s.mapping = 0;
	expect(&s, DL_CACHE);
	s = rig_cache();
	s.flags = 0;
	expect(&s, DL_KEPT);
	s.flags = rig.private_flag;
	expect(&s, DL_KEPT);
	s.flags = rig.swapcache;
	expect(&s, if_known(!rig.swapbacked, DL_CACHE, DL_KEPT));
	s.flags = rig.swapcache | rig.swapbacked;
	expect(&s, DL_CACHE);
}

static void check_user(void)
{
	struct spec s = rig_anon();

	expect(&s, DL_USER);
	s.flags |= rig.private_flag | rig.swapcache | rig.swapbacked;
	expect(&s, DL_USER);
	s.flags = 0;
	s.mapping = RIG_POINTER | 3;
	expect(&s, DL_USER);
	s.mapcount = RIG_UNMAPPED;
	expect(&s, DL_USER);
	s.mapcount = 17;
	s.refcount = 18;
	expect(&s, DL_USER);
	s.mapping = RIG_POINTER | 2;
	expect(&s, DL_KEPT);
}

static void check_kernel_pages(void)
{
	struct spec s = rig_kept();

	expect(&s, DL_KEPT);
	s.flags = rig.head;
	expect(&s, DL_KEPT);
	s = rig_kept();
	s.mapcount = 0xfffffbff; /* page table, before 6.12 */
	expect(&s, DL_KEPT);
	s.mapcount = 0xf2000000; /* and since */
	expect(&s, DL_KEPT);
	s.mapcount = 0x320; /* zsmalloc's offset */
	expect(&s, DL_KEPT);
	s = rig_kept();
	s.mapping = 0x1234567812345678; /* some driver's */
	expect(&s, DL_KEPT);
	memset(&s, 0, sizeof(s));
	s.mapcount = RIG_UNMAPPED; /* on a CPU's own list of free pages */
	s.next = RIG_POINTER;
	s.prev = RIG_POINTER;
	expect(&s, DL_KEPT);
}

/* Slab's own words lie where mapping and, before 6.10, mapcount are. */
static void check_slab(void)
{
	struct spec s = rig_kept();

	if (!rig.slab && !rig.has_slab_type)
		return;
	s.flags = rig.slab;
	s.mapping = 0x1234567812345679;
	s.mapcount = rig.has_slab_type ? rig.slab_type : 0x80170009;
	expect(&s, DL_KEPT);
	if (rig.has_slab_type)
		return;
	s.mapcount = rig.buddy_type;
	expect(&s, DL_KEPT);
	s.mapcount = rig.offline_type;
	expect(&s, DL_KEPT);
	s.refcount = 0;
	s.mapcount = 9;
	expect(&s, DL_KEPT);
}

static void check_offline(void)
{
	struct spec s = rig_kept();

	if (!rig.has_offline_type)
		return;
	s.mapcount = rig.offline_type;
	expect(&s, DL_OFFLINE);
	s.flags = rig.private_flag;
	s.mapping = RIG_POINTER | 2; /* a balloon's page can be moved */
	expect(&s, DL_OFFLINE);
	s.mapping = 0x1234567812345678;
	expect(&s, DL_METADATA_LOST);
	s.mapping = 0;
	s.flags = rig.head;
	expect(&s, DL_METADATA_LOST);
	s.flags = rig.lru;
	expect(&s, DL_METADATA_LOST);
	s.flags = rig.swapcache;
	expect(&s, DL_METADATA_LOST);
}

static void test_single(void **state)
{
	(void)state;
	for_each_kernel(check_cache);
	for_each_kernel(check_user);
	for_each_kernel(check_kernel_pages);
	for_each_kernel(check_slab);
	for_each_kernel(check_offline);
}

static void expect_free(u64 pfn, const struct spec *s, u32 class, u32 order)
{
	struct page_verdict v = judge_at(pfn, s, NULL);

	assert_string_equal(dl_class_name(v.class), dl_class_name(class));
	assert_int_equal(v.order, order);
	assert_int_equal(v.members, class == DL_FREE ? PAGE_FREE_BLOCK : PAGE_SINGLE);
}

static void check_free(void)
{
	struct spec s = rig_free(0);

	expect_free(RIG_PFN + 1, &s, DL_FREE, 0);
	for (u32 order = 1; order < 11; order++) {
		s.private = order;
		expect_free(RIG_PFN + (1ull << order), &s, DL_FREE, order);
		expect_free(RIG_PFN + (1ull << order) / 2, &s, DL_METADATA_LOST, 0);
	}
	s.private = 11;
	expect_free(RIG_PFN, &s, DL_METADATA_LOST, 0);
	s.private = 64;
	expect_free(RIG_PFN, &s, DL_METADATA_LOST, 0);
	s.private = 1ull << 32;
	expect_free(RIG_PFN, &s, DL_METADATA_LOST, 0);
}

static void check_free_contradictions(void)
{
	const u64 flag[] = {rig.lru, rig.swapcache, rig.private_flag, rig.head};
	const u64 wild[] = {0x10, 0x00007fffdeadbee0, RIG_POINTER | 4, 0xfffffffffffffff8};
	struct spec s = rig_free(3);

	for (u32 i = 0; i < ARRAY_SIZE(flag); i++) {
		s.flags = rig.buddy | flag[i];
		expect_free(RIG_PFN, &s, flag[i] ? DL_METADATA_LOST : DL_FREE, flag[i] ? 0 : 3);
	}
	for (u32 i = 0; i < ARRAY_SIZE(wild); i++) {
		s = rig_free(3);
		s.next = wild[i];
		expect_free(RIG_PFN, &s, DL_METADATA_LOST, 0);
		s = rig_free(3);
		s.prev = wild[i];
		expect_free(RIG_PFN, &s, DL_METADATA_LOST, 0);
	}
	s = rig_free(3);
	s.refcount = 1;
	expect_free(RIG_PFN, &s, DL_METADATA_LOST, 0);
}

static void test_free_blocks(void **state)
{
	struct spec s;

	(void)state;
	for_each_kernel(check_free);
	for_each_kernel(check_free_contradictions);
	rig_load(TEXT_7_2);
	s = rig_free(3);
	s.mapcount = rig.unaccepted_type;
	expect_free(RIG_PFN + 1024, &s, DL_FREE, 10);
	expect_free(RIG_PFN + 512, &s, DL_METADATA_LOST, 0);
	s.refcount = 1;
	expect_free(RIG_PFN + 1024, &s, DL_METADATA_LOST, 0);
	s.refcount = 0;
	rig_load(TEXT_6_12);
	expect_free(RIG_PFN + 1024, &s, DL_KEPT, 0);
}

/* What is not exported is not checked, and what can not be told is kept. */
static void test_not_exported(void **state)
{
	struct spec s;

	(void)state;
	rig_load(TEXT_7_2);
	s = rig_free(3);
	rig.free_orders = 0;
	expect(&s, DL_KEPT);
	s.mapcount = rig.unaccepted_type;
	expect(&s, DL_KEPT);
	rig_load(TEXT_6_1);
	s = rig_free(3);
	rig.private = -1;
	expect(&s, DL_KEPT);
	rig_load(TEXT_6_1);
	s.next = 0x10;
	rig.list_next = -1;
	rig.compound = -1;
	expect_free(RIG_PFN, &s, DL_FREE, 3);
	rig.refcount = -1;
	s = rig_anon();
	s.refcount = 0x80000000;
	expect(&s, DL_USER);
	s = rig_cache();
	rig.private_flag = 0;
	expect(&s, DL_PRIVATE_CACHE);
	rig.has_buddy_type = false;
	s = rig_free(3);
	expect(&s, DL_KEPT);
}

/* Wrong for page cache and process memory alike. */
static void check_use(struct spec (*make)(void), u32 class)
{
	const u64 wild[] = {0x1000, 0x00007fffdeadbee0, 0xdead000000000400, 0xfffffffffffffff8};
	struct spec s = make();

	expect(&s, class);
	s.refcount = 0;
	expect(&s, DL_METADATA_LOST);
	s.refcount = 0x80000001;
	expect(&s, DL_METADATA_LOST);
	s.refcount = 0x40000001;
	expect(&s, DL_METADATA_LOST);
	for (u32 i = 0; i < ARRAY_SIZE(wild); i++) {
		s = make();
		s.mapping = (s.mapping & 3) | wild[i];
		expect(&s, DL_METADATA_LOST);
	}
	s = make();
	s.mapping |= 4;
	expect(&s, DL_METADATA_LOST);
	if (rig.mapcount < 0)
		return;
	s = make();
	s.mapcount = s.refcount + 1;
	expect(&s, DL_METADATA_LOST);
	s.mapcount = 0xfffffbff;
	expect(&s, DL_METADATA_LOST);
	s.mapcount = 0x80000000;
	expect(&s, DL_METADATA_LOST);
}

static void check_contradictions(void)
{
	struct spec s = rig_cache();

	check_use(rig_cache, DL_CACHE);
	check_use(rig_anon, DL_USER);
	s.mapping |= 2;
	expect(&s, DL_METADATA_LOST);
	s = rig_anon();
	s.mapping = 1;
	expect(&s, DL_METADATA_LOST);
	s.mapping = 3;
	expect(&s, DL_METADATA_LOST);
	if (rig.mapcount >= 0) {
		s = rig_cache();
		s.mapping = 0;
		s.mapcount = 0;
		expect(&s, DL_METADATA_LOST);
	}
	if (rig.slab) {
		s = rig_cache();
		s.flags |= rig.slab;
		expect(&s, DL_METADATA_LOST);
		s = rig_anon();
		s.flags |= rig.slab;
		expect(&s, DL_METADATA_LOST);
	}
}

static void check_zero(void)
{
	struct page_ref ref = rig_ref(RIG_PFN, rig_bytes[0] + 1);
	u32 class;

	memset(rig_bytes, 0, sizeof(rig_bytes));
	class = page_judge(&rig, &ref, NULL).class;
	assert_int_equal(class, DL_METADATA_LOST);
	assert_true(page_is_believable(&rig, &ref));
	rig_bytes[0][rig.size] = 1;
	class = page_judge(&rig, &ref, NULL).class;
	assert_int_equal(class, rig.mapcount < 0 ? DL_KEPT : DL_METADATA_LOST);
	assert_int_equal(page_is_believable(&rig, &ref), rig.mapcount < 0);
	memset(rig_bytes, 0xff, sizeof(rig_bytes));
	class = page_judge(&rig, &ref, NULL).class;
	assert_int_equal(class, DL_METADATA_LOST);
	assert_false(page_is_believable(&rig, &ref));
}

static void test_contradictions(void **state)
{
	(void)state;
	for_each_kernel(check_contradictions);
	for_each_kernel(check_zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_free_blocks),
		cmocka_unit_test(test_not_exported),
		cmocka_unit_test(test_contradictions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
