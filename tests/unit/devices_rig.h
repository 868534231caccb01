/*
 * Whole dumps of a small machine on a modelled disk of each kind, and what must be true of every
 * one: one result line, nothing changed outside the dump partition and the arena, and a
 * dump that is what the result line says of it, by the reader, of what is durable.
 */
#ifndef AFTERIMAGE_DEVICES_RIG_H
#define AFTERIMAGE_DEVICES_RIG_H

#include "main.h"
#include "ports.h"
#include "tests/host/fake_kernel.h"
#include "tests/host/ports_mem.h"
#include "tests/model/ahci_model.h"
#include "tests/model/machine_model.h"
#include "tests/model/nvme_model.h"
#include "tests/model/virtio_model.h"
#include "tests/unit/reader_help.h"

#define DEV_RAM_BYTES	(8u * MIB)
#define DEV_ARENA_PA	0x30000u
#define DEV_ARENA_BYTES (432u * KIB)
#define DEV_BLOCKS	(36u * 1024u)
#define DEV_HEAD_BYTES	(2u * MIB) /* of the disk: where a dump writes, and at its end */
#define DEV_TAIL_BYTES	(512u * KIB)
#define DEV_DISK_BYTES	(DEV_BLOCKS * 512u)
#define DEV_FIRST	256u
#define DEV_LAST	(DEV_BLOCKS - 256u)
#define DEV_BDF		0x20u
#define DEV_READ_US	20000u /* model time of a register read */
#define DEV_STEP_US	50u    /* of the clock, each time it is asked */
#define DEV_STORED	6u     /* every so many pages are not zero */
#define DEV_FOREVER	1000000u

/* One kind of disk with its model: what can be done to it. */
struct device {
	const char *name;
	u32 faults, read_faults; /* one more than the last kind of each */
	void (*make)(void);
	void (*fault)(u32 kind, u64 at, u64 count);
	void (*read_fault)(u32 kind, u64 at);
	u64 (*commands)(void);
	u64 (*reads)(void);
	u32 (*broken)(void); /* rules that the driver broke */
	void (*cut)(void);   /* power goes: the disk has what is durable */
};

static _Alignas(4096) u8 dev_ram[DEV_RAM_BYTES], dev_ram_before[DEV_RAM_BYTES];
static u8 dev_disk[DEV_DISK_BYTES], dev_kept[DEV_DISK_BYTES], dev_blank[DEV_DISK_BYTES];
static struct handoff dev_handoff;
static u32 dev_complete, dev_incomplete, dev_none;
static u64 dev_longest_us;

/* cmocka compares byte by byte, which is slow. */
static inline void dev_same(const void *a, const void *b, u64 bytes)
{
	assert_int_equal(memcmp(a, b, bytes), 0);
}

static inline void dev_super_edit(struct machine_disk *d)
{
	struct dl_super s;

	memcpy(&s, d->bytes + d->first * 512, sizeof(s));
	s.compressor = DL_COMP_NONE;
	dl_super_seal(&s);
	memcpy(d->bytes + d->first * 512, &s, sizeof(s));
	memcpy(d->bytes + d->last * 512, &s, sizeof(s));
}

/* RAM with a kernel in it and a blank dump disk; the same for all dumps. */
static inline int dev_setup(void **state)
{
	struct machine_disk d = {.bytes = dev_blank,
		.blocks = DEV_BLOCKS,
		.block_bytes = 512,
		.first = DEV_FIRST,
		.last = DEV_LAST,
		.uuid = {1, 2, 3}};
	struct fake_kernel fk = fake_kernel_default();

	(void)state;
	host_reset_all();
	crc32c_init();
	for (u64 pfn = MIB / PAGE_BYTES; pfn < DEV_RAM_BYTES / PAGE_BYTES; pfn += DEV_STORED)
		help_page(pfn, dev_ram + pfn * PAGE_BYTES);
	memset(dev_ram + fk.image_pa, 0, FAKE_IMAGE_BYTES);
	host_ram_set(dev_ram, DEV_RAM_BYTES);
	fk.mem_section_pa = 2 * MIB + 0x40;
	fk.note_pa = 2 * MIB + 0x10000;
	fk.text_pa = 3 * MIB;
	fake_kernel_build(&fk);
	memcpy(dev_ram_before, dev_ram, DEV_RAM_BYTES);
	machine_disk_format(&d);
	dev_super_edit(&d);
	memcpy(dev_disk, dev_blank, sizeof(dev_disk));
	memcpy(dev_kept, dev_blank, sizeof(dev_kept));
	return 0;
}

