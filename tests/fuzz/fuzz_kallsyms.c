/*
 * Looks up symbols in a table made of the input. Byte 0: bit 0 leaves the base out, bit 1 the
 * last line of vmcoreinfo; byte 1 is the number of a page that is not mapped (0: none). The rest
 * is RAM from page 1 on: the count at 0, the base at 8 and the index at 256 of page 1, then a
 * page of tokens, a page of offsets, and the names up to where memory ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kallsyms.h"
#include "tests/host/ports_mem.h"

#define PAGES	  12u
#define RAM_BYTES (PAGES * PAGE_BYTES)
#define TABLES	  8u /* their first page */
#define HEAD	  2u
#define NO_BASE	  1u
#define NO_LAST	  2u
#define KNOWN_VA  0xffff888000010000ull

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct oldkernel kernel;
static struct kallsyms_room room;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

static const char base_line[] = "SYMBOL(kallsyms_relative_base)=ffff888000001008\n";
static const char lines[] = "SYMBOL(init_uts_ns)=ffff888000010000\n"
			    "SYMBOL(kallsyms_num_syms)=ffff888000001000\n"
			    "SYMBOL(kallsyms_token_index)=ffff888000001100\n"
			    "SYMBOL(kallsyms_token_table)=ffff888000002000\n"
			    "SYMBOL(kallsyms_offsets)=ffff888000003000\n";
static const char last_line[] = "SYMBOL(kallsyms_names)=ffff888000004000\n";

static void put_u64(u64 at, u64 v)
{
	memcpy(image + at, &v, sizeof(v));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	image = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	if (!image)
		abort();
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	return 0;
}

/* Page i of the address space is page i of RAM, but for the tables and the one left out. */
static void map_pages(u32 absent)
{
	u64 table = TABLES * PAGE_BYTES;

	for (u32 i = 0; i < 3; i++, table += PAGE_BYTES)
		put_u64(table + (i == 0 ? 273 * 8 : 0), (table + PAGE_BYTES) | 3);
	for (u32 i = 1; i < TABLES; i++)
		put_u64(table + i * 8ull, (u64)i << PAGE_SHIFT | (i != absent ? 3 : 0));
}

static void describe(u8 how)
{
	kernel.verified = true;
	kernel.pt = (struct pagetable) {.root_pa = TABLES * PAGE_BYTES, .levels = 4};
	kernel.vi.bytes = (u32)snprintf(kernel.vi.text, sizeof(kernel.vi.text), "%s%s%s",
		how & NO_BASE ? "" : base_line, lines, how & NO_LAST ? "" : last_line);
}

static void look_up(void)
{
	struct kallsyms_wanted wanted[] = {
		{"system_state", 1}, {"init_uts_ns", 1}, {"panic_cpu", 1}, {"", 1}};
	bool found;

	found = kallsyms_find(&pm, &kernel, &room, wanted, ARRAY_SIZE(wanted));
	if (found && wanted[1].va != KNOWN_VA)
		abort();
	for (u32 i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (!found && wanted[i].va)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	if (bytes < HEAD)
		return 0;
	memset(image, 0, RAM_BYTES);
	memcpy(image + PAGE_BYTES, data + HEAD,
		min_u64(bytes - HEAD, (TABLES - 1ull) * PAGE_BYTES));
	map_pages(data[1]);
	describe(data[0]);
	physmem_init(&pm, &map);
	look_up();
	return 0;
}
