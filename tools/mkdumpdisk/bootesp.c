/*
 * The EFI system partition that a boot entry leads to: the dump disk's own, which mkdumpdisk
 * filled when it prepared the disk, or the running system's, which gets the files here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uuid/uuid.h>
#include "bootentry.h"
#include "bootfile.h"
#include "efiimage.h"
#include "esp.h"
#include "gpt.h"
#include "linuxboot.h"
#include "mounts.h"
#include "sysdisk.h"
#include "tools/common/guid.h"
#include "tools/common/sysfacts.h"
#include "tools/common/tool.h"

#define PARTITIONS_MAX 128
#define LABEL_BYTES    11 /* FAT specification 1.03 s3.1: in blanks */
#define FAT16_LABEL    43
#define FAT32_LABEL    71
#define PREPARE_IT     "prepare the disk again with mkdumpdisk"
#define OWN_IMAGE      "::" BOOT_ENTRY_IMAGE
#define OWN_SETTINGS   "::" BOOT_ENTRY_SETTINGS
#define FOLDER	       "/EFI/afterimage"
#define SETTINGS_MAX   1024u

/* Where efibootmgr and firmware find the partition. False: the kernel does not know it. */
static bool fill(const struct sysdisk *d, const struct gpt_partition *p, struct boot_esp *e)
{
	char name[64];

	if (!sysdisk_partition(d, p->first_lba * d->block_bytes, name))
		return false;
	snprintf(e->disk, sizeof(e->disk), "/dev/%s", d->name);
	e->number = sysdisk_partition_number(d, name);
	memcpy(e->guid, p->uuid, sizeof(e->guid));
	return e->number > 0;
}

static bool has_label(struct sysdisk *d, const struct gpt_partition *p)
{
	u8 block[4096];

	if (sysdisk_read(d, p->first_lba, 1, block) != OK)
		return false;
	return memcmp(block + FAT32_LABEL, ESP_LABEL " ", LABEL_BYTES) == 0 ||
	       memcmp(block + FAT16_LABEL, ESP_LABEL " ", LABEL_BYTES) == 0;
}

/*
 * The first partition of the @type on the open disk @d that starts at @start_bytes or, if that is
 * 0, has our label.
 */
static bool scan(struct sysdisk *d, const u8 type[16], u64 start_bytes, struct gpt_partition *p)
{
	enum status st = OK;
	u8 buf[8192];

	if (d->block_bytes != 512 && d->block_bytes != 4096)
		return false;
	for (u32 i = 0; i < PARTITIONS_MAX && (st == OK || st == E_GEOMETRY); i++) {
		st = gpt_find(sysdisk_read, d, d->bytes / d->block_bytes, d->block_bytes, type, i,
			buf, p);
		if (st == OK && (start_bytes ? p->first_lba * d->block_bytes == start_bytes
					     : has_label(d, p)))
			return true;
	}
	return false;
}

static bool find_on(const struct options *o, struct sysdisk *d, const u8 type[16], u64 start_bytes,
	struct boot_esp *e)
{
	struct gpt_partition p;
	bool hit;

	if (!sysdisk_open(d, o))
		return false;
	hit = scan(d, type, start_bytes, &p) && fill(d, &p, e);
	close(d->fd);
	return hit;
}

/* A mount that waits for its first use is made by that. */
bool boot_esp_mounted(
	const struct options *o, const char *point, const u8 type[16], struct boot_esp *e)
{
	char path[KEXEC_PATH_BYTES + 8], full[KEXEC_PATH_BYTES];
	u64 start_bytes;
	struct sysdisk d;
	struct mount m;

	*e = (struct boot_esp) {0};
	snprintf(path, sizeof(path), "%s/.", kexec_path(o, point, full));
	if (access(path, F_OK) != 0 || !mounts_find(o, point, &m) || strcmp(m.type, "vfat") != 0 ||
		!m.whole)
		return false;
	if (!sysdisk_identify(o, m.dev, &d, &start_bytes) || start_bytes == 0 ||
		!find_on(o, &d, type, start_bytes, e))
		return false;
	e->system = true;
	e->mounted = point;
	return true;
}

