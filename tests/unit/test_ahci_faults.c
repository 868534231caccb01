/*
 * The AHCI driver against an HBA and disks that misbehave at every command of a whole life in
 * turn, once and from then on: no hang, no write elsewhere, no success for data that is not
 * there (all of that is looked for in tests/model/ahci_life.c), and what each must lead to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/model/ahci_life.h"

#define FOREVER 1000000u

static struct life l;

/* The commands of a life without faults, which does everything. */
static u64 commands_of(enum life_shape shape)
{
	life_make(&l, shape);
	assert_int_equal(life_run(&l), OK);
	assert_int_equal(l.flushes_ok, 2);
	assert_int_equal(l.writes_ok, LIFE_WRITES + LIFE_LATER);
	assert_int_equal(l.reads_ok, LIFE_READS);
	assert_int_equal(l.b.blk->resets, 0);
	assert_int_equal(l.b.m.queued > 0, shape != LIFE_NO_NCQ);
	return l.b.m.commands;
}

/* Faults that a driver must get over with nothing lost. */
static bool harmless(enum ahci_fault fault)
{
	return fault == AHCI_FAULT_NONFATAL || fault == AHCI_FAULT_SDB_NONE;
}

/* Those that one retry, or the one reset, gets over. */
static bool survivable(enum ahci_fault fault)
{
	switch (fault) {
	case AHCI_FAULT_NEVER:
	case AHCI_FAULT_LATE:
	case AHCI_FAULT_TOO_LATE:
	case AHCI_FAULT_ERROR:
	case AHCI_FAULT_D2H_ERROR:
	case AHCI_FAULT_INTERFACE:
	case AHCI_FAULT_BUS:
	case AHCI_FAULT_BUS_DATA:
	case AHCI_FAULT_SHORT:
	case AHCI_FAULT_BUSY:
	case AHCI_FAULT_SDB_EARLY:
	case AHCI_FAULT_SDB_ALL:
	case AHCI_FAULT_POWER:
	case AHCI_FAULT_POWER_BACK:
		return true;
	default:
		return harmless(fault);
	}
}

/* Those that one command is told to have failed by. */
static u32 fails(enum ahci_fault fault)
{
	return fault == AHCI_FAULT_ERROR || fault == AHCI_FAULT_D2H_ERROR ||
	       fault == AHCI_FAULT_INTERFACE || fault == AHCI_FAULT_BUS ||
	       fault == AHCI_FAULT_BUS_DATA;
}

static void judge(enum ahci_fault fault, bool always, enum status st)
{
	bool lost_power = fault == AHCI_FAULT_POWER || fault == AHCI_FAULT_POWER_BACK;

	if (fault == AHCI_FAULT_GONE)
		assert_int_equal(st, E_DEVICE_GONE);
	if (fault == AHCI_FAULT_BUSY_EVER || fault == AHCI_FAULT_UNPLUG)
		assert_int_not_equal(st, OK);
	if (harmless(fault)) {
		assert_int_equal(st, OK);
		assert_int_equal(l.writes_ok, LIFE_WRITES + LIFE_LATER);
		assert_int_equal(l.b.blk->resets, 0);
	}
	/* While it is selected nothing may be lost either, but there it may be given up. */
	if (always || !survivable(fault) || !l.selected)
		return;
	assert_int_equal(st, OK);
	/* A flush that fails is not sent again. */
	assert_int_equal(l.flushes_ok + l.flushes_failed, 2);
	assert_true(l.flushes_failed <= fails(fault));
	if (!lost_power)
		assert_int_equal(l.writes_ok, LIFE_WRITES + LIFE_LATER);
	if (!lost_power)
		assert_int_equal(l.reads_ok, LIFE_READS);
}

static void every_command(enum life_shape shape, bool always)
{
	u64 commands = commands_of(shape), runs = 0, longest_us = 0;

	for (u32 fault = AHCI_FAULT_NEVER; fault < AHCI_FAULTS; fault++) {
		for (u64 at = 1; at <= commands; at++) {
			life_make(&l, shape);
			l.b.m.fault = (enum ahci_fault)fault;
			l.b.m.fault_at = at;
			l.b.m.fault_count = always ? FOREVER : 1;
			judge((enum ahci_fault)fault, always, life_run(&l));
			longest_us = max_u64(longest_us, l.took_us);
			runs++;
		}
	}
	print_message("shape %u: %u commands, %u runs, longest %u of %u ms\n", shape, (u32)commands,
		(u32)runs, (u32)(longest_us / 1000), (u32)(LIFE_US / 1000));
}

static int tell(void **state)
{
	(void)state;
	print_message("last: fault %u at %u\n", l.b.m.fault, (u32)l.b.m.fault_at);
	return 0;
}

static void test_once(void **state)
{
	(void)state;
	for (u32 shape = 0; shape < LIFE_SHAPES; shape++)
		every_command((enum life_shape)shape, false);
}

static void test_always(void **state)
{
	(void)state;
	every_command(LIFE_NCQ, true);
	every_command(LIFE_NO_NCQ, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_once, tell),
		cmocka_unit_test_teardown(test_always, tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
