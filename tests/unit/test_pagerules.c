/*
 * The rules of struct page out of vmcoreinfo texts: each kernel's way of saying them, keys
 * that are absent or absurd, and what can not be a page map at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "pageinfo.h"
#include "tests/unit/page_texts.h"

static struct vmcoreinfo vi;
static struct page_rules r;

/* The first line of a key counts: @before goes first. */
static enum status load_after(const char *before, const char *text)
{
	memset(&vi, 0, sizeof(vi));
	memset(&r, 0xa5, sizeof(r));
	vi.bytes = (u32)(strlen(before) + strlen(text));
	assert_true(vi.bytes < VMCOREINFO_MAX);
	strcat(strcat(vi.text, before), text);
	return page_rules_load(&vi, 4, &r);
}

static enum status load(const char *text)
{
	return load_after("", text);
}

static void expect_layout_5_10(void)
{
	assert_int_equal(r.size, 64);
	assert_int_equal(r.flags, 0);
	assert_int_equal(r.refcount, 52);
	assert_int_equal(r.mapcount, 48);
	assert_int_equal(r.mapping, 24);
	assert_int_equal(r.private, 40);
	assert_int_equal(r.compound, 8);
	assert_int_equal(r.list_next, 8);
	assert_int_equal(r.list_prev, 16);
	assert_int_equal(r.free_orders, 11);
}

static void expect_flags_5_10(void)
{
	assert_int_equal(r.lru, 1 << 4);
	assert_int_equal(r.private_flag, 1 << 13);
	assert_int_equal(r.swapcache, 1 << 10);
	assert_int_equal(r.swapbacked, 1 << 19);
	assert_int_equal(r.slab, 1 << 9);
	assert_int_equal(r.head, 1 << 16);
	assert_int_equal(r.buddy, 0);
	assert_true(r.has_buddy_type && r.buddy_type == 0xffffff7f);
	assert_true(r.has_offline_type && r.offline_type == 0xfffffeff);
	assert_false(r.has_slab_type || r.has_unaccepted_type || r.compound_masked);
}

static void test_5_10_to_6_7(void **state)
{
	(void)state;
	assert_int_equal(load(TEXT_5_10), OK);
	expect_layout_5_10();
	expect_flags_5_10();
	assert_int_equal(r.hwpoison, 0);
	assert_int_equal(r.order_from, ORDER_BYTE);
	assert_int_equal(r.order_at, 17);
	assert_int_equal(r.hugetlb_from, HUGETLB_DTOR);
	assert_int_equal(r.hugetlb_at, 16);
	assert_int_equal(r.hugetlb_bytes, 1);
	assert_int_equal(r.hugetlb_value, 2);
	assert_int_equal(load(TEXT_6_1), OK);
	expect_layout_5_10();
	expect_flags_5_10();
	assert_int_equal(r.hwpoison, 1 << 23);
	assert_int_equal(load(TEXT_6_4), OK);
	expect_layout_5_10();
	assert_int_equal(r.order_from, ORDER_BYTE);
	assert_int_equal(r.order_at, 17);
	assert_int_equal(r.hugetlb_from, HUGETLB_DTOR);
	assert_int_equal(r.hugetlb_at, 16);
	assert_int_equal(r.hugetlb_bytes, 1);
	assert_int_equal(load(TEXT_6_7), OK);
	expect_flags_5_10();
	assert_int_equal(r.order_from, ORDER_FLAGS);
	assert_int_equal(r.order_at, 0);
	assert_int_equal(r.hugetlb_from, HUGETLB_FLAG);
	assert_int_equal(r.hugetlb_at, 0);
	assert_int_equal(r.hugetlb_value, 1 << 8);
}

static void expect_types_6_12(void)
{
	assert_int_equal(r.lru, 1 << 5);
	assert_int_equal(r.private_flag, 1 << 14);
	assert_int_equal(r.swapbacked, 1 << 17);
	assert_int_equal(r.head, 1 << 6);
	assert_int_equal(r.slab, 0);
	assert_true(r.has_slab_type && r.slab_type == 0xf5000000);
	assert_true(r.has_buddy_type && r.buddy_type == 0xf0000000);
	assert_true(r.has_offline_type && r.offline_type == 0xf1000000);
	assert_int_equal(r.order_from, ORDER_FLAGS);
	assert_int_equal(r.hugetlb_from, HUGETLB_TYPE);
	assert_int_equal(r.hugetlb_at, 48);
	assert_int_equal(r.hugetlb_value, 0xf4000000);
}