static bool find_system(const struct options *o, struct boot_esp *e)
{
	static const char *const points[] = {"/boot/efi", "/efi", "/boot"};

	for (u32 i = 0; i < ARRAY_SIZE(points); i++) {
		if (boot_esp_mounted(o, points[i], sysdisk_esp_type, e))
			return true;
	}
	tool_error(o->target, "mount it at /boot/efi",
		"is on a disk without afterimage's EFI system partition, and the system's own is "
		"mounted neither at /boot/efi nor at /efi or /boot");
	return false;
}

/* True if the target that the user named is a partition. */
static bool names_partition(const struct options *o)
{
	u64 start_bytes = 0;
	struct sysdisk d;
	struct stat st;

	return stat(o->target, &st) == 0 && sysdisk_identify(o, st.st_rdev, &d, &start_bytes) &&
	       start_bytes > 0;
}

bool boot_esp_find(const struct options *o, const struct kexec_target *t, struct boot_esp *e)
{
	struct sysdisk d;

	*e = (struct boot_esp) {0};
	if (sysdisk_named(o, t->disk, &d) && find_on(o, &d, sysdisk_esp_type, 0, e))
		return true;
	if (names_partition(o))
		return find_system(o, e);
	tool_error(o->target,
		"name its dump partition, to be started from the system's EFI system partition",
		"has no EFI system partition of afterimage");
	return false;
}

/* --- what is on it --- */

/* "/dev/DISK" and the partition's place in it, as mtools takes both. False: not known. */
static bool own_place(const struct options *o, const struct boot_esp *e, char *place, u32 size)
{
	char path[KEXEC_PATH_BYTES];
	struct gpt_partition p;
	struct sysdisk d;
	bool ok;

	if (!sysdisk_named(o, e->disk + strlen("/dev/"), &d) || !sysdisk_open(&d, o))
		return false;
	ok = scan(&d, sysdisk_esp_type, 0, &p);
	close(d.fd);
	kexec_path(o, e->disk, path);
	snprintf(place, size, "%s@@%llu", access(path, F_OK) == 0 ? path : e->disk,
		ok ? (unsigned long long)(p.first_lba * d.block_bytes) : 0);
	return ok;
}

/* Runs @program of mtools on @file of the dump disk's own. */
static bool own_file(const struct options *o, const struct boot_esp *e, const char *program,
	const char *file, char said[SETTINGS_MAX])
{
	char path[KEXEC_PATH_BYTES], place[KEXEC_PATH_BYTES + 32];
	char *argv[] = {path, "-i", place, (char *)file, NULL};

	said[0] = '\0';
	return own_place(o, e, place, sizeof(place)) && kexec_find_program(o, program, path) &&
	       kexec_run(argv, said, SETTINGS_MAX) == 0;
}

/* The path of @file on the system's, for kexec_file_*. */
static const char *system_file(const struct boot_esp *e, const char *file, char *path)
{
	snprintf(path, KEXEC_PATH_BYTES, "%s%s", e->mounted, file);
	return path;
}

static void look_system(const struct options *o, const struct boot_esp *e, struct boot_esp_files *f,
	char text[SETTINGS_MAX])
{
	char path[KEXEC_PATH_BYTES], full[KEXEC_PATH_BYTES];

	f->image = access(kexec_path(o, system_file(e, BOOT_ENTRY_IMAGE, path), full), F_OK) == 0;
	f->settings =
		kexec_read_line(o, system_file(e, BOOT_ENTRY_SETTINGS, path), text, SETTINGS_MAX);
}

void boot_esp_look(const struct options *o, const struct boot_esp *e, struct boot_esp_files *f)
{
	struct linuxboot_cmdline words;
	char text[SETTINGS_MAX];

	*f = (struct boot_esp_files) {0};
	if (e->system) {
		look_system(o, e, f, text);
	} else {
		f->image = own_file(o, e, "mdir", OWN_IMAGE, text);
		f->settings = own_file(o, e, "mtype", OWN_SETTINGS, text);
	}
	if (!f->settings)
		return;
	linuxboot_cmdline(text, &words);
	memcpy(f->uuid, words.target_uuid, sizeof(f->uuid));
}

