/*
 * A loader's information, built field by field. Shared by the tests of lib/multiboot.c.
 */
#ifndef AFTERIMAGE_MULTIBOOT_RIG_H
#define AFTERIMAGE_MULTIBOOT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "multiboot.h"

#define EFI_STEP 48u

static struct multiboot told;
static struct memmap map;
static u8 info[8192];
static u32 used;

static inline void put32(u8 *at, u32 value)
{
	memcpy(at, &value, sizeof(value));
}

static inline void put64(u8 *at, u64 value)
{
	memcpy(at, &value, sizeof(value));
}

static inline int setup(void **state)
{
	(void)state;
	memset(&told, 0x5a, sizeof(told));
	memset(&map, 0, sizeof(map));
	memset(info, 0, sizeof(info));
	used = 8;
	return 0;
}

/* A tag of @bytes; its body, zeros, to be filled. */
static inline u8 *tag(u32 type, u32 bytes)
{
	u8 *at = info + used;

	assert_true(used + 8 + bytes + 8 <= sizeof(info));
	put32(at, type);
	put32(at + 4, 8 + bytes);
	used = (used + 8 + bytes + 7) & ~7u;
	return at + 8;
}

static inline void tag_text_add(u32 type, const char *text)
{
	memcpy(tag(type, (u32)strlen(text) + 1), text, strlen(text) + 1);
}

static inline void entry(u8 *at, u64 pa, u64 bytes, u32 type)
{
	put64(at, pa);
	put64(at + 8, bytes);
	put32(at + 16, type);
}

/* A map with @count entries of @step bytes; the first entry. */
static inline u8 *tag_map(u32 step, u32 count)
{
	u8 *t = tag(6, 8 + step * count);

	put32(t, step);
	return t + 8;
}

static inline u8 *tag_efi(u32 step, u32 count)
{
	u8 *t = tag(17, 8 + step * count);

	put32(t, step);
	put32(t + 4, 1);
	return t + 8;
}

static inline void efi_entry(u8 *at, u32 type, u64 pa, u64 pages)
{
	put32(at, type);
	put64(at + 8, pa);
	put64(at + 24, pages);
}

/* The framebuffer's fields, which both kinds of information have; colours follow at @colours. */
static inline void screen(u8 *at, u8 *colours, u8 depth, u8 type)
{
	const u8 places[6] = {16, 8, 8, 7, 0, 6};

	put64(at, 0x2fd000000);
	put32(at + 8, 3328);
	put32(at + 12, 800);
	put32(at + 16, 600);
	at[20] = depth;
	at[21] = type;
	memcpy(colours, places, sizeof(places));
}

static inline void tag_screen(u8 depth, u8 type)
{
	u8 *t = tag(8, 30);

	screen(t, t + 24, depth, type);
}

static inline void finish(void)
{
	(void)tag(0, 0);
	put32(info, used);
}

static inline void read2(void)
{
	finish();
	multiboot2_read(info, used, &told, &map);
}

static inline void check(u64 pa, u32 type, u32 touched)
{
	const struct mem_range *r = memmap_find(&map, pa);

	assert_non_null(r);
	assert_int_equal(r->type, type);
	assert_int_equal(r->touched, touched);
}

#endif
