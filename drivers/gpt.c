/*
 * GUID partition table (UEFI 2.10 s5.3). Untrusted blocks in, one partition out;
 * every field is copied, checked and only then used. Writes nothing, repairs nothing.
 */
#include <string.h>
#include "crc32.h"
#include "gpt.h"

#define GPT_SIGNATURE	  "EFI PART"
#define GPT_PRIMARY_LBA	  1
#define GPT_MAX_ENTRIES	  1024
#define GPT_ENTRY_STEP	  128 /* entry sizes are multiples of this */
#define GPT_MAX_ENTRY	  4096
#define GPT_MAX_HEADER	  512
#define MBR_SIGNATURE_AT  510
#define MBR_ENTRIES_AT	  446
#define MBR_ENTRIES	  4
#define MBR_TYPE_GPT	  0xee
#define GPT_HEADER_CRC_AT 16

struct gpt_header {
	u8 signature[8];
	u32 revision;
	u32 header_bytes;
	u32 header_crc32;
	u32 zero;
	u64 my_lba;
	u64 alternate_lba;
	u64 first_usable;
	u64 last_usable;
	u8 disk_uuid[16];
	u64 entries_lba;
	u32 entries;
	u32 entry_bytes;
	u32 entries_crc32;
	u32 pad; /* not on disk */
};
ASSERT_SIZE(struct gpt_header, 96);
ASSERT_AT(struct gpt_header, header_crc32, GPT_HEADER_CRC_AT);
ASSERT_AT(struct gpt_header, entries_lba, 72);
#define GPT_HEADER_BYTES 92
ASSERT_AT(struct gpt_header, pad, GPT_HEADER_BYTES);

struct gpt_entry {
	u8 type[16];
	u8 uuid[16];
	u64 first_lba;
	u64 last_lba;
};
ASSERT_SIZE(struct gpt_entry, 48);

struct mbr_entry {
	u8 boot;
	u8 first_chs[3];
	u8 type;
	u8 last_chs[3];
	u8 first_lba[4];
	u8 blocks[4];
};
ASSERT_SIZE(struct mbr_entry, 16);

const u8 gpt_dump_type[16] = {0x62, 0x8c, 0x5d, 0x3f, 0x0e, 0x6b, 0x2c, 0x4e, 0x9a, 0x41, 0xaf,
	0x7e, 0x1d, 0x0b, 0x5c, 0x90};

/* The device as the search sees it. */
struct gpt_disk {
	gpt_read_fn read;
	void *ctx;
	u64 blocks; /* 0: unknown */
	u32 block_bytes;
	u8 *buf;
};

/* What to look for and what was found; counts on while entries stream by. */
struct gpt_search {
	const u8 *type; /* or NULL */
	const u8 *uuid; /* then this */
	u32 skip;	/* matches still to pass over */
	bool found;
	struct gpt_entry entry;
};

bool gpt_protected(const void *block0)
{
	const u8 *b = block0;

	if (b[MBR_SIGNATURE_AT] != 0x55 || b[MBR_SIGNATURE_AT + 1] != 0xaa)
		return false;
	for (u32 i = 0; i < MBR_ENTRIES; i++) {
		if (b[MBR_ENTRIES_AT + i * sizeof(struct mbr_entry) +
			    offsetof(struct mbr_entry, type)] == MBR_TYPE_GPT)
			return true;
	}
	return false;
}

/* Of the header in @buf with its checksum field as 0. */
static u32 header_crc(const u8 *buf, u32 bytes)
{
	static const u8 zero[4];
	u32 crc = crc32_ieee(0, buf, GPT_HEADER_CRC_AT);
	u32 rest = GPT_HEADER_CRC_AT + sizeof(zero);

	crc = crc32_ieee(crc, zero, sizeof(zero));
	return crc32_ieee(crc, buf + rest, bytes - rest);
}

static u64 entries_blocks(const struct gpt_header *h, u32 block_bytes)
{
	return ((u64)h->entries * h->entry_bytes + block_bytes - 1) / block_bytes;
}

static bool entries_shape_ok(const struct gpt_header *h)
{
	if (h->entries == 0 || h->entries > GPT_MAX_ENTRIES)
		return false;
	if (h->entry_bytes == 0 || h->entry_bytes > GPT_MAX_ENTRY)
		return false;
	return h->entry_bytes % GPT_ENTRY_STEP == 0;
}

static bool header_ok(const struct gpt_disk *d, const struct gpt_header *h, u64 lba)
{
	u64 end = d->blocks ? d->blocks : UINT64_MAX;

	if (h->my_lba != lba || !entries_shape_ok(h))
		return false;
	if (h->first_usable > h->last_usable)
		return false;
	return h->entries_lba > 0 &&
	       range_fits(h->entries_lba, entries_blocks(h, d->block_bytes), end);
}

/* Reads and checks the header at @lba. */
static enum status header_read(const struct gpt_disk *d, u64 lba, struct gpt_header *h)
{
	enum status st = d->read(d->ctx, lba, 1, d->buf);

