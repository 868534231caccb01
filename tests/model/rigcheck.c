/*
 * An independent reading of the log: shares the structs with the program, but none of
 * its code except the checks of single structures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "crc32c.h"
#include "tests/model/dumprig.h"

unsigned int lzf_decompress(const void *in, unsigned int in_bytes, void *out, unsigned int room);

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The log being followed. */
struct walk {
	const struct rig *rig;
	struct rig_report *r;
	struct dl_header h;
	u64 pos;
	const u8 *at;
	struct dl_chunk c;
	u8 payload[DL_MAX_CHUNK_BYTES];
	struct dl_index_entry seen[8192];
	u32 seen_count;
	u64 class_next;
	u64 found_next;
	u32 found_pass;
	u32 pass;
};

static const u8 *block_at(const struct rig *rig, u64 block)
{
	return rig->disk.data + (RIG_PART_LBA + block) * rig->opt.block_bytes;
}

bool rig_header(const struct rig *rig, u32 slot, struct dl_header *h)
{
	struct dl_header back, front;
	bool back_ok, front_ok;

	memcpy(&back, block_at(rig, rig->super.blocks - 1 - rig->super.dir_slots + slot),
		sizeof(back));
	memcpy(&front, block_at(rig, 1 + (u64)slot), sizeof(front));
	back_ok = dl_header_check(&back, &rig->super) == OK;
	front_ok = dl_header_check(&front, &rig->super) == OK;
	*h = back_ok && (!front_ok || back.generation >= front.generation) ? back : front;
	return back_ok || front_ok;
}

int rig_slot_of(const struct rig *rig, u32 number)
{
	struct dl_header h;

	for (u32 i = 0; i < rig->super.dir_slots; i++) {
		if (rig_header(rig, i, &h) && h.number == number)
			return (int)i;
	}
	return -1;
}

void rig_clear(struct rig *rig, u32 slot)
{
	struct dl_header h;
	u64 back = rig->super.blocks - 1 - rig->super.dir_slots + slot;
	u64 bb = rig->opt.block_bytes;

	CHECK(rig_header(rig, slot, &h));
	h.flags |= DL_FLAG_CLEARED;
	h.generation++;
	dl_header_seal(&h);
	memcpy(rig->disk.data + (RIG_PART_LBA + back) * bb, &h, sizeof(h));
	memcpy(rig->disk.data + (RIG_PART_LBA + 1 + slot) * bb, &h, sizeof(h));
}

static void unpack(struct walk *w)
{
	const u8 *in = w->at + w->c.payload_offset;
	uLongf out = sizeof(w->payload);

	switch (w->c.compressor) {
	case DL_COMP_NONE:
		CHECK(w->c.stored_bytes == w->c.raw_bytes);
		memcpy(w->payload, in, w->c.stored_bytes);
		return;
	case DL_COMP_LZF:
		out = lzf_decompress(in, w->c.stored_bytes, w->payload, sizeof(w->payload));
		break;
	default:
		CHECK(w->c.compressor == DL_COMP_ZLIB);
		CHECK(uncompress(w->payload, &out, in, w->c.stored_bytes) == Z_OK);
	}
	CHECK(out == w->c.raw_bytes);
}

/* The pass whose pages are of @class. */
static u32 pass_of(u32 class)
{
	switch (class) {
	case DL_USER:
		return 1;
	case DL_PRIVATE_CACHE:
		return 2;
	case DL_CACHE:
		return 3;
	case DL_FREE:
		return 4;
	default:
		return 0;
	}
}

/* Passes come in order, and after the classes of all pages. */
static void check_order(struct walk *w, u64 pfn, u32 class)
{
	u32 pass = pass_of(class);

	CHECK(dl_class_has_data(class, w->h.level_applied));
	CHECK(pass >= w->pass);
	CHECK(pass == 0 || w->r->class[pfn] == class);
	w->pass = pass;
	w->r->passes |= 1u << pass;
}

