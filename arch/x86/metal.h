/*
 * What the metal files offer each other and the front doors. The rest of the
 * program sees only include/ports.h.
 */
#ifndef AFTERIMAGE_METAL_H
#define AFTERIMAGE_METAL_H

#include "framebuffer.h"
#include "status.h"
#include "types.h"

/*
 * Physical less virtual address of everything the image has linked in; 0 where it runs where
 * it was linked for. Set by a front door's first instructions.
 */
extern u64 image_offset;

/* What the page tables and a device need of something in the image. */
static inline u64 own_pa(const void *p)
{
	return (u64)p + image_offset;
}

/* One more than the highest physical address the processor has; a page table may name no other. */
u64 phys_end(void);

/* Loads the table of exception handlers; every exception ends in dump_panic(). */
void trap_init(void);

/*
 * Machine checks are told from here on instead of resetting the machine; does nothing on a
 * processor without them. Errors logged before are printed and cleared.
 */
void mce_init(void);

/*
 * From now on windows show zeros instead of the page at @pa, and phys_unreadable says so;
 * false if too many are hidden already. For the machine check's handler: it may interrupt
 * anything.
 */
bool paging_hide(u64 pa);

/* Finds the frequency of the time stamp counter, in 40 ms, or a few 100 ms if the PIT is broken. */
void clock_init(void);

/* 16550 at I/O @port with @baud (8N1); does nothing if there is none. */
void serial_init(u16 port, u32 baud);
void serial_write(const char *text, u32 bytes);

/* The next key as ASCII, 0: none; those that con_key is for. Neither waits. */
u32 serial_key(void);
u32 keyboard_key(void);

/* VGA text mode 80x25 as the BIOS left it; the last line is the bar's. */
void screen_init(void);
void screen_write(const char *text, u32 bytes);
void screen_bar(u32 permille);

/* Which consoles con_write serves: BOOT_CONSOLE_* of include/bootimage.h; the screen is VGA's. */
void console_init(u32 console, u16 serial_port, u32 serial_baud);

/* From now on @on draws what con_write and con_bar show; it stays the caller's. */
struct console_screen {
	void (*write)(const char *text, u32 bytes);
	void (*bar)(u32 permille);
};
void console_draw(const struct console_screen *on);

/*
 * What is written from now on is kept, the first KiB of it, until console_framebuffer shows it:
 * for a door that must print before it can tell whether there is a framebuffer.
 */
void console_hold(void);

/*
 * The screen is the framebuffer @fb from now on. The caller has made sure that nothing else is
 * there; one that can not be drawn on, is larger than 256 MiB or out of the processor's reach is
 * not used.
 */
void console_framebuffer(const struct framebuffer *fb);

/* The image's code and constants become read-only, page 0 too; the page below the stack goes. */
void paging_protect(void);

/*
 * For an image whose arena lies apart: shows [@pa, @pa+@bytes), whole pages of RAM and no more than
 * from arena_first to arena_limit, where arena_map finds it.
 */
void paging_arena(u64 pa, u64 bytes);

/* UTC seconds since 1970 from the CMOS clock, 0 if it gives no valid time; bounded. */
u64 rtc_now_s(void);

#endif
