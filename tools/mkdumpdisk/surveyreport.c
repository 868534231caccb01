/*
 * Says what --survey did, or would do, and what to do next: for people or as JSON, from the
 * same facts.
 */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include "survey.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define NEXT_BYTES 512

const char *survey_before_name(const struct survey_plan *p)
{
	if (p->before_st == OK && p->before.state != DL_SURVEY_IDLE)
		return survey_state_name(p->before.state);
	return p->before_st == OK || p->before_st == E_NO_DUMP ? "never armed" : "damaged";
}

static bool arms(const struct survey_plan *p)
{
	return p->options->survey == SURVEY_ARM;
}

static const char *next_text(const struct survey_plan *p, char buf[NEXT_BYTES])
{
	if (arms(p))
		snprintf(buf, NEXT_BYTES,
			"shut the machine down in order, then start the dump disk %u times in a "
			"row; it resets the machine itself. By UEFI it also sees to it that it is "
			"started again; by BIOS choose it every time, or put it first in the boot "
			"order until then. After that see getdump survey",
			p->options->survey_cycles + 1);
	else
		snprintf(buf, NEXT_BYTES, "%s",
			p->before_st == OK && p->before.state == DL_SURVEY_DONE
				? "see the result with getdump survey"
				: "to arm one: mkdumpdisk --survey");
	return buf;
}

static void print_done(const struct survey_plan *p)
{
	const struct options *o = p->options;
	char name[256];

	printf("%s: ", tool_printable(name, sizeof(name), p->disk.path, PATH_MAX));
	if (arms(p))
		printf("survey %sarmed, %u cycle%s\n", o->dry_run ? "would be " : "",
			o->survey_cycles, o->survey_cycles == 1 ? "" : "s");
	else if (p->writes)
		printf("survey %sdisarmed\n", o->dry_run ? "would be " : "");
	else
		printf("no survey is armed\n");
}

static void print_text(const struct survey_plan *p)
{
	const struct options *o = p->options;
	char uuid[GUID_TEXT_BYTES], next[NEXT_BYTES];

	print_done(p);
	printf("  before       %s\n", survey_before_name(p));
	printf("  UUID         %s\n", guid_text(p->disk.super.disk_uuid, uuid));
	if (arms(p))
		printf("  a crash      %s\n",
			o->force ? "is not looked for (--force)" : "found in memory comes first");
	if (p->dumps > 0)
		printf("note: %u dump%s not cleared stay%s on the disk\n", p->dumps,
			p->dumps == 1 ? "" : "s", p->dumps == 1 ? "s" : "");
	if (arms(p) && p->before_st == OK && p->before.state == DL_SURVEY_DONE)
		printf("note: the result of the survey before %s gone\n",
			o->dry_run ? "would be" : "is");
	if (p->disk.super_damaged)
		printf("note: one of the superblocks is damaged; fetch the dumps, then prepare the "
		       "disk again\n");
	if (o->dry_run)
		printf("nothing was written (--dry-run)\n");
	else
		printf("next: %s\n", next_text(p, next));
}

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, json_object_new_string(text));
}

static void add_number(struct json_object *to, const char *key, u64 n)
{
	json_object_object_add(to, key, json_object_new_uint64(n));
}

static void add_flag(struct json_object *to, const char *key, bool on)
{
	json_object_object_add(to, key, json_object_new_boolean(on));
}

static void print_json(const struct survey_plan *p)
{
	const struct options *o = p->options;
	struct json_object *j = json_object_new_object();
	char uuid[GUID_TEXT_BYTES], next[NEXT_BYTES];

	add_text(j, "target", p->disk.path);
	add_text(j, "uuid", guid_text(p->disk.super.disk_uuid, uuid));
	add_flag(j, "dry_run", o->dry_run);
	add_text(j, "survey", arms(p) ? "armed" : "off");
	add_text(j, "before", survey_before_name(p));
	add_flag(j, "written", p->writes && !o->dry_run);
	if (arms(p)) {
		add_number(j, "cycles", o->survey_cycles);
		add_number(j, "starts", o->survey_cycles + 1);
		add_flag(j, "crash_comes_first", !o->force);
	}
	add_number(j, "dumps_not_cleared", p->dumps);
	add_flag(j, "superblock_damaged", p->disk.super_damaged);
	add_text(j, "next", next_text(p, next));
	puts(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(j);
}

bool survey_report(const struct survey_plan *p)
{
	if (p->options->json)
		print_json(p);
	else
		print_text(p);
	return fflush(stdout) == 0 && !ferror(stdout);
}
