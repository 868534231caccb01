/*
 * Opens and uses page maps of every kind that the input has damaged. The low half of byte 0
 * chooses the kind; the high half, from 8 on, a reader instead of RAM, or, at 7, to sample all of
 * RAM. Then come edits of 8 bytes each: what, where, and bits to flip, in vmcoreinfo, page tables,
 * what leads to the map, struct pages or the memory map.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "dumplog.h"
#include "linux/verify.h"
#include "tests/host/fake_pagemap.h"
#include "tests/host/ports_mem.h"

#define LOW_BYTES  ((u64)256 * MIB)
#define HIGH_PA	   (4 * GIB)
#define HIGH_BYTES ((u64)128 * MIB)
#define KINDS	   9u
#define MAX_EDITS  64u
#define TABLE_SPAN ((u64)MIB + 128 * KIB) /* an array for 52 bits and roots */

struct edit {
	u8 what;
	u8 at[3];
	u8 bits[4];
};

enum edit_place {
	IN_TEXT,
	IN_PAGE_TABLES,
	IN_POINTERS,
	IN_STRUCT_PAGES,
	IN_MEMORY_MAP,
	EDIT_PLACES,
};

struct machine {
	u8 *low;
	u8 *high;
	struct fake_pagemap fp;
};

static struct machine machine[KINDS];
static struct memmap intact_map;
static struct memmap map;
static struct physmem pm;
static struct oldkernel kernel;
static struct pagemap pagemap;
static u64 last_va, last_pa, last_bytes; /* of the large piece translated before */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

