/*
 * Changes a dump disk's settings, in the boot area for BIOS and in the EFI system partition for
 * UEFI: consoles, menu, automatic or not. Everything is checked, and made in memory, before the
 * first write. The dump partition is only read.
 */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootfile.h"
#include "busy.h"
#include "check.h"
#include "device.h"
#include "esp.h"
#include "gpt.h"
#include "plan.h"
#include "settings.h"
#include "survey.h"
#include "sysdisk.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define ESP_MAX_BYTES (512ull * MIB) /* our own has 64 MiB */
#define AGAIN	      "fetch the dumps with getdump, then prepare the disk again with mkdumpdisk"

struct job {
	const struct options *options;
	struct options wanted; /* the settings as they were, with what was asked for */
	bool changes;	       /* something was asked for */
	bool writes;
	struct dumpdisk disk;
	struct boot_header header;
	u64 header_at; /* in bytes of the disk, as are the next */
	u64 esp_at;
	u64 esp_bytes;
	u8 *was; /* the EFI system partition */
	u8 *now;
};

/* --- opening --- */

static bool in_use(const struct job *j)
{
	struct stat st;

	if (!j->disk.block_device)
		return false;
	if (stat(j->options->target, &st) == 0)
		return busy_device(j->options->target, &st);
	tool_error_errno(j->options->target, "be examined", errno, "name a dump disk");
	return true;
}

static bool open_disk(struct job *j)
{
	if (!dumpdisk_open(&j->disk, j->options->target, j->writes))
		return false;
	if (j->disk.start > 0)
		return !j->changes || !in_use(j);
	tool_error(j->options->target,
		"name the disk; or, where the image is on another one, give --auto, --menu and "
		"--console to --boot-entry, --systemd-boot or --grub again",
		"is a dump partition, and has no settings in it");
	return false;
}

/* --- what is there --- */

static const char *area_fault(enum check_area area)
{
	switch (area) {
	case AREA_OTHER_VERSION:
		return "has an image of another version in its boot area";
	case AREA_MISPLACED:
		return "has a boot area for another dump partition, or this one was moved";
	default:
		return "has no boot area of its own, or a damaged one";
	}
}

static bool read_header(struct job *j)
{
	struct check_disk found = {.super = j->disk.super};
	u32 block_bytes = j->disk.super.block_bytes;
	struct boot_locate locate;

	check_area_read(j->disk.fd, block_bytes, j->disk.start, &found);
	if (found.area != AREA_GOOD) {
		tool_error(j->options->target, AGAIN, "%s", area_fault(found.area));
		return false;
	}
	if (device_read(j->disk.fd, BOOT_LOCATE_OFFSET, &locate, sizeof(locate))) {
		j->header_at = locate.lba * block_bytes;
		if (device_read(j->disk.fd, j->header_at, &j->header, sizeof(j->header)))
			return true;
	}
	tool_error_errno(j->options->target, "be read", errno, "check the disk");
	return false;
}

static bool find_esp(struct job *j)
{
	struct sysdisk k = {
		.fd = j->disk.fd, .bytes = j->disk.bytes, .block_bytes = j->disk.super.block_bytes};
	struct gpt_partition p;
	u8 buf[8192];

	if (gpt_find(sysdisk_read, &k, k.bytes / k.block_bytes, k.block_bytes, sysdisk_esp_type, 0,
		    buf, &p) == OK) {
		j->esp_at = p.first_lba * k.block_bytes;
		j->esp_bytes = (p.last_lba - p.first_lba + 1) * k.block_bytes;
	}
	if (j->esp_bytes > 0 && j->esp_bytes <= ESP_MAX_BYTES)
		return true;
	tool_error(j->options->target, AGAIN, "has no EFI system partition of afterimage");
	return false;
}

static bool read_esp(struct job *j)
{
	j->was = malloc(j->esp_bytes);
	j->now = malloc(j->esp_bytes);
	if (!j->was || !j->now) {
		tool_error_errno(j->options->target, "be changed", ENOMEM, "free some memory");
		return false;
	}
	if (!device_read(j->disk.fd, j->esp_at, j->was, j->esp_bytes)) {
		tool_error_errno(j->options->target, "be read", errno, "check the disk");
		return false;
	}
	memcpy(j->now, j->was, j->esp_bytes);
	return true;
}

/* --- what is to be --- */

