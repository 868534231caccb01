/*
 * A bigger dump, extracted to a file in memory, for the tests of the file formats.
 */
#ifndef AFTERIMAGE_EXTRACT_HELP_H
#define AFTERIMAGE_EXTRACT_HELP_H

#include <unistd.h>
#include <sys/mman.h>
#include "tests/unit/reader_help.h"
#include "tools/getdump/extract.h"

/*
 * RAM 0-599 kept, 600-4999 zero, 5000-5099 free, 5100-5199 kept but not in the log;
 * 70000-135536 zero but for 100000-100015 kept: bitmap blocks 0, 2, 3 and 4.
 */
#define BIG_KEPT      600u
#define BIG_ZERO_END  5000u
#define BIG_FREE_END  5100u
#define BIG_LOST_END  5200u
#define BIG_HIGH      70000u
#define BIG_HIGH_KEPT 100000u
#define BIG_END	      135537u

static struct extract x;
static const u8 *file;
static u64 file_bytes;

static inline void big_dump(void)
{
	static const char text[] = "SYMBOL(_stext)=ffffffff80312345\nNUMBER(phys_base)=-2097152\n";
	const u64 classes[] = {dl_run(0, BIG_KEPT, DL_KEPT),
		dl_run(BIG_KEPT, BIG_ZERO_END - BIG_KEPT, DL_ZERO),
		dl_run(BIG_ZERO_END, 100, DL_FREE), dl_run(BIG_FREE_END, 100, DL_KEPT),
		dl_run(BIG_HIGH, 65536, DL_ZERO), dl_run(BIG_HIGH + 65536, 1, DL_ZERO)};

	make(4096);
	logmaker_begin(&maker, 1, 31);
	logmaker_note(&maker, DL_NOTE_VMCOREINFO, text, sizeof(text) - 1);
	logmaker_classes(&maker, classes, ARRAY_SIZE(classes));
	for (u32 pfn = 0; pfn < BIG_KEPT; pfn += 8)
		help_pages(&maker, pfn, 8, DL_COMP_NONE);
	help_pages(&maker, BIG_HIGH_KEPT, 16, DL_COMP_NONE);
	logmaker_end(&maker, OK);
}

static inline void big_extract(enum status (*write)(struct extract *x), enum pack_method method)
{
	void *p;
	off_t end;

	big_dump();
	assert_int_equal(open_log(), OK);
	memset(&x, 0, sizeof(x));
	x.h = &reader.dump[0].h;
	x.method = method;
	assert_int_equal(reader_map_load(&x.map, &reader, &reader.dump[0]), OK);
	assert_int_equal(facts_load(&x.facts, &x.map), OK);
	assert_int_equal(reader_pages_open(&x.pages, &x.map), OK);
	extract_set_level(&x, 0);
	x.sink.fd = memfd_create("dump", 0);
	assert_true(x.sink.fd >= 0);
	assert_int_equal(write(&x), OK);
	end = lseek(x.sink.fd, 0, SEEK_END);
	assert_true(end > 0);
	file_bytes = (u64)end;
	p = mmap(NULL, file_bytes, PROT_READ, MAP_PRIVATE, x.sink.fd, 0);
	assert_true(p != MAP_FAILED);
	file = p;
}

static inline int big_close(void **state)
{
	munmap((void *)(uintptr_t)file, file_bytes);
	close(x.sink.fd);
	reader_pages_close(&x.pages);
	facts_free(&x.facts);
	reader_map_free(&x.map);
	reader_close(&reader);
	return teardown(state);
}

static inline u64 file_u64(u64 at)
{
	u64 v;

	assert_true(range_fits(at, sizeof(v), file_bytes));
	memcpy(&v, file + at, sizeof(v));
	return v;
}

static inline u32 file_u32(u64 at)
{
	return (u32)(file_u64(at - 4) >> 32);
}

static inline bool big_kept(u64 pfn)
{
	return pfn < BIG_KEPT || (pfn >= BIG_HIGH_KEPT && pfn < BIG_HIGH_KEPT + 16);
}

static inline bool big_zero(u64 pfn)
{
	return !big_kept(pfn) && (pfn < BIG_ZERO_END || (pfn >= BIG_HIGH && pfn < BIG_END));
}

static inline bool big_ram(u64 pfn)
{
	return pfn < BIG_LOST_END || (pfn >= BIG_HIGH && pfn < BIG_END);
}

#endif
