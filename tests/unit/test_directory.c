/*
 * The directory: which copy of a slot counts, what is protected, where the room is.
 */
#include "tests/unit/directory_rig.h"

static void test_empty(void **state)
{
	struct extent gap;
	u32 slot;

	(void)state;
	assert_int_equal(load(), OK);
	assert_int_equal(dir.highest, 0);
	gap = directory_largest_gap(&dir);
	assert_int_equal(gap.lba, FIRST);
	assert_int_equal(gap.blocks, END - FIRST);
	assert_int_equal(directory_free_slot(&dir, &slot), OK);
	assert_int_equal(slot, 0);
	assert_false(directory_oldest(&dir, &slot));
	assert_int_equal(rig.disk.writes, 0);
}

static void test_either_copy_serves(void **state)
{
	(void)state;
	put_front(0, header(1, FIRST, 10));
	put_back(1, header(2, FIRST + 10, 10));
	put(2, header(3, FIRST + 20, 10));
	damage(dl_slot_block(2));
	put(3, header(4, FIRST + 30, 10));
	damage(dl_slot_block_back(&rig.super, 3));
	assert_int_equal(load(), OK);
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(entries[i].state, DIR_TAKEN);
		assert_int_equal(entries[i].number, i + 1);
		assert_int_equal(entries[i].start, FIRST + 10 * i);
		assert_int_equal(entries[i].blocks, 10);
	}
	assert_int_equal(entries[4].state, DIR_UNUSED);
	assert_int_equal(dir.highest, 4);
}

static void test_higher_generation_counts(void **state)
{
	struct dl_header h;

	(void)state;
	h = header(7, FIRST, 10);
	put(0, h);
	h.generation = 3;
	h.flags = DL_FLAG_CLEARED;
	put_back(0, h);
	h = header(8, FIRST, 10);
	put(1, h);
	h.generation = 3;
	h.flags = DL_FLAG_CLEARED;
	put_front(1, h);
	assert_int_equal(load(), OK);
	assert_int_equal(entries[0].state, DIR_CLEARED);
	assert_int_equal(entries[1].state, DIR_CLEARED);
	assert_int_equal(directory_largest_gap(&dir).blocks, END - FIRST);
}

static void test_damaged_slots_are_left_alone(void **state)
{
	u32 slot;

	(void)state;
	for (u32 i = 0; i < 8; i++) {
		put(i, header(i + 1, FIRST, 10));
		damage(dl_slot_block(i));
		damage(dl_slot_block_back(&rig.super, i));
	}
	assert_int_equal(load(), OK);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(entries[i].state, DIR_UNKNOWN);
	assert_int_equal(directory_free_slot(&dir, &slot), E_NO_SLOT);
	assert_false(directory_oldest(&dir, &slot));
}

/* The back copy is torn at the very start of a dump: the slot was never used. */
static void test_torn_begin_is_unused(void **state)
{
	(void)state;
	put_back(0, header(1, FIRST, 10));
	damage(dl_slot_block_back(&rig.super, 0));
	put_front(1, header(1, FIRST, 10));
	damage(dl_slot_block(1));
	assert_int_equal(load(), OK);
	assert_int_equal(entries[0].state, DIR_UNUSED);
	assert_int_equal(entries[1].state, DIR_UNKNOWN);
}

static void test_unreadable_copy_counts_as_damaged(void **state)
{
	(void)state;
	put(0, header(1, FIRST, 10));
	put(1, header(2, FIRST + 10, 10));
	rig.disk.fail_read_lba = RIG_PART_LBA + dl_slot_block(0);
	assert_int_equal(load(), OK);
	assert_int_equal(entries[0].state, DIR_TAKEN);
	rig.disk.fail_read_lba = RIG_PART_LBA + dl_slot_block(2);
	assert_int_equal(load(), OK);
	assert_int_equal(entries[2].state, DIR_UNKNOWN);
}

static void test_foreign_and_newer_headers(void **state)
{
	struct dl_header h = header(1, FIRST, 10);

	(void)state;
	h.version = 2;
	put(0, h);
	h = header(1, FIRST, 10);
	h.disk_uuid[3] ^= 1;
	put(1, h);
	h = header(1, END - 5, 10);
	put(2, h);
	assert_int_equal(load(), OK);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(entries[i].state, DIR_UNKNOWN);
}

