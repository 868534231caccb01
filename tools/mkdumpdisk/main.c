/*
 * mkdumpdisk: prepares a disk, a partition or an image file to take dumps. Everything
 * is checked and decided here in order; install() does the writing. What --kexec,
 * --boot-entry, --grub, --systemd-boot, --settings, --survey and --check ask for is handed on.
 */
#include <limits.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>
#include "bootentry.h"
#include "check.h"
#include "crc32c.h"
#include "kexec.h"
#include "loader.h"
#include "plan.h"
#include "settings.h"
#include "surveylog.h"
#include "survey.h"
#include "sysdisk.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

static struct plan plan;

static bool plan_layout(struct plan *p)
{
	const struct target *t = &p->target;
	u64 need;
	char have_text[32], need_text[32];

	if (t->kind == TARGET_IMAGE && t->bytes % t->sector_bytes != 0) {
		tool_error(t->path, "give it a size in whole sectors",
			"its size is not a multiple of %u bytes", t->sector_bytes);
		return false;
	}
	if (layout_make(&p->layout, t->kind != TARGET_PARTITION, t->bytes, t->sector_bytes, &need))
		return true;
	tool_error(t->path, "use a larger one",
		"is too small: %s (%llu bytes), needs %s (%llu bytes)",
		tool_size_text(t->bytes, have_text, sizeof(have_text)),
		(unsigned long long)t->bytes, tool_size_text(need, need_text, sizeof(need_text)),
		(unsigned long long)need);
	return false;
}

static void plan_super(struct plan *p)
{
	const struct options *o = p->options;
	uuid_t uuid;

	layout_super(&p->layout, &p->super);
	uuid_generate_random(uuid);
	guid_swap(uuid, p->super.disk_uuid);
	/* The boot area of the partition's disk may name it: prepared again it keeps its UUID. */
	if (!p->layout.whole_disk && p->found.dump_disk)
		memcpy(p->super.disk_uuid, p->found.disk_uuid, sizeof(p->super.disk_uuid));
	p->super.level = o->level;
	p->super.compressor = o->compressor;
	p->super.after = o->after;
	p->super.overwrite = o->overwrite;
	p->super.created_s = (u64)time(NULL);
	snprintf(p->super.label, sizeof(p->super.label), "%s", o->label);
	dl_super_seal(&p->super);
}

/* False, after the message: firmware starts disks. */
static bool refuse_automatic(const struct plan *p)
{
	return !tool_error(p->target.path,
		"give --auto to mkdumpdisk --boot-entry or --systemd-boot afterwards, which put "
		"the image where firmware starts it",
		"is a partition, and holds no image that could be automatic");
}

static bool plan_boot(struct plan *p)
{
	const struct options *o = p->options;
	struct boot_settings s = {
		.console = o->console,
		.serial_port = o->serial_port,
		.serial_baud = o->serial_baud,
		.boot_lba = p->layout.part[PART_BOOT].start / p->layout.block_bytes,
		.block_bytes = p->layout.block_bytes,
		.automatic = o->automatic,
		.menu_seconds = (u8)o->menu_seconds,
		.dump_lba = p->layout.part[PART_DUMP].start / p->layout.block_bytes,
		.dump_blocks = (u16)dl_data_start(&p->super),
	};

	if (!p->layout.whole_disk)
		return !o->automatic || refuse_automatic(p);
	if (!bootfile_load(&p->boot, o->image, p->target.path))
		return false;
	s.survey_lba = s.dump_lba + dl_survey_block(&p->super);
	memcpy(s.target_uuid, p->super.disk_uuid, sizeof(s.target_uuid));
	bootfile_apply(p->boot.data, p->boot.bytes, &s);
	if (!efi_files_load(&p->efi, o, p->super.disk_uuid))
		return false;
	p->esp_fd = esp_make(p);
	return p->esp_fd >= 0;
}

/* Nothing that anybody may want is lost without --force. */
static bool plan_loss(struct plan *p)
{
	const char *path = p->target.path;
	u32 dumps;

	if (!probe_target(&p->target, &p->found)) {
		if (!p->options->force)
			tool_error_errno(path, "be examined", errno,
				"check the disk, or use --force to give up what is on it");
		return p->options->force;
	}
	dumps = p->found.dumps;
	if (p->options->force || !p->found.text[0])
		return true;
	if (dumps > 0)
		tool_error(path, "fetch and clear them with getdump, or use --force to lose them",
			"is a dump disk with %u dump%s not cleared", dumps, dumps == 1 ? "" : "s");
	else
		tool_error(path, "use --force to give that up", "holds %s", p->found.text);
	return false;
}

