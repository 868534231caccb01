/*
 * CRC32 against published values and against zlib's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>
#include <cmocka.h>
#include "crc32.h"

static void test_published(void **state)
{
	(void)state;
	assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_ieee(0, "a", 1), 0xe8b7be43);
	assert_int_equal(crc32_ieee(0, "", 0), 0);
}

static void test_like_zlib(void **state)
{
	u8 data[512];

	(void)state;
	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 37 + (i >> 3) * 11 + 5);
	for (u32 n = 0; n <= sizeof(data); n++)
		assert_int_equal(crc32_ieee(0, data, n), crc32(0, data, n));
	for (u32 cut = 0; cut <= sizeof(data); cut++)
		assert_int_equal(
			crc32_ieee(crc32_ieee(0, data, cut), data + cut, sizeof(data) - cut),
			crc32(0, data, sizeof(data)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_like_zlib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
