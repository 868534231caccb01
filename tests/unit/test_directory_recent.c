/*
 * The loop guard's question to the directory: how many dumps of the last hour did nobody
 * clear, and what the writer says of it when there is no room.
 */
#include "tests/unit/directory_rig.h"

#define NOW  1795248375ull
#define HOUR 3600u

static u32 recent_of(u64 time_s, u64 now_s, u32 flags)
{
	struct dl_header h = header(1, FIRST, 10);

	h.time_s = time_s;
	h.flags = flags;
	put(0, h);
	assert_int_equal(load(), OK);
	return directory_recent(&dir, now_s, HOUR);
}

static void test_recent_edges(void **state)
{
	(void)state;
	assert_int_equal(load(), OK);
	assert_int_equal(directory_recent(&dir, NOW, HOUR), 0);
	assert_int_equal(recent_of(NOW, NOW, 0), 1);
	assert_int_equal(recent_of(NOW - HOUR, NOW, 0), 1);
	assert_int_equal(recent_of(NOW - HOUR - 1, NOW, 0), 0);
	assert_int_equal(recent_of(NOW + HOUR, NOW, 0), 1); /* the clock was set back */
	assert_int_equal(recent_of(NOW + HOUR + 1, NOW, 0), 0);
	assert_int_equal(recent_of(0, NOW, 0), 0);
	assert_int_equal(recent_of(0, 100, 0), 0); /* unknown is not 1970 */
	assert_int_equal(recent_of(NOW, 0, 0), 0);
	assert_int_equal(recent_of(1, 0, 0), 0);
	assert_int_equal(recent_of(UINT64_MAX, NOW, 0), 0);
	assert_int_equal(recent_of(UINT64_MAX, UINT64_MAX, 0), 1);
	assert_int_equal(recent_of(NOW, NOW, DL_FLAG_CLEARED), 0);
	assert_int_equal(recent_of(NOW, NOW, DL_FLAG_CLEARED | DL_FLAG_GAVE_WAY), 0);
	put(1, header(2, FIRST + 10, 10)); /* of unknown time */
	assert_int_equal(recent_of(NOW, NOW, DL_FLAG_CLEARED | DL_FLAG_GAVE_WAY), 0);
}

/* Dumps cut by power loss count, damaged slots do not; clearing counts from the disk too. */
static void test_recent_states(void **state)
{
	struct dl_header h = header(3, FIRST + 2000, 10);

	(void)state;
	h.time_s = NOW;
	put(0, h);
	h.number = 4;
	h.state = DL_STATE_INCOMPLETE;
	put(1, h);
	h.number = 5;
	h.reason = E_FULL;
	put(2, h);
	put(3, h);
	damage(dl_slot_block(3));
	damage(dl_slot_block_back(&rig.super, 3));
	assert_int_equal(load(), OK);
	assert_int_equal(entries[1].state, DIR_CUT);
	assert_int_equal(directory_recent(&dir, NOW + 5, HOUR), 3);
	assert_int_equal(directory_clear(&dir, 0), OK);
	assert_int_equal(directory_recent(&dir, NOW + 5, HOUR), 3);
	assert_int_equal(load(), OK);
	assert_int_equal(directory_recent(&dir, NOW + 5, HOUR), 3);
	rig_clear(&rig, 1);
	assert_int_equal(load(), OK);
	assert_int_equal(directory_recent(&dir, NOW + 5, HOUR), 2);
	rig_clear(&rig, 2); /* and with the last one also the first counts no more */
	assert_int_equal(load(), OK);
	assert_int_equal(directory_recent(&dir, NOW + 5, HOUR), 0);
}

/* The writer counts whether or not it finds room, and what it lets give way. */
static void test_recent_for_the_writer(void **state)
{
	(void)state;
	for (u32 oldest = 0; oldest < 2; oldest++) {
		struct rig_options opt = rig_defaults();

		opt.dir_slots = 2;
		opt.overwrite = oldest ? DL_OVERWRITE_OLDEST : DL_OVERWRITE_NEVER;
		rig_open(&rig, &opt);
		for (u32 i = 0; i < 2; i++) {
			assert_int_equal(rig_dump(&rig), OK);
			assert_int_equal(rig.writer.recent, i);
		}
		assert_int_equal(rig_dump(&rig), oldest ? OK : E_NO_SLOT);
		assert_int_equal(rig.writer.recent, 2);
		rig_clear(&rig, 0);
		rig_clear(&rig, 1);
		assert_int_equal(rig_dump(&rig), OK);
		assert_int_equal(rig.writer.recent, 0);
		rig_close(&rig);
	}
}

/* A disk with room for one dump only, which always gives way. */
static void test_recent_in_little_room(void **state)
{
	struct rig_options opt = rig_defaults();

	(void)state;
	opt.overwrite = DL_OVERWRITE_OLDEST;
	opt.compressor = DL_COMP_NONE;
	opt.ram_bytes = 16 * MIB;
	rig_open(&rig, &opt);
	for (u32 i = 0; i < 4; i++) {
		enum status st = rig_dump(&rig);

		assert_true(st == OK || st == E_FULL);
		assert_int_equal(rig.writer.recent, i);
	}
	rig_close(&rig);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(test_recent_edges),
		RIGGED(test_recent_states),
		cmocka_unit_test(test_recent_for_the_writer),
		cmocka_unit_test(test_recent_in_little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
