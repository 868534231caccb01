/*
 * Firmware's boot entries: read from efivarfs, changed by efibootmgr. Decides nothing but what
 * stands in the way.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bootentry.h"
#include "bootoption.h"
#include "mounts.h"
#include "tools/common/tool.h"

#define FIRMWARE	"/sys/firmware/efi"
#define VARIABLES	FIRMWARE "/efivars"
#define GLOBAL_GUID	"-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define ATTRIBUTE_BYTES 4u /* what efivarfs puts before a variable's contents */
#define VARIABLE_MAX	8192u
#define ENTRIES_MAX	65536
#define ARGS_MAX	10
#define INSTALL_IT	"install the package efibootmgr"

/* --- can it be done --- */

static bool there(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return access(kexec_path(o, path, full), F_OK) == 0;
}

static bool check_variables(const struct options *o)
{
	struct mount m;

	if (!there(o, FIRMWARE))
		tool_error(o->target,
			"choose the dump disk in the firmware's boot menu instead, or start the "
			"system by UEFI",
			"has no use for a boot entry: this system was not started by UEFI");
	else if (!there(o, VARIABLES))
		tool_error(VARIABLES,
			"take efi=noruntime off the kernel command line, or choose the dump disk "
			"in the firmware's boot menu",
			"the kernel does not offer the firmware's variables");
	else if (!mounts_find(o, VARIABLES, &m) || strcmp(m.type, "efivarfs") != 0)
		tool_error(VARIABLES, "run mount -t efivarfs efivarfs " VARIABLES,
			"the firmware's variables are not mounted");
	else if (m.read_only && o->boot_entry != BOOT_ENTRY_STATUS)
		tool_error(VARIABLES, "run mount -o remount,rw " VARIABLES,
			"the firmware's variables are mounted read-only");
	else
		return true;
	return false;
}

bool firmware_check(const struct options *o)
{
	char program[KEXEC_PATH_BYTES];

	if (!check_variables(o))
		return false;
	if (o->boot_entry == BOOT_ENTRY_STATUS || kexec_find_program(o, "efibootmgr", program))
		return true;
	tool_error(o->target, INSTALL_IT, "the program efibootmgr is missing");
	return false;
}

/* --- reading --- */

/* Contents of the variable @name, without its attributes: the bytes; -1: there is none. */
static int read_variable(const struct options *o, const char *name, u8 data[VARIABLE_MAX])
{
	char path[KEXEC_PATH_BYTES], full[KEXEC_PATH_BYTES];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), VARIABLES "/%s", name);
	fd = open(kexec_path(o, path, full), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	n = read(fd, data, VARIABLE_MAX);
	close(fd);
	if (n < (ssize_t)ATTRIBUTE_BYTES)
		return -1;
	memmove(data, data + ATTRIBUTE_BYTES, (size_t)n - ATTRIBUTE_BYTES);
	return (int)n - (int)ATTRIBUTE_BYTES;
}

/* Reads @name as 16-bit numbers. */
static u32 read_numbers(const struct options *o, const char *name, u16 *numbers, u32 max)
{
	u8 data[VARIABLE_MAX];
	int bytes = read_variable(o, name, data);
	u32 count = bytes > 0 ? (u32)min_u64((u64)bytes / 2, max) : 0;

	for (u32 i = 0; i < count; i++)
		numbers[i] = (u16)(data[2 * i] | data[2 * i + 1] << 8);
	return count;
}

bool firmware_secure(const struct options *o)
{
	u8 data[VARIABLE_MAX];

	return read_variable(o, "SecureBoot" GLOBAL_GUID, data) > 0 && data[0] != 0;
}

void firmware_text(const struct options *o, const char *name, char *text, u32 size)
{
	u8 data[VARIABLE_MAX];
	int bytes = read_variable(o, name, data);
	u32 n = 0;

	for (int at = 0; at + 2 <= bytes && n + 1 < size; at += 2) {
		u32 c = data[at] | (u32)data[at + 1] << 8;

		if (c == 0)
			break;
		text[n++] = c >= ' ' && c < 0x7f ? (char)c : '?';
	}
	text[n] = '\0';
}

