/*
 * Formatted text and bounded strings without a C library. No allocation, no locale,
 * no output: see con.c for that.
 */
#include <string.h>
#include "str.h"

#define MAX_DIGITS   20 /* of a u64 in decimal */
#define NO_PRECISION UINT32_MAX
#define FIELD_LIMIT  4096u /* largest width or precision a format may ask for */

struct sink {
	char *buf;
	u32 room; /* without the NUL */
	u32 used;
	va_list args;
};

/* One conversion: %[0][width][.precision][l|ll]type */
struct spec {
	char pad;
	u32 width;
	u32 precision;
	u32 longs;
	char type;
};

static void put(struct sink *s, char c)
{
	if (s->used < s->room)
		s->buf[s->used++] = c;
}

static void put_field(struct sink *s, const char *text, u32 bytes, const struct spec *sp)
{
	for (u32 i = bytes; i < sp->width; i++)
		put(s, ' ');
	for (u32 i = 0; i < bytes; i++)
		put(s, text[i]);
}

static void put_number(struct sink *s, u64 value, bool negative, const struct spec *sp)
{
	u32 base = sp->type == 'x' ? 16 : 10;
	char digits[MAX_DIGITS];
	u32 n = 0;
	u32 bytes;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0 && n < MAX_DIGITS);
	bytes = n + (negative ? 1 : 0);
	if (negative && sp->pad == '0')
		put(s, '-');
	for (u32 i = bytes; i < sp->width; i++)
		put(s, sp->pad);
	if (negative && sp->pad != '0')
		put(s, '-');
	while (n > 0)
		put(s, digits[--n]);
}

/* Reads a run of digits at *@f and moves past it. */
static u32 take_number(const char **f)
{
	u32 n = 0;

	for (; **f >= '0' && **f <= '9'; (*f)++) {
		if (n <= FIELD_LIMIT)
			n = n * 10 + (u32)(**f - '0');
	}
	return n < FIELD_LIMIT ? n : FIELD_LIMIT;
}

/* @f points after the '%'; returns the first character after the conversion. */
static const char *take_spec(const char *f, struct spec *sp, u32 star)
{
	*sp = (struct spec) {.pad = ' ', .precision = NO_PRECISION};
	if (*f == '0') {
		sp->pad = '0';
		f++;
	}
	sp->width = take_number(&f);
	if (*f == '.') {
		f++;
		if (*f == '*') {
			sp->precision = star;
			f++;
		} else {
			sp->precision = take_number(&f);
		}
	}
	for (; *f == 'l' && sp->longs < 2; f++)
		sp->longs++;
	sp->type = *f;
	return *f ? f + 1 : f;
}

/* True if the conversion at @f takes its precision from the arguments. */
static bool has_star(const char *f)
{
	while (*f >= '0' && *f <= '9')
		f++;
	return f[0] == '.' && f[1] == '*';
}

static void put_signed(struct sink *s, s64 v, const struct spec *sp)
{
	put_number(s, v < 0 ? 0 - (u64)v : (u64)v, v < 0, sp);
}

static void put_text(struct sink *s, const char *text, const struct spec *sp)
{
	if (!text)
		text = "(null)";
	put_field(s, text, str_len(text, sp->precision), sp);
}

/* "long" and "long long" have one size here, so one va_arg serves both. */
static void put_argument(struct sink *s, const struct spec *sp)
{
	char c;

	switch (sp->type) {
	case 's':
		put_text(s, va_arg(s->args, const char *), sp);
		break;
	case 'c':
		c = (char)va_arg(s->args, int);
		put_field(s, &c, 1, sp);
		break;
	case 'd':
		put_signed(s, sp->longs ? va_arg(s->args, long) : va_arg(s->args, int), sp);
		break;
	case 'u':
	case 'x':
		put_number(s,
			sp->longs ? va_arg(s->args, unsigned long) : va_arg(s->args, unsigned int),
			false, sp);
		break;
	case '\0':
		break;
	default:
		put(s, sp->type);
	}
}

/* A negative precision argument means none, as in C. */
static u32 take_star(struct sink *s, const char *f)
{
	int n;

	if (!has_star(f))
		return NO_PRECISION;
	n = va_arg(s->args, int);
	return n < 0 ? NO_PRECISION : (u32)n;
}

u32 str_vformat(char *buf, u32 size, const char *format, va_list args)
{
	struct sink s = {.buf = buf, .room = size > 0 ? size - 1 : 0};
	const char *f = format;
	struct spec sp;

	va_copy(s.args, args);
	while (*f) {
		if (*f != '%') {
			put(&s, *f++);
			continue;
		}
		f = take_spec(f + 1, &sp, take_star(&s, f + 1));
		put_argument(&s, &sp);
	}
	va_end(s.args);
	if (size > 0)
		buf[s.used] = '\0';
	return s.used;
}

u32 str_format(char *buf, u32 size, const char *format, ...)
{
	va_list args;
	u32 n;

	va_start(args, format);
	n = str_vformat(buf, size, format, args);
	va_end(args);
	return n;
}

u32 str_len(const char *s, u32 max)
{
	u32 n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

void str_copy(char *dst, u32 size, const char *src, u32 max)
{
	u32 n;

	if (size == 0)
		return;
	n = str_len(src, max < size - 1 ? max : size - 1);
	memcpy(dst, src, n);
	dst[n] = '\0';
}

void str_sanitize(char *s, u32 size)
{
	for (u32 i = 0; i < size && s[i]; i++) {
		if (s[i] < ' ' || s[i] > '~')
			s[i] = '?';
	}
}
