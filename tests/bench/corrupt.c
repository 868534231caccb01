/*
 * Damages the page map in a RAM file at random, again and again, and looks for pages that are
 * lost by it: corrupt [-m MAPFILE] [-n ROUNDS] [-s SEED] RAMFILE... A page whose contents are
 * kept at level 31 in the intact image must be kept in the damaged one, unless it was its own
 * struct page that was written to; for a page inside a compound page that is its head's as
 * well, where all there is to say of it is said. Round N of seed S is round 0 of seed S+N.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dumplog.h"
#include "pagescan.h"
#include "tests/host/ports_mem.h"
#include "tests/host/ramfile.h"

#define MAX_DAMAGES 12
#define MAX_ENTRIES 65536
#define MAX_REPORTS 5
#define PT_ADDRESS  0x000ffffffffff000ull
#define PT_LARGE    0x80ull

struct undo {
	u8 *at;
	u32 bytes;
	u8 old[PAGE_BYTES];
};

static struct ramfile ram;
static struct pagescan scan;
static u64 end_pfn;
static u8 *intact;   /* class of each page */
static u8 *written;  /* per page: 1 its struct page was written to in this round */
static u8 **structs; /* where they are, NULL: nowhere */
static u64 *heads;   /* of blocks */
static u64 *head_of; /* of each page in a compound page; ~0: none */
static u64 head_count;
static u64 *kept; /* pages with contents at level 31 */
static u64 kept_count;
static u8 *entry[MAX_ENTRIES]; /* what leads to the page map: tables and sections */
static u32 entries;
static struct undo undo[MAX_DAMAGES];
static u32 undos;
static u64 random_state;
static u64 lost_with_head; /* pages */

