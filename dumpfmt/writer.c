/*
 * Begins and ends a dump: room, slot, header, notes and class runs. The chunks
 * themselves are made in chunks.c.
 */
#include <string.h>
#include "chunks.h"
#include "ports.h"
#include "str.h"

_Static_assert(DIRECTORY_MAX_SLOTS * sizeof(struct dir_entry) <= OUTBOX_RING_BYTES,
	"the ring holds the directory while room is looked for");

u64 writer_worst_blocks(u64 pages, u32 block_bytes)
{
	/*
	 * For each page its contents and a sixteenth of a group's header; 16 bytes for its class
	 * run and its share of the index. For the dump notes and what is left over in groups.
	 */
	u64 each = PAGE_BYTES + block_bytes / DL_GROUP_PAGES + 16;

	return (pages * each + MIB) / block_bytes + 1;
}

u64 writer_left_blocks(const struct writer *w)
{
	u64 room = w->header.limit - w->sent.blocks;

	return room > w->reserve_blocks ? room - w->reserve_blocks : 0;
}

u64 writer_safe_bytes(const struct writer *w)
{
	return w->out.safe.blocks * w->super->block_bytes;
}

static enum status take_memory(struct writer *w, struct arena *arena, struct dir_memory *mem)
{
	enum status st;

	/* Whole pages first: little is lost by alignment. */
	mem->buf = arena_alloc(arena, DIRECTORY_BUF_BYTES, PAGE_BYTES);
	if (!mem->buf)
		return E_NO_MEMORY;
	st = outbox_init(&w->out, w->gate, arena);
	if (st != OK)
		return st;
	w->class_run = arena_alloc(arena, WRITER_CLASS_RUNS * sizeof(u64), 8);
	w->index = arena_alloc(arena, WRITER_INDEX_ENTRIES * sizeof(*w->index), 8);
	if (!w->class_run || !w->index)
		return E_NO_MEMORY;
	mem->buf_pa = arena_pa(arena, mem->buf);
	mem->entry = (struct dir_entry *)(void *)w->out.ring;
	return OK;
}

/*
 * Policy "oldest": as long as there is no slot or less room than @want, the oldest dump
 * gives way.
 */
static enum status give_way(struct writer *w, u64 want)
{
	for (u32 i = 0; i < w->super->dir_slots; i++) {
		u32 slot;
		enum status st;

		if (directory_free_slot(&w->dir, &slot) == OK &&
			directory_largest_gap(&w->dir).blocks >= want)
			return OK;
		if (!directory_oldest(&w->dir, &slot))
			return OK;
		st = directory_clear(&w->dir, slot);
		if (st != OK)
			return st;
	}
	return OK;
}

/* A place and a slot for the dump. */
static enum status find_room(struct writer *w, u64 ram_pages)
{
	u32 bb = w->super->block_bytes;
	u64 worst = writer_worst_blocks(ram_pages, bb);
	u64 data = dl_data_end(w->super) - dl_data_start(w->super);
	enum status st = OK;
	struct extent gap;

	/* To find where dumps cut by power loss end takes long: only if their room is needed. */
	if (directory_largest_gap(&w->dir).blocks < worst)
		st = directory_walk_cut(&w->dir);
	/* Half of the worst is about what the compressors reach. */
	if (st == OK && w->super->overwrite == DL_OVERWRITE_OLDEST)
		st = give_way(w, min_u64(worst / 2, data));
	if (st != OK)
		return st;
	gap = directory_largest_gap(&w->dir);
	if (gap.blocks < WRITER_MIN_BYTES / bb)
		return E_FULL;
	w->header.start = gap.lba;
	/* An eighth more than the worst, so that the first groups find the space ample. */
	w->header.limit = min_u64(gap.blocks, worst + worst / 8 + chunk_reserve_blocks(bb));
	return directory_free_slot(&w->dir, &w->slot);
}

/* Stirs 64 bits so that every bit of the input reaches every bit of the result. */
static u64 stir(u64 x)
{
	for (u32 i = 0; i < 3; i++) {
		x ^= x >> 31;
		x *= 0x9e3779b97f4a7c15ull;
	}
	return x ^ x >> 29;
}