static void test_6_12_and_7_2(void **state)
{
	(void)state;
	assert_int_equal(load(TEXT_6_12), OK);
	expect_layout_5_10();
	expect_types_6_12();
	assert_int_equal(r.hwpoison, 1 << 20);
	assert_false(r.has_unaccepted_type || r.compound_masked);
	assert_int_equal(load(TEXT_7_2), OK);
	expect_layout_5_10();
	expect_types_6_12();
	assert_int_equal(r.hwpoison, 1 << 21);
	assert_true(r.has_unaccepted_type && r.unaccepted_type == 0xf7000000);
	assert_true(r.compound_masked);
	assert_int_equal(load_after("SIZE(page)=72\n", TEXT_7_2), OK);
	assert_int_equal(r.compound, 8);
	assert_false(r.compound_masked);
}

static void test_old(void **state)
{
	(void)state;
	assert_int_equal(load(TEXT_4_4), OK);
	assert_int_equal(r.refcount, 28);
	assert_int_equal(r.compound, 32);
	assert_int_equal(r.order_from, ORDER_HALF);
	assert_int_equal(r.order_at, 44);
	assert_int_equal(r.hugetlb_from, HUGETLB_DTOR);
	assert_int_equal(r.hugetlb_at, 40);
	assert_int_equal(r.hugetlb_bytes, 2);
	assert_int_equal(load(TEXT_3_18), OK);
	assert_int_equal(r.compound, -1);
	assert_int_equal(r.order_from, ORDER_LIST_PREV);
	assert_int_equal(r.order_at, 40);
	assert_int_equal(r.hugetlb_from, HUGETLB_DTOR);
	assert_int_equal(r.hugetlb_at, 32);
	assert_int_equal(r.hugetlb_bytes, 8);
	assert_true(r.hugetlb_value == 0xffffffff811a2b30ull);
	assert_int_equal(load(TEXT_2_6_32), OK);
	assert_int_equal(r.size, 56);
	assert_int_equal(r.refcount, 8);
	assert_int_equal(r.mapcount, -1);
	assert_int_equal(r.private, 16);
	assert_int_equal(r.buddy, 1 << 19);
	assert_int_equal(r.slab, 0);
	assert_int_equal(r.head, 0);
	assert_false(r.has_buddy_type || r.has_offline_type);
}

static void test_levels(void **state)
{
	(void)state;
	assert_int_equal(load(TEXT_6_1), OK);
	assert_true(r.kernel_va == 0xffff800000000000ull);
	assert_int_equal(page_rules_load(&vi, 5, &r), OK);
	assert_true(r.kernel_va == 0xff00000000000000ull);
}

