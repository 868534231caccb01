/*
 * What the UEFI application reads of the dump disk: which partition it is, both copies of its
 * directory, its survey; with blocks of both sizes, and where the disk can not be read.
 */
#include <stdlib.h>
#include "crc32c.h"
#include "tests/unit/efi_rig.h"

#define BLOCKS 40000u
#define PIECE  (16u * KIB)

static const u8 any[16];
static struct dl_super super;
static struct efi_disk disk;
static struct choose_disk known;

static u8 *block(u32 i, u64 lba)
{
	return fw.blocks[i] + lba * fw.media[i].BlockSize;
}

static void super_write(u32 i)
{
	dl_super_seal(&super);
	memcpy(block(i, 0), &super, sizeof(super));
	memcpy(block(i, BLOCKS - 1), &super, sizeof(super));
}

static void disk_make(u32 i, u8 uuid, u32 block_bytes, u32 slots)
{
	super = (struct dl_super) {.version = DL_VERSION,
		.block_bytes = block_bytes,
		.blocks = BLOCKS,
		.dir_slots = slots,
		.survey_blocks = DL_SURVEY_AREA_BYTES / block_bytes};
	memcpy(super.magic, DL_SUPER_MAGIC, 8);
	memset(super.disk_uuid, uuid, 16);
	fw.media[i] = (EFI_BLOCK_IO_MEDIA) {.MediaId = 7 + i,
		.MediaPresent = TRUE,
		.LogicalPartition = TRUE,
		.BlockSize = block_bytes,
		.LastBlock = BLOCKS - 1};
	fw.io[i].Media = &fw.media[i];
	fw.io[i].ReadBlocks = disk_read;
	fw.blocks[i] = calloc(BLOCKS, block_bytes);
	fw.disks = i + 1;
	super_write(i);
}

static void header_put(u64 lba, u32 number, u32 generation, u64 crash_id)
{
	struct dl_header h = {.version = DL_VERSION,
		.state = DL_STATE_COMPLETE,
		.generation = generation,
		.number = number,
		.start = dl_data_start(&super),
		.limit = 1,
		.crash_id = crash_id};

	memcpy(h.magic, DL_HEADER_MAGIC, 8);
	memcpy(h.disk_uuid, super.disk_uuid, 16);
	dl_header_seal(&h);
	memcpy(block(0, lba), &h, sizeof(h));
}

static void slot_put(u32 slot, u32 number, u64 crash_id)
{
	header_put(dl_slot_block(slot), number, 1, crash_id);
	header_put(dl_slot_block_back(&super, slot), number, 1, crash_id);
}

static void know(void)
{
	assert_true(efi_disk_find(&fw.st, any, &disk));
	efi_disk_know(&disk, &known);
}

/* The crash that dump @number has, 0 if that is not known. */
static u64 crash_of(u32 number)
{
	u64 id = 0;

	for (u32 i = 0; i < known.count; i++) {
		if (known.dump[i].number == number)
			id = known.dump[i].crash_id;
	}
	return id;
}

static int start(void **state)
{
	memset(&known, 0xee, sizeof(known));
	return setup(state);
}

static int end(void **state)
{
	(void)state;
	free(fw.blocks[0]);
	free(fw.blocks[1]);
	return 0;
}

static void test_which_disk(void **state)
{
	u8 uuid[16];

	(void)state;
	memset(uuid, 2, 16);
	assert_false(efi_disk_find(&fw.st, any, &disk));
	disk_make(0, 1, 512, 64);
	assert_true(efi_disk_find(&fw.st, any, &disk));
	assert_false(efi_disk_find(&fw.st, uuid, &disk));
	disk_make(1, 2, 4096, 64);
	assert_true(efi_disk_find(&fw.st, uuid, &disk));
	assert_ptr_equal(disk.io, &fw.io[1]);
	assert_int_equal(disk.super.block_bytes, 4096);
	assert_true(efi_disk_find(&fw.st, any, &disk));
	assert_ptr_equal(disk.io, &fw.io[0]);
	/* One that is not what firmware says it is. */
	fw.media[1].MediaPresent = FALSE;
	assert_false(efi_disk_find(&fw.st, uuid, &disk));
}

/* The copy of the superblock at the end is as good. */
static void test_first_superblock_damaged(void **state)
{
	(void)state;
	disk_make(0, 1, 512, 64);
	block(0, 0)[100] ^= 1;
	know();
	assert_true(known.known);
	fw.read_fails_at = 0;
	know();
	block(0, BLOCKS - 1)[100] ^= 1;
	assert_false(efi_disk_find(&fw.st, any, &disk));
}

