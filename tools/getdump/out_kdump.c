/*
 * The KDUMP compressed format, version 6, that crash, drgn, libkdumpfile and
 * makedumpfile read. Everything but the first block is written in the order of the
 * file's parts; the first block comes last, when it is known what got lost.
 *
 *	block 0		header
 *	block 1 ..	sub-header, notes
 *	then		bitmap 1 (RAM), bitmap 2 (has a descriptor)
 *	then		page descriptors, in the order of bitmap 2
 *	then		one page of zeros, then the pages' data
 */
#include <stdlib.h>
#include <string.h>
#include "extract.h"

#define BLOCK_BYTES	 4096u
#define BITS_PER_BLOCK	 (BLOCK_BYTES * 8u)
#define KDUMP_SIGNATURE	 "KDUMP   "
#define KDUMP_VERSION	 6
#define KDUMP_ZLIB	 1u
#define KDUMP_LZO	 2u
#define KDUMP_INCOMPLETE 8u
#define KDUMP_ZSTD	 0x20u

#define DESC_BATCH 4096
#define DATA_BATCH (1u << 20)

struct kdump_header {
	char signature[8];
	s32 version;
	char uts[6][65];
	u8 pad[6];
	s64 time_s;
	s64 time_us;
	u32 status;
	s32 block_bytes;
	s32 sub_blocks;
	u32 bitmap_blocks;
	u32 max_mapnr;
	u32 total_ram_blocks;
	u32 device_blocks;
	u32 written_blocks;
	u32 current_cpu;
	s32 cpus;
};
ASSERT_SIZE(struct kdump_header, 464);
ASSERT_AT(struct kdump_header, time_s, 408);
ASSERT_AT(struct kdump_header, status, 424);
ASSERT_AT(struct kdump_header, max_mapnr, 440);
ASSERT_AT(struct kdump_header, cpus, 460);

struct kdump_sub_header {
	u64 phys_base;
	s32 dump_level;
	s32 split;
	u64 start_pfn;
	u64 end_pfn;
	u64 vmcoreinfo_at;
	u64 vmcoreinfo_bytes;
	u64 notes_at;
	u64 notes_bytes;
	u64 erase_at;
	u64 erase_bytes;
	u64 start_pfn_64;
	u64 end_pfn_64;
	u64 max_mapnr_64;
};
ASSERT_SIZE(struct kdump_sub_header, 104);
ASSERT_AT(struct kdump_sub_header, notes_at, 48);
ASSERT_AT(struct kdump_sub_header, max_mapnr_64, 96);

struct kdump_desc {
	u64 offset; /* 0: the page is missing */
	u32 bytes;
	u32 flags;
	u64 page_flags;
};
ASSERT_SIZE(struct kdump_desc, 24);

struct kdump {
	struct extract *x;
	struct packer *packer;
	u32 method_flag;
	u32 sub_blocks;
	u64 bitmap_blocks; /* of one */
	u64 desc_at;	   /* where the batch of descriptors goes */
	u64 zero_at;
	u64 data_at; /* where the batch of data goes */
	u32 descs;
	u32 data_bytes;
	bool missing;
	struct kdump_desc desc[DESC_BATCH];
	u8 page[PAGE_BYTES];
	u8 packed[PACK_ROOM];
	u8 data[DATA_BATCH];
};

static bool has_descriptor(enum reader_fate fate)
{
	return fate != READER_EXCLUDED;
}

