/*
 * What a Multiboot loader tells: every field of both kinds of information, and every way in which
 * they can be damaged.
 */
#include "multiboot_rig.h"

/* --- Multiboot 2 ------------------------------------------------------------------------ */

static void test_texts_and_memory(void **state)
{
	(void)state;
	tag_text_add(1, "dump=x console=serial");
	put32(tag(4, 8), 639);
	tag_text_add(2, "GRUB 2.06");
	entry(tag_map(24, 1), MIB, 15 * MIB, 1);
	read2();
	assert_string_equal(told.cmdline, "dump=x console=serial");
	assert_string_equal(told.loader, "GRUB 2.06");
	assert_int_equal(told.low_end, 639 * KIB);
	assert_true(told.has_map);
	assert_false(told.is_efi);
	assert_false(told.text_mode);
	assert_int_equal(told.screen.bytes, 0);
	assert_int_equal(told.rsdp_bytes, 0);
	check(MIB, MEM_RAM, TOUCHED_NOBODY);
}

static void test_text_without_end(void **state)
{
	(void)state;
	memset(tag(1, 8), 'x', 8);
	(void)tag(2, 0);
	read2();
	assert_null(told.cmdline);
	assert_null(told.loader);
	assert_false(told.has_map);
	assert_int_equal(told.low_end, 0);
}

static void test_map(void **state)
{
	u8 *e;

	(void)state;
	e = tag_map(32, 5); /* longer entries than ours, unsorted, overlapping */
	entry(e, 4 * GIB, GIB, 1);
	entry(e + 32, MIB, 100 * MIB, 1);
	entry(e + 64, 50 * MIB, MIB, 2);
	entry(e + 96, 40 * MIB, 80 * MIB, 1);
	entry(e + 128, 119 * MIB, MIB, 3); /* ACPI's, which an old kernel does not use */
	read2();
	assert_true(told.has_map);
	check(MIB, MEM_RAM, TOUCHED_NOBODY);
	check(50 * MIB, MEM_RESERVED, TOUCHED_NOBODY);
	check(118 * MIB, MEM_RAM, TOUCHED_NOBODY);
	check(119 * MIB, MEM_RESERVED, TOUCHED_NOBODY);
	check(5 * GIB - PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	assert_int_equal(memmap_ram_pages(&map), (117 + 1024) * 256);
}

static void test_odd_maps(void **state)
{
	const u32 steps[] = {0, 1, 19};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		setup(NULL);
		entry(tag_map(24, 1), MIB, MIB, 1);
		put32(info + 16, steps[i]);
		read2();
		assert_false(told.has_map);
		assert_int_equal(map.count, 0);
	}
	setup(NULL);
	(void)tag_map(24, 0); /* none in it: the caller counts RAM */
	read2();
	assert_true(told.has_map);
	assert_int_equal(map.count, 0);
	setup(NULL);
	entry(tag_map(20, 2), MIB, MIB, 1); /* the least that has all fields */
	entry(info + 24 + 20, 4 * MIB, MIB, 1);
	read2();
	assert_int_equal(memmap_ram_pages(&map), 512);
	setup(NULL);
	(void)tag(6, 4); /* too short to be one */
	read2();
	assert_false(told.has_map);
}

static void test_more_than_fits(void **state)
{
	static u8 big[24 * 700 + 24 + 8];

	(void)state;
	put32(big, sizeof(big));
	put32(big + 8, 6);
	put32(big + 12, 16 + 24 * 700);
	put32(big + 16, 24);
	for (u32 i = 0; i < 700; i++)
		entry(big + 24 + 24 * i, (u64)i * 2 * MIB, MIB, 1);
	multiboot2_read(big, sizeof(big), &told, &map);
	assert_true(told.has_map);
	assert_int_equal(map.count, MEMMAP_MAX);
	assert_int_equal(map.dropped, 700 - MEMMAP_MAX);
}

static void test_screen(void **state)
{
	static const u8 depths[] = {15, 16, 24, 32};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(depths); i++) {
		const struct framebuffer *s = &told.screen;

		setup(NULL);
		tag_screen(depths[i], 1);
		read2();
		assert_int_equal(s->pa, 0x2fd000000);
		assert_int_equal(s->bytes, 3328 * 600);
		assert_int_equal(s->width, 800);
		assert_int_equal(s->height, 600);
		assert_int_equal(s->stride_bytes, 3328);
		assert_int_equal(s->pixel_bytes, (depths[i] + 7) / 8);
		assert_int_equal(s->red.shift, 16);
		assert_int_equal(s->red.bits, 8);
		assert_int_equal(s->green.shift, 8);
		assert_int_equal(s->green.bits, 7);
		assert_int_equal(s->blue.shift, 0);
		assert_int_equal(s->blue.bits, 6);
		assert_false(told.text_mode);
	}
}

