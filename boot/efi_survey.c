/*
 * A survey takes several boots of the dump disk in a row, and most machines boot something else
 * first. While one is under way the UEFI application asks firmware to boot the same entry again,
 * once. Reads through firmware's drivers; writes only the variable BootNext.
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

/* Will this boot end with memory filled? */
static bool survey_goes_on(EFI_BLOCK_IO_PROTOCOL *io, const struct dl_super *super)
{
	struct dl_survey survey;

	if (!super->survey_blocks || !block_read(io, dl_survey_block(super)))
		return false;
	memcpy(&survey, block, sizeof(survey));
	if (dl_survey_check(&survey, super) != OK)
		return false;
	if (survey.state == DL_SURVEY_ARMED)
		return true;
	return survey.state == DL_SURVEY_FILLED && survey.cycles_done + 1 < survey.cycles_wanted;
}

static bool boot_again(EFI_SYSTEM_TABLE *st)
{
	EFI_GUID guid = EFI_GLOBAL_VARIABLE;
	EFI_RUNTIME_SERVICES *rt = st->RuntimeServices;
	CHAR16 current[] = L"BootCurrent", next[] = L"BootNext";
	UINT16 number;
	UINTN bytes = sizeof(number);

	if (rt->GetVariable(current, &guid, NULL, &bytes, &number) != EFI_SUCCESS ||
		bytes != sizeof(number))
		return false;
	return rt->SetVariable(next, &guid, VARIABLE_FLAGS, sizeof(number), &number) == EFI_SUCCESS;
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
			return survey_goes_on(io, &super) && boot_again(st);
	}
	return false;
}
