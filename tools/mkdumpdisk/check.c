/*
 * mkdumpdisk --check: reads the facts, goes through the table of findings, and prints them for
 * people or as JSON.
 */
#include <json-c/json.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "tools/common/tool.h"

static void (*const checks[])(const struct check_facts *, struct finding *) = {
	check_overwrite,
	check_encryption,
	check_machine,
	check_kernel,
	check_boot,
	check_start,
	check_secure_boot,
	check_iommu,
	check_target,
	check_visible,
	check_room,
	check_survey,
};

static const char *const state_names[CHECK_STATES] = {
	[CHECK_OK] = "ok",
	[CHECK_WARNING] = "warning",
	[CHECK_STOPS] = "stops it",
};

static struct check_facts facts;

void finding_set(struct finding *f, enum check_state state, const char *what, ...)
{
	va_list args;

	f->state = state;
	va_start(args, what);
	vsnprintf(f->what, sizeof(f->what), what, args);
	va_end(args);
}

void finding_todo(struct finding *f, const char *todo, ...)
{
	va_list args;

	va_start(args, todo);
	vsnprintf(f->todo, sizeof(f->todo), todo, args);
	va_end(args);
}

static void print_text(const struct finding *f, u32 count, const u32 seen[CHECK_STATES])
{
	char what[sizeof(f->what)];

	for (u32 i = 0; i < count; i++) {
		if (f[i].state == CHECK_NONE)
			continue;
		printf("%-8s  %s: %s\n", state_names[f[i].state], f[i].name,
			tool_printable(what, sizeof(what), f[i].what, sizeof(what)));
		if (*f[i].todo)
			printf("          -> %s\n", f[i].todo);
	}
	if (seen[CHECK_STOPS] > 0)
		printf("%u of these stop%s a capture after a reset", seen[CHECK_STOPS],
			seen[CHECK_STOPS] == 1 ? "s" : "");
	else
		printf("nothing seen stops a capture after a reset");
	printf("; %u warning%s\n", seen[CHECK_WARNING], seen[CHECK_WARNING] == 1 ? "" : "s");
}

static void add_text(struct json_object *to, const char *key, const char *text)
{
	char shown[sizeof(((struct finding *)NULL)->todo)];

	json_object_object_add(to, key,
		json_object_new_string(tool_printable(shown, sizeof(shown), text, sizeof(shown))));
}

static void print_json(
	const struct options *o, const struct finding *f, u32 count, const u32 seen[CHECK_STATES])
{
	struct json_object *j = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (u32 i = 0; i < count; i++) {
		struct json_object *one;

		if (f[i].state == CHECK_NONE)
			continue;
		one = json_object_new_object();
		add_text(one, "name", f[i].name);
		add_text(one, "state",
			f[i].state == CHECK_STOPS ? "stops" : state_names[f[i].state]);
		add_text(one, "text", f[i].what);
		add_text(one, "todo", f[i].todo);
		json_object_array_add(list, one);
	}
	if (o->target)
		add_text(j, "target", o->target);
	json_object_object_add(j, "findings", list);
	json_object_object_add(j, "stops", json_object_new_uint64(seen[CHECK_STOPS]));
	json_object_object_add(j, "warnings", json_object_new_uint64(seen[CHECK_WARNING]));
	json_object_object_add(j, "ok", json_object_new_boolean(seen[CHECK_STOPS] == 0));
	puts(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(j);
}

int check_run(const struct options *o)
{
	struct finding f[ARRAY_SIZE(checks)] = {0};
	u32 seen[CHECK_STATES] = {0};

	check_system_read(o, &facts.system);
	if (!check_disk_read(o, &facts.disk))
		return TOOL_FAILED;
	for (u32 i = 0; i < ARRAY_SIZE(checks); i++) {
		checks[i](&facts, &f[i]);
		seen[f[i].state]++;
	}
	if (o->json)
		print_json(o, f, ARRAY_SIZE(checks), seen);
	else
		print_text(f, ARRAY_SIZE(checks), seen);
	if (fflush(stdout) != 0 || ferror(stdout))
		return tool_error("standard output", "check where it goes", "cannot be written");
	return seen[CHECK_STOPS] > 0 ? TOOL_FAILED : TOOL_DONE;
}
