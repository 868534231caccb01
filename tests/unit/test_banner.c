/*
 * The last trace of a kernel: its banner, wherever it may lie, and what only looks like one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "oldkernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES (8u * MIB)
#define BANNER	  "Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12"

static u8 *ram;
static struct memmap map;
static struct physmem pm;
static char release[UTS_FIELD];
static u64 pa;

static int setup(void **state)
{
	(void)state;
	ram = calloc(1, RAM_BYTES);
	host_reset_all();
	host_ram_set(ram, RAM_BYTES);
	host_windows_private(true);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	physmem_init(&pm, &map);
	return ram ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	host_reset_all();
	free(ram);
	return 0;
}

static bool find(void)
{
	physmem_init(&pm, &map);
	return oldkernel_banner(&pm, &pa, release);
}

static void put(u64 at, const char *text)
{
	memset(ram, 0, RAM_BYTES);
	memcpy(ram + at, text, strlen(text));
}

static void test_found_anywhere(void **state)
{
	const u64 places[] = {0, 16, PAGE_BYTES - 16, PAGE_BYTES, 2 * MIB - 96, 2 * MIB,
		5 * MIB + 12320, RAM_BYTES - 96};

	(void)state;
	assert_false(find());
	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		put(places[i], BANNER);
		assert_true(find());
		assert_int_equal(pa, places[i]);
		assert_string_equal(release, "6.1.0-56-cloud-amd64");
	}
}

static void test_the_first_counts(void **state)
{
	(void)state;
	put(3 * MIB, "Linux version 5.10.0+ (x");
	memcpy(ram + 4 * MIB, BANNER, strlen(BANNER));
	assert_true(find());
	assert_int_equal(pa, 3 * MIB);
	assert_string_equal(release, "5.10.0+");
}

static void test_others_are_none(void **state)
{
	static const char longer[] =
		"Linux version 6.1-longer-than-sixty-four-bytes-012345678901234567890123456789-x ";
	static const char *const texts[] = {
		"Linux version ",
		"Linux version (",
		"Linux version x6.1 ",
		"Linux version 6.1",
		"Linux version 6.1\n",
		"Linux version %s (%s)",
		"linux version 6.1 ",
		"Linux-version 6.1 ",
		longer,
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(texts); i++) {
		put(MIB, texts[i]);
		assert_false(find());
	}
	put(MIB + 8, BANNER); /* not where a compiler puts an array */
	assert_false(find());
	put(RAM_BYTES - 32, "Linux version 6.1.0-56-cloud-amd"); /* cut off by the end of memory */
	assert_false(find());
	put(RAM_BYTES - 16, "Linux version 6.");
	assert_false(find());
}

/* What firmware, a loader or the image itself has written to tells nothing. */
static void test_memory_that_others_had(void **state)
{
	(void)state;
	for (u32 who = TOUCHED_FIRMWARE; who <= TOUCHED_SURVEY; who++) {
		setup(NULL);
		put(MIB, BANNER);
		memmap_touch(&map, MIB, PAGE_BYTES, (enum mem_touched)who);
		assert_false(find());
		memcpy(ram + MIB + PAGE_BYTES, BANNER, strlen(BANNER));
		assert_true(find());
		assert_int_equal(pa, MIB + PAGE_BYTES);
		if (who != TOUCHED_SURVEY)
			teardown(NULL);
	}
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, RAM_BYTES, MEM_RESERVED);
	assert_false(find());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_first_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_are_none, setup, teardown),
		cmocka_unit_test_teardown(test_memory_that_others_had, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
