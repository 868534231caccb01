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

/* Writes to every console there is; bounded in time; '\n' starts a new line. */
void con_write(const char *text, u32 bytes);

/*
 * Maps @pages pages of old memory from @pa read-only and returns where. The range
 * lies inside one aligned 2 MiB and inside RAM. @slot < PHYS_WINDOW_SLOTS names the
 * window to reuse; what it showed before is gone.
 */
#define PHYS_WINDOW_SLOTS 4
const void *phys_window(u32 slot, u64 pa, u32 pages);

/*
 * True if the page of old memory at @pa has met a memory error since the start: every window
 * shows zeros there, and what was read just before may be zeros too. So it is asked after
 * reading, not before. Costs next to nothing while there was no error.
 */
bool phys_unreadable(u64 pa);

/* Where the handoff's arena, the only RAM that may be written, can be reached. */
void *arena_map(u64 pa, u64 bytes);

/* PCI configuration space; @bdf is bus << 8 | device << 3 | function, @offset a multiple of 4. */
u32 pci_read(u32 bdf, u32 offset);
void pci_write(u32 bdf, u32 offset, u32 value);

/* Maps @bytes of device registers at @pa uncached; NULL if there is no room. Never unmapped. */
struct mmio;
const struct mmio *mmio_map(u64 pa, u64 bytes);

/* What to do after the dump; the numbers are those stored in the superblock. */
enum machine_action {
	ACTION_REBOOT = 0,
	ACTION_POWEROFF = 1,
	ACTION_HALT = 2,
};

/* Does it. Does not return in the image; the hosted one records the action and returns. */
void machine_reset(enum machine_action action);

#endif
