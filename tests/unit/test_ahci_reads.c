/*
 * The AHCI driver against registers that misbehave at every read of a whole life in turn;
 * tests/model/ahci_life.c looks at what it says and does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/model/ahci_life.h"

static struct life l;

/* A life without faults: how many registers it reads. */
static u64 reads_of(enum life_shape shape)
{
	life_make(&l, shape);
	assert_int_equal(life_run(&l), OK);
	assert_int_equal(l.flushes_ok, 2);
	return l.b.m.reads;
}

static void judge(enum ahci_read_fault fault, enum status st)
{
	if (fault == AHCI_READ_GONE)
		assert_int_equal(st, E_DEVICE_GONE);
	/* Once selected, the one reset gets over what happens once. */
	if (l.selected && (fault == AHCI_READ_POWER || fault == AHCI_READ_POWER_BACK ||
				  fault == AHCI_READ_SDB || fault == AHCI_READ_INTERFACE ||
				  fault == AHCI_READ_BUS || fault == AHCI_READ_D2H_ERROR))
		assert_int_equal(st, OK);
}

static void every_read(enum life_shape shape)
{
	u64 reads = reads_of(shape), runs = 0, longest_us = 0;

	for (u32 fault = AHCI_READ_GONE; fault < AHCI_READ_FAULTS; fault++) {
		for (u64 at = 1; at <= reads; at++) {
			life_make(&l, shape);
			l.b.m.read_fault = (enum ahci_read_fault)fault;
			l.b.m.read_fault_at = at;
			l.b.m.lenient = at & 1;
			judge((enum ahci_read_fault)fault, life_run(&l));
			longest_us = max_u64(longest_us, l.took_us);
			runs++;
		}
	}
	print_message("shape %u: %u reads, %u runs, longest %u of %u ms\n", shape, (u32)reads,
		(u32)runs, (u32)(longest_us / 1000), (u32)(LIFE_US / 1000));
}

static int tell(void **state)
{
	(void)state;
	print_message("last: fault %u at %u\n", l.b.m.read_fault, (u32)l.b.m.read_fault_at);
	return 0;
}

static void test_ncq(void **state)
{
	(void)state;
	every_read(LIFE_NCQ);
}

static void test_no_ncq(void **state)
{
	(void)state;
	every_read(LIFE_NO_NCQ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_ncq, tell),
		cmocka_unit_test_teardown(test_no_ncq, tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
