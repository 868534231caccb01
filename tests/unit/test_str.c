/*
 * Formatting against the C library's printf, cutting, and the bounded string helpers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "str.h"
#include "tests/host/ports_mem.h"

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char ours[128];                                                                    \
		char theirs[128];                                                                  \
		u32 n = str_format(ours, sizeof(ours), __VA_ARGS__);                               \
		int m = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                             \
		assert_string_equal(ours, theirs);                                                 \
		assert_int_equal(n, m);                                                            \
	} while (0)

static void test_like_printf(void **state)
{
	(void)state;
	SAME("plain 100%% text");
	SAME("%s|%8s|%.2s|%.*s|%8.3s", "abc", "abc", "abc", 1, "abc", "abcdef");
	SAME("%.*s", -1, "all of it");
	SAME("%.0s|%c|%3c", "gone", 'x', 'y');
	SAME("%d %d %d", 0, -1, 2147483647);
	SAME("%d", -2147483647 - 1);
	SAME("%5d|%05d|%2d", 42, -42, 12345678);
	SAME("%u %x %08x %4x", 4294967295u, 0xdeadbeefu, 0x1fu, 0xau);
	SAME("%ld %lld", -9223372036854775807l - 1, 9223372036854775807ll);
	SAME("%lu %llu", 18446744073709551615ul, 18446744073709551615ull);
	SAME("%lx %llx %016llx", 0x123456789abcdeful, 0xffffffffffffffffull, 0x1000ull);
	SAME("%20llu|%020llu|%3u", 18446744073709551615ull, 1ull, 12345u);
}

static void test_precision_needs_no_nul(void **state)
{
	char *field = test_malloc(4);
	char buf[16];

	(void)state;
	memcpy(field, "abcd", 4);
	assert_int_equal(str_format(buf, sizeof(buf), "%.*s|%.4s", 4, field, field), 9);
	assert_string_equal(buf, "abcd|abcd");
	test_free(field);
}

static void test_cut(void **state)
{
	char buf[8];

	(void)state;
	memset(buf, 'Z', sizeof(buf));
	assert_int_equal(str_format(buf, 5, "%s", "abcdefgh"), 4);
	assert_string_equal(buf, "abcd");
	assert_int_equal(buf[5], 'Z');
	assert_int_equal(str_format(buf, 1, "%d", 5), 0);
	assert_int_equal(buf[0], 0);
	buf[0] = 'Q';
	assert_int_equal(str_format(buf, 0, "%d", 5), 0);
	assert_int_equal(buf[0], 'Q');
	assert_int_equal(str_format(buf, 4, "%0100d", -1), 3);
	assert_string_equal(buf, "-00");
}

static u32 format_as_given(char *buf, u32 size, const char *format, ...)
{
	va_list args;
	u32 n;

	va_start(args, format);
	n = str_vformat(buf, size, format, args);
	va_end(args);
	return n;
}

static void test_odd_formats(void **state)
{
	char buf[64];

	(void)state;
	assert_int_equal(format_as_given(buf, sizeof(buf), "a%"), 1);
	assert_string_equal(buf, "a");
	format_as_given(buf, sizeof(buf), "%q%lz%05");
	assert_string_equal(buf, "qz");
	format_as_given(buf, sizeof(buf), "%s", (char *)NULL);
	assert_string_equal(buf, "(null)");
	assert_int_equal(format_as_given(buf, sizeof(buf), "%99999999999999999999u", 1u), 63);
}

static void test_copy_and_length(void **state)
{
	char dst[6];

	(void)state;
	assert_int_equal(str_len("abc", 10), 3);
	assert_int_equal(str_len("abc", 2), 2);
	assert_int_equal(str_len("", 2), 0);
	memset(dst, 'Z', sizeof(dst));
	str_copy(dst, 4, "abcdef", 6);
	assert_memory_equal(dst, "abc\0ZZ", 6);
	str_copy(dst, sizeof(dst), "abcdef", 2);
	assert_string_equal(dst, "ab");
	str_copy(dst, sizeof(dst), "a\0b", 3);
	assert_string_equal(dst, "a");
	str_copy(dst, 0, "xyz", 3);
	assert_string_equal(dst, "a");
}

static void test_sanitize(void **state)
{
	char s[] = "a\x01\x7f\x80\xff\n~ z";
	char part[] = "\x01\x01\x01";

	(void)state;
	str_sanitize(s, sizeof(s));
	assert_string_equal(s, "a?????~ z");
	str_sanitize(part, 2);
	assert_memory_equal(part, "??\x01", 4);
}

static void test_console(void **state)
{
	char big[400];

	(void)state;
	host_reset_all();
	con_printf("dump %u: %s\n", 3u, "ok");
	con_printf("%s", "next");
	assert_string_equal(host_console(), "dump 3: ok\nnext");
	host_console_clear();
	memset(big, 'b', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	con_printf("%s", big);
	assert_int_equal(strlen(host_console()), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_printf),
		cmocka_unit_test(test_precision_needs_no_nul),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_odd_formats),
		cmocka_unit_test(test_copy_and_length),
		cmocka_unit_test(test_sanitize),
		cmocka_unit_test(test_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
