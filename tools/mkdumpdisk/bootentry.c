/*
 * --boot-entry: what is to be done to the firmware's entries, in order. Everything is checked
 * before the first change; what is there already is used. The boot order changes only if asked.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bootentry.h"
#include "sdboot.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define NUMBER_BYTES 5
#define ORDER_BYTES  (FIRMWARE_ORDER_MAX * NUMBER_BYTES + NUMBER_BYTES)

struct job {
	const struct options *options;
	struct kexec_target target;
	struct boot_esp esp;
	struct firmware firmware;
	struct boot_esp_files files;
	bool kept; /* for systemd-boot */
};

static bool wants(const struct job *j, enum boot_entry_action action)
{
	return j->options->boot_entry == action;
}

static bool read_again(struct job *j)
{
	return firmware_read(j->options, j->esp.guid, &j->firmware);
}

/* Our entry's number for efibootmgr; a dry run may have none. */
static const char *number_text(const struct job *j, u32 i, char text[NUMBER_BYTES])
{
	if (i < j->firmware.own_count)
		snprintf(text, NUMBER_BYTES, "%04X", j->firmware.own[i]);
	else
		snprintf(text, NUMBER_BYTES, "XXXX");
	return text;
}

/* The system's files serve one dump partition: the target, or none. */
static bool is_for_target(const struct job *j)
{
	static const u8 none[16];

	return !j->esp.system || memcmp(j->files.uuid, none, sizeof(none)) == 0 ||
	       memcmp(j->files.uuid, j->target.uuid, sizeof(j->target.uuid)) == 0;
}

/* --- adding --- */

static bool create(struct job *j)
{
	char part[16];
	const char *const args[] = {"-C", "-d", j->esp.disk, "-p", part, "-L", BOOT_ENTRY_LABEL,
		"-l", BOOT_ENTRY_PATH, NULL};

	snprintf(part, sizeof(part), "%u", j->esp.number);
	if (!firmware_run(j->options, args))
		return false;
	if (j->options->dry_run)
		return true;
	if (!read_again(j))
		return false;
	if (j->firmware.own_count > 0)
		return true;
	tool_error(j->options->target,
		"update the firmware, or choose the dump disk in its boot menu",
		"the firmware did not keep the boot entry");
	return false;
}

/* An entry that is there but switched off is switched on. */
static bool ensure(struct job *j)
{
	char number[NUMBER_BYTES];
	const char *const args[] = {"-b", number_text(j, 0, number), "-a", NULL};

	if (j->firmware.own_count == 0)
		return create(j);
	return j->firmware.active || firmware_run(j->options, args);
}

static void append(char text[ORDER_BYTES], const char *number)
{
	size_t used = strlen(text);

	snprintf(text + used, ORDER_BYTES - used, "%s%s", used ? "," : "", number);
}

/* All others keep their places among each other. */
static bool put_in_order(struct job *j)
{
	const struct firmware *f = &j->firmware;
	bool first = wants(j, BOOT_ENTRY_FIRST);
	char number[NUMBER_BYTES], order[ORDER_BYTES] = "";
	const char *const args[] = {"-o", order, NULL};
	u32 place = f->own_count ? firmware_position(f, f->own[0]) : 0;

	if (place > 0 && place == (first ? 1 : f->order_count))
		return true;
	if (f->order_count == FIRMWARE_ORDER_MAX) {
		tool_error(j->options->target, "remove some with efibootmgr -B",
			"the firmware's boot order has %u entries or more, and was left as it is",
			FIRMWARE_ORDER_MAX);
		return false;
	}
	if (first)
		append(order, number_text(j, 0, number));
	for (u32 i = 0; i < f->order_count; i++) {
		if (f->own_count && f->order[i] == f->own[0])
			continue;
		snprintf(number, sizeof(number), "%04X", f->order[i]);
		append(order, number);
	}
	if (!first)
		append(order, number_text(j, 0, number));
	return firmware_run(j->options, args);
}

