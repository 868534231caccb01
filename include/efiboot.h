/*
 * What the UEFI application and the image that it carries tell each other, and the pure parts
 * of the application: firmware's memory map (UEFI 2.10 s7.2.3) and where the image may go.
 */
#ifndef AFTERIMAGE_EFIBOOT_H
#define AFTERIMAGE_EFIBOOT_H

#include "framebuffer.h"
#include "memmap.h"
#include "types.h"

#define EFIBOOT_MAGIC	       0x49464541u /* "AEFI" */
#define EFIBOOT_SETTINGS_BYTES 2048u	   /* as LINUXBOOT_CMDLINE_MAX, NUL included */

/* The application's to the image: all of it is copied before anything is written to. */
struct efiboot {
	u32 magic;
	u32 const_crc32c; /* of the image's constant bytes as the application has them */
	u64 rsdp_pa;	  /* 0: firmware named none */
	bool has_settings;
	bool took_free; /* no memory that firmware used was large enough */
	bool not_left;	/* firmware refused to end its services */
	bool automatic; /* what handoff.h says of them */
	bool has_level;
	u32 level;
	u64 vmcoreinfo_pa;
	bool next_set; /* firmware will boot this disk once more, for a survey */
	u8 boot_part_guid[16];
	struct framebuffer screen;
	char settings[EFIBOOT_SETTINGS_BYTES];
	struct memmap map;
};

/* The image's to the application, at its first byte (boot/efi.S). */
struct efiboot_image {
	u32 magic;
	u32 entry_bytes;  /* from the image's start; %rdi: struct efiboot, %rsi: image, physical */
	u32 file_bytes;	  /* to be copied */
	u32 const_bytes;  /* of them, those never written to */
	u32 memory_bytes; /* what it needs, contiguous, page aligned */
	u32 zero;
	u64 va; /* where it is linked for: a multiple of 2 MiB, at most 2 MiB are used */
};
ASSERT_SIZE(struct efiboot_image, 32);

#define EFIBOOT_DESCRIPTOR_BYTES 40u /* version 1; firmware's may be longer */

/*
 * Adds the @bytes at @map, descriptors of @step bytes each, to @out: what is RAM for Linux
 * becomes RAM, touched by firmware where a boot service or a loaded image had it. False if
 * @step can not be; a rest shorter than a descriptor is ignored.
 */
bool efiboot_memmap(const void *map, u64 bytes, u64 step, struct memmap *out) MUST_CHECK;

struct efiboot_range {
	u64 pa;
	u64 bytes;
};

/*
 * A place for @bytes in RAM above 1 MiB, page aligned, away from all @avoid ranges: in memory
 * that firmware has used, the lowest that fits; if there is none, at the end of other RAM and
 * *@took_free is set. 0 if there is none at all.
 */
u64 efiboot_place(const struct memmap *map, u64 bytes, const struct efiboot_range *avoid,
	u32 avoids, bool *took_free) MUST_CHECK;

#endif
