/*
 * GPT: good tables in both places, every byte of the header and of the entries damaged
 * in turn, and tables that are sealed but lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>
#include "gpt.h"
#include "tests/model/machine_model.h"

#define BLOCKS	   40960u
#define FIRST	   4096u
#define LAST	   40000u
#define ENTRY_AT   256 /* of the dump partition in the entry array */
#define ENTRIES_AT (2 * 512)

static struct machine_disk disk;
static struct gpt_partition part;
static u64 fail_lba; /* reading it fails */
static u64 max_lba;  /* highest read */
static u32 reads;
static u8 scratch[2 * 4096];

static enum status read_disk(void *ctx, u64 lba, u32 blocks, void *buf)
{
	struct machine_disk *d = ctx;

	assert_true(blocks >= 1 && blocks <= 2);
	assert_true(range_fits(lba, blocks, d->blocks));
	assert_true((u8 *)buf >= scratch);
	assert_true((u8 *)buf + blocks * d->block_bytes <= scratch + 2 * d->block_bytes);
	max_lba = max_u64(max_lba, lba);
	reads++;
	if (lba == fail_lba)
		return E_READ;
	memcpy(buf, d->bytes + lba * d->block_bytes, blocks * d->block_bytes);
	return OK;
}

static int setup(void **state)
{
	(void)state;
	free(disk.bytes);
	disk = (struct machine_disk) {
		.blocks = BLOCKS, .block_bytes = 512, .first = FIRST, .last = LAST};
	disk.bytes = calloc(BLOCKS, 4096);
	fail_lba = UINT64_MAX;
	max_lba = 0;
	machine_disk_format(&disk);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(disk.bytes);
	disk.bytes = NULL;
	return 0;
}

static enum status find(u32 index)
{
	memset(&part, 0, sizeof(part));
	return gpt_find(read_disk, &disk, disk.blocks, disk.block_bytes, gpt_dump_type, index,
		scratch, &part);
}

static void expect_found(void)
{
	assert_int_equal(find(0), OK);
	assert_int_equal(part.first_lba, FIRST);
	assert_int_equal(part.last_lba, LAST);
	assert_int_equal(part.uuid[0], 0x77);
}

static void put(u64 lba, u32 at, u64 value, u32 bytes)
{
	memcpy(disk.bytes + lba * disk.block_bytes + at, &value, bytes);
}

/* Without the backup, so that the primary alone decides. */
static void only_primary(void)
{
	memset(disk.bytes + (disk.blocks - 1) * disk.block_bytes, 0, disk.block_bytes);
}

static void test_both_places(void **state)
{
	(void)state;
	expect_found();
	assert_true(max_lba < 100);
	disk.bytes[512] ^= 1;
	expect_found();
	assert_int_equal(max_lba, BLOCKS - 1);
	only_primary();
	assert_int_equal(find(0), E_GPT);
	setup(NULL);
	disk.block_bytes = 4096;
	machine_disk_format(&disk);
	expect_found();
}

static void test_index(void **state)
{
	(void)state;
	assert_int_equal(find(1), E_NO_PARTITION);
	memcpy(disk.bytes + ENTRIES_AT + 127 * 128, disk.bytes + ENTRIES_AT + ENTRY_AT, 128);
	put(2, 127 * 128 + 40, FIRST + 9, 8);
	machine_gpt_seal(&disk, 1);
	expect_found();
	assert_int_equal(find(1), OK);
	assert_int_equal(part.last_lba, FIRST + 9);
	assert_int_equal(find(2), E_NO_PARTITION);
	assert_int_equal(find(UINT32_MAX), E_NO_PARTITION);
}

static enum status find_uuid(u8 first_byte)
{
	u8 uuid[16];

	memset(uuid, 0x77, sizeof(uuid));
	uuid[0] = first_byte;
	memset(&part, 0, sizeof(part));
	return gpt_find_uuid(read_disk, &disk, disk.blocks, disk.block_bytes, uuid, scratch, &part);
}

/* Of any type, but not of none: that entry is not in use. */
static void test_by_uuid(void **state)
{
	(void)state;
	assert_int_equal(find_uuid(0x77), OK);
	assert_int_equal(part.first_lba, FIRST);
	assert_int_equal(part.last_lba, LAST);
	assert_int_equal(part.uuid[0], 0x77);
	assert_int_equal(find_uuid(0x78), E_NO_PARTITION);
	memset(disk.bytes + ENTRIES_AT + ENTRY_AT, 0x99, 16);
	machine_gpt_seal(&disk, 1);
	assert_int_equal(find_uuid(0x77), OK);
	memset(disk.bytes + ENTRIES_AT + ENTRY_AT, 0, 16);
	machine_gpt_seal(&disk, 1);
	assert_int_equal(find_uuid(0x77), E_NO_PARTITION);
	disk.bytes[512] ^= 1;
	assert_int_equal(find_uuid(0x77), OK);
	only_primary();
	assert_int_equal(find_uuid(0x77), E_GPT);
}

static void test_every_damaged_byte(void **state)
{
	(void)state;
	only_primary();
	expect_found();
	for (u32 i = 0; i < 92; i++) {
		disk.bytes[512 + i] ^= 0x10;
		assert_int_equal(find(0), E_GPT);
		disk.bytes[512 + i] ^= 0x10;
	}
	for (u32 i = 0; i < 128 * 128; i++) {
		disk.bytes[ENTRIES_AT + i] ^= 0x10;
		assert_int_equal(find(0), E_GPT);
		disk.bytes[ENTRIES_AT + i] ^= 0x10;
	}
	expect_found();
}

