/*
 * The checks of the log's structures: a good one passes, any flipped bit does not, and
 * lengths that disagree are refused although the checksum is right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crc32c.h"
#include "dumplog.h"

static struct dl_super super;
static struct dl_header head;
static _Alignas(8) u8 chunk[512];
static struct dl_chunk *const c = (struct dl_chunk *)(void *)chunk;
static const u8 uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

#define SEQUENCE 5
#define ROOM	 100

static int setup(void **state)
{
	(void)state;
	crc32c_init();
	memset(&super, 0, sizeof(super));
	memcpy(super.magic, DL_SUPER_MAGIC, 8);
	super.version = DL_VERSION;
	super.block_bytes = 512;
	super.blocks = DL_MIN_DATA_BYTES / 512 + 2 + 2 * 64;
	super.dir_slots = 64;
	super.level = 31;
	dl_super_seal(&super);
	memset(&head, 0, sizeof(head));
	memcpy(head.magic, DL_HEADER_MAGIC, 8);
	head.version = DL_VERSION;
	head.state = DL_STATE_COMPLETE;
	head.start = dl_data_start(&super);
	head.limit = dl_data_end(&super) - head.start;
	head.used = head.limit;
	head.end = head.limit - 1;
	dl_header_seal(&head);
	memset(chunk, 0, sizeof(chunk));
	c->magic = DL_CHUNK_MAGIC;
	c->header_bytes = sizeof(*c);
	memcpy(c->dump_uuid, uuid, 16);
	c->sequence = SEQUENCE;
	c->blocks = 9;
	c->run_count = 2;
	c->payload_offset = 512;
	c->stored_bytes = 4096;
	c->raw_bytes = 4096;
	dl_chunk_seal(c);
	return 0;
}

static enum status check_chunk(void)
{
	return dl_chunk_check(chunk, sizeof(chunk), uuid, SEQUENCE, 512, ROOM);
}

static enum status resealed(void)
{
	dl_chunk_seal(c);
	return check_chunk();
}

static void test_good_ones_pass(void **state)
{
	(void)state;
	assert_int_equal(dl_super_check(&super), OK);
	assert_int_equal(dl_header_check(&head, &super), OK);
	assert_int_equal(check_chunk(), OK);
}

static void test_any_flipped_bit_is_seen(void **state)
{
	(void)state;
	for (u32 bit = 0; bit < 512 * 8; bit++) {
		((u8 *)&super)[bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_not_equal(dl_super_check(&super), OK);
		((u8 *)&super)[bit / 8] ^= (u8)(1u << bit % 8);
		((u8 *)&head)[bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_not_equal(dl_header_check(&head, &super), OK);
		((u8 *)&head)[bit / 8] ^= (u8)(1u << bit % 8);
	}
	for (u32 bit = 0; bit < (sizeof(*c) + 16) * 8; bit++) {
		chunk[bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_not_equal(check_chunk(), OK);
		chunk[bit / 8] ^= (u8)(1u << bit % 8);
	}
	assert_int_equal(check_chunk(), OK);
}

static void expect_super(enum status want)
{
	dl_super_seal(&super);
	assert_int_equal(dl_super_check(&super), want);
	(void)setup(NULL);
}

static void test_super_geometry(void **state)
{
	(void)state;
	super.version = 2;
	expect_super(E_VERSION);
	super.block_bytes = 1024;
	expect_super(E_SUPERBLOCK);
	super.dir_slots = 0;
	expect_super(E_SUPERBLOCK);
	super.dir_slots = 4097;
	super.blocks *= 2;
	expect_super(E_SUPERBLOCK);
	super.blocks--;
	expect_super(E_SUPERBLOCK);
	super.blocks = ~0ull;
	expect_super(E_SUPERBLOCK);
	super.blocks = 0;
	expect_super(E_SUPERBLOCK);
	super.level = 32;
	expect_super(E_SUPERBLOCK);
	super.block_bytes = 4096;
	expect_super(OK);
}

static void expect_header(enum status want)
{
	dl_header_seal(&head);
	assert_int_equal(dl_header_check(&head, &super), want);
	(void)setup(NULL);
}

static void test_header_fields(void **state)
{
	struct dl_header empty;

	(void)state;
	memset(&empty, 0, sizeof(empty));
	assert_int_equal(dl_header_check(&empty, &super), E_NO_DUMP);
	head.version = 2;
	expect_header(E_VERSION);
	head.disk_uuid[15] = 1;
	expect_header(E_FOREIGN);
	head.state = DL_STATE_FREE;
	expect_header(E_CHECKSUM);
	head.state = 3;
	expect_header(E_CHECKSUM);
	head.start--;
	expect_header(E_CHECKSUM);
	head.start++;
	expect_header(E_CHECKSUM);
	head.start = ~0ull;
	expect_header(E_CHECKSUM);
	head.limit++;
	expect_header(E_CHECKSUM);
	head.limit = ~0ull;
	expect_header(E_CHECKSUM);
	head.limit--;
	expect_header(E_CHECKSUM);
	head.used++;
	expect_header(E_CHECKSUM);
	head.end++;
	expect_header(E_CHECKSUM);
	head.used = 0;
	head.limit = 0;
	head.end = 0;
	expect_header(OK);
}

static void test_chunk_is_the_expected_one(void **state)
{
	u8 other[16];

	(void)state;
	memcpy(other, uuid, 16);
	other[0]++;
	assert_int_equal(dl_chunk_check(chunk, 512, other, SEQUENCE, 512, ROOM), E_CHUNK);
	assert_int_equal(dl_chunk_check(chunk, 512, uuid, SEQUENCE + 1, 512, ROOM), E_CHUNK);
	assert_int_equal(dl_chunk_check(chunk, 512, uuid, SEQUENCE, 512, 8), E_CHUNK);
	assert_int_equal(dl_chunk_check(chunk, 512, uuid, SEQUENCE, 512, 9), OK);
}

static void test_chunk_lengths(void **state)
{
	(void)state;
	c->blocks = 0;
	assert_int_equal(resealed(), E_CHUNK);
	c->blocks = 8;
	assert_int_equal(resealed(), E_CHUNK);
	c->blocks = 9;
	c->payload_offset = 516;
	assert_int_equal(resealed(), E_CHUNK);
	c->payload_offset = 520;
	assert_int_equal(resealed(), E_CHUNK);
	c->payload_offset = 0xfffffff8u;
	assert_int_equal(resealed(), E_CHUNK);
	c->payload_offset = 136;
	assert_int_equal(resealed(), E_CHUNK);
	c->payload_offset = 144;
	assert_int_equal(resealed(), OK);
	c->stored_bytes = 4097;
	assert_int_equal(resealed(), E_CHUNK);
	c->stored_bytes = 4096;
	c->raw_bytes = DL_GROUP_PAGES * PAGE_BYTES;
	assert_int_equal(resealed(), OK);
	c->raw_bytes++;
	assert_int_equal(resealed(), E_CHUNK);
	c->raw_bytes = 4096;
	c->header_bytes = 120;
	assert_int_equal(resealed(), E_CHUNK);
}

/* Exactly sized memory: the sanitizer sees a read past it. */
static void test_nothing_is_read_past_the_end(void **state)
{
	(void)state;
	c->run_count = 40;
	c->payload_offset = 448;
	dl_chunk_seal(c);
	for (u32 bytes = 0; bytes <= 512; bytes += 8) {
		u8 *copy = malloc(bytes ? bytes : 1);
		enum status want = bytes < 448 ? E_TRUNCATED : OK;

		assert_non_null(copy);
		memcpy(copy, chunk, bytes);
		assert_int_equal(dl_chunk_check(copy, bytes, uuid, SEQUENCE, 512, ROOM), want);
		free(copy);
	}
	assert_int_equal(dl_chunk_check(NULL, 0, uuid, SEQUENCE, 512, ROOM), E_TRUNCATED);
}