/* Unlike any other dump's on this disk; there is no source of true randomness here. */
static void make_uuid(struct dl_header *h)
{
	u64 id[2];

	memcpy(id, h->disk_uuid, sizeof(id));
	id[0] = stir(id[0] ^ stir(h->time_s) ^ stir((u64)h->number << 32 | h->generation));
	id[1] = stir(id[1] ^ stir(clock_us()) ^ id[0]);
	memcpy(h->dump_uuid, id, sizeof(id));
	/* RFC 9562 s5.8: version 8, variant 10. */
	h->dump_uuid[6] = (u8)((h->dump_uuid[6] & 0x0f) | 0x80);
	h->dump_uuid[8] = (u8)((h->dump_uuid[8] & 0x3f) | 0x80);
}

static void fill_text(char *dst, u32 size, const char *src)
{
	if (!src)
		return;
	str_copy(dst, size, src, size);
	str_sanitize(dst, size);
}

static void fill_header(struct writer *w, const struct dump_info *info, u32 generation)
{
	struct dl_header *h = &w->header;

	memcpy(h->magic, DL_HEADER_MAGIC, sizeof(h->magic));
	h->version = DL_VERSION;
	h->generation = generation + 1;
	memcpy(h->disk_uuid, w->super->disk_uuid, sizeof(h->disk_uuid));
	h->number = w->dir.highest + 1;
	h->state = DL_STATE_INCOMPLETE;
	h->time_s = info->time_s;
	h->door = info->door;
	h->level_asked = info->level_asked;
	h->level_applied = info->level_applied;
	h->compressor = info->compressor;
	h->degraded = info->degraded;
	h->survey = info->survey;
	if (w->dir.unknown)
		h->degraded |= DL_DEGRADED_DIRECTORY;
	h->ram_pages = info->ram_pages;
	h->crash_id = info->crash_id;
	fill_text(h->release, sizeof(h->release), info->release);
	fill_text(h->nodename, sizeof(h->nodename), info->nodename);
	fill_text(h->machine, sizeof(h->machine), info->machine);
	fill_text(h->panic, sizeof(h->panic), info->panic);
	make_uuid(h);
}

enum status writer_start(struct writer *w, struct gate *gate, const struct dl_super *super,
	struct arena *arena, const struct dump_info *info)
{
	struct dir_memory mem;
	u32 generation;
	enum status st;

	memset(w, 0, sizeof(*w));
	w->gate = gate;
	w->super = super;
	w->start_us = clock_us();
	st = take_memory(w, arena, &mem);
	if (st == OK)
		st = directory_load(&w->dir, gate, super, &mem);
	/* Counted before the oldest gives way, and while the ring holds the directory. */
	if (st == OK)
		w->recent = directory_recent(&w->dir, info->time_s, WRITER_RECENT_S);
	if (st == OK)
		st = find_room(w, info->ram_pages);
	if (st == OK)
		st = directory_generation(&w->dir, w->slot, &generation);
	if (st != OK)
		return st;
	fill_header(w, info, generation);
	st = directory_write(&w->dir, w->slot, &w->header);
	if (st != OK)
		return st;
	w->resets = gate->blk->resets;
	w->reserve_blocks = chunk_reserve_blocks(super->block_bytes);
	w->run_kind = DL_KIND_CLASSES;
	return chunk_put_start(w);
}

void writer_expect(struct writer *w, u32 classes)
{
	w->header.incomplete = classes;
}

void writer_pass_end(struct writer *w, u32 classes)
{
	if (w->passes == ARRAY_SIZE(w->pass))
		return;
	w->pass[w->passes++] = (struct writer_pass) {classes, UINT64_MAX};
}

/* The runs collected so far; with them a pass that has ended is all in the log. */
static enum status runs_flush(struct writer *w)
{
	enum status st = chunk_classes_flush(w);

	for (u32 i = 0; i < w->passes && st == OK; i++)
		w->pass[i].blocks = min_u64(w->pass[i].blocks, w->sent.blocks);
	return st;
}

enum status writer_pass_begin(struct writer *w)
{
	enum status st = runs_flush(w);

	if (st != OK)
		return st;
	w->run_kind = DL_KIND_FOUND;
	w->class_next_pfn = 0;
	return OK;
}

void writer_drop(struct writer *w, u32 class)
{
	w->header.dropped |= 1u << class;
	w->header.incomplete &= ~(1u << class);
	w->header.degraded |= DL_DEGRADED_DROPPED;
}

/* Classes whose passes are on the disk are whole. */
static void passes_settle(struct writer *w)
{
	for (u32 i = 0; i < w->passes; i++) {
		if (w->pass[i].blocks <= w->out.safe.blocks)
			w->header.incomplete &= ~w->pass[i].classes;
	}
}

