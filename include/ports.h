/*
 * The few functions that the pure code needs from its surroundings. The image
 * implements them in arch/x86/, the tests in tests/host/. The purity gate
 * (tests/purity.sh) allows no other undefined symbol but memcpy, memset, memmove
 * and memcmp.
 */
#ifndef AFTERIMAGE_PORTS_H
#define AFTERIMAGE_PORTS_H

#include "types.h"

/* Microseconds since some fixed moment, never going back. */
u64 clock_us(void);

static inline void clock_wait_us(u64 us)
{
	u64 end = clock_us() + us;

	while (clock_us() < end)
		;
}

/* Writes to every console there is; bounded in time; '\n' starts a new line. */
void con_write(const char *text, u32 bytes);

/* The next key that was pressed on any console, as ASCII; 0: none. Does not wait. */
u32 con_key(void);

/* Shows on consoles that can draw how much is done, in thousandths; more than 1000: no bar. */
void con_bar(u32 permille);

/*
 * Maps @pages pages of old memory from @pa read-only and returns where. The range
 * lies inside one aligned 2 MiB and inside RAM. @slot < PHYS_WINDOW_SLOTS names the
 * window to reuse; what it showed before is gone. NULL if the processor has no such address.
 */
#define PHYS_WINDOW_SLOTS 4
const void *phys_window(u32 slot, u64 pa, u32 pages);

/*
 * True if the page of old memory at @pa has met a memory error since the start: every window
 * shows zeros there, and what was read just before may be zeros too. So it is asked after
 * reading, not before. Costs next to nothing while there was no error.
 */
bool phys_unreadable(u64 pa);

/*
 * Copies from RAM, wherever it is; the windows stay as they are. False if the processor has no such
 * address, or a page met a memory error.
 */
bool phys_copy(u64 pa, void *buf, u64 bytes) MUST_CHECK;

/*
 * For a survey only: the same as phys_window in slot 0, but writable. What is there is lost. The
 * caller has made sure that no old kernel's memory is meant and that the pages are RAM that
 * nobody has. memory_flush() makes what was written reach memory, so that a reset keeps it.
 */
void *phys_overwrite(u64 pa, u32 pages);
void memory_flush(void);

/* Where the handoff's arena, the only RAM that may be written, can be reached. */
void *arena_map(u64 pa, u64 bytes);

/*
 * Configuration space of PCI segment 0 by the two ports; @bdf is bus << 8 | device << 3 |
 * function, @offset a multiple of 4 below 256. Without such ports all reads as ones.
 */
u32 pci_port_read(u32 bdf, u32 offset);
void pci_port_write(u32 bdf, u32 offset, u32 value);
bool pci_port_works(void);

/* I/O ports; @bytes 1, 2 or 4. */
u32 io_read(u16 port, u32 bytes);
void io_write(u16 port, u32 bytes, u32 value);

/*
 * Copies from memory that is not the old kernel's RAM: firmware's tables and ROMs. Read
 * uncached, so that an address that is none after all does no harm to caches. False if it
 * can not be reached; every length is checked here.
 */
bool firmware_read(u64 pa, void *buf, u32 bytes) MUST_CHECK;

/* Maps @bytes of device registers at @pa uncached; NULL if there is no room, or no such
 * address. Never unmapped. */
struct mmio;
const struct mmio *mmio_map(u64 pa, u64 bytes);

/*
 * The page of device registers at @pa, uncached, through the one window there is for this: what
 * it showed before is gone. NULL if there is no such address.
 */
const struct mmio *mmio_window(u64 pa);

/* What to do after the dump; the numbers are those stored in the superblock. */
enum machine_action {
	ACTION_REBOOT = 0,
	ACTION_POWEROFF = 1,
	ACTION_HALT = 2,
};

/*
 * Does it by the ways that need no tables: 0xcf9, keyboard controller, triple fault; anything
 * but ACTION_REBOOT halts. Does not return in the image; the hosted one records the action
 * and returns. lib/power.c tries firmware's ways before.
 */
void machine_reset(enum machine_action action);

#endif
