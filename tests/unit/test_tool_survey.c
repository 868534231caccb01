/*
 * Reading the survey's record: where it lies, every field that can be damaged, a source that
 * ends or fails, and the figures and words made of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"
#include "tools/common/survey.h"

#define BLOCKS_512 40960u /* 20 MiB */

/* The area's bytes; anything else of the disk must not be asked for. */
struct disk {
	struct dl_super super;
	u64 at;
	u8 area[DL_SURVEY_AREA_BYTES];
	u64 end; /* reads must end here at most */
	u32 fail_at;
	u32 reads;
};

static struct disk disk;
static struct dl_survey *const header = (struct dl_survey *)disk.area;
static struct dl_survey_range *const ranges =
	(struct dl_survey_range *)(disk.area + DL_SURVEY_RANGES_AT);
static struct survey_record record;

static enum status read_disk(void *ctx, u64 offset, void *buf, u64 bytes)
{
	struct disk *d = ctx;

	if (++d->reads == d->fail_at)
		return E_READ;
	assert_true(offset >= d->at);
	assert_true(range_fits(offset - d->at, bytes, sizeof(d->area)));
	if (offset - d->at + bytes > d->end)
		return E_TRUNCATED;
	memcpy(buf, d->area + (offset - d->at), bytes);
	return OK;
}

static void make(u32 block_bytes)
{
	memset(&disk, 0, sizeof(disk));
	disk.super = (struct dl_super) {
		.magic = DL_SUPER_MAGIC,
		.version = DL_VERSION,
		.block_bytes = block_bytes,
		.disk_uuid = {1, 2, 3},
		.blocks = (u64)BLOCKS_512 * 512 / block_bytes,
		.dir_slots = DL_DIR_SLOTS,
		.survey_blocks = DL_SURVEY_AREA_BYTES / block_bytes,
	};
	dl_super_seal(&disk.super);
	assert_int_equal(dl_super_check(&disk.super), OK);
	disk.at = (u64)BLOCKS_512 * 512 - (1 + DL_DIR_SLOTS) * block_bytes - DL_SURVEY_AREA_BYTES;
	disk.end = sizeof(disk.area);
	*header = (struct dl_survey) {
		.version = DL_VERSION,
		.state = DL_SURVEY_DONE,
		.disk_uuid = {1, 2, 3},
		.cycles_wanted = 2,
		.cycles_done = 2,
		.ram_pages = 1000,
		.end_pfn = 2000,
		.range_count = 3,
	};
	memcpy(header->magic, DL_SURVEY_MAGIC, sizeof(header->magic));
	ranges[0] = (struct dl_survey_range) {0x1000, 0x2000, DL_LOST_OURS, 0};
	ranges[1] = (struct dl_survey_range) {0x3000, 0x1000, DL_LOST_CHANGED, 0};
	ranges[2] = (struct dl_survey_range) {0x100000, 0x4000, 3, 0};
	dl_survey_seal(header, ranges);
}

static enum status look(void)
{
	return survey_read(read_disk, &disk, &disk.super, &record);
}

static void found_in_blocks_of_either_size(void **state)
{
	(void)state;
	for (u32 block_bytes = 512; block_bytes <= 4096; block_bytes += 4096 - 512) {
		make(block_bytes);
		assert_int_equal(look(), OK);
		assert_memory_equal(&record.v, header, sizeof(record.v));
		assert_memory_equal(record.range, ranges, 3 * sizeof(ranges[0]));
		assert_int_equal(disk.reads, 2);
	}
}

static void none_without_a_record_or_room(void **state)
{
	(void)state;
	make(512);
	memset(disk.area, 0, sizeof(disk.area));
	assert_int_equal(look(), E_NO_DUMP);
	make(512);
	disk.super.survey_blocks = 0;
	assert_int_equal(look(), E_NO_DUMP);
	assert_int_equal(disk.reads, 0);
}

