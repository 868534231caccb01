/*
 * From the CMOS clock's registers to a time: both number formats, both kinds of hours,
 * the calendar against the C library's, and what is no date.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>
#include "rtc.h"

#define H24    0x02
#define BINARY 0x04
#define PM     0x80

static u8 bcd(u32 v)
{
	return (u8)(v / 10 << 4 | v % 10);
}

static struct rtc_regs regs_of(const struct tm *t, bool binary)
{
	u32 v[6] = {(u32)t->tm_sec, (u32)t->tm_min, (u32)t->tm_hour, (u32)t->tm_mday,
		(u32)t->tm_mon + 1, (u32)t->tm_year - 100};
	u8 r[6];

	for (u32 i = 0; i < 6; i++)
		r[i] = binary ? (u8)v[i] : bcd(v[i]);
	return (struct rtc_regs) {
		r[0], r[1], r[2], r[3], r[4], r[5], (u8)(H24 | (binary ? BINARY : 0))};
}

/* Every day of the century at a time that differs from day to day. */
static void test_calendar(void **state)
{
	(void)state;
	for (u64 day = 10957; day < 10957 + 36525; day++) {
		time_t want = (time_t)(day * 86400 + day * 7919 % 86400);
		struct rtc_regs r;
		struct tm t;

		assert_non_null(gmtime_r(&want, &t));
		r = regs_of(&t, day % 2);
		assert_int_equal(rtc_seconds(&r), want);
	}
}

static void test_twelve_hours(void **state)
{
	static const struct {
		u8 reg;
		u32 hour;
	} cases[] = {{0x12, 0}, {0x01, 1}, {0x11, 11}, {0x12 | PM, 12}, {0x01 | PM, 13},
		{0x11 | PM, 23}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rtc_regs r = {0, 0, cases[i].reg, 1, 1, 0, 0};

		assert_int_equal(rtc_seconds(&r), 946684800 + cases[i].hour * 3600);
	}
	for (u32 hour = 13; hour < 128; hour++) {
		struct rtc_regs r = {0, 0, (u8)hour, 1, 1, 0, BINARY};

		assert_int_equal(rtc_seconds(&r), 0);
	}
}

static void test_no_dates(void **state)
{
	static const struct rtc_regs bad[] = {
		{60, 0, 0, 1, 1, 0, H24 | BINARY},
		{0, 60, 0, 1, 1, 0, H24 | BINARY},
		{0, 0, 24, 1, 1, 0, H24 | BINARY},
		{0, 0, 0, 0, 1, 0, H24 | BINARY},
		{0, 0, 0, 32, 1, 0, H24 | BINARY},
		{0, 0, 0, 30, 2, 0, H24 | BINARY},
		{0, 0, 0, 29, 2, 1, H24 | BINARY},
		{0, 0, 0, 31, 4, 0, H24 | BINARY},
		{0, 0, 0, 1, 0, 0, H24 | BINARY},
		{0, 0, 0, 1, 13, 0, H24 | BINARY},
		{0, 0, 0, 1, 1, 100, H24 | BINARY},
		{0, 0, 0, 0, 1, 0, 0},
		{255, 255, 255, 255, 255, 255, 255},
	};
	struct rtc_regs leap = {0, 0, 0, 29, 2, 0, H24 | BINARY};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(rtc_seconds(&bad[i]), 0);
	assert_int_equal(rtc_seconds(&leap), 951782400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_twelve_hours),
		cmocka_unit_test(test_no_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
