/*
 * What is taken out of EFI variables, ACPI tables, PE headers and the kernel's lines, and what
 * is not if they are cut short, foreign or absurd.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tools/common/sysfacts.h"

/* A copy of exactly so many bytes: a read beyond them is an error. */
static u8 *exactly(const u8 *data, u64 bytes)
{
	u8 *copy = malloc(bytes ? bytes : 1);

	assert_non_null(copy);
	memcpy(copy, data, bytes);
	return copy;
}

static void variables_begin_with_attributes(void **state)
{
	static const u8 mor[] = {7, 0, 0, 0, 0x11, 9};
	u8 v = 0xee;

	(void)state;
	for (u64 n = 0; n <= 4; n++) {
		u8 *cut = exactly(mor, n);

		assert_false(sysfacts_efi_byte(cut, n, &v));
		free(cut);
	}
	assert_int_equal(v, 0xee);
	assert_true(sysfacts_efi_byte(mor, 5, &v));
	assert_int_equal(v, 0x11);
	assert_true(sysfacts_efi_byte(mor, 6, &v));
	assert_int_equal(v, 0x11);
}

static void dmar_has_flags(void **state)
{
	u8 table[64] = {'D', 'M', 'A', 'R', 64};
	u8 flags = 0;

	(void)state;
	table[37] = 5;
	assert_true(sysfacts_dmar_flags(table, sizeof(table), &flags));
	assert_int_equal(flags, 5);
	for (u64 n = 0; n < 48; n++) {
		u8 *cut = exactly(table, n);

		assert_false(sysfacts_dmar_flags(cut, n, &flags));
		free(cut);
	}
	assert_true(sysfacts_dmar_flags(table, 48, &flags));
	table[4] = 47;
	assert_false(sysfacts_dmar_flags(table, sizeof(table), &flags));
	table[4] = 64;
	table[0] = 'X';
	assert_false(sysfacts_dmar_flags(table, sizeof(table), &flags));
}

#define PE_AT	 0x80
#define OPTIONAL (PE_AT + 24)
#define CERTS	 (OPTIONAL + 112 + 4 * 8)
#define PE_BYTES (OPTIONAL + 240)

static void make_pe(u8 pe[PE_BYTES])
{
	memset(pe, 0, PE_BYTES);
	memcpy(pe, "MZ", 2);
	pe[0x3c] = PE_AT;
	memcpy(pe + PE_AT, "PE\0\0\x64\x86", 6);
	pe[PE_AT + 20] = 240;
	pe[OPTIONAL] = 0x0b;
	pe[OPTIONAL + 1] = 0x02;
	pe[OPTIONAL + 108] = 16;
	memset(pe + CERTS, 1, 8);
}

static void pe_images_tell_their_signature(void **state)
{
	u8 pe[PE_BYTES];
	bool is_signed = false;

	(void)state;
	make_pe(pe);
	assert_true(sysfacts_pe_signed(pe, sizeof(pe), &is_signed));
	assert_true(is_signed);
	memset(pe + CERTS, 0, 4);
	assert_true(sysfacts_pe_signed(pe, sizeof(pe), &is_signed));
	assert_false(is_signed);
	make_pe(pe);
	memset(pe + CERTS + 4, 0, 4);
	assert_true(sysfacts_pe_signed(pe, sizeof(pe), &is_signed));
	assert_false(is_signed);
	make_pe(pe);
	pe[OPTIONAL + 108] = 4; /* the fifth is none */
	assert_true(sysfacts_pe_signed(pe, sizeof(pe), &is_signed));
	assert_false(is_signed);
	make_pe(pe);
	pe[PE_AT + 20] = 112 + 4 * 8 + 7; /* not within the header */
	assert_true(sysfacts_pe_signed(pe, sizeof(pe), &is_signed));
	assert_false(is_signed);
	make_pe(pe);
	for (u64 n = 0; n < sizeof(pe); n++) {
		u8 *cut = exactly(pe, n);

		assert_false(sysfacts_pe_signed(cut, n, &is_signed));
		free(cut);
	}
}

static void other_files_are_no_pe_image(void **state)
{
	static const u32 spoilt[] = {0, PE_AT, PE_AT + 4, OPTIONAL, 0x3c, 0x3f, PE_AT + 20};
	bool is_signed;
	u8 pe[PE_BYTES];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(spoilt); i++) {
		make_pe(pe);
		pe[spoilt[i]] = spoilt[i] == PE_AT + 20 ? 111 : 0xff;
		assert_false(sysfacts_pe_signed(pe, sizeof(pe), &is_signed));
	}
}

static void words_are_whole(void **state)
{
	(void)state;
	assert_true(sysfacts_has_word("fpu tme sev", "tme"));
	assert_true(sysfacts_has_word("fpu tme sev\n", "sev"));
	assert_true(sysfacts_has_word("\t: fpu", "fpu"));
	assert_false(sysfacts_has_word("fpu tmex", "tme"));
	assert_false(sysfacts_has_word("fpu xtme", "tme"));
	assert_false(sysfacts_has_word("", "tme"));
	assert_false(sysfacts_has_word("a b", ""));
}

