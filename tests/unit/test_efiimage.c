/*
 * Unit tests of what mkdumpdisk takes for an EFI application, on a file made by hand: 4 KiB,
 * two sections, a signature at its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "tools/mkdumpdisk/efiimage.c"

#define FILE_BYTES     4096u
#define PE_AT	       0x80u
#define OPTIONAL_AT    (PE_AT + 24)
#define OPTIONAL_BYTES (112u + 16 * 8)
#define SECTIONS_AT    (OPTIONAL_AT + OPTIONAL_BYTES)
#define SIGNATURES_AT  (OPTIONAL_AT + 112 + 4 * 8)

static void put(u8 *at, u64 value, u32 bytes)
{
	memcpy(at, &value, bytes);
}

/* On the heap, in exactly as many bytes as it has: what reads beyond them shows. */
static u8 *make(u64 bytes)
{
	u8 *f = calloc(1, bytes > FILE_BYTES ? bytes : FILE_BYTES);
	u8 *small;

	assert_non_null(f);
	memcpy(f, "MZ", 2);
	put(f + 0x3c, PE_AT, 4);
	memcpy(f + PE_AT, "PE", 2);
	put(f + PE_AT + 4, 0x8664, 2);
	put(f + PE_AT + 6, 2, 2);
	put(f + PE_AT + 20, OPTIONAL_BYTES, 2);
	put(f + OPTIONAL_AT, 0x20b, 2);
	put(f + OPTIONAL_AT + 16, 0x1000, 4);
	put(f + OPTIONAL_AT + 56, 0x5000, 4);
	put(f + OPTIONAL_AT + 60, 0x400, 4);
	put(f + OPTIONAL_AT + 68, 10, 2);
	put(f + OPTIONAL_AT + 108, 16, 4);
	put(f + SIGNATURES_AT, 0xe00, 4);
	put(f + SIGNATURES_AT + 4, 0x200, 4);
	put(f + SECTIONS_AT + 16, 0x400, 4);
	put(f + SECTIONS_AT + 20, 0x400, 4);
	put(f + SECTIONS_AT + 40 + 16, 0x600, 4);
	put(f + SECTIONS_AT + 40 + 20, 0x800, 4);
	memcpy(f + 0x500, "afterimage", 10);
	small = malloc(bytes);
	assert_non_null(small);
	memcpy(small, f, bytes);
	free(f);
	return small;
}

/* The fault with @bytes bytes at @at set to @value; "" for none. */
static const char *fault_with(u32 at, u64 value, u32 bytes)
{
	u8 *f = make(FILE_BYTES);
	const char *fault;

	put(f + at, value, bytes);
	fault = efiimage_fault(f, FILE_BYTES);
	free(f);
	return fault ? fault : "";
}

/* A signature outside the file counts only if the header counts its directory. */
static void test_directory_count(void **state)
{
	u8 *f = make(FILE_BYTES);

	(void)state;
	put(f + SIGNATURES_AT + 4, 0xffffffff, 4);
	put(f + OPTIONAL_AT + 108, 4, 4);
	assert_null(efiimage_fault(f, FILE_BYTES));
	put(f + OPTIONAL_AT + 108, 5, 4);
	assert_string_equal(efiimage_fault(f, FILE_BYTES), cut_short);
	free(f);
}

/* A section without bytes in the file, as .bss, may name any place. */
static void test_empty_section(void **state)
{
	u8 *f = make(FILE_BYTES);

	(void)state;
	put(f + SECTIONS_AT + 16, 0, 4);
	put(f + SECTIONS_AT + 20, 0xffffffff, 4);
	assert_null(efiimage_fault(f, FILE_BYTES));
	free(f);
}

static void test_good(void **state)
{
	(void)state;
	assert_string_equal(fault_with(0x3c, PE_AT, 4), "");
	/* Without directories, and with fewer than the one of signatures. */
	assert_string_equal(fault_with(OPTIONAL_AT + 108, 0, 4), "");
	assert_string_equal(fault_with(OPTIONAL_AT + 108, 4, 4), "");
}