static inline void dev_handoff_make(void)
{
	memset(&dev_handoff, 0, sizeof(dev_handoff));
	dev_handoff.version = HANDOFF_VERSION;
	dev_handoff.door = DOOR_BIOS;
	memcpy(dev_handoff.target_uuid, (u8[16]) {1, 2, 3}, 16);
	memmap_add(&dev_handoff.map, 0, 0x9f000, MEM_RAM);
	memmap_add(&dev_handoff.map, MIB, DEV_RAM_BYTES - MIB, MEM_RAM);
	memmap_touch(&dev_handoff.map, 0x1000, 0x9e000, TOUCHED_OURS);
	dev_handoff.arena_pa = DEV_ARENA_PA;
	dev_handoff.arena_bytes = DEV_ARENA_BYTES;
}

static inline void dev_copy(u8 *to, const u8 *from)
{
	u64 tail = DEV_DISK_BYTES - DEV_TAIL_BYTES;

	memcpy(to, from, DEV_HEAD_BYTES);
	memcpy(to + tail, from + tail, DEV_TAIL_BYTES);
}

/* A fresh machine with @d; then the caller asks for faults. */
static inline void dev_make(const struct device *d)
{
	host_reset_all();
	pci_model_reset();
	host_ram_set(dev_ram, DEV_RAM_BYTES);
	host_clock_step(DEV_STEP_US);
	dev_copy(dev_disk, dev_blank);
	dev_copy(dev_kept, dev_blank);
	dev_handoff_make();
	d->make();
}

/* Every page that the dump has is what memory holds; a complete one has all. */
static inline void dev_pages_check(const struct reader_map *m, bool all)
{
	struct reader_pages p;
	u8 got[PAGE_BYTES];

	assert_int_equal(reader_pages_open(&p, m), OK);
	for (u64 pfn = MIB / PAGE_BYTES; pfn < DEV_RAM_BYTES / PAGE_BYTES; pfn++) {
		enum status st = reader_pages_get(&p, pfn, got);

		if (st == OK)
			dev_same(got, dev_ram_before + pfn * PAGE_BYTES, PAGE_BYTES);
		else if (all)
			fail_msg("page %lx: E%u", (unsigned long)pfn, st);
	}
	reader_pages_close(&p);
}

/* What the disk has of dump 1 after the power went. */
static inline void dev_dump_check(bool complete)
{
	struct help_source src = {
		.disk = dev_disk + DEV_FIRST * 512, .bytes = (DEV_LAST - DEV_FIRST + 1) * 512};
	const struct reader_dump *dump;
	struct reader_map m;
	struct reader r;

	assert_int_equal(reader_open(&r, &help_ops, &src, src.bytes), OK);
	dump = reader_find(&r, 1);
	assert_non_null(dump);
	if (complete)
		assert_int_equal(dump->h.state, DL_STATE_COMPLETE);
	/* Its header may have arrived although the disk did not say so. */
	complete = dump->h.state == DL_STATE_COMPLETE;
	assert_int_equal(reader_map_load(&m, &r, dump), OK);
	if (m.bad_chunks && (complete || dump->h.reason != OK))
		fail_msg("%u bad chunks", (u32)m.bad_chunks);
	if (complete)
		assert_int_equal(m.verdict, OK);
	else if (dump->h.reason != OK)
		assert_true(m.log_blocks * 512 >= dump->h.stored_bytes);
	dev_pages_check(&m, complete);
	reader_map_free(&m);
	reader_close(&r);
	assert_int_equal(src.held, 0);
}

static inline u32 dev_count(const char *word)
{
	u32 n = 0;

	for (const char *p = host_console(); (p = strstr(p, word)) != NULL; p++)
		n++;
	return n;
}

/* One dump to its end, in @limit_us, and everything that must be true then. */
static inline void dev_run(const struct device *d, u64 limit_us)
{
	u64 start_us = clock_us();
	u32 complete, incomplete, none;

	dump_main(&dev_handoff);
	complete = dev_count(" complete: ");
	incomplete = dev_count(" incomplete: E");
	none = dev_count("afterimage: no dump: E");
	assert_int_equal(complete + incomplete + none, 1);
	dev_longest_us = max_u64(dev_longest_us, clock_us() - start_us);
	if (clock_us() - start_us > limit_us)
		fail_msg("%s: %lu ms:\n%s", d->name, (unsigned long)(clock_us() - start_us) / 1000,
			host_console());
	assert_true(host_reset_action() >= 0);
	assert_int_equal(d->broken(), 0);
	dev_same(dev_ram + MIB, dev_ram_before + MIB, DEV_RAM_BYTES - MIB);
	d->cut();
	dev_same(dev_disk, dev_blank, DEV_FIRST * 512);
	dev_same(dev_disk + (DEV_LAST + 1) * 512, dev_blank + (DEV_LAST + 1) * 512,
		DEV_DISK_BYTES - (DEV_LAST + 1) * 512);
	if (!none)
		dev_dump_check(complete);
	dev_complete += complete;
	dev_incomplete += incomplete;
	dev_none += none;
}

#endif
