/*
 * Says what was made, or would be made: for people or as JSON, from the same facts.
 */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include "plan.h"
#include "ports.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

static const char *const part_names[PARTS] = {
	[PART_BOOT] = "boot area",
	[PART_ESP] = "EFI system partition",
	[PART_DUMP] = "dump partition",
};

static const char *const kind_names[] = {
	[TARGET_DISK] = "disk",
	[TARGET_PARTITION] = "partition",
	[TARGET_IMAGE] = "image",
};

#define NEXT_DISK                                                                                  \
	"choose it in the firmware's boot menu after a reset; with UEFI mkdumpdisk --boot-entry "  \
	"puts it there by name, or boots it next; mkdumpdisk --kexec has it take panics too"
#define NEXT_PARTITION                                                                             \
	"give the partition the type " DUMP_TYPE_TEXT " with sfdisk --part-type, the image and "   \
	"getdump find it by that; then mkdumpdisk --boot-entry makes UEFI start it, and "          \
	"mkdumpdisk --kexec has it take panics"

#define NEXT_AUTO                                                                                  \
	"have the firmware start it first: with UEFI mkdumpdisk --boot-entry=first, else in the "  \
	"BIOS setup; then make a survey with mkdumpdisk --survey, and try it once"
#define AUTO                                                                                       \
	"automatic: captures a kernel that did not shut down in order, boots the next disk "       \
	"otherwise"

#define NEXT_PLACE "before it is needed, attach it to " REACH_BY

static void print_partitions(const struct layout *l)
{
	char size[32], start[32];

	for (u32 i = 0; l->whole_disk && i < PARTS; i++)
		printf("  partition %u  %-20s  %s at %s\n", i + 1, part_names[i],
			tool_size_text(l->part[i].bytes, size, sizeof(size)),
			tool_size_text(l->part[i].start, start, sizeof(start)));
}

static void print_console_words(const struct options *o)
{
	if (o->console & BOOT_CONSOLE_SERIAL)
		printf(" serial port 0x%x at %u", o->serial_port, o->serial_baud);
	if (o->console == (BOOT_CONSOLE_SERIAL | BOOT_CONSOLE_SCREEN))
		printf(",");
	printf("%s\n", o->console & BOOT_CONSOLE_SCREEN ? " screen" : "");
}

void report_start_text(const struct options *o)
{
	printf("  console     ");
	print_console_words(o);
	printf("  start        %s\n", o->automatic ? AUTO : "captures whenever it is booted");
	if (o->menu_seconds > 0)
		printf("  menu         the console waits %u s for a key before a capture\n",
			o->menu_seconds);
	else
		printf("  menu         none: nobody is asked\n");
}

const char *report_next(const struct options *o)
{
	return o->automatic ? NEXT_AUTO : NEXT_DISK;
}

static const char *next_text(const struct plan *p)
{
	if (!p->layout.whole_disk)
		return NEXT_PARTITION;
	return report_next(p->options);
}

const char *report_after_fault(const struct options *o, u32 after)
{
	if (!o->automatic || after == ACTION_REBOOT)
		return NULL;
	return after == ACTION_HALT
		       ? "after a capture the machine stands still until somebody resets it; "
			 "--after reboot brings it back"
		       : "after a capture the machine is switched off; --after reboot brings it "
			 "back";
}

static void print_text(const struct plan *p)
{
	const struct options *o = p->options;
	char uuid[GUID_TEXT_BYTES], size[32], name[256];

	guid_text(p->super.disk_uuid, uuid);
	printf("%s: %s%s, %s, %u-byte sectors\n",
		tool_printable(name, sizeof(name), p->target.path, PATH_MAX),
		o->dry_run ? "would become a dump " : "dump ", kind_names[p->target.kind],
		tool_size_text(p->target.bytes, size, sizeof(size)), p->target.sector_bytes);
	print_partitions(&p->layout);
	printf("  capacity     %s\n",
		tool_size_text(layout_capacity_bytes(&p->layout), size, sizeof(size)));
	printf("  dump level   %u, compression %s\n", o->level, dl_compressor_name(o->compressor));
	printf("  afterwards   %s; when full: overwrite %s\n", options_after_name(o->after),
		options_overwrite_name(o->overwrite));
	if (p->layout.whole_disk)
		report_start_text(o);
	printf("  UUID         %s\n", uuid);
	if (*o->label)
		printf("  label        %s\n", o->label);
	if (*p->reach.fault)
		printf("warning: it %s; " NEXT_PLACE "\n", p->reach.fault);
	if (p->layout.whole_disk && report_after_fault(o, o->after))
		printf("warning: %s\n", report_after_fault(o, o->after));
	printf(o->dry_run ? "nothing was written (--dry-run)\n" : "next: %s\n", next_text(p));
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

static struct json_object *json_partitions(const struct layout *l)
{
	struct json_object *list = json_object_new_array();

	for (u32 i = 0; l->whole_disk && i < PARTS; i++) {
		struct json_object *part = json_object_new_object();

		add_number(part, "number", i + 1);
		add_text(part, "name", part_names[i]);
		add_number(part, "start_bytes", l->part[i].start);
		add_number(part, "bytes", l->part[i].bytes);
		json_object_array_add(list, part);
	}
	return list;
}

static struct json_object *json_console(const struct options *o)
{
	struct json_object *c = json_object_new_object();

	add_flag(c, "serial", o->console & BOOT_CONSOLE_SERIAL);
	add_number(c, "port", o->serial_port);
	add_number(c, "baud", o->serial_baud);
	add_flag(c, "screen", o->console & BOOT_CONSOLE_SCREEN);
	return c;
}

void report_start_json(const struct options *o, struct json_object *j)
{
	json_object_object_add(j, "console", json_console(o));
	add_flag(j, "automatic", o->automatic);
	add_number(j, "menu_seconds", o->menu_seconds);
}

static void print_json(const struct plan *p)
{
	const struct options *o = p->options;
	struct json_object *j = json_object_new_object();
	char uuid[GUID_TEXT_BYTES];

	guid_text(p->super.disk_uuid, uuid);
	add_text(j, "target", p->target.path);
	add_text(j, "kind", kind_names[p->target.kind]);
	add_flag(j, "dry_run", o->dry_run);
	add_number(j, "bytes", p->target.bytes);
	add_number(j, "sector_bytes", p->target.sector_bytes);
	add_text(j, "uuid", uuid);
	add_text(j, "label", o->label);
	add_number(j, "capacity_bytes", layout_capacity_bytes(&p->layout));
	add_number(j, "level", o->level);
	add_text(j, "compress", dl_compressor_name(o->compressor));
	add_text(j, "after", options_after_name(o->after));
	add_text(j, "overwrite", options_overwrite_name(o->overwrite));
	if (p->layout.whole_disk)
		report_start_json(o, j);
	json_object_object_add(j, "partitions", json_partitions(&p->layout));
	if (*p->reach.fault)
		add_text(j, "warning", p->reach.fault);
	if (p->layout.whole_disk && report_after_fault(o, o->after))
		add_text(j, "warning_after", report_after_fault(o, o->after));
	add_text(j, "next", next_text(p));
	puts(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(j);
}

bool report_print(const struct plan *p)
{
	if (p->options->json)
		print_json(p);
	else
		print_text(p);
	return fflush(stdout) == 0 && !ferror(stdout);
}
