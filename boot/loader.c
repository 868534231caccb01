/*
 * The consoles of the doors that a boot loader or kexec leads to. Decides nothing else.
 */
#include "arch/x86/metal.h"
#include "boot/loader.h"
#include "bootimage.h"
#include "display.h"
#include "main.h"

static bool screen_wanted(const struct linuxboot_cmdline *c, const struct loader_screen *s)
{
	return c->console & BOOT_CONSOLE_SCREEN && s->fb.bytes;
}

void loader_console(const struct linuxboot_cmdline *c, const struct loader_screen *s, u32 door)
{
	u8 console = c->console;

	if (!s->text_mode)
		console &= (u8)~BOOT_CONSOLE_SCREEN;
	console_init(console, c->serial_port, c->serial_baud);
	if (screen_wanted(c, s))
		console_hold();
	dump_hello(door);
}

void loader_screen_open(
	struct handoff *h, const struct linuxboot_cmdline *c, const struct loader_screen *s)
{
	const struct framebuffer *fb = &s->fb;

	if (!screen_wanted(c, s) || memmap_has(&h->map, fb->pa, fb->bytes, MEM_RAM))
		return;
	if (!display_has(fb->pa, fb->bytes))
		return;
	h->screen = *fb;
	console_framebuffer(fb);
}
