/*
 * The command line, word by word: what Linux's loaders write, what people write, and what
 * must not be understood.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bootimage.h"
#include "linuxboot.h"

#define UUID "12345678-9abc-def0-1122-AABBccddeeff"
#define BOTH (BOOT_CONSOLE_SERIAL | BOOT_CONSOLE_SCREEN)

static struct linuxboot_cmdline c;

static const u8 uuid_on_disk[16] = {0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 0x11, 0x22,
	0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

/* From memory that ends with the text, so that the sanitizer sees a read beyond it. */
static void parse(const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	memset(&c, 0xee, sizeof(c));
	linuxboot_cmdline(copy, &c);
	free(copy);
}

static void test_nothing(void **state)
{
	static const char *const nothing[] = {"", "   ", "quiet splash", "\t\n", "=", "\"", "=dump",
		"dumpx=" UUID, "xdump=" UUID, "DUMP=" UUID, "elfcorehdrs=1M", "\"\"", "=\"="};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(nothing); i++) {
		parse(nothing[i]);
		assert_false(c.has_elfcorehdr);
		assert_int_equal(c.elfcorehdr_pa, 0);
		assert_int_equal(c.rsdp_pa, 0);
		assert_false(c.has_target);
		assert_false(c.bad_target);
		assert_false(c.automatic);
		assert_int_equal(c.menu_seconds, 0);
		assert_false(c.has_console);
		assert_int_equal(c.console, BOTH);
		assert_int_equal(c.serial_port, 0x3f8);
		assert_int_equal(c.serial_baud, 115200);
	}
}

static void test_elfcorehdr(void **state)
{
	static const struct {
		const char *text;
		u64 pa;
	} good[] = {
		{"elfcorehdr=123456K", 123456ull << 10},
		{"elfcorehdr=0x2dffff000", 0x2dffff000},
		{"elfcorehdr=0X2DFFFF000", 0x2dffff000},
		{"elfcorehdr=010", 8},
		{"elfcorehdr=4096", 4096},
		{"elfcorehdr=1m", 1ull << 20},
		{"elfcorehdr=3G", 3ull << 30},
		{"elfcorehdr=2T", 2ull << 40},
		{"elfcorehdr=1P", 1ull << 50},
		{"elfcorehdr=15E", 15ull << 60},
		{"elfcorehdr=0x10k", 16384},
		{"elfcorehdr=0x1E", 0x1e},
		{"elfcorehdr=64K@752M", 752ull << 20},
		{"elfcorehdr=0x10000@0x2f000000", 0x2f000000},
		{"elfcorehdr=\"0x1000\"", 0x1000},
		{"\"elfcorehdr=0x1000\"", 0x1000},
		{"elfcorehdr=18446744073709551615", UINT64_MAX},
		{"elfcorehdr=0xffffffffffffffff", UINT64_MAX},
		{"a b\telfcorehdr=1K\nc", 1024},
		{"elfcorehdr=1K elfcorehdr=2K", 2048},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		parse(good[i].text);
		assert_true(c.has_elfcorehdr);
		assert_int_equal(c.elfcorehdr_pa, good[i].pa);
	}
}

static void test_elfcorehdr_damaged(void **state)
{
	static const char *const bad[] = {"elfcorehdr", "elfcorehdr=", "elfcorehdr=K",
		"elfcorehdr=0x", "elfcorehdr=0xg", "elfcorehdr=-1", "elfcorehdr=+1",
		"elfcorehdr=09", "elfcorehdr=1KK", "elfcorehdr=1K@", "elfcorehdr=@1K",
		"elfcorehdr=1@2@3", "elfcorehdr=16E", "elfcorehdr=18014398509481985K",
		"elfcorehdr=18446744073709551616", "elfcorehdr=0x10000000000000000",
		"elfcorehdr=99999999999999999999999999999999", "elfcorehdr=1x", "elfcorehdr= 1K",
		"elfcorehdr=\"", "elfcorehdr=\" 1K\"", "elfcorehdr=1K elfcorehdr=x",
		"elfcorehdr=1K,2K", "elfcorehdr=0"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		parse(bad[i]);
		assert_true(c.has_elfcorehdr);
		assert_int_equal(c.elfcorehdr_pa, 0);
	}
}

static void test_target(void **state)
{
	(void)state;
	parse("quiet dump=" UUID " elfcorehdr=0x1000");
	assert_true(c.has_target);
	assert_false(c.bad_target);
	assert_memory_equal(c.target_uuid, uuid_on_disk, 16);
	assert_int_equal(c.elfcorehdr_pa, 0x1000);
	parse("dump=\"" UUID "\"");
	assert_true(c.has_target);
	assert_memory_equal(c.target_uuid, uuid_on_disk, 16);
	parse("dump=00000000-0000-0000-0000-000000000000 dump=" UUID);
	assert_memory_equal(c.target_uuid, uuid_on_disk, 16);
	parse("dump=nonsense dump=" UUID);
	assert_true(c.has_target);
	assert_false(c.bad_target);
	parse("dump=" UUID " dump=nonsense");
	assert_false(c.has_target);
	assert_true(c.bad_target);
}

