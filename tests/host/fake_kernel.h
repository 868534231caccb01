/*
 * A made-up crashed kernel in a piece of RAM: page tables, names and both copies of
 * vmcoreinfo, placed as a real kernel has them.
 */
#ifndef AFTERIMAGE_FAKE_KERNEL_H
#define AFTERIMAGE_FAKE_KERNEL_H

#include "types.h"

#define FAKE_IMAGE_BYTES (2u * MIB)
#define FAKE_ROOT	 0x0u	  /* from image_pa: init_top_pgt */
#define FAKE_UTS	 0x10000u /* the names */
#define FAKE_PHYS_BASE	 0x11000u /* the variable of that name */
#define FAKE_LOG	 0x13000u /* pointer, length and end of its log, and behind them the log */
#define FAKE_TABLES	 0x20000u /* those of fake_kernel_map, up to the end of the image */
#define FAKE_RELEASE	 "6.1.0-50-cloud-amd64"

struct fake_kernel {
	u64 image_pa;	    /* of 2 MiB, aligned to 2 MiB: the kernel and all its tables */
	u64 image_va;	    /* where the kernel thinks it is, aligned to 2 MiB */
	u64 page_offset;    /* aligned to 1 GiB */
	u64 mem_section_pa; /* below 4 GiB */
	u32 levels;	    /* 4 or 5 */
	u64 sme_mask;	    /* set in every entry */
	u64 note_pa;	    /* 0: none */
	u64 text_pa;	    /* 0: none */
	const char *extra;  /* more lines; may be NULL */
	const char *log;    /* lines as Linux before 3.5 keeps them; NULL: none */
	u32 page_bytes;	    /* SIZE(page); 0: 64 */
	bool no_sections;   /* does not export mem_section */
};

/* A plain one with 4 levels, image at 4 MiB, note at 8 MiB and text page at 9 MiB. */
struct fake_kernel fake_kernel_default(void);

/* Writes it to the hosted RAM at the addresses it names. */
void fake_kernel_build(const struct fake_kernel *fk);

/*
 * Maps @va to @pa by one entry at @level, where a built kernel has none yet: 1 for 4 KiB, 2 for
 * 2 MiB, 3 for 1 GiB. New tables go to the image.
 */
void fake_kernel_map(const struct fake_kernel *fk, u64 va, u64 pa, u32 level);

/* Replaces the one @old in the page at @pa by @new, which is as long. Aborts if absent. */
void fake_kernel_edit(u64 pa, const char *old, const char *new);

/* The page table entry that translates @va at @level, in the hosted RAM, to be spoilt. */
u64 *fake_kernel_entry(const struct fake_kernel *fk, u64 va, u32 level);

#endif
