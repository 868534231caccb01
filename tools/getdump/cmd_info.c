/*
 * getdump info: everything known about a dump, for people or as JSON. Both are made
 * from one JSON object, so that they can not differ.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include "describe.h"
#include "fields.h"
#include "getdump.h"
#include "handoff.h"
#include "info.h"
#include "oldkernel.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define TEXT_MAX 512

static void add_field(struct json_object *to, const char *key, const char *field, u32 size)
{
	char text[TEXT_MAX];

	field_text(to, key, tool_printable(text, sizeof(text), field, size));
}

static void add_time(struct json_object *to, const char *key, u64 time_s)
{
	char text[DESCRIBE_TIME];

	field_text(to, key, describe_time(time_s, text, sizeof(text)));
}

static void add_uuid(struct json_object *to, const char *key, const u8 uuid[16])
{
	char text[GUID_TEXT_BYTES];

	field_text(to, key, guid_text(uuid, text));
}

static void add_status(struct json_object *to, const char *key, enum status st)
{
	char text[TEXT_MAX];

	if (st == OK)
		snprintf(text, sizeof(text), "good");
	else
		snprintf(text, sizeof(text), "E%d %s", (int)st, status_text(st));
	field_text(to, key, text);
}

static struct json_object *disk_info(const struct reader *r)
{
	const struct dl_super *super = &r->super;
	struct json_object *o = json_object_new_object();

	add_uuid(o, "uuid", super->disk_uuid);
	add_field(o, "label", super->label, sizeof(super->label));
	add_time(o, "created", super->created_s);
	field_number(o, "block_bytes", super->block_bytes);
	field_number(o, "blocks", super->blocks);
	field_number(o, "dump_slots", super->dir_slots);
	field_number(o, "dumps", r->count);
	field_number(o, "level", super->level);
	field_text(o, "compress", dl_compressor_name(super->compressor));
	field_text(o, "after", describe_after(super->after));
	field_text(o, "overwrite", describe_overwrite(super->overwrite));
	add_status(o, "first_superblock", r->super_front);
	add_status(o, "last_superblock", r->super_back);
	field_number(o, "damaged_slots", r->bad_slots);
	return o;
}

static void add_degraded(struct json_object *to, u32 degraded)
{
	struct json_object *list = json_object_new_array();

	for (u32 bit = 0; bit < 32; bit++) {
		const char *text = describe_degraded(bit);

		if (degraded >> bit & 1)
			json_object_array_add(
				list, json_object_new_string(text ? text : "something unknown"));
	}
	json_object_object_add(to, "degraded", list);
}

/*
 * When the kernel itself says it crashed: it has no zone but UTC. Empty if it did not get to
 * say so, which is all that a hang leaves.
 */
static void add_crash_time(struct json_object *to, const struct reader_map *m)
{
	const struct reader_note *n = reader_map_note(m, DL_NOTE_VMCOREINFO, 0);
	struct vmcoreinfo vi = {0};
	s64 time_s;

	if (n && n->bytes <= VMCOREINFO_MAX) {
		memcpy(vi.text, n->data, n->bytes);
		vi.bytes = n->bytes;
	}
	if (vmcoreinfo_number(&vi, "CRASHTIME", &time_s) && time_s > 0)
		add_time(to, "crash_time", (u64)time_s);
	else
		field_text(to, "crash_time", "");
}

static void add_header(struct json_object *o, const struct reader_map *m)
{
	const struct dl_header *h = &m->dump->h;

	add_time(o, "time", h->time_s);
	field_number(o, "duration_ms", h->duration_ms);
	field_text(o, "via", door_name(h->door));
	add_field(o, "kernel", h->release, sizeof(h->release));
	add_field(o, "host", h->nodename, sizeof(h->nodename));
	add_field(o, "machine", h->machine, sizeof(h->machine));
	add_field(o, "panic", h->panic, sizeof(h->panic));
	add_crash_time(o, m);
	if (h->crash_id)
		field_hex(o, "crash_id", h->crash_id);
	field_number(o, "level_asked", h->level_asked);
	field_number(o, "level", h->level_applied);
	field_text(o, "compress", dl_compressor_name(h->compressor));
	add_degraded(o, h->degraded);
	field_text(o, "survey", describe_survey(h->survey));
	field_classes(o, "dropped_classes", h->dropped);
	field_classes(o, "incomplete_classes", h->incomplete);
	add_uuid(o, "uuid", h->dump_uuid);
	field_number(o, "first_block", h->start);
	field_number(o, "generation", h->generation);
}

