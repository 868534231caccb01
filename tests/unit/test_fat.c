/*
 * Finding a file in a FAT16 file system made by hand, whole, damaged in every byte of its boot
 * sector, with chains that lead nowhere or in a circle, and with reads that fail. FAT32 and what
 * mkfs.fat makes: tests/host/test_check.py.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tools/common/fat.h"

#define SECTOR	  512u
#define TABLE	  17u /* sectors */
#define CLUSTERS  4096u
#define ROOT_AT	  ((1 + TABLE) * SECTOR)
#define DATA_AT	  (ROOT_AT + SECTOR)
#define BYTES	  (DATA_AT + CLUSTERS * SECTOR)
#define ROOM	  (BYTES + 4 * SECTOR) /* what follows is not the file system's */
#define FILE_SIZE 700u

static const char *const path[] = {"EFI        ", "BOOT       ", "BOOTX64 EFI"};

struct disk {
	u8 *bytes;
	u32 reads;
	u32 fail_at; /* this read fails; 0: none */
};

static bool disk_read(void *ctx, u64 offset, void *buf, u64 bytes)
{
	struct disk *d = ctx;

	if (++d->reads == d->fail_at || !range_fits(offset, bytes, ROOM))
		return false;
	memcpy(buf, d->bytes + offset, bytes);
	return true;
}

static void put16(u8 *at, u32 v)
{
	at[0] = (u8)v;
	at[1] = (u8)(v >> 8);
}

static void chain(struct disk *d, u32 cluster, u32 next)
{
	put16(d->bytes + SECTOR + cluster * 2, next);
}

static u8 *cluster_at(struct disk *d, u32 cluster)
{
	return d->bytes + DATA_AT + (cluster - 2) * SECTOR;
}

static void entry(u8 *at, const char *name, u8 attributes, u32 cluster, u32 bytes)
{
	memset(at, 0, 32);
	memcpy(at, name, FAT_NAME_BYTES);
	at[11] = attributes;
	put16(at + 26, cluster);
	put16(at + 28, bytes);
}

/* EFI is cluster 2, BOOT 3 and 5, the file 10 and 9. */
static int make(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));
	u8 *b;

	assert_non_null(d);
	b = d->bytes = calloc(1, ROOM);
	assert_non_null(b);
	put16(b + 11, SECTOR);
	b[13] = 1;
	put16(b + 14, 1);
	b[16] = 1;
	put16(b + 17, 16);
	put16(b + 19, BYTES / SECTOR);
	put16(b + 22, TABLE);
	entry(b + ROOT_AT, "EFI        ", 8, 77, 0); /* the label is no folder */
	entry(b + ROOT_AT + 32, "EFI        ", 16, 2, 0);
	entry(cluster_at(d, 2), "BOOT       ", 16, 3, 0);
	chain(d, 2, 0xffff);
	for (u32 i = 0; i < 16; i++)
		entry(cluster_at(d, 3) + i * 32, "\xe5OOTX64 EFI", 32, 99, 1);
	chain(d, 3, 5);
	entry(cluster_at(d, 5), "BOOTX64 EFI", 0x0f, 98, 1); /* part of a long name */
	entry(cluster_at(d, 5) + 32, path[2], 32, 10, FILE_SIZE);
	chain(d, 5, 0xffff);
	chain(d, 10, 9);
	chain(d, 9, 0xffff);
	memset(cluster_at(d, 10), 'a', SECTOR);
	memset(cluster_at(d, 9), 'b', SECTOR);
	*state = d;
	return 0;
}

static int unmake(void **state)
{
	struct disk *d = *state;

	free(d->bytes);
	free(d);
	return 0;
}

static enum fat_result find(struct disk *d, u8 *buf, u64 *got)
{
	struct fat f;

	if (!fat_open(&f, disk_read, d, BYTES))
		return FAT_UNREADABLE;
	return fat_read_file(&f, path, ARRAY_SIZE(path), buf, got);
}

static enum fat_result result(struct disk *d)
{
	u8 buf[1024];
	u64 got = sizeof(buf);

	return find(d, buf, &got);
}

static void a_file_is_read(void **state)
{
	static const u64 wanted[] = {0, 1, 511, 512, 513, FILE_SIZE, 1024};
	struct disk *d = *state;
	u8 buf[1024];

	for (u32 i = 0; i < ARRAY_SIZE(wanted); i++) {
		u64 got = wanted[i];

		memset(buf, '.', sizeof(buf));
		assert_int_equal(find(d, buf, &got), FAT_FOUND);
		assert_true(got == min_u64(wanted[i], FILE_SIZE));
		for (u64 n = 0; n < sizeof(buf); n++)
			assert_int_equal(buf[n], n >= got ? '.' : n < SECTOR ? 'a' : 'b');
	}
}

