/*
 * Says how systemd-boot's entry is now: for people or as JSON, from the same facts.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include "loader.h"
#include "sdboot.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define TEXT_BYTES 512
#define PUT_AGAIN  "mkdumpdisk --systemd-boot TARGET puts it there"

/* What is wrong with the files. False: nothing. */
static bool files_obstacle(const struct sdboot *s, char text[TEXT_BYTES])
{
	if (!s->entry)
		snprintf(text, TEXT_BYTES,
			"there is none; add one with mkdumpdisk --systemd-boot TARGET");
	else if (!s->whole)
		snprintf(text, TEXT_BYTES,
			SDBOOT_ENTRY " is damaged or was changed; mkdumpdisk --systemd-boot TARGET "
				     "writes it again");
	else if (!s->files.image || !s->files.settings)
		snprintf(text, TEXT_BYTES, "%s is not there; " PUT_AGAIN,
			s->files.image ? BOOT_ENTRY_SETTINGS : BOOT_ENTRY_IMAGE);
	else if (s->secure && s->unsigned_image)
		snprintf(text, TEXT_BYTES,
			BOOT_ENTRY_IMAGE
			" is not signed, and Secure Boot is on; sign it with a key that the "
			"firmware knows and install it again with --efi-image, or switch Secure "
			"Boot off");
	else
		return false;
	return true;
}

/* What is wrong with the dump partition. False: nothing. */
static bool target_obstacle(const struct sdboot_report *r, char text[TEXT_BYTES])
{
	char uuid[GUID_TEXT_BYTES];

	guid_text(r->now->files.uuid, uuid);
	if (!r->wanted)
		snprintf(text, TEXT_BYTES,
			"it is for the dump partition %s; mkdumpdisk --systemd-boot changes that",
			uuid);
	else if (!r->target)
		snprintf(text, TEXT_BYTES,
			"no disk has the dump partition with the UUID %s; attach it, or run "
			"mkdumpdisk --systemd-boot TARGET for another",
			uuid);
	else if (!r->target->reach.by)
		snprintf(text, TEXT_BYTES, "%.70s %s; %s", r->target->node, r->target->reach.fault,
			r->target->reach.todo);
	else
		return false;
	return true;
}

/* What keeps the entry from working as it should; empty: nothing. */
static const char *obstacle(const struct sdboot_report *r, char text[TEXT_BYTES])
{
	const struct sdboot *s = r->now;

	text[0] = '\0';
	if (r->well)
		return text;
	if (!s->mounted)
		snprintf(text, TEXT_BYTES,
			"the system's EFI system partition is mounted neither at /efi nor at /boot "
			"or /boot/efi; mount it");
	else if (!s->loader)
		snprintf(text, TEXT_BYTES,
			"systemd-boot is not on the EFI system partition at %s; install it with "
			"bootctl install, or use --boot-entry",
			s->esp.mounted);
	else if (!files_obstacle(s, text) && !target_obstacle(r, text))
		snprintf(text, TEXT_BYTES,
			"it is what systemd-boot starts %s; set default in loader.conf, or with "
			"bootctl set-default, to the system's entry",
			s->order.saved ? "again after a dump (@saved)" : "by itself");
	return text;
}

/* The settings' words beyond the UUID are in the file for anybody to read. */
static void print_text(const struct options *o, const struct sdboot_report *r)
{
	const struct sdboot *s = r->now;
	bool removed = o->systemd_boot == LOADER_REMOVE;
	char text[TEXT_BYTES], uuid[GUID_TEXT_BYTES];

	obstacle(r, text);
	if (!s->entry) {
		printf("systemd-boot: entry: %s\n", removed ? "removed" : text);
		if (r->kept)
			printf("  kept        %s/EFI/afterimage: the firmware's boot entry "
			       "Boot%04X starts it\n",
				s->esp.mounted, s->firmware.own[0]);
		return;
	}
	printf("systemd-boot: entry \"" LOADER_TITLE "\", %s" SDBOOT_ENTRY "\n", s->esp.mounted);
	printf("  starts      " BOOT_ENTRY_IMAGE " on partition %u of %s\n", s->esp.number,
		s->esp.disk);
	if (r->target)
		printf("  dumps to    %s, UUID %s\n", r->target->node,
			guid_text(r->target->uuid, uuid));
	if (s->firmware.own_count > 0)
		printf("  shared with the firmware's boot entry Boot%04X\n", s->firmware.own[0]);
	if (*text)
		printf("  but         %s\n", text);
}

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, text ? json_object_new_string(text) : NULL);
}

static void print_json(const struct options *o, const struct sdboot_report *r)
{
	struct json_object *j = json_object_new_object();
	const struct sdboot *s = r->now;
	char text[TEXT_BYTES], uuid[GUID_TEXT_BYTES], entry[128], number[8];

	snprintf(entry, sizeof(entry), "%s" SDBOOT_ENTRY, s->mounted ? s->esp.mounted : "");
	snprintf(number, sizeof(number), "%04X", s->firmware.own[0]);
	add_text(j, "target", o->target);
	json_object_object_add(j, "ok", json_object_new_boolean(r->well));
	add_text(j, "text", obstacle(r, text));
	json_object_object_add(j, "loader", json_object_new_boolean(s->loader));
	add_text(j, "entry", s->entry ? entry : NULL);
	json_object_object_add(j, "image", json_object_new_boolean(s->files.image));
	json_object_object_add(j, "settings", json_object_new_boolean(s->files.settings));
	add_text(j, "uuid", s->files.settings ? guid_text(s->files.uuid, uuid) : NULL);
	add_text(j, "dump_partition", r->target ? r->target->node : NULL);
	add_text(j, "boot_entry", s->firmware.own_count > 0 ? number : NULL);
	puts(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(j);
}

void sdboot_report_print(const struct options *o, const struct sdboot_report *r)
{
	if (o->json)
		print_json(o, r);
	else
		print_text(o, r);
}
