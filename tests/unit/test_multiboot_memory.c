/*
 * Multiboot 1's information, what GRUB takes of memory, and the arena's place.
 */
#include "multiboot_rig.h"

#define WANT  (640u * KIB)
#define LEAST (300u * KIB)

/* --- Multiboot 1 ------------------------------------------------------------------------ */

static void build1(u32 flags)
{
	memset(info, 0xee, MULTIBOOT1_BYTES);
	put32(info, flags);
	put32(info + 4, 636);
	put32(info + 16, 0x12340);
	put32(info + 20, 3);
	put32(info + 24, 0x23450);
	put32(info + 44, 144);
	put32(info + 48, 0x34560);
	put32(info + 64, 0x45670);
	screen(info + 88, info + 110, 32, 1);
	multiboot1_read(info, &told);
}

static void test_fields(void **state)
{
	(void)state;
	build1(1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9 | 1 << 12);
	assert_int_equal(told.low_end, 636 * KIB);
	assert_int_equal(told.cmdline_pa, 0x12340);
	assert_int_equal(told.modules, 3);
	assert_int_equal(told.modules_pa, 0x23450);
	assert_int_equal(told.map_bytes, 144);
	assert_int_equal(told.map_pa, 0x34560);
	assert_int_equal(told.loader_pa, 0x45670);
	assert_int_equal(told.screen.pa, 0x2fd000000);
	assert_int_equal(told.screen.bytes, 3328 * 600);
	assert_int_equal(told.screen.green.bits, 7);
	assert_false(told.text_mode || told.has_map || told.is_efi);
	assert_null(told.cmdline);
	assert_null(told.loader);
}

static void test_flags(void **state)
{
	(void)state;
	build1(~(1u | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9 | 1 << 12));
	assert_int_equal(told.low_end | told.cmdline_pa | told.modules | told.modules_pa, 0);
	assert_int_equal(told.map_bytes | told.map_pa | told.loader_pa, 0);
	assert_int_equal(told.screen.bytes, 0);
	assert_true(told.text_mode); /* what the header asks for */
	build1(1 << 12);
	assert_int_equal(told.map_pa | told.cmdline_pa, 0);
	assert_int_not_equal(told.screen.bytes, 0);
	assert_false(told.text_mode);
}

/* GRUB's structure has two bytes of padding before the colours. */
static void test_colours_of_grub(void **state)
{
	(void)state;
	memset(info, 0, MULTIBOOT1_BYTES);
	put32(info, 1 << 12);
	screen(info + 88, info + 112, 16, 1);
	multiboot1_read(info, &told);
	assert_int_equal(told.screen.red.shift, 16);
	assert_int_equal(told.screen.red.bits, 8);
	assert_int_equal(told.screen.green.bits, 7);
	assert_int_equal(told.screen.blue.shift, 0);
	assert_int_equal(told.screen.blue.bits, 6);
}

static u8 *entry1(u8 *at, u32 size, u64 pa, u64 bytes, u32 type)
{
	put32(at, size);
	entry(at + 4, pa, bytes, type);
	return at + 4 + size;
}

/* From memory of just that size. */
static bool memmap1(u32 bytes)
{
	u8 *copy = malloc(bytes ? bytes : 1);
	bool any;

	assert_non_null(copy);
	memcpy(copy, info, bytes);
	memset(&map, 0, sizeof(map));
	any = multiboot1_memmap(copy, bytes, &map);
	free(copy);
	return any;
}

