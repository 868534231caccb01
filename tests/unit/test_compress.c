/*
 * The compressors: what they pack unpacks, room is respected, state comes from the
 * arena only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include "compress.h"
#include "dumplog.h"

unsigned int lzf_decompress(const void *in, unsigned int in_bytes, void *out, unsigned int room);

#define MAX_BYTES (16u * PAGE_BYTES)

static u8 memory[COMPRESS_MAX_STATE_BYTES + 64];
static struct arena arena;
static struct compressor comp;

static int setup(void **state)
{
	(void)state;
	arena = (struct arena) {.va = memory, .pa = 0x100000, .bytes = sizeof(memory)};
	return 0;
}

static u32 unpack(u32 method, const u8 *in, u32 bytes, u8 *out)
{
	uLongf n = MAX_BYTES;

	if (method == DL_COMP_LZF)
		return lzf_decompress(in, bytes, out, MAX_BYTES);
	assert_int_equal(uncompress(out, &n, in, bytes), Z_OK);
	return (u32)n;
}

/* Exactly sized copies, so that the sanitizer sees a byte too far. */
static u32 pack_and_compare(const u8 *data, u32 bytes, u32 room)
{
	u8 *in = malloc(bytes);
	u8 *out = malloc(room);
	u8 *back = malloc(MAX_BYTES);
	u32 n;

	assert_true(in && out && back);
	memcpy(in, data, bytes);
	n = compress_pack(&comp, in, bytes, out, room);
	assert_true(n <= room);
	if (n > 0) {
		assert_int_equal(unpack(comp.method, out, n, back), bytes);
		assert_memory_equal(back, data, bytes);
	}
	free(in);
	free(out);
	free(back);
	return n;
}

static void fill(u8 *data, u32 bytes, u32 period, bool noise)
{
	u32 x = 12345 + period;

	for (u32 i = 0; i < bytes; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (u8)(noise ? x >> 24 : i % period);
	}
}

static void try_method(u32 method)
{
	static u8 data[MAX_BYTES];

	assert_int_equal(compress_init(&comp, method, &arena), OK);
	for (u32 pages = 1; pages <= 16; pages++) {
		u32 bytes = pages * PAGE_BYTES;
		u32 n;

		fill(data, bytes, 61 + pages, false);
		n = pack_and_compare(data, bytes, bytes / 8 * 7);
		assert_in_range(n, 1, bytes / 4);
		/* One byte less than it needs: refused or still right. */
		assert_true(pack_and_compare(data, bytes, n - 1) < n);
		fill(data, bytes, 7, true);
		assert_int_equal(pack_and_compare(data, bytes, bytes / 8 * 7), 0);
		/* What went before, a refusal included, leaves nothing behind. */
		fill(data, bytes, 61 + pages, false);
		assert_in_range(pack_and_compare(data, bytes, bytes), 1, bytes / 4);
	}
	for (u32 room = 0; room < 200; room++)
		(void)pack_and_compare(data, PAGE_BYTES, room);
	for (u32 bytes = 0; bytes < 70; bytes++)
		(void)pack_and_compare(data, bytes, 2 * bytes);
}

static void test_lzf(void **state)
{
	(void)state;
	try_method(DL_COMP_LZF);
	assert_int_equal(arena.used, COMPRESS_LZF_STATE_BYTES);
}

static void test_zlib(void **state)
{
	u64 used;

	(void)state;
	assert_int_equal(compress_init(&comp, DL_COMP_ZLIB, &arena), OK);
	used = arena.used;
	assert_in_range(used, 1, COMPRESS_ZLIB_STATE_BYTES);
	arena.used = 0;
	try_method(DL_COMP_ZLIB);
	assert_int_equal(arena.used, used);
}

static void test_none_packs_nothing(void **state)
{
	static const u8 data[PAGE_BYTES];
	u8 out[256];

	(void)state;
	assert_int_equal(compress_init(&comp, DL_COMP_NONE, &arena), OK);
	assert_int_equal(arena.used, 0);
	assert_int_equal(compress_pack(&comp, data, sizeof(data), out, sizeof(out)), 0);
}

static void test_unknown_methods(void **state)
{
	(void)state;
	assert_int_equal(compress_init(&comp, DL_COMP_ZSTD, &arena), E_METHOD);
	assert_int_equal(compress_init(&comp, 99, &arena), E_METHOD);
}

static void test_too_little_memory(void **state)
{
	(void)state;
	arena.bytes = COMPRESS_LZF_STATE_BYTES - 1;
	assert_int_equal(compress_init(&comp, DL_COMP_LZF, &arena), E_NO_MEMORY);
	for (u64 bytes = 0; bytes < 64 * KIB; bytes += 1000) {
		arena.bytes = bytes;
		arena.used = 0;
		assert_int_equal(compress_init(&comp, DL_COMP_ZLIB, &arena), E_NO_MEMORY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lzf, setup),
		cmocka_unit_test_setup(test_zlib, setup),
		cmocka_unit_test_setup(test_none_packs_nothing, setup),
		cmocka_unit_test_setup(test_unknown_methods, setup),
		cmocka_unit_test_setup(test_too_little_memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
