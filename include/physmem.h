/*
 * Read-only access to old memory. Bytes in, const pointers out; what is not RAM
 * by the memory map is never mapped. The image looks through windows; the tools, which
 * have a dump instead of memory, give a function that reads from it.
 */
#ifndef AFTERIMAGE_PHYSMEM_H
#define AFTERIMAGE_PHYSMEM_H

#include "memmap.h"
#include "ports.h"
#include "status.h"

#define PHYS_WINDOW_BYTES (2u * MIB)

struct physmem {
	const struct memmap *map; /* NULL if @read is set */
	/* Instead of windows, if not NULL; as physmem_read, E_ABSENT for what a dump has not. */
	enum status (*read)(void *ctx, u64 pa, void *buf, u64 len);
	void *ctx;
	u64 views; /* so far, to tell which slot was used longest ago */
	struct phys_slot {
		u64 pa;	   /* first mapped byte */
		u64 bytes; /* 0: slot unused */
		u64 last_view;
		const u8 *va;
	} slot[PHYS_WINDOW_SLOTS];
};

void physmem_init(struct physmem *pm, const struct memmap *map);

/* One that reads with @read; it has no views. */
void physmem_init_reader(
	struct physmem *pm, enum status (*read)(void *ctx, u64 pa, void *buf, u64 len), void *ctx);

/*
 * A view of [pa, pa+len), which must not cross an aligned 2 MiB boundary, or NULL if
 * any of it is not RAM. Valid until PHYS_WINDOW_SLOTS - 1 other windows were viewed.
 */
const void *physmem_view(struct physmem *pm, u64 pa, u64 len);

/*
 * A view of the page at @pa after each of its cache lines was read once, so that a memory
 * error shows now: NULL if it is not RAM or unreadable. Valid as physmem_view's.
 */
const void *physmem_page(struct physmem *pm, u64 pa);

/*
 * Copies any [pa, pa+len) of RAM to @buf. E_NOT_RAM, E_UNREADABLE (memory error) or what the
 * reader says; nothing is promised about @buf then.
 */
enum status physmem_read(struct physmem *pm, u64 pa, void *buf, u64 len) MUST_CHECK;

#endif