enum status writer_note(struct writer *w, u32 type, const void *data, u32 bytes)
{
	struct dl_note note = {.type = type, .bytes = bytes};

	if (bytes > WRITER_NOTE_MAX_BYTES)
		return E_INVAL;
	return chunk_put(w, DL_KIND_NOTE, (struct piece) {&note, sizeof(note)},
		(struct piece) {data, bytes});
}

/* Lengthens the last run by up to @count pages; how many it took. */
static u64 extend_run(struct writer *w, u64 pfn, u64 count, u32 class)
{
	u64 *run;
	u64 take;

	if (w->class_count == 0)
		return 0;
	run = &w->class_run[w->class_count - 1];
	if (dl_run_class(*run) != class || dl_run_pfn(*run) + dl_run_count(*run) != pfn)
		return 0;
	take = min_u64(count, DL_RUN_MAX_COUNT - dl_run_count(*run));
	*run = dl_run(dl_run_pfn(*run), dl_run_count(*run) + (u32)take, class);
	return take;
}

enum status writer_classes(struct writer *w, u64 pfn, u64 count, u32 class)
{
	if (pfn < w->class_next_pfn)
		return E_INVAL;
	w->class_next_pfn = pfn + count;
	if (class == DL_ZERO)
		w->zero_pages += count;
	while (count > 0) {
		u64 take = extend_run(w, pfn, count, class);

		if (take == 0) {
			enum status st = OK;

			if (w->class_count == WRITER_CLASS_RUNS)
				st = chunk_classes_flush(w);
			if (st != OK)
				return st;
			take = min_u64(count, DL_RUN_MAX_COUNT);
			w->class_run[w->class_count++] = dl_run(pfn, (u32)take, class);
		}
		pfn += take;
		count -= take;
	}
	return OK;
}

enum status writer_poll(struct writer *w, u32 *inflight)
{
	enum status st = outbox_poll(&w->out);

	*inflight = outbox_inflight(&w->out);
	return st;
}

u32 writer_inflight(const struct writer *w)
{
	return outbox_inflight(&w->out);
}

/* The chunks that close the log. */
static enum status close_log(struct writer *w, enum status reason)
{
	struct dl_end end = {
		.ram_pages = w->header.ram_pages,
		.kept_pages = w->sent.pages,
		.zero_pages = w->zero_pages,
		.reason = reason,
	};
	enum status st;

	w->reserve_blocks = 0;
	st = runs_flush(w);
	if (st == OK)
		st = chunk_index_flush(w);
	if (st != OK)
		return st;
	end.last_index = w->last_index;
	end.chunks = w->sent.chunks + 1;
	w->header.end = w->sent.blocks;
	return chunk_put(
		w, DL_KIND_END, (struct piece) {&end, sizeof(end)}, (struct piece) {NULL, 0});
}

/* The header as it will stay. */
static void close_header(struct writer *w, enum status reason)
{
	struct dl_header *h = &w->header;

	h->generation++;
	h->state = reason == OK ? DL_STATE_COMPLETE : DL_STATE_INCOMPLETE;
	h->reason = reason;
	h->used = w->out.safe.blocks;
	h->chunks = w->out.safe.chunks;
	if (h->end >= h->used)
		h->end = 0;
	h->duration_ms = (u32)min_u64((clock_us() - w->start_us) / 1000, UINT32_MAX);
	h->kept_pages = w->out.safe.pages;
	h->zero_pages = w->zero_pages;
	h->stored_bytes = writer_safe_bytes(w);
}

/* Makes the log durable; why not all of it can be trusted to be on the disk, else @reason. */
static enum status log_settle(struct writer *w, enum status reason)
{
	const struct blk *blk = w->gate->blk;
	enum status st = blk->dead;

	if (st == OK)
		st = directory_flush(&w->dir);
	if (st != OK)
		reason = st;
	if (blk->dead == OK && (st != OK || blk->resets != w->resets))
		st = log_read_back(w);
	return st != OK ? st : reason;
}

enum status writer_finish(struct writer *w, enum status reason)
{
	enum status st, drained;

	if (reason == OK && w->full)
		reason = E_FULL;
	st = close_log(w, reason);
	drained = outbox_drain(&w->out);
	if (drained != OK)
		reason = drained;
	else if (st != OK)
		reason = st;
	reason = log_settle(w, reason);
	passes_settle(w);
	if (w->gate->blk->dead != OK)
		return w->gate->blk->dead;
	close_header(w, reason);
	st = directory_write(&w->dir, w->slot, &w->header);
	return st != OK ? st : reason;
}
