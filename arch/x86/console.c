/*
 * The console port: the same text on the serial line and on the screen.
 */
#include "bootimage.h"
#include "metal.h"
#include "ports.h"

static bool use_serial, use_screen;

void console_init(u32 console, u16 serial_port, u32 serial_baud)
{
	use_serial = console & BOOT_CONSOLE_SERIAL;
	use_screen = console & BOOT_CONSOLE_SCREEN;
	if (use_serial)
		serial_init(serial_port, serial_baud);
	if (use_screen)
		screen_init();
}

void con_bar(u32 permille)
{
	(void)permille;
}

void con_write(const char *text, u32 bytes)
{
	if (use_screen)
		screen_write(text, bytes);
	if (use_serial)
		serial_write(text, bytes);
}
