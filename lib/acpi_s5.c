/*
 * The sleep types of S5 from AML without interpreting it: the package is found by the bytes
 * that Name(\_S5_, Package() {...}) compiles to (ACPI 6.5 s20.2). Anything else named so, a
 * method for example, is not understood.
 */
#include <string.h>
#include "acpi_parts.h"

#define AML_ZERO    0x00
#define AML_ONE	    0x01
#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_WORD    0x0b
#define AML_DWORD   0x0c
#define AML_QWORD   0x0e
#define AML_PACKAGE 0x12
#define AML_ROOT    0x5c /* '\' before a name */
#define AML_ONES    0xff

#define LENGTH_MORE(lead)  ((lead) >> 6)  /* bytes that follow the first of a PkgLength */
#define LENGTH_ALONE(lead) ((lead)&0x3fu) /* the length if none does */
#define LENGTH_LOW(lead)   ((lead)&0x0fu) /* its lowest four bits if some do */
#define LENGTH_ZERO(lead)  ((lead)&0x30u)

#define SLP_TYP_MAX 7
#define SLP_TYP_END 8 /* more than any that fits */

/* The longest form up to and with the second element. */
#define S5_BYTES (2 + 4 + 1 + 4 + 1 + 9 + 9)
#define STEP	 (ACPI_PIECE_BYTES - S5_BYTES)

struct cursor {
	const u8 *p;
	u32 at;
	u32 end;
};

static bool take(struct cursor *c, u32 bytes, u64 *value)
{
	if (!range_fits(c->at, bytes, c->end))
		return false;
	*value = 0;
	for (u32 i = 0; i < bytes; i++)
		*value |= (u64)c->p[c->at + i] << 8 * i;
	c->at += bytes;
	return true;
}

static bool take_byte(struct cursor *c, u8 want)
{
	if (c->at >= c->end || c->p[c->at] != want)
		return false;
	c->at++;
	return true;
}

/*
 * PkgLength (s20.2.4): of the package with its own bytes. Ends the cursor where it ends, even
 * before itself: then nothing more can be taken.
 */
static bool take_length(struct cursor *c, u32 in_table)
{
	u32 start = c->at;
	u64 lead, more, bytes;

	if (!take(c, 1, &lead) || !take(c, LENGTH_MORE((u32)lead), &more))
		return false;
	bytes = LENGTH_ALONE(lead);
	if (LENGTH_MORE(lead)) {
		if (LENGTH_ZERO(lead))
			return false;
		bytes = more << 4 | LENGTH_LOW(lead);
	}
	if (!range_fits(start, bytes, in_table))
		return false;
	c->end = (u32)min_u64(c->end, start + bytes);
	return true;
}

static bool take_integer(struct cursor *c, u64 *value)
{
	u64 op;

	if (!take(c, 1, &op))
		return false;
	switch (op) {
	case AML_ZERO:
	case AML_ONE:
		*value = op;
		return true;
	case AML_ONES: /* as many bits as the field has */
		*value = SLP_TYP_MAX;
		return true;
	case AML_BYTE:
		return take(c, 1, value);
	case AML_WORD:
		return take(c, 2, value);
	case AML_DWORD:
		return take(c, 4, value);
	case AML_QWORD:
		return take(c, 8, value);
	default:
		return false;
	}
}

/* One element alone holds both types, as the oldest machines have it. */
static bool take_types(struct cursor *c, u64 *a, u64 *b)
{
	u64 elements;

	if (!take(c, 1, &elements) || elements == 0 || !take_integer(c, a))
		return false;
	if (elements > 1)
		return take_integer(c, b);
	*b = *a >> 8;
	*a &= 0xff;
	return true;
}

/* @c starts at a name operator; @in_table bytes are left from there. */
static bool s5_parse(struct cursor *c, u32 in_table, struct acpi_power *p)
{
	u64 a = SLP_TYP_END;
	u64 b = SLP_TYP_END;

	if (!take_byte(c, AML_NAME))
		return false;
	if (c->at < c->end && c->p[c->at] == AML_ROOT)
		c->at++;
	if (!range_fits(c->at, 4, c->end) || memcmp(c->p + c->at, "_S5_", 4) != 0)
		return false;
	c->at += 4;
	if (!take_byte(c, AML_PACKAGE) || !take_length(c, in_table) || !take_types(c, &a, &b))
		return false;
	if (a > SLP_TYP_MAX || b > SLP_TYP_MAX)
		return false;
	p->s5_a = (u8)a;
	p->s5_b = (u8)b;
	p->has_s5 = true;
	return true;
}

void acpi_s5_find(const struct acpi_table *t, struct acpi_power *p)
{
	u8 piece[ACPI_PIECE_BYTES];

	for (u32 offset = ACPI_HEADER_BYTES; offset < t->bytes; offset += STEP) {
		u32 left = t->bytes - offset;
		u32 n = (u32)min_u64(ACPI_PIECE_BYTES, left);

		if (!acpi_table_read(t, offset, piece, n))
			return;
		for (u32 i = 0; i < n; i++) {
			struct cursor c = {piece + i, 0, n - i};

			if (s5_parse(&c, left - i, p))
				return;
		}
	}
}
