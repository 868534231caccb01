/*
 * RAM and dump disks for driver tests.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "crc32c.h"
#include "gpt.h"
#include "machine_model.h"
#include "pci_model.h"
#include "tests/host/ports_mem.h"

#define ENTRIES	     128
#define ENTRY_BYTES  128
#define ENTRY_USED   2 /* the dump partition's place in the table */
#define HEADER_BYTES 92
#define ESP_TYPE     0x28

void machine_init(struct machine *mc)
{
	host_reset_all();
	pci_model_reset();
	crc32c_init();
	mc->ram = aligned_alloc(PAGE_BYTES, MACHINE_RAM_BYTES);
	if (!mc->ram)
		abort();
	for (u32 i = 0; i < MACHINE_RAM_BYTES; i++)
		mc->ram[i] = (u8)(i * 7 + (i >> 12) * 13);
	host_ram_set(mc->ram, MACHINE_RAM_BYTES);
	mc->arena = (struct arena) {
		.va = mc->ram + MACHINE_ARENA_PA,
		.pa = MACHINE_ARENA_PA,
		.bytes = MACHINE_ARENA_BYTES,
	};
}

void machine_free(struct machine *mc)
{
	free(mc->ram);
	host_reset_all();
}

static void put32(u8 *p, u32 v)
{
	memcpy(p, &v, 4);
}

static void put64(u8 *p, u64 v)
{
	memcpy(p, &v, 8);
}

static u8 *block(struct machine_disk *d, u64 lba)
{
	return d->bytes + lba * d->block_bytes;
}

void machine_gpt_seal(struct machine_disk *d, u64 lba)
{
	u8 *h = block(d, lba);
	u64 entries_lba;
	u32 count, size;

	memcpy(&entries_lba, h + 72, 8);
	memcpy(&count, h + 80, 4);
	memcpy(&size, h + 84, 4);
	put32(h + 88, (u32)crc32(0, block(d, entries_lba), count * size));
	put32(h + 16, 0);
	put32(h + 16, (u32)crc32(0, h, HEADER_BYTES));
}

static void table(struct machine_disk *d, u64 lba, u64 other, u64 entries_lba, u64 array_blocks)
{
	u8 *h = block(d, lba);
	u8 *e = block(d, entries_lba);

	memcpy(h, "EFI PART", 8);
	put32(h + 8, 0x00010000);
	put32(h + 12, HEADER_BYTES);
	put64(h + 24, lba);
	put64(h + 32, other);
	put64(h + 40, 2 + array_blocks);
	put64(h + 48, d->blocks - 2 - array_blocks);
	put64(h + 72, entries_lba);
	put32(h + 80, ENTRIES);
	put32(h + 84, ENTRY_BYTES);
	e[0] = ESP_TYPE;
	put64(e + 32, 2 + array_blocks);
	put64(e + 40, d->first - 1);
	e += ENTRY_USED * ENTRY_BYTES;
	memcpy(e, gpt_dump_type, 16);
	memset(e + 16, 0x77, 16);
	put64(e + 32, d->first);
	put64(e + 40, d->last);
	machine_gpt_seal(d, lba);
}

static void supers(struct machine_disk *d)
{
	struct dl_super s = {
		.version = DL_VERSION,
		.block_bytes = d->block_bytes,
		.blocks = d->last - d->first + 1,
		.dir_slots = 4,
		.level = 31,
	};

	memcpy(s.magic, DL_SUPER_MAGIC, 8);
	memcpy(s.disk_uuid, d->uuid, 16);
	dl_super_seal(&s);
	memcpy(block(d, d->first), &s, sizeof(s));
	memcpy(block(d, d->last), &s, sizeof(s));
}

void machine_disk_format(struct machine_disk *d)
{
	u64 array_blocks = ENTRIES * ENTRY_BYTES / d->block_bytes;

	d->bytes[446 + 4] = 0xee;
	d->bytes[510] = 0x55;
	d->bytes[511] = 0xaa;
	table(d, 1, d->blocks - 1, 2, array_blocks);
	table(d, d->blocks - 1, 1, d->blocks - 1 - array_blocks, array_blocks);
	supers(d);
}
