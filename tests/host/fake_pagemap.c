/*
 * Builds page maps of every kind. The map lies in one piece of RAM, which the direct map
 * shows too; FLATMEM, DISCONTIGMEM and plain SPARSEMEM use it there, as old kernels do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_pagemap.h"
#include "linux/pagemap_parts.h"
#include "ports_mem.h"

#define PIECE	    (2 * (u64)MIB)
#define TEXT_BYTES  3072
#define PGDAT_BYTES 64u

static const char page_text[] =
	"OFFSET(page.flags)=0\nOFFSET(page._refcount)=52\nOFFSET(page.mapping)=24\n"
	"OFFSET(page.lru)=8\nOFFSET(page._mapcount)=48\nOFFSET(page.private)=40\n"
	"OFFSET(page.compound_dtor)=16\nOFFSET(page.compound_order)=17\n"
	"OFFSET(page.compound_head)=8\nOFFSET(list_head.next)=0\nOFFSET(list_head.prev)=8\n"
	"LENGTH(zone.free_area)=11\nNUMBER(PG_lru)=4\nNUMBER(PG_private)=13\n"
	"NUMBER(PG_swapcache)=10\nNUMBER(PG_swapbacked)=19\nNUMBER(PG_slab)=9\n"
	"NUMBER(PG_hwpoison)=22\nNUMBER(PG_head_mask)=65536\nNUMBER(HUGETLB_PAGE_DTOR)=2\n"
	"NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\n";

static void fail(const char *what, u64 number)
{
	fprintf(stderr, "fake page map: %s: 0x%llx\n", what, (unsigned long long)number);
	abort();
}

static u8 *ram(u64 pa, u64 bytes)
{
	u8 *p = host_ram_at(pa, bytes);

	if (!p)
		fail("outside RAM", pa);
	return p;
}

static void put(u64 pa, u64 value)
{
	memcpy(ram(pa, sizeof(value)), &value, sizeof(value));
}

void fake_pagemap_init(struct fake_pagemap *fp, u32 kind)
{
	memset(fp, 0, sizeof(*fp));
	fp->fk = fake_kernel_default();
	fp->fk.page_bytes = 64;
	fp->kind = kind;
	fp->extreme = true;
	fp->phys_bits = 46;
	fp->section_bytes = 16;
	fp->section_flags = 0xf;
	fp->base_va = 0xffffea0040000000ull;
	fp->map_pa = 64 * MIB;
	fp->table_pa = 32 * MIB;
}

static bool is_sparse(const struct fake_pagemap *fp)
{
	return fp->kind == PAGEMAP_SPARSE || fp->kind == PAGEMAP_VMEMMAP;
}

static bool has_ram(const struct memmap *map, u64 pa, u64 bytes)
{
	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (r->type == MEM_RAM && r->pa < pa + bytes && pa < r->pa + r->bytes)
			return true;
	}
	return false;
}

static void add_part(struct fake_pagemap *fp, u64 va, u64 bytes, u64 pfn)
{
	if (fp->parts == FAKE_PARTS)
		fail("too many parts", va);
	fp->part[fp->parts++] = (struct fake_part) {va, fp->next_pa, bytes, pfn};
	fp->next_pa += bytes;
}

/* In the direct map, one behind the other. */
static void add_direct(struct fake_pagemap *fp, u64 pfn, u64 end_pfn)
{
	add_part(fp, fp->fk.page_offset + fp->next_pa, (end_pfn - pfn) * fp->fk.page_bytes, pfn);
}

/* The pieces that a section needs; it may share the first with the section before. */
static void add_vmemmap(struct fake_pagemap *fp, u64 section)
{
	u64 bytes = (u64)SECTION_PAGES * fp->fk.page_bytes;
	u64 va = fp->base_va + section * bytes;
	u64 end = va + bytes;

	for (va &= ~(PIECE - 1); va < end; va += PIECE) {
		if (fp->parts == 0 || va > fp->part[fp->parts - 1].va)
			add_part(fp, va, PIECE, 0);
	}
}

static void turn_down(struct fake_pagemap *fp)
{
	for (u32 i = 0; i < fp->parts / 2; i++) {
		struct fake_part *a = &fp->part[i];
		struct fake_part *b = &fp->part[fp->parts - 1 - i];
		u64 pa = a->pa;

		a->pa = b->pa;
		b->pa = pa;
		if (fp->kind == PAGEMAP_SPARSE) {
			a->va = fp->fk.page_offset + a->pa;
			b->va = fp->fk.page_offset + b->pa;
		}
	}
}

