/*
 * From the ranges that a reset destroys to the words that keep Linux off them. Arithmetic and
 * text; no I/O.
 */
#ifndef AFTERIMAGE_RESERVE_H
#define AFTERIMAGE_RESERVE_H

#include "survey.h"

/* Linux uses no memory below, from version 5.13 on (reserve_real_mode()). */
#define RESERVE_FROM_PA MIB

#define RESERVE_STEP_BYTES  MIB		/* of starts and sizes */
#define RESERVE_GAP_BYTES   (4u * MIB)	/* regions closer than this become one */
#define RESERVE_EXTRA_BYTES (32u * MIB) /* what it may cost to get to RESERVE_FEW */

/*
 * So many regions Linux's choice of its own place heeds (MAX_MEMMAP_REGIONS in
 * arch/x86/boot/compressed/kaslr.c); with more in one word it gives up choosing.
 */
#define RESERVE_FEW 4u

/* Where Linux goes if it does not choose, and how far it may reach. */
#define RESERVE_KERNEL_PA    (16u * MIB)
#define RESERVE_KERNEL_BYTES (64u * MIB)

#define RESERVE_CMDLINE_BYTES 2048u  /* COMMAND_LINE_SIZE of x86, NUL included */
#define RESERVE_TEXT_BYTES    65536u /* any text of reserve_text() fits */
#define RESERVE_NOTES	      4

/* Before the address: to Linux, and in the double quotes of /etc/default/grub. */
#define RESERVE_PLAIN "$"
#define RESERVE_GRUB  "\\\\\\$"

struct reserve_region {
	u64 pa;
	u64 bytes;
};

struct reserve {
	u64 bytes;     /* what it costs */
	bool uefi;     /* firmware is, by the survey's door */
	u64 low_pages; /* lost, but below RESERVE_FROM_PA and not reserved */
	u32 count;
	struct reserve_region region[DL_SURVEY_RANGES]; /* ascending, apart */
};

/*
 * The regions to reserve for the checked record @s: every range above RESERVE_FROM_PA, whatever
 * the reason, rounded outwards to RESERVE_STEP_BYTES, but for what lies beyond the end of RAM;
 * those closer than RESERVE_GAP_BYTES joined, and more of them if that gets down to
 * RESERVE_FEW for RESERVE_EXTRA_BYTES.
 */
void reserve_make(const struct survey_record *s, struct reserve *r);

/*
 * `memmap=8M$0x1000000,...` with @dollar (RESERVE_PLAIN, RESERVE_GRUB) before the addresses;
 * empty if nothing is reserved. Returns @buf.
 */
const char *reserve_text(const struct reserve *r, const char *dollar, char buf[RESERVE_TEXT_BYTES]);

/* What to know about these regions and their @plain text, a sentence each. How many. */
u32 reserve_notes(const struct reserve *r, const char *plain, const char *note[RESERVE_NOTES]);

#endif
