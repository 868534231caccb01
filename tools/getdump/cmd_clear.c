/*
 * getdump clear: marks dumps as fetched. Writes directory slots and nothing else.
 */
#include <errno.h>
#include <string.h>
#include "getdump.h"
#include "source.h"
#include "tools/common/tool.h"

/* Where a slot's two copies are in the partition, the back one first. */
static void slot_offsets(const struct source *s, u32 slot, u64 offsets[2])
{
	const struct dl_super *super = &s->reader.super;

	offsets[0] = dl_slot_block_back(super, slot) * super->block_bytes;
	offsets[1] = dl_slot_block(slot) * super->block_bytes;
}

/* Before anything is written: will every write have a place? */
static enum status check_dump(const struct source *s, const struct reader_dump *dump)
{
	u64 offsets[2];

	slot_offsets(s, dump->slot, offsets);
	for (u32 i = 0; i < ARRAY_SIZE(offsets); i++) {
		if (!range_fits(offsets[i], sizeof(dump->h), s->partition_bytes))
			return E_TRUNCATED;
	}
	return dump->h.generation == UINT32_MAX ? E_INVAL : OK;
}

/* A power cut between the copies leaves one of them good, and the later one counts. */
static enum status clear_dump(struct source *s, const struct reader_dump *dump)
{
	struct dl_header h = dump->h;
	u64 offsets[2];

	h.flags |= DL_FLAG_CLEARED;
	h.generation++;
	dl_header_seal(&h);
	slot_offsets(s, dump->slot, offsets);
	for (u32 i = 0; i < ARRAY_SIZE(offsets); i++) {
		enum status st = source_write(s, offsets[i], &h, sizeof(h));

		if (st == OK)
			st = source_flush(s);
		if (st != OK)
			return st;
	}
	return OK;
}

static bool wanted(const struct options *o, const struct reader_dump *dump)
{
	return (o->all || dump->h.number == o->number) && !(dump->h.flags & DL_FLAG_CLEARED);
}

static int clear_wanted(struct source *s, const struct options *o)
{
	const struct reader *r = &s->reader;
	enum status st = OK;

	for (u32 i = 0; i < r->count && st == OK; i++) {
		if (wanted(o, &r->dump[i]))
			st = check_dump(s, &r->dump[i]);
	}
	for (u32 i = 0; i < r->count && st == OK; i++) {
		if (wanted(o, &r->dump[i]))
			st = clear_dump(s, &r->dump[i]);
	}
	if (st == E_WRITE)
		return tool_error_errno(s->path, "write", errno, status_advice(st));
	if (st == E_TRUNCATED)
		return tool_error(s->path, "clear it on the dump disk itself",
			"the image is cut short, its directory is not all there (E%d)", (int)st);
	return st == OK ? TOOL_DONE : tool_error_status(s->path, st);
}

int cmd_clear(const struct options *o)
{
	struct source s;
	int code;

	if (o->all == (o->number != 0))
		return tool_error_usage("clear needs either -n N or --all");
	code = source_open(&s, o->source, true);
	if (code != TOOL_DONE)
		return code;
	if (!o->all && !reader_find(&s.reader, o->number))
		code = tool_error(o->source, status_advice(E_NO_DUMP), "there is no dump %u (E%d)",
			o->number, (int)E_NO_DUMP);
	else
		code = clear_wanted(&s, o);
	source_close(&s);
	return code;
}
