/*
 * The zero page: every field at its place, the memory map in all its forms, any bytes at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "linuxboot.h"

static u8 page[LINUXBOOT_ZERO_PAGE_BYTES];
static struct linuxboot_zero_page zp;

static int setup(void **state)
{
	(void)state;
	memset(page, 0, sizeof(page));
	memset(&zp, 0xee, sizeof(zp));
	return 0;
}

static void put_u32(u32 at, u32 v)
{
	memcpy(page + at, &v, sizeof(v));
}

static void put_u64(u32 at, u64 v)
{
	memcpy(page + at, &v, sizeof(v));
}

static void put_e820(u32 i, u64 pa, u64 bytes, u32 type)
{
	put_u64(0x2d0 + i * 20, pa);
	put_u64(0x2d0 + i * 20 + 8, bytes);
	put_u32(0x2d0 + i * 20 + 16, type);
}

static void test_empty_page(void **state)
{
	(void)state;
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.cmdline_pa, 0);
	assert_int_equal(zp.initrd_pa, 0);
	assert_int_equal(zp.initrd_bytes, 0);
	assert_int_equal(zp.rsdp_pa, 0);
	assert_true(zp.text_mode);
	assert_int_equal(zp.map.count, 0);
	assert_int_equal(zp.map.dropped, 0);
}

static void test_fields_below_4_gib(void **state)
{
	(void)state;
	put_u32(0x228, 0x11223344);
	put_u32(0x218, 0x21000000);
	put_u32(0x21c, 0x00123456);
	put_u64(0x70, 0x7ffe0014);
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.cmdline_pa, 0x11223344);
	assert_int_equal(zp.initrd_pa, 0x21000000);
	assert_int_equal(zp.initrd_bytes, 0x123456);
	assert_int_equal(zp.rsdp_pa, 0x7ffe0014);
}

static void test_fields_above_4_gib(void **state)
{
	(void)state;
	put_u32(0x0c8, 0x12);
	put_u32(0x228, 0xfffff000);
	put_u32(0x0c0, 0x34);
	put_u32(0x218, 0x80000000);
	put_u32(0x0c4, 0x56);
	put_u32(0x21c, 0x9abcdef0);
	put_u64(0x70, 0x1122334455667788);
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.cmdline_pa, 0x12fffff000);
	assert_int_equal(zp.initrd_pa, 0x3480000000);
	assert_int_equal(zp.initrd_bytes, 0x569abcdef0);
	assert_int_equal(zp.rsdp_pa, 0x1122334455667788);
}

static void test_text_mode(void **state)
{
	(void)state;
	for (u32 video = 0; video < 256; video++) {
		page[0x0f] = (u8)video;
		linuxboot_zero_page(page, &zp);
		assert_int_equal(zp.text_mode, video == 0 || video == 1 || video == 0x22);
	}
}

/* As GRUB tells of 1024x768 with 32 bits. */
static void put_screen(u8 video)
{
	page[0x0f] = video;
	put_u32(0x12, 768 << 16 | 1024);
	page[0x16] = 32;
	put_u32(0x18, 0xfd000000);
	put_u32(0x1c, 48);
	page[0x25] = 4096 >> 8;
	memcpy(page + 0x26, "\x08\x10\x08\x08\x08\x00\x08\x18", 8);
}

static void test_framebuffer(void **state)
{
	(void)state;
	put_screen(0x23);
	linuxboot_zero_page(page, &zp);
	assert_false(zp.text_mode);
	assert_int_equal(zp.screen.pa, 0xfd000000);
	assert_int_equal(zp.screen.bytes, 4096 * 768);
	assert_int_equal(zp.screen.width, 1024);
	assert_int_equal(zp.screen.height, 768);
	assert_int_equal(zp.screen.stride_bytes, 4096);
	assert_int_equal(zp.screen.pixel_bytes, 4);
	assert_int_equal(zp.screen.red.shift, 16);
	assert_int_equal(zp.screen.red.bits, 8);
	assert_int_equal(zp.screen.green.shift, 8);
	assert_int_equal(zp.screen.green.bits, 8);
	assert_int_equal(zp.screen.blue.shift, 0);
	assert_int_equal(zp.screen.blue.bits, 8);
	put_u32(0x3a, 0x12); /* means nothing without its bit */
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.screen.pa, 0xfd000000);
	put_screen(0x70);
	put_u32(0x36, 2);
	page[0x16] = 15;
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.screen.pa, 0x12fd000000);
	assert_int_equal(zp.screen.pixel_bytes, 2);
}

