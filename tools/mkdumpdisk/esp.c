/*
 * Makes the EFI system partition's file system with mkfs.fat and puts the files on it with
 * mtools, in memory. Nothing is mounted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "device.h"
#include "esp.h"
#include "kexec.h"
#include "plan.h"
#include "tools/common/tool.h"

#define ARGS_MAX 12
#define SETTINGS "::/EFI/afterimage/afterimage.cfg"

/* A program that is run, and the package it is in. */
struct program {
	const char *name;
	const char *package;
};

static const struct program mkfs_fat = {"mkfs.fat", "dosfstools"};
static const struct program make_folders = {"mmd", "mtools"};
static const struct program copy_file = {"mcopy", "mtools"};

/* A file in memory as another program names it. */
struct memory_file {
	int fd;
	char path[32];
};

/* Not close-on-exec: other programs open it by number. */
static bool memory_file_open(struct memory_file *m, const char *name)
{
	m->fd = memfd_create(name, 0);
	snprintf(m->path, sizeof(m->path), "/proc/self/fd/%d", m->fd);
	return m->fd >= 0;
}

static void memory_file_close(struct memory_file *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

/* Runs @program with @argv, whose first place is the program's. False: reported. */
static bool run(const struct options *o, const struct program *program, char **argv)
{
	char path[KEXEC_PATH_BYTES], said[KEXEC_TEXT_BYTES], todo[64];
	int code;

	if (!kexec_find_program(o, program->name, path)) {
		snprintf(todo, sizeof(todo), "install the package %s", program->package);
		tool_error(o->target, todo, "the program %s is missing", program->name);
		return false;
	}
	argv[0] = path;
	code = kexec_run(argv, said, sizeof(said));
	argv[0] = NULL;
	if (code == 0)
		return true;
	snprintf(todo, sizeof(todo), "reinstall the package %s", program->package);
	tool_error(o->target, todo, "%s failed: %s", path, said);
	return false;
}

/*
 * FAT32 needs 65525 clusters (FAT specification 1.03 s3.5): 512-byte sectors give them in
 * 64 MiB, 4096-byte ones do not, so those get FAT16, which firmware reads as well. The volume's
 * number is a part of the dump disk's UUID: it tells two dump disks from each other.
 */
static bool make_file_system(const struct plan *p, const struct memory_file *esp)
{
	const struct layout *l = &p->layout;
	const u8 *id = p->super.disk_uuid;
	char sector[16], hidden[24], volume[16];
	char *argv[ARGS_MAX + 4] = {NULL, "--invariant", "-F", l->block_bytes == 512 ? "32" : "16",
		"-s", "1", "-S", sector, "-h", hidden, "-i", volume, "-n", ESP_LABEL,
		(char *)esp->path};

	snprintf(sector, sizeof(sector), "%u", l->block_bytes);
	snprintf(hidden, sizeof(hidden), "%llu",
		(unsigned long long)(l->part[PART_ESP].start / l->block_bytes));
	snprintf(volume, sizeof(volume), "%02x%02x%02x%02x", id[3], id[2], id[1], id[0]);
	return run(p->options, &mkfs_fat, argv);
}

static bool make_file(
	const struct options *o, const struct memory_file *esp, const char *from, const char *to)
{
	char *argv[ARGS_MAX] = {NULL, "-o", "-i", (char *)esp->path, (char *)from, (char *)to};

	return run(o, &copy_file, argv);
}

static bool make_files(const struct plan *p, const struct memory_file *esp, const char *image,
	const char *settings)
{
	char *folders[ARGS_MAX] = {
		NULL, "-i", (char *)esp->path, "::/EFI", "::/EFI/BOOT", "::/EFI/afterimage"};

	return run(p->options, &make_folders, folders) &&
	       make_file(p->options, esp, image, "::/EFI/BOOT/BOOTX64.EFI") &&
	       make_file(p->options, esp, image, "::/EFI/afterimage/afterimage.efi") &&
	       make_file(p->options, esp, settings, SETTINGS);
}

/* The same files and the same time in every copy; no set-up of the user's changes that. */
static bool prepare_mtools(void)
{
	return setenv("SOURCE_DATE_EPOCH", "315532800", 1) == 0 && setenv("TZ", "UTC0", 1) == 0 &&
	       setenv("MTOOLSRC", "/dev/null", 1) == 0 && setenv("MTOOLS_SKIP_CHECK", "1", 1) == 0;
}

/* False, with errno, if there is no memory for it. */
static bool fill(struct memory_file *m, const void *data, u64 bytes)
{
	struct device d = {.bytes = bytes};

	if (!memory_file_open(m, "file"))
		return false;
	d.fd = m->fd;
	return device_write(&d, 0, data, bytes);
}

int esp_make(const struct plan *p)
{
	struct memory_file esp = {.fd = -1}, image = {.fd = -1}, settings = {.fd = -1};
	bool ok = prepare_mtools() && memory_file_open(&esp, "esp") &&
		  ftruncate(esp.fd, (off_t)p->layout.part[PART_ESP].bytes) == 0 &&
		  fill(&image, p->efi.image, p->efi.image_bytes) &&
		  fill(&settings, p->efi.settings, strlen(p->efi.settings));

	if (!ok)
		tool_error_errno(p->target.path, "make the EFI system partition in memory", errno,
			"free some memory");
	ok = ok && make_file_system(p, &esp) && make_files(p, &esp, image.path, settings.path);
	memory_file_close(&image);
	memory_file_close(&settings);
	if (!ok)
		memory_file_close(&esp);
	return esp.fd;
}

bool esp_change(const struct options *o, u8 *data, u64 bytes, const char *text)
{
	struct memory_file esp = {.fd = -1}, settings = {.fd = -1};
	bool ok =
		prepare_mtools() && fill(&esp, data, bytes) && fill(&settings, text, strlen(text));

	if (!ok)
		tool_error_errno(o->target, "change the EFI system partition in memory", errno,
			"free some memory");
	ok = ok && make_file(o, &esp, settings.path, SETTINGS);
	if (ok && !device_read(esp.fd, 0, data, bytes)) {
		tool_error_errno(
			o->target, "read the EFI system partition back", errno, "free some memory");
		ok = false;
	}
	memory_file_close(&settings);
	memory_file_close(&esp);
	return ok;
}
