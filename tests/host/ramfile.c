/*
 * RAM files as old memory. Knows how QEMU's q35 lays out RAM; looks at nothing in it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ports_mem.h"
#include "ramfile.h"

#define LOW_MAX	  0xb0000000ull
#define LOW_SPLIT (2 * GIB)
#define HIGH_PA	  (4 * GIB)
#define BIOS_PA	  0x9f000u

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static u64 file_bytes(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		fail(path);
	if (st.st_size == 0 || st.st_size % PAGE_BYTES != 0) {
		fprintf(stderr, "%s: not a RAM file\n", path);
		exit(1);
	}
	return (u64)st.st_size;
}

static void map_file(const char *path, u8 *at, u64 bytes)
{
	int fd = open(path, O_RDONLY);
	void *p;

	if (fd < 0)
		fail(path);
	p = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		fail(path);
	close(fd);
}

static void map_files(struct ramfile *r, char *const *files, u32 count)
{
	u64 at = 0;
	void *p;

	for (u32 i = 0; i < count; i++)
		r->bytes += file_bytes(files[i]);
	p = mmap(NULL, r->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	r->base = p;
	for (u32 i = 0; i < count; i++) {
		map_file(files[i], r->base + at, file_bytes(files[i]));
		at += file_bytes(files[i]);
	}
}

static void read_map(struct ramfile *r, const char *path)
{
	FILE *f = fopen(path, "r");
	u64 first;
	u64 last;

	if (!f)
		fail(path);
	while (fscanf(f, "%" SCNx64 " %" SCNx64, &first, &last) == 2) {
		if (last >= first)
			memmap_add(&r->map, first, last - first + 1, MEM_RAM);
	}
	fclose(f);
}

void ramfile_load(struct ramfile *r, char *const *files, u32 count, const char *map_path)
{
	u64 low;

	memset(r, 0, sizeof(*r));
	map_files(r, files, count);
	low = r->bytes <= LOW_MAX ? r->bytes : LOW_SPLIT;
	host_reset_all();
	host_ram_add(0, r->base, low);
	if (low < r->bytes)
		host_ram_add(HIGH_PA, r->base + low, r->bytes - low);
	if (map_path) {
		read_map(r, map_path);
	} else {
		memmap_add(&r->map, 0, BIOS_PA, MEM_RAM);
		memmap_add(&r->map, MIB, low - MIB, MEM_RAM);
		if (low < r->bytes)
			memmap_add(&r->map, HIGH_PA, r->bytes - low, MEM_RAM);
	}
	physmem_init(&r->pm, &r->map);
}

enum status ramfile_open(struct ramfile *r)
{
	static const struct oldkernel_ask any;
	enum status st = oldkernel_find(&r->pm, &any, &r->kernel, &r->scratch, &r->pagemap);

	return st == OK ? pagemap_open(&r->pagemap, &r->pm, &r->kernel) : st;
}