static bool set_next(struct job *j)
{
	char number[NUMBER_BYTES];
	const char *const args[] = {"-n", number_text(j, 0, number), NULL};

	return firmware_run(j->options, args);
}

/* systemd-boot's entry starts the same files. */
static bool check_shared(const struct job *j)
{
	char uuid[GUID_TEXT_BYTES];

	if (is_for_target(j) || !sdboot_uses(j->options, &j->esp))
		return true;
	tool_error(j->options->target,
		"name that one, or take its entry away first with --systemd-boot=remove",
		"can not have " BOOT_ENTRY_IMAGE ": systemd-boot's entry starts it for the dump "
		"partition %s",
		guid_text(j->files.uuid, uuid));
	return false;
}

static bool add(struct job *j)
{
	if (!check_shared(j) || !boot_esp_fill(j->options, &j->esp, j->target.uuid) || !ensure(j))
		return false;
	if (wants(j, BOOT_ENTRY_NEXT))
		return set_next(j);
	return wants(j, BOOT_ENTRY_ADD) || put_in_order(j);
}

/* --- removing --- */

/* Files for another dump partition stay. */
static bool check_ours(const struct job *j)
{
	char uuid[GUID_TEXT_BYTES];

	if (is_for_target(j))
		return true;
	tool_error(j->options->target, "name that one, or give the entry to this one first",
		"is not what the boot entry is for: that is the dump partition %s",
		guid_text(j->files.uuid, uuid));
	return false;
}

static bool remove_entries(struct job *j)
{
	static const char *const forget_next[] = {"-N", NULL};
	const struct firmware *f = &j->firmware;
	char number[NUMBER_BYTES];
	const char *const args[] = {"-b", number, "-B", NULL};

	for (u32 i = 0; i < f->own_count; i++) {
		if (f->has_next && f->next == f->own[i] && !firmware_run(j->options, forget_next))
			return false;
		number_text(j, i, number);
		if (!firmware_run(j->options, args))
			return false;
	}
	return true;
}

static bool remove_all(struct job *j)
{
	if (!check_ours(j) || !remove_entries(j))
		return false;
	j->kept = sdboot_uses(j->options, &j->esp);
	return !j->esp.system || j->kept || boot_esp_clear(j->options, &j->esp);
}

/* --- all of it --- */

static bool check_user(const struct options *o)
{
	if (geteuid() == 0 || *o->root)
		return true;
	tool_error(o->target, "run this as root", "--boot-entry needs root");
	return false;
}

/* True if the entry would boot afterimage, and that the target's dump partition. */
static bool is_well(const struct job *j)
{
	return j->firmware.own_count > 0 && j->firmware.active && j->files.image &&
	       j->files.settings &&
	       memcmp(j->files.uuid, j->target.uuid, sizeof(j->target.uuid)) == 0;
}

static bool report(struct job *j)
{
	struct boot_report r = {.target = &j->target,
		.esp = &j->esp,
		.firmware = &j->firmware,
		.files = &j->files,
		.kept = j->kept};

	if (j->options->dry_run) {
		printf("nothing was changed (--dry-run)\n");
		return true;
	}
	if (!read_again(j))
		return false;
	boot_esp_look(j->options, &j->esp, &j->files);
	r.well = is_well(j);
	boot_report_print(j->options, &r);
	return r.well || wants(j, BOOT_ENTRY_REMOVE);
}

bool boot_entry(const struct options *o)
{
	struct job j = {.options = o};

	if (!check_user(o) || !kexec_target_open(o, &j.target) || !firmware_check(o) ||
		!boot_esp_find(o, &j.target, &j.esp) || !read_again(&j))
		return false;
	boot_esp_look(o, &j.esp, &j.files);
	if (wants(&j, BOOT_ENTRY_REMOVE) && !remove_all(&j))
		return false;
	if (!wants(&j, BOOT_ENTRY_REMOVE) && !wants(&j, BOOT_ENTRY_STATUS) && !add(&j))
		return false;
	return report(&j);
}
