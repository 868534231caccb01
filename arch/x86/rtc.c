/*
 * Reads the CMOS clock (MC146818) when it is not just being updated.
 */
#include <string.h>
#include "metal.h"
#include "ports.h"
#include "rtc.h"
#include "x86.h"

#define CMOS_INDEX	  0x70
#define CMOS_DATA	  0x71
#define CMOS_NMI_OFF	  0x80
#define CMOS_SECOND	  0x00
#define CMOS_MINUTE	  0x02
#define CMOS_HOUR	  0x04
#define CMOS_DAY	  0x07
#define CMOS_MONTH	  0x08
#define CMOS_YEAR	  0x09
#define CMOS_STATUS_A	  0x0a
#define CMOS_STATUS_A_UIP 0x80
#define CMOS_STATUS_B	  0x0b
#define UPDATE_MAX_US	  5000u
#define TRIES		  4

static u8 cmos_read(u8 reg)
{
	outb(CMOS_INDEX, reg | CMOS_NMI_OFF);
	return inb(CMOS_DATA);
}

static void wait_no_update(void)
{
	u64 deadline = clock_us() + UPDATE_MAX_US;

	while ((cmos_read(CMOS_STATUS_A) & CMOS_STATUS_A_UIP) && clock_us() < deadline)
		__asm__ volatile("pause");
}

static struct rtc_regs read_once(void)
{
	wait_no_update();
	return (struct rtc_regs) {
		.second = cmos_read(CMOS_SECOND),
		.minute = cmos_read(CMOS_MINUTE),
		.hour = cmos_read(CMOS_HOUR),
		.day = cmos_read(CMOS_DAY),
		.month = cmos_read(CMOS_MONTH),
		.year = cmos_read(CMOS_YEAR),
		.status_b = cmos_read(CMOS_STATUS_B),
	};
}

/* Two equal readings: no update fell in between. */
u64 rtc_now_s(void)
{
	struct rtc_regs before = read_once();

	for (u32 i = 0; i < TRIES; i++) {
		struct rtc_regs now = read_once();

		if (memcmp(&before, &now, sizeof(now)) == 0)
			break;
		before = now;
	}
	outb(CMOS_INDEX, 0);
	return rtc_seconds(&before);
}
