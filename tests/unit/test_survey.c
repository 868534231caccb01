/*
 * A survey through the core as a whole: the machine boots again and again over the same memory
 * and the same disk, and between boots happens what happens.
 */
#include <stdio.h>
#include "surveyio.h"
#include "tests/unit/main_rig.h"

#define AREA_BLOCKS (DL_SURVEY_AREA_BYTES / 512u)
#define LOG_AT	    0x12000u /* from image_pa: variables of the log, then its text */
#define LOG_TEXT    0x13000u
#define LOG_BYTES   4096u
#define LOW_PAGES   0x9fu
#define HIGH_PAGES  ((RAM_BYTES - MIB) / PAGE_BYTES)

static u8 *record_at(void)
{
	struct dl_super s = super_read();

	return disk.bytes + (disk.first + dl_survey_block(&s)) * 512;
}

static struct dl_survey record(void)
{
	struct dl_super s = super_read();
	struct dl_survey v;

	memcpy(&v, record_at(), sizeof(v));
	assert_int_equal(dl_survey_check(&v, &s), OK);
	return v;
}

static const struct dl_survey_range *ranges(void)
{
	return (const struct dl_survey_range *)(const void *)(record_at() + DL_SURVEY_RANGES_AT);
}

static void record_write(struct dl_survey *v)
{
	dl_survey_seal(v, ranges());
	memcpy(record_at(), v, sizeof(*v));
}

static void arm(u32 cycles, u32 flags)
{
	struct dl_survey v = {
		.version = DL_VERSION,
		.state = DL_SURVEY_ARMED,
		.flags = flags,
		.cycles_wanted = cycles,
	};

	memcpy(v.magic, DL_SURVEY_MAGIC, sizeof(v.magic));
	memcpy(v.disk_uuid, disk.uuid, sizeof(v.disk_uuid));
	record_write(&v);
}

static void map_reset(void)
{
	memset(&handoff.map, 0, sizeof(handoff.map));
	memmap_add(&handoff.map, 0, LOW_PAGES * PAGE_BYTES, MEM_RAM);
	memmap_add(&handoff.map, MIB, RAM_BYTES - MIB, MEM_RAM);
	memmap_touch(&handoff.map, 0, LOW_PAGES * PAGE_BYTES, TOUCHED_OURS);
	memmap_touch(&handoff.map, 0x9e000, PAGE_BYTES, TOUCHED_FIRMWARE);
}

static void wipe_kernel(void)
{
	memset(ram + fk.note_pa, 0, PAGE_BYTES);
	memset(ram + fk.text_pa, 0, PAGE_BYTES);
}

static int setup_survey(void **state)
{
	struct dl_super s;

	setup(state);
	s = super_read();
	s.survey_blocks = AREA_BLOCKS;
	super_write(&s);
	map_reset();
	arm(2, 0);
	return 0;
}

/* A kernel whose log is @text; printk_plain.c has the layout. */
static void kernel_says(const char *text)
{
	static char extra[256];
	u64 va = fk.image_va + LOG_AT;
	u64 text_va = fk.image_va + LOG_TEXT;
	u32 bytes = LOG_BYTES;
	u32 end = (u32)strlen(text);

	snprintf(extra, sizeof(extra),
		"SYMBOL(log_buf)=%llx\nSYMBOL(log_buf_len)=%llx\nSYMBOL(log_end)=%llx\n",
		(unsigned long long)va, (unsigned long long)va + 8, (unsigned long long)va + 12);
	fk.extra = extra;
	memset(ram + fk.image_pa, 0, FAKE_IMAGE_BYTES);
	fake_kernel_build(&fk);
	memcpy(ram + fk.image_pa + LOG_AT, &text_va, sizeof(text_va));
	memcpy(ram + fk.image_pa + LOG_AT + 8, &bytes, sizeof(bytes));
	memcpy(ram + fk.image_pa + LOG_AT + 12, &end, sizeof(end));
	memcpy(ram + fk.image_pa + LOG_TEXT, text, end);
}

static u32 results(void)
{
	return count_of("afterimage: no dump: E") + count_of(" incomplete: E") +
	       count_of(" complete: ");
}

