/*
 * What the decision knows of the dump disk: superblock, directory and survey as firmware read
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "choose.h"
#include "crc32c.h"

static struct choose_disk disk;
static struct dl_super super;
static u8 block[4096];

static void super_make(void)
{
	memset(&super, 0, sizeof(super));
	memcpy(super.magic, DL_SUPER_MAGIC, 8);
	super.version = DL_VERSION;
	super.block_bytes = 512;
	super.disk_uuid[0] = 7;
	super.blocks = 1 << 20;
	super.dir_slots = 64;
	super.level = 31;
	super.survey_blocks = 128;
	dl_super_seal(&super);
}

static void slot_make(u32 number, u64 crash_id)
{
	struct dl_header h = {.version = DL_VERSION, .number = number, .crash_id = crash_id};

	memcpy(h.magic, DL_HEADER_MAGIC, 8);
	memcpy(h.disk_uuid, super.disk_uuid, 16);
	h.state = DL_STATE_COMPLETE;
	h.start = dl_data_start(&super);
	h.limit = h.used = 100;
	dl_header_seal(&h);
	memcpy(block, &h, sizeof(h));
}

static void slot_cut(void)
{
	struct dl_header h;

	memcpy(&h, block, sizeof(h));
	h.state = DL_STATE_INCOMPLETE;
	dl_header_seal(&h);
	memcpy(block, &h, sizeof(h));
}

static void test_super(void **state)
{
	struct dl_super out;

	(void)state;
	super_make();
	memcpy(block, &super, sizeof(super));
	disk.count = 3;
	assert_true(choose_disk_super(&disk, block, &out));
	assert_true(disk.known);
	assert_int_equal(disk.count, 0);
	assert_memory_equal(&out, &super, sizeof(out));
	block[100] ^= 1;
	assert_false(choose_disk_super(&disk, block, &out));
	assert_false(disk.known);
	assert_int_equal(disk.why, E_SUPERBLOCK);
}

static void test_slots(void **state)
{
	(void)state;
	super_make();
	disk.count = 0;
	slot_make(4, 44);
	choose_disk_slot(&disk, &super, block);
	assert_int_equal(disk.count, 1);
	assert_int_equal(disk.dump[0].crash_id, 44);
	assert_int_equal(disk.dump[0].number, 4);
	block[60] ^= 1; /* damaged */
	choose_disk_slot(&disk, &super, block);
	slot_make(5, 0); /* of a kernel that was not recognised */
	choose_disk_slot(&disk, &super, block);
	memset(block, 0, sizeof(block));
	choose_disk_slot(&disk, &super, block);
	slot_make(7, 77);
	slot_cut();
	choose_disk_slot(&disk, &super, block);
	assert_int_equal(disk.count, 2);
	assert_true(disk.dump[1].cut && !disk.dump[0].cut);
	super.disk_uuid[0] = 8; /* another disk's */
	slot_make(6, 66);
	super.disk_uuid[0] = 7;
	choose_disk_slot(&disk, &super, block);
	assert_int_equal(disk.count, 2);
}

/* Of more dumps than there is room for the latest count, in whatever order they come. */
static void test_many_slots(void **state)
{
	u32 seen = 0;

	(void)state;
	super_make();
	disk.count = 0;
	for (u32 i = 0; i < 3 * CHOOSE_IDS; i++) {
		u32 number = i * 7 % (3 * CHOOSE_IDS) + 1;

		slot_make(number, 1000 + number);
		choose_disk_slot(&disk, &super, block);
	}
	assert_int_equal(disk.count, CHOOSE_IDS);
	for (u32 i = 0; i < CHOOSE_IDS; i++) {
		assert_int_equal(disk.dump[i].crash_id, 1000 + disk.dump[i].number);
		seen += disk.dump[i].number > 2 * CHOOSE_IDS;
	}
	assert_int_equal(seen, CHOOSE_IDS);
}

static bool survey_seen(u32 survey_state)
{
	struct dl_survey v = {
		.version = DL_VERSION, .state = survey_state, .cycles_wanted = 2, .door = 1};

	memcpy(v.magic, DL_SURVEY_MAGIC, 8);
	memcpy(v.disk_uuid, super.disk_uuid, 16);
	dl_survey_seal(&v, NULL);
	memcpy(block, &v, sizeof(v));
	disk.survey = false;
	choose_disk_survey(&disk, &super, block);
	return disk.survey;
}

static void test_survey(void **state)
{
	u64 id;

	(void)state;
	super_make();
	assert_true(survey_seen(DL_SURVEY_ARMED));
	id = disk.survey_id;
	assert_true(survey_seen(DL_SURVEY_FILLED));
	assert_true(id && disk.survey_id && id != disk.survey_id);
	assert_false(survey_seen(DL_SURVEY_DONE));
	assert_false(survey_seen(DL_SURVEY_ENDED));
	assert_true(survey_seen(DL_SURVEY_ARMED));
	block[20] ^= 1;
	disk.survey = false;
	choose_disk_survey(&disk, &super, block);
	assert_false(disk.survey);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_many_slots),
		cmocka_unit_test(test_survey),
	};

	crc32c_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
