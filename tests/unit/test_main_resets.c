/*
 * The core with a disk that has to be reset, and forgets with that what it only had in its
 * cache: at every few commands of a dump. Whatever is called complete is on the disk.
 */
#include "tests/unit/main_rig.h"

#define STEP 13u /* commands from one reset to the next */

/* Follows the chunks that the header counts; asserts that each is whole. */
static u64 check_log(const struct dl_header *h)
{
	const u8 *log = disk.bytes + (disk.first + h->start) * 512;
	u64 pos = 0, chunks = 0;

	while (pos < h->used) {
		struct dl_chunk c;
		const u8 *at = log + pos * 512;

		assert_int_equal(dl_chunk_check(at, (h->used - pos) * 512, h->dump_uuid, chunks,
					 512, h->used - pos),
			OK);
		memcpy(&c, at, sizeof(c));
		assert_int_equal(
			crc32c(0, at + c.payload_offset, c.stored_bytes), c.payload_crc32c);
		pos += c.blocks;
		chunks++;
	}
	assert_int_equal(chunks, h->chunks);
	return chunks;
}

static void run_reset_at(void **state, u64 at, bool caches)
{
	teardown(state);
	setup(state);
	m.caches = caches;
	m.loses = true;
	m.fault = at ? NVME_FAULT_FATAL : NVME_FAULT_NONE;
	m.fault_at = at;
	m.fault_count = 1;
	run();
	nvme_model_cut(&m);
}

static void test_cache_is_lost(void **state)
{
	u32 complete = 0, parts = 0;
	u64 commands;

	run_reset_at(state, 0, true);
	commands = m.commands;
	assert_true(commands > 20 * STEP);
	for (u64 at = 6; at < commands; at += STEP) {
		struct dl_header h;

		run_reset_at(state, at, true);
		h = header(0);
		assert_true(check_log(&h) > 0 || h.used == 0);
		if (count_of("afterimage: dump 1 complete: ")) {
			assert_int_equal(h.state, DL_STATE_COMPLETE);
			complete++;
			continue;
		}
		expect("afterimage: dump 1 incomplete: E58 ");
		assert_int_equal(h.state, DL_STATE_INCOMPLETE);
		assert_int_equal(h.reason, E_NOT_KEPT);
		assert_true(h.incomplete != 0);
		parts++;
	}
	print_message("%u complete, %u in parts\n", (unsigned)complete, (unsigned)parts);
	assert_true(complete > 3 && parts > 10);
}

/* Nothing was lost: then it is read back, and complete. */
static void test_nothing_is_lost(void **state)
{
	u64 commands;
	u64 used;

	run_reset_at(state, 0, false);
	commands = m.commands;
	used = header(0).used;
	run_reset_at(state, commands / 2, false);
	expect("afterimage: dump 1 complete: ");
	assert_int_equal(header(0).used, used);
	assert_true(m.commands > commands + 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cache_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_lost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
