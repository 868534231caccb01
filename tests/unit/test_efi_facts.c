/*
 * What the UEFI application asks firmware: memory map, screen, tables, its own disk, settings.
 */
#include "tests/unit/efi_rig.h"

#define STALE_FOREVER 1000u

static u8 buffer[4 * KIB];

static struct efi_map map_new(void)
{
	return (struct efi_map) {.buffer = buffer, .room = sizeof(buffer)};
}

static void test_leave(void **state)
{
	struct efi_map map = map_new();

	(void)state;
	assert_true(efi_map_first(&fw.st, &map));
	assert_int_equal(efi_leave(&fw.st, &fw, &map), OK);
	assert_ptr_equal(map.buffer, buffer);
	assert_int_equal(map.bytes, fw.map_bytes);
	assert_int_equal(map.step, 48);
	assert_int_equal(fw.exit_calls, 1);
	assert_int_equal(fw.pools, 0);
}

/* Each time with the key of a map read after the refusal. */
static void test_stale_key(void **state)
{
	struct efi_map map = map_new();

	(void)state;
	for (u32 stale = 1; stale < EFI_EXIT_TRIES; stale++) {
		setup(NULL);
		fw.stale_keys = stale;
		assert_true(efi_map_first(&fw.st, &map));
		assert_int_equal(efi_leave(&fw.st, &fw, &map), OK);
		assert_int_equal(fw.exit_calls, stale + 1);
	}
	setup(NULL);
	fw.stale_keys = STALE_FOREVER;
	assert_true(efi_map_first(&fw.st, &map));
	assert_int_equal(efi_leave(&fw.st, &fw, &map), E_FIRMWARE);
	assert_int_equal(fw.exit_calls, EFI_EXIT_TRIES);
}

static void test_map_too_long(void **state)
{
	struct efi_map map = map_new();

	(void)state;
	fw.map_bytes = sizeof(buffer) + 48;
	fw.map_grows = 2 * 48;
	assert_true(efi_map_first(&fw.st, &map));
	assert_ptr_equal(map.buffer, pool);
	assert_int_equal(fw.pools, 1);
	efi_map_release(&fw.st, &map, buffer);
	efi_map_release(&fw.st, &map, buffer);
	assert_int_equal(fw.freed, 1);
	assert_ptr_equal(map.buffer, buffer);
	map.buffer = pool;
	assert_int_equal(efi_leave(&fw.st, &fw, &map), OK);
	assert_int_equal(map.bytes, sizeof(buffer) + 3 * 48);

	/* One that fits, with no room for what comes. */
	setup(NULL);
	map = map_new();
	fw.map_bytes = sizeof(buffer) - EFI_MAP_SPARE * 48 + 48;
	assert_true(efi_map_first(&fw.st, &map));
	assert_ptr_equal(map.buffer, pool);
	setup(NULL);
	map = map_new();
	fw.map_bytes = sizeof(buffer) - 48;
	fw.pool_empty = true;
	assert_true(efi_map_first(&fw.st, &map));
	assert_ptr_equal(map.buffer, buffer);
	assert_int_equal(map.room, sizeof(buffer));
	setup(NULL);
	map = map_new();
	fw.map_bytes = sizeof(buffer) / 48 * 48 - EFI_MAP_SPARE * 48;
	assert_true(efi_map_first(&fw.st, &map));
	assert_ptr_equal(map.buffer, buffer);

	setup(NULL);
	map = map_new();
	fw.map_bytes = sizeof(buffer) + 48;
	fw.pool_empty = true;
	assert_false(efi_map_first(&fw.st, &map));
	assert_int_equal(fw.exit_calls, 0);

	setup(NULL);
	map = map_new();
	fw.map_bytes = sizeof(buffer) + 48;
	fw.map_grows = 1000 * 48; /* more than any room */
	assert_false(efi_map_first(&fw.st, &map));
}

