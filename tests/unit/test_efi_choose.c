/*
 * Automatic mode and the menu in firmware's world: what is remembered in firmware's variables and
 * when that is forgotten, what the image is told, what keys and refusing firmware do. How the
 * kernel in memory ended is scripted here: ending_find() takes the place of the real one.
 */
#include <stdlib.h>
#include "crc32c.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"
#include "tests/unit/efi_rig.h"

#define RAM_BYTES (32u * MIB)
#define BLOCKS	  40000u
#define CRASH	  0x1122334455667788ull
#define OTHER	  0x99ull

static u8 *ram;
static u8 *blocks;
static struct dl_super super;
static struct linuxboot_cmdline settings;
static struct efiboot boot;
static struct ending ending;

void ending_find(struct physmem *memory, const struct oldkernel *k, struct panic_scratch *lent,
	struct ending *out)
{
	(void)memory;
	(void)k;
	memset(lent, 0xee, sizeof(*lent));
	*out = ending;
}

static void disk_make(void)
{
	super = (struct dl_super) {.version = DL_VERSION,
		.block_bytes = 512,
		.blocks = BLOCKS,
		.dir_slots = 4,
		.survey_blocks = DL_SURVEY_AREA_BYTES / 512};
	memcpy(super.magic, DL_SUPER_MAGIC, 8);
	memset(super.disk_uuid, 1, 16);
	dl_super_seal(&super);
	blocks = calloc(BLOCKS, 512);
	memcpy(blocks, &super, sizeof(super));
	fw.media[0] = (EFI_BLOCK_IO_MEDIA) {.MediaPresent = TRUE,
		.LogicalPartition = TRUE,
		.BlockSize = 512,
		.LastBlock = BLOCKS - 1};
	fw.io[0].Media = &fw.media[0];
	fw.io[0].ReadBlocks = disk_read;
	fw.blocks[0] = blocks;
	fw.disks = 1;
}

static void dump_put(u64 crash_id)
{
	struct dl_header h = {.version = DL_VERSION,
		.state = DL_STATE_COMPLETE,
		.generation = 1,
		.number = 5,
		.start = dl_data_start(&super),
		.limit = 1,
		.crash_id = crash_id};

	memcpy(h.magic, DL_HEADER_MAGIC, 8);
	memcpy(h.disk_uuid, super.disk_uuid, 16);
	dl_header_seal(&h);
	memcpy(blocks + 512, &h, sizeof(h));
}

static void survey_put(u32 state)
{
	struct dl_survey v = {.version = DL_VERSION, .state = state, .cycles_wanted = 2};

	memcpy(v.magic, DL_SURVEY_MAGIC, 8);
	memcpy(v.disk_uuid, super.disk_uuid, 16);
	dl_survey_seal(&v, NULL);
	memcpy(blocks + 512 * dl_survey_block(&super), &v, sizeof(v));
}

static void kernel_put(u32 how)
{
	struct fake_kernel fk = fake_kernel_default();

	fake_kernel_build(&fk);
	ending = (struct ending) {.how = how, .why = "ended", .crash_id = CRASH};
}

static void tried_put(u64 id)
{
	fw.tried = id;
	fw.tried_bytes = sizeof(id);
}

static int start(void **state)
{
	host_reset_all();
	host_clock_step(1);
	setup(state);
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	memset(ram, 0, RAM_BYTES);
	host_ram_set(ram, RAM_BYTES);
	memset(&boot, 0, sizeof(boot));
	memmap_add(&boot.map, MIB, RAM_BYTES - MIB, MEM_RAM);
	memset(&settings, 0, sizeof(settings));
	settings.automatic = true;
	disk_make();
	return 0;
}

static int end(void **state)
{
	(void)state;
	host_reset_all();
	free(blocks);
	free(ram);
	return 0;
}

static enum choose_way choose(void)
{
	host_console_clear();
	return efi_choose(&fw.st, &settings, &boot);
}

static void expect(const char *words)
{
	if (!strstr(host_console(), words))
		fail_msg("\"%s\" is not in:\n%s", words, host_console());
}

static void test_crash_is_captured_once(void **state)
{
	const EFI_INPUT_KEY keys[] = {{0, L'd'}};

	(void)state;
	kernel_put(ENDING_CRASH);
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	expect("ended; capturing it\n");
	assert_true(boot.automatic);
	assert_false(boot.has_level);
	assert_int_equal(boot.vmcoreinfo_pa, fake_kernel_default().note_pa);
	assert_int_equal(fw.tried_bytes, 8);
	assert_int_equal(fw.tried, CRASH);
	assert_int_equal(fw.stalled_us, 0);

	/* The capture failed. That stays so, without wear of the flash, until it is another one. */
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(choose(), CHOOSE_BOOT_ON);
		expect("E70");
	}
	assert_int_equal(fw.tried_sets, 1);
	fw.keys = keys;
	fw.keys_left = 1;
	settings.menu_seconds = 3;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_int_equal(boot.vmcoreinfo_pa, fake_kernel_default().note_pa);
	assert_int_equal(fw.tried_sets, 1);
	settings.menu_seconds = 0;
	ending.crash_id = OTHER;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_int_equal(fw.tried, OTHER);

	/* It did not fail. */
	dump_put(OTHER);
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	expect("dump 5 has it\n");
	assert_int_equal(fw.tried_bytes, 0);
	assert_int_equal(fw.tried_sets, 3);
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	assert_int_equal(fw.tried_sets, 3);
}

