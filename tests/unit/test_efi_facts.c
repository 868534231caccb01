/*
 * What the UEFI application asks firmware, against a firmware made of functions that refuse,
 * lie and change their minds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "boot/efi.h"
#include "crc32c.h"
#include "surveylog.h"

#define STALE_FOREVER 1000u
#define DISK_BLOCKS   65536u

static struct firmware {
	EFI_SYSTEM_TABLE st;
	EFI_BOOT_SERVICES boot;
	EFI_RUNTIME_SERVICES runtime;
	/* memory map */
	UINTN map_bytes, map_grows;
	u32 map_fails; /* the call that fails; 0: none */
	u32 map_calls, exit_calls, stale_keys, pools;
	bool pool_empty;
	UINTN key;
	/* screen */
	bool has_gop;
	u32 blind; /* screens without pixels before it */
	EFI_GRAPHICS_OUTPUT_PROTOCOL gop, blind_gop;
	EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE blind_mode;
	EFI_GRAPHICS_OUTPUT_MODE_INFORMATION blind_info;
	EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE mode;
	EFI_GRAPHICS_OUTPUT_MODE_INFORMATION info;
	/* device */
	const u8 *path;
	bool has_volume, has_file, read_fails, opened, closed;
	const char *text;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL volume;
	EFI_FILE file;
	/* disks */
	u32 disks;
	EFI_BLOCK_IO_PROTOCOL io[2];
	EFI_BLOCK_IO_MEDIA media[2];
	u8 *blocks[2];
	u64 read_fails_at;
	/* variables */
	bool has_current, set_fails, asked_fails;
	UINTN asked_bytes;
	u32 asked;
	u32 next_set;
	UINT16 next;
	UINT32 next_flags;
} fw;

static u8 pool[64 * KIB];
static u8 buffer[4 * KIB];

