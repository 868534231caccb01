/*
 * getdump survey: which memory a reset destroys on this machine, and the kernel arguments that
 * keep Linux off it. Both forms of output are made from the same record and reservation.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "describe.h"
#include "fields.h"
#include "getdump.h"
#include "handoff.h"
#include "source.h"
#include "tools/common/guid.h"
#include "tools/common/reserve.h"
#include "tools/common/tool.h"

/* All that is shown; big. */
struct view {
	const struct source *source;
	enum status found; /* of survey_read() */
	struct survey_record record;
	struct reserve reserve;
	char plain[RESERVE_TEXT_BYTES];
	char grub[RESERVE_TEXT_BYTES];
	const char *note[RESERVE_NOTES];
	u32 notes;
};

static enum status read_log(void *ctx, u64 offset, void *buf, u64 bytes)
{
	struct source *s = ctx;

	return s->reader.ops->read(s->reader.ctx, offset, buf, bytes);
}

/* Never armed, or put back to that. */
static bool is_none(const struct view *v)
{
	return v->found == E_NO_DUMP || (v->found == OK && v->record.v.state == DL_SURVEY_IDLE);
}

static bool is_done(const struct view *v)
{
	return v->found == OK && v->record.v.state == DL_SURVEY_DONE;
}

static void load(struct view *v, struct source *s)
{
	v->source = s;
	v->found = survey_read(read_log, s, &s->reader.super, &v->record);
	if (!is_done(v))
		return;
	reserve_make(&v->record, &v->reserve);
	reserve_text(&v->reserve, RESERVE_PLAIN, v->plain);
	reserve_text(&v->reserve, RESERVE_GRUB, v->grub);
	v->notes = reserve_notes(&v->reserve, v->plain, v->note);
}

static const char *state_word(const struct view *v)
{
	if (is_none(v))
		return "never armed";
	return v->found == OK ? survey_state_name(v->record.v.state) : "damaged";
}

/* --- for people --- */

static void print_cycle(const struct dl_survey *d, bool done)
{
	if (done)
		printf("cycles: %u of %u\n", d->cycles_done, d->cycles_wanted);
	else
		printf("cycles: %u of %u done\n", d->cycles_done, d->cycles_wanted);
}

static void print_state(const struct view *v)
{
	const struct dl_survey *d = &v->record.v;
	char armed[DESCRIBE_TIME], ended[DESCRIBE_TIME];

	printf("survey: %s\n", state_word(v));
	if (d->state == DL_SURVEY_ENDED)
		printf("reason: E%u %s; %s\n", d->reason, status_text((enum status)d->reason),
			status_advice((enum status)d->reason));
	printf("armed: %s\n", describe_time(d->armed_s, armed, sizeof(armed)));
	if (d->state == DL_SURVEY_DONE || d->state == DL_SURVEY_ENDED)
		printf("ended: %s\n", describe_time(d->ended_s, ended, sizeof(ended)));
	if (d->door)
		printf("via: %s\n", door_name(d->door));
	if (d->flags & DL_SURVEY_CONFIRMED)
		puts("confirmed: a crash in memory is not looked for");
	print_cycle(d, d->state == DL_SURVEY_DONE);
}

static void print_pending(const struct view *v)
{
	const struct dl_survey *d = &v->record.v;
	u32 starts = d->cycles_wanted - d->cycles_done + (d->state != DL_SURVEY_FILLED);

	if (d->state == DL_SURVEY_ENDED)
		puts("result: none");
	else if (d->state == DL_SURVEY_FILLING)
		puts("result: none yet; memory is being filled, or that was cut short: then the "
		     "next start of the dump disk ends the survey");
	else
		printf("result: none yet; start the dump disk %u more time%s in a row\n", starts,
			starts == 1 ? "" : "s");
}

static void print_share(const struct view *v)
{
	const struct dl_survey *d = &v->record.v;
	u64 lost = survey_lost_pages(&v->record);
	u32 share = survey_share(&v->record);
	char ram[32], gone[32], compared[32];

	printf("memory: %s, %s compared in the last cycle\n",
		tool_size_text(d->ram_pages * PAGE_BYTES, ram, sizeof(ram)),
		tool_size_text(d->checked_pages * PAGE_BYTES, compared, sizeof(compared)));
	printf("survives: %u.%02u%%\n", share / 100, share % 100);
	printf("lost: %llu pages, %s, in %u range%s\n", (unsigned long long)lost,
		tool_size_text(lost * PAGE_BYTES, gone, sizeof(gone)), d->range_count,
		d->range_count == 1 ? "" : "s");
}

static void print_ranges(const struct survey_record *r)
{
	char size[32], why[SURVEY_WHY_BYTES];

	for (u32 i = 0; i < r->v.range_count; i++) {
		u64 end = r->range[i].pa + r->range[i].bytes;

		printf("  0x%012llx-0x%012llx  %10s  %s\n", (unsigned long long)r->range[i].pa,
			(unsigned long long)end,
			tool_size_text(r->range[i].bytes, size, sizeof(size)),
			survey_why_text(r->range[i].why, why));
	}
	if (r->v.joined)
		printf("  %u ranges were joined with a neighbour for want of room: some of this "
		       "survives\n",
			r->v.joined);
}

static void print_reserve(const struct view *v)
{
	const struct reserve *r = &v->reserve;

	if (r->low_pages)
		printf("not reserved: %llu pages below 1 MiB, which Linux does not use since "
		       "5.13\n",
			(unsigned long long)r->low_pages);
	if (r->count == 0) {
		puts("reserve: nothing");
		return;
	}
	printf("reserve: %llu MiB in %u region%s\n", (unsigned long long)(r->bytes / MIB), r->count,
		r->count == 1 ? "" : "s");
	printf("on the kernel command line:\n%s\n", v->plain);
	printf("in /etc/default/grub, inside the double quotes of GRUB_CMDLINE_LINUX; then "
	       "update-grub:\n%s\n",
		v->grub);
	for (u32 i = 0; i < v->notes; i++)
		printf("note: %s\n", v->note[i]);
}

