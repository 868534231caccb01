/*
 * Finding the dump partition among several modelled disks, good ones, damaged ones
 * and ones that belong to somebody else.
 */
#include "tests/unit/target_rig.h"

static void test_exact(void **state)
{
	struct blk_req w = {.op = BLK_WRITE, .lba = 0, .blocks = 8, .nsegs = 1};

	(void)state;
	make(3);
	assert_int_equal(find(disk[1].uuid, any), OK);
	assert_int_equal(t.how, TARGET_EXACT);
	assert_int_equal(t.place.bdf, BDF(1));
	assert_string_equal(t.blk->name, "nvme 00:05.0 ns 1");
	assert_memory_equal(t.super.disk_uuid, disk[1].uuid, 16);
	assert_false(t.super_damaged);
	assert_int_equal(t.gate.blocks, LAST - FIRST + 1);
	assert_true(t.gate.writable);
	assert_ptr_equal(t.gate.blk, t.blk);
	/* The others were stopped in order. */
	assert_true(m[0].shut_down && m[2].shut_down);
	assert_false(pci_model_masters(m[0].fn));
	assert_true(pci_model_masters(m[1].fn));
	assert_false(pci_model_masters(m[2].fn));
	assert_true(mc.arena.used <= 28 * KIB + PAGE_BYTES);
	/* The first block of the gate is the partition's. */
	w.seg[0].pa = MACHINE_OLD_PA;
	w.seg[0].bytes = PAGE_BYTES;
	w.lba = 100;
	assert_int_equal(gate_run(&t.gate, &w), OK);
	assert_memory_equal(block(1, FIRST + 100), mc.ram + MACHINE_OLD_PA, PAGE_BYTES);
	w.lba = LAST - FIRST - 6;
	assert_int_equal(gate_run(&t.gate, &w), E_GATE);
	assert_int_equal(t.blk->ops->stop(t.blk), OK);
	unmake(3);
}

static void test_any(void **state)
{
	(void)state;
	make(2);
	memset(block(0, 0), 0, 512);
	assert_int_equal(find(any, any), OK);
	assert_int_equal(t.how, TARGET_ANY);
	assert_int_equal(t.place.bdf, BDF(1));
	unmake(2);
}

/* What the arena had is given back by every controller that has lost its right to do DMA. */
static void test_memory_is_reused(void **state)
{
	u64 used;

	(void)state;
	make(1);
	assert_int_equal(find(disk[0].uuid, any), OK);
	used = mc.arena.used;
	unmake(1);
	make(3);
	assert_int_equal(find(disk[2].uuid, any), OK);
	assert_int_equal(mc.arena.used, used);
	unmake(3);
	make(3);
	m[0].shutdown_stuck = true;
	assert_int_equal(find(disk[2].uuid, any), OK);
	assert_int_equal(mc.arena.used, used);
	unmake(3);
}

static void test_one_superblock_serves(void **state)
{
	(void)state;
	for (u32 end = 0; end < 2; end++) {
		make(1);
		block(0, end ? LAST : FIRST)[99] ^= 1;
		assert_int_equal(find(disk[0].uuid, any), OK);
		assert_true(t.super_damaged);
		assert_memory_equal(t.super.disk_uuid, disk[0].uuid, 16);
		assert_true(t.gate.writable);
		unmake(1);
	}
}

static void super_edit(u32 i, u64 lba, u32 version, u64 blocks)
{
	struct dl_super s;

	memcpy(&s, block(i, lba), sizeof(s));
	s.version = version;
	s.blocks = blocks;
	dl_super_seal(&s);
	memcpy(block(i, lba), &s, sizeof(s));
}

static void expect(enum status want, u32 disks)
{
	assert_int_equal(find(any, any), want);
	assert_null(t.blk);
	for (u32 i = 0; i < disks; i++)
		assert_false(pci_model_masters(m[i].fn));
	unmake(disks);
}

static void test_failures_alone(void **state)
{
	static const u8 other[16] = {9};

	(void)state;
	machine_init(&mc);
	pci_model_add(0x10, 0x0c0330);
	expect(E_NO_DISK, 0);
	make(1);
	assert_int_equal(find(other, any), E_NO_PARTITION);
	unmake(1);
	make(1);
	memset(block(0, 0), 0, 512);
	expect(E_NO_PARTITION, 1);
	make(1);
	memset(block(0, 1), 0, 512);
	memset(block(0, BLOCKS - 1), 0, 512);
	expect(E_GPT, 1);
	make(1);
	memset(block(0, FIRST), 0, 512);
	memset(block(0, LAST), 0, 512);
	expect(E_SUPERBLOCK, 1);
	make(1);
	super_edit(0, FIRST, 2, LAST - FIRST + 1);
	super_edit(0, LAST, 2, LAST - FIRST + 1);
	expect(E_VERSION, 1);
	make(1);
	super_edit(0, FIRST, 1, LAST - FIRST);
	super_edit(0, LAST, 1, LAST - FIRST);
	expect(E_GEOMETRY, 1);
}

static void test_controllers_alone(void **state)
{
	(void)state;
	make(1);
	m[0].ns[0].blocks = LAST; /* cloned to a smaller disk */
	expect(E_GEOMETRY, 1);
	make(1);
	m[0].ns[0].metadata_bytes = 8;
	expect(E_FORMAT, 1);
	make(1);
	m[0].nn = m[0].ns_count = 0;
	expect(E_NO_DISK, 1);
	make(1);
	mc.arena.bytes = 28 * KIB;
	expect(E_NO_MEMORY, 1);
	make(1);
	m[0].ready_stuck_0 = true;
	expect(E_READY, 1);
}

