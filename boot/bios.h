/*
 * Between the files of the BIOS door.
 */
#ifndef AFTERIMAGE_BIOS_H
#define AFTERIMAGE_BIOS_H

#include "bootimage.h"
#include "handoff.h"

#define BIOS_TRIED_PA 0x1e00u

/* Left by the real-mode start; boot/bios.inc has the place. */
struct bios_found {
	u32 e820_count;
	u32 e820_cut; /* not 0: the BIOS knows more ranges */
	u16 base_kib; /* INT 12h */
	/*
	 * Of the disk we were booted from, 2: the survey's record is in the second page of the
	 * arena, 1 and 2: the start of the dump partition behind it. Neither is checked. The first
	 * page is for struct choose_disk.
	 */
	u16 disk_read;
};
ASSERT_SIZE(struct bios_found, 12);

/* The capture that was begun at an earlier start, at BIOS_TRIED_PA and behind the arena. */
struct bios_tried {
	u32 magic;
	u32 crc32c; /* of the id */
	u64 crash_id;
};
ASSERT_SIZE(struct bios_tried, 16);

/*
 * What to do with the memory of @h, by automatic mode and the console's menu if @settings want
 * them; returns if it is to be captured. Before any device was touched: the BIOS is used.
 */
void bios_choose(
	struct handoff *h, const struct boot_header *settings, const struct bios_found *found);

/* The next disk that boots, or what firmware does without one; halts if it comes back. */
void bios_boot_on(void);

#endif
