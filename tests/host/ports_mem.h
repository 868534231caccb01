/*
 * Controls of the hosted ports for memory, time, console and reset. Everything starts
 * empty; host_reset_all makes it so again.
 */
#ifndef AFTERIMAGE_PORTS_MEM_H
#define AFTERIMAGE_PORTS_MEM_H

#include "types.h"

#define HOST_RAM_PIECES 8
#define HOST_UNREADABLE 64

/* Forgets all RAM, settings, console text and the recorded reset; the clock starts at 0. */
void host_reset_all(void);

/* Forgets what was registered; then @base holds physical memory [0, bytes). */
void host_ram_set(u8 *base, u64 bytes);

/* One more piece, [pa, pa+bytes), both multiples of 4096; @base stays the caller's. */
void host_ram_add(u64 pa, u8 *base, u64 bytes);

/* Where @pa..@pa+@bytes lies in the registered pieces, or NULL: for tests that model DMA. */
u8 *host_ram_at(u64 pa, u64 bytes);

/* What firmware_read finds at [pa, pa+bytes); @base stays the caller's. One piece. */
void host_firmware_set(u64 pa, const u8 *base, u64 bytes);

/* I/O ports: NULL functions are open bus, reads all ones and writes nothing. */
struct host_io {
	u32 (*read)(void *ctx, u16 port, u32 bytes);
	void (*write)(void *ctx, u16 port, u32 bytes, u32 value);
	void *ctx;
};
void host_io_set(const struct host_io *io);

/*
 * From now on reading the page at @pa meets a memory error: windows show zeros there. One
 * that is open and not private still shows what was there.
 */
void host_ram_unreadable(u64 pa);

/*
 * Gives every window its own copy, freed when its slot is used again, so that the
 * sanitizer sees any use of an outlived view. Slow: 2 MiB copied per window.
 */
void host_windows_private(bool on);

/* Windows opened so far. */
u64 host_windows_opened(void);

/* Pages given out by phys_overwrite so far, calls of memory_flush, and the last con_bar. */
u64 host_overwritten_pages(void);
u64 host_flushes(void);
u32 host_bar(void);

/* The clock moves 1 us at each clock_us() and by this. */
void host_clock_advance_us(u64 us);

/* From now on it moves @us at each clock_us(). */
void host_clock_step(u64 us);

/* What con_key returns from now on, one after the other; stays the caller's. */
void host_keys(const char *keys);

/* What con_write got since the last clear, NUL-terminated; the first 64 KiB of it. */
const char *host_console(void);
void host_console_clear(void);

/* Also copies the console to stderr. */
void host_console_echo(bool on);

/* The action of the last machine_reset, -1 if none. */
int host_reset_action(void);

#endif