/* One boot, by a fresh map; the clock goes on. */
static void boot(void)
{
	map_reset();
	host_console_clear();
	handoff.time_s += 2 * WRITER_RECENT_S; /* the guard against loops is main's */
	dump_main(&handoff);
	assert_int_equal(m.stray_writes, 0);
	assert_int_equal(m.stray_dma, 0);
	assert_int_equal(m.protocol_errors, 0);
	assert_int_equal(count_of("afterimage: rebooting\n"), 1);
	assert_int_equal(host_reset_action(), ACTION_REBOOT);
}

/* One that belongs to the survey: memory may change, but there is no result of a dump. */
static void boot_survey(u32 state)
{
	boot();
	assert_int_equal(results(), 0);
	assert_int_equal(record().state, state);
}

/* One that captures or tries to: no byte of memory changes. */
static void boot_capture(const char *result)
{
	memcpy(ram_before, ram, RAM_BYTES);
	boot();
	assert_int_equal(results(), 1);
	expect(result);
	assert_memory_equal(ram + MIB, ram_before + MIB, RAM_BYTES - MIB);
}

static void change(u64 pa, u32 pages)
{
	for (u64 at = pa; at < pa + pages * PAGE_BYTES; at += PAGE_BYTES)
		ram[at + 8 * (at / PAGE_BYTES % 500)] ^= 1;
}

static void expect_range(u32 i, u64 pa, u64 pages, u32 why)
{
	assert_true(i < record().range_count);
	assert_int_equal(ranges()[i].pa, pa);
	assert_int_equal(ranges()[i].bytes, pages * PAGE_BYTES);
	assert_int_equal(ranges()[i].why, why);
}

static void expect_ended(u32 reason)
{
	assert_int_equal(record().state, DL_SURVEY_ENDED);
	assert_int_equal(record().reason, reason);
	assert_int_equal(record().range_count, 0);
}

static void test_two_cycles(void **state)
{
	u64 overwritten = host_overwritten_pages();
	u64 flushes = host_flushes();
	struct dl_survey v;
	u64 seed;

	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	expect("afterimage: survey: cycle 1 of 2: 31 MiB filled; restarting\n");
	assert_int_equal(host_overwritten_pages() - overwritten, HIGH_PAGES);
	assert_int_equal(host_flushes() - flushes, 1);
	assert_int_equal(host_bar(), 1000);
	seed = record().seed;
	change(5 * MIB, 3);
	boot_survey(DL_SURVEY_FILLED);
	expect("afterimage: survey: cycle 1 of 2: 31 MiB compared, 1 MiB lost\n");
	expect("afterimage: survey: cycle 2 of 2: 31 MiB filled; restarting\n");
	assert_int_not_equal(record().seed, seed);
	change(9 * MIB, 300);
	boot_survey(DL_SURVEY_DONE);
	expect("afterimage: survey: done: ");
	v = record();
	assert_int_equal(v.cycles_done, 2);
	assert_int_equal(v.checked_pages, HIGH_PAGES);
	assert_int_equal(v.lost_pages, LOW_PAGES + 303);
	assert_int_equal(v.ram_pages, LOW_PAGES + HIGH_PAGES);
	assert_int_equal(v.end_pfn, RAM_BYTES / PAGE_BYTES);
	assert_int_equal(v.door, DOOR_BIOS);
	assert_int_equal(v.ended_s, handoff.time_s);
	assert_int_equal(v.range_count, 4);
	expect_range(0, 0, LOW_PAGES - 1, DL_LOST_OURS);
	expect_range(1, 0x9e000, 1, DL_LOST_FIRMWARE);
	expect_range(2, 5 * MIB, 3, DL_LOST_CHANGED);
	expect_range(3, 9 * MIB, 300, DL_LOST_CHANGED);
	assert_int_equal(host_overwritten_pages() - overwritten, 2 * HIGH_PAGES);
}

/* A page that has the pattern of another page, or of the cycle before, is lost. */
static void test_moved_page(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	memcpy(ram_before, ram, RAM_BYTES);
	memcpy(ram + 6 * MIB, ram + 7 * MIB, PAGE_BYTES);
	boot_survey(DL_SURVEY_FILLED);
	memcpy(ram + 8 * MIB, ram_before + 8 * MIB, PAGE_BYTES);
	boot_survey(DL_SURVEY_DONE);
	expect_range(2, 6 * MIB, 1, DL_LOST_CHANGED);
	expect_range(3, 8 * MIB, 1, DL_LOST_CHANGED);
}

