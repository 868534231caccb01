/*
 * The core as a whole: a made-up kernel in memory, a modelled NVMe disk, and what the
 * operator reads for everything that can be in the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"
#include "main.h"
#include "ports.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"
#include "tests/model/machine_model.h"
#include "tests/model/nvme_model.h"

#define RAM_BYTES   (32u * MIB)
#define ARENA_PA    0x30000u
#define ARENA_BYTES (432u * KIB)
#define BLOCKS	    (96u * 2048u)
#define FIRST	    4096u
#define BDF	    0x20u
#define RESULTS	    3

static u8 *ram, *ram_before;
static struct fake_kernel fk;
static struct nvme_model m;
static struct machine_disk disk;
static struct handoff handoff;

static void fill_ram(void)
{
	for (u32 page = 256; page < RAM_BYTES / PAGE_BYTES; page++) {
		if (page % 3)
			memset(ram + page * PAGE_BYTES, (int)page | 1, PAGE_BYTES);
	}
	fk = fake_kernel_default();
	memset(ram + fk.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&fk);
}

static void make_disk(u64 last)
{
	disk = (struct machine_disk) {
		.bytes = malloc((u64)BLOCKS * 512),
		.blocks = BLOCKS,
		.block_bytes = 512,
		.first = FIRST,
		.last = last,
		.uuid = {1, 2, 3},
	};
	assert_non_null(disk.bytes);
	machine_disk_format(&disk);
	nvme_model_init(&m, BDF);
	nvme_model_add(&m, 1, disk.bytes, BLOCKS, 9);
	m.dma_first = ARENA_PA;
	m.dma_end = ARENA_PA + ARENA_BYTES;
	m.write_first = FIRST;
	m.write_end = last + 1;
}

static int setup(void **state)
{
	(void)state;
	host_reset_all();
	pci_model_reset();
	crc32c_init();
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	ram_before = malloc(RAM_BYTES);
	memset(ram, 0, RAM_BYTES);
	host_ram_set(ram, RAM_BYTES);
	fill_ram();
	make_disk(BLOCKS - 100);
	memset(&handoff, 0, sizeof(handoff));
	handoff.version = HANDOFF_VERSION;
	handoff.door = DOOR_BIOS;
	handoff.time_s = 1795248375;
	memcpy(handoff.target_uuid, disk.uuid, 16);
	memmap_add(&handoff.map, 0, 0x9f000, MEM_RAM);
	memmap_add(&handoff.map, MIB, RAM_BYTES - MIB, MEM_RAM);
	memmap_touch(&handoff.map, 0x1000, 0x9e000, TOUCHED_OURS);
	handoff.arena_pa = ARENA_PA;
	handoff.arena_bytes = ARENA_BYTES;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	free(ram_before);
	free(disk.bytes);
	host_reset_all();
	return 0;
}

static u32 count_of(const char *word)
{
	u32 n = 0;

	for (const char *p = host_console(); (p = strstr(p, word)) != NULL; p++)
		n++;
	return n;
}

/* Runs the core; whatever happens, these hold. */
static void run(void)
{
	memcpy(ram_before, ram, RAM_BYTES);
	host_console_clear();
	dump_main(&handoff);
	assert_int_equal(count_of("afterimage: no dump: E") + count_of(" incomplete: E") +
				 count_of(" complete: "),
		1);
	assert_memory_equal(ram + MIB, ram_before + MIB, RAM_BYTES - MIB);
	assert_int_equal(m.stray_writes, 0);
	assert_int_equal(m.stray_dma, 0);
	assert_int_equal(m.protocol_errors, 0);
	assert_true(host_reset_action() >= 0);
}

static void expect(const char *words)
{
	if (!strstr(host_console(), words))
		fail_msg("\"%s\" is not in:\n%s", words, host_console());
}

static void super_edit(u32 after, u32 compressor)
{
	struct dl_super s;

	memcpy(&s, disk.bytes + disk.first * 512, sizeof(s));
	s.after = after;
	s.compressor = compressor;
	dl_super_seal(&s);
	memcpy(disk.bytes + disk.first * 512, &s, sizeof(s));
	memcpy(disk.bytes + disk.last * 512, &s, sizeof(s));
}