static u8 *memory(u64 bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static void use_machine(const struct machine *mc)
{
	host_reset_all();
	host_ram_add(0, mc->low, LOW_BYTES);
	host_ram_add(HIGH_PA, mc->high, HIGH_BYTES);
}

static void set_nodes(struct fake_pagemap *fp)
{
	fp->nodes = 2;
	fp->node[0].end_pfn = LOW_BYTES >> PAGE_SHIFT;
	fp->node[1].pfn = HIGH_PA >> PAGE_SHIFT;
	fp->node[1].end_pfn = (HIGH_PA + HIGH_BYTES) >> PAGE_SHIFT;
}

static void choose(struct fake_pagemap *fp, u32 n)
{
	static const u32 kind[KINDS] = {PAGEMAP_VMEMMAP, PAGEMAP_VMEMMAP, PAGEMAP_VMEMMAP,
		PAGEMAP_VMEMMAP, PAGEMAP_VMEMMAP, PAGEMAP_SPARSE, PAGEMAP_SPARSE, PAGEMAP_FLAT,
		PAGEMAP_DISCONTIG};

	fake_pagemap_init(fp, kind[n]);
	if (n == 1) {
		fp->fk.levels = 5;
		fp->fk.page_offset = 0xff2b055dc0000000ull;
		fp->base_va = 0xffd4000000000000ull;
		fp->phys_bits = 52;
		fp->symbol = true;
	}
	fp->small_pages = n == 2;
	if (n == 3)
		fp->fk.page_bytes = 56;
	if (n == 4) {
		fp->indirect = true;
		fp->section_bytes = 24;
		fp->fk.sme_mask = 1ull << 47;
	}
	fp->down = n == 5 || n == 4;
	if (n == 6) {
		fp->extreme = false;
		fp->phys_bits = 40;
	}
	if (kind[n] == PAGEMAP_DISCONTIG)
		set_nodes(fp);
}

static void fill(const struct fake_pagemap *fp)
{
	fake_free(fp, 0x4000, 10);
	fake_anon(fp, 0x4400, 300);
	fake_cache(fp, 0x4800, 300, false);
	fake_compound(fp, 0x5000, 9, true);
	fake_compound(fp, 0x5200, 9, false);
	fake_free(fp, HIGH_PA >> PAGE_SHIFT, 9);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	memmap_add(&intact_map, 0, LOW_BYTES, MEM_RAM);
	memmap_add(&intact_map, HIGH_PA, HIGH_BYTES, MEM_RAM);
	for (u32 i = 0; i < KINDS; i++) {
		machine[i].low = memory(LOW_BYTES);
		machine[i].high = memory(HIGH_BYTES);
		use_machine(&machine[i]);
		choose(&machine[i].fp, i);
		fake_pagemap_build(&machine[i].fp, &intact_map);
		fill(&machine[i].fp);
	}
	return 0;
}

static u64 place_of(const struct fake_pagemap *fp, const struct edit *e)
{
	u64 at = (u64)(e->at[0] | e->at[1] << 8 | e->at[2] << 16);

	switch (e->what % EDIT_PLACES) {
	case IN_TEXT:
		return fp->fk.note_pa + NOTE_TEXT + at % (VMCOREINFO_MAX - 4);
	case IN_PAGE_TABLES:
		return fp->fk.image_pa + at * 8 % FAKE_IMAGE_BYTES;
	case IN_POINTERS:
		return fp->table_pa + at * 8 % TABLE_SPAN;
	case IN_STRUCT_PAGES:
		return fp->map_pa + at * 8 % (fp->next_pa - fp->map_pa);
	default:
		return at % (LOW_BYTES >> PAGE_SHIFT) << PAGE_SHIFT;
	}
}

/* Doing it twice undoes it, but for the memory map. */
static void apply(const struct fake_pagemap *fp, const struct edit *e)
{
	u64 pa = place_of(fp, e);
	u32 bits;
	u64 word;

	memcpy(&bits, e->bits, sizeof(bits));
	if (e->what % EDIT_PLACES == IN_MEMORY_MAP) {
		if (bits & 1)
			memmap_touch(&map, pa, bits & ~0xfffu, TOUCHED_FIRMWARE);
		else
			memmap_add(&map, pa, bits & ~0xfffu, MEM_RESERVED);
		return;
	}
	word = (u64)bits << (e->what % EDIT_PLACES == IN_TEXT ? 0 : e->what >> 3);
	for (u32 i = 0; i < sizeof(word); i++)
		host_ram_at(pa, 8)[i] ^= (u8)(word >> 8 * i);
}

static void apply_all(const struct fake_pagemap *fp, const u8 *data, size_t bytes)
{
	struct edit e;

	for (u32 i = 0; i < MAX_EDITS && bytes >= sizeof(e); i++) {
		memcpy(&e, data, sizeof(e));
		apply(fp, &e);
		data += sizeof(e);
		bytes -= sizeof(e);
	}
}

static void check_stretch(u64 pfn, struct pagemap_stretch *s)
{
	pagemap_stretch(&pagemap, pfn, s);
	if (s->pfn != pfn || s->end_pfn <= pfn)
		abort();
	if (!s->va)
		return;
	if (s->va < pagemap.rules.kernel_va || pfn >= pagemap.end_pfn ||
		s->end_pfn > pagemap.end_pfn ||
		(s->end_pfn - pfn) > (KERNEL_MAP_VA - s->va) / pagemap.rules.size)
		abort();
}

/* What is translated is RAM that nobody wrote to; large pieces serve one part only. */
static void check_translate(u64 va)
{
	u64 bytes;
	u64 pa;

	if (pagemap_translate(&pagemap, va, &pa, &bytes) != OK)
		return;
	if (bytes == 0 || bytes > PAGEMAP_PIECE || (pa ^ va) & (PAGE_BYTES - 1))
		abort();
	if (pm.map) {
		const struct mem_range *r = memmap_find(&map, pa);

		if (!r || r->type != MEM_RAM || r->touched || bytes > r->pa + r->bytes - pa)
			abort();
		if (bytes > PAGE_BYTES && last_bytes > PAGE_BYTES && pa == last_pa && va != last_va)
			abort();
	}
	last_va = va;
	last_pa = pa;
	last_bytes = pm.map ? bytes : 0;
}

static void check_page(u64 pfn)
{
	struct pagemap_stretch s;
	u8 buf[PAGEINFO_MAX_BYTES];
	struct page_ref page = {.pfn = pfn, .bytes = buf};

	check_stretch(pfn, &s);
	if (s.va)
		check_translate(s.va);
	if (pagemap_read(&pagemap, pfn, buf, &page.va) != OK)
		return;
	if (page.va != s.va || page_judge(&pagemap.rules, &page, NULL).class > DL_METADATA_LOST)
		abort();
}

static void check_map(bool sample)
{
	static const u64 pfn[] = {0, 0x4000, 0x4001, 0x7fff, 0x8000, 0x9000, 0xffff, 0x10000,
		HIGH_PA >> PAGE_SHIFT, (HIGH_PA >> PAGE_SHIFT) + 0x7fff,
		(HIGH_PA >> PAGE_SHIFT) + 0x8000, 1ull << 34, 1ull << 40, UINT64_MAX - 1};

	for (u32 i = 0; i < ARRAY_SIZE(pfn); i++)
		check_page(pfn[i]);
	if (pagemap.end_pfn)
		check_page(pagemap.end_pfn - 1);
	if (sample && pagemap_coverage(&pagemap, &map) > memmap_ram_pages(&map))
		abort();
	if (!pagemap_name(&pagemap))
		abort();
}

static enum status read_ram(void *ctx, u64 pa, void *buf, u64 len)
{
	const u8 *at = host_ram_at(pa, len);

	(void)ctx;
	if (!at)
		return E_ABSENT;
	memcpy(buf, at, len);
	return OK;
}

/* Verified by RAM, as in the image, then used by either. */
static void run(const struct fake_pagemap *fp, bool reader, bool sample)
{
	u32 guesses = 16;

	last_bytes = 0;
	memset(&kernel, 0, sizeof(kernel));
	physmem_init(&pm, &map);
	if (!vmcoreinfo_load(&pm, fp->fk.note_pa, &kernel.vi) ||
		oldkernel_verify(&pm, &kernel, &guesses) != OK)
		return;
	if (reader)
		physmem_init_reader(&pm, read_ram, NULL);
	if (pagemap_open(&pagemap, &pm, &kernel) != OK && pagemap.end_pfn)
		abort();
	if (reader)
		memset(&map, 0, sizeof(map));
	check_map(sample);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	const struct machine *mc;

	if (bytes < 1)
		return 0;
	mc = &machine[(data[0] & 15) % KINDS];
	use_machine(mc);
	memcpy(&map, &intact_map, sizeof(map));
	apply_all(&mc->fp, data + 1, bytes - 1);
	run(&mc->fp, data[0] >> 7, data[0] >> 4 == 7);
	apply_all(&mc->fp, data + 1, bytes - 1);
	return 0;
}