static void make_done(void)
{
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	change(5 * MIB, 2);
	boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
}

static u32 touched_at(u64 pa)
{
	return memmap_find(&handoff.map, pa)->touched;
}

static bool note_on_disk(const void *data, size_t bytes)
{
	struct dl_note head = {DL_NOTE_SURVEY, (u32)bytes};
	u8 note[2 * PAGE_BYTES];

	memcpy(note, &head, sizeof(head));
	memcpy(note + sizeof(head), data, bytes);
	return memmem(disk.bytes, disk.blocks * 512, note, sizeof(head) + bytes) != NULL;
}

static void test_used(void **state)
{
	struct dl_survey v;
	u8 data[sizeof(v) + 3 * sizeof(struct dl_survey_range)];

	(void)state;
	make_done();
	fill_ram();
	boot_capture(" complete: ");
	expect("afterimage: survey: 1 MiB of 31 are lost at every reset\n");
	assert_int_equal(header(0).survey, DL_SURVEY_USED);
	assert_int_equal(touched_at(5 * MIB - 1), TOUCHED_NOBODY);
	assert_int_equal(touched_at(5 * MIB), TOUCHED_SURVEY);
	assert_int_equal(touched_at(5 * MIB + 2 * PAGE_BYTES), TOUCHED_NOBODY);
	assert_int_equal(touched_at(0x5000), TOUCHED_OURS);
	v = record();
	assert_int_equal(v.range_count, 3);
	memcpy(data, &v, sizeof(v));
	memcpy(data + sizeof(v), ranges(), 3 * sizeof(*ranges()));
	assert_true(note_on_disk(data, sizeof(data)));
	/* And it stays. */
	boot_capture(" complete: ");
	assert_int_equal(header(1).survey, DL_SURVEY_USED);
}

static void test_none(void **state)
{
	struct dl_super s = super_read();

	(void)state;
	memset(record_at(), 0, 512);
	boot_capture(" complete: ");
	expect("afterimage: no survey of this machine was made");
	assert_int_equal(header(0).survey, DL_SURVEY_NONE);
	s.survey_blocks = 0;
	super_write(&s);
	boot_capture(" complete: ");
	assert_int_equal(header(1).survey, DL_SURVEY_NONE);
	assert_int_equal(count_of("survey: E"), 0);
}

static void test_unfit(void **state)
{
	struct dl_survey v;

	(void)state;
	make_done();
	fill_ram();
	v = record();
	v.door = DOOR_UEFI;
	record_write(&v);
	boot_capture(" complete: ");
	expect("afterimage: survey: it is of another boot path or of other memory");
	assert_int_equal(header(0).survey, DL_SURVEY_UNFIT);
	assert_int_equal(touched_at(5 * MIB), TOUCHED_NOBODY);
	v.door = DOOR_BIOS;
	v.end_pfn += 64 * MIB / PAGE_BYTES;
	record_write(&v);
	boot_capture(" complete: ");
	assert_int_equal(header(1).survey, DL_SURVEY_USED);
	v.end_pfn++;
	record_write(&v);
	boot_capture(" complete: ");
	assert_int_equal(header(2).survey, DL_SURVEY_UNFIT);
	v.end_pfn -= 64 * MIB / PAGE_BYTES;
	v.ram_pages += 64 * MIB / PAGE_BYTES + 1;
	record_write(&v);
	boot_capture("afterimage: dump 4 ");
	assert_int_equal(header(3).survey, DL_SURVEY_UNFIT);
}

/* More ranges than the map and a note can hold. */
static void test_many_ranges(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	for (u32 i = 0; i < 2100; i++)
		change(2 * MIB + i * 3 * PAGE_BYTES, 1 + i % 2);
	boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
	assert_int_equal(record().range_count, DL_SURVEY_RANGES);
	assert_int_equal(record().joined, 2 + 2100 - DL_SURVEY_RANGES);
	fill_ram();
	boot_capture(" complete: ");
	assert_int_equal(header(0).survey, DL_SURVEY_USED);
	assert_int_equal(header(0).ram_pages, LOW_PAGES + HIGH_PAGES);
	assert_int_equal(handoff.map.dropped, 0);
	assert_int_equal(memmap_ram_pages(&handoff.map), LOW_PAGES + HIGH_PAGES);
	for (u32 i = 0; i < 2100; i++)
		assert_int_equal(touched_at(2 * MIB + i * 3 * PAGE_BYTES), TOUCHED_SURVEY);
	assert_int_equal(touched_at(MIB), TOUCHED_NOBODY);
	assert_int_equal(touched_at(31 * MIB), TOUCHED_NOBODY);
}