static void test_runs(void **state)
{
	static const u64 pfns[] = {0, 1, 0xffffffffffull};
	static const u32 counts[] = {1, 2, 65535, DL_RUN_MAX_COUNT};

	(void)state;
	for (u32 i = 0; i < 3 * 4 * DL_CLASSES; i++) {
		u64 pfn = pfns[i % 3];
		u32 count = counts[i / 3 % 4];
		u32 class = i / 12;
		u64 run = dl_run(pfn, count, class);

		assert_int_equal(dl_run_pfn(run), pfn);
		assert_int_equal(dl_run_count(run), count);
		assert_int_equal(dl_run_class(run), class);
	}
}

static void test_layout(void **state)
{
	(void)state;
	assert_int_equal(dl_slot_block(0), 1);
	assert_int_equal(dl_slot_block(63), 64);
	assert_int_equal(dl_data_start(&super), 65);
	assert_int_equal(dl_data_end(&super), super.blocks - 65);
	assert_int_equal(dl_slot_block_back(&super, 0), super.blocks - 65);
	assert_int_equal(dl_slot_block_back(&super, 63), super.blocks - 2);
}

/* Levels as makedumpfile's manual page has them: X is left out. */
static void test_levels(void **state)
{
	static const struct {
		u32 class;
		const char *levels; /* 0 to 31 */
	} table[] = {
		{DL_CACHE, "..XXXXXX..XXXXXX..XXXXXX..XXXXXX"},
		{DL_PRIVATE_CACHE, "....XXXX....XXXX....XXXX....XXXX"},
		{DL_USER, "........XXXXXXXX........XXXXXXXX"},
		{DL_FREE, "................XXXXXXXXXXXXXXXX"},
		{DL_KEPT, "................................"},
		{DL_METADATA_LOST, "................................"},
		{DL_OVERWRITTEN_FIRMWARE, "................................"},
		{DL_OVERWRITTEN_LOADER, "................................"},
		{DL_HWPOISON, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"},
		{DL_OFFLINE, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"},
		{DL_OVERWRITTEN_OURS, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"},
		{DL_NOT_RAM, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		for (u32 level = 0; level <= DL_LEVEL_MAX; level++)
			assert_int_equal(dl_class_has_data(table[i].class, level),
				table[i].levels[level] == '.');
	}
}

static void test_names(void **state)
{
	(void)state;
	for (u32 i = 0; i < DL_CLASSES; i++)
		assert_string_not_equal(dl_class_name(i), "unknown");
	assert_string_equal(dl_class_name(DL_CLASSES), "unknown");
	assert_string_equal(dl_class_name(DL_KEPT), "kept");
	assert_string_equal(dl_compressor_name(DL_COMP_LZF), "lzf");
	assert_string_equal(dl_compressor_name(4), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good_ones_pass, setup),
		cmocka_unit_test_setup(test_any_flipped_bit_is_seen, setup),
		cmocka_unit_test_setup(test_super_geometry, setup),
		cmocka_unit_test_setup(test_header_fields, setup),
		cmocka_unit_test_setup(test_chunk_is_the_expected_one, setup),
		cmocka_unit_test_setup(test_chunk_lengths, setup),
		cmocka_unit_test_setup(test_nothing_is_read_past_the_end, setup),
		cmocka_unit_test_setup(test_runs, setup),
		cmocka_unit_test_setup(test_layout, setup),
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_names, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
