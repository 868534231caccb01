/*
 * GPT from a disk of arbitrary bytes. The input is the disk; its checksums are made
 * to match so that the parser is reached, and a partition found must lie on the disk.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "gpt.h"

#define BLOCK	    512u
#define MAX_BLOCKS  256u
#define HEADER_CRC  16
#define ENTRIES_CRC 88

struct input {
	u8 *bytes;
	u64 blocks;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static enum status read_input(void *ctx, u64 lba, u32 blocks, void *buf)
{
	const struct input *in = ctx;

	if (!range_fits(lba, blocks, in->blocks))
		abort();
	memcpy(buf, in->bytes + lba * BLOCK, blocks * BLOCK);
	return OK;
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, 4);
	return v;
}

static void put32(u8 *p, u32 v)
{
	memcpy(p, &v, 4);
}

/* Makes the sums of the header at @lba match as far as its lengths allow. */
static void seal(struct input *in, u64 lba)
{
	u8 *h = in->bytes + lba * BLOCK;
	u64 lba_entries;
	u64 total = (u64)get32(h + 80) * get32(h + 84);
	u32 bytes = get32(h + 12);

	memcpy(&lba_entries, h + 72, 8);
	if (lba_entries > lba && range_fits(lba_entries, (total + BLOCK - 1) / BLOCK, in->blocks))
		put32(h + ENTRIES_CRC, (u32)crc32(0, in->bytes + lba_entries * BLOCK, (u32)total));
	put32(h + HEADER_CRC, 0);
	if (bytes <= BLOCK)
		put32(h + HEADER_CRC, (u32)crc32(0, h, bytes));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {.blocks = size / BLOCK};
	struct gpt_partition part;
	u8 *scratch;

	if (in.blocks < 3 || in.blocks > MAX_BLOCKS)
		return 0;
	in.bytes = malloc(in.blocks * BLOCK);
	scratch = malloc(2 * BLOCK);
	if (!in.bytes || !scratch)
		abort();
	memcpy(in.bytes, data, in.blocks * BLOCK);
	seal(&in, 1);
	gpt_protected(in.bytes);
	for (u32 index = 0; index < 3; index++) {
		enum status st = gpt_find(
			read_input, &in, in.blocks, BLOCK, gpt_dump_type, index, scratch, &part);

		if (st == OK && (part.first_lba > part.last_lba || part.last_lba >= in.blocks))
			abort();
	}
	if (gpt_find_uuid(read_input, &in, in.blocks, BLOCK, data, scratch, &part) == OK &&
		(memcmp(part.uuid, data, 16) != 0 || part.last_lba >= in.blocks))
		abort();
	free(scratch);
	free(in.bytes);
	return 0;
}
