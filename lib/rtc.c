/*
 * From the CMOS clock's registers to seconds since 1970.
 */
#include "rtc.h"

#define STATUS_B_24H	0x02
#define STATUS_B_BINARY 0x04
#define HOUR_PM		0x80
#define DAYS_TO_2000	10957u

static u32 decode(u8 v, u8 status_b)
{
	return status_b & STATUS_B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static u32 decode_hour(u8 v, u8 status_b)
{
	u32 hour = decode(v & (u8)~HOUR_PM, status_b);

	if (status_b & STATUS_B_24H)
		return decode(v, status_b);
	if (hour < 1 || hour > 12)
		return 24;
	return hour % 12 + (v & HOUR_PM ? 12 : 0);
}

static bool leap(u32 year)
{
	return year % 4 == 0; /* 2000-2099 */
}

u64 rtc_seconds(const struct rtc_regs *r)
{
	static const u8 month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	u32 second = decode(r->second, r->status_b);
	u32 minute = decode(r->minute, r->status_b);
	u32 hour = decode_hour(r->hour, r->status_b);
	u32 day = decode(r->day, r->status_b);
	u32 month = decode(r->month, r->status_b);
	u32 year = decode(r->year, r->status_b);
	u64 days;

	if (second > 59 || minute > 59 || hour > 23 || month < 1 || month > 12 || year > 99)
		return 0;
	if (day < 1 || day > month_days[month - 1] + (month == 2 && leap(year) ? 1u : 0u))
		return 0;
	days = DAYS_TO_2000 + 365 * year + (year + 3) / 4 + day - 1;
	for (u32 m = 1; m < month; m++)
		days += month_days[m - 1] + (m == 2 && leap(year) ? 1u : 0u);
	return days * 86400 + hour * 3600 + minute * 60 + second;
}
