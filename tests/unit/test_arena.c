/*
 * Arena: alignment of physical addresses, zeroing, exhaustion without overflow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "arena.h"

static u8 memory[256];

static struct arena make_arena(u64 pa)
{
	memset(memory, 0xee, sizeof(memory));
	return (struct arena) {.va = memory, .pa = pa, .bytes = sizeof(memory)};
}

static void test_alignment_is_physical(void **state)
{
	struct arena a = make_arena(0x1008);
	u8 *p = arena_alloc(&a, 3, 1);
	u8 *q = arena_alloc(&a, 8, 16);

	(void)state;
	assert_ptr_equal(p, memory);
	assert_int_equal(arena_pa(&a, p), 0x1008);
	assert_int_equal(arena_pa(&a, q), 0x1010);
	assert_ptr_equal(q, memory + 8);
	assert_int_equal(a.used, 16);
}

static void test_zeroed(void **state)
{
	struct arena a = make_arena(0);
	u8 *p = arena_alloc(&a, 5, 1);

	(void)state;
	assert_memory_equal(p, "\0\0\0\0\0\xee", 6);
}

static void test_exhaustion(void **state)
{
	struct arena a = make_arena(0);

	(void)state;
	assert_null(arena_alloc(&a, 257, 1));
	assert_null(arena_alloc(&a, UINT64_MAX, 8));
	assert_non_null(arena_alloc(&a, 250, 1));
	assert_null(arena_alloc(&a, 1, 64));
	assert_null(arena_alloc(&a, 7, 1));
	assert_int_equal(a.used, 250);
	assert_non_null(arena_alloc(&a, 6, 1));
	assert_null(arena_alloc(&a, 1, 1));
	assert_non_null(arena_alloc(&a, 0, 1));
	assert_int_equal(a.used, 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment_is_physical),
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_exhaustion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
