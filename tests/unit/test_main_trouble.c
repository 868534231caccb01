/*
 * The core as a whole and everything that can be in the way: what the operator reads, what
 * is stored, and that nothing is written where nothing may be.
 */
#include "tests/unit/main_rig.h"
#include "tests/unit/acpi_rig.h"

static void test_no_kernel(void **state)
{
	(void)state;
	memset(ram + fk.note_pa, 0, PAGE_BYTES);
	memset(ram + fk.text_pa, 0, PAGE_BYTES);
	run();
	expect("afterimage: no dump: E10 no Linux kernel found in memory\n");
	expect_nothing_written();
}

static void expect_degraded(const char *words)
{
	run();
	expect(words);
	expect(" complete: ");
	assert_int_equal(header(0).degraded, DL_DEGRADED_LEVEL | DL_DEGRADED_NO_VMCOREINFO);
	assert_string_equal(header(0).release, "");
}

/* Firmware overwrote what describes the kernel; that there was one is still to be seen. */
static void test_only_the_banner(void **state)
{
	(void)state;
	memset(ram + fk.note_pa, 0, PAGE_BYTES);
	memset(ram + fk.text_pa, 0, PAGE_BYTES);
	memcpy(ram + fk.text_pa + 64, "Linux version 6.1.0-test (somebody) ", 36);
	run();
	expect("afterimage: Linux 6.1.0-test ran here; ");
	expect("mkdumpdisk --survey\n");
	expect("afterimage: E11 ");
	expect(" complete: ");
	assert_int_equal(header(0).degraded, DL_DEGRADED_LEVEL | DL_DEGRADED_NO_VMCOREINFO);
	assert_string_equal(header(0).release, "6.1.0-test");
}

static void test_vmcoreinfo_damaged(void **state)
{
	(void)state;
	fake_kernel_edit(fk.note_pa, "(init_uts_ns)", "(INIT_uts_ns)");
	fake_kernel_edit(fk.text_pa, "(init_uts_ns)", "(INIT_uts_ns)");
	expect_degraded("afterimage: E11 ");
}

static void test_page_tables_outside_memory(void **state)
{
	(void)state;
	*fake_kernel_entry(&fk, fk.image_va, 4) |= 1ull << 45;
	expect_degraded("afterimage: E13 ");
}

static void test_page_tables_empty(void **state)
{
	(void)state;
	*fake_kernel_entry(&fk, fk.image_va, 4) = 0;
	expect_degraded("afterimage: E12 ");
}

static void test_no_disk(void **state)
{
	(void)state;
	pci_model_reset();
	run();
	expect("afterimage: no dump: E20 ");
}

static void test_disk_not_ready(void **state)
{
	(void)state;
	m.ready_stuck_0 = true;
	m.us_per_read = 5000;
	run();
	expect("afterimage: no dump: E21 ");
	expect_nothing_written();
}

static void test_no_partition(void **state)
{
	(void)state;
	memset(disk.bytes + 2 * 512 + 2 * 128, 0x11, 16);
	machine_gpt_seal(&disk, 1);
	run();
	expect("afterimage: no dump: E30 ");
	expect_nothing_written();
}

static void test_no_table(void **state)
{
	(void)state;
	memset(disk.bytes + 512, 0, 512);
	memset(disk.bytes + (disk.blocks - 1) * 512, 0, 512);
	run();
	expect("afterimage: no dump: E31 ");
	expect_nothing_written();
}

static void test_superblocks(void **state)
{
	(void)state;
	disk.bytes[disk.first * 512 + 20] ^= 1;
	run();
	expect(" complete: ");
	assert_int_equal(header(0).degraded, NO_MAP | DL_DEGRADED_SUPERBLOCK);
	disk.bytes[disk.last * 512 + 20] ^= 1;
	m.blocks_written = 0;
	run();
	expect("afterimage: no dump: E32 ");
	expect_nothing_written();
}

static void test_disk_full(void **state)
{
	(void)state;
	free(disk.bytes);
	pci_model_reset();
	make_disk(FIRST + 9 + 16 * 2048);
	super_edit(ACTION_REBOOT, DL_COMP_NONE);
	run();
	expect("afterimage: dump 1 incomplete: E34 ");
	assert_int_equal(header(0).state, DL_STATE_INCOMPLETE);
	assert_int_equal(header(0).reason, E_FULL);
	m.blocks_written = 0;
	run();
	expect("afterimage: no dump: E34 ");
	expect_nothing_written();
}

static void test_write_error(void **state)
{
	(void)state;
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = 120;
	m.fault_count = 1;
	run();
	expect("afterimage: dump 1 incomplete: E27 ");
	assert_int_equal(header(0).reason, E_WRITE);
}

static void test_disk_dies(void **state)
{
	(void)state;
	m.fault = NVME_FAULT_GONE;
	m.fault_at = 120;
	m.fault_count = 1;
	run();
	expect("afterimage: dump 1 incomplete: E23 ");
	assert_int_equal(header(0).state, DL_STATE_INCOMPLETE);
	assert_int_equal(header(0).reason, OK);
}

