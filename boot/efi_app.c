/*
 * afterimage.efi: gathers what firmware knows, gives control back to it if there is nothing to
 * capture (efi_choose.c); else leaves boot services, copies the image that it
 * carries to memory that firmware has used, and starts it there. After boot services have ended
 * it writes only to that memory and to itself.
 */
#include <string.h>
#include "boot/efi.h"
#include "crc32c.h"
#include "str.h"

#define TABLE_ENTRIES 512u
#define TABLES	      5u /* of ours: levels 5 to 1, at the end of the image's memory */
#define STACK_BYTES   (128u * KIB)
#define AVOID_MAX     64u
#define PLACE_TRIES   16u

#define PTE_PRESENT	  0x001ull
#define PTE_PRESENT_WRITE 0x003ull
#define PTE_LARGE	  0x080ull
#define PTE_ADDRESS	  0x000ffffffffff000ull
#define CR0_WP		  (1ull << 16)
#define CR4_CET		  (1ull << 23)

extern const u8 efi_blob[];
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static _Alignas(8) u8 map_buffer[EFI_MAP_BYTES];

static struct {
	struct efiboot boot;
	struct linuxboot_cmdline settings;
	struct efi_map map;
	u32 avoids;
	struct efiboot_range avoid[AVOID_MAX];
} app;

static u64 cr0_read(void)
{
	u64 v;

	__asm__ volatile("movq %%cr0, %0" : "=r"(v));
	return v;
}

static u64 cr4_read(void)
{
	u64 v;

	__asm__ volatile("movq %%cr4, %0" : "=r"(v));
	return v;
}

static bool has_5_levels(void)
{
	return efi_paging_now().levels == 5;
}

static bool avoid_add(u64 pa, u64 bytes)
{
	if (app.avoids == AVOID_MAX)
		return false;
	app.avoid[app.avoids++] = (struct efiboot_range) {pa, bytes};
	return true;
}

/*
 * False if one of the tables that show @va lies in [pa, pa+bytes), or nothing shows it; that is
 * then to be avoided, too.
 */
static bool path_clear(u64 va, u64 pa, u64 bytes)
{
	const struct efi_paging paging = efi_paging_now();
	u64 table = paging.root_pa;

	for (u32 level = paging.levels; level > 0; level--) {
		u64 entry;

		if (table >= pa && table - pa < bytes) {
			avoid_add(table, PAGE_BYTES);
			return false;
		}
		entry = ((const u64 *)table)[va >> (12 + 9 * (level - 1)) & (TABLE_ENTRIES - 1)];
		if (!(entry & PTE_PRESENT)) {
			avoid_add(va & ~(u64)(PAGE_BYTES - 1), PAGE_BYTES);
			return false;
		}
		if (entry & PTE_LARGE && level > 1)
			return true;
		table = entry & PTE_ADDRESS;
	}
	return true;
}

/* While we copy to [pa, pa+bytes) firmware's tables must go on showing that, and us. */
static bool place_works(u64 pa, u64 bytes)
{
	const u64 ours[] = {
		(u64)&place_works, (u64)&app, (u64)efi_blob, (u64)__builtin_frame_address(0)};

	for (u32 i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (!path_clear(ours[i], pa, bytes))
			return false;
	}
	for (u64 at = pa; at < pa + bytes; at += PAGE_BYTES) {
		if (!path_clear(at, pa, bytes))
			return false;
	}
	return true;
}

static u64 place_find(u64 bytes)
{
	for (u32 i = 0; i < PLACE_TRIES; i++) {
		u64 pa = efiboot_place(
			&app.boot.map, bytes, app.avoid, app.avoids, &app.boot.took_free);

		if (!pa || place_works(pa, bytes))
			return pa;
	}
	return 0;
}

