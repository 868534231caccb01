/*
 * The core with two dump disks, one of which fails: at every command that it gets, the dump
 * is whole on the other one, and what the first one has stays what it is.
 */
#include "surveylog.h"
#include "tests/unit/main_rig.h"

#define BDF_NEXT 0x28u
#define STEP	 31u /* commands from one failure to the next */

static struct nvme_model next;
static struct machine_disk other;

static struct dl_header header_on(const struct machine_disk *d, u32 slot)
{
	struct dl_super s;
	struct dl_header h;

	memcpy(&s, d->bytes + d->last * 512, sizeof(s));
	memcpy(&h, d->bytes + (d->first + dl_slot_block(slot)) * 512, sizeof(h));
	assert_int_equal(dl_header_check(&h, &s), OK);
	return h;
}

static int setup_two(void **state)
{
	setup(state);
	other = disk;
	other.bytes = malloc((u64)BLOCKS * 512);
	other.uuid[0] = 77;
	machine_disk_format(&other);
	nvme_model_init(&next, BDF_NEXT);
	nvme_model_add(&next, 1, other.bytes, BLOCKS, 9);
	next.dma_first = ARENA_PA;
	next.dma_end = ARENA_PA + ARENA_BYTES;
	next.write_first = FIRST;
	next.write_end = other.last + 1;
	return 0;
}

static int teardown_two(void **state)
{
	assert_int_equal(next.stray_writes, 0);
	assert_int_equal(next.stray_dma, 0);
	assert_int_equal(next.protocol_errors, 0);
	assert_false(pci_model_masters(m.fn));
	assert_false(pci_model_masters(next.fn));
	free(other.bytes);
	return teardown(state);
}

/* Taken in the place of one that failed, in the search or later. */
static void expect_other(void)
{
	struct dl_header h = header_on(&other, 0);

	assert_int_equal(count_of("afterimage: beginning again on another disk\n") +
				 count_of("; another one is taken\n"),
		1);
	expect("afterimage: dump disk nvme 00:05.0 ns 1\n");
	expect("afterimage: dump 1 complete: ");
	assert_int_equal(h.state, DL_STATE_COMPLETE);
	assert_int_equal(h.degraded & DL_DEGRADED_NEXT_DISK, DL_DEGRADED_NEXT_DISK);
	assert_int_equal(count_of("afterimage: kernel "), 1);
}

/* A disk that goes for good; every few commands of a whole dump. */
static void test_dies_anywhere(void **state)
{
	u64 commands;

	teardown_two(state);
	setup_two(state);
	run();
	commands = m.commands;
	assert_true(commands > 10 * STEP);
	for (u64 at = 6; at < commands - 2; at += STEP) {
		teardown_two(state);
		setup_two(state);
		m.fault = NVME_FAULT_GONE;
		m.fault_at = at;
		run();
		expect_other();
		if (strstr(host_console(), "dump 1 stays incomplete there"))
			assert_int_equal(header(0).state, DL_STATE_INCOMPLETE);
	}
}

/* A bad sector: what the disk has is closed in order, the disk stopped in order. */
static void test_write_error(void **state)
{
	(void)state;
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = 120;
	run();
	expect_other();
	expect("afterimage: nvme 00:04.0 ns 1: E27 writing to the dump disk failed; dump 1 stays "
	       "incomplete there, ");
	assert_int_equal(header(0).state, DL_STATE_INCOMPLETE);
	assert_int_equal(header(0).reason, E_WRITE);
	assert_true(m.shut_down);
}

/* Both fail: one result line, of the last one, and nobody does DMA. */
static void test_both_die(void **state)
{
	(void)state;
	m.fault = next.fault = NVME_FAULT_GONE;
	m.fault_at = 120;
	next.fault_at = 240;
	run();
	expect("afterimage: beginning again on another disk\n");
	expect("afterimage: dump 1 incomplete: E23 ");
	assert_int_equal(header(0).state, DL_STATE_INCOMPLETE);
	assert_int_equal(header_on(&other, 0).state, DL_STATE_INCOMPLETE);
}

/* A dump that fills its disk stays there; where nothing could be begun the other one has room. */
static void test_full(void **state)
{
	(void)state;
	free(disk.bytes);
	pci_model_reset();
	make_disk(FIRST + 9 + 16 * 2048);
	super_edit(ACTION_REBOOT, DL_COMP_NONE);
	nvme_model_init(&next, BDF_NEXT);
	nvme_model_add(&next, 1, other.bytes, BLOCKS, 9);
	run();
	expect("afterimage: dump 1 incomplete: E34 ");
	assert_int_equal(next.blocks_written, 0);
	run();
	expect("afterimage: nvme 00:04.0 ns 1: E34 the dump partition is full\n");
	expect_other();
}