/* Every one of the 36 characters counts. */
static void test_target_spoilt(void **state)
{
	static const char wrong[] = "-gG :/@`x";
	char text[64];

	(void)state;
	for (u32 at = 0; at < 36; at++) {
		for (u32 i = 0; i < sizeof(wrong) - 1; i++) {
			snprintf(text, sizeof(text), "dump=%s", UUID);
			if (text[5 + at] == wrong[i])
				continue;
			text[5 + at] = wrong[i];
			parse(text);
			assert_false(c.has_target);
			assert_true(c.bad_target);
		}
		snprintf(text, sizeof(text), "dump=%.*s", (int)at, UUID);
		parse(text);
		assert_true(c.bad_target);
	}
	parse("dump=" UUID "0");
	assert_true(c.bad_target);
	parse("dump");
	assert_true(c.bad_target);
}

static void test_rsdp(void **state)
{
	(void)state;
	parse("acpi_rsdp=0x7ffe0014");
	assert_int_equal(c.rsdp_pa, 0x7ffe0014);
	parse("acpi_rsdp=7ffe0014");
	assert_int_equal(c.rsdp_pa, 0x7ffe0014);
	parse("acpi_rsdp=1000 acpi_rsdp=10x");
	assert_int_equal(c.rsdp_pa, 0);
	parse("acpi_rsdp=10000000000000000");
	assert_int_equal(c.rsdp_pa, 0);
	parse("acpi_rsdp=0x");
	assert_int_equal(c.rsdp_pa, 0);
	parse("acpi_rsdp");
	assert_int_equal(c.rsdp_pa, 0);
}

static void test_console(void **state)
{
	static const struct {
		const char *text;
		u32 console, port, baud;
	} good[] = {
		{"console=screen", BOOT_CONSOLE_SCREEN, 0x3f8, 115200},
		{"console=serial", BOOT_CONSOLE_SERIAL, 0x3f8, 115200},
		{"console=serial,screen", BOTH, 0x3f8, 115200},
		{"console=screen,serial:1", BOTH, 0x2f8, 115200},
		{"console=serial:0x3e8", BOOT_CONSOLE_SERIAL, 0x3e8, 115200},
		{"console=serial:3:9600,screen", BOTH, 0x2e8, 9600},
		{"console=serial:0x100:2", BOOT_CONSOLE_SERIAL, 0x100, 2},
		{"console=serial:0xfff8:115200", BOOT_CONSOLE_SERIAL, 0xfff8, 115200},
		{"console=\"serial:2,screen\"", BOTH, 0x3e8, 115200},
		{"console=ttyS0", BOOT_CONSOLE_SERIAL, 0x3f8, 9600},
		{"console=ttyS1,115200n8", BOOT_CONSOLE_SERIAL, 0x2f8, 115200},
		{"console=ttyS3,57600", BOOT_CONSOLE_SERIAL, 0x2e8, 57600},
		{"console=ttyS2,921600n8", BOOT_CONSOLE_SERIAL, 0x3e8, 115200},
		{"console=ttyS0,", BOOT_CONSOLE_SERIAL, 0x3f8, 9600},
		{"console=ttyS0,n8", BOOT_CONSOLE_SERIAL, 0x3f8, 115200},
		{"console=tty0", BOOT_CONSOLE_SCREEN, 0x3f8, 115200},
		{"console=tty0 console=ttyS1,19200", BOTH, 0x2f8, 19200},
		{"console=ttyS1 console=serial:3:300", BOOT_CONSOLE_SERIAL, 0x2e8, 300},
		{"console=hvc0 console=screen console=ttyAMA0", BOOT_CONSOLE_SCREEN, 0x3f8, 115200},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		parse(good[i].text);
		assert_true(c.has_console);
		assert_int_equal(c.console, good[i].console);
		assert_int_equal(c.serial_port, good[i].port);
		assert_int_equal(c.serial_baud, good[i].baud);
	}
}

