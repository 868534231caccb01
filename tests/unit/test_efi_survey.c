/*
 * Does the UEFI application see that a survey on its disk goes on, and ask firmware to start it
 * again? Against disks of all states and a firmware that refuses.
 */
#include "crc32c.h"
#include "surveylog.h"
#include "tests/unit/efi_rig.h"

#define DISK_BLOCKS 65536u

static u8 blocks[2][2 * 4096];
static const u8 any[16];

static EFI_STATUS EFIAPI read_blocks(
	EFI_BLOCK_IO_PROTOCOL *io, UINT32 media, EFI_LBA lba, UINTN bytes, void *to)
{
	u64 i = (u64)(io - fw.io);

	assert_int_equal(media, 7);
	assert_int_equal(bytes, io->Media->BlockSize);
	if (lba > io->Media->LastBlock || lba == fw.read_fails_at)
		return EFI_DEVICE_ERROR;
	memcpy(to, fw.blocks[i] + (lba == 0 ? 0 : bytes), bytes);
	return EFI_SUCCESS;
}

static void disk_set(u32 i, u8 uuid, u32 state, u32 done)
{
	struct dl_super super = {.version = DL_VERSION,
		.block_bytes = 512,
		.blocks = DISK_BLOCKS,
		.dir_slots = 64,
		.survey_blocks = DL_SURVEY_AREA_BYTES / 512};
	struct dl_survey survey = {.version = DL_VERSION, .state = state, .cycles_wanted = 2};

	memcpy(super.magic, DL_SUPER_MAGIC, 8);
	memset(super.disk_uuid, uuid, 16);
	dl_super_seal(&super);
	survey.cycles_done = done;
	memcpy(survey.magic, DL_SURVEY_MAGIC, 8);
	memcpy(survey.disk_uuid, super.disk_uuid, 16);
	dl_survey_seal(&survey, NULL);
	memcpy(blocks[i], &super, 512);
	memcpy(blocks[i] + 512, &survey, 512);
	fw.blocks[i] = blocks[i];
	fw.media[i] = (EFI_BLOCK_IO_MEDIA) {.MediaId = 7,
		.MediaPresent = TRUE,
		.LogicalPartition = TRUE,
		.BlockSize = 512,
		.LastBlock = DISK_BLOCKS - 1};
	fw.io[i].Media = &fw.media[i];
	fw.io[i].ReadBlocks = read_blocks;
	fw.disks = i + 1;
}

static void test_survey_next(void **state)
{
	const struct {
		u32 state, done;
		bool next;
	} cases[] = {
		{DL_SURVEY_IDLE, 0, false},
		{DL_SURVEY_ARMED, 0, true},
		{DL_SURVEY_FILLING, 0, false},
		{DL_SURVEY_FILLED, 0, true},
		{DL_SURVEY_FILLED, 1, false},
		{DL_SURVEY_DONE, 2, false},
		{DL_SURVEY_ENDED, 0, false},
	};

	(void)state;
	assert_false(efi_survey_next(&fw.st, any));
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(NULL);
		disk_set(0, 1, cases[i].state, cases[i].done);
		assert_int_equal(efi_survey_next(&fw.st, any), cases[i].next);
		assert_int_equal(fw.next_set, cases[i].next);
	}
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next, 3);
	assert_int_equal(fw.next_flags, 7);
}

/* A record that the image can not write must not make the machine start it for ever. */
static void test_survey_asked_once(void **state)
{
	(void)state;
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next_set, 1);
	disk_set(0, 1, DL_SURVEY_FILLED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next_set, 2);
	/* When it is over nothing of it stays. */
	disk_set(0, 1, DL_SURVEY_DONE, 2);
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.asked_bytes, 0);
	/* Something else of that name does not count; what can not be remembered is not done. */
	fw.asked_bytes = 2;
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, any));
	fw.asked_bytes = 0;
	fw.asked_fails = true;
	assert_false(efi_survey_next(&fw.st, any));
	assert_int_equal(fw.next_set, 3);
}

static void test_survey_of_another_disk(void **state)
{
	u8 uuid[16];

	(void)state;
	memset(uuid, 2, 16);
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	assert_false(efi_survey_next(&fw.st, uuid));
	disk_set(1, 2, DL_SURVEY_IDLE, 0);
	assert_false(efi_survey_next(&fw.st, uuid));
	disk_set(1, 2, DL_SURVEY_ARMED, 0);
	assert_true(efi_survey_next(&fw.st, uuid));
}

/* For another reason than that it was asked before. */
static void refused(void)
{
	fw.asked_bytes = 0;
	assert_false(efi_survey_next(&fw.st, any));
}

static void test_survey_refused(void **state)
{
	(void)state;
	disk_set(0, 1, DL_SURVEY_ARMED, 0);
	fw.has_current = false;
	refused();
	fw.has_current = true;
	fw.set_fails = true;
	refused();
	fw.set_fails = false;
	fw.media[0].LogicalPartition = FALSE;
	refused();
	fw.media[0].LogicalPartition = TRUE;
	fw.media[0].BlockSize = 2048;
	refused();
	fw.media[0].BlockSize = 512;
	fw.media[0].LastBlock = DISK_BLOCKS - 2; /* cut off */
	refused();
	fw.media[0].LastBlock = DISK_BLOCKS - 1;
	fw.read_fails_at = 0;
	refused();
	fw.read_fails_at = DISK_BLOCKS - 1 - 64 - DL_SURVEY_AREA_BYTES / 512;
	refused();
	fw.read_fails_at = UINT64_MAX;
	blocks[0][512 + 40] ^= 1;
	refused();
	blocks[0][512 + 40] ^= 1;
	fw.asked_bytes = 0;
	assert_true(efi_survey_next(&fw.st, any));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_survey_next, setup),
		cmocka_unit_test_setup(test_survey_asked_once, setup),
		cmocka_unit_test_setup(test_survey_of_another_disk, setup),
		cmocka_unit_test_setup(test_survey_refused, setup),
	};

	crc32c_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