static void any_bit_of_the_header_counts(void **state)
{
	(void)state;
	for (u32 bit = 0; bit < sizeof(*header) * 8; bit++) {
		make(512);
		disk.area[bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_equal(look(), E_SURVEY);
	}
}

static void any_bit_of_the_ranges_counts(void **state)
{
	(void)state;
	for (u32 bit = 0; bit < 3 * sizeof(ranges[0]) * 8; bit++) {
		make(512);
		disk.area[DL_SURVEY_RANGES_AT + bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_equal(look(), E_SURVEY);
	}
	make(512);
	disk.area[DL_SURVEY_RANGES_AT + 3 * sizeof(ranges[0])] ^= 1;
	assert_int_equal(look(), OK);
}

static void expect_with_good_checksums(enum status want)
{
	u32 count = header->range_count;

	/* A count that is out of bounds has no checksum that could be read. */
	if (count > DL_SURVEY_RANGES)
		header->range_count = 0;
	dl_survey_seal(header, ranges);
	if (count > DL_SURVEY_RANGES) {
		u32 zero = 0;

		header->range_count = count;
		header->crc32c = crc32c(crc32c(0, header, 508), &zero, 4);
	}
	assert_int_equal(look(), want);
	make(512);
}

static void fields_must_make_sense(void **state)
{
	(void)state;
	make(512);
	header->version = 2;
	expect_with_good_checksums(E_VERSION);
	header->state = DL_SURVEY_ENDED + 1;
	expect_with_good_checksums(E_SURVEY);
	header->disk_uuid[15] = 1;
	expect_with_good_checksums(E_SURVEY);
	header->cycles_wanted = 0;
	expect_with_good_checksums(E_SURVEY);
	header->cycles_wanted = DL_SURVEY_CYCLES_MAX + 1;
	expect_with_good_checksums(E_SURVEY);
	header->cycles_done = 3;
	expect_with_good_checksums(E_SURVEY);
	header->range_count = DL_SURVEY_RANGES + 1;
	expect_with_good_checksums(E_SURVEY);
	header->range_count = UINT32_MAX;
	expect_with_good_checksums(E_SURVEY);
	header->range_count = 0;
	expect_with_good_checksums(OK);
}

static void ranges_must_make_sense(void **state)
{
	(void)state;
	make(512);
	ranges[1].pa = 0x2000;
	expect_with_good_checksums(E_SURVEY);
	ranges[2].pa = 0x3000;
	expect_with_good_checksums(E_SURVEY);
	ranges[1].bytes = 0;
	expect_with_good_checksums(E_SURVEY);
	ranges[1].bytes = 0x800;
	expect_with_good_checksums(E_SURVEY);
	ranges[2].pa = 0x100800;
	expect_with_good_checksums(E_SURVEY);
	ranges[2].bytes = 0ull - 0x1000;
	expect_with_good_checksums(E_SURVEY);
	ranges[2].pa = 1ull << 52;
	expect_with_good_checksums(E_SURVEY);
}

static void as_many_ranges_as_there_is_room(void **state)
{
	(void)state;
	make(512);
	header->range_count = DL_SURVEY_RANGES;
	for (u32 i = 0; i < DL_SURVEY_RANGES; i++)
		ranges[i] = (struct dl_survey_range) {i * 0x2000ull, 0x1000, 1, 0};
	dl_survey_seal(header, ranges);
	assert_int_equal(look(), OK);
	assert_int_equal(record.range[DL_SURVEY_RANGES - 1].pa, (DL_SURVEY_RANGES - 1) * 0x2000);
	assert_int_equal(survey_lost_pages(&record), 1000); /* no more than there is RAM */
	assert_int_equal(survey_share(&record), 0);
}

static void a_source_that_fails_or_ends(void **state)
{
	(void)state;
	for (u32 n = 1; n <= 2; n++) {
		make(512);
		disk.fail_at = n;
		assert_int_equal(look(), E_READ);
	}
	make(512);
	disk.end = DL_SURVEY_RANGES_AT + 2 * sizeof(ranges[0]);
	assert_int_equal(look(), E_TRUNCATED);
	make(512);
	disk.end = 511;
	assert_int_equal(look(), E_TRUNCATED);
}

static void shares(void **state)
{
	(void)state;
	make(512);
	assert_int_equal(look(), OK);
	assert_int_equal(survey_lost_pages(&record), 7);
	assert_int_equal(survey_share(&record), 9930);
	record.v.ram_pages = 1ull << 40;
	assert_int_equal(survey_share(&record), 9999);
	record.v.range_count = 0;
	assert_int_equal(survey_share(&record), 10000);
	record.v.ram_pages = 0;
	assert_int_equal(survey_share(&record), 0);
	record.v.ram_pages = UINT64_MAX;
	assert_int_equal(survey_share(&record), 10000);
}

static void words(void **state)
{
	char buf[SURVEY_WHY_BYTES];

	(void)state;
	assert_string_equal(survey_why_text(0, buf), "unknown");
	assert_string_equal(survey_why_text(0x80000000u, buf), "unknown");
	assert_string_equal(survey_why_text(DL_LOST_CHANGED, buf), "changed");
	assert_string_equal(
		survey_why_text(UINT32_MAX, buf), "firmware map, changed, loader, ours");
	assert_string_equal(survey_state_name(DL_SURVEY_IDLE), "off");
	assert_string_equal(survey_state_name(DL_SURVEY_FILLED), "under way");
	assert_string_equal(survey_state_name(DL_SURVEY_ENDED), "ended");
	assert_string_equal(survey_state_name(DL_SURVEY_ENDED + 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_in_blocks_of_either_size),
		cmocka_unit_test(none_without_a_record_or_room),
		cmocka_unit_test(any_bit_of_the_header_counts),
		cmocka_unit_test(any_bit_of_the_ranges_counts),
		cmocka_unit_test(fields_must_make_sense),
		cmocka_unit_test(ranges_must_make_sense),
		cmocka_unit_test(as_many_ranges_as_there_is_room),
		cmocka_unit_test(a_source_that_fails_or_ends),
		cmocka_unit_test(shares),
		cmocka_unit_test(words),
	};

	crc32c_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
