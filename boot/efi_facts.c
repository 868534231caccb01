/*
 * What the UEFI application asks firmware (UEFI 2.10): screen, tables, the device it came from,
 * its settings, and the way out. Everything firmware says is checked; nothing is kept but what
 * the caller's memory holds.
 */
#include <string.h>
#include "boot/efi.h"

/* Of a hard drive node (s10.3.5.1), which may lie at any address. */
#define DRIVE_NODE_BYTES	42u
#define DRIVE_SIGNATURE_AT	24u
#define DRIVE_SIGNATURE_TYPE_AT 41u

static bool guid_is(const EFI_GUID *a, EFI_GUID b)
{
	return memcmp(a, &b, sizeof(b)) == 0;
}

/* The bits of @mask, which must be one piece; none for 0. */
static struct framebuffer_colour colour(u32 mask)
{
	struct framebuffer_colour c = {0};

	while (mask && !(mask & 1)) {
		mask >>= 1;
		c.shift++;
	}
	while (mask & 1) {
		mask >>= 1;
		c.bits++;
	}
	return c;
}

/* s12.9.2; false if pixels can not be written to memory. */
static bool pixel_format(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode, struct framebuffer *out)
{
	EFI_PIXEL_BITMASK mask = mode->PixelInformation;
	u32 used;

	if (mode->PixelFormat == PixelRedGreenBlueReserved8BitPerColor)
		mask = (EFI_PIXEL_BITMASK) {0xff, 0xff00, 0xff0000, 0xff000000};
	else if (mode->PixelFormat == PixelBlueGreenRedReserved8BitPerColor)
		mask = (EFI_PIXEL_BITMASK) {0xff0000, 0xff00, 0xff, 0xff000000};
	else if (mode->PixelFormat != PixelBitMask)
		return false;
	used = mask.RedMask | mask.GreenMask | mask.BlueMask | mask.ReservedMask;
	out->pixel_bytes = used >> 24 ? 4 : used >> 16 ? 3 : 2;
	out->red = colour(mask.RedMask);
	out->green = colour(mask.GreenMask);
	out->blue = colour(mask.BlueMask);
	return true;
}

/* False if @gop has nothing that can be written to. */
static bool screen_read(const EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, struct framebuffer *out)
{
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = gop->Mode ? gop->Mode->Info : NULL;

	memset(out, 0, sizeof(*out));
	if (!mode || !pixel_format(mode, out))
		return false;
	out->pa = gop->Mode->FrameBufferBase;
	out->width = mode->HorizontalResolution;
	out->height = mode->VerticalResolution;
	if (mode->PixelsPerScanLine > UINT32_MAX / out->pixel_bytes)
		return false;
	out->stride_bytes = mode->PixelsPerScanLine * out->pixel_bytes;
	if (!range_fits(out->pa, gop->Mode->FrameBufferSize, UINT64_MAX))
		return false;
	out->bytes = gop->Mode->FrameBufferSize;
	return out->bytes > 0;
}

/* The console that firmware makes of several screens is one, too, and has no pixels. */
void efi_screen(EFI_SYSTEM_TABLE *st, struct framebuffer *out)
{
	EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_HANDLE handle[EFI_SCREENS_MAX];
	UINTN bytes = sizeof(handle);

	memset(out, 0, sizeof(*out));
	if (st->BootServices->LocateHandle(ByProtocol, &guid, NULL, &bytes, handle) != EFI_SUCCESS)
		return;
	for (UINTN i = 0; i < bytes / sizeof(handle[0]); i++) {
		EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;

		if (st->BootServices->HandleProtocol(handle[i], &guid, (void **)&gop) ==
				EFI_SUCCESS &&
			screen_read(gop, out))
			return;
	}
	out->bytes = 0;
}

u64 efi_rsdp(EFI_SYSTEM_TABLE *st)
{
	u64 old = 0;

	for (UINTN i = 0; i < st->NumberOfTableEntries && i < EFI_TABLES_MAX; i++) {
		const EFI_CONFIGURATION_TABLE *t = &st->ConfigurationTable[i];

		if (guid_is(&t->VendorGuid, (EFI_GUID)ACPI_20_TABLE_GUID))
			return (u64)t->VendorTable;
		if (guid_is(&t->VendorGuid, (EFI_GUID)ACPI_TABLE_GUID))
			old = (u64)t->VendorTable;
	}
	return old;
}

