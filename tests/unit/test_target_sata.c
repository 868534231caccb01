/*
 * Finding the dump partition on one of several disks of one controller: what is wrong with
 * the others must not hide it, and is told.
 */
#include "tests/model/ahci_model.h"
#include "tests/unit/target_rig.h"

#define PORTS	3u
#define HBA_BDF 0xf8u

static struct ahci_model hba;

/* Formatted disks in ports 0 and 2, nothing in port 1. */
static void plug(void)
{
	make(0);
	ahci_model_init(&hba, HBA_BDF, PORTS);
	hba.dma_first = MACHINE_ARENA_PA;
	hba.dma_end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;
	hba.us_per_read = 2000;
	for (u32 i = 0; i < PORTS; i += 2) {
		disk[i] = (struct machine_disk) {
			.blocks = BLOCKS, .block_bytes = 512, .first = FIRST, .last = LAST};
		disk[i].bytes = calloc(BLOCKS, 512);
		memset(disk[i].uuid, (int)i + 1, 16);
		machine_disk_format(&disk[i]);
		ahci_model_disk(&hba, i, disk[i].bytes, NULL, BLOCKS * 512ull, 512);
	}
}

static void unplug(void)
{
	assert_int_equal(hba.stray_dma, 0);
	assert_int_equal(hba.stray_writes, 0);
	assert_int_equal(hba.protocol_errors, 0);
	ahci_model_free(&hba);
	for (u32 i = 0; i < PORTS; i += 2)
		free(disk[i].bytes);
	unmake(0);
}

static void expect_last(void)
{
	assert_int_equal(find(disk[2].uuid, any), OK);
	assert_string_equal(t.blk->name, "ahci 00:1f.0 port 2");
	assert_int_equal(t.place.disk, 2);
	assert_int_equal(t.place.disks, PORTS);
	assert_int_equal(t.blk->ops->stop(t.blk), OK);
}

static void test_last_port(void **state)
{
	(void)state;
	plug();
	expect_last();
	assert_null(strstr(host_console(), ": E"));
	unplug();
}

/* The second command to the first disk is the first read; the third identifies it again. */
static void test_disk_before_it_dies(void **state)
{
	(void)state;
	plug();
	hba.fault = AHCI_FAULT_NEVER;
	hba.fault_at = 2;
	hba.fault_count = 2;
	expect_last();
	assert_non_null(strstr(host_console(), "afterimage: ahci 00:1f.0 port 0: E24 "));
	unplug();
}

static void test_last_disk_dies(void **state)
{
	const char *told;

	(void)state;
	plug();
	memset(disk[0].bytes, 0, 512);
	hba.fault = AHCI_FAULT_NEVER;
	hba.fault_at = 4; /* after what is read of the first one */
	hba.fault_count = 2;
	assert_int_equal(find(any, any), E_TIMEOUT);
	told = strstr(host_console(), "E24 ");
	assert_non_null(told);
	assert_null(strstr(told + 1, "E24 "));
	assert_false(pci_model_masters(hba.fn));
	unplug();
}

static void test_no_disks(void **state)
{
	(void)state;
	plug();
	ahci_model_put(&hba, 0, AHCI_KIND_NOTHING);
	ahci_model_put(&hba, 2, AHCI_KIND_ATAPI);
	assert_int_equal(find(any, any), E_NO_DISK);
	unplug();
}

/* Once there is a target, a disk that takes its time is the last one that is looked at. */
static void test_target_is_elsewhere(void **state)
{
	struct machine_disk *d = &disk[1];

	(void)state;
	plug();
	*d = disk[0];
	d->bytes = calloc(BLOCKS, 512);
	memset(d->uuid, 9, sizeof(d->uuid));
	machine_disk_format(d);
	nvme_model_init(&m[1], BDF(1));
	nvme_model_add(&m[1], 1, d->bytes, BLOCKS, 9);
	m[1].dma_first = MACHINE_ARENA_PA;
	m[1].dma_end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;
	hba.fault = AHCI_FAULT_NEVER;
	hba.fault_at = 1;
	assert_int_equal(find(d->uuid, any), OK);
	assert_non_null(strstr(host_console(), "afterimage: ahci 00:1f.0 port 0: E24 "));
	assert_null(strstr(host_console(), "port 2"));
	assert_int_equal(t.blk->ops->stop(t.blk), OK);
	free(d->bytes);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_port),
		cmocka_unit_test(test_disk_before_it_dies),
		cmocka_unit_test(test_last_disk_dies),
		cmocka_unit_test(test_no_disks),
		cmocka_unit_test(test_target_is_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