static void place_sections(struct fake_pagemap *fp, const struct memmap *map)
{
	u64 sections = round_up_u64(memmap_end_pfn(map), SECTION_PAGES) / SECTION_PAGES;

	for (u64 n = 0; n < sections; n++) {
		u64 pfn = n * SECTION_PAGES;

		if (!has_ram(map, pfn << PAGE_SHIFT, (u64)SECTION_PAGES << PAGE_SHIFT))
			continue;
		if (fp->kind == PAGEMAP_VMEMMAP)
			add_vmemmap(fp, n);
		else
			add_direct(fp, pfn, pfn + SECTION_PAGES);
	}
	if (fp->down)
		turn_down(fp);
}

static void place_map(struct fake_pagemap *fp, const struct memmap *map)
{
	fp->parts = 0;
	fp->next_pa = fp->map_pa;
	if (is_sparse(fp)) {
		place_sections(fp, map);
		return;
	}
	if (fp->kind == PAGEMAP_FLAT)
		add_direct(fp, 0, memmap_end_pfn(map));
	for (u32 i = 0; fp->kind == PAGEMAP_DISCONTIG && i < fp->nodes; i++)
		add_direct(fp, fp->node[i].pfn, fp->node[i].end_pfn);
}

u64 fake_page_va(const struct fake_pagemap *fp, u64 pfn)
{
	u64 bytes = fp->fk.page_bytes;

	if (fp->kind == PAGEMAP_VMEMMAP)
		return fp->base_va + pfn * bytes;
	for (u32 i = 0; i < fp->parts; i++) {
		const struct fake_part *p = &fp->part[i];

		if (pfn >= p->pfn && pfn < p->pfn + p->bytes / bytes)
			return p->va + (pfn - p->pfn) * bytes;
	}
	fail("no such struct page", pfn);
	return 0;
}

u8 *fake_page(const struct fake_pagemap *fp, u64 pfn)
{
	u64 va = fake_page_va(fp, pfn);

	for (u32 i = 0; i < fp->parts; i++) {
		const struct fake_part *p = &fp->part[i];

		if (va >= p->va && va - p->va < p->bytes)
			return ram(p->pa + (va - p->va), fp->fk.page_bytes);
	}
	fail("struct page is not in the map", va);
	return NULL;
}

static u32 per_root(const struct fake_pagemap *fp)
{
	return fp->extreme ? PAGE_BYTES / fp->section_bytes : 1;
}

static u64 array_length(const struct fake_pagemap *fp)
{
	return ((1ull << (fp->phys_bits - 27)) + per_root(fp) - 1) / per_root(fp);
}

/* Where the array is; a pointer to it lies before it. */
static u64 array_pa(const struct fake_pagemap *fp)
{
	return fp->table_pa + PAGE_BYTES;
}

/* Roots behind the array of pointers, in the order of need. */
static u64 section_pa(const struct fake_pagemap *fp, u64 section)
{
	u64 root = section / per_root(fp);
	u64 root_at = array_pa(fp) + root * sizeof(u64);
	u64 va;

	if (!fp->extreme)
		return array_pa(fp) + section * fp->section_bytes;
	memcpy(&va, ram(root_at, sizeof(va)), sizeof(va));
	if (!va) {
		u64 pa = array_pa(fp) + round_up_u64(array_length(fp) * 8, PAGE_BYTES);

		va = fp->fk.page_offset + pa + root * PAGE_BYTES;
		put(root_at, va);
	}
	return va - fp->fk.page_offset + section % per_root(fp) * fp->section_bytes;
}

u64 *fake_section(const struct fake_pagemap *fp, u64 pfn)
{
	return (u64 *)(void *)ram(section_pa(fp, pfn / SECTION_PAGES), 8);
}

static void write_section(const struct fake_pagemap *fp, u64 section)
{
	u64 pfn = section * SECTION_PAGES;
	u64 base = fake_page_va(fp, pfn) - pfn * fp->fk.page_bytes;

	put(section_pa(fp, section), base | fp->section_flags);
}

