/*
 * Which of several dump disks is taken when it is known what firmware booted, and what the
 * operator is told of the others.
 */
#include "tests/unit/target_rig.h"

#define OTHER	  "afterimage: another dump disk, "
#define TWIN	  "afterimage: another dump disk with the same UUID, "
#define UNUSED	  " ns 1, is present and not used\n"
#define ELSEWHERE "afterimage: the dump disk is not the disk that was booted\n"

static const u8 esp[16] = {0xe5};

/* Gives disk @i's first partition the GUID that firmware booted from. */
static void boot_from(u32 i)
{
	u64 backup;

	memcpy(&backup, block(i, BLOCKS - 1) + 72, 8);
	memcpy(block(i, 2) + 16, esp, 16);
	memcpy(block(i, backup) + 16, esp, 16);
	machine_gpt_seal(&disk[i], 1);
	machine_gpt_seal(&disk[i], BLOCKS - 1);
}

static void no_dump_disk(u32 i)
{
	memset(block(i, FIRST), 0, 512);
	memset(block(i, LAST), 0, 512);
}

static void expect(const u8 *uuid, const u8 *boot, u32 disks, u32 want)
{
	assert_int_equal(find(uuid, boot), OK);
	assert_int_equal(t.place.bdf, BDF(want));
	assert_memory_equal(t.super.disk_uuid, disk[want].uuid, 16);
	assert_true(t.gate.writable);
	assert_ptr_equal(t.gate.blk, t.blk);
	assert_true(mc.arena.used <= 28 * KIB + PAGE_BYTES);
	for (u32 i = 0; i < disks; i++)
		assert_int_equal(pci_model_masters(m[i].fn), i == want);
}

static void test_alone_nothing_is_said(void **state)
{
	(void)state;
	make(1);
	boot_from(0);
	expect(disk[0].uuid, any, 1, 0);
	assert_false(t.elsewhere);
	assert_string_equal(host_console(), "");
	unmake(1);
	make(1);
	boot_from(0);
	expect(any, esp, 1, 0);
	assert_false(t.elsewhere);
	assert_int_equal(t.how, TARGET_BOOTED);
	assert_string_equal(host_console(), "");
	unmake(1);
}

static void test_others_are_named(void **state)
{
	(void)state;
	make(3);
	expect(disk[1].uuid, any, 3, 1);
	assert_string_equal(
		host_console(), OTHER "nvme 00:04.0" UNUSED OTHER "nvme 00:06.0" UNUSED);
	unmake(3);
	make(3);
	no_dump_disk(1);
	expect(any, any, 3, 0);
	assert_int_equal(t.how, TARGET_ANY);
	assert_string_equal(host_console(), OTHER "nvme 00:06.0" UNUSED);
	unmake(3);
}

/* Both were made from one image: the first one is taken, and the operator knows. */
static void test_clone_is_named(void **state)
{
	(void)state;
	make(2);
	memset(disk[1].uuid, 1, 16);
	machine_disk_format(&disk[1]);
	expect(disk[0].uuid, any, 2, 0);
	assert_string_equal(host_console(), TWIN "nvme 00:05.0" UNUSED);
	unmake(2);
}

static void test_uuid_not_there(void **state)
{
	static const u8 other[16] = {9};

	(void)state;
	make(2);
	boot_from(1);
	assert_int_equal(find(other, esp), E_NO_PARTITION);
	assert_string_equal(
		host_console(), OTHER "nvme 00:04.0" UNUSED OTHER "nvme 00:05.0" UNUSED);
	unmake(2);
}

/* Whichever place it has. */
static void test_booted_disk_wins(void **state)
{
	(void)state;
	for (u32 booted = 0; booted < DISKS; booted++) {
		make(DISKS);
		boot_from(booted);
		expect(any, esp, DISKS, booted);
		assert_int_equal(t.how, TARGET_BOOTED);
		assert_false(t.elsewhere);
		assert_non_null(strstr(host_console(), OTHER));
		assert_null(strstr(host_console(), "not the disk"));
		unmake(DISKS);
	}
}

/* With its first table damaged the second one serves. */
static void test_booted_disk_by_its_second_table(void **state)
{
	(void)state;
	make(2);
	boot_from(1);
	block(1, 2)[16] ^= 1;
	expect(any, esp, 2, 1);
	assert_int_equal(t.how, TARGET_BOOTED);
	unmake(2);
}