static void lay_out(struct kdump *k)
{
	const struct core_facts *f = &k->x->facts;
	u64 sub_bytes = sizeof(struct kdump_sub_header) + f->notes_bytes;
	struct reader_totals t;

	reader_map_count(&k->x->map, &t);
	k->sub_blocks = (u32)((sub_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
	k->bitmap_blocks = (k->x->map.end_pfn + BITS_PER_BLOCK - 1) / BITS_PER_BLOCK;
	k->bitmap_blocks = max_u64(k->bitmap_blocks, 1);
	k->desc_at = (1 + k->sub_blocks + 2 * k->bitmap_blocks) * BLOCK_BYTES;
	k->zero_at = k->desc_at + (t.ram - t.excluded) * sizeof(struct kdump_desc);
	k->data_at = k->zero_at + PAGE_BYTES;
	k->missing = t.missing > 0;
}

static enum status write_sub_header(struct kdump *k)
{
	const struct core_facts *f = &k->x->facts;
	u64 notes_at = BLOCK_BYTES + sizeof(struct kdump_sub_header);
	struct kdump_sub_header sub = {
		.phys_base = (u64)f->phys_base,
		.dump_level = (s32)k->x->level,
		.vmcoreinfo_at = f->vmcoreinfo_bytes ? notes_at + f->vmcoreinfo_at : 0,
		.vmcoreinfo_bytes = f->vmcoreinfo_bytes,
		.notes_at = f->notes_bytes ? notes_at : 0,
		.notes_bytes = f->notes_bytes,
		.max_mapnr_64 = k->x->map.end_pfn,
	};
	enum status st = sink_write(&k->x->sink, BLOCK_BYTES, &sub, sizeof(sub));

	if (st != OK)
		return st;
	return sink_write(&k->x->sink, notes_at, f->notes, f->notes_bytes);
}

/* Bits [first, first+count) of one bitmap block. */
static void set_bits(u8 *block, u64 first, u64 count)
{
	for (; count > 0 && first % 8; first++, count--)
		block[first / 8] = (u8)(block[first / 8] | 1u << first % 8);
	memset(block + first / 8, 0xff, count / 8);
	first += count / 8 * 8;
	for (count %= 8; count > 0; first++, count--)
		block[first / 8] = (u8)(block[first / 8] | 1u << first % 8);
}

/* A bitmap on its way to the file, one block at a time; blocks with no bit set stay holes. */
struct bitmap {
	struct sink *sink;
	u64 at;	   /* file offset of its first block */
	u64 index; /* of the block at hand */
	u8 block[BLOCK_BYTES];
};

static enum status bitmap_flush(struct bitmap *b)
{
	enum status st =
		sink_write(b->sink, b->at + b->index * BLOCK_BYTES, b->block, sizeof(b->block));

	memset(b->block, 0, sizeof(b->block));
	return st;
}

static enum status bitmap_add(struct bitmap *b, struct reader_run run)
{
	while (run.count > 0) {
		u64 index = run.pfn / BITS_PER_BLOCK;
		u64 bit = run.pfn % BITS_PER_BLOCK;
		u64 count = min_u64(run.count, BITS_PER_BLOCK - bit);
		enum status st = index == b->index ? OK : bitmap_flush(b);

		if (st != OK)
			return st;
		b->index = index;
		set_bits(b->block, bit, count);
		run.pfn += count;
		run.count -= count;
	}
	return OK;
}

/* @all: every page of RAM, else those with a descriptor. */
static enum status write_bitmap(struct kdump *k, u64 at, bool all)
{
	struct bitmap b = {.sink = &k->x->sink, .at = at};
	struct reader_iter it;
	struct reader_run run;

	reader_iter_start(&it, &k->x->map, 0);
	while (reader_iter_next(&it, &run)) {
		enum status st = OK;

		if (all || has_descriptor(run.fate))
			st = bitmap_add(&b, run);
		if (st != OK)
			return st;
	}
	return bitmap_flush(&b);
}

static enum status write_bitmaps(struct kdump *k)
{
	u64 at = (1 + (u64)k->sub_blocks) * BLOCK_BYTES;
	enum status st = write_bitmap(k, at, true);

	return st == OK ? write_bitmap(k, at + k->bitmap_blocks * BLOCK_BYTES, false) : st;
}

static enum status flush_data(struct kdump *k)
{
	enum status st = sink_write(&k->x->sink, k->data_at, k->data, k->data_bytes);

	k->data_at += k->data_bytes;
	k->data_bytes = 0;
	return st;
}

static enum status flush_descs(struct kdump *k)
{
	u64 bytes = k->descs * sizeof(k->desc[0]);
	enum status st = sink_write(&k->x->sink, k->desc_at, k->desc, bytes);

	k->desc_at += bytes;
	k->descs = 0;
	return st;
}

static enum status add_desc(struct kdump *k, const struct kdump_desc *desc)
{
	k->desc[k->descs++] = *desc;
	return k->descs == DESC_BATCH ? flush_descs(k) : OK;
}

/* Empty descriptors of missing pages: a hole, as a dump cut short may lack nearly all of RAM. */
static enum status skip_descs(struct kdump *k, u64 count)
{
	enum status st = flush_descs(k);

	k->desc_at += count * sizeof(k->desc[0]);
	return st;
}

static enum status add_page(struct kdump *k, u64 pfn)
{
	struct kdump_desc desc = {0};
	const u8 *data = k->page;
	enum status st;

	if (extract_page(k->x, pfn, k->page) != OK) {
		k->missing = true;
		return add_desc(k, &desc);
	}
	if (extract_is_zero(k->x, k->page)) {
		desc.offset = k->zero_at;
		desc.bytes = PAGE_BYTES;
		return add_desc(k, &desc);
	}
	desc.bytes = packer_pack(k->packer, k->page, k->packed);
	if (desc.bytes) {
		desc.flags = k->method_flag;
		data = k->packed;
	} else {
		desc.bytes = PAGE_BYTES;
	}
	if (desc.bytes > sizeof(k->data) - k->data_bytes) {
		st = flush_data(k);
		if (st != OK)
			return st;
	}
	desc.offset = k->data_at + k->data_bytes;
	memcpy(k->data + k->data_bytes, data, desc.bytes);
	k->data_bytes += desc.bytes;
	return add_desc(k, &desc);
}

static enum status add_run(struct kdump *k, const struct reader_run *run)
{
	const struct kdump_desc zero = {.offset = k->zero_at, .bytes = PAGE_BYTES};
	const struct kdump_desc missing = {0};
	enum status st = OK;

	if (run->fate == READER_MISSING && run->count >= DESC_BATCH)
		return skip_descs(k, run->count);
	for (u64 i = 0; i < run->count && st == OK; i++) {
		if (run->fate == READER_HERE)
			st = add_page(k, run->pfn + i);
		else
			st = add_desc(k, run->fate == READER_ZERO ? &zero : &missing);
	}
	return st;
}

static enum status write_pages(struct kdump *k)
{
	struct reader_iter it;
	struct reader_run run;
	enum status st;

	memset(k->page, 0, sizeof(k->page));
	st = sink_write(&k->x->sink, k->zero_at, k->page, sizeof(k->page));
	reader_iter_start(&it, &k->x->map, 0);
	while (st == OK && reader_iter_next(&it, &run)) {
		if (has_descriptor(run.fate))
			st = add_run(k, &run);
	}
	if (st == OK)
		st = flush_descs(k);
	return st == OK ? flush_data(k) : st;
}

static enum status write_header(struct kdump *k)
{
	const struct extract *x = k->x;
	bool incomplete = k->missing || !extract_is_whole(x);
	struct kdump_header h = {
		.version = KDUMP_VERSION,
		.time_s = (s64)x->h->time_s,
		.status = k->method_flag | (incomplete ? KDUMP_INCOMPLETE : 0),
		.block_bytes = BLOCK_BYTES,
		.sub_blocks = (s32)k->sub_blocks,
		.bitmap_blocks = (u32)(2 * k->bitmap_blocks),
		.max_mapnr = (u32)min_u64(x->map.end_pfn, UINT32_MAX),
		.cpus = (s32)max_u64(x->facts.cpus, 1),
	};
	u8 block[BLOCK_BYTES] = {0};

	memcpy(h.signature, KDUMP_SIGNATURE, sizeof(h.signature));
	memcpy(h.uts, x->facts.uts, sizeof(h.uts));
	memcpy(block, &h, sizeof(h));
	return sink_write(&k->x->sink, 0, block, sizeof(block));
}

static u32 method_flag(enum pack_method method)
{
	static const u32 flags[] = {
		[PACK_NONE] = 0,
		[PACK_ZLIB] = KDUMP_ZLIB,
		[PACK_LZO] = KDUMP_LZO,
		[PACK_ZSTD] = KDUMP_ZSTD,
	};

	return flags[method];
}

static enum status write_all(struct kdump *k)
{
	enum status st;

	lay_out(k);
	st = write_sub_header(k);
	if (st == OK)
		st = write_bitmaps(k);
	if (st == OK)
		st = write_pages(k);
	return st == OK ? write_header(k) : st;
}

enum status kdump_write(struct extract *x)
{
	struct kdump *k = calloc(1, sizeof(*k));
	enum status st = E_NO_MEMORY;

	if (!k)
		return st;
	k->x = x;
	k->method_flag = method_flag(x->method);
	k->packer = packer_open(x->method);
	if (k->packer) {
		st = write_all(k);
		packer_close(k->packer);
	}
	free(k);
	return st;
}
