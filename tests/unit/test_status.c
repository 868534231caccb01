/*
 * Every status has its own number, a text and an advice that fit one console line.
 * Also the names of the doors, the other words users see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "handoff.h"
#include "status.h"

#define ALL_CODES(name, code, text, advice) code,
static const u32 codes[] = {STATUS_LIST(ALL_CODES)};

static void test_every_code_has_words(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(codes); i++) {
		const char *text = status_text((enum status)codes[i]);
		const char *advice = status_advice((enum status)codes[i]);

		assert_string_not_equal(text, "unknown failure");
		assert_true(strlen(text) > 0 && strlen(text) < 120);
		assert_true(strlen(advice) > 0 && strlen(advice) < 120);
		assert_int_not_equal(text[strlen(text) - 1], '.');
	}
}

static void test_codes_are_distinct_and_ascend(void **state)
{
	(void)state;
	assert_true(codes[0] > 0);
	for (u32 i = 1; i < ARRAY_SIZE(codes); i++)
		assert_true(codes[i] > codes[i - 1]);
}

/* Stored in dumps and printed for operators: these never move. */
static void test_codes_are_stable(void **state)
{
	(void)state;
	assert_int_equal(OK, 0);
	assert_int_equal(E_NO_KERNEL, 10);
	assert_int_equal(E_VMCOREINFO, 11);
	assert_int_equal(E_WRITE, 27);
	assert_int_equal(E_GATE, 36);
	assert_int_equal(E_INTERRUPTED, 68);
	assert_string_equal(status_text(E_NO_KERNEL), "no Linux kernel found in memory");
	assert_string_equal(status_advice(E_READ), "replace the dump disk");
}

static void test_unknown_codes(void **state)
{
	(void)state;
	assert_string_equal(status_text((enum status)9999), "unknown failure");
	assert_non_null(status_advice((enum status)9999));
	assert_non_null(status_text(OK));
}

static void test_doors(void **state)
{
	(void)state;
	assert_string_equal(door_name(DOOR_BIOS), "bios");
	assert_string_equal(door_name(DOOR_UEFI), "uefi");
	assert_string_equal(door_name(DOOR_MULTIBOOT), "multiboot");
	assert_string_equal(door_name(DOOR_LINUX), "linux");
	assert_string_equal(door_name(0), "unknown");
	assert_string_equal(door_name(5), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_has_words),
		cmocka_unit_test(test_codes_are_distinct_and_ascend),
		cmocka_unit_test(test_codes_are_stable),
		cmocka_unit_test(test_unknown_codes),
		cmocka_unit_test(test_doors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