static void test_map1(void **state)
{
	u32 bytes;
	u8 *e = info;

	(void)state;
	e = entry1(e, 20, 0, 640 * KIB, 1);
	e = entry1(e, 28, MIB, 31 * MIB, 1); /* entries may grow */
	e = entry1(e, 20, 16 * MIB, MIB, 4);
	bytes = (u32)(e - info);
	assert_true(memmap1(bytes));
	assert_int_equal(memmap_ram_pages(&map), 160 + 30 * 256);
	check(16 * MIB, MEM_RESERVED, TOUCHED_NOBODY);
	for (u32 n = 0; n < bytes; n++)
		assert_true(memmap1(n) == (n >= 24));
	for (u32 at = 0; at < bytes; at++) {
		u8 was = info[at];

		info[at] ^= 0xff;
		(void)!memmap1(bytes);
		assert_true(map.count <= MEMMAP_MAX);
		info[at] = was;
	}
	put32(info, 19);
	assert_false(memmap1(bytes));
	put32(info, UINT32_MAX - 3); /* the next one would be at the same place */
	assert_true(memmap1(bytes));
	assert_int_equal(memmap_ram_pages(&map), 160);
}

static void test_modules1(void **state)
{
	(void)state;
	memmap_add(&map, MIB, 63 * MIB, MEM_RAM);
	put32(info, 5 * MIB);
	put32(info + 4, 6 * MIB);
	put32(info + 8, 8 * MIB);
	put32(info + 16, 10 * MIB);
	put32(info + 20, 9 * MIB); /* ends before it begins */
	put32(info + 24, 0);
	multiboot1_modules(info, 2, &map);
	check(5 * MIB, MEM_RAM, TOUCHED_LOADER);
	check(6 * MIB, MEM_RAM, TOUCHED_NOBODY);
	check(8 * MIB, MEM_RAM, TOUCHED_LOADER);
	check(8 * MIB + PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	check(9 * MIB, MEM_RAM, TOUCHED_NOBODY);
	check(10 * MIB, MEM_RAM, TOUCHED_NOBODY);
}

/* --- GRUB's memory ---------------------------------------------------------------------- */

static void grub(const char *loader, bool is_efi)
{
	memset(&told, 0, sizeof(told));
	memset(&map, 0, sizeof(map));
	told.loader = loader;
	told.is_efi = is_efi;
	memmap_add(&map, 0, 639 * KIB, MEM_RAM);
	memmap_add(&map, MIB, 511 * MIB, MEM_RAM);
	memmap_add(&map, 600 * MIB, 8 * MIB, MEM_RAM);
	memmap_add(&map, 4 * GIB, GIB, MEM_RAM);
	multiboot_loader(&told, &map);
}

/* Modules lie in its heap, and are written to for certain. */
static void test_modules_in_the_heap(void **state)
{
	(void)state;
	put32(info, 500 * MIB);
	put32(info + 4, 501 * MIB);
	put32(info + 8, 499 * MIB);
	memset(&told, 0, sizeof(told));
	told.loader = "GRUB 2.06";
	memmap_add(&map, MIB, 511 * MIB, MEM_RAM);
	multiboot1_modules(info, 1, &map);
	multiboot_loader(&told, &map);
	check(500 * MIB, MEM_RAM, TOUCHED_LOADER);
	check(499 * MIB, MEM_RAM, TOUCHED_LOADER);
	check(501 * MIB, MEM_RAM, TOUCHED_PERHAPS);
	check(448 * MIB, MEM_RAM, TOUCHED_PERHAPS);
	check(400 * MIB, MEM_RAM, TOUCHED_NOBODY);
}

static void test_grub_on_bios(void **state)
{
	(void)state;
	grub("GRUB 2.06-13+deb12u2", false);
	check(0, MEM_RAM, TOUCHED_NOBODY); /* low memory is the door's business */
	check(MIB, MEM_RAM, TOUCHED_LOADER);
	check(MIB + 256 * KIB, MEM_RAM, TOUCHED_NOBODY);
	check(448 * MIB - PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	check(448 * MIB, MEM_RAM, TOUCHED_PERHAPS);
	check(512 * MIB - PAGE_BYTES, MEM_RAM, TOUCHED_PERHAPS);
	check(600 * MIB, MEM_RAM, TOUCHED_PERHAPS);
	check(5 * GIB - PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
}

static void test_others(void **state)
{
	const char *const names[] = {NULL, "", "G", "GRU", "qemu", "not GRUB"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		grub(names[i], false);
		check(MIB, MEM_RAM, TOUCHED_NOBODY);
		check(512 * MIB - PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
	}
	grub("GRUB 2.06", true); /* firmware's map tells */
	check(512 * MIB - PAGE_BYTES, MEM_RAM, TOUCHED_NOBODY);
}

/* --- the arena; what is asked for need not be whole pages ----------------------------------- */

static struct efiboot_range place(u64 low_end, u64 own_pa, bool *took_free)
{
	const struct multiboot_need need = {WANT - 5, LEAST - 7, low_end, {own_pa, 312 * KIB}};

	return multiboot_arena(&map, &need, took_free);
}

static void check_place(u64 low_end, u64 own_pa, u64 pa, u64 bytes, bool free_asked)
{
	bool took_free;
	struct efiboot_range r = place(low_end, own_pa, &took_free);

	assert_int_equal(r.pa, pa);
	assert_int_equal(r.bytes, bytes);
	assert_int_equal(took_free, free_asked);
}

static void test_low_memory(void **state)
{
	(void)state;
	memmap_add(&map, 0, 640 * KIB, MEM_RAM);
	memmap_add(&map, MIB, 63 * MIB, MEM_RAM);
	/* behind the image, before the EBDA; low memory without the BIOS's word ends at 640 KiB */
	check_place(639 * KIB, 0x1000, 0x4f000, 0x50000, false);
	check_place(0, 0x1000, 0x4f000, 0x51000, false);
	check_place(0x90000, 0x50000, 0x1000, 0x4f000, false);
	check_place(UINT64_MAX, 0x1000, 0x4f000, 0x51000, false);
	/* the image is elsewhere: nearly all of it */
	check_place(639 * KIB, MIB, 0x1000, 0x9e000, false);
}

static void test_firmware_memory(void **state)
{
	(void)state;
	memmap_add(&map, 0, 640 * KIB, MEM_RAM);
	memmap_add(&map, MIB, 63 * MIB, MEM_RAM);
	memmap_touch(&map, 8 * MIB, MIB, TOUCHED_FIRMWARE);
	check_place(0, 0x1000, 8 * MIB, WANT, false);
	check_place(0, 8 * MIB, 8 * MIB + 312 * KIB, WANT, false);
	/* not enough: then low memory, as long as that does */
	memmap_touch(&map, 8 * MIB, 512 * KIB, TOUCHED_NOBODY);
	check_place(0, 0x1000, 0x4f000, 0x51000, false);
	memmap_add(&map, 0x60000, 0x1000, MEM_RESERVED);
	memmap_add(&map, 0x80000, 0x1000, MEM_RESERVED);
	check_place(0, 0x1000, 8 * MIB + 512 * KIB, LEAST, false);
}

static void test_free_memory(void **state)
{
	(void)state;
	memmap_add(&map, 0, 640 * KIB, MEM_RAM);
	memmap_add(&map, 0x60000, 0x40000, MEM_RESERVED);
	memmap_add(&map, MIB, 63 * MIB, MEM_RAM);
	check_place(0, 0x1000, 64 * MIB - LEAST, LEAST, true);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, 640 * KIB, MEM_RAM);
	memmap_add(&map, 0x60000, 0x40000, MEM_RESERVED);
	check_place(0, 0x1000, 0x4f000, 0x11000, false); /* all there is: the core says E40 */
	memset(&map, 0, sizeof(map));
	check_place(0, 0x1000, 0, 0, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fields, setup),
		cmocka_unit_test_setup(test_flags, setup),
		cmocka_unit_test_setup(test_colours_of_grub, setup),
		cmocka_unit_test_setup(test_map1, setup),
		cmocka_unit_test_setup(test_modules1, setup),
		cmocka_unit_test_setup(test_modules_in_the_heap, setup),
		cmocka_unit_test_setup(test_grub_on_bios, setup),
		cmocka_unit_test_setup(test_others, setup),
		cmocka_unit_test_setup(test_low_memory, setup),
		cmocka_unit_test_setup(test_firmware_memory, setup),
		cmocka_unit_test_setup(test_free_memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
