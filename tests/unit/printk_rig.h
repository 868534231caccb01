/*
 * A piece of RAM with page tables, and vmcoreinfo written line by line: what the tests of
 * the old kernel's log have in common. VA is where all of it is mapped, in 4 KiB pages.
 */
#ifndef AFTERIMAGE_PRINTK_RIG_H
#define AFTERIMAGE_PRINTK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "printk.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES (2u * MIB)
#define T4	  0x1000u
#define T3	  0x2000u
#define T2	  0x3000u
#define T1	  0x4000u
#define VARS	  0x5000u /* variables of the old kernel */
#define BUFFER	  0x40000u
#define VA	  0xffff888000000000ull

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct pagetable pt;
static struct vmcoreinfo vi;
static struct printk p;
static struct printk_record r;

static inline void put(u64 at, const void *data, u64 bytes)
{
	assert_true(range_fits(at, bytes, RAM_BYTES));
	memcpy(image + at, data, bytes);
}

static inline void put_u64(u64 at, u64 v)
{
	put(at, &v, sizeof(v));
}

static inline void put_u32(u64 at, u32 v)
{
	put(at, &v, sizeof(v));
}

static inline void put_u16(u64 at, u32 v)
{
	u16 half = (u16)v;

	put(at, &half, sizeof(half));
}

/* From now on the page at @at is not mapped, or mapped again. */
static inline void page_present(u64 at, bool present)
{
	put_u64(T1 + (at >> PAGE_SHIFT) * 8, (at & ~0xfffull) | (present ? 3 : 0));
}

static inline void key(const char *name, s64 value)
{
	vi.bytes += (u32)snprintf(vi.text + vi.bytes, sizeof(vi.text) - vi.bytes, "%s=%lld\n", name,
		(long long)value);
}

static inline void symbol(const char *name, u64 at)
{
	vi.bytes += (u32)snprintf(vi.text + vi.bytes, sizeof(vi.text) - vi.bytes,
		"SYMBOL(%s)=%llx\n", name, (unsigned long long)(VA + at));
}

/* Without its @i-th line; false if there are fewer. */
static inline bool drop_line(u32 i)
{
	char *from = vi.text;
	char *end;

	for (; i > 0 && from; i--)
		from = strchr(from, '\n') ? strchr(from, '\n') + 1 : NULL;
	end = from ? strchr(from, '\n') : NULL;
	if (!end)
		return false;
	memmove(from, end + 1, strlen(end + 1) + 1);
	vi.bytes = (u32)strlen(vi.text);
	return true;
}

static inline int rig_setup(void **state)
{
	(void)state;
	image = calloc(1, RAM_BYTES);
	if (!image)
		return -1;
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	physmem_init(&pm, &map);
	pt = (struct pagetable) {.root_pa = T4, .levels = 4};
	put_u64(T4 + 273 * 8, T3 | 3);
	put_u64(T3, T2 | 3);
	put_u64(T2, T1 | 3);
	for (u64 at = 0; at < RAM_BYTES; at += PAGE_BYTES)
		page_present(at, true);
	memset(&vi, 0, sizeof(vi));
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	host_reset_all();
	free(image);
	return 0;
}

static inline enum status open_log(void)
{
	memset(&p, 0xee, sizeof(p));
	return printk_open(&p, &pm, &pt, &vi);
}

/* A different text of a different length for each @i. */
static inline const char *message(u32 i)
{
	static char text[64];

	snprintf(text, sizeof(text), "message %u %.*s", i, (int)(i * 7 % 23),
		"abcdefghijklmnopqrstuvw");
	return text;
}

static inline void expect_text(const char *text)
{
	assert_int_equal(r.bytes, strlen(text));
	assert_memory_equal(r.text, text, r.bytes);
}

static inline void expect_next(const char *text)
{
	memset(&r, 0xee, sizeof(r));
	assert_true(printk_next(&p, &r));
	expect_text(text);
}

static inline void expect_end(u64 lost, u64 unreadable)
{
	assert_false(printk_next(&p, &r));
	assert_false(printk_next(&p, &r));
	assert_int_equal(p.lost, lost);
	assert_int_equal(p.unreadable, unreadable);
}

#endif
