/*
 * The survey's pattern: one sequence of 64-bit words over all of memory, each a fixed odd step
 * from the one before, so that no word occurs twice. Knows pages, not where they are mapped.
 */
#include "pattern.h"

#define PAGE_WORDS (PAGE_BYTES / sizeof(u64))
#define STEP	   0x9e3779b97f4a7c15ull

static u64 first_word(u64 pfn, u64 seed)
{
	return seed + pfn * PAGE_WORDS * STEP;
}

void pattern_fill(void *pages, u64 pfn, u64 count, u64 seed)
{
	u64 word = first_word(pfn, seed);
	u64 *to = pages;

	for (u64 i = 0; i < count * PAGE_WORDS; i++) {
		to[i] = word;
		word += STEP;
	}
}

/* Differences are collected rather than tested: one branch for the page. */
bool pattern_holds(const void *page, u64 pfn, u64 seed)
{
	u64 word = first_word(pfn, seed);
	const u64 *at = page;
	u64 differ = 0;

	for (u64 i = 0; i < PAGE_WORDS; i++) {
		differ |= at[i] ^ word;
		word += STEP;
	}
	return differ == 0;
}

bool pattern_uniform(const void *page, u64 *word)
{
	const u64 *at = page;

	*word = at[0];
	for (u64 i = 1; i < PAGE_WORDS; i++) {
		if (at[i] != at[0])
			return false;
	}
	return true;
}