static void no_screen(void)
{
	read2();
	assert_int_equal(told.screen.bytes, 0);
	assert_false(told.text_mode);
	setup(NULL);
}

static void test_screens_that_are_none(void **state)
{
	u8 *t;

	(void)state;
	tag_screen(8, 0); /* a palette */
	no_screen();
	tag_screen(8, 1);
	no_screen();
	tag_screen(40, 1);
	no_screen();
	tag_screen(32, 3);
	no_screen();
	tag_screen(32, 1);
	put64(info + 16, 0);
	no_screen();
	tag_screen(32, 1);
	put64(info + 16, UINT64_MAX - 4096);
	no_screen();
	tag_screen(16, 2); /* text of another size, elsewhere */
	no_screen();
	t = tag(8, 29); /* without the last colour */
	t[21] = 1;
	t[20] = 32;
	put64(t, 0xfd000000);
	put32(t + 8, 3200);
	put32(t + 16, 600);
	no_screen();
	(void)tag(8, 21);
	no_screen();
}

static void text_screen(u64 pa, u32 columns, u32 rows)
{
	u8 *t;

	setup(NULL);
	t = tag(8, 24);
	put64(t, pa);
	put32(t + 8, 160);
	put32(t + 12, columns);
	put32(t + 16, rows);
	t[20] = 16;
	t[21] = 2;
	read2();
	assert_int_equal(told.screen.bytes, 0);
}

static void test_text_mode(void **state)
{
	(void)state;
	text_screen(0xb8000, 80, 25);
	assert_true(told.text_mode);
	text_screen(0xb0000, 80, 25);
	assert_false(told.text_mode);
	text_screen(0xb8000, 132, 25);
	assert_false(told.text_mode);
	text_screen(0xb8000, 80, 50);
	assert_false(told.text_mode);
}

static void test_rsdp(void **state)
{
	(void)state;
	memset(tag(14, 20), 0x11, 20);
	read2();
	assert_int_equal(told.rsdp_bytes, 20);
	assert_int_equal(told.rsdp[19], 0x11);
	setup(NULL);
	memset(tag(14, 20), 0x11, 20); /* of both the newer one */
	memset(tag(15, 40), 0x22, 40);
	read2();
	assert_int_equal(told.rsdp_bytes, 36);
	assert_int_equal(told.rsdp[0], 0x22);
	assert_int_equal(told.rsdp[35], 0x22);
	setup(NULL);
	memset(tag(15, 35), 0x22, 35);
	memset(tag(14, 19), 0x11, 19);
	read2();
	assert_int_equal(told.rsdp_bytes, 0);
}