static void test_uuid_goes_before_the_booted_disk(void **state)
{
	(void)state;
	make(2);
	boot_from(1);
	expect(disk[0].uuid, esp, 2, 0);
	assert_int_equal(t.how, TARGET_EXACT);
	assert_true(t.elsewhere);
	assert_string_equal(host_console(), ELSEWHERE OTHER "nvme 00:05.0" UNUSED);
	unmake(2);
	make(2);
	boot_from(1);
	expect(disk[1].uuid, esp, 2, 1);
	assert_false(t.elsewhere);
	assert_string_equal(host_console(), OTHER "nvme 00:04.0" UNUSED);
	unmake(2);
}

/* The disk that was booted has no dump partition, or is no NVMe disk: the first other one. */
static void test_dump_partition_elsewhere(void **state)
{
	(void)state;
	for (u32 found = 0; found < 2; found++) {
		make(DISKS);
		no_dump_disk(0);
		if (found)
			boot_from(0);
		expect(any, esp, DISKS, 1);
		assert_int_equal(t.how, TARGET_ANY);
		assert_true(t.elsewhere);
		assert_string_equal(host_console(), ELSEWHERE OTHER "nvme 00:06.0" UNUSED);
		unmake(DISKS);
	}
}

/* The second search does not meet again what the first one met. */
static void test_second_search_is_short(void **state)
{
	(void)state;
	make(2);
	m[0].ready_stuck_0 = true;
	assert_int_equal(find(any, esp), OK);
	assert_int_equal(t.place.bdf, BDF(1));
	assert_string_equal(host_console(), "afterimage: nvme 00:04.0: E21 the disk controller did "
					    "not become ready\n" ELSEWHERE);
	unmake(2);
}

/* A used GUID in an entry that is not in use is none. */
static void test_deleted_partition(void **state)
{
	(void)state;
	make(2);
	boot_from(1);
	memset(block(1, 2), 0, 16);
	machine_gpt_seal(&disk[1], 1);
	expect(any, esp, 2, 0);
	assert_true(t.elsewhere);
	unmake(2);
}

/* Looking on costs no more than one controller that fails, and not much time. */
static void test_looking_on_is_bounded(void **state)
{
	u64 start_us;

	(void)state;
	make(3);
	m[1].fault = NVME_FAULT_STATUS_DNR;
	m[1].fault_at = 1;
	m[1].fault_count = NVME_MODEL_FOREVER;
	assert_int_equal(find(disk[0].uuid, any), OK);
	assert_int_equal(t.place.bdf, BDF(0));
	assert_true(pci_model_masters(m[0].fn));
	assert_false(pci_model_masters(m[1].fn));
	assert_int_equal(m[2].reads, 0);
	unmake(3);
	make(3);
	m[1].us_per_read = TARGET_LOOK_ON_US;
	m[1].to = 255;
	start_us = clock_us();
	expect(disk[0].uuid, any, 2, 0);
	assert_true(clock_us() - start_us > TARGET_LOOK_ON_US);
	assert_int_equal(m[2].reads, 0);
	unmake(3);
}

/* Whatever becomes of the others once the target is found, it stays good. */
static void test_target_outlives_faults_of_others(void **state)
{
	(void)state;
	for (u32 fault = NVME_FAULT_NEVER; fault < NVME_FAULTS; fault++) {
		for (u64 at = 1; at < 12; at++) {
			struct blk_req w = {.op = BLK_WRITE, .lba = 100, .blocks = 8, .nsegs = 1};

			make(2);
			m[1].fault = (enum nvme_fault)fault;
			m[1].fault_at = at;
			m[1].fault_count = NVME_MODEL_FOREVER;
			assert_int_equal(find(disk[0].uuid, any), OK);
			assert_int_equal(t.place.bdf, BDF(0));
			assert_memory_equal(t.super.disk_uuid, disk[0].uuid, 16);
			assert_false(pci_model_masters(m[1].fn));
			w.seg[0].pa = MACHINE_OLD_PA;
			w.seg[0].bytes = PAGE_BYTES;
			assert_int_equal(gate_run(&t.gate, &w), OK);
			assert_memory_equal(
				block(0, FIRST + 100), mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
			unmake(2);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone_nothing_is_said),
		cmocka_unit_test(test_others_are_named),
		cmocka_unit_test(test_clone_is_named),
		cmocka_unit_test(test_uuid_not_there),
		cmocka_unit_test(test_booted_disk_wins),
		cmocka_unit_test(test_booted_disk_by_its_second_table),
		cmocka_unit_test(test_uuid_goes_before_the_booted_disk),
		cmocka_unit_test(test_dump_partition_elsewhere),
		cmocka_unit_test(test_second_search_is_short),
		cmocka_unit_test(test_deleted_partition),
		cmocka_unit_test(test_looking_on_is_bounded),
		cmocka_unit_test(test_target_outlives_faults_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
