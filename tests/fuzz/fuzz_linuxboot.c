/*
 * The input is a command line, and the zero page too: any bytes are one. What comes out must
 * be in the ranges that the header promises.
 */
#include <stdlib.h>
#include <string.h>
#include "bootimage.h"
#include "linuxboot.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

static void check_cmdline(const u8 *data, size_t bytes)
{
	struct linuxboot_cmdline c;
	u64 room = min_u64(bytes + 1, LINUXBOOT_CMDLINE_MAX);
	char *text = malloc(room); /* of just that size, to see a read beyond it */

	if (!text)
		abort();
	memcpy(text, data, min_u64(bytes, room));
	if (bytes < room)
		text[bytes] = '\0';
	linuxboot_cmdline(text, &c);
	if ((c.has_target && c.bad_target) || (c.elfcorehdr_pa && !c.has_elfcorehdr))
		abort();
	if (c.console == 0 || c.console > (BOOT_CONSOLE_SERIAL | BOOT_CONSOLE_SCREEN))
		abort();
	if (c.serial_port < 0x100 || c.serial_baud < 2 || 115200 % c.serial_baud != 0)
		abort();
	free(text);
}

static void check_zero_page(const u8 *data, size_t bytes)
{
	static struct linuxboot_zero_page zp;
	static u8 page[LINUXBOOT_ZERO_PAGE_BYTES];

	memset(page, 0, sizeof(page));
	memcpy(page, data, min_u64(bytes, sizeof(page)));
	linuxboot_zero_page(page, &zp);
	if (zp.map.count > MEMMAP_MAX)
		abort();
	if (zp.screen.bytes && (zp.text_mode || zp.screen.pa + zp.screen.bytes < zp.screen.pa))
		abort();
	for (u32 i = 0; i < zp.map.count; i++) {
		const struct mem_range *r = &zp.map.range[i];

		if (r->bytes == 0 || (r->pa | r->bytes) % PAGE_BYTES || r->pa + r->bytes < r->pa)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	check_cmdline(data, bytes);
	check_zero_page(data, bytes);
	return 0;
}
