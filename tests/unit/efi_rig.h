/*
 * A firmware made of functions that refuse, lie and change their minds. Shared by the tests of
 * what the UEFI application asks firmware.
 */
#ifndef AFTERIMAGE_EFI_RIG_H
#define AFTERIMAGE_EFI_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "boot/efi.h"

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
	u32 disks, others; /* before them, handles that are none any more */
	EFI_BLOCK_IO_PROTOCOL io[2];
	EFI_BLOCK_IO_MEDIA media[2];
	u8 *blocks[2]; /* of the whole disk */
	u64 read_fails_at;
	bool reads_fail; /* from @read_fails_at on */
	u32 reads, block_reads, read_failures;
	/* variables */
	bool has_current, set_fails, asked_fails;
	UINTN asked_bytes;
	u32 asked;
	u32 next_set;
	UINT16 next;
	UINT32 next_flags;
	bool tried_fails;
	UINTN tried_bytes;
	u64 tried;
	u32 tried_sets;
	/* console */
	SIMPLE_TEXT_OUTPUT_INTERFACE out;
	SIMPLE_INPUT_INTERFACE in;
	char said[4096];
	u32 said_bytes, outputs;
	const EFI_INPUT_KEY *keys;
	u32 keys_left, keys_after_us; /* those that are pressed later */
	u64 stalled_us;
	u32 freed;
} fw;

static u8 pool[64 * KIB];

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

static EFI_STATUS EFIAPI free_pool(void *at)
{
	assert_ptr_equal(at, pool);
	fw.freed++;
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

	if (!handle)
		return EFI_UNSUPPORTED;
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
	if (*bytes < (fw.disks + fw.others) * sizeof(*out)) {
		*bytes = (fw.disks + fw.others) * sizeof(*out);
		return EFI_BUFFER_TOO_SMALL;
	}
	for (u32 i = 0; i < fw.others; i++)
		out[i] = NULL;
	for (u32 i = 0; i < fw.disks; i++)
		out[fw.others + i] = &fw.io[i];
	*bytes = (fw.disks + fw.others) * sizeof(*out);
	return EFI_SUCCESS;
}

static bool is_own(const CHAR16 *name, const EFI_GUID *guid, const CHAR16 *own_name)
{
	const EFI_GUID own = EFI_OWN_VARIABLES;
	u32 i = 0;

	while (name[i] && name[i] == own_name[i])
		i++;
	return memcmp(guid, &own, sizeof(own)) == 0 && name[i] == own_name[i];
}

static bool is_asked(const CHAR16 *name, const EFI_GUID *guid)
{
	return is_own(name, guid, EFI_ASKED);
}

static bool is_tried(const CHAR16 *name, const EFI_GUID *guid)
{
	return is_own(name, guid, EFI_TRIED);
}

static EFI_STATUS own_get(UINTN *bytes, void *to, UINTN own_bytes, const void *own)
{
	UINTN room = *bytes;

	if (own_bytes == 0)
		return EFI_NOT_FOUND;
	*bytes = own_bytes;
	if (room < own_bytes)
		return EFI_BUFFER_TOO_SMALL;
	memcpy(to, own, own_bytes);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI get_variable(
	CHAR16 *name, EFI_GUID *guid, UINT32 *flags, UINTN *bytes, void *to)
{
	const CHAR16 current[] = L"BootCurrent";
	const UINT16 number = 0x0003;

	(void)flags;
	if (is_asked(name, guid))
		return own_get(bytes, to, fw.asked_bytes, &fw.asked);
	if (is_tried(name, guid))
		return own_get(bytes, to, fw.tried_bytes, &fw.tried);
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

	if (is_tried(name, guid)) {
		fw.tried_sets++;
		if (fw.tried_fails)
			return EFI_OUT_OF_RESOURCES;
		assert_true(bytes <= sizeof(fw.tried));
		assert_int_equal(flags, 7);
		fw.tried_bytes = bytes;
		memcpy(&fw.tried, from ? from : "", bytes);
		return EFI_SUCCESS;
	}
	if (is_asked(name, guid)) {
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

static EFI_STATUS EFIAPI output(SIMPLE_TEXT_OUTPUT_INTERFACE *out, CHAR16 *text)
{
	assert_ptr_equal(out, &fw.out);
	fw.outputs++;
	for (; *text && fw.said_bytes < sizeof(fw.said) - 1; text++)
		fw.said[fw.said_bytes++] = (char)*text;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI read_key(SIMPLE_INPUT_INTERFACE *in, EFI_INPUT_KEY *key)
{
	assert_ptr_equal(in, &fw.in);
	if (fw.keys_left == 0 || fw.stalled_us < fw.keys_after_us)
		return EFI_NOT_READY;
	fw.keys_left--;
	*key = *fw.keys++;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI stall(UINTN us)
{
	fw.stalled_us += us;
	return EFI_SUCCESS;
}

/* A disk of which all is there; the tests of surveys have their own. */
static inline EFI_STATUS EFIAPI disk_read(
	EFI_BLOCK_IO_PROTOCOL *io, UINT32 media, EFI_LBA lba, UINTN bytes, void *to)
{
	const EFI_BLOCK_IO_MEDIA *m = io->Media;
	u64 count = bytes / m->BlockSize;

	fw.reads++;
	fw.block_reads += (u32)count;
	assert_int_equal(media, m->MediaId);
	assert_true(count > 0 && bytes % m->BlockSize == 0 && (u64)to % 512 == 0);
	assert_true(lba <= m->LastBlock && count - 1 <= m->LastBlock - lba);
	if ((lba <= fw.read_fails_at && fw.read_fails_at - lba < count) ||
		(fw.reads_fail && lba >= fw.read_fails_at)) {
		fw.read_failures++;
		return EFI_DEVICE_ERROR;
	}
	memcpy(to, fw.blocks[io - fw.io] + lba * m->BlockSize, bytes);
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
	fw.boot.FreePool = free_pool;
	fw.boot.Stall = stall;
	fw.out.OutputString = output;
	fw.in.ReadKeyStroke = read_key;
	fw.st.ConOut = &fw.out;
	fw.st.ConIn = &fw.in;
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

#endif
