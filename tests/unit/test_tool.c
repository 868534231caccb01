/*
 * Sizes, numbers and printable texts of the tools.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "tools/common/tool.h"

static void sizes_are_parsed(void **state)
{
	static const struct {
		const char *text;
		u64 bytes;
	} good[] = {{"0", 0}, {"512", 512}, {"4K", 4096}, {"3m", 3u * MIB}, {"4G", 4 * GIB},
		{"2TiB", 2048 * GIB}, {"7MB", 7u * MIB}, {"9223372036854775807", INT64_MAX}};
	static const char *const bad[] = {"", "K", "4X", "4KK", "4KiBs", "-1", "+1", " 1", "1 ",
		"9223372036854775808", "8388608T", "99999999999999999999999999", "1.5G", "0x10"};
	u64 v;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(tool_parse_size(good[i].text, &v));
		assert_int_equal(v, good[i].bytes);
	}
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(tool_parse_size(bad[i], &v));
}

static void numbers_keep_their_bound(void **state)
{
	u64 v;

	(void)state;
	assert_true(tool_parse_number("31", 31, &v));
	assert_int_equal(v, 31);
	assert_false(tool_parse_number("32", 31, &v));
	assert_false(tool_parse_number("7", 5, &v));
	assert_false(tool_parse_number("", 5, &v));
	assert_true(tool_parse_number("18446744073709551615", UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	assert_false(tool_parse_number("18446744073709551616", UINT64_MAX, &v));
}

static void texts_are_made_printable(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(tool_printable(out, sizeof(out), "a\033[2Jb\n\x7f", 64), "a?[2Jb??");
	assert_string_equal(
		tool_printable(out, sizeof(out), "Gr\xc3\xbc\xc3\x9f", 64), "Gr\xc3\xbc\xc3\x9f");
	assert_string_equal(
		tool_printable(out, sizeof(out), "\xc3(\xc2\x9b\xed\xa0\x80", 64), "?(?????");
	assert_string_equal(tool_printable(out, sizeof(out), "ab\xc3\xbc", 3), "ab?");
	assert_string_equal(tool_printable(out, 4, "ab\xc3\xbc", 64), "ab");
	assert_string_equal(tool_printable(out, 1, "ab", 64), "");
}

static void sizes_are_shown(void **state)
{
	char buf[16];

	(void)state;
	assert_string_equal(tool_size_text(0, buf, sizeof(buf)), "0 B");
	assert_string_equal(tool_size_text(1536, buf, sizeof(buf)), "1.5 KiB");
	assert_string_equal(tool_size_text(5 * GIB, buf, sizeof(buf)), "5.0 GiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_parsed),
		cmocka_unit_test(numbers_keep_their_bound),
		cmocka_unit_test(texts_are_made_printable),
		cmocka_unit_test(sizes_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
