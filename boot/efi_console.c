/*
 * Firmware's console: text and keys. Which screens and serial ports that is, firmware knows.
 */
#include "boot/efi.h"
#include "ports.h"

#define CELLS	  80u
#define POLL_US	  10000u
#define LOOK_MAX  64u /* keys without a character that are passed over in one look */
#define ASCII_MAX 0x7fu
#define ESCAPE	  0x1bu
#define DELETE	  0x7fu /* serial consoles send it for the key that takes back */

void efi_say(EFI_SYSTEM_TABLE *st, const char *text, u32 bytes)
{
	CHAR16 cell[CELLS + 2];
	u32 n = 0;

	for (u32 i = 0; st->ConOut && i < bytes; i++) {
		if (text[i] == '\n')
			cell[n++] = L'\r';
		cell[n++] = (CHAR16)(u8)text[i];
		if (n < CELLS && i + 1 < bytes)
			continue;
		cell[n] = 0;
		st->ConOut->OutputString(st->ConOut, cell);
		n = 0;
	}
}

/* The character of a key that is known by its number alone (UEFI 2.10 s12.1.2); 0: it has none. */
static u32 character(u16 scan_code)
{
	if (scan_code == SCAN_ESC)
		return ESCAPE;
	return scan_code == SCAN_DELETE ? DELETE : 0;
}

/* The first key in firmware's queue that has a character; 0: none. */
static u32 key_look(EFI_SYSTEM_TABLE *st)
{
	for (u32 i = 0; i < LOOK_MAX; i++) {
		EFI_INPUT_KEY key = {0};

		if (st->ConIn->ReadKeyStroke(st->ConIn, &key) != EFI_SUCCESS)
			return 0;
		if (key.UnicodeChar > 0 && key.UnicodeChar <= ASCII_MAX)
			return key.UnicodeChar;
		if (key.UnicodeChar == 0 && character(key.ScanCode))
			return character(key.ScanCode);
	}
	return 0;
}

u32 efi_key(EFI_SYSTEM_TABLE *st, u64 wait_us)
{
	u64 end = clock_us() + wait_us;
	u64 polls = wait_us / POLL_US;
	u32 key = st->ConIn ? key_look(st) : 0;

	/* Firmware's idea of time bounds it, too: nobody knows how good the processor's is. */
	for (u64 i = 0; st->ConIn && !key && i < polls && clock_us() < end; i++) {
		st->BootServices->Stall(POLL_US);
		key = key_look(st);
	}
	return key;
}
