/*
 * Reads a dump partition made of the input, as far as getdump would: list, walk,
 * map, every page, why for some, and a KDUMP and an ELF file to nowhere. Bit 0 of the first byte
 * makes the checksums right first, so that what lies behind them is reached too; bits 1
 * and 2 leave some of the seals broken, the upper five are the level to filter by.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "crc32c.h"
#include "reader.h"
#include "tools/getdump/extract.h"
#include "tools/getdump/source.h"
#include "tools/getdump/why.h"
#include "tools/getdump/why_kernel.h"

#define MAX_BYTES  (256u * KIB)
#define MAX_CHUNKS 64
#define MAX_PAGES  65536 /* beyond that the files only take time */

#define FIX_SEALS    1u
#define KEEP_HEADERS 2u
#define KEEP_CHUNKS  4u
#define LEVEL_SHIFT  3

#define WHY_PAGES      130
#define WHY_DIRECT_MAP 0xffff9a0000000000ull /* of the seeds' old kernel */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

struct input {
	u8 *disk; /* aligned as the structs need it, exactly as long as the input */
	u64 bytes;
};

static int nowhere;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	crc32c_init();
	nowhere = open("/dev/null", O_WRONLY);
	return nowhere < 0;
}

static enum status read_input(void *ctx, u64 offset, void *buf, u64 bytes)
{
	const struct input *in = ctx;

	if (!range_fits(offset, bytes, in->bytes))
		abort();
	memcpy(buf, in->disk + offset, bytes);
	return OK;
}

static const struct reader_ops ops = {
	.read = read_input,
	.resize = source_resize,
	.unpack = source_unpack,
};

/* Seals the chunk at @offset if its lengths allow; the length of the chunk, or 0. */
static u64 seal_chunk(struct input *in, u64 offset, u32 block_bytes)
{
	struct dl_chunk *c = (struct dl_chunk *)(void *)(in->disk + offset);
	u64 bytes;

	if (!range_fits(offset, sizeof(*c), in->bytes) || c->magic != DL_CHUNK_MAGIC)
		return 0;
	bytes = in->bytes - offset;
	if (range_fits(c->payload_offset, c->stored_bytes, bytes))
		c->payload_crc32c =
			crc32c(0, in->disk + offset + c->payload_offset, c->stored_bytes);
	if (c->header_bytes < sizeof(*c) ||
		!range_fits(c->header_bytes, c->run_count * sizeof(u64), bytes))
		return 0;
	dl_chunk_seal(c);
	return (u64)c->blocks * block_bytes;
}

static void seal_dump(struct input *in, const struct dl_super *super, struct dl_header *h, u8 how)
{
	u64 offset;

	if (!(how & KEEP_HEADERS)) {
		memcpy(h->disk_uuid, super->disk_uuid, sizeof(h->disk_uuid));
		dl_header_seal(h);
	}
	if ((how & KEEP_CHUNKS) || h->start > in->bytes / super->block_bytes)
		return;
	offset = h->start * super->block_bytes;
	for (u32 i = 0; i < MAX_CHUNKS; i++) {
		u64 bytes = offset < in->bytes && offset % 8 == 0
				    ? seal_chunk(in, offset, super->block_bytes)
				    : 0;

		if (bytes == 0)
			return;
		offset += bytes;
	}
}

static void seal_all(struct input *in, u8 how)
{
	struct dl_super *super = (struct dl_super *)(void *)in->disk;

	if (in->bytes < sizeof(*super))
		return;
	dl_super_seal(super);
	if (dl_super_check(super) != OK)
		return;
	for (u32 slot = 0; slot < super->dir_slots; slot++) {
		u64 offset = dl_slot_block(slot) * super->block_bytes;

		if (!range_fits(offset, sizeof(struct dl_header), in->bytes))
			return;
		seal_dump(in, super, (struct dl_header *)(void *)(in->disk + offset), how);
	}
}

static void write_files(struct extract *x)
{
	struct reader_totals t;

	reader_map_count(&x->map, &t);
	if (t.ram > MAX_PAGES || x->map.end_pfn > (u64)MAX_PAGES * 64)
		return;
	if (facts_load(&x->facts, &x->map) != OK)
		abort();
	if (reader_pages_open(&x->pages, &x->map) != OK)
		abort();
	x->sink = (struct sink) {.fd = nowhere, .flat = true};
	if (kdump_write(x) != OK || elf_write(x) != OK || raw_write(x) != OK)
		abort();
	reader_pages_close(&x->pages);
	facts_free(&x->facts);
}

/* Pages inside RAM and behind it, and what the old kernel calls them. */
static void ask_why(const struct reader_map *m)
{
	static struct reader_pages pages;
	struct why_kernel *k = why_kernel_open(m);

	if (!k || reader_pages_open(&pages, m) != OK)
		abort();
	for (u64 pfn = 0; pfn < WHY_PAGES; pfn++) {
		struct why_report report;
		char text[WHY_TEXT];
		struct why w;
		u64 pa = pfn << PAGE_SHIFT;

		if (why_kernel_translate(k, WHY_DIRECT_MAP | pa, &pa) != OK)
			pa = pfn << PAGE_SHIFT;
		why_look(&w, m, &pages, pa >> PAGE_SHIFT);
		if (why_kernel_report(k, w.pfn, &report))
			why_add_report(&w, &report);
		if (why_text(&w, text)[0] == '\0' || why_state(&w)[0] == '\0')
			abort();
	}
	reader_pages_close(&pages);
	why_kernel_close(k);
}

static void read_dump(struct reader *r, const struct reader_dump *dump, u32 level)
{
	static struct extract x;

	memset(&x, 0, sizeof(x));
	x.h = &dump->h;
	if (reader_map_load(&x.map, r, dump) != OK)
		return;
	ask_why(&x.map);
	extract_set_level(&x, level);
	write_files(&x);
	reader_map_free(&x.map);
}

static void check_indexes(struct reader *r, const struct reader_dump *dump)
{
	static struct reader_walk walk;
	static u8 raw[READER_PAYLOAD_MAX];
	struct reader_index index = {0};
	u32 bad = 0;

	reader_walk_start(&walk, r, dump);
	while (reader_walk_next(&walk)) {
		if (reader_walk_payload(&walk, raw) == OK)
			bad += reader_index_check(&index, &walk, raw) != OK;
	}
	if (bad > walk.sequence)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct input in;
	struct reader r;

	if (bytes < 2 || bytes > MAX_BYTES)
		return 0;
	in.bytes = bytes - 1;
	in.disk = malloc(in.bytes);
	if (!in.disk)
		abort();
	memcpy(in.disk, data + 1, in.bytes);
	if (data[0] & FIX_SEALS)
		seal_all(&in, data[0]);
	if (reader_open(&r, &ops, &in, in.bytes) == OK) {
		for (u32 i = 0; i < r.count && i < 4; i++) {
			check_indexes(&r, &r.dump[i]);
			read_dump(&r, &r.dump[i], data[0] >> LEVEL_SHIFT);
		}
		reader_close(&r);
	}
	free(in.disk);
	return 0;
}