static void test_no_framebuffer(void **state)
{
	static const struct linuxboot_zero_page none;

	(void)state;
	for (u32 video = 0; video < 256; video++) {
		put_screen((u8)video);
		linuxboot_zero_page(page, &zp);
		assert_int_equal(zp.screen.bytes != 0, video == 0x23 || video == 0x70);
	}
	put_screen(0x70);
	put_u32(0x18, 0);
	linuxboot_zero_page(page, &zp);
	assert_memory_equal(&zp.screen, &none.screen, sizeof(zp.screen));
	put_screen(0x70);
	put_u32(0x36, 2);
	put_u32(0x3a, 0xffffffff);
	put_u32(0x18, 0xfffff000); /* the end of all addresses */
	linuxboot_zero_page(page, &zp);
	assert_memory_equal(&zp.screen, &none.screen, sizeof(zp.screen));
}

static void test_memory_map(void **state)
{
	(void)state;
	put_e820(0, 0, 0x9fc00, 1);
	put_e820(1, 0x9fc00, 0x400, 2);
	put_e820(2, 0x30000000, 0x1000000, 1);
	put_e820(3, 0x40000000, 0x1000, 3);
	put_e820(4, 0x40001000, 0x1000, 0xefffffff);
	put_e820(5, 0x100000000, 0x2000, 1);
	put_e820(6, 0x50000000, 0x1000, 1);
	page[0x1e8] = 6;
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.map.count, 5);
	assert_int_equal(zp.map.range[0].bytes, 0x9f000);
	assert_int_equal(zp.map.range[0].type, MEM_RAM);
	assert_int_equal(zp.map.range[1].type, MEM_RESERVED);
	assert_int_equal(zp.map.range[2].pa, 0x30000000);
	assert_int_equal(zp.map.range[2].bytes, 0x1000000);
	assert_int_equal(zp.map.range[3].bytes, 0x2000);
	assert_int_equal(zp.map.range[3].type, MEM_RESERVED);
	assert_int_equal(zp.map.range[4].pa, 0x100000000);
	assert_int_equal(zp.map.range[4].touched, TOUCHED_NOBODY);
}

/* What follows the table is no entry, whatever the count says. */
static void test_count_beyond_the_table(void **state)
{
	(void)state;
	for (u32 i = 0; i < 140; i++)
		put_e820(i, i * 0x10000ull, 0x1000, 1);
	page[0x1e8] = 127;
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.map.count, 127);
	page[0x1e8] = 128;
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.map.count, 128);
	page[0x1e8] = 255;
	linuxboot_zero_page(page, &zp);
	assert_int_equal(zp.map.count, 128);
}

static void test_any_bytes(void **state)
{
	(void)state;
	srand(1);
	for (u32 n = 0; n < 300; n++) {
		for (u32 i = 0; i < sizeof(page); i++)
			page[i] = (u8)rand();
		for (u32 i = 0; i < 128 && n % 2; i++)
			put_e820(i, (u64)rand() << n % 22, (u64)rand(), (u32)(rand() % 3));
		linuxboot_zero_page(page, &zp);
		assert_in_range(zp.map.count, 0, MEMMAP_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty_page, setup),
		cmocka_unit_test_setup(test_fields_below_4_gib, setup),
		cmocka_unit_test_setup(test_fields_above_4_gib, setup),
		cmocka_unit_test_setup(test_text_mode, setup),
		cmocka_unit_test_setup(test_framebuffer, setup),
		cmocka_unit_test_setup(test_no_framebuffer, setup),
		cmocka_unit_test_setup(test_memory_map, setup),
		cmocka_unit_test_setup(test_count_beyond_the_table, setup),
		cmocka_unit_test_setup(test_any_bytes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