static struct dl_header header(u32 slot)
{
	struct dl_super s;
	struct dl_header h;

	memcpy(&s, disk.bytes + disk.last * 512, sizeof(s));
	memcpy(&h, disk.bytes + (disk.first + dl_slot_block(slot)) * 512, sizeof(h));
	assert_int_equal(dl_header_check(&h, &s), OK);
	assert_memory_equal(
		&h, disk.bytes + (disk.first + dl_slot_block_back(&s, slot)) * 512, sizeof(h));
	return h;
}

static void expect_nothing_written(void)
{
	assert_int_equal(m.blocks_written, 0);
}

static void test_complete(void **state)
{
	struct dl_header h;

	(void)state;
	run();
	expect("afterimage " AFTERIMAGE_VERSION " via bios\n");
	expect("afterimage: kernel " FAKE_RELEASE " of host host\n");
	expect("afterimage: dump 1 complete: ");
	expect("afterimage: rebooting\n");
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
	h = header(0);
	assert_int_equal(h.state, DL_STATE_COMPLETE);
	assert_int_equal(h.number, 1);
	assert_int_equal(h.time_s, 1795248375);
	assert_int_equal(h.level_asked, 31);
	assert_int_equal(h.level_applied, 1);
	assert_int_equal(h.degraded, DL_DEGRADED_LEVEL);
	assert_string_equal(h.release, FAKE_RELEASE);
	assert_int_equal(h.ram_pages, 0x9f + RAM_BYTES / PAGE_BYTES - 256);
	assert_true(m.shut_down);
	assert_true(m.flushes >= 3);
}

static void test_second_dump(void **state)
{
	(void)state;
	run();
	run();
	expect("afterimage: dump 2 complete: ");
	assert_int_equal(header(0).number, 1);
	assert_int_equal(header(1).number, 2);
}

static void test_actions(void **state)
{
	(void)state;
	super_edit(ACTION_HALT, DL_COMP_ZLIB);
	run();
	expect("afterimage: halted\n");
	assert_int_equal(host_reset_action(), ACTION_HALT);
	super_edit(ACTION_POWEROFF, DL_COMP_LZF);
	run();
	expect("afterimage: halted\n");
	assert_int_equal(host_reset_action(), ACTION_POWEROFF);
	super_edit(99, DL_COMP_LZF);
	run();
	expect("afterimage: rebooting\n");
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
}

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
	assert_int_equal(header(0).degraded, DL_DEGRADED_LEVEL | DL_DEGRADED_SUPERBLOCK);
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
	u32 plain = 0, packed = 0, none = 0;

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
		plain += count_of("no memory for compressor zlib; writing uncompressed\n");
		packed += header(0).compressor == DL_COMP_ZLIB;
	}
	assert_true(packed > 2 && plain > 10 && none > 5);
}

static void test_compressor_missing(void **state)
{
	(void)state;
	super_edit(ACTION_REBOOT, DL_COMP_ZSTD);
	run();
	expect("afterimage: no compressor zstd; writing uncompressed\n");
	expect(" complete: ");
	assert_int_equal(header(0).compressor, DL_COMP_NONE);
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
	assert_int_equal(header(0).degraded, DL_DEGRADED_LEVEL | DL_DEGRADED_MEMMAP);
}

/* Must be the first test: an exception in a front door, before dump_main. */
static void test_panic_early(void **state)
{
	(void)state;
	dump_panic(E_TRAP, "exception 14");
	expect("afterimage: no dump: E50 an unexpected processor exception: exception 14\n");
	expect("afterimage: rebooting\n");
}

static void test_panic(void **state)
{
	(void)state;
	pci_model_reset();
	dump_main(&handoff);
	host_console_clear();
	dump_panic(E_TRAP, "exception 14");
	assert_int_equal(count_of("afterimage: no dump: E"), 0);
	expect("afterimage: rebooting\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_panic_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_complete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_actions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_kernel, setup, teardown),
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
		cmocka_unit_test_setup_teardown(test_panic, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