/* Every length: the signature's last byte is the file's. */
static void test_every_length(void **state)
{
	(void)state;
	for (u64 n = 0; n <= FILE_BYTES; n++) {
		u8 *f = make(n > 0 ? n : 1);
		const char *fault = efiimage_fault(f, n);

		free(f);
		if (n == FILE_BYTES)
			assert_null(fault);
		else
			assert_non_null(fault);
	}
}

static void test_kinds(void **state)
{
	(void)state;
	assert_string_equal(fault_with(0, 0x464c457f, 4), "is no EFI application");
	assert_string_equal(fault_with(PE_AT, 0x4550 | 1 << 16, 4), "is no EFI application");
	assert_string_equal(
		fault_with(PE_AT + 4, 0xaa64, 2), "is for another processor, not x86-64");
	assert_string_equal(
		fault_with(PE_AT + 4, 0x14c, 2), "is for another processor, not x86-64");
	assert_string_equal(
		fault_with(OPTIONAL_AT + 68, 3, 2), "is a PE file, but no EFI application");
	assert_string_equal(
		fault_with(OPTIONAL_AT + 68, 11, 2), "is a PE file, but no EFI application");
}

static void test_another_program(void **state)
{
	(void)state;
	assert_string_equal(
		fault_with(0x509, 'f', 1), "is another EFI application, not afterimage.efi");
}

static void test_damage(void **state)
{
	(void)state;
	assert_string_equal(fault_with(OPTIONAL_AT, 0x10b, 2), damaged);
	assert_string_equal(fault_with(PE_AT + 20, 111, 2), damaged);
	assert_string_equal(fault_with(PE_AT + 6, 0, 2), damaged);
	assert_string_equal(fault_with(PE_AT + 6, 97, 2), damaged);
	assert_string_equal(fault_with(OPTIONAL_AT + 16, 0, 4), damaged);
	assert_string_equal(fault_with(OPTIONAL_AT + 16, 0x5000, 4), damaged);
}

static void test_outside(void **state)
{
	(void)state;
	assert_string_equal(fault_with(0x3c, FILE_BYTES - 23, 4), cut_short);
	assert_string_equal(fault_with(0x3c, 0xffffffff, 4), cut_short);
	assert_string_equal(fault_with(PE_AT + 20, 0xffff, 2), cut_short);
	assert_string_equal(fault_with(OPTIONAL_AT + 60, FILE_BYTES + 1, 4), cut_short);
	assert_string_equal(fault_with(SECTIONS_AT + 40 + 16, 0x801, 4), cut_short);
	assert_string_equal(fault_with(SECTIONS_AT + 40 + 20, 0xfffffff0, 4), cut_short);
	assert_string_equal(fault_with(SIGNATURES_AT, 0xe01, 4), cut_short);
	assert_string_equal(fault_with(SIGNATURES_AT + 4, 0xffffffff, 4), cut_short);
}

/* Headers at the very end, so that a directory or a section would lie beyond it. */
static void test_headers_at_the_end(void **state)
{
	u8 *f = make(FILE_BYTES);
	u32 at = FILE_BYTES - 24 - 112 - 40;

	(void)state;
	put(f + 0x3c, at, 4);
	memcpy(f + at, f + PE_AT, 24 + 112);
	put(f + at + 6, 1, 2);
	put(f + at + 20, 112, 2); /* no room for directories, whatever the header counts */
	put(f + at + 24 + 112 + 16, 0, 4);
	assert_null(efiimage_fault(f, FILE_BYTES));
	put(f + at + 6, 2, 2);
	assert_string_equal(efiimage_fault(f, FILE_BYTES), cut_short);
	free(f);
}

static void test_too_long(void **state)
{
	u8 *f = make(EFI_IMAGE_MAX_BYTES + 1);

	(void)state;
	assert_null(efiimage_fault(f, EFI_IMAGE_MAX_BYTES));
	assert_string_equal(
		efiimage_fault(f, EFI_IMAGE_MAX_BYTES + 1), "is too long for afterimage.efi");
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_directory_count),
		cmocka_unit_test(test_empty_section),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_another_program),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_headers_at_the_end),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
