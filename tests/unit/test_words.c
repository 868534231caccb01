/*
 * The console's lines about pages, and where the bar stands with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "boot/words.h"
#include "tests/host/ports_mem.h"

#define NO_BAR 1001u

static struct capture c;

static int setup(void **state)
{
	(void)state;
	host_reset_all();
	memset(&c, 0, sizeof(c));
	return 0;
}

static void check_progress(u64 done, u64 total, u32 bar)
{
	const struct capture_progress p = {
		.done_pages = done,
		.total_pages = total,
		.looked_pages = done,
		.elapsed_us = 1000000,
		.left_us = 3000000,
	};

	words_progress(&p);
	assert_int_equal(host_bar(), bar);
}

static void test_progress(void **state)
{
	(void)state;
	check_progress(256 * 10, 256 * 40, 250);
	assert_string_equal(host_console(), "afterimage: 10 MiB of 40, 10 MiB/s, 3 s left\n");
	check_progress(0, 1, 0);
	check_progress(1, 3, 333);
	check_progress(999999, 1000000, 999);
	check_progress(7, 7, 1000);
	check_progress(1ull << 40, 1ull << 41, 500);
	check_progress(8, 7, 1000); /* never more than all */
	check_progress(0, 0, 0);
}

static void test_end(void **state)
{
	(void)state;
	words_left_out(&c);
	assert_int_equal(host_bar(), 1000);
	words_incomplete(0);
	assert_int_equal(host_bar(), NO_BAR);
	words_left_out(&c);
	words_incomplete(1u << DL_USER);
	assert_int_equal(host_bar(), NO_BAR);
	assert_non_null(strstr(host_console(), "not all pages were written of these: user"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_progress, setup),
		cmocka_unit_test_setup(test_end, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