static void expect_ranges(const char *line, const struct sys_range *want, u32 count)
{
	const char *at = line;
	struct sys_range r;

	for (u32 i = 0; i < count; i++) {
		assert_true(sysfacts_memmap_next(&at, &r));
		assert_true(r.start == want[i].start && r.bytes == want[i].bytes);
	}
	assert_false(sysfacts_memmap_next(&at, &r));
	assert_int_equal(*at, 0);
}

static void reserved_memory_is_on_the_command_line(void **state)
{
	static const struct sys_range want[] = {
		{0x1000000, 8u * MIB}, {0x3bb00000, MIB}, {0x4000, 4096}, {GIB, 2 * GIB}};

	(void)state;
	expect_ranges("root=/dev/sda1 memmap=8M$0x1000000,1M$0x3bb00000 quiet "
		      "memmap=0x1000#16k memmap=2g!1G\n",
		want, 4);
	expect_ranges("memmap=8M$0x1000000", want, 1);
	expect_ranges("memmap=exactmap,1M@2M,8M$0x1000000", want, 1);
	expect_ranges("", NULL, 0);
	expect_ranges("xmemmap=8M$1M nomemmap=8M$1M", NULL, 0);
	expect_ranges("memmap=8M memmap=8M$ memmap=$1M memmap= memmap=8M@1M memmap=0$1M", NULL, 0);
	expect_ranges("memmap=99999999999T$1M memmap=1M$0xffffffffffffffff", NULL, 0);
	expect_ranges("a,1M$2M memmap", NULL, 0);
}

static void iomem_has_ranges_with_names(void **state)
{
	struct sys_range r;
	const char *name;
	u32 depth;

	(void)state;
	assert_true(sysfacts_iomem_line("00100000-bfffffff : System RAM\n", &r, &name, &depth));
	assert_true(r.start == MIB && r.bytes == 0xbff00000);
	assert_string_equal(name, "System RAM\n");
	assert_int_equal(depth, 0);
	assert_true(sysfacts_iomem_line("  01000000-0220bb07 : Kernel code", &r, &name, &depth));
	assert_int_equal(depth, 1);
	assert_false(sysfacts_iomem_line("00000000-00000000 : System RAM", &r, &name, &depth));
	assert_false(sysfacts_iomem_line("00002000-00001000 : System RAM", &r, &name, &depth));
	assert_false(sysfacts_iomem_line("00000000-ffffffffffffffff : PCI mem", &r, &name, &depth));
	assert_false(sysfacts_iomem_line("", &r, &name, &depth));
	assert_false(sysfacts_iomem_line("12-", &r, &name, &depth));
	assert_false(sysfacts_iomem_line("12-34", &r, &name, &depth));
	assert_false(sysfacts_iomem_line("x-34 : a", &r, &name, &depth));
}

static void meminfo_counts_kib(void **state)
{
	u64 v = 7;

	(void)state;
	assert_true(sysfacts_meminfo_line("MemFree:        1024 kB\n", "MemFree", &v));
	assert_true(v == MIB);
	assert_false(sysfacts_meminfo_line("MemFree:        1024 kB\n", "Mem", &v));
	assert_false(sysfacts_meminfo_line("MemFree: 1024\n", "MemFree", &v));
	assert_false(sysfacts_meminfo_line("MemFree: -1 kB\n", "MemFree", &v));
	assert_false(sysfacts_meminfo_line("MemFree: 99999999999999999999 kB", "MemFree", &v));
	assert_true(v == MIB);
}

static void releases_begin_with_two_numbers(void **state)
{
	u32 major, minor;

	(void)state;
	assert_true(sysfacts_release("6.1.0-50-cloud-amd64", &major, &minor));
	assert_int_equal(major, 6);
	assert_int_equal(minor, 1);
	assert_true(sysfacts_release("5.10", &major, &minor));
	assert_int_equal(minor, 10);
	assert_false(sysfacts_release("", &major, &minor));
	assert_false(sysfacts_release("6", &major, &minor));
	assert_false(sysfacts_release("6.x", &major, &minor));
	assert_false(sysfacts_release("v6.1", &major, &minor));
	assert_false(sysfacts_release("99999999.1", &major, &minor));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_begin_with_attributes),
		cmocka_unit_test(dmar_has_flags),
		cmocka_unit_test(pe_images_tell_their_signature),
		cmocka_unit_test(other_files_are_no_pe_image),
		cmocka_unit_test(words_are_whole),
		cmocka_unit_test(reserved_memory_is_on_the_command_line),
		cmocka_unit_test(iomem_has_ranges_with_names),
		cmocka_unit_test(meminfo_counts_kib),
		cmocka_unit_test(releases_begin_with_two_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
