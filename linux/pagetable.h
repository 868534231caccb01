/*
 * Private to linux/: how a page table of x86-64 looks (Intel SDM Vol. 3A s4.5).
 */
#ifndef AFTERIMAGE_LINUX_PAGETABLE_H
#define AFTERIMAGE_LINUX_PAGETABLE_H

#include "types.h"

#define PT_PRESENT    1ull
#define PT_LARGE      (1ull << 7) /* at the levels of 2 MiB and 1 GiB; else a memory type */
#define PT_ADDRESS    0x000ffffffffff000ull
#define PT_ENTRIES    512u
#define PT_LEVEL_BITS 9
#define PT_LEVEL_1GIB 3 /* the highest whose entries can map memory; 1 is that of 4 KiB */

/* Address bits below the table index of @level. */
static inline u32 pt_shift(u32 level)
{
	return PAGE_SHIFT + PT_LEVEL_BITS * (level - 1);
}

#endif
