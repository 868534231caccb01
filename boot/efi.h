/*
 * The UEFI application: efi_facts.c and what else there is beside it ask firmware, efi_choose.c
 * decides what is to be done, efi_app.c copies the image to its place and starts it. All live in firmware's world: its page tables, its calling
 * convention, interrupts on until boot services end. No library of firmware's is used, only
 * GNU-EFI's headers and start code.
 */
#ifndef AFTERIMAGE_EFI_H
#define AFTERIMAGE_EFI_H

#include <efi.h>
#include "choose.h"
#include "efiboot.h"
#include "linuxboot.h"
#include "status.h"

#define EFI_MAP_BYTES	(32u * KIB) /* of descriptors; more take firmware's memory */
#define EFI_MAP_SPARE	16u	    /* descriptors */
#define EFI_EXIT_TRIES	4u
#define EFI_DISKS_MAX	2048u /* and their partitions: a server has many paths to many */
#define EFI_PATH_NODES	64u
#define EFI_SCREENS_MAX 32u
#define EFI_TABLES_MAX	1024u
#define EFI_SETTINGS	L"\\EFI\\afterimage\\afterimage.cfg"

/*
 * Variables of our own: which record of a survey BootNext was last set for, and which crash
 * automatic mode last began to capture.
 */
#define EFI_OWN_VARIABLES                                                                          \
	{                                                                                          \
		0x7c1e55d2, 0x3b0f, 0x4ad6,                                                        \
		{                                                                                  \
			0x91, 0x5e, 0x2f, 0xa8, 0x64, 0x0d, 0xc3, 0x17                             \
		}                                                                                  \
	}
#define EFI_ASKED L"AfterimageSurvey"
#define EFI_TRIED L"AfterimageTried"

/* What the last GetMemoryMap gave. */
struct efi_map {
	void *buffer;
	UINTN room;
	UINTN bytes;
	UINTN key;
	UINTN step;
};

/* A dump partition, through firmware's driver. */
struct efi_disk {
	EFI_BLOCK_IO_PROTOCOL *io;
	struct dl_super super;
};

/* Firmware's page tables. */
struct efi_paging {
	u64 root_pa;
	u32 levels;
};

/* Puts @text, ASCII with '\n' as line ends, on firmware's console. */
void efi_say(EFI_SYSTEM_TABLE *st, const char *text, u32 bytes);

/*
 * The next key of firmware's console as ASCII, Enter as '\r'; one that was pressed before is
 * taken at once. 0: none within @wait_us.
 */
u32 efi_key(EFI_SYSTEM_TABLE *st, u64 wait_us);

/* The first screen, as it is, that can be written to directly; bytes 0 if firmware has none. */
void efi_screen(EFI_SYSTEM_TABLE *st, struct framebuffer *out);

/* The ACPI RSDP's address, 0 if there is none. */
u64 efi_rsdp(EFI_SYSTEM_TABLE *st);

/* GPT's unique GUID of the partition that @device is; all zero if it is none. */
void efi_boot_partition(EFI_SYSTEM_TABLE *st, EFI_HANDLE device, u8 guid[16]);

/* The settings on the file system of @device; false if there are none. NUL-terminated. */
bool efi_settings(EFI_SYSTEM_TABLE *st, EFI_HANDLE device, char text[EFIBOOT_SETTINGS_BYTES]);

/*
 * Reads the memory map to @map, whose buffer and room are set. One that does not fit gets memory
 * from firmware. False if there is none.
 */
bool efi_map_first(EFI_SYSTEM_TABLE *st, struct efi_map *map) MUST_CHECK;

/* Gives back the memory that efi_map_first took; @own was the buffer before it. */
void efi_map_release(EFI_SYSTEM_TABLE *st, struct efi_map *map, void *own);

/*
 * Leaves boot services; @map, from efi_map_first, then describes memory. E_FIRMWARE if firmware
 * does not let go of the machine, though the map is good; E_MEMMAP if it is not. Either way
 * firmware is then in no state to be called for anything but a reset.
 */
enum status efi_leave(EFI_SYSTEM_TABLE *st, EFI_HANDLE image, struct efi_map *map) MUST_CHECK;

/*
 * If a survey of the dump disk with @uuid (all zero: of the first one found) needs another boot
 * after this one, makes firmware boot the same way next time, once. True if it did. False also if
 * it did so for the very same record before: the image can not write it.
 */
bool efi_survey_next(EFI_SYSTEM_TABLE *st, const u8 uuid[16]);

/*
 * The first dump partition with @uuid (all zero: any) whose disk firmware has a driver for. False
 * if there is none.
 */
bool efi_disk_find(EFI_SYSTEM_TABLE *st, const u8 uuid[16], struct efi_disk *out) MUST_CHECK;

/* The record of its survey; false if there is none or it is damaged. */
bool efi_disk_survey(const struct efi_disk *d, struct dl_survey *out) MUST_CHECK;

/* All that choose.h wants to know of it but tried_id. */
void efi_disk_know(const struct efi_disk *d, struct choose_disk *out);

/*
 * A variable of our own that lasts. _get: false unless it is there with just @bytes. _set: false
 * if firmware refuses. _forget does not write if there is none.
 */
bool efi_own_get(EFI_RUNTIME_SERVICES *rt, CHAR16 *name, void *value, UINTN bytes) MUST_CHECK;
bool efi_own_set(EFI_RUNTIME_SERVICES *rt, CHAR16 *name, void *value, UINTN bytes) MUST_CHECK;
void efi_own_forget(EFI_RUNTIME_SERVICES *rt, CHAR16 *name);

/*
 * What to do, by automatic mode and by the menu as @settings has them; boot->map is what memory
 * is searched by, without what firmware's page tables do not show. Fills what of it is for the
 * image. A capture in automatic mode is remembered, to be begun once.
 */
enum choose_way efi_choose(EFI_SYSTEM_TABLE *st, const struct linuxboot_cmdline *settings,
	struct efiboot *boot) MUST_CHECK;

/* Up to where in [pa, end) the tables show memory at its own address from @pa on; @pa: nothing. */
u64 efi_paging_end(const struct efi_paging *p, u64 pa, u64 end);

/* Makes RAM that they do not show so, and the first page, RESERVED in @map. */
void efi_paging_cut(const struct efi_paging *p, struct memmap *map);

/* The tables in use. */
struct efi_paging efi_paging_now(void);

/* Makes the console a port; memory, as long as firmware's page tables stay. */
void efi_ports_open(EFI_SYSTEM_TABLE *st);

/* And, at the cost of 10 ms, the clock, which stands still until then. */
void efi_ports_clock(void);

#endif
