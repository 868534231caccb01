/*
 * Makes dump logs in memory for tests. Checks little: the tests ask for what they
 * need, and what does not fit aborts.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "crc32c.h"
#include "tests/model/logmaker.h"

static u64 pending_runs[DL_GROUP_PAGES * 8];
static u32 pending_count;

static void need(bool good)
{
	if (!good)
		abort();
}

static u8 *block_at(struct logmaker *m, u64 block)
{
	need(range_fits(block, 1, m->super.blocks));
	return m->disk + block * m->super.block_bytes;
}

void logmaker_init(struct logmaker *m, u32 block_bytes, u64 blocks, u32 slots)
{
	crc32c_init();
	memset(m, 0, sizeof(*m));
	memcpy(m->super.magic, DL_SUPER_MAGIC, sizeof(m->super.magic));
	m->super.version = DL_VERSION;
	m->super.block_bytes = block_bytes;
	memset(m->super.disk_uuid, 0xd1, sizeof(m->super.disk_uuid));
	m->super.blocks = blocks;
	m->super.dir_slots = slots;
	m->super.level = 31;
	m->super.created_s = 1700000000;
	memcpy(m->super.label, "test disk", sizeof("test disk"));
	dl_super_seal(&m->super);
	m->bytes = blocks * block_bytes;
	m->disk = calloc(1, m->bytes);
	need(m->disk != NULL);
	m->free = dl_data_start(&m->super);
	memcpy(block_at(m, 0), &m->super, sizeof(m->super));
	memcpy(block_at(m, blocks - 1), &m->super, sizeof(m->super));
}

void logmaker_free(struct logmaker *m)
{
	free(m->disk);
	m->disk = NULL;
}

void logmaker_put_header(struct logmaker *m, bool front, bool back)
{
	m->h.generation++;
	dl_header_seal(&m->h);
	if (front)
		memcpy(block_at(m, dl_slot_block(m->slot)), &m->h, sizeof(m->h));
	if (back)
		memcpy(block_at(m, dl_slot_block_back(&m->super, m->slot)), &m->h, sizeof(m->h));
}

void logmaker_begin(struct logmaker *m, u32 number, u32 level)
{
	struct dl_header *h = &m->h;

	memset(h, 0, sizeof(*h));
	memcpy(h->magic, DL_HEADER_MAGIC, sizeof(h->magic));
	h->version = DL_VERSION;
	memcpy(h->disk_uuid, m->super.disk_uuid, sizeof(h->disk_uuid));
	memset(h->dump_uuid, (int)(0x40 + number), sizeof(h->dump_uuid));
	h->number = number;
	h->state = DL_STATE_INCOMPLETE;
	h->start = m->free;
	h->limit = dl_data_end(&m->super) - m->free;
	h->time_s = 1750000000 + number;
	h->door = 1;
	h->level_asked = level;
	h->level_applied = level;
	memcpy(h->release, "6.1.0-test", sizeof("6.1.0-test"));
	memcpy(h->nodename, "crashhost", sizeof("crashhost"));
	memcpy(h->machine, "x86_64", sizeof("x86_64"));
	m->slot = (number - 1) % m->super.dir_slots;
	m->next = 0;
	m->sequence = 0;
	m->last_index = 0;
	m->entries = 0;
	logmaker_put_header(m, true, true);
	logmaker_chunk(m, DL_KIND_START, DL_COMP_NONE, h, sizeof(*h));
}

void logmaker_runs(struct logmaker *m, const u64 *runs, u32 count)
{
	(void)m;
	need(count <= ARRAY_SIZE(pending_runs));
	memcpy(pending_runs, runs, count * sizeof(*runs));
	pending_count = count;
}

#define LZF_SLOTS	4096
#define LZF_MAX_LITERAL 32
#define LZF_MAX_OFFSET	8192
#define LZF_MAX_MATCH	264

/* Ends the literals from @from to @to: their length before them. Returns the new end of @out. */
static u32 lzf_literals(const u8 *in, u32 from, u32 to, u8 *out, u32 at)
{
	while (from < to) {
		u32 n = (u32)min_u64(to - from, LZF_MAX_LITERAL);

		out[at++] = (u8)(n - 1);
		memcpy(out + at, in + from, n);
		at += n;
		from += n;
	}
	return at;
}