static void test_forgotten_when_it_is_gone(void **state)
{
	(void)state;
	tried_put(CRASH);
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	expect("no old kernel in memory");
	assert_int_equal(fw.tried_bytes, 0);
	tried_put(CRASH);
	kernel_put(ENDING_ORDERLY);
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	assert_int_equal(fw.tried_bytes, 0);
	/* Not if the disk may only be slow this time. */
	kernel_put(ENDING_CRASH);
	tried_put(CRASH);
	fw.disks = 0;
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	expect("E30");
	assert_int_equal(fw.tried, CRASH);
	assert_int_equal(fw.tried_bytes, 8);
	/* What is no name of a crash does not count. */
	fw.disks = 1;
	fw.tried_bytes = 4;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
}

/* Without that memory a capture that fails would be begun at every start. */
static void test_can_not_be_remembered(void **state)
{
	const EFI_INPUT_KEY keys[] = {{0, L'd'}};

	(void)state;
	kernel_put(ENDING_CRASH);
	fw.tried_fails = true;
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	expect("E71");
	/* Somebody who is there will see. */
	settings.menu_seconds = 3;
	fw.keys = keys;
	fw.keys_left = 1;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
}

static void test_keys(void **state)
{
	const EFI_INPUT_KEY keys[] = {{0, L'd'}, {0, L'l'}, {0, L'3'}, {0, L'\r'}, {0, L'o'},
		{0, L'b'}, {0, L'l'}, {0x17, 0}};

	(void)state;
	settings.menu_seconds = 3;
	kernel_put(ENDING_ORDERLY);
	fw.keys = keys;
	fw.keys_left = 5;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_false(boot.has_level);
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_true(boot.has_level);
	assert_int_equal(boot.level, 3);
	assert_int_equal(choose(), CHOOSE_OFF);
	assert_int_equal(fw.stalled_us, 0);
	kernel_put(ENDING_CRASH);
	fw.keys_left = 1;
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	assert_int_equal(fw.tried_sets, 0);
	fw.keys_left = 2;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_false(boot.has_level);
	expect("that is no level");
	assert_true(fw.stalled_us > 1000000 && fw.stalled_us < 7000000);
	/* Without keys nobody is asked. */
	fw.stalled_us = 0;
	fw.st.ConIn = NULL;
	fw.tried_bytes = 0;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_null(strstr(host_console(), "keys:"));
}

/* A server with many paths to many disks. */
static void test_many_disks(void **state)
{
	(void)state;
	kernel_put(ENDING_CRASH);
	fw.others = 1500;
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	expect("ended; capturing it\n");
}

/* The menu alone: nothing of memory or disk decides, nothing is remembered. */
static void test_menu_only(void **state)
{
	const EFI_INPUT_KEY keys[] = {{0, L'b'}};

	(void)state;
	settings.automatic = false;
	settings.menu_seconds = 2;
	tried_put(CRASH);
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_in_range(fw.stalled_us, 1900000, 2000000);
	assert_false(boot.automatic);
	fw.keys = keys;
	fw.keys_left = 1;
	assert_int_equal(choose(), CHOOSE_BOOT_ON);
	assert_int_equal(fw.tried_bytes, 8);
	assert_int_equal(fw.tried_sets, 0);
	assert_int_equal(host_windows_opened(), 0);
}

static void test_survey_under_way(void **state)
{
	const EFI_INPUT_KEY keys[] = {{0, L'o'}};

	(void)state;
	settings.menu_seconds = 3;
	fw.keys = keys;
	fw.keys_left = 1;
	survey_put(DL_SURVEY_ARMED);
	kernel_put(ENDING_CRASH);
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	expect("a survey is under way");
	settings.automatic = false;
	survey_put(DL_SURVEY_FILLED);
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_int_equal(fw.keys_left, 1);
	assert_int_equal(fw.stalled_us, 0);
	assert_int_equal(fw.tried_sets, 1);
	/* The image did not get to write its record: firmware goes on, until it is another one. */
	fw.keys_left = 0;
	settings.automatic = true;
	survey_put(DL_SURVEY_ARMED);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(choose(), CHOOSE_BOOT_ON);
		expect("the survey's record was not written at the last start; booting on");
		assert_int_equal(fw.tried_bytes, 8);
	}
	survey_put(DL_SURVEY_FILLED);
	assert_int_equal(choose(), CHOOSE_CAPTURE);
	assert_int_equal(fw.tried_sets, 2);
	fw.keys_left = 1;
	survey_put(DL_SURVEY_DONE);
	assert_int_equal(choose(), CHOOSE_OFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_crash_is_captured_once, start, end),
		cmocka_unit_test_setup_teardown(test_forgotten_when_it_is_gone, start, end),
		cmocka_unit_test_setup_teardown(test_can_not_be_remembered, start, end),
		cmocka_unit_test_setup_teardown(test_keys, start, end),
		cmocka_unit_test_setup_teardown(test_many_disks, start, end),
		cmocka_unit_test_setup_teardown(test_menu_only, start, end),
		cmocka_unit_test_setup_teardown(test_survey_under_way, start, end),
	};

	crc32c_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
