/*
 * Sizes and texts: what people type and what they may safely be shown.
 */
#include <stdio.h>
#include <string.h>
#include "tool.h"

bool tool_parse_number(const char *text, u64 max, u64 *value)
{
	u64 v = 0;

	if (*text == '\0')
		return false;
	for (; *text; text++) {
		u64 digit = (u64)(*text - '0');

		if (*text < '0' || *text > '9' || digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

/* Shift of the unit @s, a whole word like "", "g", "GiB"; -1 if it is none. */
static int unit_shift(const char *s)
{
	static const char units[] = "KMGT";
	const char *at;

	if (*s == '\0')
		return 0;
	at = strchr(units, *s >= 'a' ? *s - 'a' + 'A' : *s);
	if (!at || (s[1] != '\0' && strcmp(s + 1, "B") != 0 && strcmp(s + 1, "iB") != 0))
		return -1;
	return 10 * (int)(at - units + 1);
}

bool tool_parse_size(const char *text, u64 *bytes)
{
	char number[24];
	size_t digits = strspn(text, "0123456789");
	int shift = unit_shift(text + digits);

	if (digits == 0 || digits >= sizeof(number) || shift < 0)
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (!tool_parse_number(number, (u64)INT64_MAX >> shift, bytes))
		return false;
	*bytes <<= shift;
	return true;
}

const char *tool_size_text(u64 bytes, char *buf, u32 size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	u32 unit = 0;

	while (v >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		v /= 1024;
		unit++;
	}
	snprintf(buf, size, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
	return buf;
}

/* Bytes of the well-formed UTF-8 sequence at @s of @left bytes, 0 if there is none (RFC 3629). */
static u32 utf8_bytes(const u8 *s, u32 left)
{
	u32 need = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	u32 code;

	if (s[0] < 0xc2 || s[0] > 0xf4 || need > left)
		return 0;
	code = s[0] & (0xffu >> (need + 1));
	for (u32 i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < 0xa0 || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return (need == 3 && code < 0x800) || (need == 4 && code < 0x10000) ? 0 : need;
}

const char *tool_printable(char *dst, u32 size, const char *src, u32 max)
{
	u32 len = (u32)strnlen(src, max);
	u32 out = 0;

	for (u32 in = 0; in < len && out + 1 < size;) {
		u8 c = (u8)src[in];
		u32 n = c < 0x80 ? 1 : utf8_bytes((const u8 *)src + in, len - in);

		if (n > size - 1 - out)
			break;
		if (n == 0 || c < ' ' || c == 0x7f) {
			dst[out++] = '?';
			in++;
			continue;
		}
		memcpy(dst + out, src + in, n);
		out += n;
		in += n;
	}
	dst[out] = '\0';
	return dst;
}
