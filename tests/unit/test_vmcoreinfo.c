/*
 * Keys and values of vmcoreinfo: exact keys, number formats, limits, damaged text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "oldkernel.h"

static struct vmcoreinfo vi;

static void set_text(const char *text)
{
	memset(&vi, '9', sizeof(vi));
	vi.bytes = (u32)strlen(text);
	memcpy(vi.text, text, vi.bytes + 1);
}

static void expect_text(const char *key, const char *value)
{
	u32 bytes = 99;
	const char *v = vmcoreinfo_text(&vi, key, &bytes);

	if (!value) {
		assert_null(v);
		return;
	}
	assert_non_null(v);
	assert_int_equal(bytes, strlen(value));
	assert_memory_equal(v, value, bytes);
}

static void expect_number(const char *text, bool ok, s64 value)
{
	s64 n = 4711;
	char line[64] = "N=";

	strcat(line, text);
	set_text(line);
	assert_int_equal(vmcoreinfo_number(&vi, "N", &n), ok);
	assert_true(n == (ok ? value : 4711));
}

static void expect_hex(const char *text, bool ok, u64 value)
{
	u64 n = 4711;
	char line[64] = "N=";

	strcat(line, text);
	strcat(line, "\nX=1");
	set_text(line);
	assert_int_equal(vmcoreinfo_hex(&vi, "N", &n), ok);
	assert_true(n == (ok ? value : 4711));
}

static void test_keys(void **state)
{
	(void)state;
	set_text("OSRELEASE=6.1.0\nSIZE(page)=64\nEMPTY=\nA=b=c\nSIZE(pages)=65\nSIZE(page)="
		 "66\nLAST=z");
	expect_text("OSRELEASE", "6.1.0");
	expect_text("SIZE(page)", "64");
	expect_text("SIZE(pages)", "65");
	expect_text("SIZE(pag", NULL);
	expect_text("IZE(page)", NULL);
	expect_text("EMPTY", "");
	expect_text("A", "b=c");
	expect_text("b", NULL);
	expect_text("LAST", "z");
	expect_text("LAS", NULL);
	expect_text("LASTX", NULL);
	expect_text("z", NULL);
}

static void test_odd_texts(void **state)
{
	(void)state;
	set_text("");
	expect_text("A", NULL);
	expect_text("", NULL);
	set_text("\n\n\nA=1\n\n=x\nA");
	expect_text("A", "1");
	expect_text("", "x");
	set_text("A");
	expect_text("A", NULL);
	set_text("A=");
	expect_text("A", "");
	expect_text("A=", NULL);
	vi.bytes = 1;
	expect_text("A", NULL);
}

/* The text fills the buffer, and a byte count beyond it is not believed. */
static void test_full_buffer(void **state)
{
	(void)state;
	memset(&vi, 'x', sizeof(vi));
	vi.bytes = VMCOREINFO_MAX;
	memcpy(vi.text + VMCOREINFO_MAX - 5, "\nKE=7", 5);
	vi.text[VMCOREINFO_MAX] = '5';
	expect_text("KE", "7");
	vi.bytes = UINT32_MAX;
	expect_text("KE", "7");
	expect_text("absent", NULL);
}

static void test_numbers(void **state)
{
	(void)state;
	expect_number("0", true, 0);
	expect_number("4096\nM=1", true, 4096);
	expect_number("-129", true, -129);
	expect_number("-0", true, 0);
	expect_number("0xf0000000", true, 0xf0000000);
	expect_number("0XfF", true, 255);
	expect_number("0xffff888000000000", true, (s64)0xffff888000000000ull);
	expect_number("9223372036854775807", true, INT64_MAX);
	expect_number("-9223372036854775808", true, INT64_MIN);
	expect_number("9223372036854775808", false, 0);
	expect_number("-9223372036854775809", false, 0);
	expect_number("18446744073709551616", false, 0);
	expect_number("99999999999999999999999999", false, 0);
	expect_number("0x10000000000000000", false, 0);
	expect_number("", false, 0);
	expect_number("-", false, 0);
	expect_number("--1", false, 0);
	expect_number("+1", false, 0);
	expect_number("-0x1", false, 0);
	expect_number("0x", false, 0);
	expect_number("12a", false, 0);
	expect_number(" 12", false, 0);
	expect_number("12 ", false, 0);
	expect_number("12\r", false, 0);
	expect_number("1\x80", false, 0);
}

static void test_hex(void **state)
{
	(void)state;
	expect_hex("ffffffff919f9b60", true, 0xffffffff919f9b60ull);
	expect_hex("FFFFffff", true, 0xffffffff);
	expect_hex("0x10", true, 16);
	expect_hex("0", true, 0);
	expect_hex("00000000000000000000000000000001", true, 1);
	expect_hex("10000000000000000", false, 0);
	expect_hex("ffffffffffffffff", true, UINT64_MAX);
	expect_hex("1ffffffffffffffff", false, 0);
	expect_hex("", false, 0);
	expect_hex("0x", false, 0);
	expect_hex("-1", false, 0);
	expect_hex("fg", false, 0);
	expect_hex("f`", false, 0);
	expect_hex("f/", false, 0);
	expect_hex("f:", false, 0);
	expect_hex("f@", false, 0);
	expect_hex("fG", false, 0);
}

static void test_absent_is_not_zero(void **state)
{
	s64 n = 77;
	u64 h = 78;

	(void)state;
	set_text("A=0\n");
	assert_false(vmcoreinfo_number(&vi, "B", &n));
	assert_false(vmcoreinfo_hex(&vi, "B", &h));
	assert_int_equal(n, 77);
	assert_int_equal(h, 78);
	assert_true(vmcoreinfo_number(&vi, "A", &n));
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_odd_texts),
		cmocka_unit_test(test_full_buffer),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_absent_is_not_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
