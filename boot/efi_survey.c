/*
 * A survey takes several boots of the dump disk in a row, and most machines boot something else
 * first. While one is under way the UEFI application asks firmware to boot the same entry again,
 * once. Reads through firmware's drivers; writes only the variable BootNext and one of its own.
 */
#include <string.h>
#include "boot/efi.h"
#include "surveylog.h"

#define BLOCK_BYTES_MAX 4096u
#define VARIABLE_FLAGS                                                                             \
	(EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)

static _Alignas(PAGE_BYTES) u8 block[BLOCK_BYTES_MAX];
static EFI_HANDLE disk[EFI_DISKS_MAX];

static bool block_read(EFI_BLOCK_IO_PROTOCOL *io, u64 lba)
{
	return io->ReadBlocks(io, io->Media->MediaId, lba, io->Media->BlockSize, block) ==
	       EFI_SUCCESS;
}

/* The superblock of the dump partition that @io shows; false if it is none. */
static bool super_read(EFI_BLOCK_IO_PROTOCOL *io, struct dl_super *super)
{
	const EFI_BLOCK_IO_MEDIA *media = io->Media;

	if (!media->LogicalPartition || !media->MediaPresent)
		return false;
	if (media->BlockSize != 512 && media->BlockSize != BLOCK_BYTES_MAX)
		return false;
	if (!block_read(io, 0))
		return false;
	memcpy(super, block, sizeof(*super));
	return dl_super_check(super) == OK && super->block_bytes == media->BlockSize &&
	       super->blocks - 1 <= media->LastBlock;
}

/*
 * Will this boot end with memory filled? *seal: the record's checksum, another one whenever the
 * image has written it.
 */
static bool survey_goes_on(EFI_BLOCK_IO_PROTOCOL *io, const struct dl_super *super, u32 *seal)
{
	struct dl_survey survey;

	if (!super->survey_blocks || !block_read(io, dl_survey_block(super)))
		return false;
	memcpy(&survey, block, sizeof(survey));
	if (dl_survey_check(&survey, super) != OK)
		return false;
	*seal = survey.crc32c;
	if (survey.state == DL_SURVEY_ARMED)
		return true;
	return survey.state == DL_SURVEY_FILLED && survey.cycles_done + 1 < survey.cycles_wanted;
}

/*
 * Remembers that another boot was asked for on account of this record. False if that was so
 * already: then the image could not write to the disk, and would not the next time, for ever.
 */
static bool ask_once(EFI_RUNTIME_SERVICES *rt, u32 seal)
{
	EFI_GUID guid = EFI_OWN_VARIABLES;
	CHAR16 name[] = EFI_ASKED;
	UINTN bytes = sizeof(seal);
	u32 last;

	if (rt->GetVariable(name, &guid, NULL, &bytes, &last) == EFI_SUCCESS &&
		bytes == sizeof(last) && last == seal)
		return false;
	return rt->SetVariable(name, &guid, VARIABLE_FLAGS, sizeof(seal), &seal) == EFI_SUCCESS;
}

static void forget(EFI_RUNTIME_SERVICES *rt)
{
	EFI_GUID guid = EFI_OWN_VARIABLES;
	CHAR16 name[] = EFI_ASKED;
	UINTN bytes = 0;

	if (rt->GetVariable(name, &guid, NULL, &bytes, NULL) == EFI_BUFFER_TOO_SMALL)
		rt->SetVariable(name, &guid, VARIABLE_FLAGS, 0, NULL);
}

static bool boot_again(EFI_RUNTIME_SERVICES *rt)
{
	EFI_GUID guid = EFI_GLOBAL_VARIABLE;
	CHAR16 current[] = L"BootCurrent", next[] = L"BootNext";
	UINT16 number;
	UINTN bytes = sizeof(number);

	if (rt->GetVariable(current, &guid, NULL, &bytes, &number) != EFI_SUCCESS ||
		bytes != sizeof(number))
		return false;
	return rt->SetVariable(next, &guid, VARIABLE_FLAGS, sizeof(number), &number) == EFI_SUCCESS;
}

/* Of the survey of the dump partition that @io shows. */
static bool survey_next(
	EFI_RUNTIME_SERVICES *rt, EFI_BLOCK_IO_PROTOCOL *io, const struct dl_super *super)
{
	u32 seal;

	if (!survey_goes_on(io, super, &seal)) {
		forget(rt);
		return false;
	}
	return ask_once(rt, seal) && boot_again(rt);
}

bool efi_survey_next(EFI_SYSTEM_TABLE *st, const u8 uuid[16])
{
	static const u8 any[16];
	EFI_GUID guid = EFI_BLOCK_IO_PROTOCOL_GUID;
	UINTN bytes = sizeof(disk);

	if (st->BootServices->LocateHandle(ByProtocol, &guid, NULL, &bytes, disk) != EFI_SUCCESS)
		return false;
	for (UINTN i = 0; i < bytes / sizeof(disk[0]); i++) {
		EFI_BLOCK_IO_PROTOCOL *io;
		struct dl_super super;

		if (st->BootServices->HandleProtocol(disk[i], &guid, (void **)&io) != EFI_SUCCESS ||
			!super_read(io, &super))
			continue;
		if (memcmp(uuid, any, sizeof(any)) == 0 ||
			memcmp(uuid, super.disk_uuid, sizeof(any)) == 0)
			return survey_next(st->RuntimeServices, io, &super);
	}
	return false;
}
