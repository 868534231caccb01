/*
 * Every combination of a bank's bits that matter, against the two manuals' tables written
 * as rows, and the addresses that come out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "mcebank.h"

#define VAL   (1ull << 63)
#define OVER  (1ull << 62)
#define UC    (1ull << 61)
#define EN    (1ull << 60)
#define MISCV (1ull << 59)
#define ADDRV (1ull << 58)
#define PCC   (1ull << 57)
#define S     (1ull << 56)
#define B55   (1ull << 55) /* Intel AR, AMD TCC */
#define DEFER (1ull << 44)

#define INTEL	  MCEBANK_RECOVERY
#define INTEL_OLD 0u
#define AMD	  MCEBANK_AMD
#define AMD_OVER  (MCEBANK_AMD | MCEBANK_OVERFLOW)

#define MISC_PAGE 0x8cull /* physical, 4 KiB */
#define ADDR	  0x12345678abcull

static enum mcebank_verdict judge(u64 status, u64 misc, u32 features)
{
	const struct mcebank bank = {.status = status, .addr = ADDR, .misc = misc};
	u64 pa = 1;
	enum mcebank_verdict verdict = mcebank_judge(&bank, features, &pa);

	assert_true(pa == (verdict == MCEBANK_PAGE ? ADDR & ~0xfffull : 0));
	return verdict;
}

struct row {
	u64 status;
	u32 features;
	enum mcebank_verdict verdict;
};

static const struct row rows[] = {
	{0, INTEL, MCEBANK_IGNORE},
	{UC | PCC | ADDRV, INTEL, MCEBANK_IGNORE},
	{VAL | EN | ADDRV | MISCV, INTEL, MCEBANK_IGNORE},
	{VAL | EN | ADDRV | PCC, AMD, MCEBANK_IGNORE},
	{VAL | EN | ADDRV | DEFER, AMD, MCEBANK_IGNORE},
	/* Context corrupt: fatal for all. */
	{VAL | UC | EN | ADDRV | MISCV | PCC, INTEL, MCEBANK_FATAL},
	{VAL | UC | EN | ADDRV | MISCV | PCC | S | B55, INTEL, MCEBANK_FATAL},
	{VAL | UC | ADDRV | PCC, INTEL_OLD, MCEBANK_FATAL},
	{VAL | UC | ADDRV | PCC, AMD_OVER, MCEBANK_FATAL},
	/* Intel, action required. */
	{VAL | UC | EN | ADDRV | MISCV | S | B55, INTEL, MCEBANK_PAGE},
	{VAL | UC | EN | ADDRV | MISCV | S | B55 | OVER, INTEL, MCEBANK_FATAL},
	{VAL | UC | EN | MISCV | S | B55, INTEL, MCEBANK_FATAL},
	{VAL | UC | EN | ADDRV | S | B55, INTEL, MCEBANK_FATAL},
	/* Intel, action optional or none. */
	{VAL | UC | EN | ADDRV | MISCV | S, INTEL, MCEBANK_PAGE},
	{VAL | UC | ADDRV | MISCV, INTEL, MCEBANK_PAGE},
	{VAL | UC | ADDRV | MISCV | OVER, INTEL, MCEBANK_PAGE},
	{VAL | UC | EN | MISCV | S, INTEL, MCEBANK_IGNORE},
	{VAL | UC | ADDRV | OVER, INTEL, MCEBANK_IGNORE},
	/* Before software error recovery: bits 56 and 55 mean nothing. */
	{VAL | UC | EN | ADDRV, INTEL_OLD, MCEBANK_PAGE},
	{VAL | UC | EN | ADDRV | S | B55, INTEL_OLD, MCEBANK_PAGE},
	{VAL | UC | EN | ADDRV | OVER, INTEL_OLD, MCEBANK_FATAL},
	{VAL | UC | EN | MISCV, INTEL_OLD, MCEBANK_FATAL},
	/* AMD. */
	{VAL | UC | EN | ADDRV, AMD, MCEBANK_PAGE},
	{VAL | UC | EN | ADDRV | MISCV | S, AMD, MCEBANK_PAGE},
	{VAL | UC | EN | ADDRV | B55, AMD, MCEBANK_FATAL},
	{VAL | UC | EN | MISCV, AMD, MCEBANK_FATAL},
	{VAL | UC | EN | ADDRV | OVER, AMD, MCEBANK_FATAL},
	{VAL | UC | EN | ADDRV | OVER, AMD_OVER, MCEBANK_PAGE},
	{VAL | UC | EN | ADDRV | OVER | B55, AMD_OVER, MCEBANK_FATAL},
};

static void test_rows(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		u64 codes[] = {0, 0x134, 0xffffffff};

		for (u32 j = 0; j < ARRAY_SIZE(codes); j++) {
			if (judge(r->status | codes[j], MISC_PAGE, r->features) != r->verdict)
				fail_msg("row %u", i);
		}
	}
}

/* Intel tells what kind of address it is; one page of a large block is not all that is lost. */
static void test_intel_addresses(void **state)
{
	const u64 need = VAL | UC | EN | ADDRV | MISCV | S | B55;
	const u64 told = VAL | UC | EN | ADDRV | MISCV;

	(void)state;
	for (u64 misc = 0; misc < 512; misc++) {
		bool page = (misc >> 6) == 2 && (misc & 0x3f) <= 12;

		assert_int_equal(judge(need, misc, INTEL), page ? MCEBANK_PAGE : MCEBANK_FATAL);
		assert_int_equal(judge(told, misc, INTEL), page ? MCEBANK_PAGE : MCEBANK_IGNORE);
		assert_int_equal(
			judge(told, misc | ~511ull, INTEL), page ? MCEBANK_PAGE : MCEBANK_IGNORE);
		assert_int_equal(judge(told, misc, AMD), MCEBANK_PAGE);
		assert_int_equal(judge(told, misc, INTEL_OLD), MCEBANK_PAGE);
	}
}

static void test_address_is_cut_to_a_page(void **state)
{
	const struct mcebank bank = {VAL | UC | ADDRV, UINT64_MAX, 0};
	u64 pa;

	(void)state;
	assert_int_equal(mcebank_judge(&bank, AMD, &pa), MCEBANK_PAGE);
	assert_true(pa == 0x000ffffffffff000ull);
}

/* Whatever else is set: a bank with a corrupt context is never survived, one without UC always. */
static void test_every_combination(void **state)
{
	(void)state;
	for (u32 high = 0; high < 1024; high++) {
		for (u32 features = 0; features < 8; features++) {
			u64 status = (u64)high << 54;
			enum mcebank_verdict verdict = judge(status, MISC_PAGE, features);

			if (!(status & VAL) || !(status & UC))
				assert_int_equal(verdict, MCEBANK_IGNORE);
			else if (status & PCC)
				assert_int_equal(verdict, MCEBANK_FATAL);
			else if (!(status & ADDRV))
				assert_int_not_equal(verdict, MCEBANK_PAGE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_intel_addresses),
		cmocka_unit_test(test_address_is_cut_to_a_page),
		cmocka_unit_test(test_every_combination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