static EFI_STATUS EFIAPI get_map(
	UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *step, UINT32 *version)
{
	UINTN room = *bytes;

	fw.map_calls++;
	*bytes = fw.map_bytes;
	*step = 48;
	*version = 1;
	if (fw.map_calls == fw.map_fails)
		return EFI_INVALID_PARAMETER;
	if (room < fw.map_bytes)
		return EFI_BUFFER_TOO_SMALL;
	memset(map, 0x5a, fw.map_bytes);
	*key = ++fw.key;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate(EFI_MEMORY_TYPE type, UINTN bytes, void **out)
{
	fw.pools++;
	assert_int_equal(type, EfiLoaderData);
	if (fw.pool_empty || bytes > sizeof(pool))
		return EFI_OUT_OF_RESOURCES;
	fw.map_bytes += fw.map_grows; /* room has its price */
	*out = pool;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI leave(EFI_HANDLE image, UINTN key)
{
	assert_ptr_equal(image, &fw);
	fw.exit_calls++;
	if (fw.exit_calls <= fw.stale_keys) {
		fw.key++; /* somebody allocated meanwhile */
		return EFI_INVALID_PARAMETER;
	}
	return key == fw.key ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **out)
{
	const EFI_GUID path = EFI_DEVICE_PATH_PROTOCOL_GUID;
	const EFI_GUID volume = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	const EFI_GUID io = EFI_BLOCK_IO_PROTOCOL_GUID;
	const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;

	if (memcmp(guid, &io, sizeof(io)) == 0 || memcmp(guid, &gop, sizeof(gop)) == 0) {
		*out = handle;
		return EFI_SUCCESS;
	}
	assert_ptr_equal(handle, &fw);
	if (memcmp(guid, &path, sizeof(path)) == 0 && fw.path) {
		memcpy(out, &fw.path, sizeof(fw.path));
		return EFI_SUCCESS;
	}
	if (memcmp(guid, &volume, sizeof(volume)) == 0 && fw.has_volume) {
		*out = &fw.volume;
		return EFI_SUCCESS;
	}
	return EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI volume_open(EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume, EFI_FILE **root)
{
	assert_ptr_equal(volume, &fw.volume);
	*root = &fw.file;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_open(
	EFI_FILE *root, EFI_FILE **file, CHAR16 *name, UINT64 mode, UINT64 attributes)
{
	const CHAR16 expected[] = EFI_SETTINGS;

	assert_ptr_equal(root, &fw.file);
	assert_memory_equal(name, expected, sizeof(expected));
	assert_int_equal(mode, EFI_FILE_MODE_READ);
	assert_int_equal(attributes, 0);
	*file = &fw.file;
	fw.opened = fw.has_file;
	return fw.has_file ? EFI_SUCCESS : EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI file_read(EFI_FILE *file, UINTN *bytes, void *to)
{
	UINTN have = strlen(fw.text);

	(void)file;
	if (fw.read_fails)
		return EFI_DEVICE_ERROR;
	if (*bytes > have)
		*bytes = have;
	memcpy(to, fw.text, *bytes);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_close(EFI_FILE *file)
{
	(void)file;
	fw.closed = true;
	return EFI_SUCCESS;
}

static EFI_STATUS locate_screens(UINTN *bytes, EFI_HANDLE *out)
{
	u32 n = fw.blind + fw.has_gop;

	if (n == 0)
		return EFI_NOT_FOUND;
	if (*bytes < n * sizeof(*out))
		return EFI_BUFFER_TOO_SMALL;
	for (u32 i = 0; i < fw.blind; i++)
		out[i] = &fw.blind_gop;
	if (fw.has_gop)
		out[fw.blind] = &fw.gop;
	*bytes = n * sizeof(*out);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI locate_handles(
	EFI_LOCATE_SEARCH_TYPE type, EFI_GUID *guid, void *key, UINTN *bytes, EFI_HANDLE *out)
{
	const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;

	assert_null(key);
	assert_int_equal(type, ByProtocol);
	if (memcmp(guid, &gop, sizeof(gop)) == 0)
		return locate_screens(bytes, out);
	if (fw.disks == 0)
		return EFI_NOT_FOUND;
	assert_true(*bytes >= fw.disks * sizeof(*out));
	for (u32 i = 0; i < fw.disks; i++)
		out[i] = &fw.io[i];
	*bytes = fw.disks * sizeof(*out);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI read_blocks(
	EFI_BLOCK_IO_PROTOCOL *io, UINT32 media, EFI_LBA lba, UINTN bytes, void *to)
{
	u64 i = (u64)(io - fw.io);

	assert_int_equal(media, 7);
	assert_int_equal(bytes, io->Media->BlockSize);
	if (lba > io->Media->LastBlock || lba == fw.read_fails_at)
		return EFI_DEVICE_ERROR;
	memcpy(to, fw.blocks[i] + (lba == 0 ? 0 : bytes), bytes);
	return EFI_SUCCESS;
}

static bool is_ours(const CHAR16 *name, const EFI_GUID *guid)
{
	const EFI_GUID own = EFI_OWN_VARIABLES;
	const CHAR16 asked[] = EFI_ASKED;

	return memcmp(guid, &own, sizeof(own)) == 0 && memcmp(name, asked, sizeof(asked)) == 0;
}

static EFI_STATUS asked_get(UINTN *bytes, void *to)
{
	UINTN room = *bytes;

	if (fw.asked_bytes == 0)
		return EFI_NOT_FOUND;
	*bytes = fw.asked_bytes;
	if (room < fw.asked_bytes)
		return EFI_BUFFER_TOO_SMALL;
	memcpy(to, &fw.asked, fw.asked_bytes);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_variable(
	CHAR16 *name, EFI_GUID *guid, UINT32 *flags, UINTN *bytes, void *to)
{
	const CHAR16 current[] = L"BootCurrent";
	const UINT16 number = 0x0003;

	(void)flags;
	if (is_ours(name, guid))
		return asked_get(bytes, to);
	assert_memory_equal(name, current, sizeof(current));
	if (!fw.has_current)
		return EFI_NOT_FOUND;
	assert_int_equal(*bytes, 2);
	memcpy(to, &number, 2);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_variable(
	CHAR16 *name, EFI_GUID *guid, UINT32 flags, UINTN bytes, void *from)
{
	const CHAR16 next[] = L"BootNext";

	if (is_ours(name, guid)) {
		if (fw.asked_fails)
			return EFI_OUT_OF_RESOURCES;
		assert_true(bytes <= sizeof(fw.asked));
		assert_int_equal(flags, 7);
		fw.asked_bytes = bytes;
		memcpy(&fw.asked, from ? from : "", bytes);
		return EFI_SUCCESS;
	}
	assert_memory_equal(name, next, sizeof(next));
	assert_int_equal(bytes, 2);
	if (fw.set_fails)
		return EFI_WRITE_PROTECTED;
	fw.next_set++;
	fw.next_flags = flags;
	memcpy(&fw.next, from, 2);
	return EFI_SUCCESS;
}

static int setup(void **state)
{
	(void)state;
	memset(&fw, 0, sizeof(fw));
	fw.st.BootServices = &fw.boot;
	fw.st.RuntimeServices = &fw.runtime;
	fw.boot.GetMemoryMap = get_map;
	fw.boot.AllocatePool = allocate;
	fw.boot.ExitBootServices = leave;
	fw.boot.LocateHandle = locate_handles;
	fw.boot.HandleProtocol = handle_protocol;
	fw.runtime.GetVariable = get_variable;
	fw.runtime.SetVariable = set_variable;
	fw.volume.OpenVolume = volume_open;
	fw.file.Open = file_open;
	fw.file.Read = file_read;
	fw.file.Close = file_close;
	fw.gop.Mode = &fw.mode;
	fw.mode.Info = &fw.info;
	fw.blind_gop.Mode = &fw.blind_mode;
	fw.blind_mode.Info = &fw.blind_info;
	fw.blind_info.PixelFormat = PixelBltOnly;
	fw.map_bytes = 100 * 48 / 2;
	fw.read_fails_at = UINT64_MAX;
	fw.has_current = true;
	return 0;
}

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

/* --- a survey under way --- */

static u8 blocks[2][2 * 4096];
static const u8 any[16];

static void disk_set(u32 i, u8 uuid, u32 state, u32 done)
{
	struct dl_super super = {.version = DL_VERSION,
		.block_bytes = 512,
		.blocks = DISK_BLOCKS,
		.dir_slots = 64,
		.survey_blocks = DL_SURVEY_AREA_BYTES / 512};
	struct dl_survey survey = {.version = DL_VERSION, .state = state, .cycles_wanted = 2};

	memcpy(super.magic, DL_SUPER_MAGIC, 8);
	memset(super.disk_uuid, uuid, 16);
	dl_super_seal(&super);
	survey.cycles_done = done;
	memcpy(survey.magic, DL_SURVEY_MAGIC, 8);
	memcpy(survey.disk_uuid, super.disk_uuid, 16);
	dl_survey_seal(&survey, NULL);
	memcpy(blocks[i], &super, 512);
	memcpy(blocks[i] + 512, &survey, 512);
	fw.blocks[i] = blocks[i];
	fw.media[i] = (EFI_BLOCK_IO_MEDIA) {.MediaId = 7,
		.MediaPresent = TRUE,
		.LogicalPartition = TRUE,
		.BlockSize = 512,
		.LastBlock = DISK_BLOCKS - 1};
	fw.io[i].Media = &fw.media[i];
	fw.io[i].ReadBlocks = read_blocks;
	fw.disks = i + 1;
}

static void test_survey_next(void **state)
{
	const struct {
		u32 state, done;
		bool next;
	} cases[] = {
		{DL_SURVEY_IDLE, 0, false},
		{DL_SURVEY_ARMED, 0, true},
		{DL_SURVEY_FILLING, 0, false},
		{DL_SURVEY_FILLED, 0, true},
		{DL_SURVEY_FILLED, 1, false},
		{DL_SURVEY_DONE, 2, false},
		{DL_SURVEY_ENDED, 0, false},
	};

	(void)state;
	assert_false(efi_survey_next(&fw.st, any));
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(NULL);
		disk_set(0, 1, cases[i].state, cases[i].done);
		assert_int_equal(efi_survey_next(&fw.st, any), cases[i].next);
		assert_int_equal(fw.next_set, cases[i].next);
	}
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next, 3);
	assert_int_equal(fw.next_flags, 7);
}

/* A record that the image can not write must not make the machine start it for ever. */
static void test_survey_asked_once(void **state)
{
	(void)state;
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next_set, 1);
	disk_set(0, 1, DL_SURVEY_FILLED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next_set, 2);
	/* When it is over nothing of it stays. */
	disk_set(0, 1, DL_SURVEY_DONE, 2);
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.asked_bytes, 0);
	/* Something else of that name does not count; what can not be remembered is not done. */
	fw.asked_bytes = 2;
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	fw.asked_bytes = 0;
	fw.asked_fails = true;
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next_set, 3);
}

static void test_survey_of_another_disk(void **state)
{
	u8 uuid[16];

	(void)state;
	memset(uuid, 2, 16);
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_false(efi_survey_next(&fw.st, uuid));
	disk_set(1, 2, DL_SURVEY_IDLE, 0);
	assert_false(efi_survey_next(&fw.st, uuid));
	disk_set(1, 2, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, uuid));
}

static void test_survey_refused(void **state)
{
	(void)state;
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	fw.has_current = false;
	assert_false(efi_survey_next(&fw.st, any));
	fw.has_current = true;
	fw.set_fails = true;
	assert_false(efi_survey_next(&fw.st, any));
	fw.set_fails = false;
	fw.media[0].LogicalPartition = FALSE;
	assert_false(efi_survey_next(&fw.st, any));
	fw.media[0].LogicalPartition = TRUE;
	fw.media[0].BlockSize = 2048;
	assert_false(efi_survey_next(&fw.st, any));
	fw.media[0].BlockSize = 512;
	fw.media[0].LastBlock = DISK_BLOCKS - 2; /* cut off */
	assert_false(efi_survey_next(&fw.st, any));
	fw.media[0].LastBlock = DISK_BLOCKS - 1;
	fw.read_fails_at = 0;
	assert_false(efi_survey_next(&fw.st, any));
	fw.read_fails_at = DISK_BLOCKS - 1 - 64 - DL_SURVEY_AREA_BYTES / 512;
	assert_false(efi_survey_next(&fw.st, any));
	fw.read_fails_at = UINT64_MAX;
	blocks[0][512 + 40] ^= 1;
	assert_false(efi_survey_next(&fw.st, any));
	blocks[0][512 + 40] ^= 1;
	assert_true(efi_survey_next(&fw.st, any));
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
		cmocka_unit_test_setup(test_survey_next, setup),
		cmocka_unit_test_setup(test_survey_asked_once, setup),
		cmocka_unit_test_setup(test_survey_of_another_disk, setup),
		cmocka_unit_test_setup(test_survey_refused, setup),
	};

	crc32c_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