/* Firmware's top-level table, and in it the image where it is linked for. */
static u64 tables_make(const struct efiboot_image *head, u64 pa)
{
	u64 *level5 = (u64 *)(pa + head->memory_bytes - TABLES * PAGE_BYTES);
	u64 *level4 = level5 + TABLE_ENTRIES;
	u64 *level3 = level4 + TABLE_ENTRIES;
	u64 *level2 = level3 + TABLE_ENTRIES;
	u64 *level1 = level2 + TABLE_ENTRIES;
	const u64 *top = (const u64 *)efi_paging_now().root_pa;

	memset(level5, 0, TABLES * PAGE_BYTES);
	if (has_5_levels())
		top = (const u64 *)(top[0] & PTE_ADDRESS);
	memcpy(level4, top, PAGE_BYTES);
	level5[0] = (u64)level4 | PTE_PRESENT_WRITE;
	level4[head->va >> 39 & (TABLE_ENTRIES - 1)] = (u64)level3 | PTE_PRESENT_WRITE;
	level3[head->va >> 30 & (TABLE_ENTRIES - 1)] = (u64)level2 | PTE_PRESENT_WRITE;
	level2[head->va >> 21 & (TABLE_ENTRIES - 1)] = (u64)level1 | PTE_PRESENT_WRITE;
	for (u64 i = 0; i < head->memory_bytes / PAGE_BYTES; i++)
		level1[i] = (pa + i * PAGE_BYTES) | PTE_PRESENT_WRITE;
	return (u64)(has_5_levels() ? level5 : level4);
}

static __attribute__((noreturn)) void image_start(const struct efiboot_image *head, u64 pa)
{
	u64 top;

	/*
	 * Code of firmware's drivers may have lain there, write-protected. A processor that checks
	 * where control goes does not take that away, nor let us jump to the image.
	 */
	if (cr4_read() & CR4_CET)
		__asm__ volatile("movq %0, %%cr4" : : "r"(cr4_read() & ~CR4_CET) : "memory");
	__asm__ volatile("movq %0, %%cr0" : : "r"(cr0_read() & ~CR0_WP) : "memory");
	memcpy((void *)pa, efi_blob, head->file_bytes);
	top = tables_make(head, pa);
	__asm__ volatile("movq %0, %%cr3; jmp *%1"
			 :
			 : "r"(top), "r"(head->va + head->entry_bytes), "D"(&app.boot), "S"(pa)
			 : "memory");
	__builtin_unreachable();
}

static void facts_gather(EFI_SYSTEM_TABLE *st, const EFI_LOADED_IMAGE *loaded)
{
	struct efiboot *b = &app.boot;

	b->magic = EFIBOOT_MAGIC;
	b->rsdp_pa = efi_rsdp(st);
	efi_screen(st, &b->screen);
	efi_boot_partition(st, loaded->DeviceHandle, b->boot_part_guid);
	b->has_settings = efi_settings(st, loaded->DeviceHandle, b->settings);
	linuxboot_cmdline(b->settings, &app.settings);
}

/* Firmware's map in our terms; what lies in the application is @who's. */
static bool map_make(const EFI_LOADED_IMAGE *loaded, enum mem_touched who)
{
	struct memmap *map = &app.boot.map;

	memset(map, 0, sizeof(*map));
	if (!efiboot_memmap(app.map.buffer, app.map.bytes, app.map.step, map))
		return false;
	memmap_touch(map, (u64)loaded->ImageBase, loaded->ImageSize, who);
	return true;
}

/* The map, and in it a place for the image; 0 if there is none. */
static u64 place_choose(const EFI_LOADED_IMAGE *loaded, const struct efiboot_image *head)
{
	app.avoids = 0;
	if (!map_make(loaded, TOUCHED_LOADER))
		return 0;
	if (!avoid_add((u64)loaded->ImageBase, loaded->ImageSize) ||
		!avoid_add((u64)__builtin_frame_address(0) - STACK_BYTES, 2 * STACK_BYTES) ||
		!avoid_add((u64)app.map.buffer, app.map.room))
		return 0;
	return place_find(head->memory_bytes);
}

