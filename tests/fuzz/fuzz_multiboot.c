/*
 * A Multiboot loader's information from arbitrary bytes: the first byte says whose place is asked
 * for, the rest are information of both kinds and tables of the first. Whatever comes out must
 * keep its form, point into the input, and be RAM where the arena is to be.
 */
#include <stdlib.h>
#include <string.h>
#include "multiboot.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct memmap map;

static void check_text(const char *text, const u8 *info, size_t bytes)
{
	const u8 *at = (const u8 *)text;

	if (!text)
		return;
	if (at < info || at >= info + bytes || !memchr(at, 0, (size_t)(info + bytes - at)))
		abort();
}

static void check_map(void)
{
	u64 end = 0;

	if (map.count > MEMMAP_MAX)
		abort();
	for (u32 i = 0; i < map.count; i++) {
		const struct mem_range *r = &map.range[i];

		if (r->bytes == 0 || r->pa < end || r->pa + r->bytes < r->pa)
			abort();
		end = r->pa + r->bytes;
	}
}

static void check_screen(const struct framebuffer *s)
{
	if (s->bytes && (s->pa + s->bytes < s->pa || s->pixel_bytes < 2 || s->pixel_bytes > 4))
		abort();
}

static void check_arena(const struct multiboot *told, u64 own_pa)
{
	const struct multiboot_need need = {
		640 * KIB, 300 * KIB + 5, told->low_end, {own_pa, MIB / 4}};
	bool took_free;
	struct efiboot_range r = multiboot_arena(&map, &need, &took_free);

	if (r.bytes > need.want || (r.pa | r.bytes) % PAGE_BYTES)
		abort();
	if (r.bytes && r.pa < own_pa + MIB / 4 && own_pa < r.pa + r.bytes)
		abort();
	for (u64 at = r.pa; at < r.pa + r.bytes; at += PAGE_BYTES) {
		const struct mem_range *in = memmap_find(&map, at);

		if (!in || in->type != MEM_RAM || at == 0)
			abort();
	}
}

static void check_1(const u8 *data, size_t size)
{
	u8 info[MULTIBOOT1_BYTES] = {0};
	struct multiboot told;
	bool any;

	memcpy(info, data, min_u64(size, sizeof(info)));
	multiboot1_read(info, &told);
	check_screen(&told.screen);
	memset(&map, 0, sizeof(map));
	any = multiboot1_memmap(data, (u32)size, &map);
	if (!any && map.count)
		abort();
	multiboot1_modules(data, (u32)(size / MULTIBOOT1_MODULE), &map);
	check_map();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct multiboot told;

	if (size == 0 || size > MULTIBOOT_MAX_BYTES)
		return 0;
	check_1(data + 1, size - 1);
	memset(&map, 0, sizeof(map));
	multiboot2_read(data + 1, (u32)(size - 1), &told, &map);
	check_text(told.cmdline, data + 1, size - 1);
	check_text(told.loader, data + 1, size - 1);
	check_screen(&told.screen);
	if (told.rsdp_bytes > MULTIBOOT_RSDP_BYTES || (!told.has_map && map.count))
		abort();
	multiboot_loader(&told, &map);
	check_map();
	check_arena(&told, data[0] * 0x4000ull);
	return 0;
}
