/*
 * Pages and bytes by class: how many there are in memory, what became of them, and
 * what they take in the log. Reads chunk headers, no contents.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fields.h"
#include "info.h"
#include "tools/common/tool.h"

struct stored {
	u64 bytes[DL_CLASSES + 1];
};

/* The run that holds @pfn, or class "not recorded". */
static u32 class_at(const struct reader_map *m, u64 pfn)
{
	const struct reader_span *span = reader_spans_at(&m->classes, pfn);

	return span ? (u32)min_u64(span->where, DL_CLASSES) : DL_CLASSES;
}

/* Pages packed as one unit share its bytes evenly; what is left over goes to the first. */
static void add_chunk(struct stored *s, const struct reader_map *m, const struct reader_walk *w)
{
	u32 pages = reader_walk_pages(w);
	u64 rest;

	if (pages == 0)
		return;
	rest = w->chunk.stored_bytes % pages;
	for (u32 i = 0; i < w->chunk.run_count; i++) {
		u64 run = reader_walk_run(w, i);

		for (u32 page = 0; page < dl_run_count(run); page++) {
			u32 class = class_at(m, dl_run_pfn(run) + page);

			s->bytes[class] += w->chunk.stored_bytes / pages + rest;
			rest = 0;
		}
	}
}

static bool count_stored(struct stored *s, const struct reader_map *m)
{
	struct reader_walk *w = malloc(sizeof(*w));

	if (!w)
		return false;
	memset(s, 0, sizeof(*s));
	reader_walk_start(w, m->r, m->dump);
	while (reader_walk_next(w)) {
		if (w->chunk.kind == DL_KIND_PAGES)
			add_chunk(s, m, w);
	}
	free(w);
	return true;
}

static const char *class_key(u32 class)
{
	return class == DL_CLASSES ? "not recorded" : dl_class_name(class);
}

static struct json_object *one_class(
	const struct reader_totals *t, const struct stored *s, u32 class)
{
	struct json_object *o = json_object_new_object();

	field_number(o, "pages", t->class[class]);
	field_number(o, "bytes", t->class[class] * PAGE_BYTES);
	field_number(o, "in_dump", t->fate[class][READER_HERE]);
	field_number(o, "zero", t->fate[class][READER_ZERO]);
	field_number(o, "unreadable", t->unreadable[class]);
	field_number(o, "excluded", t->fate[class][READER_EXCLUDED] - t->unreadable[class]);
	field_number(o, "missing", t->fate[class][READER_MISSING]);
	field_number(o, "stored_bytes", s->bytes[class]);
	return o;
}

bool info_add_pages(struct json_object *to, const struct reader_map *m)
{
	struct json_object *contents = json_object_new_object();
	struct json_object *classes = json_object_new_object();
	struct json_object *pages = json_object_new_object();
	struct reader_totals t;
	struct stored stored;
	bool counted = count_stored(&stored, m);

	reader_map_count(m, &t);
	field_number(pages, "ram", t.ram);
	field_number(pages, "in_dump", t.here);
	field_number(pages, "zero", t.zero);
	field_number(pages, "excluded", t.excluded);
	field_number(pages, "missing", t.missing);
	for (u32 class = DL_NOT_RAM + 1; class <= DL_CLASSES && counted; class ++) {
		if (t.class[class] == 0)
			continue;
		field_number(classes, class_key(class), t.class[class]);
		json_object_object_add(contents, class_key(class), one_class(&t, &stored, class));
	}
	json_object_object_add(to, "pages", pages);
	json_object_object_add(to, "classes", classes);
	json_object_object_add(to, "contents", contents);
	return counted;
}

static u64 number_of(struct json_object *o, const char *key)
{
	return json_object_get_uint64(json_object_object_get(o, key));
}

/* "kept: 128 pages, 512.0 KiB: 120 in the dump, 8 missing; 61.2 KiB stored" */
static void print_class(const char *name, struct json_object *o)
{
	static const struct {
		const char *key;
		const char *words;
	} fates[] = {
		{"in_dump", "in the dump"},
		{"zero", "zero"},
		{"unreadable", "unreadable"},
		{"excluded", "left out"},
		{"missing", "missing"},
	};
	const char *before = ":";
	char size[32];

	printf("  %s: %llu pages, %s", name, (unsigned long long)number_of(o, "pages"),
		tool_size_text(number_of(o, "bytes"), size, sizeof(size)));
	for (u32 i = 0; i < ARRAY_SIZE(fates); i++) {
		u64 count = number_of(o, fates[i].key);

		if (count == 0)
			continue;
		printf("%s %llu %s", before, (unsigned long long)count, fates[i].words);
		before = ",";
	}
	if (number_of(o, "stored_bytes"))
		printf("; %s stored",
			tool_size_text(number_of(o, "stored_bytes"), size, sizeof(size)));
	putchar('\n');
}

void info_print_contents(struct json_object *contents)
{
	json_object_object_foreach(contents, name, o)
	{
		print_class(name, o);
	}
}