static void check_pages(struct walk *w)
{
	const u8 *page = w->payload;
	u64 last = 0;

	CHECK(w->c.run_count > 0 && w->c.run_count <= DL_GROUP_PAGES);
	for (u32 i = 0; i < w->c.run_count; i++) {
		u64 run;

		memcpy(&run, w->at + w->c.header_bytes + i * 8, sizeof(run));
		CHECK(i == 0 || dl_run_pfn(run) >= last);
		for (u32 n = 0; n < dl_run_count(run); n++) {
			u64 pfn = dl_run_pfn(run) + n;

			CHECK(pfn < rig_defaults().ram_bytes >> PAGE_SHIFT || pfn < RIG_MAX_PAGES);
			CHECK(page + PAGE_BYTES <= w->payload + w->c.raw_bytes);
			CHECK(memcmp(page, w->rig->old + (pfn << PAGE_SHIFT), PAGE_BYTES) == 0);
			CHECK(!w->r->have[pfn] && !w->r->found[pfn]);
			check_order(w, pfn, dl_run_class(run));
			w->r->have[pfn] = 1;
			w->r->pages++;
			page += PAGE_BYTES;
			last = pfn + 1;
		}
		w->seen[w->seen_count].last_pfn = last - 1;
		if (i == 0)
			w->seen[w->seen_count].first_pfn = dl_run_pfn(run);
	}
	CHECK(page == w->payload + w->c.raw_bytes);
	w->r->pass_blocks[w->pass] += w->c.blocks;
	if (w->c.compressor == DL_COMP_NONE)
		CHECK(w->c.payload_offset == w->rig->opt.block_bytes);
	*(w->c.compressor == DL_COMP_NONE ? &w->r->raw : &w->r->packed) += 1;
}

static void check_classes(struct walk *w)
{
	for (u32 i = 0; i < w->c.raw_bytes / 8; i++) {
		u64 run;

		memcpy(&run, w->payload + i * 8, sizeof(run));
		CHECK(dl_run_pfn(run) >= w->class_next);
		w->class_next = dl_run_pfn(run) + dl_run_count(run);
		CHECK(w->class_next <= RIG_MAX_PAGES);
		for (u32 n = 0; n < dl_run_count(run); n++)
			w->r->class[dl_run_pfn(run) + n] = (u8)dl_run_class(run);
	}
}

/* Ascending through each pass, and about pages that the pass is for. */
static void check_found(struct walk *w)
{
	for (u32 i = 0; i < w->c.raw_bytes / 8; i++) {
		u64 run;

		memcpy(&run, w->payload + i * 8, sizeof(run));
		CHECK(dl_run_class(run) == DL_ZERO || dl_run_class(run) == DL_UNREADABLE);
		for (u32 n = 0; n < dl_run_count(run); n++) {
			u64 pfn = dl_run_pfn(run) + n;

			CHECK(pfn < RIG_MAX_PAGES && !w->r->have[pfn] && !w->r->found[pfn]);
			check_order(w, pfn, w->r->class[pfn]);
			if (w->pass != w->found_pass)
				w->found_next = 0;
			w->found_pass = w->pass;
			CHECK(w->pass > 0 && pfn >= w->found_next);
			w->found_next = pfn + 1;
			w->r->found[pfn] = (u8)dl_run_class(run);
		}
	}
	w->r->founds++;
}

static void check_chunk(struct walk *w)
{
	CHECK(!w->r->end);
	switch (w->c.kind) {
	case DL_KIND_START:
		CHECK(w->pos == 0);
		break;
	case DL_KIND_NOTE:
		w->r->notes++;
		break;
	case DL_KIND_PAGES:
		check_pages(w);
		break;
	case DL_KIND_CLASSES:
		check_classes(w);
		break;
	case DL_KIND_FOUND:
		check_found(w);
		break;
	case DL_KIND_INDEX:
		w->r->indexes++;
		break;
	default:
		CHECK(w->c.kind == DL_KIND_END);
		w->r->end = true;
		memcpy(&w->r->tail, w->payload, sizeof(w->r->tail));
	}
}

