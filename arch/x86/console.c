/*
 * The console port: the same text on the serial line and on the screen, VGA text or whatever
 * else draws.
 */
#include "bootimage.h"
#include "metal.h"
#include "ports.h"

static bool use_serial;
static const struct console_screen *screen; /* NULL: none */

void console_draw(const struct console_screen *on)
{
	screen = on;
}

void console_init(u32 console, u16 serial_port, u32 serial_baud)
{
	static const struct console_screen vga = {screen_write, screen_bar};

	use_serial = console & BOOT_CONSOLE_SERIAL;
	if (use_serial)
		serial_init(serial_port, serial_baud);
	if (console & BOOT_CONSOLE_SCREEN) {
		screen_init();
		console_draw(&vga);
	}
}

void con_bar(u32 permille)
{
	const struct console_screen *on = screen;

	screen = NULL; /* an exception in there is told on the serial line alone */
	if (on)
		on->bar(permille);
	screen = on;
}

void con_write(const char *text, u32 bytes)
{
	const struct console_screen *on = screen;

	if (use_serial)
		serial_write(text, bytes);
	screen = NULL;
	if (on)
		on->write(text, bytes);
	screen = on;
}

u32 con_key(void)
{
	u32 key = use_serial ? serial_key() : 0;

	return key ? key : keyboard_key();
}
