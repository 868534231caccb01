/*
 * The AHCI driver when two things go wrong in one life, a command and a register read of any
 * kind, at any place: drawn by lot, from a seed that a failure names. What may not happen is
 * in tests/model/ahci_life.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/model/ahci_life.h"

#define RUNS	     2500u
#define COMMANDS_MAX 70u
#define READS_MAX    450u

static struct life l;
static u64 seed = 0x5eed;

static u32 draw(u32 below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(seed >> 33) % below;
}

static void test_pairs(void **state)
{
	u32 sound = 0, reset = 0, dead = 0;

	(void)state;
	for (u32 i = 0; i < RUNS; i++) {
		enum status st;

		life_make(&l, (enum life_shape)draw(LIFE_SHAPES));
		l.b.m.fault = (enum ahci_fault)(1 + draw(AHCI_FAULTS - 1));
		l.b.m.fault_at = 1 + draw(COMMANDS_MAX);
		l.b.m.fault_count = 1 + draw(3);
		l.b.m.read_fault = (enum ahci_read_fault)(1 + draw(AHCI_READ_FAULTS - 1));
		l.b.m.read_fault_at = 1 + draw(READS_MAX);
		l.b.m.reverse = draw(2);
		l.b.m.lenient = draw(2);
		l.b.m.seed = draw(1000);
		st = life_run(&l);
		sound += st == OK;
		reset += l.b.blk && l.b.blk->resets > 0;
		dead += st != OK;
	}
	print_message(
		"%u runs: %u sound to the end, %u reset, %u dead\n", RUNS, sound, reset, dead);
	assert_true(sound > RUNS / 10 && reset > RUNS / 10 && dead > RUNS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