/* A disk that the image can not reach from here may be meant for another place: no error. */
static void plan_reach(struct plan *p)
{
	struct sysdisk d;
	u64 start_bytes;

	if (p->target.kind != TARGET_IMAGE &&
		sysdisk_identify(p->options, p->target.rdev, &d, &start_bytes))
		reach_look(&d, &p->reach);
}

/* Every check there is; nothing is written. */
static bool plan_make(struct plan *p)
{
	p->esp_fd = -1;
	if (!target_open(&p->target, p->options) || !plan_layout(p))
		return false;
	if (!plan_loss(p))
		return false;
	plan_super(p);
	plan_reach(p);
	return plan_boot(p);
}

static bool confirmed(const struct plan *p)
{
	char answer[16], name[256];

	if (p->options->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		tool_error(p->target.path, "use --yes to do it without asking", "not confirmed");
		return false;
	}
	tool_printable(name, sizeof(name), p->target.path, PATH_MAX);
	if (p->found.text[0])
		fprintf(stderr, "%s: holds %s\n", name, p->found.text);
	fprintf(stderr, "Make %s a dump disk? All that is on it will be lost. [y/N] ", name);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	tool_error(p->target.path, NULL, "not confirmed, nothing was written");
	return false;
}

static bool prepare(struct plan *p)
{
	if (!plan_make(p))
		return false;
	if (!p->options->dry_run && (!confirmed(p) || !install(p)))
		return false;
	if (report_print(p))
		return true;
	tool_error(p->target.path, "see it again with getdump", "the report could not be printed");
	return false;
}

static bool kexec_act(const struct options *o)
{
	if (geteuid() != 0 && !*o->root) {
		tool_error(o->target ? o->target : KEXEC_SERVICE, "run this as root",
			"--kexec needs root");
		return false;
	}
	switch (o->kexec) {
	case KEXEC_INSTALL:
		return kexec_install(o);
	case KEXEC_STATUS:
		return kexec_status(o);
	case KEXEC_REMOVE:
		return kexec_remove(o);
	case KEXEC_LOAD:
		return kexec_load(o);
	default:
		return kexec_unload(o);
	}
}

/* A name that is wrong would be taken for a system that has nothing. */
static bool root_exists(const struct options *o)
{
	struct stat st;

	if (!*o->root || (stat(o->root, &st) == 0 && S_ISDIR(st.st_mode)))
		return true;
	tool_error(o->root, "give --root the folder in which the system's files lie",
		"is no folder that can be seen");
	return false;
}

/* Actions that prepare nothing. */
static bool act(const struct options *o)
{
	bool ok = o->kexec	    ? kexec_act(o)
		  : o->grub	    ? grub_act(o)
		  : o->systemd_boot ? sdboot_act(o)
				    : boot_entry(o);

	if (fflush(stdout) == 0 && !ferror(stdout))
		return ok;
	tool_error("standard output", "check where it goes", "cannot be written");
	return false;
}

int main(int argc, char **argv)
{
	struct options options;
	int exit_code;

	tool_init("mkdumpdisk");
	crc32c_init();
	if (!options_parse(argc, argv, &options, &exit_code)) {
		if (fflush(stdout) == 0 && !ferror(stdout))
			return exit_code;
		return tool_error("standard output", "check where it goes", "cannot be written");
	}
	if (!root_exists(&options))
		return TOOL_FAILED;
	if (options.kexec || options.boot_entry || options.grub || options.systemd_boot)
		return act(&options) ? TOOL_DONE : TOOL_FAILED;
	if (options.settings)
		return settings_act(&options) ? TOOL_DONE : TOOL_FAILED;
	if (options.check)
		return check_run(&options);
	if (options.survey)
		return survey_act(&options) ? TOOL_DONE : TOOL_FAILED;
	plan.options = &options;
	return prepare(&plan) ? TOOL_DONE : TOOL_FAILED;
}