static void test_modules(void **state)
{
	u8 *t;

	(void)state;
	t = tag(3, 9); /* before the map */
	put32(t, 5 * MIB);
	put32(t + 4, 5 * MIB + 1);
	t = tag(3, 9);
	put32(t, 9 * MIB);
	put32(t + 4, 8 * MIB); /* ends before it begins */
	entry(tag_map(24, 1), MIB, 15 * MIB, 1);
	read2();
	check(5 * MIB, MEM_RAM, TOUCHED_LOADER);
	check(5 * MIB + PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	check(8 * MIB, MEM_RAM, TOUCHED_NOBODY);
	check(9 * MIB, MEM_RAM, TOUCHED_NOBODY);
}

static void test_firmware_map(void **state)
{
	u8 *e;

	(void)state;
	entry(tag_map(24, 1), 64 * GIB, GIB, 1); /* not looked at */
	e = tag_efi(EFI_STEP, 5);
	efi_entry(e, 7, MIB, 15 * 256);
	efi_entry(e + EFI_STEP, 2, 16 * MIB, 200 * 256); /* GRUB's heap */
	efi_entry(e + 2 * EFI_STEP, 1, 300 * MIB, 3);
	efi_entry(e + 3 * EFI_STEP, 4, 400 * MIB, 16);
	efi_entry(e + 4 * EFI_STEP, 6, 500 * MIB, 16);
	read2();
	assert_true(told.has_map && told.is_efi);
	check(MIB, MEM_RAM, TOUCHED_NOBODY);
	check(16 * MIB, MEM_RAM, TOUCHED_PERHAPS);
	check(16 * MIB + PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	check(152 * MIB - PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	check(152 * MIB, MEM_RAM, TOUCHED_PERHAPS);
	check(216 * MIB - PAGE_BYTES, MEM_RAM, TOUCHED_PERHAPS);
	check(300 * MIB, MEM_RAM, TOUCHED_PERHAPS);
	check(300 * MIB + 2 * PAGE_BYTES, MEM_RAM, TOUCHED_PERHAPS);
	check(400 * MIB, MEM_RAM, TOUCHED_FIRMWARE);
	check(500 * MIB, MEM_RESERVED, TOUCHED_NOBODY);
	assert_null(memmap_find(&map, 64 * GIB));
}

static void test_odd_firmware_maps(void **state)
{
	const u32 steps[] = {0, 39, EFI_STEP + 1, UINT32_MAX};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		setup(NULL);
		efi_entry(tag_efi(EFI_STEP, 1), 7, MIB, 256);
		put32(info + 16, steps[i]);
		entry(tag_map(24, 1), 8 * MIB, MIB, 1);
		read2();
		assert_true(told.has_map);
		assert_false(told.is_efi);
		assert_int_equal(memmap_ram_pages(&map), 256);
		check(8 * MIB, MEM_RAM, TOUCHED_NOBODY);
	}
}

/* --- lies about lengths ------------------------------------------------------------------- */

static void build_all(void)
{
	u8 *t;

	tag_text_add(1, "dump=12345678");
	tag_text_add(2, "GRUB 2.06");
	t = tag(3, 9);
	put32(t, 5 * MIB);
	put32(t + 4, 6 * MIB);
	put32(tag(4, 8), 639);
	t = tag_map(24, 2);
	entry(t, 0, 640 * KIB, 1);
	entry(t + 24, MIB, 15 * MIB, 1);
	tag_screen(32, 1);
	memset(tag(14, 20), 0x11, 20);
	memset(tag(15, 36), 0x22, 36);
	t = tag_efi(EFI_STEP, 2);
	efi_entry(t, 7, MIB, 256);
	efi_entry(t + EFI_STEP, 2, 16 * MIB, 256);
	finish();
}

static bool inside(const char *text, const u8 *from, u32 bytes)
{
	const u8 *at = (const u8 *)text;

	return !text ||
	       (at >= from && at < from + bytes && memchr(at, 0, (u64)(from + bytes - at)));
}

/* From memory of just that size, so that a read beyond it is seen. */
static void read_copy(const u8 *from, u32 bytes)
{
	u8 *copy = malloc(bytes ? bytes : 1);

	assert_non_null(copy);
	memcpy(copy, from, bytes);
	memset(&map, 0, sizeof(map));
	multiboot2_read(copy, bytes, &told, &map);
	multiboot_loader(&told, &map);
	assert_true(inside(told.cmdline, copy, bytes));
	assert_true(inside(told.loader, copy, bytes));
	assert_true(told.rsdp_bytes <= MULTIBOOT_RSDP_BYTES);
	assert_true(map.count <= MEMMAP_MAX);
	free(copy);
}

static void test_prefixes(void **state)
{
	(void)state;
	build_all();
	for (u32 bytes = 0; bytes <= used; bytes++)
		read_copy(info, bytes);
	assert_true(told.is_efi);
	assert_int_equal(told.rsdp_bytes, 36);
}

static void test_corruptions(void **state)
{
	static const u8 values[] = {0x00, 0x01, 0x07, 0x7f, 0x80, 0xff};

	(void)state;
	build_all();
	for (u32 at = 0; at < used; at++) {
		u8 was = info[at];

		for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
			info[at] = values[i];
			read_copy(info, used);
		}
		info[at] = was;
	}
}

static void test_total_size(void **state)
{
	(void)state;
	build_all();
	put32(info, 16); /* nothing fits */
	read_copy(info, used);
	assert_false(told.has_map);
	put32(info, UINT32_MAX); /* what was copied counts */
	read_copy(info, used);
	assert_true(told.has_map);
}

static void test_tag_sizes(void **state)
{
	const u32 sizes[] = {0, 1, 7, 4096, UINT32_MAX};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		setup(NULL);
		put32(tag(4, 8), 639);
		put32(tag(99, 8) - 4, sizes[i]);
		entry(tag_map(24, 1), MIB, MIB, 1);
		read2();
		assert_int_equal(told.low_end, 639 * KIB); /* before it */
		assert_false(told.has_map);
	}
	setup(NULL);
	(void)tag(0, 0); /* behind the end there is nothing */
	entry(tag_map(24, 1), MIB, MIB, 1);
	read2();
	assert_false(told.has_map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_texts_and_memory, setup),
		cmocka_unit_test_setup(test_text_without_end, setup),
		cmocka_unit_test_setup(test_map, setup),
		cmocka_unit_test_setup(test_odd_maps, setup),
		cmocka_unit_test_setup(test_more_than_fits, setup),
		cmocka_unit_test_setup(test_screen, setup),
		cmocka_unit_test_setup(test_screens_that_are_none, setup),
		cmocka_unit_test_setup(test_text_mode, setup),
		cmocka_unit_test_setup(test_rsdp, setup),
		cmocka_unit_test_setup(test_modules, setup),
		cmocka_unit_test_setup(test_firmware_map, setup),
		cmocka_unit_test_setup(test_odd_firmware_maps, setup),
		cmocka_unit_test_setup(test_prefixes, setup),
		cmocka_unit_test_setup(test_corruptions, setup),
		cmocka_unit_test_setup(test_total_size, setup),
		cmocka_unit_test_setup(test_tag_sizes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
