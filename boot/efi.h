/*
 * The UEFI application's two halves: efi_facts.c asks firmware, efi_app.c decides, copies the
 * image to its place and starts it. Both live in firmware's world: its page tables, its calling
 * convention, interrupts on until boot services end. No library of firmware's is used, only
 * GNU-EFI's headers and start code.
 */
#ifndef AFTERIMAGE_EFI_H
#define AFTERIMAGE_EFI_H

#include <efi.h>
#include "efiboot.h"
#include "status.h"

#define EFI_MAP_BYTES	(32u * KIB) /* of descriptors; more take firmware's memory */
#define EFI_MAP_SPARE	16u	    /* descriptors */
#define EFI_EXIT_TRIES	4u
#define EFI_DISKS_MAX	512u
#define EFI_PATH_NODES	64u
#define EFI_SCREENS_MAX 32u
#define EFI_TABLES_MAX	1024u
#define EFI_SETTINGS	L"\\EFI\\afterimage\\afterimage.cfg"

/* The variable that remembers which record of a survey BootNext was last set for. */
#define EFI_OWN_VARIABLES                                                                          \
	{                                                                                          \
		0x7c1e55d2, 0x3b0f, 0x4ad6,                                                        \
		{                                                                                  \
			0x91, 0x5e, 0x2f, 0xa8, 0x64, 0x0d, 0xc3, 0x17                             \
		}                                                                                  \
	}
#define EFI_ASKED L"AfterimageSurvey"

/* What the last GetMemoryMap gave. */
struct efi_map {
	void *buffer;
	UINTN room;
	UINTN bytes;
	UINTN key;
	UINTN step;
};

/* Puts @text, ASCII, on firmware's console. */
void efi_say(EFI_SYSTEM_TABLE *st, const char *text);

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

#endif