/* A small encoder of liblzf's format. @out has room for the worst case. */
static u32 lzf_pack(const u8 *in, u32 bytes, u8 *out)
{
	static u32 last[LZF_SLOTS]; /* position + 1 of the last three bytes like these */
	u32 literal = 0;
	u32 out_at = 0;
	u32 at = 0;

	memset(last, 0, sizeof(last));
	while (at + 3 <= bytes) {
		u32 slot = (in[at] * 33u + in[at + 1] * 7u + in[at + 2]) % LZF_SLOTS;
		u32 from = last[slot];
		u32 n = 0;

		last[slot] = at + 1;
		if (from && at - from < LZF_MAX_OFFSET) {
			while (n < LZF_MAX_MATCH && at + n < bytes &&
				in[from - 1 + n] == in[at + n])
				n++;
		}
		if (n < 3) {
			at++;
			continue;
		}
		out_at = lzf_literals(in, literal, at, out, out_at);
		out[out_at++] = (u8)((n - 2 < 7 ? n - 2 : 7) << 5 | (at - from) >> 8);
		if (n - 2 >= 7)
			out[out_at++] = (u8)(n - 2 - 7);
		out[out_at++] = (u8)(at - from);
		at += n;
		literal = at;
	}
	return lzf_literals(in, literal, bytes, out, out_at);
}

/* Packed size in @out, or 0 if it would not be smaller. */
static u32 pack(u32 method, const void *raw, u32 bytes, void *out)
{
	uLongf room = bytes;
	size_t packed;

	if (method == DL_COMP_LZF) {
		packed = lzf_pack(raw, bytes, out);
		return packed < bytes ? (u32)packed : 0;
	}
	if (method == DL_COMP_ZLIB)
		return compress2(out, &room, raw, bytes, 1) == Z_OK && room < bytes ? (u32)room : 0;
	if (method == DL_COMP_ZSTD) {
		packed = ZSTD_compress(out, bytes, raw, bytes, 1);
		return ZSTD_isError(packed) || packed >= bytes ? 0 : (u32)packed;
	}
	return 0;
}

static void remember(struct logmaker *m, const struct dl_chunk *c)
{
	struct dl_index_entry *e = &m->entry[m->entries];

	if (c->kind == DL_KIND_START || c->kind == DL_KIND_INDEX || c->kind == DL_KIND_END)
		return;
	need(m->entries < LOGMAKER_INDEX_MAX);
	memset(e, 0, sizeof(*e));
	e->block = m->next;
	e->blocks = c->blocks;
	e->kind = c->kind;
	for (u32 i = 0; i < pending_count && c->kind == DL_KIND_PAGES; i++) {
		u64 first = dl_run_pfn(pending_runs[i]);
		u64 last = first + dl_run_count(pending_runs[i]) - 1;

		e->first_pfn = i == 0 || first < e->first_pfn ? first : e->first_pfn;
		e->last_pfn = last > e->last_pfn ? last : e->last_pfn;
	}
	m->entries++;
}

void logmaker_chunk(struct logmaker *m, u32 kind, u32 method, const void *raw, u32 bytes)
{
	static u8 packed[2 * DL_GROUP_PAGES * PAGE_BYTES];
	u8 *at = block_at(m, m->h.start + m->next);
	struct dl_chunk *c = (struct dl_chunk *)(void *)at;
	u32 size;

	need(bytes <= sizeof(packed) / 2);
	size = pack(method, raw, bytes, packed);
	memset(c, 0, sizeof(*c));
	c->magic = DL_CHUNK_MAGIC;
	c->header_bytes = sizeof(*c);
	c->kind = (u16)kind;
	memcpy(c->dump_uuid, m->h.dump_uuid, sizeof(c->dump_uuid));
	c->sequence = m->sequence;
	c->payload_offset = (u32)(sizeof(*c) + pending_count * sizeof(u64));
	if (!size && kind == DL_KIND_PAGES)
		c->payload_offset = (u32)round_up_u64(c->payload_offset, m->super.block_bytes);
	c->stored_bytes = size ? size : bytes;
	c->raw_bytes = bytes;
	c->blocks = (u32)(round_up_u64(c->payload_offset + c->stored_bytes, m->super.block_bytes) /
			  m->super.block_bytes);
	c->compressor = (u16)(size ? method : DL_COMP_NONE);
	c->run_count = (u16)pending_count;
	need(range_fits(m->next, c->blocks, m->h.limit));
	memcpy(at + sizeof(*c), pending_runs, pending_count * sizeof(u64));
	memcpy(at + c->payload_offset, size ? packed : raw, c->stored_bytes);
	c->payload_crc32c = crc32c(0, at + c->payload_offset, c->stored_bytes);
	dl_chunk_seal(c);
	remember(m, c);
	pending_count = 0;
	m->next += c->blocks;
	m->sequence++;
}

