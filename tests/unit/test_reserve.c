/*
 * Regions to reserve: rounding, joining, the way down to four, and the words. The figures of a
 * UEFI machine that was measured are among the cases.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "handoff.h"
#include "tools/common/reserve.h"

#define M ((u64)MIB)

static struct survey_record record;
static struct reserve made;
static char text[RESERVE_TEXT_BYTES];

/* @end: of RAM, 0 unknown. */
static void make(const u64 (*range)[2], u32 count, u64 end)
{
	memset(&record, 0, sizeof(record));
	record.v.end_pfn = end >> PAGE_SHIFT;
	record.v.range_count = count;
	for (u32 i = 0; i < count; i++)
		record.range[i] = (struct dl_survey_range) {range[i][0], range[i][1], 1, 0};
	memset(&made, 0xa5, sizeof(made));
	reserve_make(&record, &made);
}

#define MAKE(end, ...)                                                                             \
	do {                                                                                       \
		const u64 list[][2] = {__VA_ARGS__};                                               \
		make(list, ARRAY_SIZE(list), end);                                                 \
	} while (0)

static void expect(const char *plain, u64 mib)
{
	u64 sum = 0;

	assert_string_equal(reserve_text(&made, RESERVE_PLAIN, text), plain);
	assert_int_equal(made.bytes, mib * M);
	for (u32 i = 0; i < made.count; i++)
		sum += made.region[i].bytes;
	assert_int_equal(sum, mib * M);
}

static u32 note_count(void)
{
	const char *note[RESERVE_NOTES];

	return reserve_notes(&made, reserve_text(&made, RESERVE_PLAIN, text), note);
}

static void nothing_lost_is_nothing_to_do(void **state)
{
	(void)state;
	make(NULL, 0, 0);
	expect("", 0);
	assert_int_equal(note_count(), 0);
}

static void memory_below_1_mib_is_left_out(void **state)
{
	(void)state;
	MAKE(0, {0x1000, 0x8f000}, {0xf0000, 0x10000});
	expect("", 0);
	assert_int_equal(made.low_pages, 0x8f + 0x10);
	MAKE(0, {0xff000, 0x2000});
	expect("memmap=1M$0x100000", 1);
	assert_int_equal(made.low_pages, 1);
	MAKE(0, {0x100000, 0x1000});
	expect("memmap=1M$0x100000", 1);
	assert_int_equal(made.low_pages, 0);
}

static void sizes_are_rounded_outwards(void **state)
{
	(void)state;
	MAKE(0, {64 * M, M});
	expect("memmap=1M$0x4000000", 1);
	MAKE(0, {64 * M - 0x1000, 0x2000});
	expect("memmap=2M$0x3f00000", 2);
	MAKE(0, {64 * M + 0xff000, 0x2000});
	expect("memmap=2M$0x4000000", 2);
}

static void near_ones_are_joined(void **state)
{
	(void)state;
	MAKE(0, {100 * M, M}, {104 * M, 0x1000});
	expect("memmap=5M$0x6400000", 5);
	MAKE(0, {100 * M, M}, {105 * M, 0x1000});
	expect("memmap=1M$0x6400000,1M$0x6900000", 2);
	/* Rounding decides, not the range itself. */
	MAKE(0, {100 * M, 0x1000}, {104 * M + 0xff000, 0x1000});
	expect("memmap=5M$0x6400000", 5);
	MAKE(0, {100 * M, 0x1000}, {100 * M + 0x5000, 0x1000}, {101 * M - 0x1000, 0x1000});
	expect("memmap=1M$0x6400000", 1);
}

/* OVMF with 1 GiB: 0x1000000-0x1704000, a piece, and the top. */
static void the_measured_machine(void **state)
{
	(void)state;
	MAKE(1024 * M, {0x1000, 0x9f000}, {0x1000000, 0x704000}, {0x3bb02000, 0x3000},
		{0x3dca0000, 0x1000}, {0x3dd00000, 0x2200000});
	expect("memmap=8M$0x1000000,1M$0x3bb00000,35M$0x3dc00000", 44);
	assert_string_equal(reserve_text(&made, RESERVE_GRUB, text),
		"memmap=8M\\\\\\$0x1000000,1M\\\\\\$0x3bb00000,35M\\\\\\$0x3dc00000");
	assert_int_equal(note_count(), 1);
	assert_int_equal(made.low_pages, 0x9f);
}