static void test_crash_is_captured(void **state)
{
	(void)state;
	boot_capture(" complete: ");
	expect("afterimage: survey: E55 memory may hold a crash");
	expect_ended(E_SURVEY_CRASH);
	assert_int_equal(header(0).survey, DL_SURVEY_NONE);
	assert_int_equal(record().ended_s, handoff.time_s);
	boot_capture(" complete: ");
	assert_int_equal(count_of("survey: E"), 0);
}

static void test_unverified_is_captured(void **state)
{
	(void)state;
	*fake_kernel_entry(&fk, fk.image_va, 4) = 0;
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_CRASH);
}

static void test_confirmed(void **state)
{
	(void)state;
	arm(2, DL_SURVEY_CONFIRMED);
	boot_survey(DL_SURVEY_FILLED);
}

/* A crash that the image was loaded for is always kept. */
static void test_confirmed_and_kexec(void **state)
{
	(void)state;
	arm(2, DL_SURVEY_CONFIRMED);
	handoff.elfcorehdr_pa = 12 * MIB;
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_CRASH);
	assert_int_equal(header(0).survey, DL_SURVEY_NOT_NEEDED);
	assert_int_equal(count_of("no survey"), 0);
}

static void test_orderly_end(void **state)
{
	(void)state;
	kernel_says("<6>sd 0:0:0:0: Synchronizing SCSI cache\n<0>reboot: Restarting system\n"
		    "<6>reboot: machine restart\n");
	boot_survey(DL_SURVEY_FILLED);
}

static void test_no_orderly_end(void **state)
{
	(void)state;
	kernel_says("<0>reboot: Restarting system\n<1>BUG: unable to handle page fault\n");
	boot_capture(" complete: ");
	expect_ended(E_SURVEY_CRASH);
}

static void test_cut_while_filling(void **state)
{
	struct dl_survey v;

	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	v = record();
	v.state = DL_SURVEY_FILLING;
	record_write(&v);
	boot_capture("afterimage: no dump: E10 ");
	expect("afterimage: survey: E56 ");
	expect_ended(E_SURVEY_LOST);
	boot_capture("afterimage: no dump: E10 ");
	assert_int_equal(count_of("survey: E"), 0);
}

/* Another system was booted in between, and hung. */
static void test_kernel_in_between(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	fill_ram();
	boot_capture(" complete: ");
	expect("afterimage: survey: E56 ");
	expect_ended(E_SURVEY_LOST);
}

static void test_wiped(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	memset(ram + MIB, 0, RAM_BYTES - MIB);
	memset(ram + 3 * MIB, 0x55, MIB);
	memset(ram + 4 * MIB, 0x77, MIB);
	boot_capture("afterimage: no dump: E17 ");
	expect("afterimage: survey: E17 ");
	expect_ended(E_WIPED);
	/* Two MiB in 31 that are neither zero nor like the rest are too much. */
	memset(ram + 5 * MIB, 0x99, MIB);
	boot_capture("afterimage: no dump: E10 ");
}

static void test_half_is_left(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	memset(ram + MIB, 0, 15 * MIB);
	boot_survey(DL_SURVEY_FILLED);
	expect_range(2, MIB, 15 * MIB / PAGE_BYTES, DL_LOST_CHANGED);
	memset(ram + MIB, 0, 16 * MIB);
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_LOST);
}

static void test_other_door(void **state)
{
	(void)state;
	wipe_kernel();
	boot_survey(DL_SURVEY_FILLED);
	handoff.door = DOOR_UEFI;
	boot_capture("afterimage: no dump: E10 ");
	expect_ended(E_SURVEY_LOST);
}

static void test_damaged_record(void **state)
{
	(void)state;
	record_at()[40] ^= 1;
	boot_capture(" complete: ");
	expect("afterimage: survey: E54 ");
	assert_int_equal(header(0).survey, DL_SURVEY_NONE);
}