static void test_gaps(void **state)
{
	struct extent gap;

	(void)state;
	/* [ 0..100 ] gap 50 [ 150..300 ] gap 200 [ 500..end-100 ] gap 100, in any order */
	put(2, header(1, FIRST, 100));
	put(0, header(2, FIRST + 150, 150));
	put(1, header(3, FIRST + 500, END - FIRST - 700));
	assert_int_equal(load(), OK);
	gap = directory_largest_gap(&dir);
	assert_int_equal(gap.lba, FIRST + 300);
	assert_int_equal(gap.blocks, 200);
	/* An extent across it hides it; extents inside others change nothing. */
	put(3, header(4, FIRST + 290, 15));
	put(4, header(5, FIRST + 510, 1));
	assert_int_equal(load(), OK);
	gap = directory_largest_gap(&dir);
	assert_int_equal(gap.lba, END - 200);
	assert_int_equal(gap.blocks, 200);
}

static void test_no_gap(void **state)
{
	struct dl_header h = header(1, FIRST, END - FIRST);

	(void)state;
	h.limit = h.used;
	put(0, h);
	assert_int_equal(load(), OK);
	assert_int_equal(directory_largest_gap(&dir).blocks, 0);
}

static void test_slots_are_taken_unused_first_then_oldest(void **state)
{
	u32 slot;

	(void)state;
	for (u32 i = 0; i < 8; i++) {
		struct dl_header h = header(20 - i, FIRST + i, 1);

		h.flags = i == 2 || i == 5 ? DL_FLAG_CLEARED : 0;
		if (i != 6)
			put(i, h);
	}
	assert_int_equal(load(), OK);
	assert_int_equal(directory_free_slot(&dir, &slot), OK);
	assert_int_equal(slot, 6);
	entries[6].state = DIR_TAKEN;
	entries[6].number = 14;
	assert_int_equal(directory_free_slot(&dir, &slot), OK);
	assert_int_equal(slot, 5);
	assert_true(directory_oldest(&dir, &slot));
	assert_int_equal(slot, 7);
}

/* A dump cut by power loss: @chunks chunks of 4 blocks each, and then nothing. */
static void put_cut(u32 slot, u32 number, u64 start, u32 chunks)
{
	struct dl_header h = header(number, start, 0);

	h.state = DL_STATE_INCOMPLETE;
	h.limit = 1000;
	put(slot, h);
	for (u32 i = 0; i < chunks; i++) {
		struct dl_chunk c;

		memset(&c, 0, sizeof(c));
		c.magic = DL_CHUNK_MAGIC;
		c.header_bytes = sizeof(c);
		c.kind = DL_KIND_NOTE;
		memcpy(c.dump_uuid, h.dump_uuid, 16);
		c.sequence = i;
		c.blocks = 4;
		c.payload_offset = sizeof(c);
		dl_chunk_seal(&c);
		memcpy(block(start + 4 * (u64)i), &c, sizeof(c));
	}
}

static void test_cut_dump_is_walked(void **state)
{
	(void)state;
	put_cut(0, 1, FIRST, 0);
	put_cut(1, 2, FIRST + 1000, 7);
	put_cut(2, 3, FIRST + 2000, 250);
	assert_int_equal(load(), OK);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(entries[i].state, DIR_CUT);
		assert_int_equal(entries[i].blocks, 1000);
	}
	assert_int_equal(directory_largest_gap(&dir).lba, FIRST + 3000);
	assert_int_equal(directory_walk_cut(&dir), OK);
	assert_int_equal(entries[0].blocks, 0);
	assert_int_equal(entries[1].blocks, 28);
	assert_int_equal(entries[2].blocks, 1000);
	assert_int_equal(entries[1].state, DIR_TAKEN);
}