static void test_no_map(void **state)
{
	struct efi_map map = map_new();

	(void)state;
	fw.map_fails = 1;
	assert_false(efi_map_first(&fw.st, &map));
	setup(NULL);
	fw.map_fails = 3; /* after a first refusal */
	fw.stale_keys = STALE_FOREVER;
	assert_true(efi_map_first(&fw.st, &map));
	assert_int_equal(efi_leave(&fw.st, &fw, &map), E_MEMMAP);
	assert_int_equal(fw.exit_calls, 1);
}

static void screen_set(EFI_GRAPHICS_PIXEL_FORMAT format)
{
	fw.has_gop = true;
	fw.mode.FrameBufferBase = 0x80000000;
	fw.mode.FrameBufferSize = 1400 * 768 * 4;
	fw.info.HorizontalResolution = 1366;
	fw.info.VerticalResolution = 768;
	fw.info.PixelsPerScanLine = 1400;
	fw.info.PixelFormat = format;
}

static void check_colour(struct framebuffer_colour c, u32 shift, u32 bits)
{
	assert_int_equal(c.shift, shift);
	assert_int_equal(c.bits, bits);
}

static void test_screen(void **state)
{
	struct framebuffer fb;

	(void)state;
	screen_set(PixelBlueGreenRedReserved8BitPerColor);
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.pa, 0x80000000);
	assert_int_equal(fb.bytes, 1400 * 768 * 4);
	assert_int_equal(fb.width, 1366);
	assert_int_equal(fb.height, 768);
	assert_int_equal(fb.stride_bytes, 1400 * 4);
	assert_int_equal(fb.pixel_bytes, 4);
	check_colour(fb.red, 16, 8);
	check_colour(fb.green, 8, 8);
	check_colour(fb.blue, 0, 8);

	screen_set(PixelRedGreenBlueReserved8BitPerColor);
	efi_screen(&fw.st, &fb);
	check_colour(fb.red, 0, 8);
	check_colour(fb.blue, 16, 8);

	screen_set(PixelBitMask);
	fw.info.PixelInformation = (EFI_PIXEL_BITMASK) {0xf800, 0x07e0, 0x001f, 0};
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.pixel_bytes, 2);
	check_colour(fb.red, 11, 5);
	check_colour(fb.green, 5, 6);
	check_colour(fb.blue, 0, 5);
	fw.info.PixelInformation = (EFI_PIXEL_BITMASK) {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000};
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.pixel_bytes, 4);
	check_colour(fb.red, 20, 10);
	fw.info.PixelInformation = (EFI_PIXEL_BITMASK) {0xff0000, 0xff00, 0xff, 0};
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.pixel_bytes, 3);
}

static void test_no_screen(void **state)
{
	struct framebuffer fb;

	(void)state;
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
	screen_set(PixelBltOnly);
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
	screen_set(PixelFormatMax);
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
	screen_set(PixelBlueGreenRedReserved8BitPerColor);
	fw.mode.Info = NULL;
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
	fw.gop.Mode = NULL;
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
}

/* What firmware makes of several screens may be the first one. */
static void test_screen_behind_others(void **state)
{
	struct framebuffer fb;

	(void)state;
	screen_set(PixelBlueGreenRedReserved8BitPerColor);
	fw.blind = 3;
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.pa, 0x80000000);
	fw.has_gop = false;
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
	fw.has_gop = true;
	fw.blind = EFI_SCREENS_MAX; /* more than there is room for */
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
}

static void test_impossible_screen(void **state)
{
	struct framebuffer fb;

	(void)state;
	screen_set(PixelBlueGreenRedReserved8BitPerColor);
	fw.mode.FrameBufferSize = UINT64_MAX - 0x80000000 + 1; /* wraps */
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
	screen_set(PixelBlueGreenRedReserved8BitPerColor);
	fw.info.PixelsPerScanLine = 1u << 30; /* of 4 bytes */
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
	screen_set(PixelBlueGreenRedReserved8BitPerColor);
	fw.mode.FrameBufferSize = 0;
	efi_screen(&fw.st, &fb);
	assert_int_equal(fb.bytes, 0);
}