static u64 random_u64(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static u64 random_below(u64 n)
{
	return random_u64() % n;
}

static void *allocate(u64 count, u64 bytes)
{
	void *p = calloc(count, bytes);

	if (!p) {
		perror("calloc");
		exit(1);
	}
	return p;
}

/* --- what is intact ----------------------------------------------------------------------- */

static u8 *struct_of(u64 pfn)
{
	struct pagemap_stretch s;
	u64 bytes;
	u64 pa;

	pagemap_stretch(&ram.pagemap, pfn, &s);
	if (!s.va || pagemap_translate(&ram.pagemap, s.va, &pa, &bytes) != OK ||
		bytes < ram.pagemap.rules.size)
		return NULL;
	return host_ram_at(pa, ram.pagemap.rules.size);
}

static void classify(u8 *class)
{
	struct runs runs;
	struct run run;

	pagescan_init(&scan, &ram.pagemap);
	runs_init(&runs, &ram.map, &scan);
	while (runs_next(&runs, &run))
		memset(class + run.pfn, (int)run.class, run.count);
}

static void find_heads(void)
{
	const struct page_rules *r = &ram.pagemap.rules;

	pagescan_init(&scan, &ram.pagemap);
	for (u64 pfn = 0; pfn < end_pfn; pfn++)
		head_of[pfn] = ~0ull;
	for (u64 pfn = 0; pfn < end_pfn; pfn++) {
		u64 flags;
		u64 head;

		if (!structs[pfn] || intact[pfn] == DL_NOT_RAM)
			continue;
		memcpy(&flags, structs[pfn] + r->flags, sizeof(flags));
		if (r->compound >= 0) {
			memcpy(&head, structs[pfn] + r->compound, sizeof(head));
			if (head & 1 && !r->compound_masked)
				head_of[pfn] =
					pfn - ((pfn * r->size + ram.pagemap.base_va - (head - 1)) /
						      r->size);
			else if (head & 1)
				head_of[pfn] = pfn & ~((0 - (head - 1)) / r->size - 1);
		}
		if (intact[pfn] == DL_FREE || flags & r->head)
			heads[head_count++] = pfn;
		if (dl_class_has_data(intact[pfn], DL_LEVEL_MAX))
			kept[kept_count++] = pfn;
	}
}

static void add_entry(u8 *at)
{
	for (u32 i = entries; i > 0 && i + 8 > entries; i--) {
		if (entry[i - 1] == at)
			return;
	}
	if (at && entries < MAX_ENTRIES)
		entry[entries++] = at;
}

/* The entries of the tables on the way to @va. */
static void add_tables(u64 va)
{
	const struct pagetable *pt = &ram.kernel.pt;
	u64 table = pt->root_pa;

	for (u32 level = pt->levels; level > 0; level--) {
		u8 *at = host_ram_at(table + (va >> (3 + 9 * level) & 511) * 8, 8);
		u64 e;

		add_entry(at);
		if (!at)
			return;
		memcpy(&e, at, sizeof(e));
		if (!(e & 1) || e & PT_LARGE)
			return;
		table = e & PT_ADDRESS;
	}
}

static void add_section(u64 section)
{
	const struct pagemap *m = &ram.pagemap;
	u64 va = m->section_array_va;
	u64 pa;
	u64 root;

	if (m->sections_per_root) {
		va += section / m->sections_per_root * 8;
		if (pagetable_walk(&ram.pm, &m->pt, va, &pa) != OK)
			return;
		add_entry(host_ram_at(pa, 8));
		memcpy(&root, host_ram_at(pa, 8), 8);
		va = root + section % m->sections_per_root * m->section_bytes;
	}
	if (pagetable_walk(&ram.pm, &m->pt, va + m->section_map_at, &pa) == OK)
		add_entry(host_ram_at(pa, 8));
}

static void find_entries(void)
{
	for (u64 pfn = 0; pfn < end_pfn; pfn += 64) {
		struct pagemap_stretch s;

		pagemap_stretch(&ram.pagemap, pfn, &s);
		if (s.va)
			add_tables(s.va);
		if (pfn % SECTION_PAGES == 0 && ram.pagemap.kind <= PAGEMAP_VMEMMAP)
			add_section(pfn / SECTION_PAGES);
	}
}

static void study(void)
{
	end_pfn = memmap_end_pfn(&ram.map);
	intact = allocate(end_pfn, 1);
	written = allocate(end_pfn, 1);
	structs = allocate(end_pfn, sizeof(*structs));
	heads = allocate(end_pfn, sizeof(*heads));
	head_of = allocate(end_pfn, sizeof(*head_of));
	kept = allocate(end_pfn, sizeof(*kept));
	for (u64 pfn = 0; pfn < end_pfn; pfn++)
		structs[pfn] = struct_of(pfn);
	classify(intact);
	find_heads();
	find_entries();
}

/* --- damage ------------------------------------------------------------------------------- */

static void change(u8 *at, const void *bytes, u32 count)
{
	struct undo *u = &undo[undos];

	if (undos == MAX_DAMAGES || count > PAGE_BYTES)
		return;
	undos++;
	u->at = at;
	u->bytes = count;
	memcpy(u->old, at, count);
	memmove(at, bytes, count);
}

static void repair(void)
{
	while (undos > 0) {
		undos--;
		memcpy(undo[undos].at, undo[undos].old, undo[undos].bytes);
	}
}

static u64 some_pfn(void)
{
	u64 kind = random_below(4);
	u64 pfn;

	if (kind == 0)
		pfn = random_below(end_pfn);
	else if (kind == 1 && head_count > 0)
		pfn = heads[random_below(head_count)];
	else
		pfn = kept[random_below(kept_count)];
	if (kind == 3)
		pfn &= ~((1ull << random_below(11)) - 1);
	return structs[pfn] ? pfn : kept[random_below(kept_count)];
}

static void set_field(u64 pfn, s32 at, u64 value, u32 bytes)
{
	if (!structs[pfn] || at < 0)
		return;
	written[pfn] = 1;
	change(structs[pfn] + at, &value, bytes);
}

static void damage_bytes(u64 pfn)
{
	u8 noise[256];
	u32 count = (u32)(1 + random_below(sizeof(noise)));
	u32 size = ram.pagemap.rules.size;

	if (pfn + sizeof(noise) / size + 1 >= end_pfn ||
		structs[pfn + sizeof(noise) / size] != structs[pfn] + sizeof(noise) / size * size)
		count = size;
	for (u32 i = 0; i < count; i++)
		noise[i] = (u8)random_u64();
	for (u32 i = 0; i < (count + size - 1) / size; i++)
		written[pfn + i] = 1;
	change(structs[pfn], noise, count);
}

static void damage_bits(u64 pfn)
{
	u64 n = 1 + random_below(3);

	while (n-- > 0) {
		u64 bit = random_below(ram.pagemap.rules.size * 8);
		u8 byte = structs[pfn][bit / 8] ^ (u8)(1u << bit % 8);

		written[pfn] = 1;
		change(structs[pfn] + bit / 8, &byte, 1);
	}
}

static void damage_copy(u64 pfn)
{
	u64 from = some_pfn();

	written[pfn] = 1;
	change(structs[pfn], structs[from], ram.pagemap.rules.size);
}

/* The head of a free block, with pointers of a true one at times. */
static void damage_free(u64 pfn)
{
	const struct page_rules *r = &ram.pagemap.rules;

	if (random_below(2))
		damage_copy(pfn);
	if (random_below(2))
		set_field(pfn, r->refcount, 0, 4);
	if (random_below(2))
		set_field(pfn, r->list_next, ram.kernel.page_offset + random_below(1 << 28) * 8, 8);
	if (r->has_buddy_type)
		set_field(pfn, r->mapcount, r->buddy_type, 4);
	set_field(pfn, r->private, random_below(12), 8);
}

static void damage_field(u64 pfn)
{
	const struct page_rules *r = &ram.pagemap.rules;
	u64 flags;

	switch (random_below(6)) {
	case 0:
		set_field(pfn, r->private, random_below(12), 8);
		break;
	case 1:
		set_field(pfn, r->compound, random_u64() | 1, 8);
		break;
	case 2:
		memcpy(&flags, structs[pfn] + r->flags, sizeof(flags));
		set_field(pfn, r->flags, flags ^ 1ull << random_below(24), 8);
		break;
	case 3:
		set_field(pfn, r->flags, random_u64(), 8);
		break;
	case 4:
		set_field(
			pfn, r->mapping, ram.kernel.page_offset + random_below(1 << 28) * 8 + 1, 8);
		break;
	default:
		set_field(pfn, r->mapcount, r->buddy_type, 4);
	}
}

/* A page of the page map: zeros, another page of it, or any page of memory. */
static void damage_page(u64 pfn)
{
	static const u8 zeros[PAGE_BYTES];
	u32 size = ram.pagemap.rules.size;
	u8 *page = ram.base + (u64)(structs[pfn] - ram.base) / PAGE_BYTES * PAGE_BYTES;
	const u8 *from = ram.base + random_below(ram.bytes / PAGE_BYTES) * PAGE_BYTES;
	u64 kind = random_below(3);

	if (kind == 0)
		from = zeros;
	else if (kind == 1)
		from = ram.base + (u64)(structs[some_pfn()] - ram.base) / PAGE_BYTES * PAGE_BYTES;
	for (u64 i = pfn - min_u64(pfn, PAGE_BYTES / size + 1);
		i < end_pfn && i <= pfn + PAGE_BYTES / size; i++) {
		if (structs[i] && structs[i] + size > page && structs[i] < page + PAGE_BYTES)
			written[i] = 1;
	}
	change(page, from, PAGE_BYTES);
}

/* What leads to the page map. */
static void damage_entry(void)
{
	u8 *at = entry[random_below(entries)];
	u64 value;

	memcpy(&value, at, sizeof(value));
	switch (random_below(4)) {
	case 0:
		value = random_u64();
		break;
	case 1:
		value ^= 1ull << random_below(64);
		break;
	case 2:
		memcpy(&value, entry[random_below(entries)], sizeof(value));
		break;
	default:
		value = (value & ~PT_ADDRESS) | random_below(ram.bytes / PAGE_BYTES) << PAGE_SHIFT;
	}
	change(at, &value, sizeof(value));
}

static void damage(void)
{
	u64 pfn = some_pfn();

	switch (random_below(10)) {
	case 0:
		damage_bytes(pfn);
		break;
	case 1:
	case 2:
		damage_bits(pfn);
		break;
	case 3:
		damage_copy(pfn);
		break;
	case 4:
	case 5:
		damage_free(pfn);
		break;
	case 6:
	case 7:
		damage_field(pfn);
		break;
	case 8:
		damage_page(pfn);
		break;
	default:
		damage_entry();
	}
}

/* --- rounds ------------------------------------------------------------------------------- */

/* Inside a compound page whose order or kind was written to. */
static bool head_was_written(u64 pfn)
{
	u64 head = head_of[pfn];

	return head < end_pfn - 1 && (written[head] || written[head + 1]);
}

/* Pages that are gone though nobody wrote to their struct page. */
static u64 count_lost(const u8 *class, u64 seed)
{
	u64 lost = 0;

	for (u64 pfn = 0; pfn < end_pfn; pfn++) {
		if (dl_class_has_data(class[pfn], DL_LEVEL_MAX) || written[pfn] ||
			!dl_class_has_data(intact[pfn], DL_LEVEL_MAX))
			continue;
		if (head_was_written(pfn)) {
			lost_with_head++;
			continue;
		}
		if (lost++ < MAX_REPORTS)
			printf("seed %llu: page %llu was %s, is %s\n", (unsigned long long)seed,
				(unsigned long long)pfn, dl_class_name(intact[pfn]),
				dl_class_name(class[pfn]));
	}
	return lost;
}

static u64 round_of(u8 *class, u64 seed)
{
	u64 lost = 0;

	random_state = seed;
	memset(written, 0, end_pfn);
	for (u64 n = 1 + random_below(4); n > 0; n--)
		damage();
	physmem_init(&ram.pm, &ram.map);
	if (pagemap_open(&ram.pagemap, &ram.pm, &ram.kernel) == OK) {
		memset(class, DL_NOT_RAM, end_pfn);
		classify(class);
		lost = count_lost(class, seed);
	}
	repair();
	return lost;
}

int main(int argc, char **argv)
{
	const char *map_path = NULL;
	u64 rounds = 100;
	u64 seed = 1;
	u64 lost = 0;
	u8 *class;
	int opt;

	while ((opt = getopt(argc, argv, "m:n:s:")) != -1) {
		if (opt == 'm')
			map_path = optarg;
		else if (opt == 'n')
			rounds = strtoull(optarg, NULL, 0);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind >= argc) {
		fprintf(stderr, "usage: corrupt [-m MAPFILE] [-n ROUNDS] [-s SEED] RAMFILE...\n");
		return 2;
	}
	ramfile_load(&ram, argv + optind, (u32)(argc - optind), map_path);
	if (ramfile_open(&ram) != OK) {
		fprintf(stderr, "no kernel or no page map\n");
		return 1;
	}
	study();
	class = allocate(end_pfn, 1);
	for (u64 i = 0; i < rounds; i++)
		lost += round_of(class, seed + i);
	printf("%llu rounds, %llu pages lost; %llu inside compound pages whose head was written "
	       "to\n",
		(unsigned long long)rounds, (unsigned long long)lost,
		(unsigned long long)lost_with_head);
	return lost > 0;
}