/*
 * Back to the boot manager: with @status, which is none of success, it takes the next option
 * (s3.1.1). All is as it was; the watchdog, which it disables itself then (s7.5), is off.
 */
static EFI_STATUS give_back(EFI_SYSTEM_TABLE *st, EFI_STATUS status)
{
	efi_map_release(st, &app.map, map_buffer);
	return status;
}

static EFI_STATUS fail(EFI_SYSTEM_TABLE *st, EFI_STATUS status, const char *text)
{
	con_printf("afterimage: no dump: %s\n", text);
	return give_back(st, status);
}

static __attribute__((noreturn)) void stop(EFI_SYSTEM_TABLE *st, EFI_RESET_TYPE how)
{
	st->RuntimeServices->ResetSystem(how, EFI_SUCCESS, 0, NULL);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* True if the image is to be started; if not, firmware goes on. */
static bool capture_chosen(EFI_SYSTEM_TABLE *st, const EFI_LOADED_IMAGE *loaded)
{
	const struct efi_paging paging = efi_paging_now();
	enum choose_way way;

	if (!app.settings.automatic && app.settings.menu_seconds == 0)
		return true;
	efi_ports_clock();
	/* What we know of kernels is none. */
	if (!map_make(loaded, TOUCHED_OURS))
		return true;
	efi_paging_cut(&paging, &app.boot.map);
	way = efi_choose(st, &app.settings, &app.boot);
	if (way == CHOOSE_OFF) {
		con_printf("afterimage: powering off\n");
		stop(st, EfiResetShutdown);
	}
	if (way == CHOOSE_BOOT_ON)
		con_printf("afterimage: booting on\n");
	return way == CHOOSE_CAPTURE;
}

/*
 * Leaves boot services and starts the image. After that was begun nobody can be relied on to show
 * a message. All that can go wrong then was tried before.
 */
static __attribute__((noreturn)) void image_run(
	EFI_SYSTEM_TABLE *st, EFI_HANDLE image, const EFI_LOADED_IMAGE *loaded)
{
	const struct efiboot_image *head = (const void *)efi_blob;
	enum status left = efi_leave(st, image, &app.map);
	u64 pa;

	if (left == E_MEMMAP)
		stop(st, EfiResetWarm);
	app.boot.not_left = left != OK;
	__asm__ volatile("cli");
	pa = place_choose(loaded, head);
	if (!pa)
		stop(st, EfiResetWarm);
	image_start(head, pa);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_GUID guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	const struct efiboot_image *head = (const void *)efi_blob;
	EFI_LOADED_IMAGE *loaded;

	efi_ports_open(st);
	st->BootServices->SetWatchdogTimer(0, 0, 0, NULL);
	if (st->BootServices->HandleProtocol(image, &guid, (void **)&loaded) != EFI_SUCCESS)
		return fail(st, EFI_UNSUPPORTED, "E53 firmware does not say what it loaded");
	crc32c_init();
	app.boot.const_crc32c = crc32c(0, efi_blob, head->const_bytes);
	facts_gather(st, loaded);
	app.map.buffer = map_buffer;
	app.map.room = sizeof(map_buffer);
	if (!efi_map_first(st, &app.map))
		return fail(st, EFI_UNSUPPORTED, "E41 firmware gives no memory map; update it");
	if (!place_choose(loaded, head))
		return fail(st, EFI_OUT_OF_RESOURCES, "E40 no 1 MiB of memory in one piece");
	if (!capture_chosen(st, loaded))
		return give_back(st, EFI_NOT_FOUND);
	app.boot.next_set = efi_survey_next(st, app.settings.target_uuid);
	/* Once more: firmware's drivers were at work since. */
	if (!efi_map_first(st, &app.map) || !place_choose(loaded, head))
		return fail(st, EFI_OUT_OF_RESOURCES, "E40 firmware's memory changed meanwhile");
	image_run(st, image, loaded);
}
