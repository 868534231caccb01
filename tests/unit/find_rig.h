/*
 * A piece of RAM with a made-up kernel in it, to be found.
 */
#ifndef AFTERIMAGE_FIND_RIG_H
#define AFTERIMAGE_FIND_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pagemap.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES (32u * MIB)

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct oldkernel k;
static struct oldkernel scratch;
static struct pagemap pagemap;
static struct fake_kernel fk;

static inline int setup(void **state)
{
	(void)state;
	image = calloc(1, RAM_BYTES);
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	host_windows_private(true);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	physmem_init(&pm, &map);
	fk = fake_kernel_default();
	memset(&k, 0xa5, sizeof(k));
	return image ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	host_reset_all();
	free(image);
	return 0;
}

static inline enum status find_asked(const struct oldkernel_ask *ask)
{
	enum status st;

	physmem_init(&pm, &map);
	st = oldkernel_find(&pm, ask, &k, &scratch, &pagemap);
	assert_int_equal(st, k.why);
	assert_int_equal(k.verified, st == OK);
	return st;
}

#endif
