/*
 * Checks that bytes are afterimage's EFI application and all there: headers, that every section
 * lies in the file, and that our name is in it. What firmware itself checks, the signature first of all, is left to
 * it. Bytes in, words out: no files.
 */
#include <string.h>
#include "efiimage.h"

#define DOS_HEADER_BYTES     64u
#define DOS_PE_OFFSET	     0x3c
#define PE_MACHINE	     4 /* from the PE signature, as are the next */
#define PE_SECTIONS	     6
#define PE_OPTIONAL_BYTES    20
#define PE_OPTIONAL	     24u
#define OPT_MAGIC	     0 /* from the optional header, as are the next */
#define OPT_ENTRY	     16
#define OPT_IMAGE_BYTES	     56
#define OPT_HEADERS_BYTES    60
#define OPT_SUBSYSTEM	     68
#define OPT_DIRECTORIES	     108
#define OPT_BYTES	     112u /* without the directories */
#define DIRECTORY_BYTES	     8u
#define DIRECTORY_SIGNATURES 4u
#define SECTION_BYTES	     40u
#define SECTION_RAW_BYTES    16
#define SECTION_RAW_AT	     20
#define MACHINE_X86_64	     0x8664u
#define MAGIC_PE32_PLUS	     0x20bu
#define SUBSYSTEM_EFI_APP    10u
#define SECTIONS_MAX	     96u /* as loaders take them */
#define OUR_NAME	     "afterimage"

static const char cut_short[] = "is cut short";
static const char damaged[] = "has a damaged header";

static u32 get_u16(const u8 *p)
{
	return p[0] | (u32)p[1] << 8;
}

static u32 get_u32(const u8 *p)
{
	return get_u16(p) | get_u16(p + 2) << 16;
}

/* The only directory whose place is one in the file; s3.4.3. */
static bool signatures_fit(const u8 *optional, u32 optional_bytes, u64 bytes)
{
	u32 at = OPT_BYTES + DIRECTORY_SIGNATURES * DIRECTORY_BYTES;

	if (get_u32(optional + OPT_DIRECTORIES) <= DIRECTORY_SIGNATURES ||
		!range_fits(at, DIRECTORY_BYTES, optional_bytes))
		return true;
	return range_fits(get_u32(optional + at), get_u32(optional + at + 4), bytes);
}

static bool sections_fit(const u8 *section, u32 count, u64 bytes)
{
	for (u32 i = 0; i < count; i++, section += SECTION_BYTES) {
		u32 raw_bytes = get_u32(section + SECTION_RAW_BYTES);

		if (raw_bytes > 0 &&
			!range_fits(get_u32(section + SECTION_RAW_AT), raw_bytes, bytes))
			return false;
	}
	return true;
}

/* @pe: from the signature on, @left bytes; @bytes are the file's. */
static const char *pe_fault(const u8 *pe, u64 left, u64 bytes)
{
	const u8 *optional = pe + PE_OPTIONAL;
	u32 optional_bytes = get_u16(pe + PE_OPTIONAL_BYTES);
	u32 sections = get_u16(pe + PE_SECTIONS);

	if (get_u16(pe + PE_MACHINE) != MACHINE_X86_64)
		return "is for another processor, not x86-64";
	if (optional_bytes < OPT_BYTES || sections == 0 || sections > SECTIONS_MAX)
		return damaged;
	if (!range_fits(PE_OPTIONAL + optional_bytes, sections * SECTION_BYTES, left))
		return cut_short;
	if (get_u16(optional + OPT_MAGIC) != MAGIC_PE32_PLUS)
		return damaged;
	if (get_u16(optional + OPT_SUBSYSTEM) != SUBSYSTEM_EFI_APP)
		return "is a PE file, but no EFI application";
	if (get_u32(optional + OPT_ENTRY) == 0 ||
		get_u32(optional + OPT_ENTRY) >= get_u32(optional + OPT_IMAGE_BYTES))
		return damaged;
	if (get_u32(optional + OPT_HEADERS_BYTES) > bytes ||
		!sections_fit(optional + optional_bytes, sections, bytes) ||
		!signatures_fit(optional, optional_bytes, bytes))
		return cut_short;
	return NULL;
}

const char *efiimage_fault(const u8 *data, u64 bytes)
{
	const char *fault;
	u32 at;

	if (bytes < DOS_HEADER_BYTES)
		return "is too short for an EFI application";
	if (bytes > EFI_IMAGE_MAX_BYTES)
		return "is too long for afterimage.efi";
	if (memcmp(data, "MZ", 2) != 0)
		return "is no EFI application";
	at = get_u32(data + DOS_PE_OFFSET);
	if (!range_fits(at, PE_OPTIONAL, bytes))
		return cut_short;
	if (memcmp(data + at, "PE\0\0", 4) != 0)
		return "is no EFI application";
	fault = pe_fault(data + at, bytes - at, bytes);
	if (!fault && !memmem(data, bytes, OUR_NAME, sizeof(OUR_NAME) - 1))
		fault = "is another EFI application, not afterimage.efi";
	return fault;
}
