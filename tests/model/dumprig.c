/*
 * Sets up and runs whole captures in memory. Checking what they left is rigcheck.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "crc32c.h"
#include "tests/model/dumprig.h"
#include "tests/host/ports_mem.h"

#define RIG_HOLE_PA    (MIB + 256u * KIB)
#define RIG_HOLE_BYTES (64u * KIB)

static void must(enum status st, const char *what)
{
	if (st == OK)
		return;
	fprintf(stderr, "rig: %s: E%d %s\n", what, (int)st, status_text(st));
	abort();
}

struct rig_options rig_defaults(void)
{
	return (struct rig_options) {
		.block_bytes = 512,
		.max_bytes = 128 * KIB,
		.compressor = DL_COMP_LZF,
		.dir_slots = 4,
		.raw_below = CAPTURE_RAW_BELOW,
		.level = DL_LEVEL_ZERO,
		.ram_bytes = 2 * MIB,
		.data_bytes = DL_MIN_DATA_BYTES,
	};
}

/* Zero pages, pages that pack well, pages that do not, in an irregular order. */
static void fill_ram(struct rig *rig)
{
	u64 x = 88172645463325252ull;

	for (u64 pfn = 0; pfn < rig->opt.ram_bytes >> PAGE_SHIFT; pfn++) {
		u8 *page = rig->ram + (pfn << PAGE_SHIFT);
		u64 kind = (pfn * 2654435761u >> 7) % 8;

		for (u32 i = 0; i < PAGE_BYTES && kind > 2; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			page[i] = (u8)(kind > 5 ? x : (i / 16 + pfn) % 64);
		}
		if (kind == 2)
			page[PAGE_BYTES - 1] = 1;
	}
}

static void fill_map(struct rig *rig)
{
	memmap_add(&rig->map, 0, rig->opt.ram_bytes, MEM_RAM);
	memmap_add(&rig->map, 0x9f000, MIB - 0x9f000, MEM_RESERVED);
	memmap_add(&rig->map, RIG_HOLE_PA, RIG_HOLE_BYTES, MEM_RESERVED);
	memmap_touch(&rig->map, 0, PAGE_BYTES, TOUCHED_FIRMWARE);
	memmap_touch(
		&rig->map, rig->opt.ram_bytes - 8 * PAGE_BYTES, 8 * PAGE_BYTES, TOUCHED_FIRMWARE);
	memmap_touch(&rig->map, 0x8000, PAGE_BYTES, TOUCHED_LOADER);
	memmap_touch(&rig->map, RIG_ARENA_PA, RIG_ARENA_BYTES, TOUCHED_OURS);
}

static void fill_super(struct rig *rig)
{
	struct dl_super *s = &rig->super;
	u64 bb = rig->opt.block_bytes;

	memcpy(s->magic, DL_SUPER_MAGIC, sizeof(s->magic));
	s->version = DL_VERSION;
	s->block_bytes = rig->opt.block_bytes;
	memcpy(s->disk_uuid, "0123456789abcdef", 16);
	s->dir_slots = rig->opt.dir_slots;
	s->blocks = rig->opt.data_bytes / bb + 2 * (u64)s->dir_slots + 2;
	s->level = rig->opt.level;
	s->compressor = rig->opt.compressor;
	s->overwrite = rig->opt.overwrite;
	dl_super_seal(s);
}

void rig_open(struct rig *rig, const struct rig_options *opt)
{
	u64 bb = opt->block_bytes;

	memset(rig, 0, sizeof(*rig));
	crc32c_init();
	rig->opt = *opt;
	rig->ram = aligned_alloc(PAGE_BYTES, opt->ram_bytes);
	rig->old = malloc(opt->ram_bytes);
	if (!rig->ram || !rig->old || opt->ram_bytes >> PAGE_SHIFT > RIG_MAX_PAGES)
		abort();
	memset(rig->ram, 0, opt->ram_bytes);
	fill_ram(rig);
	memcpy(rig->old, rig->ram, opt->ram_bytes);
	fill_map(rig);
	fill_super(rig);
	host_reset_all();
	host_ram_set(rig->ram, opt->ram_bytes);
	memdisk_open(
		&rig->disk, rig->super.blocks + 2 * RIG_PART_LBA, opt->block_bytes, opt->max_bytes);
	rig->disk.allowed_lba = RIG_PART_LBA + 1;
	rig->disk.allowed_blocks = rig->super.blocks - 2;
	memcpy(rig->disk.data + RIG_PART_LBA * bb, &rig->super, sizeof(rig->super));
	memcpy(rig->disk.data + (RIG_PART_LBA + rig->super.blocks - 1) * bb, &rig->super,
		sizeof(rig->super));
}

static void protect(struct rig *rig, u64 pfn, u64 pages, int how)
{
	if (mprotect(rig->ram + (pfn << PAGE_SHIFT), pages << PAGE_SHIFT, how) != 0)
		abort();
}

