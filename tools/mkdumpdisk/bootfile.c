/*
 * Finds the files that belong to the program, and reads them. What the bytes must be is decided
 * in bootpatch.c, efiimage.c and kexecimage.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootfile.h"
#include "device.h"
#include "efiimage.h"
#include "kexec.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define NAME_IT	    "name it with --image FILE"
#define NAME_EFI_IT "name it with --efi-image FILE"

/* Beside the program as `make` leaves it, then where `make install` puts it. */
static const char *const places[] = {"", "/../lib/afterimage"};

bool bootfile_find(char *path, u32 size, const char *name, const char *target, bool *installed)
{
	char dir[2048];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	const char *todo = strcmp(name, BOOTFILE_EFI) == 0 ? NAME_EFI_IT : NAME_IT;
	char *slash;

	if (n < 0 || n >= (ssize_t)sizeof(dir) - 1) {
		tool_error(target, todo, "the boot image %s cannot be searched for", name);
		return false;
	}
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, size, "%s%s/%s", dir, places[i], name);
		*installed = i > 0;
		if (access(path, F_OK) == 0)
			return true;
	}
	tool_error(target, todo, "the boot image %s is neither in %s nor in %s/../lib/afterimage",
		name, dir, dir);
	return false;
}

static u8 *read_file(int fd, u64 max_bytes, u64 *bytes)
{
	struct stat st;
	u8 *data;

	if (fstat(fd, &st) != 0)
		return NULL;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)max_bytes) {
		errno = EINVAL;
		return NULL;
	}
	*bytes = (u64)st.st_size;
	data = malloc(*bytes + 1);
	if (data && !device_read(fd, 0, data, *bytes)) {
		free(data);
		return NULL;
	}
	return data;
}

u8 *bootfile_read(const char *path, u64 max_bytes, u64 *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	u8 *data;
	int err;

	if (fd < 0)
		return NULL;
	data = read_file(fd, max_bytes, bytes);
	err = errno;
	close(fd);
	errno = err;
	return data;
}

/* Reads at most one byte more than fits, so that a longer file shows. */
static bool read_image(struct bootfile *f, u64 *bytes)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	ok = fstat(fd, &st) == 0;
	if (ok && !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		ok = false;
	}
	*bytes = ok ? (u64)st.st_size : 0;
	if (ok && *bytes <= sizeof(f->data))
		ok = device_read(fd, 0, f->data, *bytes);
	close(fd);
	return ok;
}

bool bootfile_load(struct bootfile *f, const char *path, const char *target)
{
	const char *fault;
	bool installed;
	u64 bytes;

	if (path)
		snprintf(f->path, sizeof(f->path), "%s", path);
	else if (!bootfile_find(f->path, sizeof(f->path), "afterimage.mbr", target, &installed))
		return false;
	if (!read_image(f, &bytes)) {
		tool_error_errno(f->path, "read the boot image", errno, NAME_IT);
		return false;
	}
	fault = bootfile_fault(f->data, bytes);
	if (fault) {
		tool_error(f->path, "build it again with make, or " NAME_IT, "%s", fault);
		return false;
	}
	f->bytes = (u32)bytes;
	return true;
}

void bootfile_words(const struct options *o, const u8 uuid[16], char words[BOOTFILE_WORDS_BYTES])
{
	char console[64], text[GUID_TEXT_BYTES];

	kexec_console_text(o, console);
	snprintf(words, BOOTFILE_WORDS_BYTES, "dump=%s console=%s menu=%u%s", guid_text(uuid, text),
		console, o->menu_seconds, o->automatic ? " auto" : "");
}

bool efi_files_load(struct efi_files *f, const struct options *o, const u8 uuid[16])
{
	static const char todo[] = "build it again with make, or " NAME_EFI_IT;
	char path[4096], words[BOOTFILE_WORDS_BYTES];
	const char *fault;
	bool installed;

	if (o->efi_image)
		snprintf(path, sizeof(path), "%s", o->efi_image);
	else if (!bootfile_find(path, sizeof(path), BOOTFILE_EFI, o->target, &installed))
		return false;
	f->image = bootfile_read(path, EFI_IMAGE_MAX_BYTES, &f->image_bytes);
	if (!f->image) {
		tool_error_errno(path, "read the boot image", errno, NAME_EFI_IT);
		return false;
	}
	fault = efiimage_fault(f->image, f->image_bytes);
	if (fault) {
		tool_error(path, todo, "%s", fault);
		free(f->image);
		f->image = NULL;
		return false;
	}
	bootfile_words(o, uuid, words);
	snprintf(f->settings, sizeof(f->settings), "%s\n", words);
	return true;
}