static void insert(struct firmware *f, u16 number, bool active)
{
	u32 at = f->own_count;

	if (at == FIRMWARE_OWN_MAX)
		return;
	for (; at > 0 && f->own[at - 1] > number; at--)
		f->own[at] = f->own[at - 1];
	f->own[at] = number;
	f->own_count++;
	if (at == 0)
		f->active = active;
}

static void take_variable(
	const struct options *o, const u8 guid[16], const char *name, struct firmware *f)
{
	int number = boot_option_number(name);
	u8 data[VARIABLE_MAX];
	struct boot_option b;
	int bytes;

	if (number < 0)
		return;
	bytes = read_variable(o, name, data);
	if (bytes < 0 || !boot_option_parse(data, (u64)bytes, &b))
		return;
	if (boot_option_leads_to(&b, guid, BOOT_ENTRY_PATH)) {
		insert(f, (u16)number, b.active);
	} else if (boot_option_leads_to(&b, b.partition, BOOT_ENTRY_PATH)) {
		f->stray = f->strays++ ? f->stray : (u16)number;
	}
}

void firmware_order(const struct options *o, struct firmware *f)
{
	*f = (struct firmware) {0};
	f->order_count = read_numbers(o, "BootOrder" GLOBAL_GUID, f->order, FIRMWARE_ORDER_MAX);
	f->has_next = read_numbers(o, "BootNext" GLOBAL_GUID, &f->next, 1) == 1;
}

bool firmware_read(const struct options *o, const u8 guid[16], struct firmware *f)
{
	char path[KEXEC_PATH_BYTES];
	DIR *dir = opendir(kexec_path(o, VARIABLES, path));
	struct dirent *e;

	firmware_order(o, f);
	if (!dir) {
		tool_error_errno(path, "be read", errno, "see whether it is mounted");
		return false;
	}
	for (u32 i = 0; i < ENTRIES_MAX && (e = readdir(dir)); i++)
		take_variable(o, guid, e->d_name, f);
	closedir(dir);
	return true;
}

u32 firmware_position(const struct firmware *f, u16 number)
{
	for (u32 i = 0; i < f->order_count; i++) {
		if (f->order[i] == number)
			return i + 1;
	}
	return 0;
}

/* --- changing --- */

/* What efibootmgr's complaint @said means, as far as an administrator can do something. */
static bool report_failure(const char *said)
{
	if (strstr(said, strerror(ENOSPC)) || strstr(said, "No space left"))
		tool_error(VARIABLES,
			"remove entries that nobody needs with efibootmgr -b XXXX -B, and the "
			"files dump-* there, then restart and try again",
			"the firmware's memory for variables is full");
	else
		tool_error("efibootmgr", "see what efibootmgr -v lists", "failed: %s", said);
	return false;
}

static void say(const char *const args[])
{
	printf("would run: efibootmgr");
	for (u32 i = 0; args[i] && i < ARGS_MAX; i++)
		printf(strpbrk(args[i], " \\") ? " '%s'" : " %s", args[i]);
	printf("\n");
}

bool firmware_run(const struct options *o, const char *const args[])
{
	char program[KEXEC_PATH_BYTES], said[KEXEC_TEXT_BYTES];
	char *argv[ARGS_MAX + 2] = {program};

	for (u32 i = 0; args[i] && i < ARGS_MAX; i++)
		argv[i + 1] = (char *)args[i];
	if (o->dry_run) {
		say(args);
		return true;
	}
	if (!kexec_find_program(o, "efibootmgr", program)) {
		tool_error(o->target, INSTALL_IT, "the program efibootmgr is missing");
		return false;
	}
	return kexec_run(argv, said, sizeof(said)) == 0 || report_failure(said);
}