void rig_forbid(struct rig *rig, u64 pfn)
{
	protect(rig, pfn, 1, PROT_NONE);
}

void rig_close(struct rig *rig)
{
	protect(rig, 0, rig->opt.ram_bytes >> PAGE_SHIFT, PROT_READ | PROT_WRITE);
	if (rig->disk.outside || rig->disk.broken) {
		fprintf(stderr, "rig: %llu writes outside, %llu malformed requests\n",
			(unsigned long long)rig->disk.outside,
			(unsigned long long)rig->disk.broken);
		abort();
	}
	memdisk_close(&rig->disk);
	free(rig->ram);
	free(rig->old);
	host_reset_all();
}

void rig_boot(struct rig *rig)
{
	const struct extent ext = {RIG_PART_LBA, rig->super.blocks};
	void *buf;

	rig->arena = (struct arena) {
		.va = rig->ram + RIG_ARENA_PA,
		.pa = RIG_ARENA_PA,
		.bytes = RIG_ARENA_BYTES,
	};
	rig->disk.blk.dma_pa = rig->arena.pa;
	rig->disk.blk.dma_bytes = rig->arena.bytes;
	buf = rig->arena.va;
	physmem_init(&rig->pm, &rig->map);
	must(gate_open(&rig->gate, &rig->disk.blk, &ext, 1), "gate");
	must(gate_allow_writes(&rig->gate, buf, RIG_ARENA_PA), "superblock");
}

static enum status rig_notes(struct rig *rig)
{
	static const char text[] = "OSRELEASE=6.1.0-rig\nPAGESIZE=4096\n";
	enum status st;

	st = writer_note(&rig->writer, DL_NOTE_VMCOREINFO, text, sizeof(text) - 1);
	if (st != OK)
		return st;
	return writer_note(&rig->writer, DL_NOTE_MEMMAP, rig->map.range,
		rig->map.count * (u32)sizeof(rig->map.range[0]));
}

enum status rig_dump(struct rig *rig)
{
	const struct dump_info info = {
		.door = 1,
		.level_asked = rig->opt.level,
		.level_applied = rig->opt.level,
		.compressor = rig->opt.compressor,
		.time_s = 1700000000,
		.ram_pages = memmap_ram_pages(&rig->map),
		.release = "6.1.0-rig",
		.nodename = "rig",
		.machine = "x86_64",
	};
	enum status st;

	rig_boot(rig);
	st = writer_start(&rig->writer, &rig->gate, &rig->super, &rig->arena, &info);
	if (st != OK)
		return st;
	rig->writer.header.survey = rig->opt.survey;
	if (rig->opt.room_blocks)
		rig->writer.header.limit = min_u64(rig->opt.room_blocks, rig->writer.header.limit);
	must(compress_init(&rig->comp, rig->opt.compressor, &rig->arena), "compressor");
	must(capture_init(&rig->capture, &rig->writer, &rig->pm, &rig->comp, &rig->arena),
		"capture");
	rig->capture.raw_below = rig->opt.raw_below;
	rig->capture.level = rig->opt.level;
	rig->capture.scan = rig->scan;
	rig->capture.progress = rig->progress;
	rig->capture.progress_ctx = rig;
	st = rig_notes(rig);
	if (st == OK)
		st = capture_run(&rig->capture);
	return writer_finish(&rig->writer, st);
}

void rig_open_with_dump(struct rig *rig, const struct rig_options *opt)
{
	rig_open(rig, opt);
	must(rig_dump(rig), "first dump");
	rig_check_all(rig, 0);
	memdisk_power_on(&rig->disk);
}

struct rig_keepsake rig_keepsake(const struct rig *rig, u32 number)
{
	struct rig_keepsake k;
	int slot = rig_slot_of(rig, number);
	u64 bb = rig->opt.block_bytes;

	if (slot < 0 || !rig_header(rig, (u32)slot, &k.h)) {
		fprintf(stderr, "rig: dump %u is gone\n", (unsigned)number);
		abort();
	}
	k.crc = crc32c(0, rig->disk.data + (RIG_PART_LBA + k.h.start) * bb, k.h.used * bb);
	return k;
}

void rig_assert_untouched(const struct rig *rig, const struct rig_keepsake *before)
{
	struct rig_keepsake now = rig_keepsake(rig, before->h.number);

	if (memcmp(&now.h, &before->h, sizeof(now.h)) == 0 && now.crc == before->crc)
		return;
	fprintf(stderr, "rig: dump %u was changed\n", (unsigned)before->h.number);
	abort();
}

size_t rig_disk_bytes(const struct rig *rig)
{
	return (size_t)(rig->disk.blk.blocks * rig->opt.block_bytes);
}

u8 *rig_disk_copy(const struct rig *rig)
{
	u8 *copy = malloc(rig_disk_bytes(rig));

	if (!copy)
		abort();
	memcpy(copy, rig->disk.data, rig_disk_bytes(rig));
	return copy;
}
