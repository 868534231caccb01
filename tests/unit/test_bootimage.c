/*
 * Unit tests of mkdumpdisk's arithmetic: layout, settings in the boot image, and how
 * block devices are stacked in a made-up sysfs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "crc32c.h"
#include "tools/common/guid.h"
#include "tools/mkdumpdisk/bootpatch.c"
#include "tools/mkdumpdisk/device.c"
#include "tools/mkdumpdisk/layout.c"
#include "tools/mkdumpdisk/stack.c"

#define IMAGE_BYTES 5000u

/* --- layout --- */

static void check_disk(u64 bytes, u32 block_bytes)
{
	struct layout l;
	struct dl_super super = {0};
	u64 need;
	u64 usable = bytes / block_bytes * block_bytes - 16384 - block_bytes;
	u64 end;

	assert_true(layout_make(&l, true, bytes, block_bytes, &need));
	assert_int_equal(l.part[PART_BOOT].start, MIB);
	assert_int_equal(l.part[PART_BOOT].bytes, MIB);
	assert_int_equal(l.part[PART_ESP].start, 2 * MIB);
	assert_int_equal(l.part[PART_ESP].bytes, 64 * MIB);
	assert_int_equal(l.part[PART_DUMP].start, 66 * MIB);
	end = l.part[PART_DUMP].start + l.part[PART_DUMP].bytes;
	assert_true(end <= usable);
	assert_true(usable - end < MIB);
	assert_int_equal(end % MIB, 0);
	layout_super(&l, &super);
	assert_int_equal(super.blocks * super.block_bytes, l.part[PART_DUMP].bytes);
	assert_int_equal(layout_capacity_bytes(&l),
		(dl_data_end(&super) - dl_data_start(&super)) * block_bytes);
	dl_super_seal(&super);
	assert_int_equal(dl_super_check(&super), OK);
}

static void test_disk_sizes(void **state)
{
	static const u64 sizes[] = {128ull * MIB, 4 * GIB, 4 * GIB + 512, 4 * GIB - 4096,
		4 * GIB + 17408, 4 * GIB + 20480, 3 * 1024 * GIB + 999};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		check_disk(sizes[i], 512);
		check_disk(sizes[i], 4096);
	}
}

/* The size that is asked for must do; the least that does makes a good superblock. */
static void check_least(bool whole_disk, u32 block_bytes)
{
	struct layout l;
	struct dl_super super = {0};
	u64 need, again;
	u64 low = 0, high = 256ull * MIB;

	assert_false(layout_make(&l, whole_disk, 1, block_bytes, &need));
	assert_true(layout_make(&l, whole_disk, need, block_bytes, &again));
	for (u32 i = 0; i < 64 && low + 1 < high; i++) {
		u64 middle = (low + high) / 2;

		if (layout_make(&l, whole_disk, middle, block_bytes, &again))
			high = middle;
		else
			low = middle;
	}
	assert_true(high <= need);
	assert_true(need - high < 2 * MIB);
	assert_true(layout_make(&l, whole_disk, high, block_bytes, &again));
	assert_true(layout_capacity_bytes(&l) >= DL_MIN_DATA_BYTES);
	layout_super(&l, &super);
	dl_super_seal(&super);
	assert_int_equal(dl_super_check(&super), OK);
}

static void test_least_size(void **state)
{
	(void)state;
	check_least(true, 512);
	check_least(true, 4096);
	check_least(false, 512);
	check_least(false, 4096);
}

static void test_partition_is_all_dump(void **state)
{
	struct layout l;
	u64 need;

	(void)state;
	assert_true(layout_make(&l, false, 100ull * MIB + 700, 512, &need));
	assert_int_equal(l.part[PART_DUMP].start, 0);
	assert_int_equal(l.part[PART_DUMP].bytes, 100ull * MIB + 512);
	assert_int_equal(l.part[PART_BOOT].bytes, 0);
}

static void test_guid(void **state)
{
	/* The dump partition's type as gpt.h states it. */
	static const u8 disk[16] = {0x62, 0x8c, 0x5d, 0x3f, 0x0e, 0x6b, 0x2c, 0x4e, 0x9a, 0x41,
		0xaf, 0x7e, 0x1d, 0x0b, 0x5c, 0x90};
	char text[GUID_TEXT_BYTES];
	u8 there[16], back[16];

	(void)state;
	guid_text(disk, text);
	assert_string_equal(text, "3f5d8c62-6b0e-4e2c-9a41-af7e1d0b5c90");
	guid_swap(disk, there);
	assert_int_equal(there[0], 0x3f);
	guid_swap(there, back);
	assert_memory_equal(back, disk, 16);
	guid_swap(there, there);
	assert_memory_equal(there, disk, 16);
}

/* --- boot image --- */