/* Sealed headers with impossible contents. */
static void test_lying_header(void **state)
{
	static const struct {
		u32 at, bytes;
		u64 value;
	} lies[] = {{12, 4, 91}, {12, 4, 513}, {12, 4, UINT32_MAX}, {24, 8, 2}, {40, 8, BLOCKS},
		{72, 8, 0}, {72, 8, BLOCKS - 31}, {72, 8, UINT64_MAX}, {72, 8, UINT64_MAX - 31},
		{80, 4, 0}, {80, 4, 1025}, {80, 4, UINT32_MAX}, {84, 4, 0}, {84, 4, 64},
		{84, 4, 192}, {84, 4, 8192}, {84, 4, UINT32_MAX}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lies); i++) {
		u64 size = 0;

		setup(NULL);
		only_primary();
		put(1, lies[i].at, lies[i].value, lies[i].bytes);
		/* Seal what can be sealed: the entries' sum only where they lie on the disk. */
		if (lies[i].at == 24 || lies[i].at == 40) {
			machine_gpt_seal(&disk, 1);
		} else {
			memcpy(&size, disk.bytes + 512 + 12, 4);
			put(1, 16, 0, 4);
			put(1, 16, crc32(0, disk.bytes + 512, size < 92 ? (u32)size : 92), 4);
		}
		reads = 0;
		assert_int_equal(find(0), E_GPT);
		assert_int_equal(reads, 2); /* the headers, no entries */
	}
}

static void test_entry_sizes(void **state)
{
	static const u32 sizes[] = {128, 256, 384, 512, 640, 1024, 4096};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		setup(NULL);
		only_primary();
		memset(disk.bytes + ENTRIES_AT, 0, 64 * KIB);
		put(1, 80, 9, 4);
		put(1, 84, sizes[i], 4);
		memcpy(disk.bytes + ENTRIES_AT + 8 * sizes[i], gpt_dump_type, 16);
		memset(disk.bytes + ENTRIES_AT + 8 * sizes[i] + 16, 0x77, 16);
		put(2, 8 * sizes[i] + 32, FIRST, 8);
		put(2, 8 * sizes[i] + 40, LAST, 8);
		put(1, 40, 300, 8);
		machine_gpt_seal(&disk, 1);
		expect_found();
	}
}

static void expect_entry(u64 first, u64 last, enum status want)
{
	put(2, ENTRY_AT + 32, first, 8);
	put(2, ENTRY_AT + 40, last, 8);
	machine_gpt_seal(&disk, 1);
	assert_int_equal(find(0), want);
}

static void test_entry_bounds(void **state)
{
	(void)state;
	only_primary();
	expect_entry(FIRST, FIRST, OK);
	expect_entry(FIRST, FIRST - 1, E_GEOMETRY);
	expect_entry(33, LAST, E_GEOMETRY);
	expect_entry(34, LAST, OK);
	expect_entry(FIRST, BLOCKS - 34, OK);
	expect_entry(FIRST, BLOCKS - 33, E_GEOMETRY);
	expect_entry(FIRST, UINT64_MAX, E_GEOMETRY);
	put(1, 40, 0, 8);
	put(1, 48, UINT64_MAX, 8);
	expect_entry(FIRST, BLOCKS - 1, OK);
	expect_entry(FIRST, BLOCKS, E_GEOMETRY);
	expect_entry(0, LAST, E_GEOMETRY);
	expect_entry(1, LAST, E_GEOMETRY);
}

/* A table copied to a smaller disk: the partition does not fit, which is not damage. */
static void test_smaller_disk(void **state)
{
	(void)state;
	disk.blocks = LAST;
	assert_int_equal(find(0), E_GEOMETRY);
	disk.blocks = LAST + 1;
	assert_int_equal(find(0), OK);
}

static void test_unknown_size(void **state)
{
	(void)state;
	assert_int_equal(gpt_find(read_disk, &disk, 0, 512, gpt_dump_type, 0, scratch, &part), OK);
	assert_int_equal(part.last_lba, LAST);
	disk.bytes[512] ^= 1;
	max_lba = 0;
	assert_int_equal(
		gpt_find(read_disk, &disk, 0, 512, gpt_dump_type, 0, scratch, &part), E_GPT);
	assert_int_equal(max_lba, 1);
}

static void test_read_errors(void **state)
{
	(void)state;
	fail_lba = 1;
	expect_found();
	only_primary();
	assert_int_equal(find(0), E_READ);
	fail_lba = 33;
	assert_int_equal(find(0), E_READ);
	fail_lba = BLOCKS - 1;
	expect_found();
	disk.bytes[512] ^= 1;
	assert_int_equal(find(0), E_GPT);
}

static void test_protective_mbr(void **state)
{
	(void)state;
	assert_true(gpt_protected(disk.bytes));
	disk.bytes[511] = 0;
	assert_false(gpt_protected(disk.bytes));
	disk.bytes[511] = 0xaa;
	disk.bytes[450] = 0x83;
	assert_false(gpt_protected(disk.bytes));
	disk.bytes[498] = 0xee;
	assert_true(gpt_protected(disk.bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_index, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_uuid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_damaged_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lying_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entry_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entry_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smaller_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protective_mbr, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
