/*
 * Read-only access to old memory. Bytes in, const pointers out; what is not RAM
 * by the memory map is never mapped.
 */
#ifndef AFTERIMAGE_PHYSMEM_H
#define AFTERIMAGE_PHYSMEM_H

#include "memmap.h"
#include "ports.h"
#include "status.h"

#define PHYS_WINDOW_BYTES (2u * MIB)

struct physmem {
	const struct memmap *map;
	u64 views; /* so far, to tell which slot was used longest ago */
	struct phys_slot {
		u64 pa;	   /* first mapped byte */
		u64 bytes; /* 0: slot unused */
		u64 last_view;
		const u8 *va;
	} slot[PHYS_WINDOW_SLOTS];
};

void physmem_init(struct physmem *pm, const struct memmap *map);

/*
 * A view of [pa, pa+len), which must not cross an aligned 2 MiB boundary, or NULL if
 * any of it is not RAM. Valid until PHYS_WINDOW_SLOTS - 1 other windows were viewed.
 */
const void *physmem_view(struct physmem *pm, u64 pa, u64 len);

/* Copies any [pa, pa+len) of RAM to @buf; E_NOT_RAM (nothing promised about @buf) otherwise. */
enum status physmem_read(struct physmem *pm, u64 pa, void *buf, u64 len) MUST_CHECK;

#endif