static void merge(struct job *j)
{
	const struct options *o = j->options;
	struct options *w = &j->wanted;

	*w = *o;
	if (!o->given_auto)
		w->automatic = j->header.flags & BOOT_FLAG_AUTOMATIC;
	if (!o->given_menu)
		w->menu_seconds = j->header.menu_seconds;
	if (o->given_console)
		return;
	w->console = j->header.console;
	w->serial_port = j->header.serial_port;
	w->serial_baud = j->header.serial_baud;
}

static bool make(struct job *j)
{
	char words[BOOTFILE_WORDS_BYTES], text[BOOTFILE_WORDS_BYTES + 1];

	bootfile_change(&j->header, &j->wanted);
	bootfile_words(&j->wanted, j->disk.super.disk_uuid, words);
	snprintf(text, sizeof(text), "%s\n", words);
	return find_esp(j) && read_esp(j) && esp_change(j->options, j->now, j->esp_bytes, text);
}

/* Only blocks that changed: a power cut finds all others as they were. */
static bool write_esp(const struct job *j)
{
	struct device d = {.fd = j->disk.fd, .bytes = j->esp_at + j->esp_bytes};
	u32 step = j->disk.super.block_bytes;

	for (u64 at = 0; at < j->esp_bytes; at += step) {
		if (memcmp(j->was + at, j->now + at, step) != 0 &&
			!device_write(&d, j->esp_at + at, j->now + at, step))
			return false;
	}
	return fsync(j->disk.fd) == 0;
}

static bool write_header(const struct job *j)
{
	struct device d = {.fd = j->disk.fd, .bytes = j->header_at + sizeof(j->header)};

	return device_write(&d, j->header_at, &j->header, sizeof(j->header)) &&
	       fsync(j->disk.fd) == 0;
}

static bool write_all(struct job *j)
{
	if (write_esp(j) && write_header(j) && dumpdisk_close(&j->disk))
		return true;
	tool_error_errno(j->options->target, "be written", errno,
		"check the disk, then do it again; the dumps were not touched");
	return false;
}

/* --- the report --- */

static void print_text(const struct job *j, const char *fault)
{
	const struct options *w = &j->wanted;
	char name[256];

	printf("%s: dump disk\n", tool_printable(name, sizeof(name), w->target, PATH_MAX));
	report_start_text(w);
	if (fault)
		printf("warning: %s\n", fault);
	if (w->dry_run)
		printf("nothing was written (--dry-run)\n");
	else if (j->writes && w->given_auto)
		printf("next: %s\n", report_next(w));
}

static void print_json(const struct job *j, const char *fault)
{
	const struct options *w = &j->wanted;
	struct json_object *json = json_object_new_object();
	char uuid[GUID_TEXT_BYTES];

	guid_text(j->disk.super.disk_uuid, uuid);
	json_object_object_add(json, "target", json_object_new_string(w->target));
	json_object_object_add(json, "uuid", json_object_new_string(uuid));
	json_object_object_add(json, "dry_run", json_object_new_boolean(w->dry_run));
	json_object_object_add(json, "written", json_object_new_boolean(j->writes));
	report_start_json(w, json);
	if (fault)
		json_object_object_add(json, "warning_after", json_object_new_string(fault));
	puts(json_object_to_json_string_ext(
		json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(json);
}

static bool report(const struct job *j)
{
	const char *fault = report_after_fault(&j->wanted, j->disk.super.after);

	if (j->options->json)
		print_json(j, fault);
	else
		print_text(j, fault);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	tool_error("standard output", "check where it goes", "cannot be written");
	return false;
}

/* --- all of it --- */

static bool act(struct job *j)
{
	const struct options *o = j->options;

	j->changes = o->given_auto || o->given_menu || o->given_console;
	j->writes = j->changes && !o->dry_run;
	if (!open_disk(j) || !read_header(j))
		return false;
	merge(j);
	return (!j->changes || make(j)) && (!j->writes || write_all(j)) && report(j);
}

bool settings_act(const struct options *o)
{
	struct job j = {.options = o, .disk = {.fd = -1}};
	bool ok = act(&j);

	free(j.was);
	free(j.now);
	if (!dumpdisk_close(&j.disk) && ok)
		ok = tool_error_errno(o->target, "be closed", errno, "check the disk") == TOOL_DONE;
	return ok;
}
