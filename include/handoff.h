/*
 * What a front door tells the core. After this nobody knows how the image was
 * booted. Versioned and self-contained: no pointers.
 */
#ifndef AFTERIMAGE_HANDOFF_H
#define AFTERIMAGE_HANDOFF_H

#include "framebuffer.h"
#include "memmap.h"
#include "types.h"

#define HANDOFF_VERSION 2

enum door {
	DOOR_BIOS = 1,
	DOOR_UEFI = 2,
	DOOR_MULTIBOOT = 3,
	DOOR_LINUX = 4,
};

/* "bios", "uefi", "multiboot", "linux", or "unknown". */
const char *door_name(u32 door);

struct handoff {
	u32 version;
	u32 door;     /* enum door */
	u32 degraded; /* DL_DEGRADED_* that the door knows of */
	u32 level;    /* 0-31, if @has_level: chosen at the console instead of the disk's */
	u64 time_s;   /* UTC from the RTC, seconds since 1970; 0: unknown */
	struct memmap map;
	u64 arena_pa; /* the only RAM that may be written, by us or by a device */
	u64 arena_bytes;
	u64 rsdp_pa;	   /* 0: unknown, look where a BIOS puts it */
	u64 vmcoreinfo_pa; /* hint; 0: search */
	u64 elfcorehdr_pa; /* checked ELF header with the registers' notes; 0: none */
	bool has_level;
	bool automatic;	    /* a crash that was captured is known again: no need to fear loops */
	bool asked;	    /* the console was, and it is to be captured */
	bool boots_on;	    /* there is a way back to firmware, which boots the next option */
	u32 menu_seconds;   /* how long the console waits for a key; 0: not at all */
	u8 target_uuid[16]; /* superblock's disk UUID; all zero: any dump partition */
	/*
	 * GPT's unique GUID of the partition that firmware booted from; all zero: unknown. If no
	 * target is named, a dump partition on the same disk comes first.
	 */
	u8 boot_part_guid[16];
	struct framebuffer screen; /* bytes 0: none, or not told */
};

#endif