/* s10.3.5.1; the hard drive node is the last but the end of a partition's path. */
void efi_boot_partition(EFI_SYSTEM_TABLE *st, EFI_HANDLE device, u8 guid[16])
{
	EFI_GUID protocol = EFI_DEVICE_PATH_PROTOCOL_GUID;
	const EFI_DEVICE_PATH_PROTOCOL *node;

	memset(guid, 0, 16);
	if (st->BootServices->HandleProtocol(device, &protocol, (void **)&node) != EFI_SUCCESS)
		return;
	for (u32 i = 0; i < EFI_PATH_NODES; i++) {
		const u8 *drive = (const u8 *)node;
		u32 bytes = node->Length[0] | (u32)node->Length[1] << 8;

		if (bytes < sizeof(*node) || (node->Type & 0x7f) == END_DEVICE_PATH_TYPE)
			return;
		if (node->Type == MEDIA_DEVICE_PATH && node->SubType == MEDIA_HARDDRIVE_DP) {
			if (bytes >= DRIVE_NODE_BYTES &&
				drive[DRIVE_SIGNATURE_TYPE_AT] == SIGNATURE_TYPE_GUID)
				memcpy(guid, drive + DRIVE_SIGNATURE_AT, 16);
			return;
		}
		node = (const void *)(drive + bytes);
	}
}

static bool read_text(EFI_FILE_HANDLE file, char *text)
{
	UINTN bytes = EFIBOOT_SETTINGS_BYTES - 1;
	bool ok = file->Read(file, &bytes, text) == EFI_SUCCESS && bytes < EFIBOOT_SETTINGS_BYTES;

	text[ok ? bytes : 0] = '\0';
	return ok;
}

bool efi_settings(EFI_SYSTEM_TABLE *st, EFI_HANDLE device, char text[EFIBOOT_SETTINGS_BYTES])
{
	EFI_GUID guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	CHAR16 name[] = EFI_SETTINGS;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *volume;
	EFI_FILE_HANDLE root, file;
	bool ok;

	text[0] = '\0';
	if (st->BootServices->HandleProtocol(device, &guid, (void **)&volume) != EFI_SUCCESS)
		return false;
	if (volume->OpenVolume(volume, &root) != EFI_SUCCESS)
		return false;
	ok = root->Open(root, &file, name, EFI_FILE_MODE_READ, 0) == EFI_SUCCESS;
	if (ok) {
		ok = read_text(file, text);
		file->Close(file);
	}
	root->Close(root);
	return ok;
}

static EFI_STATUS map_read(EFI_SYSTEM_TABLE *st, struct efi_map *map)
{
	UINT32 version;

	map->bytes = map->room;
	return st->BootServices->GetMemoryMap(
		&map->bytes, map->buffer, &map->key, &map->step, &version);
}

/* With room for the pieces that making room adds, and those that firmware adds meanwhile. */
bool efi_map_first(EFI_SYSTEM_TABLE *st, struct efi_map *map)
{
	EFI_STATUS status = map_read(st, map);
	void *buffer;
	UINTN room;

	if (status == EFI_SUCCESS && range_fits(map->bytes, EFI_MAP_SPARE * map->step, map->room))
		return true;
	if (status != EFI_SUCCESS && status != EFI_BUFFER_TOO_SMALL)
		return false;
	room = map->bytes + 2 * EFI_MAP_SPARE * map->step; /* to be asked again later */
	if (st->BootServices->AllocatePool(EfiLoaderData, room, &buffer) != EFI_SUCCESS)
		return status == EFI_SUCCESS;
	map->room = room;
	map->buffer = buffer;
	return map_read(st, map) == EFI_SUCCESS;
}

void efi_map_release(EFI_SYSTEM_TABLE *st, struct efi_map *map, void *own)
{
	if (map->buffer && map->buffer != own)
		st->BootServices->FreePool(map->buffer);
	map->buffer = own;
}

/* s7.4.6: with the map's key; if something changed memory since, with the new one. */
enum status efi_leave(EFI_SYSTEM_TABLE *st, EFI_HANDLE image, struct efi_map *map)
{
	for (u32 i = 0; i < EFI_EXIT_TRIES; i++) {
		if (map_read(st, map) != EFI_SUCCESS)
			return E_MEMMAP;
		if (st->BootServices->ExitBootServices(image, map->key) == EFI_SUCCESS)
			return OK;
	}
	return E_FIRMWARE;
}