/* False where the log ends. */
static bool next_chunk(struct walk *w, u64 room, bool closed)
{
	u32 bb = w->rig->opt.block_bytes;
	u64 left = room - w->pos;
	struct dl_index_entry *seen = &w->seen[w->seen_count];
	u32 crc;

	if (left == 0)
		return false;
	w->at = block_at(w->rig, w->h.start + w->pos);
	if (dl_chunk_check(w->at, left * bb, w->h.dump_uuid, w->r->chunks, bb, left) != OK) {
		CHECK(!closed);
		return false;
	}
	memcpy(&w->c, w->at, sizeof(w->c));
	crc = crc32c(0, w->at + w->c.payload_offset, w->c.stored_bytes);
	if (crc != w->c.payload_crc32c) {
		CHECK(!closed);
		return false;
	}
	unpack(w);
	memset(seen, 0, sizeof(*seen));
	check_chunk(w);
	seen->block = w->pos;
	seen->kind = w->c.kind;
	seen->blocks = w->c.blocks;
	w->seen_count++;
	w->pos += w->c.blocks;
	w->r->chunks++;
	return true;
}

/* Every chunk between START and END is listed once, in order, seen from the end. */
static void check_index(struct walk *w)
{
	u64 block = w->r->tail.last_index;
	u32 expect = w->seen_count - 2;

	CHECK(w->seen[expect].kind == (block ? DL_KIND_INDEX : DL_KIND_START));
	CHECK(w->seen[expect].block == block);
	while (block) {
		const u8 *at = block_at(w->rig, w->h.start + block);
		struct dl_chunk c;
		struct dl_index head;
		struct dl_index_entry e;

		memcpy(&c, at, sizeof(c));
		CHECK(c.kind == DL_KIND_INDEX);
		memcpy(&head, at + c.payload_offset, sizeof(head));
		CHECK(head.count < expect);
		for (u32 i = head.count; i > 0; i--) {
			memcpy(&e, at + c.payload_offset + sizeof(head) + (i - 1) * sizeof(e),
				sizeof(e));
			CHECK(memcmp(&e, &w->seen[--expect], sizeof(e)) == 0);
		}
		CHECK(head.previous < block);
		block = head.previous;
	}
	CHECK(expect <= 1);
}

void rig_check(const struct rig *rig, u32 slot, struct rig_report *r)
{
	static struct walk w;
	bool closed;
	u64 room;

	memset(&w, 0, sizeof(w));
	memset(r, 0, sizeof(*r));
	memset(r->class, 0xff, sizeof(r->class));
	w.rig = rig;
	w.r = r;
	CHECK(rig_header(rig, slot, &w.h));
	closed = w.h.state == DL_STATE_COMPLETE || w.h.reason != OK;
	room = closed ? w.h.used : w.h.limit;
	while (w.seen_count < ARRAY_SIZE(w.seen) && next_chunk(&w, room, closed))
		;
	r->blocks = w.pos;
	if (closed) {
		CHECK(w.pos == w.h.used && r->chunks == w.h.chunks);
		CHECK(r->pages == w.h.kept_pages);
		CHECK(w.h.stored_bytes == w.h.used * rig->opt.block_bytes);
		CHECK(r->end == (w.h.end != 0));
		CHECK(!r->end || w.h.end == w.seen[w.seen_count - 1].block);
	}
	CHECK(w.h.state != DL_STATE_COMPLETE || r->end);
	if (r->end) {
		CHECK(r->tail.chunks == r->chunks && r->tail.kept_pages == r->pages);
		check_index(&w);
	}
}

