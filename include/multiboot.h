/*
 * What a Multiboot loader tells the program it starts: Multiboot 1 (0.6.96 s3.3) and Multiboot 2
 * (2.0 s3.6). Bytes in, facts out. No addresses are followed: where the information names some,
 * the caller copies what is there and asks again.
 */
#ifndef AFTERIMAGE_MULTIBOOT_H
#define AFTERIMAGE_MULTIBOOT_H

#include "efiboot.h"
#include "framebuffer.h"
#include "memmap.h"
#include "types.h"

#define MULTIBOOT1_LOADED     0x2badb002u /* eax */
#define MULTIBOOT2_LOADED     0x36d76289u
#define MULTIBOOT1_BYTES      120u
#define MULTIBOOT1_MODULE     16u
#define MULTIBOOT2_HEAD_BYTES 8u
#define MULTIBOOT_MAX_BYTES   (64u * KIB) /* of the information, or of a table that it names */
#define MULTIBOOT_RSDP_BYTES  36u

struct multiboot {
	u64 low_end;		   /* where low memory ends; 0: not told */
	const char *cmdline;	   /* inside the information, ends in NUL; NULL: none */
	const char *loader;	   /* likewise: its name */
	bool has_map;		   /* there is a memory map, if only an empty one */
	bool is_efi;		   /* it is EFI firmware's */
	bool text_mode;		   /* the screen is in VGA text mode, 80x25 */
	struct framebuffer screen; /* bytes 0: none, or none that can be drawn on */
	u32 rsdp_bytes;		   /* 0: none */
	u8 rsdp[MULTIBOOT_RSDP_BYTES];
	/* Multiboot 1 only; 0: none */
	u32 cmdline_pa;
	u32 loader_pa;
	u32 map_pa;
	u32 map_bytes;
	u32 modules_pa;
	u32 modules; /* of MULTIBOOT1_MODULE bytes each */
};

/* Multiboot 1: all but cmdline, loader and the map itself. */
void multiboot1_read(const u8 info[MULTIBOOT1_BYTES], struct multiboot *out);

/* The table at map_pa; false if there is nothing in it. A damaged rest is ignored. */
bool multiboot1_memmap(const u8 *table, u32 bytes, struct memmap *map) MUST_CHECK;

/* Modules and their command lines are the loader's; after the map is known. */
void multiboot1_modules(const u8 *table, u32 count, struct memmap *map);

/*
 * Multiboot 2: everything, from the first @bytes of the information. Tags count up to the first
 * one that can not be. With firmware's own memory map the other one is not looked at.
 */
void multiboot2_read(const u8 *info, u32 bytes, struct multiboot *out, struct memmap *map);

/*
 * Marks what the loader had: GRUB, by its name, when BIOS firmware started it. Its own memory is
 * not in the map that it gives.
 */
void multiboot_loader(const struct multiboot *m, struct memmap *map);

/* What the arena needs: @want bytes, or at @least so many; the rest is as in struct multiboot. */
struct multiboot_need {
	u64 want;
	u64 least;
	u64 low_end;
	struct efiboot_range own; /* the image, which lies there already */
};

/*
 * A place for the arena, whole pages: @want in low memory or in what firmware has used, or else
 * @least there, low memory first; or else @least of other RAM, and *@took_free is set. If there is
 * no such place what low memory has, perhaps nothing.
 */
struct efiboot_range multiboot_arena(
	const struct memmap *map, const struct multiboot_need *need, bool *took_free) MUST_CHECK;

#endif
