/*
 * Windows on old memory: what may be viewed, how long a view lives, pieces of RAM with
 * a hole. Private windows make the sanitizer see a view that outlived its window.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "physmem.h"
#include "tests/host/ports_mem.h"

#define LOW_BYTES  (16u * MIB)
#define HIGH_PA	   (4 * GIB)
#define HIGH_BYTES (4u * MIB)

static u8 *low;
static u8 *high;
static struct memmap map;
static struct physmem pm;

static u8 byte_of(u64 pa)
{
	return (u8)(pa * 7 + (pa >> 12) * 13 + (pa >> 21));
}

static int setup(void **state)
{
	(void)state;
	low = malloc(LOW_BYTES);
	high = malloc(HIGH_BYTES);
	if (!low || !high)
		return -1;
	for (u64 i = 0; i < LOW_BYTES; i++)
		low[i] = byte_of(i);
	for (u64 i = 0; i < HIGH_BYTES; i++)
		high[i] = byte_of(HIGH_PA + i);
	host_reset_all();
	host_ram_set(low, LOW_BYTES);
	host_ram_add(HIGH_PA, high, HIGH_BYTES);
	host_windows_private(true);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, 0x9fc00, MEM_RAM);
	memmap_add(&map, MIB, LOW_BYTES - MIB, MEM_RAM);
	memmap_add(&map, HIGH_PA, HIGH_BYTES, MEM_RAM);
	memmap_add(&map, 0x500000, 0x1000, MEM_RESERVED);
	memmap_touch(&map, 0x700000, 0x1000, TOUCHED_OURS);
	physmem_init(&pm, &map);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_reset_all();
	free(low);
	free(high);
	return 0;
}

static void expect_view(u64 pa, u64 len)
{
	const u8 *v = physmem_view(&pm, pa, len);

	assert_non_null(v);
	assert_int_equal(v[0], byte_of(pa));
	assert_int_equal(v[len - 1], byte_of(pa + len - 1));
}

static void test_only_ram(void **state)
{
	(void)state;
	expect_view(0, 0x9f000);
	assert_null(physmem_view(&pm, 0, 0x9f001));
	assert_null(physmem_view(&pm, 0x9f000, 1));
	assert_null(physmem_view(&pm, 0xfffff, 2));
	expect_view(MIB, MIB);
	expect_view(0x4fffff, 1);
	assert_null(physmem_view(&pm, 0x4fffff, 2));
	assert_null(physmem_view(&pm, 0x500000, 1));
	assert_null(physmem_view(&pm, 0x500fff, 2));
	expect_view(0x501000, 1);
	assert_null(physmem_view(&pm, LOW_BYTES, 1));
	assert_null(physmem_view(&pm, 1ull << 60, 1));
	assert_null(physmem_view(&pm, UINT64_MAX, 1));
	expect_view(HIGH_PA, 4096);
	expect_view(HIGH_PA + HIGH_BYTES - 1, 1);
}

static void test_provenance_does_not_matter(void **state)
{
	(void)state;
	expect_view(0x6ff000, 0x3000);
	expect_view(0x600000, 2 * MIB);
	assert_int_equal(host_windows_opened(), 1);
}

static void test_length_and_boundary(void **state)
{
	(void)state;
	assert_null(physmem_view(&pm, 0x1000, 0));
	assert_null(physmem_view(&pm, 0x3fffff, 2));
	assert_null(physmem_view(&pm, 0x200000, 2 * MIB + 1));
	assert_null(physmem_view(&pm, 0x200000, UINT64_MAX));
	expect_view(0x200000, 2 * MIB);
	expect_view(0x3fffff, 1);
}

static void test_windows_are_reused(void **state)
{
	(void)state;
	for (u32 i = 0; i < 100; i++) {
		expect_view(0x200000 + i, 8);
		expect_view(0x600000 + i, 8);
		expect_view(0x800000 + i, 8);
		expect_view(HIGH_PA + i, 8);
	}
	assert_int_equal(host_windows_opened(), 4);
}

/* A view lives while fewer than three other windows were viewed, hits included. */
static void test_view_lives_as_promised(void **state)
{
	(void)state;
	for (u32 round = 0; round < 50; round++) {
		u64 pa = (u64)(1 + round % 7) * 2 * MIB;
		const u8 *v;

		if (pa == 0x400000)
			continue;
		v = physmem_view(&pm, pa, 16);
		assert_non_null(v);
		expect_view((pa + 2 * MIB) % LOW_BYTES | 0x180000, 8);
		expect_view((pa + 4 * MIB) % LOW_BYTES | 0x180000, 8);
		expect_view((pa + 2 * MIB) % LOW_BYTES | 0x180008, 8);
		assert_int_equal(v[3], byte_of(pa + 3));
	}
}

static void test_read(void **state)
{
	u64 len = 5 * MIB;
	u8 *buf = malloc(len);

	(void)state;
	assert_int_equal(physmem_read(&pm, 0x501003, buf, len), OK);
	for (u64 i = 0; i < len; i++)
		assert_true(buf[i] == byte_of(0x501003 + i));
	assert_int_equal(physmem_read(&pm, 0x4fff00, buf, 0x100), OK);
	assert_int_equal(physmem_read(&pm, 0x4fff00, buf, 0x101), E_NOT_RAM);
	assert_int_equal(physmem_read(&pm, LOW_BYTES - 8, buf, 8), OK);
	assert_int_equal(physmem_read(&pm, LOW_BYTES - 8, buf, 9), E_NOT_RAM);
	assert_int_equal(physmem_read(&pm, UINT64_MAX - 3, buf, 8), E_NOT_RAM);
	assert_int_equal(physmem_read(&pm, UINT64_MAX, buf, 1), E_NOT_RAM);
	assert_int_equal(physmem_read(&pm, 0x2000, buf, 0), OK);
	free(buf);
}

