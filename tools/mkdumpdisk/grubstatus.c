/*
 * --grub=status: image, entry, GRUB, target; a line each, or the same as JSON.
 */
#include <stdio.h>
#include <string.h>
#include "grub.h"
#include "kexec.h"
#include "tools/common/guid.h"

#define TEXT_BYTES 256

static void find_image(const struct options *o, struct kexec_finding *f)
{
	const char *fault = grub_image_installed_fault(o);

	f->name = "image";
	f->ok = !fault;
	snprintf(f->text, sizeof(f->text), GRUB_IMAGE "%s%s%s", fault ? " " : "",
		fault ? fault : "", fault ? "; run mkdumpdisk --grub TARGET" : "");
}

static void find_entry(const struct options *o, const struct grub_state *s, struct kexec_finding *f)
{
	f->name = "entry";
	f->ok = s->ours && s->listed && *s->words && strcmp(s->words, s->listed_words) == 0;
	if (f->ok)
		snprintf(f->text, sizeof(f->text), "number %u in the menu, with %.110s%s",
			s->position, s->words, s->hidden ? "; " GRUB_HIDDEN : "");
	else if (!s->script && !s->listed)
		snprintf(f->text, sizeof(f->text), "there is none; run mkdumpdisk --grub TARGET");
	else if (s->script && !s->ours)
		snprintf(f->text, sizeof(f->text),
			GRUB_SCRIPT " was not made by mkdumpdisk; move it elsewhere");
	else if (!s->script || !*s->words)
		snprintf(f->text, sizeof(f->text), GRUB_SCRIPT " %s; run mkdumpdisk --grub TARGET",
			s->script ? "is damaged"
				  : "is gone, and the entry with the next update-grub");
	else
		snprintf(f->text, sizeof(f->text), "%s; run update-grub%s",
			s->listed ? "that in " GRUB_CONFIG " is another than " GRUB_SCRIPT " makes"
				  : "it is not in " GRUB_CONFIG,
			*o->root ? " there" : "");
}

static void find_grub(const struct options *o, struct kexec_finding *f)
{
	char text[TEXT_BYTES];
	const char *todo;
	const char *fault = grub_fault(o, text, &todo);

	f->name = "GRUB";
	f->ok = !fault;
	if (fault)
		snprintf(f->text, sizeof(f->text), "%s %s; %s",
			fault == text ? "this machine has" : "this machine", fault, todo);
	else
		snprintf(f->text, sizeof(f->text), "it has the module for multiboot");
}

/* @named: the target that the user named, or NULL. */
static void find_target(const struct options *o, const struct grub_state *s,
	const struct kexec_target *named, struct kexec_finding *f)
{
	char uuid[GUID_TEXT_BYTES];
	struct kexec_target t;
	bool found;

	f->name = "target";
	if (!s->ours || !*s->words) {
		snprintf(f->text, sizeof(f->text), "none: there is no entry");
		return;
	}
	guid_text(s->uuid, uuid);
	found = kexec_target_find(o, s->uuid, &t);
	f->ok = found && t.reach.by && (!named || memcmp(named->uuid, s->uuid, 16) == 0);
	if (f->ok)
		snprintf(f->text, sizeof(f->text), "%s, UUID %s, on %s", t.node, uuid, t.reach.by);
	else if (found && t.reach.by)
		snprintf(f->text, sizeof(f->text),
			"dumps go to %s, UUID %s, not to the one named; run mkdumpdisk --grub "
			"TARGET to change that",
			t.node, uuid);
	else if (found)
		snprintf(f->text, sizeof(f->text), "%.70s %s; %s", t.node, t.reach.fault,
			t.reach.todo);
	else
		snprintf(f->text, sizeof(f->text),
			"no disk has the dump partition with the UUID %s; attach it, or run "
			"mkdumpdisk --grub TARGET for another",
			uuid);
}

bool grub_status(const struct options *o)
{
	struct kexec_finding f[4] = {0};
	struct kexec_target named;
	struct grub_state s;

	if (o->target && !kexec_target_open(o, &named))
		return false;
	grub_look(o, &s);
	find_image(o, &f[0]);
	find_entry(o, &s, &f[1]);
	find_grub(o, &f[2]);
	find_target(o, &s, o->target ? &named : NULL, &f[3]);
	return kexec_findings_print(o, f, ARRAY_SIZE(f));
}
