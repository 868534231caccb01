/*
 * --systemd-boot: what is to be done to the EFI system partition of systemd-boot, in order.
 * Everything is checked before the first change. The application and its settings are those of
 * --boot-entry, and serve one dump partition. No program is run.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "loader.h"
#include "sdboot.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define SD_BOOT "systemd-boot"

struct job {
	const struct options *options;
	bool named; /* the user named a target: */
	struct kexec_target target;
	struct sdboot now;
	bool kept; /* the files, for a boot entry */
};

static const char *subject(const struct options *o)
{
	return o->target ? o->target : SD_BOOT;
}

/* --- what stands in the way --- */

static bool check_user(const struct options *o)
{
	if (geteuid() == 0 || *o->root)
		return true;
	tool_error(subject(o), "run this as root", "--systemd-boot needs root");
	return false;
}

static bool check_loader(const struct job *j)
{
	const struct options *o = j->options;

	if (j->now.loader)
		return true;
	if (!j->now.mounted)
		tool_error(subject(o), "mount it at /efi, or use --boot-entry",
			"the system's EFI system partition is mounted neither at /efi nor at /boot "
			"or /boot/efi");
	else
		tool_error(subject(o),
			"install it with bootctl install, or use --boot-entry, which needs none",
			SD_BOOT " is not on the EFI system partition at %s (no %s, or no folder "
				"/loader)",
			j->now.esp.mounted, &SDBOOT_PROGRAM[1]);
	return false;
}

/* The one that the settings on the partition name is the target, or there is none. */
static bool serves_target(const struct job *j)
{
	static const u8 none[16];
	const u8 *uuid = j->now.files.uuid;

	return !j->named || memcmp(uuid, none, sizeof(none)) == 0 ||
	       memcmp(uuid, j->target.uuid, sizeof(j->target.uuid)) == 0;
}

/* A boot entry of the firmware starts the same files. */
static bool check_shared(const struct job *j)
{
	char uuid[GUID_TEXT_BYTES];

	if (j->now.firmware.own_count == 0 || serves_target(j))
		return true;
	tool_error(j->options->target,
		"name that one, or take its boot entry away first with --boot-entry=remove",
		"can not have " BOOT_ENTRY_IMAGE ": the firmware's boot entry starts it for the "
		"dump partition %s",
		guid_text(j->now.files.uuid, uuid));
	return false;
}

/* Nobody may find the machine dumping at every start. */
static bool check_order(const struct job *j)
{
	const struct sdboot_order *r = &j->now.order;

	if (r->boots_nothing)
		tool_error(j->options->target,
			"add the system's own entries first (kernel-install, bootctl)",
			SD_BOOT " has no entry, and would start a dump at every boot");
	else if (r->saved)
		tool_error(j->options->target,
			"set default in loader.conf, or with bootctl set-default, to the system's "
			"entry",
			SD_BOOT " starts again what was started last (@saved): after a dump, a "
				"dump");
	else if (r->is_default)
		tool_error(j->options->target,
			"set default in loader.conf, or with bootctl set-default, to the system's "
			"entry",
			SD_BOOT " would start a dump at every boot: no other entry comes first%s",
			*r->pattern ? " that matches its default" : "");
	else
		return true;
	return false;
}

/* --- installing --- */

/* Takes away what a failure left of an installation where there was none. */
static void undo(const struct job *j, const char *entry)
{
	const struct sdboot *s = &j->now;

	if ((s->entry || kexec_file_remove(j->options, entry, false)) &&
		(s->files.image || boot_esp_clear(j->options, &s->esp)))
		return;
	tool_error(s->esp.mounted, "remove it with --systemd-boot=remove",
		"some of what was written is left");
}

static bool write_entry(const struct job *j)
{
	const struct boot_esp *e = &j->now.esp;
	char path[KEXEC_PATH_BYTES];

	snprintf(path, sizeof(path), "%s" SDBOOT_ENTRY, e->mounted);
	if (j->options->dry_run) {
		printf("would write: %s\n", path);
		return true;
	}
	if (kexec_file_write(j->options, path, sdboot_entry_text, strlen(sdboot_entry_text)))
		return true;
	undo(j, path);
	return false;
}

/* The entry comes last: it never leads to half of the files. */
static bool add(struct job *j)
{
	return check_loader(j) && check_shared(j) && check_order(j) &&
	       boot_esp_fill(j->options, &j->now.esp, j->target.uuid) && write_entry(j);
}

/* --- removing --- */

static bool check_ours(const struct job *j)
{
	char uuid[GUID_TEXT_BYTES];

	if (serves_target(j))
		return true;
	tool_error(j->options->target, "name that one, or none",
		"is not what " SD_BOOT "'s entry is for: that is the dump partition %s",
		guid_text(j->now.files.uuid, uuid));
	return false;
}

static bool remove_entry(const struct job *j)
{
	char path[KEXEC_PATH_BYTES];

	snprintf(path, sizeof(path), "%s" SDBOOT_ENTRY, j->now.esp.mounted);
	if (!j->options->dry_run)
		return kexec_file_remove(j->options, path, false);
	printf("would remove: %s\n", path);
	return true;
}

static bool remove_all(struct job *j)
{
	if (!j->now.mounted)
		return check_loader(j);
	if (!check_ours(j))
		return false;
	j->kept = j->now.firmware.own_count > 0;
	return remove_entry(j) && (j->kept || boot_esp_clear(j->options, &j->now.esp));
}

/* --- all of it --- */

static bool is_well(const struct sdboot *s, bool found, bool wanted)
{
	return s->loader && s->entry && s->whole && s->files.image && s->files.settings && found &&
	       wanted && !(s->secure && s->unsigned_image) && !s->order.boots_nothing &&
	       !s->order.saved && !s->order.is_default;
}

static bool report(struct job *j)
{
	struct kexec_target found;
	struct sdboot_report r = {.now = &j->now, .kept = j->kept};

	if (j->options->dry_run) {
		printf("nothing was changed (--dry-run)\n");
		return true;
	}
	if (!sdboot_read(j->options, &j->now))
		return false;
	r.wanted = serves_target(j);
	if (j->now.files.settings && kexec_target_find(j->options, j->now.files.uuid, &found))
		r.target = &found;
	r.well = is_well(&j->now, r.target && r.target->reach.by, r.wanted);
	sdboot_report_print(j->options, &r);
	return r.well || j->options->systemd_boot == LOADER_REMOVE;
}

bool sdboot_act(const struct options *o)
{
	struct job j = {.options = o, .named = o->target != NULL};

	if (!check_user(o) || (j.named && !kexec_target_open(o, &j.target)) ||
		!sdboot_read(o, &j.now))
		return false;
	if (o->systemd_boot == LOADER_INSTALL && !add(&j))
		return false;
	if (o->systemd_boot == LOADER_REMOVE && !remove_all(&j))
		return false;
	return report(&j);
}
