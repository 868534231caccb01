/*
 * The survey's pattern: every page has its own, every changed bit is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pattern.h"

#define PAGES	   4u
#define PAGE_WORDS (PAGE_BYTES / sizeof(u64))
#define PFN	   0x123456u
#define SEED	   0xfeedface12345678ull

static _Alignas(PAGE_BYTES) u64 page[PAGES + 1][PAGE_WORDS];

static int setup(void **state)
{
	(void)state;
	memset(page, 0, sizeof(page));
	pattern_fill(page, PFN, PAGES, SEED);
	return 0;
}

static void test_fills_what_was_asked_for(void **state)
{
	static const u64 zero[PAGE_WORDS];

	(void)state;
	for (u32 i = 0; i < PAGES; i++)
		assert_true(pattern_holds(page[i], PFN + i, SEED));
	assert_memory_equal(page[PAGES], zero, PAGE_BYTES);
	pattern_fill(page, PFN, 0, SEED + 1);
	assert_true(pattern_holds(page[0], PFN, SEED));
}

static void test_a_page_alone_is_the_same(void **state)
{
	static u64 alone[PAGE_WORDS];

	(void)state;
	pattern_fill(alone, PFN + 2, 1, SEED);
	assert_memory_equal(alone, page[2], PAGE_BYTES);
}

static void test_pages_and_seeds_differ(void **state)
{
	(void)state;
	for (u32 bit = 0; bit < 40; bit++)
		assert_false(pattern_holds(page[0], PFN ^ 1ull << bit, SEED));
	for (u32 bit = 0; bit < 64; bit++)
		assert_false(pattern_holds(page[0], PFN, SEED ^ 1ull << bit));
}

static int by_value(const void *a, const void *b)
{
	const u64 *x = a;
	const u64 *y = b;

	return (*x > *y) - (*x < *y);
}

static void test_no_word_twice(void **state)
{
	u64 *word = page[0];

	(void)state;
	qsort(word, PAGES * PAGE_WORDS, sizeof(*word), by_value);
	for (u32 i = 1; i < PAGES * PAGE_WORDS; i++)
		assert_int_not_equal(word[i], word[i - 1]);
}

static void test_every_bit_counts(void **state)
{
	u8 *bytes = (u8 *)page[1];

	(void)state;
	for (u32 i = 0; i < PAGE_BYTES; i++) {
		bytes[i] ^= (u8)(1u << i % 8);
		assert_false(pattern_holds(page[1], PFN + 1, SEED));
		bytes[i] ^= (u8)(1u << i % 8);
	}
	assert_true(pattern_holds(page[1], PFN + 1, SEED));
}

static void test_uniform(void **state)
{
	u64 word = 1;

	(void)state;
	assert_true(pattern_uniform(page[PAGES], &word));
	assert_int_equal(word, 0);
	assert_false(pattern_uniform(page[0], &word));
	memset(page[0], 0xaa, PAGE_BYTES);
	assert_true(pattern_uniform(page[0], &word));
	assert_int_equal(word, 0xaaaaaaaaaaaaaaaaull);
	for (u32 i = 0; i < PAGE_WORDS; i++) {
		page[0][i] ^= 1;
		assert_false(pattern_uniform(page[0], &word));
		page[0][i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fills_what_was_asked_for, setup),
		cmocka_unit_test_setup(test_a_page_alone_is_the_same, setup),
		cmocka_unit_test_setup(test_pages_and_seeds_differ, setup),
		cmocka_unit_test_setup(test_no_word_twice, setup),
		cmocka_unit_test_setup(test_every_bit_counts, setup),
		cmocka_unit_test_setup(test_uniform, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
