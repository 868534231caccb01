/*
 * A log in memory as a source for the reader, with failures to order, and one
 * standard dump. Shared by the tests of the reader and of the file formats.
 */
#ifndef AFTERIMAGE_READER_HELP_H
#define AFTERIMAGE_READER_HELP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"
#include "reader.h"
#include "tests/model/logmaker.h"
#include "tools/getdump/source.h"

struct help_source {
	const u8 *disk;
	u64 bytes;
	u64 reads;
	u64 fail_read; /* number of the read that fails; 0: none */
	u64 allocs;
	u64 fail_alloc;
	u64 held; /* allocations not yet freed */
};

static inline enum status help_read(void *ctx, u64 offset, void *buf, u64 bytes)
{
	struct help_source *s = ctx;

	if (++s->reads == s->fail_read)
		return E_READ;
	if (!range_fits(offset, bytes, s->bytes))
		abort();
	memcpy(buf, s->disk + offset, bytes);
	return OK;
}

static inline void *help_resize(void *ctx, void *old, u64 bytes)
{
	struct help_source *s = ctx;

	if (bytes && ++s->allocs == s->fail_alloc)
		return NULL;
	s->held += bytes && !old ? 1 : 0;
	s->held -= !bytes && old ? 1 : 0;
	return source_resize(NULL, old, bytes);
}

static const struct reader_ops help_ops = {
	.read = help_read,
	.resize = help_resize,
	.unpack = source_unpack,
};

/* Contents that tell pages apart and pack a little. */
static inline void help_page(u64 pfn, u8 *page)
{
	for (u32 i = 0; i < PAGE_BYTES; i++)
		page[i] = (u8)(i < 64 ? pfn * 31 + i * 7 : pfn >> (i % 3));
	memcpy(page, &pfn, sizeof(pfn));
}

static inline void help_pages(struct logmaker *m, u64 pfn, u32 count, u32 method)
{
	static u8 buf[DL_GROUP_PAGES * PAGE_BYTES];

	for (u32 i = 0; i < count; i++)
		help_page(pfn + i, buf + i * PAGE_BYTES);
	logmaker_pages(m, pfn, count, method, buf);
}

#define HELP_RAM_PAGES 512

/*
 * A dump of 512 pages of RAM with a hole at 160-255:
 * 0-15 kept lzf, 16-31 zlib, 32-47 zstd, 48-63 raw, 64-127 zero, 128-159 free,
 * 256-263 kept in an order that is not ascending, 264-511 user.
 */
static inline void help_dump(struct logmaker *m, u32 number, u32 level)
{
	static const char text[] = "OSRELEASE=6.1.0-test\nPAGESIZE=4096\n"
				   "SYMBOL(_stext)=ffffffff80010000\n"
				   "NUMBER(phys_base)=0\n";
	static const char uts[6][65] = {
		"Linux", "crashhost", "6.1.0-test", "#1 SMP", "x86_64", "(none)"};
	const struct mem_range ram[] = {
		{.pa = 0, .bytes = 160 * PAGE_BYTES, .type = MEM_RAM},
		{.pa = 160 * PAGE_BYTES, .bytes = 96 * PAGE_BYTES, .type = MEM_RESERVED},
		{.pa = 256 * PAGE_BYTES, .bytes = 256 * PAGE_BYTES, .type = MEM_RAM},
	};
	const struct dl_kernel kernel = {.page_offset = 0xffff888000000000ull, .levels = 4};
	const u64 classes[] = {dl_run(0, 64, DL_KEPT), dl_run(64, 64, DL_ZERO),
		dl_run(128, 32, DL_FREE), dl_run(160, 96, DL_NOT_RAM), dl_run(256, 8, DL_KEPT),
		dl_run(264, 248, DL_USER)};

	logmaker_begin(m, number, level);
	logmaker_note(m, DL_NOTE_KERNEL, &kernel, sizeof(kernel));
	logmaker_note(m, DL_NOTE_VMCOREINFO, text, sizeof(text) - 1);
	logmaker_note(m, DL_NOTE_UTSNAME, uts, sizeof(uts));
	logmaker_note(m, DL_NOTE_MEMMAP, ram, sizeof(ram));
	logmaker_classes(m, classes, ARRAY_SIZE(classes));
	help_pages(m, 0, 16, DL_COMP_LZF);
	help_pages(m, 16, 16, DL_COMP_ZLIB);
	logmaker_index(m);
	help_pages(m, 260, 4, DL_COMP_LZF);
	help_pages(m, 32, 16, DL_COMP_ZSTD);
	help_pages(m, 48, 16, DL_COMP_NONE);
	help_pages(m, 256, 4, DL_COMP_LZF);
	logmaker_index(m);
	logmaker_end(m, OK);
}

/* Is the page one of those with contents in the standard dump? */
static inline bool help_has(u64 pfn)
{
	return pfn < 64 || (pfn >= 256 && pfn < 264);
}

#define BLOCKS_512  40000
#define BLOCKS_4096 5000

/* What every test uses; made by setup. */
static struct logmaker maker;
static struct help_source source;
static struct reader reader;
static struct reader_map map;
static struct reader_pages pages;

static inline void make(u32 block_bytes)
{
	logmaker_init(&maker, block_bytes, block_bytes == 512 ? BLOCKS_512 : BLOCKS_4096, 8);
	memset(&source, 0, sizeof(source));
	source.disk = maker.disk;
	source.bytes = maker.bytes;
}

static inline enum status open_log(void)
{
	return reader_open(&reader, &help_ops, &source, source.bytes);
}

/* One standard dump of level 24 (without user and free pages) in a partition of 512 byte blocks. */
static inline int setup(void **state)
{
	(void)state;
	make(512);
	help_dump(&maker, 1, 24);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	logmaker_free(&maker);
	return source.held == 0 ? 0 : -1;
}

static inline void check_contents(bool all)
{
	u8 want[PAGE_BYTES];
	u8 got[PAGE_BYTES];

	assert_int_equal(reader_pages_open(&pages, &map), OK);
	for (u64 pfn = 0; pfn < HELP_RAM_PAGES + 8; pfn++) {
		enum status st = reader_pages_get(&pages, pfn, got);

		memset(want, 0, sizeof(want));
		if (help_has(pfn))
			help_page(pfn, want);
		if (st == OK)
			assert_memory_equal(got, want, PAGE_BYTES);
		if (all)
			assert_int_equal(
				st, help_has(pfn) || (pfn >= 64 && pfn < 128) ? OK : E_ABSENT);
	}
	reader_pages_close(&pages);
}

static inline enum status load(u32 number)
{
	const struct reader_dump *dump = reader_find(&reader, number);

	assert_non_null(dump);
	assert_int_equal(reader_map_load(&map, &reader, dump), OK);
	return map.verdict;
}

static inline enum status verdict(void)
{
	enum status st;

	assert_int_equal(open_log(), OK);
	st = load(1);
	check_contents(false);
	reader_map_free(&map);
	reader_close(&reader);
	return st;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
