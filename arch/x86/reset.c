/*
 * Restarting or stopping the machine, by every way that needs no tables of the
 * firmware, one after the other. The last resort: lib/power.c tries the firmware's own
 * reset register before.
 */
#include "metal.h"
#include "ports.h"
#include "x86.h"

#define RESET_CONTROL	   0xcf9
#define RESET_CONTROL_SYS  0x02
#define RESET_CONTROL_FULL 0x06
#define KBC_STATUS	   0x64
#define KBC_STATUS_BUSY	   0x02
#define KBC_PULSE_RESET	   0xfe
#define SETTLE_US	   200000u
#define KBC_POLLS	   20000u

static void kbc_reset(void)
{
	for (u32 i = 0; i < KBC_POLLS && (inb(KBC_STATUS) & KBC_STATUS_BUSY); i++)
		__asm__ volatile("pause");
	outb(KBC_STATUS, KBC_PULSE_RESET);
}

static void triple_fault(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = {0, 0};

	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

void machine_reset(enum machine_action action)
{
	if (action == ACTION_REBOOT) {
		outb(RESET_CONTROL, RESET_CONTROL_SYS);
		outb(RESET_CONTROL, RESET_CONTROL_FULL);
		clock_wait_us(SETTLE_US);
		kbc_reset();
		clock_wait_us(SETTLE_US);
		triple_fault();
	}
	cpu_halt_forever();
}
