/*
 * A survey takes several boots of the dump disk in a row, and most machines boot something else
 * first. While one is under way the UEFI application asks firmware to boot the same entry again,
 * once. Writes only the variable BootNext and one of its own.
 */
#include <string.h>
#include "boot/efi.h"

#define VARIABLE_FLAGS                                                                             \
	(EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)

/*
 * Will this boot end with memory filled? *seal: the record's checksum, another one whenever the
 * image has written it.
 */
static bool survey_goes_on(const struct efi_disk *disk, u32 *seal)
{
	struct dl_survey survey;

	if (!efi_disk_survey(disk, &survey))
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
	CHAR16 name[] = EFI_ASKED;
	u32 last;

	if (efi_own_get(rt, name, &last, sizeof(last)) && last == seal)
		return false;
	return efi_own_set(rt, name, &seal, sizeof(seal));
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

bool efi_survey_next(EFI_SYSTEM_TABLE *st, const u8 uuid[16])
{
	CHAR16 name[] = EFI_ASKED;
	struct efi_disk disk;
	u32 seal;

	if (!efi_disk_find(st, uuid, &disk))
		return false;
	if (!survey_goes_on(&disk, &seal)) {
		efi_own_forget(st->RuntimeServices, name);
		return false;
	}
	return ask_once(st->RuntimeServices, seal) && boot_again(st->RuntimeServices);
}
