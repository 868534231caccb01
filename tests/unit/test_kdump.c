/*
 * The KDUMP writer, read back byte by byte from the format's description: bitmaps of
 * several blocks, more descriptors and data than one batch, missing pages.
 */
#include "tests/unit/extract_help.h"
#include <zlib.h>

static u64 bitmap_at;
static u64 bitmap_bytes; /* of one */

static void check_header(u32 status)
{
	assert_memory_equal(file, "KDUMP   ", 8);
	assert_int_equal(file_u32(8), 6);
	assert_string_equal((const char *)file + 12, "Linux");
	assert_string_equal((const char *)file + 12 + 65, "crashhost");
	assert_string_equal((const char *)file + 12 + 4 * 65, "x86_64");
	assert_int_equal(file_u64(408), 1750000001);
	assert_int_equal(file_u32(424), status);
	assert_int_equal(file_u32(428), 4096);
	assert_int_equal(file_u32(440), BIG_END);
	assert_int_equal(file_u32(460), 1);
	assert_int_equal((s64)file_u64(4096), -2097152);
	assert_int_equal(file_u32(4096 + 8), 31);
	assert_int_equal(file_u64(4096 + 96), BIG_END);
	assert_memory_equal(file + file_u64(4096 + 32), "SYMBOL(_stext)", 14);
	bitmap_at = (1 + file_u32(432)) * 4096ull;
	bitmap_bytes = file_u32(436) / 2 * 4096ull;
	assert_int_equal(bitmap_bytes, 5 * 4096);
}

static bool bit(u64 at, u64 pfn)
{
	return file[at + pfn / 8] >> pfn % 8 & 1;
}

/* Zero pages share one page; a missing page's descriptor is empty. */
static void check_page(u64 desc, u64 pfn, u64 *zero_at)
{
	u8 want[PAGE_BYTES] = {0};
	u8 got[PAGE_BYTES];
	uLongf bytes = sizeof(got);
	u64 at = file_u64(desc);
	u32 size = file_u32(desc + 8);

	if (!big_kept(pfn) && !big_zero(pfn)) {
		assert_int_equal(at, 0);
		assert_int_equal(size, 0);
		return;
	}
	assert_true(range_fits(at, size, file_bytes));
	if (big_zero(pfn)) {
		*zero_at = *zero_at ? *zero_at : at;
		assert_int_equal(at, *zero_at);
	} else {
		help_page(pfn, want);
	}
	if (file_u32(desc + 12) == 0) {
		assert_int_equal(size, PAGE_BYTES);
		memcpy(got, file + at, PAGE_BYTES);
	} else {
		assert_int_equal(file_u32(desc + 12), 1);
		assert_int_equal(uncompress(got, &bytes, file + at, size), Z_OK);
		assert_int_equal(bytes, PAGE_BYTES);
	}
	assert_memory_equal(got, want, PAGE_BYTES);
}

static void check_pages(void)
{
	u64 desc = bitmap_at + 2 * bitmap_bytes;
	u64 zero_at = 0;

	for (u64 pfn = 0; pfn < bitmap_bytes * 8; pfn++) {
		bool free = pfn >= BIG_ZERO_END && pfn < BIG_FREE_END;

		assert_int_equal(bit(bitmap_at, pfn), big_ram(pfn));
		assert_int_equal(bit(bitmap_at + bitmap_bytes, pfn), big_ram(pfn) && !free);
		if (!big_ram(pfn) || free)
			continue;
		check_page(desc, pfn, &zero_at);
		desc += 24;
	}
	assert_true(zero_at >= desc);
}

static void raw_pages_are_read_back(void **state)
{
	(void)state;
	big_extract(kdump_write, PACK_NONE);
	check_header(8);
	check_pages();
}

static void packed_pages_are_read_back(void **state)
{
	(void)state;
	big_extract(kdump_write, PACK_ZLIB);
	check_header(8 | 1);
	check_pages();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(raw_pages_are_read_back, big_close),
		cmocka_unit_test_teardown(packed_pages_are_read_back, big_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
