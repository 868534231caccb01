/*
 * Walks page tables made of the input: byte 0 chooses the levels and the encryption bit,
 * bytes 1-2 the root, bytes 3-10 are the address; the rest, repeated, is all of RAM. Bit 7
 * of byte 0 brings the addresses in the entries into RAM.
 */
#include <stdlib.h>
#include <string.h>
#include "oldkernel.h"
#include "tests/host/ports_mem.h"

#define PAGES	  12u
#define RAM_BYTES (PAGES * PAGE_BYTES)
#define HEAD	  11u

static u8 *image;
static struct memmap map;
static struct physmem pm;

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
	memmap_add(&map, 9 * PAGE_BYTES, PAGE_BYTES, MEM_RESERVED);
	return 0;
}

static void fill_ram(const u8 *data, size_t bytes, bool pointers)
{
	memset(image, 0, RAM_BYTES);
	for (size_t at = 0; bytes > 0 && at < RAM_BYTES; at += bytes)
		memcpy(image + at, data, min_u64(bytes, RAM_BYTES - at));
	/* brings the addresses in the entries into RAM, flags stay as they are */
	for (size_t i = 0; pointers && i < RAM_BYTES; i += 8) {
		image[i + 2] = 0;
		memset(image + i + 3, 0, 4);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct pagetable pt = {0};
	u8 buf[3 * PAGE_BYTES];
	u16 root;
	u64 va;
	u64 pa;

	if (bytes < HEAD)
		return 0;
	memcpy(&root, data + 1, sizeof(root));
	memcpy(&va, data + 3, sizeof(va));
	pt.levels = data[0] & 8 ? data[0] & 7 : 4 + (data[0] & 1);
	pt.root_pa = (u64)root << (data[0] >> 4 & 7) * 4;
	pt.sme_mask = data[0] & 2 ? 1ull << 47 : 0;
	fill_ram(data + HEAD, bytes - HEAD, data[0] & 0x80);
	physmem_init(&pm, &map);
	if (pagetable_walk(&pm, &pt, va, &pa) == OK && (pa ^ va) & (PAGE_BYTES - 1))
		abort();
	if (pagetable_read(&pm, &pt, va, buf, 1 + va % sizeof(buf)) == OK) {
		if (pagetable_walk(&pm, &pt, va, &pa) != OK || image[pa] != buf[0])
			abort();
	}
	return 0;
}
