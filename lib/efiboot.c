/*
 * Firmware's memory map in our terms, and the choice of the image's place in it. Asks firmware
 * nothing; also part of the UEFI application.
 */
#include <string.h>
#include "efiboot.h"

#define LOW_MEMORY_END ((u64)MIB)
#define PFN_END	       (1ull << 40)

/* EFI_MEMORY_TYPE, UEFI 2.10 s7.2.1; the types not named here are no RAM of an operating system. */
enum efi_type {
	EFI_LOADER_CODE = 1,
	EFI_LOADER_DATA = 2,
	EFI_BOOT_SERVICES_CODE = 3,
	EFI_BOOT_SERVICES_DATA = 4,
	EFI_CONVENTIONAL = 7,
};

struct efi_descriptor {
	u32 type;
	u32 zero;
	u64 pa;
	u64 va;
	u64 pages; /* of 4 KiB */
	u64 attribute;
};
ASSERT_SIZE(struct efi_descriptor, EFIBOOT_DESCRIPTOR_BYTES);

static void descriptor_add(const struct efi_descriptor *d, struct memmap *out)
{
	u64 bytes = min_u64(d->pages, PFN_END) << PAGE_SHIFT;

	switch (d->type) {
	case EFI_CONVENTIONAL:
		memmap_add(out, d->pa, bytes, MEM_RAM);
		break;
	case EFI_LOADER_CODE:
	case EFI_LOADER_DATA:
	case EFI_BOOT_SERVICES_CODE:
	case EFI_BOOT_SERVICES_DATA:
		memmap_add(out, d->pa, bytes, MEM_RAM);
		memmap_touch(out, d->pa, bytes, TOUCHED_FIRMWARE);
		break;
	default:
		memmap_add(out, d->pa, bytes, MEM_RESERVED);
	}
}

bool efiboot_memmap(const void *map, u64 bytes, u64 step, struct memmap *out)
{
	const u8 *at = map;

	if (step < sizeof(struct efi_descriptor))
		return false;
	for (; bytes >= step; bytes -= step, at += step) {
		struct efi_descriptor d;

		memcpy(&d, at, sizeof(d));
		descriptor_add(&d, out);
	}
	return true;
}

static const struct efiboot_range *overlap(
	const struct efiboot_range *avoid, u32 avoids, u64 pa, u64 bytes)
{
	for (u32 i = 0; i < avoids; i++) {
		if (pa < avoid[i].pa + avoid[i].bytes && avoid[i].pa < pa + bytes)
			return &avoid[i];
	}
	return NULL;
}

/* The lowest place in [from, end). Each turn leaves one range to avoid behind for good. */
static u64 place_low(u64 from, u64 end, u64 bytes, const struct efiboot_range *avoid, u32 avoids)
{
	for (u32 i = 0; i <= avoids; i++) {
		const struct efiboot_range *hit;

		if (from > end || end - from < bytes)
			return 0;
		hit = overlap(avoid, avoids, from, bytes);
		if (!hit)
			return from;
		from = round_up_u64(hit->pa + hit->bytes, PAGE_BYTES);
	}
	return 0;
}

/* The highest one. */
static u64 place_high(u64 from, u64 end, u64 bytes, const struct efiboot_range *avoid, u32 avoids)
{
	for (u32 i = 0; i <= avoids; i++) {
		const struct efiboot_range *hit;

		if (from > end || end - from < bytes)
			return 0;
		hit = overlap(avoid, avoids, end - bytes, bytes);
		if (!hit)
			return end - bytes;
		end = hit->pa & ~(u64)(PAGE_BYTES - 1);
	}
	return 0;
}

u64 efiboot_place(const struct memmap *map, u64 bytes, const struct efiboot_range *avoid,
	u32 avoids, bool *took_free)
{
	u64 last = 0;

	*took_free = false;
	for (u32 i = 0; i < map->count && i < MEMMAP_MAX; i++) {
		const struct mem_range *r = &map->range[i];
		u64 from = max_u64(r->pa, LOW_MEMORY_END);
		u64 end = r->pa + r->bytes;
		u64 pa;

		if (r->type != MEM_RAM)
			continue;
		if (r->touched == TOUCHED_FIRMWARE) {
			pa = place_low(from, end, bytes, avoid, avoids);
			if (pa)
				return pa;
		} else {
			last = max_u64(last, place_high(from, end, bytes, avoid, avoids));
		}
	}
	*took_free = last != 0;
	return last;
}