static void expect_page(u64 pa)
{
	const u8 *page = physmem_page(&pm, pa);

	assert_non_null(page);
	for (u32 i = 0; i < PAGE_BYTES; i++)
		assert_true(page[i] == byte_of(pa + i));
}

static void test_page_only_of_ram(void **state)
{
	(void)state;
	expect_page(0x3000);
	expect_page(0x700000);
	expect_page(HIGH_PA + HIGH_BYTES - PAGE_BYTES);
	assert_null(physmem_page(&pm, 0x500000));
	assert_null(physmem_page(&pm, 0x9f000));
	assert_null(physmem_page(&pm, LOW_BYTES));
	assert_null(physmem_page(&pm, 0x3ff001));
	assert_null(physmem_page(&pm, UINT64_MAX - 10));
}

/* Known before the window opens: the page is lost, the ones beside it are not. */
static void test_unreadable_page(void **state)
{
	(void)state;
	host_ram_unreadable(0x802345);
	host_ram_unreadable(HIGH_PA);
	assert_null(physmem_page(&pm, 0x802000));
	expect_page(0x801000);
	expect_page(0x803000);
	assert_null(physmem_page(&pm, HIGH_PA));
	expect_page(HIGH_PA + PAGE_BYTES);
	expect_page(0);
	assert_null(physmem_page(&pm, 0x802000));
}

/* The error comes while the window is open: a view shows zeros, physmem_page says NULL. */
static void test_page_becomes_unreadable(void **state)
{
	const u8 *page = physmem_page(&pm, 0x802000);

	(void)state;
	assert_non_null(page);
	host_ram_unreadable(0x802000);
	assert_int_equal(page[0], 0);
	assert_int_equal(page[PAGE_BYTES], byte_of(0x803000));
	assert_null(physmem_page(&pm, 0x802000));
	expect_page(0x801000);
	expect_page(0x803000);
	assert_int_equal(host_windows_opened(), 1);
	assert_non_null(physmem_view(&pm, 0x802000, 2 * PAGE_BYTES));
}

static void test_read_unreadable(void **state)
{
	u64 len = 5 * MIB;
	u8 *buf = malloc(len);

	(void)state;
	host_ram_unreadable(0x802000);
	assert_int_equal(physmem_read(&pm, 0x802000, buf, 1), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x802fff, buf, 1), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x801fff, buf, 2), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x802fff, buf, 2), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x700000, buf, len), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x801ff0, buf, 16), OK);
	assert_true(buf[15] == byte_of(0x801fff));
	assert_int_equal(physmem_read(&pm, 0x803000, buf, 16), OK);
	assert_true(buf[0] == byte_of(0x803000));
	assert_int_equal(physmem_read(&pm, 0x802000, buf, 0), OK);
	/* The first of several pages, an inner one, the last one. */
	assert_int_equal(physmem_read(&pm, 0x802800, buf, 3 * PAGE_BYTES), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x801800, buf, 3 * PAGE_BYTES), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x7ff800, buf, 0x2801), E_UNREADABLE);
	assert_int_equal(physmem_read(&pm, 0x7ff800, buf, 0x2800), OK);
	free(buf);
}

struct reader {
	enum status st;
	u64 pa;
	u64 len;
};

static enum status reader_read(void *ctx, u64 pa, void *buf, u64 len)
{
	struct reader *r = ctx;

	r->pa = pa;
	r->len = len;
	memset(buf, 7, len);
	return r->st;
}

/* What the reader says is the answer, whatever this machine's own memory met. */
static void test_reader(void **state)
{
	struct reader r = {.st = OK};
	u8 buf[8] = {0};

	(void)state;
	host_ram_unreadable(0x802000);
	physmem_init_reader(&pm, reader_read, &r);
	assert_int_equal(physmem_read(&pm, 0x802000, buf, sizeof(buf)), OK);
	assert_true(r.pa == 0x802000 && r.len == sizeof(buf) && buf[7] == 7);
	r.st = E_ABSENT;
	assert_int_equal(physmem_read(&pm, UINT64_MAX, buf, 2), E_ABSENT);
	assert_null(physmem_view(&pm, 0x1000, 8));
	assert_null(physmem_page(&pm, 0x1000));
	assert_int_equal(host_windows_opened(), 0);
}

static void test_hosted_clock_and_reset(void **state)
{
	u64 then = clock_us();

	(void)state;
	assert_int_equal(clock_us(), then + 1);
	host_clock_advance_us(1000);
	assert_int_equal(clock_us(), then + 1002);
	assert_int_equal(host_reset_action(), -1);
	machine_reset(ACTION_POWEROFF);
	assert_int_equal(host_reset_action(), ACTION_POWEROFF);
	assert_ptr_equal(host_ram_at(HIGH_PA + 5, 3), high + 5);
	assert_null(host_ram_at(LOW_BYTES - 1, 2));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_only_ram),
		T(test_provenance_does_not_matter),
		T(test_length_and_boundary),
		T(test_windows_are_reused),
		T(test_view_lives_as_promised),
		T(test_read),
		T(test_page_only_of_ram),
		T(test_unreadable_page),
		T(test_page_becomes_unreadable),
		T(test_read_unreadable),
		T(test_reader),
		T(test_hosted_clock_and_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