/* Of several failures the most telling one; a controller's own is also printed. */
static void test_most_telling(void **state)
{
	(void)state;
	make(3);
	super_edit(0, FIRST, 1, 40000);
	super_edit(0, LAST, 1, 40000);
	super_edit(1, FIRST, 2, 1);
	super_edit(1, LAST, 2, 1);
	memset(block(2, 0), 0, 512);
	expect(E_VERSION, 3);
	make(3);
	memset(block(0, 0), 0, 512);
	m[1].ready_stuck_0 = true;
	memset(block(2, 1), 0, 512);
	memset(block(2, BLOCKS - 1), 0, 512);
	assert_int_equal(find(any, any), E_READY);
	assert_string_equal(host_console(),
		"afterimage: nvme 00:05.0: E21 the disk controller did not become ready\n");
	unmake(3);
}

/* A dead controller does not keep the target from being found on another. */
static void test_goes_on_after_a_dead_one(void **state)
{
	(void)state;
	for (u32 fault = NVME_FAULT_NEVER; fault < NVME_FAULTS; fault++) {
		for (u64 at = 1; at < 12; at++) {
			make(2);
			m[0].fault = (enum nvme_fault)fault;
			m[0].fault_at = at;
			m[0].fault_count = NVME_MODEL_FOREVER;
			assert_int_equal(find(disk[1].uuid, any), OK);
			assert_int_equal(t.place.bdf, BDF(1));
			assert_false(pci_model_masters(m[0].fn));
			unmake(2);
		}
	}
}

/*
 * Eight controllers that die in the same way, and a healthy one behind them: what they keep
 * leaves the dump enough of the smallest arena, the BIOS door's 368 KiB.
 */
static void test_many_dead_ones(void **state)
{
	static struct nvme_model dead[8];
	static const u32 keeps_kib[] = {0, 8, 8, 12, 0};

	(void)state;
	for (u32 how = 0; how < ARRAY_SIZE(keeps_kib); how++) {
		u64 alone;

		make(1);
		assert_int_equal(find(disk[0].uuid, any), OK);
		alone = mc.arena.used;
		assert_int_equal(t.blk->ops->stop(t.blk), OK);
		mc.arena.used = 0;
		for (u32 i = 0; i < ARRAY_SIZE(dead); i++) {
			nvme_model_init(&dead[i], 0x00 + i);
			dead[i].fn->config[3] = PCI_MODEL_MULTI;
			dead[i].us_per_read = 5000;
			dead[i].ready_stuck_1 = how == 0;
			dead[i].ready_stuck_0 = how == 1;
			dead[i].read_fault = how == 2 ? NVME_READ_GONE : NVME_READ_NONE;
			dead[i].read_fault_at = 30; /* while it comes up */
			dead[i].ready_reads = how == 2 ? 15 : 3;
			dead[i].fault = how == 3 ? NVME_FAULT_NEVER : NVME_FAULT_STATUS_DNR;
			dead[i].fault_at = 1;
			dead[i].fault_count = NVME_MODEL_FOREVER;
			dead[i].dma_first = MACHINE_ARENA_PA;
			dead[i].dma_end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;
		}
		assert_int_equal(find(disk[0].uuid, any), OK);
		assert_int_equal(t.place.bdf, BDF(0));
		assert_int_equal(mc.arena.used, alone + 8 * keeps_kib[how] * KIB);
		assert_true(mc.arena.used + WRITER_ARENA_BYTES <= 368 * KIB);
		if (keeps_kib[how] <= 8) /* and compressed */
			assert_true(mc.arena.used + WRITER_ARENA_BYTES + CAPTURE_ARENA_BYTES <=
				    368 * KIB);
		for (u32 i = 0; i < ARRAY_SIZE(dead); i++) {
			assert_int_equal(dead[i].stray_dma | dead[i].protocol_errors, 0);
			assert_false(pci_model_masters(dead[i].fn));
		}
		unmake(1);
	}
}

/* A table left over on a disk that was given to something else must not be followed. */
static void test_stale_table(void **state)
{
	(void)state;
	make(1);
	memset(block(0, 0), 0, 1024); /* what mkfs clears: MBR and first header */
	assert_int_equal(find(disk[0].uuid, any), E_NO_PARTITION);
	unmake(1);
}

static void test_second_partition_and_namespace(void **state)
{
	u8 *entries;
	u8 *small = calloc(64, 512);

	(void)state;
	make(1);
	/* A dump-type entry that does not fit comes first. */
	entries = block(0, 2);
	memcpy(entries + 128, entries + 256, 128);
	memset(entries + 128 + 40, 0xff, 8);
	machine_gpt_seal(&disk[0], 1);
	assert_int_equal(find(disk[0].uuid, any), OK);
	unmake(1);
	make(1);
	/* Namespace 1 is no dump disk, 2 is. */
	m[0].ns[0].disk = small;
	m[0].ns[0].blocks = 64;
	nvme_model_add(&m[0], 2, disk[0].bytes, BLOCKS, 9);
	assert_int_equal(find(disk[0].uuid, any), OK);
	assert_string_equal(t.blk->name, "nvme 00:04.0 ns 2");
	unmake(1);
	free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_memory_is_reused),
		cmocka_unit_test(test_one_superblock_serves),
		cmocka_unit_test(test_failures_alone),
		cmocka_unit_test(test_controllers_alone),
		cmocka_unit_test(test_most_telling),
		cmocka_unit_test(test_goes_on_after_a_dead_one),
		cmocka_unit_test(test_many_dead_ones),
		cmocka_unit_test(test_stale_table),
		cmocka_unit_test(test_second_partition_and_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