/* Where the disk can not be read the dump may go on. */
static void test_walk_protects_what_it_can_not_read(void **state)
{
	(void)state;
	put_cut(0, 1, FIRST, 20);
	assert_int_equal(load(), OK);
	rig.disk.fail_read_lba = RIG_PART_LBA + FIRST + 40;
	assert_int_equal(directory_walk_cut(&dir), OK);
	assert_int_equal(entries[0].blocks, 1000);
}

static void test_walk_stops_at_a_foreign_chunk(void **state)
{
	(void)state;
	put_cut(0, 1, FIRST, 20);
	block(FIRST + 12)[8] ^= 1;
	put_cut(1, 2, FIRST + 1000, 20);
	block(FIRST + 1000 + 40)[60] ^= 1;
	assert_int_equal(load(), OK);
	assert_int_equal(directory_walk_cut(&dir), OK);
	assert_int_equal(entries[0].blocks, 12);
	assert_int_equal(entries[1].blocks, 40);
}

static void test_clear(void **state)
{
	struct dl_header h;

	(void)state;
	put(3, header(9, FIRST, 10));
	assert_int_equal(load(), OK);
	assert_int_equal(directory_clear(&dir, 3), OK);
	assert_int_equal(entries[3].state, DIR_CLEARED);
	assert_int_equal(rig.disk.flushes, 1);
	assert_true(rig_header(&rig, 3, &h));
	assert_int_equal(h.generation, 3);
	assert_int_equal(h.flags, DL_FLAG_CLEARED | DL_FLAG_GAVE_WAY);
	assert_int_equal(h.number, 9);
	assert_int_equal(load(), OK);
	assert_int_equal(entries[3].state, DIR_CLEARED);
}

static void test_write_needs_one_copy(void **state)
{
	struct dl_header h = header(1, FIRST, 10);

	(void)state;
	assert_int_equal(load(), OK);
	for (u64 n = 1; n <= 2; n++) {
		memdisk_power_on(&rig.disk);
		rig.disk.fail_at = n;
		h.generation++;
		h.number++;
		assert_int_equal(directory_write(&dir, 0, &h), OK);
		assert_int_equal(load(), OK);
		assert_int_equal(entries[0].number, h.number);
	}
	memdisk_power_on(&rig.disk);
	rig.disk.fail_at = 1;
	rig.disk.fail_count = 2;
	assert_int_equal(directory_write(&dir, 0, &h), E_WRITE);
	memdisk_power_on(&rig.disk);
	rig.disk.die_at = 1;
	assert_int_equal(directory_write(&dir, 0, &h), E_TIMEOUT);
	assert_int_equal(rig.disk.writes, 0);
	assert_int_equal(load(), E_TIMEOUT);
}

static void test_largest_directory(void **state)
{
	u32 slot;

	(void)state;
	(void)setup_with(4096, DIRECTORY_MAX_SLOTS);
	for (u32 i = 0; i < DIRECTORY_MAX_SLOTS - 1; i++)
		put(i, header(i + 1, FIRST + i % 3900, 1));
	assert_int_equal(load(), OK);
	assert_int_equal(dir.highest, DIRECTORY_MAX_SLOTS - 1);
	assert_int_equal(directory_largest_gap(&dir).lba, FIRST + 3900);
	assert_int_equal(directory_free_slot(&dir, &slot), OK);
	assert_int_equal(slot, DIRECTORY_MAX_SLOTS - 1);
	rig_close(&rig);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_empty),
		RIGGED(test_either_copy_serves),
		RIGGED(test_higher_generation_counts),
		RIGGED(test_damaged_slots_are_left_alone),
		RIGGED(test_torn_begin_is_unused),
		RIGGED(test_unreadable_copy_counts_as_damaged),
		RIGGED(test_foreign_and_newer_headers),
		RIGGED(test_gaps),
		RIGGED(test_no_gap),
		RIGGED(test_slots_are_taken_unused_first_then_oldest),
		RIGGED(test_cut_dump_is_walked),
		RIGGED(test_walk_protects_what_it_can_not_read),
		RIGGED(test_walk_stops_at_a_foreign_chunk),
		RIGGED(test_clear),
		RIGGED(test_write_needs_one_copy),
		cmocka_unit_test(test_largest_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