	if (st != OK)
		return st;
	memset(h, 0, sizeof(*h));
	memcpy(h, d->buf, GPT_HEADER_BYTES);
	if (memcmp(h->signature, GPT_SIGNATURE, sizeof(h->signature)) != 0)
		return E_GPT;
	if (h->header_bytes < GPT_HEADER_BYTES || h->header_bytes > GPT_MAX_HEADER)
		return E_GPT;
	if (h->header_crc32 != header_crc(d->buf, h->header_bytes))
		return E_GPT;
	return header_ok(d, h, lba) ? OK : E_GPT;
}

static bool matches(const struct gpt_search *s, const struct gpt_entry *e)
{
	static const u8 unused[sizeof(e->type)];

	if (s->type)
		return memcmp(e->type, s->type, sizeof(e->type)) == 0;
	return memcmp(e->type, unused, sizeof(unused)) != 0 &&
	       memcmp(e->uuid, s->uuid, sizeof(e->uuid)) == 0;
}

/* Looks at the entries that start in bytes [pos, pos+bytes) of the array, which are in @block. */
static void search_block(
	struct gpt_search *s, const u8 *block, u64 pos, u32 bytes, const struct gpt_header *h)
{
	for (u32 off = 0; off < bytes && !s->found; off += GPT_ENTRY_STEP) {
		if ((pos + off) % h->entry_bytes != 0)
			continue;
		memcpy(&s->entry, block + off, sizeof(s->entry));
		if (!matches(s, &s->entry))
			continue;
		if (s->skip == 0)
			s->found = true;
		else
			s->skip--;
	}
}

/* Streams the entry array through the search; what was found counts only if the sum matches. */
static enum status entries_search(
	const struct gpt_disk *d, const struct gpt_header *h, struct gpt_search *s)
{
	u64 total = (u64)h->entries * h->entry_bytes;
	u32 crc = 0;

	for (u64 pos = 0; pos < total; pos += d->block_bytes) {
		u32 bytes = (u32)min_u64(d->block_bytes, total - pos);
		enum status st;

		st = d->read(d->ctx, h->entries_lba + pos / d->block_bytes, 1, d->buf);
		if (st != OK)
			return st;
		crc = crc32_ieee(crc, d->buf, bytes);
		search_block(s, d->buf, pos, bytes, h);
	}
	return crc == h->entries_crc32 ? OK : E_GPT;
}

static bool entry_fits(
	const struct gpt_disk *d, const struct gpt_header *h, const struct gpt_entry *e)
{
	if (e->first_lba < h->first_usable || e->last_lba > h->last_usable)
		return false;
	if (e->first_lba <= GPT_PRIMARY_LBA || e->first_lba > e->last_lba)
		return false;
	return d->blocks == 0 || e->last_lba < d->blocks;
}

static enum status table_search(
	const struct gpt_disk *d, u64 lba, struct gpt_search s, struct gpt_partition *out)
{
	struct gpt_header h;
	enum status st = header_read(d, lba, &h);

	if (st == OK)
		st = entries_search(d, &h, &s);
	if (st != OK)
		return st;
	if (!s.found)
		return E_NO_PARTITION;
	if (!entry_fits(d, &h, &s.entry))
		return E_GEOMETRY;
	out->first_lba = s.entry.first_lba;
	out->last_lba = s.entry.last_lba;
	memcpy(out->uuid, s.entry.uuid, sizeof(out->uuid));
	return OK;
}

static bool is_answer(enum status st)
{
	return st == OK || st == E_NO_PARTITION || st == E_GEOMETRY;
}

/* In the primary table, or if that is damaged in the backup. */
static enum status find(
	const struct gpt_disk *d, const struct gpt_search *s, struct gpt_partition *out)
{
	enum status first, second;

	if (d->block_bytes < GPT_MAX_HEADER || d->block_bytes % GPT_ENTRY_STEP != 0)
		return E_GPT;
	first = table_search(d, GPT_PRIMARY_LBA, *s, out);
	if (is_answer(first) || d->blocks <= GPT_PRIMARY_LBA)
		return first;
	second = table_search(d, d->blocks - 1, *s, out);
	return is_answer(second) ? second : first;
}

enum status gpt_find(gpt_read_fn read, void *ctx, u64 device_blocks, u32 block_bytes,
	const u8 type[16], u32 index, void *buf, struct gpt_partition *out)
{
	struct gpt_disk d = {read, ctx, device_blocks, block_bytes, buf};
	struct gpt_search s = {.type = type, .skip = index};

	return find(&d, &s, out);
}

enum status gpt_find_uuid(gpt_read_fn read, void *ctx, u64 device_blocks, u32 block_bytes,
	const u8 uuid[16], void *buf, struct gpt_partition *out)
{
	struct gpt_disk d = {read, ctx, device_blocks, block_bytes, buf};
	struct gpt_search s = {.uuid = uuid};

	return find(&d, &s, out);
}