/* Pages with memory errors are neither written to nor trusted. */
static void test_memory_error(void **state)
{
	(void)state;
	wipe_kernel();
	host_ram_unreadable(9 * MIB + PAGE_BYTES);
	memcpy(ram_before, ram, RAM_BYTES);
	boot_survey(DL_SURVEY_FILLED);
	assert_memory_equal(
		ram + 9 * MIB + PAGE_BYTES, ram_before + 9 * MIB + PAGE_BYTES, PAGE_BYTES);
	boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
	expect_range(2, 9 * MIB + PAGE_BYTES, 1, DL_LOST_CHANGED);
}

/* The loop guard counts dumps; a survey makes none, however often the machine restarts. */
static void test_many_cycles(void **state)
{
	(void)state;
	wipe_kernel();
	arm(DL_SURVEY_CYCLES_MAX, 0);
	for (u32 i = 0; i < DL_SURVEY_CYCLES_MAX; i++)
		boot_survey(DL_SURVEY_FILLED);
	boot_survey(DL_SURVEY_DONE);
	assert_int_equal(record().cycles_done, DL_SURVEY_CYCLES_MAX);
}

/* What the disk is told to do after a dump is not for a survey. */
static void test_halt_is_for_dumps(void **state)
{
	(void)state;
	wipe_kernel();
	super_edit(ACTION_HALT, DL_COMP_LZF);
	boot_survey(DL_SURVEY_FILLED);
}

static void remake(void **state)
{
	teardown(state);
	setup_survey(state);
	wipe_kernel();
}

/* Commands counted from 1; how many one boot needs. */
static u64 commands_of_boot(u32 state)
{
	u64 before = m.commands;

	boot_survey(state);
	return m.commands - before;
}

/*
 * Wherever the disk fails for once, the machine restarts, nothing strays, and after a few more
 * boots the survey is over: done, or ended with a reason.
 */
static void fail_once(void **state, u32 boots_before, u64 at)
{
	u32 n = 0;

	remake(state);
	for (u32 i = 0; i < boots_before; i++)
		boot_survey(DL_SURVEY_FILLED);
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = m.commands + at;
	m.fault_count = 1;
	boot();
	m.fault = NVME_FAULT_NONE;
	while (record().state != DL_SURVEY_DONE && record().state != DL_SURVEY_ENDED) {
		boot();
		assert_true(++n < 5);
	}
	if (record().state == DL_SURVEY_ENDED)
		assert_int_equal(record().reason, E_SURVEY_LOST);
	fill_ram();
	boot_capture(" complete: ");
}

static void test_failures(void **state)
{
	for (u32 before = 0; before < 3; before++) {
		u64 commands;

		remake(state);
		for (u32 i = 0; i < before; i++)
			boot_survey(DL_SURVEY_FILLED);
		commands = commands_of_boot(before < 2 ? DL_SURVEY_FILLED : DL_SURVEY_DONE);
		assert_true(commands > 10);
		for (u64 at = commands; at > commands - 10; at--)
			fail_once(state, before, at);
	}
}

/* If it can not be recorded that memory is about to be filled, it is not. */
static void test_nothing_filled_unrecorded(void **state)
{
	u64 commands;
	u64 overwritten;

	remake(state);
	commands = commands_of_boot(DL_SURVEY_FILLED);
	remake(state);
	overwritten = host_overwritten_pages();
	m.fault = NVME_FAULT_STATUS_DNR;
	m.fault_at = m.commands + commands - 5; /* the first flush */
	m.fault_count = 1000;
	memcpy(ram_before, ram, RAM_BYTES);
	boot();
	assert_int_equal(host_overwritten_pages(), overwritten);
	assert_memory_equal(ram + MIB, ram_before + MIB, RAM_BYTES - MIB);
	expect("afterimage: survey: E27 ");
	expect("afterimage: no dump: E10 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_cycles, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_moved_page, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_used, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_unfit, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_many_ranges, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_crash_is_captured, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_unverified_is_captured, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_confirmed, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_confirmed_and_kexec, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_orderly_end, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_no_orderly_end, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_cut_while_filling, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_kernel_in_between, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_wiped, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_half_is_left, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_other_door, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_record, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_memory_error, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_many_cycles, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_halt_is_for_dumps, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup_survey, teardown),
		cmocka_unit_test_setup_teardown(
			test_nothing_filled_unrecorded, setup_survey, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