static void test_rsdp(void **state)
{
	EFI_CONFIGURATION_TABLE t[] = {
		{SMBIOS_TABLE_GUID, (void *)0x1000},
		{ACPI_TABLE_GUID, (void *)0x2000},
		{ACPI_20_TABLE_GUID, (void *)0x3000},
	};

	(void)state;
	assert_int_equal(efi_rsdp(&fw.st), 0);
	fw.st.ConfigurationTable = t;
	fw.st.NumberOfTableEntries = 1;
	assert_int_equal(efi_rsdp(&fw.st), 0);
	fw.st.NumberOfTableEntries = 2;
	assert_int_equal(efi_rsdp(&fw.st), 0x2000);
	fw.st.NumberOfTableEntries = 3;
	assert_int_equal(efi_rsdp(&fw.st), 0x3000);
}

static void test_boot_partition(void **state)
{
	static const u8 none[16];
	/* ACPI, PCI, hard drive with a GPT signature (s10.3.5.1), end */
	u8 path[] = {2, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 6, 0, 0, 2, 4, 1, 42, 0, 2, 0, 0, 0,
		0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
		11, 12, 13, 14, 15, 16, 2, 2, 0x7f, 0xff, 4, 0};
	u8 guid[16];

	(void)state;
	efi_boot_partition(&fw.st, &fw, guid);
	assert_memory_equal(guid, none, 16);
	fw.path = path;
	efi_boot_partition(&fw.st, &fw, guid);
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(guid[i], i + 1);
	path[59] = 1; /* the signature of an MBR */
	efi_boot_partition(&fw.st, &fw, guid);
	assert_memory_equal(guid, none, 16);
	path[59] = 2;
	path[20] = 41; /* a node too short for what it should hold */
	efi_boot_partition(&fw.st, &fw, guid);
	assert_memory_equal(guid, none, 16);
	path[2] = 0; /* one that leads nowhere */
	efi_boot_partition(&fw.st, &fw, guid);
	assert_memory_equal(guid, none, 16);
}

/* A path without an end is left after so many nodes. */
static void test_endless_path(void **state)
{
	static u8 path[(EFI_PATH_NODES + 1) * 4];
	u8 guid[16];

	(void)state;
	for (u32 i = 0; i < EFI_PATH_NODES; i++)
		memcpy(path + i * 4, "\x01\x01\x04\x00", 4);
	fw.path = path;
	efi_boot_partition(&fw.st, &fw, guid);
	assert_int_equal(guid[0], 0);
}

static void test_settings(void **state)
{
	static char text[EFIBOOT_SETTINGS_BYTES];
	static char longer[EFIBOOT_SETTINGS_BYTES + 100];

	(void)state;
	text[0] = 'x';
	assert_false(efi_settings(&fw.st, &fw, text));
	assert_string_equal(text, "");
	fw.has_volume = true;
	assert_false(efi_settings(&fw.st, &fw, text));
	assert_true(fw.closed);
	fw.has_file = true;
	fw.text = "dump=x console=serial";
	assert_true(efi_settings(&fw.st, &fw, text));
	assert_string_equal(text, fw.text);
	fw.read_fails = true;
	assert_false(efi_settings(&fw.st, &fw, text));
	assert_string_equal(text, "");
	fw.read_fails = false;
	memset(longer, 'a', sizeof(longer) - 1);
	fw.text = longer;
	assert_true(efi_settings(&fw.st, &fw, text));
	assert_int_equal(strlen(text), EFIBOOT_SETTINGS_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_leave, setup),
		cmocka_unit_test_setup(test_stale_key, setup),
		cmocka_unit_test_setup(test_map_too_long, setup),
		cmocka_unit_test_setup(test_no_map, setup),
		cmocka_unit_test_setup(test_screen, setup),
		cmocka_unit_test_setup(test_no_screen, setup),
		cmocka_unit_test_setup(test_screen_behind_others, setup),
		cmocka_unit_test_setup(test_impossible_screen, setup),
		cmocka_unit_test_setup(test_rsdp, setup),
		cmocka_unit_test_setup(test_boot_partition, setup),
		cmocka_unit_test_setup(test_endless_path, setup),
		cmocka_unit_test_setup(test_settings, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