/* A survey is armed on the other disk: the memory of a dump that was begun is not its. */
static void test_survey_waits(void **state)
{
	struct dl_survey v = {
		.magic = DL_SURVEY_MAGIC,
		.version = DL_VERSION,
		.state = DL_SURVEY_ARMED,
		.flags = DL_SURVEY_CONFIRMED,
		.cycles_wanted = 1,
	};
	struct dl_super s;
	u8 *at;

	(void)state;
	memcpy(&s, other.bytes + other.first * 512, sizeof(s));
	s.survey_blocks = DL_SURVEY_AREA_BYTES / 512;
	dl_super_seal(&s);
	memcpy(other.bytes + other.first * 512, &s, sizeof(s));
	memcpy(other.bytes + other.last * 512, &s, sizeof(s));
	memcpy(v.disk_uuid, s.disk_uuid, sizeof(v.disk_uuid));
	at = other.bytes + (other.first + dl_survey_block(&s)) * 512;
	memset(at, 0, DL_SURVEY_AREA_BYTES);
	dl_survey_seal(&v, (const struct dl_survey_range *)(void *)(at + DL_SURVEY_RANGES_AT));
	memcpy(at, &v, sizeof(v));
	m.fault = NVME_FAULT_GONE;
	m.fault_at = 120;
	run();
	expect_other();
	assert_memory_equal(at, &v, sizeof(v));
}

/* What the first disk had in its cache is lost by a reset: the other one gets all of it. */
static void test_cache_is_lost(void **state)
{
	(void)state;
	m.caches = m.loses = true;
	m.fault = NVME_FAULT_FATAL;
	m.fault_at = 200;
	m.fault_count = 1;
	run();
	expect("E58 the disk lost data that it had taken; dump 1 stays incomplete there, ");
	expect_other();
	assert_int_equal(header(0).reason, E_NOT_KEPT);
}

/* What was wrong with the first disk is not said of the other one's dump. */
static void test_damaged_superblock(void **state)
{
	(void)state;
	disk.bytes[disk.last * 512 + 40] ^= 1;
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = 120;
	run();
	expect_other();
	assert_int_equal(header_on(&other, 0).degraded & DL_DEGRADED_SUPERBLOCK, 0);
}

/* One that keeps its right to do DMA keeps all memory that it knows of, too. */
static void test_not_silent(void **state)
{
	(void)state;
	m.fn->master_stuck = true;
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = 120;
	run();
	expect("afterimage: the dump disk did not confirm its shutdown\n");
	expect_other();
	assert_int_equal(m.asq, ARENA_PA);
	assert_true(next.asq >= m.asq + OUTBOX_RING_BYTES);
	m.fn->master_stuck = false;
	assert_int_equal(pci_disable_dma(&(struct pci_dev) {.bdf = BDF}), OK);
}

/* The third capture within an hour is that, whichever disk the third one ends on. */
static void test_crash_loop(void **state)
{
	(void)state;
	handoff.door = DOOR_LINUX;
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(count_of("afterimage: E51 "), 0);
		m.fault = i == 2 ? NVME_FAULT_STATUS_DNR : NVME_FAULT_NONE;
		m.fault_at = m.commands + 120;
		run();
	}
	expect_other();
	expect("afterimage: E51 ");
}

/* Another path to the failed disk only if there is nothing else. */
static void test_second_path(void **state)
{
	(void)state;
	memcpy(next.serial, m.serial, sizeof(m.serial));
	next.ns[0].disk = disk.bytes;
	m.fault = NVME_FAULT_GONE;
	m.fault_at = 120;
	run();
	expect("afterimage: nvme 00:05.0 ns 1 is another path to the dump disk\n");
	expect("afterimage: beginning again on another disk\n");
	expect("afterimage: dump 2 complete: ");
	assert_int_equal(header(0).state, DL_STATE_INCOMPLETE);
	assert_int_equal(header(1).state, DL_STATE_COMPLETE);
}

/* The one that was asked for never comes up. */
static void test_asked_for_is_broken(void **state)
{
	(void)state;
	m.ready_stuck_0 = true;
	run();
	expect("afterimage: nvme 00:04.0: E21 ");
	expect("afterimage: the dump disk asked for may be one that failed; another one is "
	       "taken\n");
	expect_other();
}

/* The one that was asked for is not there, and nothing failed: somebody else's disk is left alone. */
static void test_asked_for_is_absent(void **state)
{
	(void)state;
	handoff.target_uuid[3] ^= 1;
	run();
	expect("afterimage: no dump: E30 ");
	assert_int_equal(m.blocks_written + next.blocks_written, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dies_anywhere, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_write_error, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_both_die, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_full, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_survey_waits, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_cache_is_lost, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_damaged_superblock, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_not_silent, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_crash_loop, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_second_path, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_asked_for_is_broken, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_asked_for_is_absent, setup_two, teardown_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