static void print_text(const struct view *v)
{
	print_state(v);
	if (!is_done(v)) {
		print_pending(v);
		return;
	}
	print_share(v);
	print_ranges(&v->record);
	print_reserve(v);
}

/* --- JSON --- */

static void add_time(struct json_object *to, const char *key, u64 time_s)
{
	char text[DESCRIBE_TIME];

	field_text(to, key, describe_time(time_s, text, sizeof(text)));
}

static struct json_object *json_range(const struct dl_survey_range *range)
{
	struct json_object *o = json_object_new_object();
	struct json_object *why = json_object_new_array();

	field_hex(o, "start", range->pa);
	field_hex(o, "end", range->pa + range->bytes);
	field_number(o, "bytes", range->bytes);
	for (u32 i = 0; i < 32; i++) {
		const char *word = range->why >> i & 1 ? survey_why_name(1u << i) : NULL;

		if (word)
			json_object_array_add(why, json_object_new_string(word));
	}
	json_object_object_add(o, "why", why);
	return o;
}

static struct json_object *json_reserve(const struct view *v)
{
	struct json_object *o = json_object_new_object();
	struct json_object *regions = json_object_new_array();
	struct json_object *notes = json_object_new_array();

	field_number(o, "mib", v->reserve.bytes / MIB);
	field_text(o, "plain", v->plain);
	field_text(o, "grub", v->grub);
	for (u32 i = 0; i < v->reserve.count; i++) {
		struct json_object *region = json_object_new_object();

		field_hex(region, "start", v->reserve.region[i].pa);
		field_number(region, "bytes", v->reserve.region[i].bytes);
		json_object_array_add(regions, region);
	}
	json_object_object_add(o, "regions", regions);
	field_number(o, "pages_below_1_mib", v->reserve.low_pages);
	for (u32 i = 0; i < v->notes; i++)
		json_object_array_add(notes, json_object_new_string(v->note[i]));
	json_object_object_add(o, "notes", notes);
	return o;
}

/* As text, that a share of 99.97 is not printed with 17 digits. */
static void add_percent(struct json_object *to, u32 share)
{
	char text[16];

	snprintf(text, sizeof(text), "%u.%02u", share / 100, share % 100);
	json_object_object_add(
		to, "survives_percent", json_object_new_double_s(share / 100.0, text));
}

static void add_result(struct json_object *o, const struct view *v)
{
	const struct dl_survey *d = &v->record.v;
	struct json_object *ranges = json_object_new_array();

	field_number(o, "ram_pages", d->ram_pages);
	field_number(o, "checked_pages", d->checked_pages);
	field_number(o, "lost_pages", survey_lost_pages(&v->record));
	add_percent(o, survey_share(&v->record));
	field_number(o, "joined", d->joined);
	for (u32 i = 0; i < d->range_count; i++)
		json_object_array_add(ranges, json_range(&v->record.range[i]));
	json_object_object_add(o, "ranges", ranges);
	json_object_object_add(o, "reserve", json_reserve(v));
}

static void add_record(struct json_object *o, const struct view *v)
{
	const struct dl_survey *d = &v->record.v;

	add_time(o, "armed", d->armed_s);
	add_time(o, "ended", d->ended_s);
	field_text(o, "via", d->door ? door_name(d->door) : "");
	field_flag(o, "confirmed", d->flags & DL_SURVEY_CONFIRMED);
	field_number(o, "cycles_wanted", d->cycles_wanted);
	field_number(o, "cycles_done", d->cycles_done);
	if (d->state == DL_SURVEY_ENDED) {
		field_number(o, "reason_code", d->reason);
		field_text(o, "reason", status_text((enum status)d->reason));
	}
}

static void print_json(const struct view *v)
{
	struct json_object *o = json_object_new_object();
	char uuid[GUID_TEXT_BYTES];

	field_text(o, "disk", guid_text(v->source->reader.super.disk_uuid, uuid));
	field_text(o, "state", state_word(v));
	if (!is_none(v) && v->found == OK)
		add_record(o, v);
	if (is_done(v))
		add_result(o, v);
	fields_print(o);
}

/* --- the command --- */

static int report_none(const struct view *v)
{
	const char *path = v->source->path;

	if (v->source->reader.super.survey_blocks == 0)
		return tool_error(path,
			"fetch its dumps, then prepare it again with mkdumpdisk and arm a survey "
			"with mkdumpdisk --survey",
			"was prepared without room for a survey");
	if (is_none(v))
		return tool_error(path, "arm one with mkdumpdisk --survey", "no survey was made");
	return tool_error_status(path, v->found);
}

int cmd_survey(const struct options *o)
{
	struct source s;
	struct view *v;
	int code = source_open(&s, o->source, false);

	if (code != TOOL_DONE)
		return code;
	v = calloc(1, sizeof(*v));
	if (!v) {
		source_close(&s);
		return tool_error(o->source, NULL, "not enough memory");
	}
	load(v, &s);
	if (o->json)
		print_json(v);
	if (is_none(v) || v->found != OK)
		code = report_none(v);
	else if (!o->json)
		print_text(v);
	if (code == TOOL_DONE && !is_done(v))
		code = TOOL_INCOMPLETE;
	describe_damage(&s);
	free(v);
	source_close(&s);
	return code;
}