static void write_sections(const struct fake_pagemap *fp, const struct memmap *map)
{
	u64 bytes = (u64)SECTION_PAGES << PAGE_SHIFT;

	put(fp->table_pa, fp->fk.page_offset + array_pa(fp));
	for (u64 n = 0; n * SECTION_PAGES < memmap_end_pfn(map); n++) {
		if (has_ram(map, n * bytes, bytes))
			write_section(fp, n);
	}
}

/* node_data, and behind it one struct pglist_data for each node; the first is flat's. */
static void write_nodes(const struct fake_pagemap *fp)
{
	u64 table = fp->table_pa + PAGE_BYTES;

	put(fp->table_pa, fake_page_va(fp, 0));
	for (u32 i = 0; i < fp->parts; i++) {
		const struct fake_part *p = &fp->part[i];
		u64 pa = table + PAGE_BYTES + i * PGDAT_BYTES;

		put(table + i * sizeof(u64), fp->fk.page_offset + pa);
		put(pa + 8, p->va);
		put(pa + 16, p->pfn);
		put(pa + 24, p->bytes / fp->fk.page_bytes);
	}
}

static int node_text(const struct fake_pagemap *fp, char *text)
{
	u64 va = fp->fk.page_offset + fp->table_pa;

	return snprintf(text, TEXT_BYTES,
		"SYMBOL(%s)=%llx\nLENGTH(node_data)=64\nSYMBOL(contig_page_%s)=%llx\n"
		"OFFSET(pglist_data.node_%s)=8\nOFFSET(pglist_data.node_start_pfn)=16\n"
		"OFFSET(pglist_data.node_spanned_pages)=24\n",
		fp->kind == PAGEMAP_FLAT ? "mem_map" : "node_data",
		(unsigned long long)(fp->kind == PAGEMAP_FLAT ? va : va + PAGE_BYTES),
		fp->kind == PAGEMAP_FLAT ? "data" : "none", (unsigned long long)va + 2 * PAGE_BYTES,
		"mem_map");
}

static int section_text(const struct fake_pagemap *fp, char *text)
{
	return snprintf(text, TEXT_BYTES,
		"LENGTH(mem_section)=%llu\nSIZE(mem_section)=%u\n"
		"OFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=27\n"
		"NUMBER(MAX_PHYSMEM_BITS)=%u\nSYMBOL(%s)=%llx\n",
		(unsigned long long)array_length(fp), fp->section_bytes, fp->phys_bits,
		fp->symbol ? "vmemmap" : "VMEMMAP", (unsigned long long)fp->base_va);
}

static void map_vmemmap(const struct fake_pagemap *fp)
{
	for (u32 i = 0; i < fp->parts; i++) {
		const struct fake_part *p = &fp->part[i];

		if (!fp->small_pages) {
			fake_kernel_map(&fp->fk, p->va, p->pa, 2);
			continue;
		}
		for (u64 at = 0; at < p->bytes; at += PAGE_BYTES)
			fake_kernel_map(&fp->fk, p->va + at, p->pa + at, 1);
	}
}

static void write_pages(const struct fake_pagemap *fp, const struct memmap *map)
{
	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (r->type == MEM_RAM)
			fake_kept(fp, r->pa >> PAGE_SHIFT, r->bytes >> PAGE_SHIFT);
	}
}

void fake_pagemap_build(struct fake_pagemap *fp, const struct memmap *map)
{
	static char text[TEXT_BYTES * 2];
	char kind[TEXT_BYTES];

	place_map(fp, map);
	if (is_sparse(fp)) {
		fp->fk.mem_section_pa = fp->indirect ? fp->table_pa : array_pa(fp);
		section_text(fp, kind);
	} else {
		fp->fk.no_sections = true;
		node_text(fp, kind);
	}
	snprintf(text, sizeof(text), "%s%s%s", fp->extra ? fp->extra : "", page_text, kind);
	fp->fk.extra = text;
	fake_kernel_build(&fp->fk);
	if (fp->kind == PAGEMAP_VMEMMAP)
		map_vmemmap(fp);
	if (is_sparse(fp))
		write_sections(fp, map);
	else
		write_nodes(fp);
	write_pages(fp, map);
}

void fake_pagemap_find(struct physmem *pm, struct oldkernel *k)
{
	static struct oldkernel scratch;
	static struct pagemap map;
	static const struct oldkernel_ask any;

	if (oldkernel_find(pm, &any, k, &scratch, &map) != OK)
		fail("the kernel is not found", k->why);
}