/* At every size there is a dump, or none was begun. */
static void test_little_memory(void **state)
{
	u32 plain = 0, lzf = 0, packed = 0, none = 0;

	for (u32 kib = ARENA_BYTES / KIB; kib > 100; kib -= 8) {
		teardown(state);
		setup(state);
		super_edit(ACTION_REBOOT, DL_COMP_ZLIB);
		handoff.arena_bytes = kib * KIB;
		run();
		if (count_of("no dump: E40")) {
			none++;
			expect_nothing_written();
			continue;
		}
		assert_int_equal(none, 0);
		expect("afterimage: dump 1 complete: ");
		plain += count_of("no memory for compressor lzf; writing uncompressed\n");
		lzf += header(0).compressor == DL_COMP_LZF;
		assert_int_equal(count_of("no memory for compressor zlib; trying lzf\n"),
			header(0).compressor != DL_COMP_ZLIB);
		packed += header(0).compressor == DL_COMP_ZLIB;
	}
	/* What the BIOS door leaves, 368 KiB and more, must do for zlib. */
	assert_true(packed >= 9 && lzf > 5 && plain > 1 && none > 5);
}

static void test_compressor_missing(void **state)
{
	(void)state;
	super_edit(ACTION_REBOOT, DL_COMP_ZSTD);
	run();
	expect("afterimage: no compressor zstd; trying lzf\n");
	expect(" complete: ");
	assert_int_equal(header(0).compressor, DL_COMP_LZF);
}

static void test_memory(void **state)
{
	(void)state;
	handoff.arena_bytes = 64 * KIB;
	run();
	expect("afterimage: no dump: E40 ");
	handoff.arena_pa = RAM_BYTES;
	run();
	expect("afterimage: no dump: E40 ");
	memset(&handoff.map, 0, sizeof(handoff.map));
	run();
	expect("afterimage: no dump: E41 ");
	expect_nothing_written();
}

static void test_map_too_long(void **state)
{
	(void)state;
	handoff.degraded = DL_DEGRADED_MEMMAP;
	run();
	expect("afterimage: the firmware's memory map is too long");
	assert_int_equal(header(0).degraded, NO_MAP | DL_DEGRADED_MEMMAP);
}

/* Must be the first test: an exception in a front door, before dump_main. */
static void test_directory_damaged(void **state)
{
	struct dl_super s;

	(void)state;
	run();
	memcpy(&s, disk.bytes + disk.last * 512, sizeof(s));
	disk.bytes[(disk.first + dl_slot_block(0)) * 512 + 100] ^= 1;
	disk.bytes[(disk.first + dl_slot_block_back(&s, 0)) * 512 + 100] ^= 1;
	run();
	expect("afterimage: 1 directory slots are damaged; their dumps are not protected\n");
	assert_int_equal(header(1).degraded, NO_MAP | DL_DEGRADED_DIRECTORY);
}

static void test_panic_early(void **state)
{
	(void)state;
	dump_panic(E_TRAP, "exception 14");
	expect("afterimage: no dump: E50 an unexpected processor exception: exception 14\n");
	expect("afterimage: rebooting\n");
}

/* After the result line, so while the machine was about to restart. */
static void test_panic_late(void **state)
{
	(void)state;
	pci_model_reset();
	dump_main(&handoff);
	host_console_clear();
	dump_panic(E_TRAP, "exception 14");
	assert_string_equal(host_console(), "");
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
}

static u32 faults;

static void faulting_write(void *ctx, u16 port, u32 bytes, u32 value)
{
	(void)ctx;
	assert_true(port == 0xcf9 && bytes == 1 && value == 6);
	assert_int_equal(faults++, 0);
	dump_panic(E_TRAP, "exception 14");
}

/* A reset register that can not be written: not again and again. */
static void test_panic_in_restart(void **state)
{
	static const struct host_io io = {NULL, faulting_write, NULL};
	static struct acpi_rig rig;
	u64 fadt;

	rig_init(&rig);
	fadt = rig_fadt(&rig, "", 0);
	rig_put(&rig, fadt + 112, 1 << 10, 4);
	rig_gas(&rig, fadt + 116, ACPI_SPACE_IO, 8, 0xcf9);
	rig_put(&rig, fadt + 128, 6, 1);
	rig_seal(&rig, fadt);
	rig_rsdp(&rig, RIG_RSDP, 0, rig_root(&rig, 4), 0);
	teardown(state);
	setup(state);
	host_firmware_set(0, rig.mem, RIG_BYTES);
	host_io_set(&io);
	run();
	assert_int_equal(faults, 1);
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
	assert_int_equal(count_of("afterimage: rebooting\n"), 1);
	free(rig.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* before the core has run for the first time */
		cmocka_unit_test_setup_teardown(test_panic_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_the_banner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vmcoreinfo_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_tables_outside_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_tables_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_not_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_partition, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_superblocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_little_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compressor_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_panic_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_panic_in_restart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
