/*
 * The CMOS clock's registers as a time. Pure: reading the registers is the metal's part.
 */
#ifndef AFTERIMAGE_RTC_H
#define AFTERIMAGE_RTC_H

#include "types.h"

/* As read from the chip (MC146818): binary or BCD, 12 or 24 hours by status B. */
struct rtc_regs {
	u8 second;
	u8 minute;
	u8 hour;
	u8 day;
	u8 month;
	u8 year; /* of the century */
	u8 status_b;
};

/* UTC seconds since 1970, taking the years 2000-2099; 0 if the registers hold no valid date. */
u64 rtc_seconds(const struct rtc_regs *r);

#endif
