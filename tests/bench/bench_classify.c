/*
 * Speed and memory of classification: bench_classify [-m MAPFILE] RAMFILE... gives pages per
 * second, CPU time of one core, the page map in memory already. Then the same code opens and
 * scans the page map of a machine with 16 TiB, whose 256 GiB show the same memory again and
 * again: what is needed does not grow.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "dumplog.h"
#include "pagescan.h"
#include "tests/host/ports_mem.h"
#include "tests/host/ramfile.h"

#define ROUNDS	      9
#define ROUND_PAGES   (1u << 24)
#define TIB	      (1024 * GIB)
#define HUGE_BYTES    (16 * TIB)
#define HUGE_MAP_PA   TIB
#define HUGE_MAP      (HUGE_BYTES / PAGE_BYTES * 64)
#define HUGE_PATTERN  (64ull * MIB)
#define HUGE_LOW      (16ull * MIB) /* tables and sections */
#define HUGE_SECTIONS (HUGE_BYTES / (128 * MIB))
#define PER_ROOT      256u
#define STEP_PAGES    (64 * GIB / PAGE_BYTES) /* one in sixteen of these is scanned */
#define DIRECT_VA     0xffff888000000000ull
#define VMEMMAP_VA    0xffffea0000000000ull
#define TABLE	      0x63ull
#define LARGE	      0x1e3ull

static struct ramfile ram;
static struct pagescan scan;

/* Where the made-up machine has what; physical addresses below HUGE_LOW. */
enum {
	ROOT_PA = 0x1000,
	DIRECT_PUD_PA = 0x2000,
	MAP_PUD_PA = 0x3000,
	MAP_PMD_PA = 0x100000, /* 256 tables */
	ROOTS_PA = 0x300000,   /* of sections */
	SECTIONS_PA = 0x400000
};

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static u64 scan_all(const struct memmap *map, struct pagemap *pagemap, u64 *runs_seen)
{
	struct runs runs;
	struct run run;
	u64 pages = 0;

	pagescan_init(&scan, pagemap);
	runs_init(&runs, map, &scan);
	while (runs_next(&runs, &run)) {
		pages += run.class == DL_NOT_RAM ? 0 : run.count;
		++*runs_seen;
	}
	return pages;
}

static void measure(const struct memmap *map, struct pagemap *pagemap)
{
	double rate[ROUNDS];
	u64 runs = 0;
	u64 once = scan_all(map, pagemap, &runs);
	u64 ignored = 0;

	for (u32 i = 0; i < ROUNDS; i++) {
		double start = cpu_seconds();
		u64 pages = 0;

		while (pages < ROUND_PAGES)
			pages += scan_all(map, pagemap, &ignored);
		rate[i] = (double)pages / (cpu_seconds() - start) / 1e6;
	}
	qsort(rate, ROUNDS, sizeof(rate[0]), compare);
	printf("%llu pages in %llu runs: %.1f million pages/s, median of %d rounds "
	       "(%.1f to %.1f), %.2f ms for all\n",
		(unsigned long long)once, (unsigned long long)runs, rate[ROUNDS / 2], ROUNDS,
		rate[0], rate[ROUNDS - 1], (double)once / rate[ROUNDS / 2] / 1e3);
}

