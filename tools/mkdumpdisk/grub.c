/*
 * --grub: the image under /boot and a script that makes GRUB's menu entry. Everything is checked
 * before the first file is written; what was done is looked up in GRUB's settings.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "grub.h"
#include "kexec.h"
#include "loader.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define TEXT_BYTES 256
#define RUN_IT	   "run update-grub there"

/* What messages are about when no target is named. */
static const char *subject(const struct options *o)
{
	return o->target ? o->target : "this machine";
}

static bool check_user(const struct options *o)
{
	if (geteuid() == 0 || *o->root)
		return true;
	tool_error(subject(o), "run this as root", "--grub needs root");
	return false;
}

static bool check_foreign(const struct options *o, const struct grub_state *s)
{
	char path[KEXEC_PATH_BYTES];

	if (!s->script || s->ours)
		return true;
	tool_error(kexec_path(o, GRUB_SCRIPT, path), "look at it, and move it elsewhere",
		"was not made by mkdumpdisk");
	return false;
}

/* --- install --- */

struct setup {
	struct kexec_target target;
	struct grub_state state;
	char words[BOOTFILE_WORDS_BYTES];
	char note[TEXT_BYTES];
	u8 *image;
	u64 image_bytes;
};

static bool check_grub(const struct options *o, struct setup *s)
{
	char text[TEXT_BYTES];
	const char *todo;
	const char *fault = grub_fault(o, text, &todo);

	if (!fault)
		return *o->root || grub_probe(o, s->note);
	tool_error(*o->root ? o->root : "this machine", todo, "%s", fault);
	return false;
}

static bool load_image(const struct options *o, struct setup *s)
{
	char path[KEXEC_PATH_BYTES];
	bool installed;

	if (o->image)
		snprintf(path, sizeof(path), "%s", o->image);
	else if (!bootfile_find(path, sizeof(path), GRUB_FILE, o->target, &installed))
		return false;
	s->image = grub_image_load(path, &s->image_bytes);
	return s->image != NULL;
}

static bool plan(const struct options *o, struct setup *s)
{
	if (!kexec_target_open(o, &s->target) || !check_grub(o, s))
		return false;
	grub_look(o, &s->state);
	bootfile_words(o, s->target.uuid, s->words);
	return check_foreign(o, &s->state) && load_image(o, s);
}

/* GRUB's settings made again, and the entry in them. */
static bool put_into_menu(const struct options *o, struct setup *s)
{
	if (!grub_update(o)) {
		tool_error(o->target, "or take the files away again with mkdumpdisk --grub=remove",
			GRUB_IMAGE " and " GRUB_SCRIPT
				   " were written and stay, but the entry is not in the menu");
		return false;
	}
	grub_look(o, &s->state);
	if (s->state.listed && strcmp(s->state.listed_words, s->words) == 0)
		return true;
	tool_error(o->target,
		"see what update-grub says of afterimage, or take them away with mkdumpdisk "
		"--grub=remove",
		"the files were written, but " GRUB_CONFIG " has no such entry afterwards");
	return false;
}

static void print_setup(const struct options *o, const struct setup *s)
{
	char uuid[GUID_TEXT_BYTES];

	printf("%s: GRUB's menu entry \"" LOADER_TITLE "\"\n", o->target);
	printf("  dumps to    %s, UUID %s\n", s->target.node, guid_text(s->target.uuid, uuid));
	printf("  image       " GRUB_IMAGE "\n");
	printf("  script      " GRUB_SCRIPT "\n");
	printf("  words       %s\n", s->words);
	if (o->dry_run)
		printf("nothing was written (--dry-run); update-grub was not run\n");
	else if (*o->root)
		printf("next: " RUN_IT ", and the entry is in the menu\n");
	else
		printf("  menu        number %u in " GRUB_CONFIG "\n", s->state.position);
	if (*s->note)
		printf("note: %s\n", s->note);
	if (s->state.hidden)
		printf("note: " GRUB_HIDDEN "\n");
}

static bool write_files(const struct options *o, const struct setup *s)
{
	if (kexec_file_write(o, GRUB_IMAGE, s->image, s->image_bytes) &&
		grub_script_write(o, s->words))
		return true;
	tool_error(o->target, "correct that and repeat it, or run mkdumpdisk --grub=remove",
		"the entry is not complete");
	return false;
}

static bool install_entry(const struct options *o)
{
	struct setup s = {0};
	bool ok = plan(o, &s);

	if (ok && !o->dry_run)
		ok = write_files(o, &s) && (*o->root || put_into_menu(o, &s));
	free(s.image);
	if (ok && o->json)
		return grub_status(o) || *o->root;
	if (ok)
		print_setup(o, &s);
	return ok;
}

/* --- removal --- */

/* The entry serves one dump partition: if another is named, it stays. */
static bool check_target(const struct options *o, const struct grub_state *s)
{
	char uuid[GUID_TEXT_BYTES];
	struct kexec_target t;

	if (!o->target)
		return true;
	if (!kexec_target_open(o, &t))
		return false;
	if (!s->ours || memcmp(s->uuid, t.uuid, sizeof(t.uuid)) == 0)
		return true;
	tool_error(o->target, "name that one, or none",
		"is not what the menu entry is for: that is the dump partition %s",
		guid_text(s->uuid, uuid));
	return false;
}

static bool file_exists(const struct options *o, const char *file)
{
	char path[KEXEC_PATH_BYTES];
	struct stat st;

	return lstat(kexec_path(o, file, path), &st) == 0;
}

/* Out of the menu first, so that at no time an entry is there that leads nowhere. */
static bool take_away(const struct options *o, const struct grub_state *was)
{
	struct grub_state s;

	if (!kexec_file_remove(o, GRUB_SCRIPT, false))
		return false;
	if (!*o->root && (was->script || was->listed)) {
		if (!grub_update(o))
			return false;
		grub_look(o, &s);
		if (s.listed) {
			tool_error(GRUB_CONFIG,
				"look for it in /etc/grub.d, then repeat this: " GRUB_IMAGE
				" is still there",
				"has an entry for afterimage that was not made by " GRUB_SCRIPT);
			return false;
		}
	}
	return kexec_file_remove(o, GRUB_IMAGE, true);
}

static bool remove_entry(const struct options *o)
{
	struct grub_state s;
	bool any;

	grub_look(o, &s);
	any = s.script || s.listed || file_exists(o, GRUB_IMAGE) || file_exists(o, GRUB_SCRIPT);
	if (!check_foreign(o, &s) || !check_target(o, &s))
		return false;
	if (!any)
		printf("nothing is installed\n");
	else if (o->dry_run)
		printf("would remove: " GRUB_SCRIPT "\nwould remove: " GRUB_IMAGE "\n");
	else if (!take_away(o, &s))
		return false;
	else
		printf("removed%s\n", *o->root ? "; " RUN_IT : "");
	return true;
}

bool grub_act(const struct options *o)
{
	if (!check_user(o))
		return false;
	return o->grub == LOADER_INSTALL  ? install_entry(o)
	       : o->grub == LOADER_STATUS ? grub_status(o)
					  : remove_entry(o);
}