static void slots_try(u32 block_bytes, u32 slots)
{
	disk_make(0, 1, block_bytes, slots);
	for (u32 slot = 0; slot < slots; slot++)
		slot_put(slot, slot + 1, 0x1000 + slot);
	know();
	assert_true(known.known);
	assert_false(known.survey);
	assert_int_equal(known.count, min_u64(slots, CHOOSE_IDS));
	for (u32 number = slots; number > 0 && number > slots - known.count; number--)
		assert_int_equal(crash_of(number), 0x1000 + number - 1);
	assert_true(fw.block_reads <= 2 * slots + 3);
	assert_true(fw.reads <= 2 * (slots * block_bytes / PIECE + 1) + 3);
	free(fw.blocks[0]);
	fw.blocks[0] = NULL;
}

static void test_directory(void **state)
{
	const u32 slots[] = {1, 3, 4, 5, 31, 32, 33, 64, 100};

	(void)state;
	for (u32 i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		setup(NULL);
		slots_try(512, slots[i]);
		setup(NULL);
		slots_try(4096, slots[i]);
	}
}

static void test_copies(void **state)
{
	(void)state;
	disk_make(0, 1, 512, 64);
	/* Power was cut between the two: the back one is written first. */
	header_put(dl_slot_block(1), 1, 1, 0xa);
	header_put(dl_slot_block_back(&super, 1), 7, 2, 0xb);
	header_put(dl_slot_block_back(&super, 2), 8, 1, 0xc);
	/* Or could not be written. */
	header_put(dl_slot_block(3), 9, 3, 0xd);
	header_put(dl_slot_block_back(&super, 3), 2, 1, 0xe);
	header_put(dl_slot_block(4), 10, 1, 0xf);
	/* Damaged. */
	slot_put(5, 11, 0x10);
	block(0, dl_slot_block(5))[60] ^= 1;
	slot_put(6, 12, 0x11);
	block(0, dl_slot_block_back(&super, 6))[60] ^= 1;
	slot_put(7, 13, 0x12);
	block(0, dl_slot_block(7))[60] ^= 1;
	block(0, dl_slot_block_back(&super, 7))[60] ^= 1;
	know();
	assert_int_equal(known.count, 6);
	assert_int_equal(crash_of(1), 0);
	assert_int_equal(crash_of(7), 0xb);
	assert_int_equal(crash_of(8), 0xc);
	assert_int_equal(crash_of(9), 0xd);
	assert_int_equal(crash_of(10), 0xf);
	assert_int_equal(crash_of(11), 0x10);
	assert_int_equal(crash_of(12), 0x11);
}

static void test_one_block_unreadable(void **state)
{
	(void)state;
	disk_make(0, 1, 512, 64);
	for (u32 slot = 0; slot < 64; slot++)
		slot_put(slot, slot + 1, 0x1000 + slot);
	for (u64 lba = 1; lba <= 64; lba++) {
		fw.read_fails_at = lba;
		know();
		assert_int_equal(known.count, 64);
		fw.read_fails_at = dl_slot_block_back(&super, (u32)lba - 1);
		know();
		assert_int_equal(known.count, 64);
	}
}

/* A disk that fails for good is not asked thousands of times. */
static void test_disk_dies(void **state)
{
	(void)state;
	disk_make(0, 1, 512, 64);
	slot_put(0, 1, 0xa);
	for (u64 lba = 1; lba < BLOCKS; lba = lba * 2 + 1) {
		fw.reads_fail = false;
		know();
		fw.read_fails_at = lba;
		fw.reads_fail = true;
		fw.read_failures = 0;
		efi_disk_know(&disk, &known);
		assert_true(known.known);
		assert_false(known.survey);
		assert_int_equal(known.count, lba > 1);
		assert_true(fw.read_failures <= 9);
	}
}

static void test_survey(void **state)
{
	const struct {
		u32 state;
		bool under_way;
	} cases[] = {{DL_SURVEY_IDLE, false}, {DL_SURVEY_ARMED, true}, {DL_SURVEY_FILLING, false},
		{DL_SURVEY_FILLED, true}, {DL_SURVEY_DONE, false}, {DL_SURVEY_ENDED, false}};

	(void)state;
	disk_make(0, 1, 4096, 64);
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dl_survey v = {
			.version = DL_VERSION, .state = cases[i].state, .cycles_wanted = 2};

		memcpy(v.magic, DL_SURVEY_MAGIC, 8);
		memcpy(v.disk_uuid, super.disk_uuid, 16);
		dl_survey_seal(&v, NULL);
		memcpy(block(0, dl_survey_block(&super)), &v, sizeof(v));
		know();
		assert_int_equal(known.survey, cases[i].under_way);
	}
	super.survey_blocks = 0;
	super_write(0);
	know();
	assert_true(known.known);
	assert_false(known.survey);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_which_disk, start, end),
		cmocka_unit_test_setup_teardown(test_first_superblock_damaged, start, end),
		cmocka_unit_test_setup_teardown(test_directory, start, end),
		cmocka_unit_test_setup_teardown(test_copies, start, end),
		cmocka_unit_test_setup_teardown(test_one_block_unreadable, start, end),
		cmocka_unit_test_setup_teardown(test_disk_dies, start, end),
		cmocka_unit_test_setup_teardown(test_survey, start, end),
	};

	crc32c_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
