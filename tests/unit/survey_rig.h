/*
 * A machine that boots again and again over the same memory and the same disk, on which a survey
 * is armed. Shared by the tests of boot/survey.c.
 */
#ifndef AFTERIMAGE_SURVEY_RIG_H
#define AFTERIMAGE_SURVEY_RIG_H

#include <stdio.h>
#include "surveyio.h"
#include "tests/unit/main_rig.h"

#define AREA_BLOCKS (DL_SURVEY_AREA_BYTES / 512u)
#define LOG_AT	    0x12000u /* from image_pa: variables of the log, then its text */
#define LOG_TEXT    0x13000u
#define LOG_BYTES   4096u
#define LOW_PAGES   0x9fu
#define HIGH_PAGES  ((RAM_BYTES - MIB) / PAGE_BYTES)

static u64 firmware_pa; /* two pages that firmware has, if not 0 */

static inline u8 *record_at(void)
{
	struct dl_super s = super_read();

	return disk.bytes + (disk.first + dl_survey_block(&s)) * 512;
}

static inline struct dl_survey record(void)
{
	struct dl_super s = super_read();
	struct dl_survey v;

	memcpy(&v, record_at(), sizeof(v));
	assert_int_equal(dl_survey_check(&v, &s), OK);
	return v;
}

static inline const struct dl_survey_range *ranges(void)
{
	return (const struct dl_survey_range *)(const void *)(record_at() + DL_SURVEY_RANGES_AT);
}

static inline void record_write(struct dl_survey *v)
{
	dl_survey_seal(v, ranges());
	memcpy(record_at(), v, sizeof(*v));
}

static inline void arm(u32 cycles, u32 flags)
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

static inline void map_reset(void)
{
	memset(&handoff.map, 0, sizeof(handoff.map));
	memmap_add(&handoff.map, 0, LOW_PAGES * PAGE_BYTES, MEM_RAM);
	memmap_add(&handoff.map, MIB, RAM_BYTES - MIB, MEM_RAM);
	memmap_touch(&handoff.map, 0, LOW_PAGES * PAGE_BYTES, TOUCHED_OURS);
	memmap_touch(&handoff.map, 0x9e000, PAGE_BYTES, TOUCHED_FIRMWARE);
	if (firmware_pa)
		memmap_touch(&handoff.map, firmware_pa, 2 * PAGE_BYTES, TOUCHED_FIRMWARE);
}

static inline void wipe_kernel(void)
{
	memset(ram + fk.note_pa, 0, PAGE_BYTES);
	memset(ram + fk.text_pa, 0, PAGE_BYTES);
}

static inline int setup_survey(void **state)
{
	struct dl_super s;

	setup(state);
	s = super_read();
	s.survey_blocks = AREA_BLOCKS;
	super_write(&s);
	firmware_pa = 0;
	map_reset();
	arm(2, 0);
	return 0;
}

/* A kernel whose log is @text; printk_plain.c has the layout. */
static inline void kernel_says(const char *text)
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

static inline u32 results(void)
{
	return count_of("afterimage: no dump: E") + count_of(" incomplete: E") +
	       count_of(" complete: ");
}

/* One boot, by a fresh map; the clock goes on. */
static inline void boot(void)
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
static inline void boot_survey(u32 state)
{
	boot();
	assert_int_equal(results(), 0);
	assert_int_equal(record().state, state);
}

/* One that captures or tries to: no byte of memory changes. */
static inline void boot_capture(const char *result)
{
	memcpy(ram_before, ram, RAM_BYTES);
	boot();
	assert_int_equal(results(), 1);
	expect(result);
	assert_memory_equal(ram + MIB, ram_before + MIB, RAM_BYTES - MIB);
}

static inline void change(u64 pa, u32 pages)
{
	for (u64 at = pa; at < pa + pages * PAGE_BYTES; at += PAGE_BYTES)
		ram[at + 8 * (at / PAGE_BYTES % 500)] ^= 1;
}

static inline void expect_range(u32 i, u64 pa, u64 pages, u32 why)
{
	assert_true(i < record().range_count);
	assert_int_equal(ranges()[i].pa, pa);
	assert_int_equal(ranges()[i].bytes, pages * PAGE_BYTES);
	assert_int_equal(ranges()[i].why, why);
}

static inline void expect_ended(u32 reason)
{
	assert_int_equal(record().state, DL_SURVEY_ENDED);
	assert_int_equal(record().reason, reason);
	assert_int_equal(record().range_count, 0);
}

#endif
