/*
 * The ports (include/ports.h) of the pure code in the UEFI application, while boot services last.
 * Memory is where firmware shows it; what nobody asks for there does nothing.
 */
#include "boot/efi.h"
#include "ports.h"

#define CALIBRATE_US 10000u
#define MS_PER_S     1000u
#define PTE_ADDRESS  0x000ffffffffff000ull
#define CR4_LA57     (1ull << 12)

static struct {
	EFI_SYSTEM_TABLE *st;
	struct efi_paging paging;
	u64 shown_pa, shown_end; /* the last that was looked up */
	u64 start, ticks_per_ms; /* 0: the clock was not started */
} ports;

static u64 tsc_read(void)
{
	u32 low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

struct efi_paging efi_paging_now(void)
{
	u64 cr3, cr4;

	__asm__ volatile("movq %%cr3, %0" : "=r"(cr3));
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	return (struct efi_paging) {cr3 & PTE_ADDRESS, cr4 & CR4_LA57 ? 5 : 4};
}

void efi_ports_open(EFI_SYSTEM_TABLE *st)
{
	ports.st = st;
	ports.paging = efi_paging_now();
}

void efi_ports_clock(void)
{
	u64 start = tsc_read();

	ports.st->BootServices->Stall(CALIBRATE_US);
	ports.start = start;
	ports.ticks_per_ms = max_u64((tsc_read() - start) / (CALIBRATE_US / MS_PER_S), 1);
}

u64 clock_us(void)
{
	return ports.ticks_per_ms ? (tsc_read() - ports.start) / ports.ticks_per_ms * MS_PER_S : 0;
}

void con_write(const char *text, u32 bytes)
{
	efi_say(ports.st, text, bytes);
}

bool phys_unreadable(u64 pa)
{
	(void)pa;
	return false;
}

const void *phys_window(u32 slot, u64 pa, u32 pages)
{
	u64 end = pa + ((u64)pages << PAGE_SHIFT);

	(void)slot;
	if (pa < ports.shown_pa || end > ports.shown_end) {
		if (efi_paging_end(&ports.paging, pa, end) != end)
			return NULL;
		ports.shown_pa = pa;
		ports.shown_end = end;
	}
	return (const void *)pa;
}

void *phys_overwrite(u64 pa, u32 pages)
{
	(void)pa;
	(void)pages;
	return NULL;
}

void memory_flush(void)
{
}
