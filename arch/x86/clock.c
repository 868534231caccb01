/*
 * Time from the time stamp counter. Its frequency is measured against the PIT,
 * which every BIOS machine has; where the PIT does not count, CPUID tells it, and
 * failing that a high guess makes deadlines longer, never shorter.
 */
#include "metal.h"
#include "ports.h"
#include "x86.h"

#define PIT_HZ		 1193182u
#define PIT_CHANNEL2	 0x42
#define PIT_COMMAND	 0x43
#define PIT_MODE0_CH2	 0xb0 /* channel 2, low then high byte, mode 0, binary */
#define SYSTEM_B	 0x61
#define SYSTEM_B_GATE2	 0x01
#define SYSTEM_B_SPEAKER 0x02
#define SYSTEM_B_OUT2	 0x20
#define MEASURE_MS	 10u
#define MEASURE_TRIES	 4u
#define POLLS_MAX	 200000u /* port reads take about 1 us each */
#define GUESS_PER_US	 6000u

static u64 ticks_per_us = GUESS_PER_US;
static u64 start_ticks;

/* Ticks in MEASURE_MS, or 0 if the PIT never came to its end. */
static u64 ticks_by_pit(void)
{
	u32 count = PIT_HZ / 1000 * MEASURE_MS;
	u8 b = inb(SYSTEM_B) & (u8) ~(SYSTEM_B_SPEAKER | SYSTEM_B_GATE2);
	u64 begin;

	outb(SYSTEM_B, b);
	outb(PIT_COMMAND, PIT_MODE0_CH2);
	outb(PIT_CHANNEL2, (u8)count);
	outb(PIT_CHANNEL2, (u8)(count >> 8));
	begin = rdtsc(); /* first: an interruption here must not make the ticks too few */
	outb(SYSTEM_B, b | SYSTEM_B_GATE2);
	for (u32 i = 0; i < POLLS_MAX; i++) {
		if (inb(SYSTEM_B) & SYSTEM_B_OUT2)
			return i > 8 ? rdtsc() - begin : 0;
	}
	return 0;
}

/* Intel SDM Vol. 2A, CPUID leaves 15h and 16h. */
static u64 per_us_by_cpuid(void)
{
	u32 r[4];

	cpuid(0, r);
	if (r[0] < 0x15)
		return 0;
	cpuid(0x15, r);
	if (r[0] && r[1] && r[2])
		return (u64)r[2] * r[1] / r[0] / 1000000;
	cpuid(0, r);
	if (r[0] < 0x16)
		return 0;
	cpuid(0x16, r);
	return r[0] & 0xffff;
}

/* An interruption can only add ticks to a measurement: the least of several is the best. */
static u64 per_us_by_pit(void)
{
	u64 least = 0;

	for (u32 i = 0; i < MEASURE_TRIES; i++) {
		u64 ticks = ticks_by_pit();

		if (ticks == 0)
			break;
		if (!least || ticks < least)
			least = ticks;
	}
	return least / (MEASURE_MS * 1000u);
}

void clock_init(void)
{
	u64 measured = per_us_by_pit();

	if (!measured)
		measured = per_us_by_cpuid();
	if (measured)
		ticks_per_us = measured;
	start_ticks = rdtsc();
}

u64 clock_us(void)
{
	return (rdtsc() - start_ticks) / ticks_per_us;
}
