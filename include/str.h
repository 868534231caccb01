/*
 * Formatted text without a C library: a small subset of printf. Shared by the
 * console and by everything that builds a message.
 */
#ifndef AFTERIMAGE_STR_H
#define AFTERIMAGE_STR_H

#include <stdarg.h>
#include "types.h"

/*
 * Formats into @buf, always NUL-terminated, cut at @size (> 0). Knows %s %c %d %u
 * %x, the l and ll sizes, %%, a width and zero padding, and .* / .N precision for %s. Returns the number of
 * characters written without the NUL.
 */
u32 str_format(char *buf, u32 size, const char *format, ...) PRINTF_LIKE(3, 4);
u32 str_vformat(char *buf, u32 size, const char *format, va_list args);

/* Length of @s, at most @max. */
u32 str_len(const char *s, u32 max);

/* Copies at most @size - 1 characters of the @max-byte field @src; always terminates. */
void str_copy(char *dst, u32 size, const char *src, u32 max);

/* Replaces everything unprintable in a text that came from old memory by '?'. */
void str_sanitize(char *s, u32 size);

/* Formats one line (at most 255 characters) and writes it through con_write. */
void con_printf(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
