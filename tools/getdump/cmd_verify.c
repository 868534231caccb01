/*
 * getdump verify: reads every chunk, checks every checksum, unpacks everything and
 * compares the indexes with what is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "describe.h"
#include "getdump.h"
#include "source.h"
#include "tools/common/progress.h"
#include "tools/common/tool.h"

struct verify {
	struct reader_walk walk;
	struct reader_index index;
	struct reader_found found;
	u8 raw[READER_PAYLOAD_MAX];
	u64 bad;
	enum status why;
	u64 bad_block; /* of the first bad chunk */
};

static enum status check_found(struct verify *v)
{
	u32 bytes = v->walk.chunk.raw_bytes;

	if (bytes % sizeof(u64))
		return E_CHUNK;
	for (u32 at = 0; at < bytes; at += (u32)sizeof(u64)) {
		enum status st;
		u64 run;

		memcpy(&run, v->raw + at, sizeof(run));
		st = reader_found_check(&v->found, run);
		if (st != OK)
			return st;
	}
	return OK;
}

static void check_chunk(struct verify *v)
{
	struct reader_walk *w = &v->walk;
	enum status st = reader_walk_payload(w, v->raw);

	if (st == OK && w->chunk.kind == DL_KIND_PAGES && reader_walk_pages(w) == 0)
		st = E_CHUNK;
	if (st == OK && w->chunk.kind == DL_KIND_FOUND)
		st = check_found(v);
	if (st == OK || w->chunk.kind != DL_KIND_INDEX) {
		enum status listed = reader_index_check(&v->index, w, v->raw);

		st = st == OK ? listed : st;
	}
	if (st == OK)
		return;
	if (v->bad == 0) {
		v->why = st;
		v->bad_block = w->block;
	}
	v->bad++;
}

/* Every page the dump should hold, is it in it? */
static enum status check_pages(struct source *s, const struct reader_dump *dump)
{
	struct reader_map m;
	enum status st = reader_map_load(&m, &s->reader, dump);

	if (st != OK)
		return st;
	st = m.verdict;
	reader_map_free(&m);
	return st;
}

/* Writing stopped in the middle: what was under way then is torn, which is no damage. */
static bool interrupted(const struct verify *v)
{
	return !v->walk.closed && v->walk.dump->h.state != DL_STATE_COMPLETE;
}

static int report_incomplete(const struct verify *v, const struct source *s, enum status why)
{
	tool_error(s->path, status_advice(why),
		"dump %u is incomplete: %s (E%d); %llu chunks are good, %llu torn",
		v->walk.dump->h.number, status_text(why), (int)why,
		(unsigned long long)(v->walk.sequence - v->bad), (unsigned long long)v->bad);
	return TOOL_INCOMPLETE;
}

static int report(const struct verify *v, const struct source *s, enum status verdict)
{
	const struct dl_header *h = &v->walk.dump->h;
	unsigned long long block = h->start + v->bad_block;

	if (v->bad && !interrupted(v))
		return tool_error(s->path, status_advice(v->why),
			"dump %u: %llu of %llu chunks are damaged, the first at block %llu: %s "
			"(E%d)",
			h->number, (unsigned long long)v->bad, (unsigned long long)v->walk.sequence,
			block, status_text(v->why), (int)v->why);
	if (verdict == E_NO_MEMORY)
		return tool_error(s->path, NULL, "not enough memory");
	if (verdict != OK)
		return report_incomplete(v, s, verdict);
	printf("dump %u: good, %llu chunks, %llu pages\n", h->number,
		(unsigned long long)v->walk.sequence, (unsigned long long)v->walk.pages);
	return TOOL_DONE;
}

static int verify_dump(struct verify *v, struct source *s, const struct reader_dump *dump)
{
	v->index = (struct reader_index) {0};
	v->found = (struct reader_found) {0};
	v->bad = 0;
	progress_start("verify", dump->h.stored_bytes);
	reader_walk_start(&v->walk, &s->reader, dump);
	while (reader_walk_next(&v->walk)) {
		check_chunk(v);
		progress_at(v->walk.next * s->reader.super.block_bytes);
	}
	progress_end();
	return report(v, s, check_pages(s, dump));
}

/* Damage outweighs what is merely incomplete. */
static int worse(int a, int b)
{
	if (a == TOOL_FAILED || b == TOOL_FAILED)
		return TOOL_FAILED;
	return a > b ? a : b;
}

/* The space of a cleared dump may be another's by now: it is only looked at if asked for. */
static bool wanted(const struct options *o, const struct dl_header *h)
{
	return o->number ? h->number == o->number : !(h->flags & DL_FLAG_CLEARED);
}

int cmd_verify(const struct options *o)
{
	struct verify *v;
	struct source s;
	int code;

	code = source_open(&s, o->source, false);
	if (code != TOOL_DONE)
		return code;
	if (o->number && !reader_find(&s.reader, o->number))
		code = tool_error(o->source, status_advice(E_NO_DUMP), "there is no dump %u (E%d)",
			o->number, (int)E_NO_DUMP);
	v = malloc(sizeof(*v));
	if (!v)
		code = tool_error(o->source, NULL, "not enough memory");
	for (u32 i = 0; v && i < s.reader.count; i++) {
		const struct reader_dump *dump = &s.reader.dump[i];

		if (wanted(o, &dump->h))
			code = worse(code, verify_dump(v, &s, dump));
	}
	if (describe_damage(&s))
		code = worse(code, TOOL_FAILED);
	free(v);
	source_close(&s);
	return code;
}