/* --- the files --- */

static bool check_own(const struct options *o, const struct boot_esp *e)
{
	char path[KEXEC_PATH_BYTES];
	struct boot_esp_files f;

	if (o->efi_image || o->given_console || o->given_menu || o->given_auto) {
		tool_error(o->target,
			o->efi_image
				? "prepare the disk again, or mount its EFI system partition and "
				  "replace the files in " FOLDER
				: "change it with mkdumpdisk --settings",
			"has its files since it was prepared; --%s is for a dump partition without "
			"its own",
			o->efi_image	   ? "efi-image"
			: o->given_console ? "console"
			: o->given_menu	   ? "menu"
					   : "auto");
		return false;
	}
	if (!kexec_find_program(o, "mdir", path)) {
		tool_error(o->target, "install the package mtools", "the program mdir is missing");
		return false;
	}
	boot_esp_look(o, e, &f);
	if (f.image)
		return true;
	tool_error(o->target, PREPARE_IT,
		"has no " BOOT_ENTRY_IMAGE " on its EFI system partition, partition %u", e->number);
	return false;
}

/* Takes away what a failure left of an installation where there was none. */
static void undo(
	const struct options *o, const struct boot_esp *e, const struct boot_esp_files *was)
{
	char path[KEXEC_PATH_BYTES], full[KEXEC_PATH_BYTES];

	if (!was->image)
		unlink(kexec_path(o, system_file(e, BOOT_ENTRY_IMAGE, path), full));
	if (!was->settings)
		unlink(kexec_path(o, system_file(e, BOOT_ENTRY_SETTINGS, path), full));
	rmdir(kexec_path(o, system_file(e, FOLDER, path), full)); /* refused unless it is empty */
}

static bool write_files(
	const struct options *o, const struct boot_esp *e, const struct efi_files *files)
{
	char path[KEXEC_PATH_BYTES];
	struct boot_esp_files was;

	boot_esp_look(o, e, &was);
	if (kexec_file_write(
		    o, system_file(e, BOOT_ENTRY_IMAGE, path), files->image, files->image_bytes) &&
		kexec_file_write(o, system_file(e, BOOT_ENTRY_SETTINGS, path), files->settings,
			strlen(files->settings)))
		return true;
	undo(o, e, &was);
	return false;
}

/* Firmware would refuse to start it, and so would a loader. */
static bool check_signed(const struct options *o, const struct efi_files *f)
{
	bool is_signed;

	if (!firmware_secure(o) || !sysfacts_pe_signed(f->image, f->image_bytes, &is_signed) ||
		is_signed)
		return true;
	tool_error(o->efi_image ? o->efi_image : BOOTFILE_EFI,
		"sign it with a key that the firmware knows (sbsign --key KEY --cert CERT) and "
		"name "
		"it with --efi-image, or switch Secure Boot off in the firmware setup",
		"is not signed, and Secure Boot is on");
	return false;
}

bool boot_esp_fill(const struct options *o, const struct boot_esp *e, const u8 uuid[16])
{
	struct efi_files files;
	bool ok;

	if (!e->system)
		return check_own(o, e);
	if (!efi_files_load(&files, o, uuid))
		return false;
	ok = check_signed(o, &files);
	if (ok && o->dry_run)
		printf("would write: %s" BOOT_ENTRY_IMAGE "\nwould write: %s" BOOT_ENTRY_SETTINGS
		       ": %s",
			e->mounted, e->mounted, files.settings);
	else if (ok)
		ok = write_files(o, e, &files);
	free(files.image);
	return ok;
}

bool boot_esp_clear(const struct options *o, const struct boot_esp *e)
{
	char path[KEXEC_PATH_BYTES];

	if (o->dry_run) {
		printf("would remove: %s" FOLDER "\n", e->mounted);
		return true;
	}
	return kexec_file_remove(o, system_file(e, BOOT_ENTRY_SETTINGS, path), false) &&
	       kexec_file_remove(o, system_file(e, BOOT_ENTRY_IMAGE, path), true);
}