static void nothing_beyond_the_end_of_ram(void **state)
{
	(void)state;
	MAKE(200 * M, {150 * M, 100 * M}, {300 * M, M});
	expect("memmap=50M$0x9600000", 50);
	/* Whole MiB all the same. */
	MAKE(200 * M - 0x3000, {199 * M, 0xfd000});
	expect("memmap=1M$0xc700000", 1);
	/* An end that can not be true counts as unknown. */
	MAKE(0, {150 * M, M});
	record.v.end_pfn = UINT64_MAX;
	reserve_make(&record, &made);
	expect("memmap=1M$0x9600000", 1);
	MAKE(0, {(1ull << 52) - 0x1000, 0x1000});
	expect("memmap=1M$0xffffffff00000", 1);
}

static void four_if_that_is_cheap(void **state)
{
	(void)state;
	/* Gaps of 99, 31, 199, 9: all but the three widest go; that is 9. */
	MAKE(0, {100 * M, M}, {200 * M, M}, {232 * M, M}, {432 * M, M}, {442 * M, M});
	expect("memmap=1M$0x6400000,1M$0xc800000,1M$0xe800000,11M$0x1b000000", 14);
	assert_int_equal(note_count(), 0);
	/* Two to join: 16 and 16 are 32; one more byte is too much. */
	MAKE(0, {100 * M, M}, {117 * M, M}, {134 * M, M}, {300 * M, M}, {400 * M, M}, {500 * M, M});
	expect("memmap=35M$0x6400000,1M$0x12c00000,1M$0x19000000,1M$0x1f400000", 38);
	MAKE(0, {100 * M, M}, {117 * M, M}, {135 * M, M}, {300 * M, M}, {400 * M, M}, {500 * M, M});
	assert_int_equal(made.count, 6);
	assert_int_equal(made.bytes, 6 * M);
	assert_int_equal(note_count(), 1);
	/* Four stay four, whatever the gaps. */
	MAKE(0, {100 * M, M}, {106 * M, M}, {112 * M, M}, {118 * M, M});
	assert_int_equal(made.count, 4);
	assert_int_equal(note_count(), 0);
}

static void notes_tell_of_the_kernels_place(void **state)
{
	const char *note[RESERVE_NOTES];

	(void)state;
	MAKE(0, {15 * M, M}, {80 * M, M});
	assert_int_equal(note_count(), 0);
	MAKE(0, {79 * M, M});
	assert_int_equal(reserve_notes(&made, "", note), 1);
	assert_non_null(strstr(note[0], "16 MiB"));
	MAKE(0, {16 * M, M}, {100 * M, M}, {200 * M, M}, {300 * M, M}, {400 * M, M});
	assert_int_equal(reserve_notes(&made, "", note), 2);
	assert_non_null(strstr(note[0], "KASLR"));
	record.v.door = DOOR_UEFI;
	reserve_make(&record, &made);
	assert_int_equal(reserve_notes(&made, "", note), 3);
	assert_non_null(strstr(note[2], "GRUB's menu"));
	record.v.range_count = 0;
	reserve_make(&record, &made);
	assert_int_equal(reserve_notes(&made, "", note), 0);
}

static void as_many_as_a_record_holds(void **state)
{
	u64 list[DL_SURVEY_RANGES][2];
	u64 start = (1ull << 52) - DL_SURVEY_RANGES * 64 * M;

	(void)state;
	for (u32 i = 0; i < DL_SURVEY_RANGES; i++) {
		list[i][0] = start + i * 64 * M;
		list[i][1] = 0x1000;
	}
	make(list, DL_SURVEY_RANGES, 0);
	assert_int_equal(made.count, DL_SURVEY_RANGES);
	assert_int_equal(note_count(), 2);
	reserve_text(&made, RESERVE_GRUB, text);
	assert_true(strlen(text) + 1 < RESERVE_TEXT_BYTES);
	assert_non_null(strstr(text, "$0xffffffc000000"));
	for (u32 i = 0; i < DL_SURVEY_RANGES; i++)
		list[i][0] = start + i * 5 * M;
	make(list, DL_SURVEY_RANGES, 0);
	assert_int_equal(made.count, DL_SURVEY_RANGES);
	for (u32 i = 0; i < DL_SURVEY_RANGES; i++)
		list[i][0] = start + i * 4 * M;
	make(list, DL_SURVEY_RANGES, 0);
	assert_int_equal(made.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_lost_is_nothing_to_do),
		cmocka_unit_test(memory_below_1_mib_is_left_out),
		cmocka_unit_test(sizes_are_rounded_outwards),
		cmocka_unit_test(near_ones_are_joined),
		cmocka_unit_test(the_measured_machine),
		cmocka_unit_test(nothing_beyond_the_end_of_ram),
		cmocka_unit_test(four_if_that_is_cheap),
		cmocka_unit_test(notes_tell_of_the_kernels_place),
		cmocka_unit_test(as_many_as_a_record_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
