/*
 * What the kernel and the firmware say of a machine, taken out of the bytes and lines in which
 * they say it. Arithmetic on bytes of any origin and length; opens nothing.
 */
#ifndef AFTERIMAGE_SYSFACTS_H
#define AFTERIMAGE_SYSFACTS_H

#include "types.h"

struct sys_range {
	u64 start;
	u64 bytes; /* never 0 */
};

/* --- the firmware's --- */

/*
 * The value, its first byte, of a variable as efivarfs shows it: 4 bytes of attributes come
 * before. False if there is none.
 */
bool sysfacts_efi_byte(const u8 *data, u64 bytes, u8 *value) MUST_CHECK;

/* The flags of an ACPI DMAR table (VT-d 8.1); false if the bytes are none. */
bool sysfacts_dmar_flags(const u8 *data, u64 bytes, u8 *flags) MUST_CHECK;

#define SYSFACTS_DMAR_OPT_IN 4u /* firmware asks that DMA stays restricted from the start on */

/*
 * Does the PE image that begins with these bytes carry a signature (PE/COFF: certificate table)?
 * False if it is no PE image for x86-64, or its headers are cut off.
 */
bool sysfacts_pe_signed(const u8 *data, u64 bytes, bool *is_signed) MUST_CHECK;

/* --- the kernel's --- */

/* Is @word among the words, separated by blanks, of @list? */
bool sysfacts_has_word(const char *list, const char *word);

/*
 * The next memory that a memmap= on the kernel command line from *@at on takes away from the
 * kernel (SIZE$START, SIZE#START, SIZE!START; several are separated by commas). *@at is moved
 * behind it. False: there is no more.
 */
bool sysfacts_memmap_next(const char **at, struct sys_range *range) MUST_CHECK;

/*
 * A line of /proc/iomem. @name points into it; *@depth counts how deep it is nested, from 0.
 * False if it is none, or if addresses are hidden from this user (all zero).
 */
bool sysfacts_iomem_line(
	const char *line, struct sys_range *range, const char **name, u32 *depth) MUST_CHECK;

/* The bytes that a line like "MemFree:  123 kB" gives if it is that of @key; else false. */
bool sysfacts_meminfo_line(const char *line, const char *key, u64 *bytes) MUST_CHECK;

/* First two numbers of a kernel's release; false if it has none. */
bool sysfacts_release(const char *release, u32 *major, u32 *minor) MUST_CHECK;

#endif
