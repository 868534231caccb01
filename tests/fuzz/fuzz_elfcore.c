/*
 * The input is memory, with the ELF header at address 0 and notes anywhere behind it. What is
 * found must lie inside, and a walk must end.
 */
#include <stdlib.h>
#include <string.h>
#include "elfcore.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES (64u * KIB)

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct memmap found;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

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
	physmem_init(&pm, &map);
	return 0;
}

static void check_walk(const struct elfcore *e)
{
	struct elfcore_walk w = {0};
	u8 note[ELFCORE_NOTE_MAX];
	u32 notes = 0;
	u32 bytes;

	while ((bytes = elfcore_prstatus(e, &pm, &w, note)) > 0) {
		u32 desc_bytes;

		memcpy(&desc_bytes, note + 4, sizeof(desc_bytes));
		if (bytes > sizeof(note) || bytes != 20 + round_up_u64(desc_bytes, 4) ||
			memcmp(note + 12, "CORE\0\0\0", 8) != 0)
			abort();
		notes++;
	}
	if (w.next != e->count || notes + w.absent + w.broken > e->notes)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct elfcore e;
	u64 pa;

	memset(image, 0, RAM_BYTES);
	memcpy(image, data, min_u64(bytes, RAM_BYTES));
	memset(&found, 0, sizeof(found));
	if (elfcore_open(&e, &pm, 0) != OK)
		return 0;
	if (e.loads == 0 || e.loads + e.notes > e.count)
		abort();
	elfcore_memmap(&e, &pm, &found);
	pa = elfcore_vmcoreinfo(&e, &pm);
	if (pa && (pa >= RAM_BYTES || memcmp(image + pa + 12, "VMCOREINFO", 11) != 0))
		abort();
	check_walk(&e);
	return 0;
}