static u8 *make_image(void)
{
	u8 *data = calloc(1, IMAGE_BYTES);
	struct boot_header h = {.version = BOOT_HEADER_VERSION,
		.image_bytes = IMAGE_BYTES - BOOT_SECTOR_BYTES,
		.crc32c = 0xdead,
		.zero0 = 7};
	struct boot_locate where = {.magic = BOOT_LOCATE_MAGIC};

	assert_non_null(data);
	memset(data, 0x5a, IMAGE_BYTES);
	memcpy(h.magic, BOOT_HEADER_MAGIC, 8);
	memcpy(data + BOOT_SECTOR_BYTES, &h, sizeof(h));
	memcpy(data + BOOT_LOCATE_OFFSET, &where, sizeof(where));
	return data;
}

static void test_fault(void **state)
{
	static const u32 spoiled[] = {BOOT_LOCATE_OFFSET + 12, BOOT_SECTOR_BYTES + 4,
		BOOT_SECTOR_BYTES + 11, BOOT_SECTOR_BYTES + 12, BOOT_SECTOR_BYTES + 16};
	u8 *data = make_image();

	(void)state;
	assert_null(bootfile_fault(data, IMAGE_BYTES));
	for (u64 n = 0; n < IMAGE_BYTES; n++)
		assert_non_null(bootfile_fault(data, n));
	for (u32 i = 0; i < ARRAY_SIZE(spoiled); i++) {
		data[spoiled[i]] ^= 1;
		assert_non_null(bootfile_fault(data, IMAGE_BYTES));
		data[spoiled[i]] ^= 1;
	}
	assert_non_null(bootfile_fault(data, (u64)BOOT_FILE_MAX_BYTES + 1));
	assert_non_null(bootfile_fault(data, UINT64_MAX));
	free(data);
}

static void test_apply(void **state)
{
	struct boot_settings s = {
		.console = BOOT_CONSOLE_SCREEN,
		.serial_port = 0x2e8,
		.serial_baud = 9600,
		.boot_lba = 256,
		.block_bytes = 4096,
		.automatic = true,
		.menu_seconds = 60,
		.dump_lba = 0x1234567890,
		.dump_blocks = 65,
		.survey_lba = 0x2345678901,
	};
	struct boot_header h;
	struct boot_locate where;
	u8 *before = make_image();
	u8 *data = make_image();
	u32 crc;

	(void)state;
	memset(s.target_uuid, 0xab, 16);
	bootfile_apply(data, IMAGE_BYTES, &s);
	memcpy(&h, data + BOOT_SECTOR_BYTES, sizeof(h));
	memcpy(&where, data + BOOT_LOCATE_OFFSET, sizeof(where));
	assert_int_equal(where.lba, 256);
	assert_int_equal(where.blocks, 2); /* 4488 bytes */
	assert_int_equal(where.block_bytes, 4096);
	assert_int_equal(where.magic, BOOT_LOCATE_MAGIC);
	assert_memory_equal(h.target_uuid, s.target_uuid, 16);
	assert_int_equal(h.zero0, 0);
	assert_int_equal(h.console, BOOT_CONSOLE_SCREEN);
	assert_int_equal(h.serial_port, 0x2e8);
	assert_int_equal(h.serial_baud, 9600);
	assert_int_equal(h.flags, BOOT_FLAG_AUTOMATIC);
	assert_int_equal(h.menu_seconds, 60);
	assert_int_equal(h.dump_lba, 0x1234567890);
	assert_int_equal(h.dump_blocks, 65);
	assert_int_equal(h.survey_lba, 0x2345678901);
	crc = h.crc32c;
	h.crc32c = 0;
	assert_int_equal(crc, crc32c(0, &h, sizeof(h)));
	assert_null(bootfile_fault(data, IMAGE_BYTES));
	assert_memory_equal(data, before, BOOT_LOCATE_OFFSET);
	assert_memory_equal(data + BOOT_LOCATE_OFFSET + 16, before + BOOT_LOCATE_OFFSET + 16,
		BOOT_SECTOR_BYTES - BOOT_LOCATE_OFFSET - 16);
	assert_memory_equal(data + BOOT_SECTOR_BYTES + 80, before + BOOT_SECTOR_BYTES + 80,
		IMAGE_BYTES - BOOT_SECTOR_BYTES - 80);
	s.automatic = false; /* what was there before does not stay */
	s.menu_seconds = 0;
	bootfile_apply(data, IMAGE_BYTES, &s);
	memcpy(&h, data + BOOT_SECTOR_BYTES, sizeof(h));
	assert_int_equal(h.flags, 0);
	assert_int_equal(h.menu_seconds, 0);
	free(before);
	free(data);
}

/* --- bounds of writes --- */

