/*
 * What mkdumpdisk --boot-entry reads: arbitrary bytes as a variable of the firmware's and as an
 * EFI application. Texts must end and be printable.
 */
#include <stdlib.h>
#include <string.h>
#include "tools/mkdumpdisk/bootoption.c"
#define get_u16 image_u16
#include "tools/mkdumpdisk/efiimage.c"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check_text(const char *text)
{
	if (!memchr(text, '\0', BOOT_OPTION_TEXT_BYTES))
		abort();
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct boot_option b;

	if (boot_option_parse(data, size, &b) && !b.has_partition &&
		boot_option_leads_to(&b, b.partition, b.path))
		abort();
	check_text(b.path);
	check_text(b.description);
	if (!efiimage_fault(data, size) && !memmem(data, size, "afterimage", 10))
		abort();
	return 0;
}