void logmaker_note(struct logmaker *m, u32 type, const void *data, u32 bytes)
{
	u8 buf[DL_GROUP_PAGES * PAGE_BYTES];
	struct dl_note note = {.type = type, .bytes = bytes};

	need(bytes <= sizeof(buf) - sizeof(note));
	memcpy(buf, &note, sizeof(note));
	memcpy(buf + sizeof(note), data, bytes);
	logmaker_chunk(m, DL_KIND_NOTE, DL_COMP_NONE, buf, (u32)sizeof(note) + bytes);
}

void logmaker_pages(struct logmaker *m, u64 pfn, u32 count, u32 method, const void *contents)
{
	u64 run = dl_run(pfn, count, DL_KEPT);

	logmaker_runs(m, &run, 1);
	m->h.kept_pages += count;
	logmaker_chunk(m, DL_KIND_PAGES, method, contents, count * PAGE_BYTES);
}

void logmaker_classes(struct logmaker *m, const u64 *runs, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u32 class = dl_run_class(runs[i]);

		m->h.ram_pages += class == DL_NOT_RAM ? 0 : dl_run_count(runs[i]);
		m->h.zero_pages += class == DL_ZERO ? dl_run_count(runs[i]) : 0;
	}
	logmaker_chunk(m, DL_KIND_CLASSES, DL_COMP_ZLIB, runs, count * (u32)sizeof(*runs));
}

void logmaker_found(struct logmaker *m, const u64 *runs, u32 count)
{
	for (u32 i = 0; i < count; i++)
		m->h.zero_pages += dl_run_class(runs[i]) == DL_ZERO ? dl_run_count(runs[i]) : 0;
	logmaker_chunk(m, DL_KIND_FOUND, DL_COMP_ZLIB, runs, count * (u32)sizeof(*runs));
}

void logmaker_index(struct logmaker *m)
{
	u8 buf[DL_GROUP_PAGES * PAGE_BYTES];
	struct dl_index index = {.previous = m->last_index, .count = m->entries};
	u64 at = m->next;

	need(m->entries * sizeof(m->entry[0]) <= sizeof(buf) - sizeof(index));
	memcpy(buf, &index, sizeof(index));
	memcpy(buf + sizeof(index), m->entry, m->entries * sizeof(m->entry[0]));
	logmaker_chunk(m, DL_KIND_INDEX, DL_COMP_NONE, buf,
		(u32)(sizeof(index) + m->entries * sizeof(m->entry[0])));
	m->last_index = at;
	m->entries = 0;
}

void logmaker_end(struct logmaker *m, enum status reason)
{
	struct dl_end end = {
		.last_index = m->last_index,
		.chunks = m->sequence + 1,
		.ram_pages = m->h.ram_pages,
		.kept_pages = m->h.kept_pages,
		.zero_pages = m->h.zero_pages,
		.reason = (u32)reason,
	};

	m->h.end = m->next;
	logmaker_chunk(m, DL_KIND_END, DL_COMP_NONE, &end, sizeof(end));
	m->h.used = m->next;
	m->h.limit = m->next;
	m->h.chunks = m->sequence;
	m->h.stored_bytes = m->next * m->super.block_bytes;
	m->h.reason = (u32)reason;
	m->h.state = reason == OK ? DL_STATE_COMPLETE : DL_STATE_INCOMPLETE;
	logmaker_put_header(m, true, true);
	m->free = m->h.start + m->next;
}

struct dl_chunk *logmaker_find(struct logmaker *m, u64 sequence)
{
	u64 block = 0;

	for (u64 i = 0; i < m->sequence; i++) {
		struct dl_chunk *c = (struct dl_chunk *)(void *)block_at(m, m->h.start + block);

		if (i == sequence)
			return c;
		block += c->blocks;
	}
	return NULL;
}
