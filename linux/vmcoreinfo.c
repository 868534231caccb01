/*
 * Reading keys out of a private copy of vmcoreinfo: KEY=value lines. Knows nothing of
 * what the keys mean. The text may be garbage anywhere; a malformed value is an absent one.
 */
#include <string.h>
#include "oldkernel.h"

/* Bytes up to the next newline or the end. */
static u32 line_bytes(const char *line, u32 left)
{
	u32 n = 0;

	while (n < left && line[n] != '\n')
		n++;
	return n;
}

static u32 key_bytes(const char *key)
{
	u32 n = 0;

	while (n < VMCOREINFO_MAX && key[n])
		n++;
	return n;
}

const char *vmcoreinfo_text(const struct vmcoreinfo *vi, const char *key, u32 *bytes)
{
	u32 end = vi->bytes < VMCOREINFO_MAX ? vi->bytes : VMCOREINFO_MAX;
	u32 key_len = key_bytes(key);
	u32 at = 0;

	while (at < end) {
		const char *line = vi->text + at;
		u32 n = line_bytes(line, end - at);

		if (n > key_len && line[key_len] == '=' && memcmp(line, key, key_len) == 0) {
			*bytes = n - key_len - 1;
			return line + key_len + 1;
		}
		at += n + 1;
	}
	return NULL;
}

/* Value of a hexadecimal digit; 16 for anything else. */
static u32 digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (u32)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (u32)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (u32)(c - 'A') + 10;
	return 16;
}

/* All of @s must be digits, at least one, and the value below 2^64. */
static bool parse_digits(const char *s, u32 bytes, u32 base, u64 *value)
{
	u64 v = 0;

	if (bytes == 0)
		return false;
	for (u32 i = 0; i < bytes; i++) {
		u32 d = digit_value(s[i]);

		if (d >= base || v > (UINT64_MAX - d) / base)
			return false;
		v = v * base + d;
	}
	*value = v;
	return true;
}

static bool has_0x(const char *s, u32 bytes)
{
	return bytes >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
}

bool vmcoreinfo_hex(const struct vmcoreinfo *vi, const char *key, u64 *value)
{
	u32 bytes;
	const char *s = vmcoreinfo_text(vi, key, &bytes);
	u32 skip;

	if (!s)
		return false;
	skip = has_0x(s, bytes) ? 2 : 0;
	return parse_digits(s + skip, bytes - skip, 16, value);
}

bool vmcoreinfo_number(const struct vmcoreinfo *vi, const char *key, s64 *value)
{
	u32 bytes;
	const char *s = vmcoreinfo_text(vi, key, &bytes);
	bool negative;
	u64 v;

	if (!s)
		return false;
	if (has_0x(s, bytes)) {
		if (!parse_digits(s + 2, bytes - 2, 16, &v))
			return false;
		*value = (s64)v;
		return true;
	}
	negative = bytes > 0 && s[0] == '-';
	if (!parse_digits(s + negative, bytes - negative, 10, &v))
		return false;
	if (v > (u64)INT64_MAX + negative)
		return false;
	*value = negative ? (s64)(0 - v) : (s64)v;
	return true;
}