static bool all_zero(const u8 *p, u64 bytes)
{
	for (u64 i = 0; i < bytes; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* The class by memory map and page map. */
static u8 planned_class(const struct rig *rig, u64 pfn)
{
	const struct mem_range *m = memmap_find(&rig->map, pfn << PAGE_SHIFT);

	if (!m || m->type != MEM_RAM)
		return DL_NOT_RAM;
	switch (m->touched) {
	case TOUCHED_FIRMWARE:
	case TOUCHED_SURVEY:
		return DL_OVERWRITTEN_FIRMWARE;
	case TOUCHED_LOADER:
		return DL_OVERWRITTEN_LOADER;
	case TOUCHED_OURS:
		return DL_OVERWRITTEN_OURS;
	default:
		return rig->scan && rig->plan[pfn] ? rig->plan[pfn] : DL_KEPT;
	}
}

/* What a look at the page finds: DL_ZERO, DL_UNREADABLE, or 0. */
static u8 expected_find(const struct rig *rig, u64 pfn, u8 class)
{
	bool overwritten = class == DL_OVERWRITTEN_FIRMWARE || class == DL_OVERWRITTEN_LOADER;

	if (!dl_class_has_data(class, rig->opt.level))
		return 0;
	if (phys_unreadable(pfn << PAGE_SHIFT))
		return DL_UNREADABLE;
	if (!(rig->opt.level & DL_LEVEL_ZERO) || overwritten)
		return 0;
	return all_zero(rig->old + (pfn << PAGE_SHIFT), PAGE_BYTES) ? DL_ZERO : 0;
}

static void check_page(
	const struct rig *rig, const struct rig_report *r, const struct dl_header *h, u64 pfn)
{
	u8 class = planned_class(rig, pfn);
	bool data = dl_class_has_data(class, rig->opt.level);
	u8 find = expected_find(rig, pfn, class);

	if (h->dropped >> class & 1) {
		CHECK(r->class[pfn] == class && !r->found[pfn] && !r->have[pfn]);
	} else if (pass_of(class) == 0) {
		CHECK(r->class[pfn] == (find ? find : class));
		CHECK(!r->found[pfn]);
		CHECK(r->have[pfn] == (data && !find));
	} else {
		CHECK(r->class[pfn] == class);
		CHECK(r->found[pfn] == find);
		CHECK(r->have[pfn] == (data && !find));
	}
}

/*
 * Everything of the classes that are said to be whole. Where the first pass was cut, nothing is
 * said of pages without contents behind that.
 */
static void check_whole_classes(
	const struct rig *rig, const struct rig_report *r, const struct dl_header *h)
{
	bool cut = h->incomplete >> DL_KEPT & 1;

	for (u64 pfn = 0; pfn < memmap_end_pfn(&rig->map); pfn++) {
		u8 class = planned_class(rig, pfn);

		if (cut && !dl_class_has_data(class, rig->opt.level))
			continue;
		if (!(h->incomplete >> class & 1))
			check_page(rig, r, h, pfn);
	}
}

static u64 zero_pages(const struct rig_report *r)
{
	u64 zero = 0;

	for (u64 pfn = 0; pfn < RIG_MAX_PAGES; pfn++)
		zero += r->class[pfn] == DL_ZERO || r->found[pfn] == DL_ZERO;
	return zero;
}

void rig_check_all(const struct rig *rig, u32 slot)
{
	static struct rig_report r;
	struct dl_header h;

	rig_check(rig, slot, &r);
	CHECK(rig_header(rig, slot, &h) && h.state == DL_STATE_COMPLETE);
	CHECK(h.incomplete == 0);
	CHECK(!h.dropped == !(h.degraded & DL_DEGRADED_DROPPED));
	check_whole_classes(rig, &r, &h);
	CHECK(r.notes == 2 && r.tail.reason == OK);
	CHECK(h.zero_pages == zero_pages(&r) && r.tail.zero_pages == h.zero_pages);
	CHECK(h.ram_pages == memmap_ram_pages(&rig->map) && r.tail.ram_pages == h.ram_pages);
}

void rig_check_rest(const struct rig *rig, u32 slot)
{
	static struct rig_report r;
	struct dl_header h;

	rig_check(rig, slot, &r);
	CHECK(rig_header(rig, slot, &h) && h.state == DL_STATE_INCOMPLETE && h.reason != OK);
	check_whole_classes(rig, &r, &h);
}
