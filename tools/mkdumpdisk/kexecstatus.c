/*
 * --kexec=status: memory, image, target; a line each, or the same as JSON.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include "kexec.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

static void find_memory(const struct kexec_system *s, struct kexec_finding *f)
{
	f->name = "memory";
	f->ok = s->has_kexec && kexec_memory_text(s, f->text);
	if (!s->has_kexec)
		snprintf(f->text, sizeof(f->text),
			"this kernel is built without kexec; boot one with CONFIG_KEXEC_FILE");
}

#define RESTART "systemctl restart " KEXEC_SERVICE

/* Why no image is loaded, as far as can be told from outside. */
static void find_obstacle(const struct options *o, const struct kexec_system *s, char *text)
{
	char memory[KEXEC_TEXT_BYTES];

	if (!kexec_settings_exist(o))
		snprintf(text, KEXEC_TEXT_BYTES,
			"not loaded: nothing is installed; run mkdumpdisk --kexec TARGET");
	else if (!s->has_kexec || !kexec_memory_text(s, memory))
		snprintf(text, KEXEC_TEXT_BYTES,
			"not loaded: it has no memory; see to that first, as said above");
	else if (s->load_disabled || *s->lockdown || *s->rival)
		snprintf(text, KEXEC_TEXT_BYTES, "not loaded: %s%s; " RESTART " tells what to do",
			s->load_disabled ? "loading is switched off until the next boot"
			: *s->lockdown	 ? "the kernel is locked down"
					 : s->rival,
			s->load_disabled || *s->lockdown ? "" : " is enabled instead");
	else
		snprintf(text, KEXEC_TEXT_BYTES,
			"not loaded; run " RESTART
			", and journalctl -u afterimage-kexec tells why if it fails");
}

static void find_image(
	const struct options *o, const struct kexec_system *s, struct kexec_finding *f)
{
	bool ours = s->loaded && s->ours;

	f->name = "image";
	f->ok = ours && !*s->rival && kexec_settings_exist(o);
	if (f->ok)
		snprintf(f->text, sizeof(f->text), "loaded");
	else if (ours && *s->rival)
		snprintf(f->text, sizeof(f->text),
			"loaded, but %s is enabled and may have replaced it; run systemctl disable "
			"--now %s, then " RESTART,
			s->rival, s->rival);
	else if (ours)
		snprintf(f->text, sizeof(f->text),
			"loaded, but nothing is installed; run mkdumpdisk --kexec TARGET");
	else if (s->loaded)
		snprintf(f->text, sizeof(f->text),
			"another crash kernel is loaded%s%s; unload it with its service or kexec "
			"-p -u, then run " RESTART,
			*s->rival ? ", perhaps by " : "", s->rival);
	else
		find_obstacle(o, s, f->text);
}

static void find_target(const struct options *o, struct kexec_finding *f)
{
	char uuid[GUID_TEXT_BYTES];
	struct kexec_settings s;
	struct kexec_target t;
	bool found;

	f->name = "target";
	if (!kexec_settings_exist(o)) {
		snprintf(f->text, sizeof(f->text),
			"none: nothing is installed; run mkdumpdisk --kexec TARGET");
		return;
	}
	if (!kexec_settings_load(o, &s)) {
		snprintf(f->text, sizeof(f->text),
			"not known: " KEXEC_SETTINGS
			" is damaged; install it again with mkdumpdisk --kexec TARGET");
		return;
	}
	guid_text(s.target_uuid, uuid);
	found = kexec_target_find(o, s.target_uuid, &t);
	f->ok = found && t.reach.by;
	if (f->ok)
		snprintf(f->text, sizeof(f->text), "%s, UUID %s, on %s", t.node, uuid, t.reach.by);
	else if (found)
		snprintf(f->text, sizeof(f->text),
			"%.70s %s; %s, or run mkdumpdisk --kexec TARGET for another", t.node,
			t.reach.fault, t.reach.todo);
	else
		snprintf(f->text, sizeof(f->text),
			"no disk has the dump partition with the UUID %s; attach it, or run "
			"mkdumpdisk --kexec TARGET for another",
			uuid);
}

static void print_json(const struct kexec_finding *f, u32 count, bool ok)
{
	struct json_object *j = json_object_new_object();

	for (u32 i = 0; i < count; i++) {
		struct json_object *one = json_object_new_object();

		json_object_object_add(one, "ok", json_object_new_boolean(f[i].ok));
		json_object_object_add(one, "text", json_object_new_string(f[i].text));
		json_object_object_add(j, f[i].name, one);
	}
	json_object_object_add(j, "ok", json_object_new_boolean(ok));
	puts(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(j);
}

bool kexec_findings_print(const struct options *o, const struct kexec_finding *f, u32 count)
{
	bool ok = true;

	for (u32 i = 0; i < count; i++)
		ok = ok && f[i].ok;
	if (o->json)
		print_json(f, count, ok);
	for (u32 i = 0; !o->json && i < count; i++)
		printf("%s: %s\n", f[i].name, f[i].text);
	return ok;
}

bool kexec_status(const struct options *o)
{
	struct kexec_finding f[3] = {0};
	struct kexec_system s;

	kexec_system_read(o, &s);
	find_memory(&s, &f[0]);
	find_image(o, &s, &f[1]);
	find_target(o, &f[2]);
	return kexec_findings_print(o, f, ARRAY_SIZE(f));
}
