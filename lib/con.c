/*
 * Formatted lines to the consoles. Apart from str.c, so that the tools can use that
 * file without having a console.
 */
#include "ports.h"
#include "str.h"

#define LINE_MAX_BYTES 256

void con_printf(const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	u32 n;

	va_start(args, format);
	n = str_vformat(line, sizeof(line), format, args);
	va_end(args);
	con_write(line, n);
}
