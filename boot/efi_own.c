/*
 * Variables of our own, which firmware keeps from one boot to the next. Its flash wears out:
 * what is of no more use is removed, and what is not there is not.
 */
#include "boot/efi.h"

#define VARIABLE_FLAGS                                                                             \
	(EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)

bool efi_own_get(EFI_RUNTIME_SERVICES *rt, CHAR16 *name, void *value, UINTN bytes)
{
	EFI_GUID guid = EFI_OWN_VARIABLES;
	UINTN got = bytes;

	return rt->GetVariable(name, &guid, NULL, &got, value) == EFI_SUCCESS && got == bytes;
}

bool efi_own_set(EFI_RUNTIME_SERVICES *rt, CHAR16 *name, void *value, UINTN bytes)
{
	EFI_GUID guid = EFI_OWN_VARIABLES;

	return rt->SetVariable(name, &guid, VARIABLE_FLAGS, bytes, value) == EFI_SUCCESS;
}

void efi_own_forget(EFI_RUNTIME_SERVICES *rt, CHAR16 *name)
{
	EFI_GUID guid = EFI_OWN_VARIABLES;
	UINTN bytes = 0;

	if (rt->GetVariable(name, &guid, NULL, &bytes, NULL) == EFI_BUFFER_TOO_SMALL)
		rt->SetVariable(name, &guid, VARIABLE_FLAGS, 0, NULL);
}
