/*
 * Says how the boot entry is now: for people or as JSON, from the same facts.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include "bootentry.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define TEXT_BYTES 512

/* What keeps the entry from booting the target's dump partition; empty: nothing. */
static const char *obstacle(const struct boot_report *r, char text[TEXT_BYTES])
{
	char uuid[GUID_TEXT_BYTES];

	text[0] = '\0';
	if (r->well)
		return text;
	if (r->firmware->own_count == 0)
		snprintf(text, TEXT_BYTES, "there is none; add one with mkdumpdisk --boot-entry");
	else if (!r->firmware->active)
		snprintf(text, TEXT_BYTES,
			"it is switched off; mkdumpdisk --boot-entry switches it on");
	else if (!r->files->image || !r->files->settings)
		snprintf(text, TEXT_BYTES, "%s is not there; %s",
			r->files->image ? BOOT_ENTRY_SETTINGS : BOOT_ENTRY_IMAGE,
			r->esp->system ? "mkdumpdisk --boot-entry puts it there"
				       : "prepare the disk again with mkdumpdisk");
	else
		snprintf(text, TEXT_BYTES,
			"it is for the dump partition %s; mkdumpdisk --boot-entry changes that",
			guid_text(r->files->uuid, uuid));
	return text;
}

static void print_order(const struct firmware *f)
{
	u32 place = firmware_position(f, f->own[0]);

	if (place > 0)
		printf("  boot order  %u of %u\n", place, f->order_count);
	else
		printf("  boot order  not in it; where the boot menu does not show it, use "
		       "--boot-entry=last\n");
	printf("  next boot   %s\n",
		f->has_next && f->next == f->own[0] ? "this entry, once" : "as ever");
}

static void print_strays(const struct firmware *f)
{
	if (f->strays > 0)
		printf("  others      %u for other disks; efibootmgr -v shows them, efibootmgr -b "
		       "%04X -B removes the first\n",
			f->strays, f->stray);
}

static void print_text(const struct options *o, const struct boot_report *r)
{
	const struct firmware *f = r->firmware;
	char text[TEXT_BYTES], uuid[GUID_TEXT_BYTES];

	obstacle(r, text);
	if (f->own_count == 0) {
		printf("%s: boot entry: %s\n", r->target->node,
			o->boot_entry == BOOT_ENTRY_REMOVE ? "removed" : text);
		if (r->kept)
			printf("  kept        %s/EFI/afterimage: systemd-boot's entry starts it\n",
				r->esp->mounted);
		print_strays(f);
		return;
	}
	printf("%s: boot entry Boot%04X, %s\n", r->target->node, f->own[0], BOOT_ENTRY_LABEL);
	printf("  starts      " BOOT_ENTRY_PATH " on partition %u of %s%s\n", r->esp->number,
		r->esp->disk, r->esp->system ? ", the system's" : "");
	printf("  dumps to    %s, UUID %s\n", r->target->node, guid_text(r->target->uuid, uuid));
	print_order(f);
	print_strays(f);
	if (*text)
		printf("  but         %s\n", text);
}

static struct json_object *json_order(const struct firmware *f)
{
	struct json_object *list = json_object_new_array();
	char number[8];

	for (u32 i = 0; i < f->order_count; i++) {
		snprintf(number, sizeof(number), "%04X", f->order[i]);
		json_object_array_add(list, json_object_new_string(number));
	}
	return list;
}

static struct json_object *json_esp(const struct boot_report *r)
{
	struct json_object *j = json_object_new_object();
	char uuid[GUID_TEXT_BYTES];

	json_object_object_add(j, "disk", json_object_new_string(r->esp->disk));
	json_object_object_add(j, "partition", json_object_new_uint64(r->esp->number));
	json_object_object_add(j, "guid", json_object_new_string(guid_text(r->esp->guid, uuid)));
	json_object_object_add(j, "system", json_object_new_boolean(r->esp->system));
	return j;
}

static void print_json(const struct options *o, const struct boot_report *r)
{
	struct json_object *j = json_object_new_object();
	const struct firmware *f = r->firmware;
	char text[TEXT_BYTES], uuid[GUID_TEXT_BYTES], number[8];
	bool any = f->own_count > 0;

	snprintf(number, sizeof(number), "%04X", f->own[0]);
	json_object_object_add(j, "target", json_object_new_string(o->target));
	json_object_object_add(j, "ok", json_object_new_boolean(r->well));
	json_object_object_add(j, "text", json_object_new_string(obstacle(r, text)));
	json_object_object_add(j, "entry", any ? json_object_new_string(number) : NULL);
	json_object_object_add(j, "active", json_object_new_boolean(any && f->active));
	json_object_object_add(
		j, "position", json_object_new_uint64(any ? firmware_position(f, f->own[0]) : 0));
	json_object_object_add(j, "order", json_order(f));
	json_object_object_add(
		j, "next", json_object_new_boolean(any && f->has_next && f->next == f->own[0]));
	json_object_object_add(j, "dump_partition", json_object_new_string(r->target->node));
	json_object_object_add(j, "uuid", json_object_new_string(guid_text(r->target->uuid, uuid)));
	json_object_object_add(j, "efi_partition", json_esp(r));
	json_object_object_add(j, "kept", json_object_new_boolean(r->kept));
	json_object_object_add(j, "others", json_object_new_uint64(f->strays));
	puts(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(j);
}

void boot_report_print(const struct options *o, const struct boot_report *r)
{
	if (o->json)
		print_json(o, r);
	else
		print_text(o, r);
}