static void test_no_write_outside(void **state)
{
	struct device d = {.fd = memfd_create("device", 0), .bytes = 1000};
	static const u64 outside[][2] = {{1000, 1}, {999, 2}, {0, 1001}, {UINT64_MAX, 1},
		{UINT64_MAX, 2}, {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
	u8 buf[1000];

	(void)state;
	memset(buf, 0x77, sizeof(buf));
	assert_true(d.fd >= 0);
	assert_int_equal(ftruncate(d.fd, 4096), 0);
	for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
		errno = 0;
		assert_false(device_write(&d, outside[i][0], buf, outside[i][1]));
		assert_int_equal(errno, EINVAL);
	}
	assert_false(device_zero(&d, 900, 101));
	assert_true(device_is_zero(d.fd, 0, 4096));
	assert_true(device_write(&d, 0, buf, 1000));
	assert_true(device_zero(&d, 0, 999));
	assert_true(device_is_zero(d.fd, 0, 999));
	assert_false(device_is_zero(d.fd, 0, 1000));
	assert_true(device_is_zero(d.fd, 1000, 3096));
	errno = 0;
	assert_false(device_read(d.fd, 4000, buf, 200));
	assert_int_equal(errno, EIO);
	close(d.fd);
}

/* --- stacked devices --- */

static char sysfs[64];

static void shell(const char *script)
{
	char command[2048];

	snprintf(command, sizeof(command), "set -e; cd %s; %s", sysfs, script);
	assert_int_equal(system(command), 0);
}

/* sda1 and sdb whole are a RAID md0, md0 carries dm-0; sdc1 is apart. */
static int make_tree(void **state)
{
	(void)state;
	strcpy(sysfs, "/tmp/stack.XXXXXX");
	assert_non_null(mkdtemp(sysfs));
	shell("mkdir -p dev/block d/sda/sda1 d/sda/sda2 d/sdb d/sdc/sdc1 d/md0/slaves "
	      "d/dm-0/slaves;"
	      "p() { echo $2 > d/$1/dev; ln -s ../../d/$1 dev/block/$2; };"
	      "p sda 8:0; p sda/sda1 8:1; p sda/sda2 8:2; p sdb 8:16; p sdc 8:32; p sdc/sdc1 8:33;"
	      "p md0 9:0; p dm-0 253:0;"
	      "for i in sda/sda1 sda/sda2 sdc/sdc1; do echo 1 > d/$i/partition; done;"
	      "ln -s ../../sda/sda1 ../../sdb d/md0/slaves/; ln -s ../../md0 d/dm-0/slaves/");
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	shell("cd /; rm -r \"$OLDPWD\"");
	return 0;
}

static void test_is_partition(void **state)
{
	dev_t whole;

	(void)state;
	assert_true(busy_is_partition(sysfs, makedev(8, 1), &whole));
	assert_int_equal(whole, makedev(8, 0));
	assert_false(busy_is_partition(sysfs, makedev(8, 0), &whole));
	assert_int_equal(whole, makedev(8, 0));
	assert_false(busy_is_partition(sysfs, makedev(7, 7), &whole));
}

static void test_below(void **state)
{
	dev_t root = makedev(253, 0);

	(void)state;
	assert_true(busy_below(sysfs, root, root));
	assert_true(busy_below(sysfs, root, makedev(9, 0)));
	assert_true(busy_below(sysfs, root, makedev(8, 1)));
	assert_true(busy_below(sysfs, root, makedev(8, 0)));
	assert_true(busy_below(sysfs, root, makedev(8, 16)));
	assert_false(busy_below(sysfs, root, makedev(8, 2)));
	assert_false(busy_below(sysfs, root, makedev(8, 32)));
	assert_false(busy_below(sysfs, root, makedev(8, 33)));
	assert_true(busy_below(sysfs, makedev(8, 33), makedev(8, 32)));
}

static void test_below_unknown(void **state)
{
	(void)state;
	shell("rm d/sdb/dev");
	assert_true(busy_below(sysfs, makedev(253, 0), makedev(8, 33)));
	shell("echo 8:16 > d/sdb/dev");
	assert_false(busy_below(sysfs, makedev(253, 0), makedev(8, 33)));
}

static void test_holder(void **state)
{
	char name[256];

	(void)state;
	shell("mkdir d/sda/holders d/sda/sda1/holders d/sda/sda2/holders d/md0/holders;"
	      "ln -s ../../../md0 d/sda/sda1/holders/; ln -s ../../dm-0 d/md0/holders/");
	assert_true(busy_holder(sysfs, makedev(8, 1), name));
	assert_string_equal(name, "md0");
	assert_true(busy_holder(sysfs, makedev(8, 0), name));
	assert_string_equal(name, "md0");
	assert_true(busy_holder(sysfs, makedev(9, 0), name));
	assert_string_equal(name, "dm-0");
	assert_false(busy_holder(sysfs, makedev(8, 2), name));
	assert_false(busy_holder(sysfs, makedev(8, 33), name));
	assert_false(busy_holder(sysfs, makedev(7, 7), name));
}

/* A ring of slaves must end. */
static void test_below_ring(void **state)
{
	(void)state;
	shell("mkdir d/sdb/slaves; ln -s ../../dm-0 d/sdb/slaves/");
	assert_false(busy_below(sysfs, makedev(253, 0), makedev(8, 33)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk_sizes),
		cmocka_unit_test(test_least_size),
		cmocka_unit_test(test_partition_is_all_dump),
		cmocka_unit_test(test_guid),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_no_write_outside),
		cmocka_unit_test(test_is_partition),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_below_unknown),
		cmocka_unit_test(test_holder),
		cmocka_unit_test(test_below_ring),
	};

	crc32c_init();
	return cmocka_run_group_tests_name("bootimage", tests, make_tree, remove_tree);
}
