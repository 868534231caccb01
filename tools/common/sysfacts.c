/*
 * Takes facts out of EFI variables, ACPI tables, PE headers and the kernel's own lines. Knows
 * their formats; does not judge what they mean for a capture.
 */
#include <stdlib.h>
#include <string.h>
#include "sysfacts.h"

#define EFI_ATTRIBUTE_BYTES 4

/* VT-d 8.1: signature, length, ... flags. */
#define DMAR_LENGTH_AT	4
#define DMAR_FLAGS_AT	37
#define DMAR_HEAD_BYTES 48

/* PE/COFF 3. */
#define PE_POINTER_AT	  0x3c
#define PE_HEAD_BYTES	  24 /* signature and file header */
#define PE_MACHINE_AT	  4
#define PE_OPTIONAL_AT	  20 /* size of the optional header */
#define PE_MACHINE_X64	  0x8664u
#define PE_PLUS_MAGIC	  0x20bu
#define PE_PLUS_COUNT_AT  108 /* of data directories, in the optional header */
#define PE_PLUS_TABLES_AT 112
#define PE_CERTIFICATES	  4
#define PE_TABLE_BYTES	  8

static u32 le16(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8;
}

static u32 le32(const u8 *p)
{
	return le16(p) | le16(p + 2) << 16;
}

bool sysfacts_efi_byte(const u8 *data, u64 bytes, u8 *value)
{
	if (bytes <= EFI_ATTRIBUTE_BYTES)
		return false;
	*value = data[EFI_ATTRIBUTE_BYTES];
	return true;
}

bool sysfacts_dmar_flags(const u8 *data, u64 bytes, u8 *flags)
{
	if (bytes < DMAR_HEAD_BYTES || memcmp(data, "DMAR", 4) != 0 ||
		le32(data + DMAR_LENGTH_AT) < DMAR_HEAD_BYTES)
		return false;
	*flags = data[DMAR_FLAGS_AT];
	return true;
}

bool sysfacts_pe_signed(const u8 *data, u64 bytes, bool *is_signed)
{
	u64 at, tables = PE_PLUS_TABLES_AT + (PE_CERTIFICATES + 1) * PE_TABLE_BYTES;
	const u8 *optional;
	u32 size;

	if (bytes < PE_POINTER_AT + 4 || memcmp(data, "MZ", 2) != 0)
		return false;
	at = le32(data + PE_POINTER_AT);
	if (!range_fits(at, PE_HEAD_BYTES, bytes) || memcmp(data + at, "PE\0\0", 4) != 0 ||
		le16(data + at + PE_MACHINE_AT) != PE_MACHINE_X64)
		return false;
	size = le16(data + at + PE_OPTIONAL_AT);
	if (size < PE_PLUS_TABLES_AT || !range_fits(at + PE_HEAD_BYTES, size, bytes))
		return false;
	optional = data + at + PE_HEAD_BYTES;
	if (le16(optional) != PE_PLUS_MAGIC)
		return false;
	*is_signed = size >= tables && le32(optional + PE_PLUS_COUNT_AT) > PE_CERTIFICATES &&
		     le32(optional + tables - PE_TABLE_BYTES) != 0 &&
		     le32(optional + tables - PE_TABLE_BYTES + 4) != 0;
	return true;
}

bool sysfacts_has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	while (*list) {
		size_t here;

		list += strspn(list, " \t\n");
		here = strcspn(list, " \t\n");
		if (here == length && length > 0 && memcmp(list, word, length) == 0)
			return true;
		list += here;
	}
	return false;
}

/* A number as the kernel reads it on its command line, with K, M, G or T. False if there is none. */
static bool take_size(const char **at, u64 *value)
{
	static const char units[] = "kmgt";
	const char *unit;
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*value = strtoull(*at, &end, 0);
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	*at = end;
	if (!unit)
		return true;
	(*at)++;
	for (const char *u = units; u <= unit; u++) {
		if (*value > UINT64_MAX / KIB)
			return false;
		*value *= KIB;
	}
	return true;
}

/* One SIZE?START; true if it takes memory away. *@at is moved past what could be read. */
static bool take_memmap(const char **at, struct sys_range *r)
{
	char kind;

	if (!take_size(at, &r->bytes))
		return false;
	kind = **at;
	if (kind != '$' && kind != '#' && kind != '!')
		return false;
	(*at)++;
	return take_size(at, &r->start) && r->bytes > 0 &&
	       range_fits(r->start, r->bytes, UINT64_MAX);
}

#define MEMMAP "memmap="

/* *@at is where a word begins, or where a range ended. */
bool sysfacts_memmap_next(const char **at, struct sys_range *range)
{
	bool inside = **at == ',';

	while (**at) {
		if (inside && **at == ',') {
			(*at)++;
			if (take_memmap(at, range))
				return true;
			*at += strcspn(*at, ", \t\n");
			continue;
		}
		*at += strspn(*at, " \t\n");
		inside = strncmp(*at, MEMMAP, strlen(MEMMAP)) == 0;
		*at += inside ? strlen(MEMMAP) : strcspn(*at, " \t\n");
		if (inside && take_memmap(at, range))
			return true;
		*at += strcspn(*at, inside ? ", \t\n" : " \t\n");
	}
	return false;
}

bool sysfacts_iomem_line(const char *line, struct sys_range *range, const char **name, u32 *depth)
{
	size_t indent = strspn(line, " ");
	const char *at = line + indent;
	u64 last;
	char *end;

	if (strspn(at, "0123456789abcdef") == 0)
		return false;
	range->start = strtoull(at, &end, 16);
	if (*end != '-' || strspn(end + 1, "0123456789abcdef") == 0)
		return false;
	last = strtoull(end + 1, &end, 16);
	if (strncmp(end, " : ", 3) != 0 || last <= range->start || last == UINT64_MAX)
		return false;
	range->bytes = last - range->start + 1;
	*name = end + 3;
	*depth = (u32)indent / 2;
	return true;
}

bool sysfacts_meminfo_line(const char *line, const char *key, u64 *bytes)
{
	size_t length = strlen(key);
	char *end;
	u64 kib;

	if (strncmp(line, key, length) != 0 || line[length] != ':')
		return false;
	line += length + 1;
	line += strspn(line, " ");
	if (*line < '0' || *line > '9')
		return false;
	kib = strtoull(line, &end, 10);
	if (strncmp(end, " kB", 3) != 0 || kib > UINT64_MAX / KIB)
		return false;
	*bytes = kib * KIB;
	return true;
}

bool sysfacts_release(const char *release, u32 *major, u32 *minor)
{
	unsigned long a, b;
	char *end;

	if (*release < '0' || *release > '9')
		return false;
	a = strtoul(release, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return false;
	b = strtoul(end + 1, &end, 10);
	if (a > UINT16_MAX || b > UINT16_MAX)
		return false;
	*major = (u32)a;
	*minor = (u32)b;
	return true;
}