/* Nothing of a value that is not understood is taken. */
static void test_console_not_understood(void **state)
{
	static const char *const bad[] = {"console", "console=", "console=serialx",
		"console=serial:", "console=serial:4", "console=serial:00", "console=serial:3f8",
		"console=serial:0x", "console=serial:0xff", "console=serial:0xfff9",
		"console=serial:0x10000", "console=serial:0x00003f8", "console=serial:0x3fg",
		"console=serial:0:1", "console=serial:0:0", "console=serial:0:115201",
		"console=serial:0:7", "console=serial:0:9600n8", "console=serial:1:9600:2",
		"console=serial:1:", "console=screen,", "console=screen,,serial",
		"console=serial:1,screan", "console=ttyS", "console=ttyS4", "console=ttyS00",
		"console=ttySa", "console=tty2", "console=hvc0", "console=ttyAMA0",
		"console=Screen",
		"console=screen,screen,screen,screen,screen,screen,screen,screen,screen"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		parse(bad[i]);
		assert_false(c.has_console);
		assert_int_equal(c.console, BOTH);
		assert_int_equal(c.serial_port, 0x3f8);
		assert_int_equal(c.serial_baud, 115200);
	}
}

static void test_automatic(void **state)
{
	static const char *const on[] = {"auto", " auto ", "a auto\tb", "menu=0 auto", "\"auto\"",
		"auto auto", "dump=" UUID " console=screen menu=3 auto\n"};
	static const char *const off[] = {
		"automatic", "Auto", "aut", "xauto", "auto.x=1", "x=auto", "\"x auto\""};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(on); i++) {
		parse(on[i]);
		assert_true(c.automatic);
	}
	for (u32 i = 0; i < ARRAY_SIZE(off); i++) {
		parse(off[i]);
		assert_false(c.automatic);
	}
}

static void test_menu(void **state)
{
	static const struct {
		const char *text;
		u32 seconds;
	} menu[] = {{"menu=0", 0}, {"menu=1", 1}, {"menu=60", 60}, {"menu=007", 7},
		{"menu=3 menu=9", 9}, {"menu=9 menu=", 0}, {"menu=61", 0}, {"menu=-1", 0},
		{"menu=3s", 0}, {"menu=0x10", 0}, {"menu", 0}, {"menu= 5", 0},
		{"menu=18446744073709551617", 0}, {"menu=4294967299", 0}, {"\"menu=5\"", 5},
		{"menu=\"5\"", 5}, {"xmenu=5", 0}, {"menus=5", 0}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(menu); i++) {
		parse(menu[i].text);
		assert_int_equal(c.menu_seconds, menu[i].seconds);
	}
}

static void test_quotes(void **state)
{
	(void)state;
	parse("x=\"a dump=" UUID " b\" elfcorehdr=1K");
	assert_false(c.has_target);
	assert_int_equal(c.elfcorehdr_pa, 1024);
	parse("x=\"open dump=" UUID);
	assert_false(c.has_target);
	assert_false(c.bad_target);
	parse("\"dump=" UUID "\" elfcorehdr=\"1K");
	assert_true(c.has_target);
	assert_int_equal(c.elfcorehdr_pa, 1024);
}

/* Exactly LINUXBOOT_CMDLINE_MAX bytes are looked at, with or without a NUL. */
static void test_length(void **state)
{
	char *text = malloc(LINUXBOOT_CMDLINE_MAX);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', LINUXBOOT_CMDLINE_MAX);
	linuxboot_cmdline(text, &c);
	assert_false(c.has_elfcorehdr);
	memcpy(text + LINUXBOOT_CMDLINE_MAX - 14, " elfcorehdr=1K", 14);
	linuxboot_cmdline(text, &c);
	assert_int_equal(c.elfcorehdr_pa, 1024);
	memset(text, ' ', LINUXBOOT_CMDLINE_MAX);
	linuxboot_cmdline(text, &c);
	memset(text, '"', LINUXBOOT_CMDLINE_MAX);
	linuxboot_cmdline(text, &c);
	assert_int_equal(c.console, BOTH);
	free(text);
}

static void test_any_bytes(void **state)
{
	static const char *const piece[] = {"dump=", UUID, "elfcorehdr=", "0x", "123", "K", "@",
		" ", "\"", "console=", "serial", "screen", ":", ",", "ttyS", "1",
		"acpi_rsdp=", "-"};
	char text[512];

	(void)state;
	srand(2);
	for (u32 n = 0; n < 20000; n++) {
		text[0] = '\0';
		for (u32 i = 0; i < 12; i++)
			strcat(text, piece[(u32)rand() % ARRAY_SIZE(piece)]);
		parse(text);
		assert_true(c.has_elfcorehdr || c.elfcorehdr_pa == 0);
		assert_false(c.has_target && c.bad_target);
		assert_in_range(c.console, 1, BOTH);
		assert_in_range(c.serial_port, 0x100, 0xfff8);
		assert_int_equal(115200 % c.serial_baud, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_elfcorehdr),
		cmocka_unit_test(test_elfcorehdr_damaged),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_target_spoilt),
		cmocka_unit_test(test_rsdp),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_console_not_understood),
		cmocka_unit_test(test_automatic),
		cmocka_unit_test(test_menu),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