static void test_sizes(void **state)
{
	static const char *const bad[] = {"SIZE(page)=24\n", "SIZE(page)=520\n", "SIZE(page)=60\n",
		"SIZE(page)=0\n", "SIZE(page)=-64\n", "SIZE(page)=x\n", "SIZE(page)=0x100000040\n"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(load_after(bad[i], TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load(""), E_PAGEMAP);
	assert_int_equal(load_after("SIZE(page)=512\n", TEXT_6_1), OK);
	assert_int_equal(load_after("SIZE(page)=32\n", TEXT_6_1), OK);
	assert_int_equal(load_after("SIZE(page)=56\nOFFSET(page._mapcount)=52\n", TEXT_6_1), OK);
	assert_int_equal(r.mapcount, 52);
	assert_int_equal(r.refcount, 52);
	assert_int_equal(load_after("SIZE(page)=56\nOFFSET(page._mapcount)=53\n", TEXT_6_1), OK);
	assert_int_equal(r.mapcount, -1);
	assert_false(r.has_buddy_type || r.has_offline_type);
}

static void test_offsets(void **state)
{
	(void)state;
	assert_int_equal(load_after("OFFSET(page.flags)=57\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("OFFSET(page.flags)=-1\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("OFFSET(page.flags)=56\n", TEXT_6_1), OK);
	assert_int_equal(load_after("OFFSET(page.mapping)=57\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(
		load_after("OFFSET(page.mapping)=0x8000000000000000\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("OFFSET(page.mapping)=4294967296\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("OFFSET(page.lru)=49\n", TEXT_6_1), OK);
	assert_int_equal(r.list_next, -1);
	assert_int_equal(r.list_prev, -1);
	assert_int_equal(load_after("OFFSET(list_head.next)=64\n", TEXT_6_1), OK);
	assert_int_equal(r.list_next, -1);
	assert_int_equal(load_after("OFFSET(list_head.prev)=16\n", TEXT_6_1), OK);
	assert_int_equal(r.list_prev, -1);
	assert_int_equal(load_after("OFFSET(page.compound_order)=63\n", TEXT_6_1), OK);
	assert_int_equal(r.order_from, ORDER_NONE);
	assert_int_equal(r.hugetlb_from, HUGETLB_NONE);
	assert_int_equal(load_after("OFFSET(folio._folio_order)=63\n", TEXT_6_4), OK);
	assert_int_equal(r.order_from, ORDER_NONE);
	assert_int_equal(load_after("OFFSET(folio._folio_order)=128\n", TEXT_6_4), OK);
	assert_int_equal(r.order_from, ORDER_NONE);
	assert_int_equal(
		load_after("OFFSET(folio._folio_order)=0x8000000000000000\n", TEXT_6_4), OK);
	assert_int_equal(r.order_from, ORDER_NONE);
	assert_int_equal(load_after("OFFSET(page.lru)=60\n", TEXT_3_18), OK);
	assert_int_equal(r.order_from, ORDER_NONE);
	assert_int_equal(r.hugetlb_from, HUGETLB_NONE);
	assert_int_equal(load_after("OFFSET(page.private)=60\n", TEXT_3_18), OK);
	assert_int_equal(r.private, -1);
}

/* Without mapcount there are no types; types that are exported replace flags. */
static void test_types_and_flags(void **state)
{
	(void)state;
	assert_int_equal(load_after("OFFSET(page._mapcount)=61\n", TEXT_7_2), OK);
	assert_false(r.has_slab_type || r.has_buddy_type);
	assert_false(r.has_offline_type || r.has_unaccepted_type);
	assert_int_equal(r.hugetlb_from, HUGETLB_NONE);
	assert_int_equal(load_after("NUMBER(PG_slab)=8\nNUMBER(PG_buddy)=9\n", TEXT_7_2), OK);
	assert_int_equal(r.slab, 0);
	assert_int_equal(r.buddy, 0);
}

static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(load_after("NUMBER(PG_lru)=64\nNUMBER(PG_private)=-1\n", TEXT_6_1), OK);
	assert_int_equal(r.lru, 0);
	assert_int_equal(r.private_flag, 0);
	assert_int_equal(load_after("NUMBER(PG_lru)=63\n", TEXT_6_1), OK);
	assert_true(r.lru == 1ull << 63);
	assert_int_equal(load_after("LENGTH(zone.free_area)=20\n", TEXT_6_1), OK);
	assert_int_equal(r.free_orders, 0);
	assert_int_equal(load_after("LENGTH(zone.free_area)=19\n", TEXT_6_1), OK);
	assert_int_equal(r.free_orders, 19);
	assert_int_equal(load_after("LENGTH(zone.free_area)=-1\n", TEXT_6_1), OK);
	assert_int_equal(r.free_orders, 0);
}

/* A type is negative and not what each page without one has. */
static void test_types(void **state)
{
	static const char *const bad[] = {"-1", "0", "129", "4294967295", "4294967296",
		"8321499136", "-4294967425", "-2147483649", "0x7fffffff"};
	char line[80];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		strcpy(line, "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=");
		strcat(strcat(line, bad[i]), "\n");
		assert_int_equal(load_after(line, TEXT_6_1), OK);
		assert_false(r.has_buddy_type);
	}
	assert_int_equal(
		load_after("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=4026531840\n", TEXT_6_1), OK);
	assert_true(r.has_buddy_type && r.buddy_type == 0xf0000000);
	assert_int_equal(load_after("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-2\n", TEXT_6_1), OK);
	assert_true(r.has_buddy_type && r.buddy_type == 0xfffffffe);
}

static void test_ambiguous(void **state)
{
	(void)state;
	assert_int_equal(load_after("NUMBER(PG_lru)=13\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("NUMBER(PG_slab)=16\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("NUMBER(PG_hwpoison)=19\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("NUMBER(PG_swapcache)=13\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("NUMBER(PG_head_mask)=-1\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(load_after("NUMBER(PG_buddy)=5\n", TEXT_2_6_32), E_PAGEMAP);
	assert_int_equal(
		load_after("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-129\n", TEXT_6_1), E_PAGEMAP);
	assert_int_equal(
		load_after("NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-268435456\n", TEXT_7_2), E_PAGEMAP);
	assert_int_equal(
		load_after("NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-201326592\n", TEXT_7_2),
		E_PAGEMAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_5_10_to_6_7),
		cmocka_unit_test(test_6_12_and_7_2),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_types_and_flags),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_ambiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