static void *reserve(u64 bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void put_u64(u8 *low, u64 pa, u64 value)
{
	memcpy(low + pa, &value, sizeof(value));
}

/* Struct pages of Linux 6.1: 64 pages each of the kernel's, of a process, of cache. */
static void make_pattern(u8 *page, u64 count)
{
	for (u64 i = 0; i < count; i++, page += 64) {
		u64 word[8] = {0};
		u64 kind = i / 64 % 4;

		word[0] = kind ? 0x10 : 0x1000;
		word[1] = word[2] = DIRECT_VA + 0x1000;
		word[3] = kind ? DIRECT_VA + 0x2000 + (kind & 1) : 0;
		word[6] = 1ull << 32 | 0xffffffff;
		memcpy(page, word, sizeof(word));
	}
}

/* 256 GiB that are the same 64 MiB everywhere. */
static u8 *make_page_map(void)
{
	int fd = memfd_create("pagemap", 0);
	u8 *base = reserve(HUGE_MAP);

	if (fd < 0 || ftruncate(fd, HUGE_PATTERN) != 0) {
		perror("memfd");
		exit(1);
	}
	for (u64 at = 0; at < HUGE_MAP; at += HUGE_PATTERN) {
		if (mmap(base + at, HUGE_PATTERN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			    fd, 0) == MAP_FAILED) {
			perror("mmap");
			exit(1);
		}
	}
	close(fd);
	make_pattern(base, HUGE_PATTERN / 64);
	return base;
}

static void make_tables(u8 *low)
{
	put_u64(low, ROOT_PA + (DIRECT_VA >> 39 & 511) * 8, DIRECT_PUD_PA | TABLE);
	put_u64(low, ROOT_PA + (VMEMMAP_VA >> 39 & 511) * 8, MAP_PUD_PA | TABLE);
	put_u64(low, DIRECT_PUD_PA, LARGE);
	for (u64 gib = 0; gib < HUGE_MAP / GIB; gib++)
		put_u64(low, MAP_PUD_PA + gib * 8, (MAP_PMD_PA + gib * PAGE_BYTES) | TABLE);
	for (u64 i = 0; i < HUGE_MAP / (2 * MIB); i++)
		put_u64(low, MAP_PMD_PA + i * 8, (HUGE_MAP_PA + i * 2 * MIB) | LARGE);
	for (u64 i = 0; i < HUGE_SECTIONS; i++) {
		put_u64(low, ROOTS_PA + i / PER_ROOT * 8,
			DIRECT_VA + SECTIONS_PA + i / PER_ROOT * PAGE_BYTES);
		put_u64(low, SECTIONS_PA + i * 16, VMEMMAP_VA | 15);
	}
}

static void describe(struct oldkernel *k)
{
	memset(k, 0, sizeof(*k));
	k->vi.bytes = (u32)snprintf(k->vi.text, sizeof(k->vi.text),
		"SYMBOL(mem_section)=%llx\nLENGTH(mem_section)=2048\nSIZE(mem_section)=16\n"
		"OFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=27\n"
		"NUMBER(MAX_PHYSMEM_BITS)=46\nSIZE(page)=64\nOFFSET(page.flags)=0\n"
		"OFFSET(page._refcount)=52\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n"
		"OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(page.compound_head)=8\n"
		"OFFSET(page.compound_order)=17\nOFFSET(page.compound_dtor)=16\n"
		"OFFSET(list_head.next)=0\nOFFSET(list_head.prev)=8\nLENGTH(zone.free_area)=11\n"
		"NUMBER(PG_lru)=4\nNUMBER(PG_private)=13\nNUMBER(PG_slab)=9\n"
		"NUMBER(PG_head_mask)=65536\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n",
		(unsigned long long)DIRECT_VA + ROOTS_PA);
	k->pt = (struct pagetable) {.root_pa = ROOT_PA, .levels = 4};
	k->page_offset = DIRECT_VA;
}

static void scan_huge(void)
{
	u64 count[DL_CLASSES] = {0};
	u64 pfn = 0;

	pagescan_init(&scan, &ram.pagemap);
	while (pfn < HUGE_BYTES >> PAGE_SHIFT) {
		u64 end = (pfn / STEP_PAGES + 1) * STEP_PAGES;
		struct run run;

		pagescan_run(&scan, pfn, end, &run);
		count[run.class] += run.count;
		pfn += run.count;
		if (pfn == end)
			pfn += 15 * STEP_PAGES;
	}
	for (u32 i = 0; i < DL_CLASSES; i++) {
		if (count[i])
			printf("  %llu pages %s", (unsigned long long)count[i], dl_class_name(i));
	}
	printf("\n");
}

static void measure_huge(void)
{
	u8 *low = reserve(HUGE_LOW);
	u8 *map = make_page_map();
	double start;

	make_tables(low);
	host_reset_all();
	host_ram_add(0, low, HUGE_LOW);
	host_ram_add(HUGE_MAP_PA, map, HUGE_MAP);
	memset(&ram.map, 0, sizeof(ram.map));
	memmap_add(&ram.map, 0, HUGE_BYTES, MEM_RAM);
	physmem_init(&ram.pm, &ram.map);
	describe(&ram.kernel);
	start = cpu_seconds();
	if (pagemap_open(&ram.pagemap, &ram.pm, &ram.kernel) != OK) {
		fprintf(stderr, "the page map of 16 TiB can not be opened\n");
		exit(1);
	}
	printf("opened in %.0f ms, page map %s, %llu pages; one in sixteen scanned:\n",
		(cpu_seconds() - start) * 1e3, pagemap_name(&ram.pagemap),
		(unsigned long long)ram.pagemap.present_pages);
	scan_huge();
}

static void print_state(const char *machine, size_t heap)
{
	printf("%s: %zu bytes of state (memory map %zu, windows %zu, page map %zu, scan %zu, "
	       "runs %zu), %zu bytes allocated meanwhile\n",
		machine,
		sizeof(struct memmap) + sizeof(struct physmem) + sizeof(struct pagemap) +
			sizeof(struct pagescan) + sizeof(struct runs),
		sizeof(struct memmap), sizeof(struct physmem), sizeof(struct pagemap),
		sizeof(struct pagescan), sizeof(struct runs), mallinfo2().uordblks - heap);
}

int main(int argc, char **argv)
{
	const char *map_path = NULL;
	size_t heap;
	int opt;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm')
			return 2;
		map_path = optarg;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	if (optind < argc) {
		ramfile_load(&ram, argv + optind, (u32)(argc - optind), map_path);
		heap = mallinfo2().uordblks;
		if (ramfile_open(&ram) != OK) {
			fprintf(stderr, "no kernel or no page map\n");
			return 1;
		}
		measure(&ram.map, &ram.pagemap);
		print_state("this RAM", heap);
	}
	heap = mallinfo2().uordblks;
	measure_huge();
	print_state("16 TiB", heap);
	return 0;
}
