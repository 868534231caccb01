/*
 * CRC32C: published values (RFC 3720 B.4), a bit-by-bit reference, continuation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"

static int setup(void **state)
{
	(void)state;
	crc32c_init();
	return 0;
}

static void test_published(void **state)
{
	u8 data[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(data, 0, sizeof(data));
	assert_int_equal(crc32c(0, data, sizeof(data)), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	assert_int_equal(crc32c(0, data, sizeof(data)), 0x62a8ab43);
	for (u8 i = 0; i < 32; i++)
		data[i] = i;
	assert_int_equal(crc32c(0, data, sizeof(data)), 0x46dd794e);
	assert_int_equal(crc32c(0, data, 0), 0);
}

static u32 reference(const u8 *p, u32 n)
{
	u32 crc = 0xffffffff;

	for (u32 i = 0; i < n; i++) {
		crc ^= p[i];
		for (u32 bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

static void test_lengths_and_alignments(void **state)
{
	u8 data[80];

	(void)state;
	for (u8 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 37 + 11);
	for (u32 from = 0; from < 9; from++) {
		for (u32 n = 0; n <= 64; n++)
			assert_int_equal(crc32c(0, data + from, n), reference(data + from, n));
	}
}

static void test_continued(void **state)
{
	u8 data[64];

	(void)state;
	for (u8 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 91);
	for (u32 cut = 0; cut <= sizeof(data); cut++) {
		u32 crc = crc32c(crc32c(0, data, cut), data + cut, sizeof(data) - cut);

		assert_int_equal(crc, reference(data, sizeof(data)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_lengths_and_alignments),
		cmocka_unit_test(test_continued),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