static void a_file_is_missing(void **state)
{
	struct disk *d = *state;

	cluster_at(d, 5)[32] = 'X';
	assert_int_equal(result(d), FAT_MISSING);
	cluster_at(d, 5)[32] = 'B';
	chain(d, 3, 0xffff); /* the folder ends without an end mark */
	assert_int_equal(result(d), FAT_MISSING);
	chain(d, 3, 5);
	cluster_at(d, 3)[0] = 0; /* an end mark hides the rest */
	assert_int_equal(result(d), FAT_MISSING);
	cluster_at(d, 3)[0] = 0xe5;
	assert_int_equal(result(d), FAT_FOUND);
	cluster_at(d, 2)[11] = 32; /* BOOT is a file */
	assert_int_equal(result(d), FAT_MISSING);
	cluster_at(d, 2)[11] = 16;
	cluster_at(d, 5)[32 + 11] = 16; /* the program is a folder */
	assert_int_equal(result(d), FAT_MISSING);
}

static void chains_that_lead_nowhere(void **state)
{
	static const u32 nowhere[] = {0, 1, CLUSTERS + 2, 0xfff7, 0xffff};
	struct disk *d = *state;

	for (u32 i = 0; i < ARRAY_SIZE(nowhere); i++) {
		chain(d, 10, nowhere[i]);
		assert_int_equal(result(d), FAT_UNREADABLE);
		chain(d, 10, 9);
		put16(cluster_at(d, 5) + 32 + 26, nowhere[i]);
		assert_int_equal(result(d), FAT_UNREADABLE);
		put16(cluster_at(d, 5) + 32 + 26, 10);
		put16(cluster_at(d, 2) + 26, nowhere[i]);
		assert_int_equal(result(d), FAT_UNREADABLE);
		put16(cluster_at(d, 2) + 26, 3);
		assert_int_equal(result(d), FAT_FOUND);
	}
	chain(d, 10, CLUSTERS + 1); /* the last there is */
	assert_int_equal(result(d), FAT_FOUND);
}

static void a_circle_has_an_end(void **state)
{
	struct disk *d = *state;

	chain(d, 3, 3);
	assert_int_equal(result(d), FAT_UNREADABLE);
	assert_true(d->reads < 20000);
}

static void every_read_may_fail(void **state)
{
	struct disk *d = *state;
	u32 reads;

	assert_int_equal(result(d), FAT_FOUND);
	reads = d->reads;
	for (d->fail_at = 1; d->fail_at <= reads; d->fail_at++) {
		enum fat_result r;

		d->reads = 0;
		r = result(d);
		/* A table that can not be read ends a chain. */
		assert_true(r == FAT_UNREADABLE || r == FAT_MISSING);
	}
}

static void boot_sectors_are_checked(void **state)
{
	static const u8 values[] = {0, 1, 2, 3, 0x7f, 0x80, 0xff};
	struct disk *d = *state;

	for (u32 at = 0; at < 64; at++) {
		u8 old = d->bytes[at];

		for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
			d->bytes[at] = values[i];
			(void)result(d);
		}
		d->bytes[at] = old;
	}
	assert_int_equal(result(d), FAT_FOUND);
	put16(d->bytes + 19, BYTES / SECTOR + 1); /* more than the partition */
	assert_int_equal(result(d), FAT_UNREADABLE);
	put16(d->bytes + 19, BYTES / SECTOR - 12); /* FAT12 */
	assert_int_equal(result(d), FAT_UNREADABLE);
	put16(d->bytes + 19, BYTES / SECTOR - 11);
	assert_int_equal(result(d), FAT_FOUND);
	put16(d->bytes + 22, TABLE - 2); /* a table too short for the clusters */
	assert_int_equal(result(d), FAT_UNREADABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_read, make, unmake),
		cmocka_unit_test_setup_teardown(a_file_is_missing, make, unmake),
		cmocka_unit_test_setup_teardown(chains_that_lead_nowhere, make, unmake),
		cmocka_unit_test_setup_teardown(a_circle_has_an_end, make, unmake),
		cmocka_unit_test_setup_teardown(every_read_may_fail, make, unmake),
		cmocka_unit_test_setup_teardown(boot_sectors_are_checked, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