static void add_kernel(struct json_object *o, const struct reader_map *m)
{
	const struct reader_note *n = reader_map_note(m, DL_NOTE_KERNEL, 0);
	struct dl_kernel k;
	u32 cpus = 0;

	if (n && n->bytes >= sizeof(k)) {
		memcpy(&k, n->data, sizeof(k));
		field_hex(o, "phys_base", k.phys_base);
		field_hex(o, "page_offset", k.page_offset);
		field_hex(o, "page_table", k.root_pa);
		field_number(o, "page_table_levels", k.levels);
		field_hex(o, "vmcoreinfo_at", k.vmcoreinfo_pa);
		field_number(o, "kernels_seen", k.candidates);
		field_number(o, "kernels_verified", k.verified);
	}
	n = reader_map_note(m, DL_NOTE_VMCOREINFO, 0);
	field_number(o, "vmcoreinfo_bytes", n ? n->bytes : 0);
	for (u32 i = 0; i < m->notes; i++)
		cpus += m->note[i].type == DL_NOTE_PRSTATUS;
	field_number(o, "cpus_with_registers", cpus);
}

/* False: no memory. */
static bool add_dump(struct json_object *o, const struct reader_map *m)
{
	const struct dl_header *h = &m->dump->h;
	bool counted;

	field_number(o, "number", h->number);
	field_text(o, "state", m->verdict == OK ? "complete" : "incomplete");
	if (m->verdict != OK)
		add_status(o, "reason", m->verdict);
	field_flag(o, "cleared", h->flags & DL_FLAG_CLEARED);
	add_header(o, m);
	field_number(o, "chunks", m->chunks);
	field_number(o, "damaged_chunks", m->bad_chunks);
	field_number(o, "bytes", m->log_blocks * m->r->super.block_bytes);
	counted = info_add_pages(o, m);
	info_add_lost(o, m);
	add_kernel(o, m);
	return counted;
}

/* One level of "key: value" lines; lists and tables indented below their key. */
static void print_object(struct json_object *object, const char *indent)
{
	json_object_object_foreach(object, key, value)
	{
		printf("%s%s: %s\n", indent, key, json_object_get_string(value));
	}
}

static void print_value(const char *key, struct json_object *value)
{
	if (json_object_is_type(value, json_type_object)) {
		printf("%s:\n", key);
		if (strcmp(key, "contents") == 0)
			info_print_contents(value);
		else
			print_object(value, "  ");
		return;
	}
	if (!json_object_is_type(value, json_type_array)) {
		printf("%s: %s\n", key, json_object_get_string(value));
		return;
	}
	for (size_t i = 0; i < json_object_array_length(value); i++)
		printf("%s: %s\n", key,
			json_object_get_string(json_object_array_get_idx(value, i)));
}

static void print_text(struct json_object *dump)
{
	json_object_object_foreach(dump, key, value)
	{
		print_value(key, value);
	}
}

static bool print_info(const struct options *o, const struct reader_map *m)
{
	struct json_object *all = json_object_new_object();
	struct json_object *dump = json_object_new_object();
	struct json_object *disk = disk_info(m->r);
	bool good = add_dump(dump, m);

	json_object_object_add(all, "disk", disk);
	json_object_object_add(all, "dump", dump);
	if (good && o->json) {
		fields_print(all);
		return true;
	}
	if (good) {
		print_text(dump);
		puts("disk:");
		print_object(disk, "  ");
	}
	json_object_put(all);
	return good;
}

int cmd_info(const struct options *o)
{
	const struct reader_dump *dump;
	struct reader_map m;
	struct source s;
	bool good = false;
	int code;

	code = source_open_dump(&s, o->source, o->number, &dump);
	if (code != TOOL_DONE)
		return code;
	if (reader_map_load(&m, &s.reader, dump) == OK) {
		good = print_info(o, &m);
		reader_map_free(&m);
	}
	if (good)
		describe_damage(&s);
	else
		code = tool_error(o->source, NULL, "not enough memory");
	source_close(&s);
	return code;
}
