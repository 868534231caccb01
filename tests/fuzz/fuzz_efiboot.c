/*
 * Firmware's memory map from arbitrary bytes: the first byte is the step, the rest are
 * descriptors. The map must keep its form, and a place for the image must be RAM and away from
 * what is to be avoided.
 */
#include <stdlib.h>
#include <string.h>
#include "efiboot.h"

#define IMAGE_BYTES ((u64)MIB)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check_map(const struct memmap *map)
{
	u64 end = 0;

	if (map->count > MEMMAP_MAX)
		abort();
	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (r->bytes == 0 || r->pa < end || r->pa + r->bytes < r->pa)
			abort();
		end = r->pa + r->bytes;
	}
}

static void check_place(const struct memmap *map)
{
	const struct efiboot_range avoid[] = {{2 * MIB, 4096}, {16 * MIB + 17, 1}};
	bool took_free;
	u64 pa = efiboot_place(map, IMAGE_BYTES, avoid, ARRAY_SIZE(avoid), &took_free);

	if (!pa)
		return;
	if (pa < MIB || pa % PAGE_BYTES || memmap_has(map, pa, IMAGE_BYTES, MEM_RESERVED))
		abort();
	for (u32 i = 0; i < ARRAY_SIZE(avoid); i++) {
		if (pa < avoid[i].pa + avoid[i].bytes && avoid[i].pa < pa + IMAGE_BYTES)
			abort();
	}
	for (u64 at = pa; at < pa + IMAGE_BYTES; at += PAGE_BYTES) {
		const struct mem_range *r = memmap_find(map, at);

		if (!r || r->type != MEM_RAM || took_free == (r->touched == TOUCHED_FIRMWARE))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct memmap map;

	if (size == 0)
		return 0;
	memset(&map, 0, sizeof(map));
	if (efiboot_memmap(data + 1, size - 1, data[0], &map) != (data[0] >= 40))
		abort();
	check_map(&map);
	check_place(&map);
	return 0;
}
