/*
 * Which disk a dump goes to, and whether the image can reach it. By the name the user gave, or by
 * the UUID that was installed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kexec.h"
#include "reach.h"
#include "sysdisk.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define ENTRIES_MAX 65536
#define NAME_ONE    "name a dump disk or a dump partition"

/* --- what is on it --- */

/* The kernel's name of the partition that starts at @bytes; the disk's, if it has none. */
static void name_node(const struct sysdisk *d, u64 bytes, struct kexec_target *t)
{
	char name[64];

	snprintf(t->disk, sizeof(t->disk), "%s", d->name);
	snprintf(t->node, sizeof(t->node), "/dev/%s",
		sysdisk_partition(d, bytes, name) ? name : d->name);
}

static void fill(struct kexec_target *t, const struct sysdisk *d, const struct kexec_scan *s)
{
	memcpy(t->uuid, s->first.disk_uuid, sizeof(t->uuid));
	name_node(d, s->first_bytes, t);
	reach_look(d, &t->reach);
}

/* --- by name --- */

static bool refuse_kind(const char *path, mode_t mode)
{
	if (S_ISREG(mode))
		tool_error(path, "attach it to the machine as a disk on " REACH_BY " and name that",
			"is an image file, which a crashed machine can not write to");
	else
		tool_error(path, NAME_ONE, "is no disk");
	return false;
}

static bool stat_target(const struct options *o, struct stat *st)
{
	static const char *const actions[] = {
		"status", "remove", "load", "unload", "add", "first", "last", "next", "install"};
	char todo[64] = NAME_ONE;

	for (u32 i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(o->target, actions[i]) == 0)
			snprintf(todo, sizeof(todo), "did you mean --%s=%s?", options_action(o),
				actions[i]);
	}
	if (stat(o->target, st) != 0) {
		if (errno == ENOENT)
			tool_error(o->target, todo, "does not exist");
		else
			tool_error_errno(o->target, "be examined", errno, NAME_ONE);
		return false;
	}
	return S_ISBLK(st->st_mode) || refuse_kind(o->target, st->st_mode);
}

static void refuse_unprepared(const struct options *o)
{
	char todo[64];

	snprintf(todo, sizeof(todo), "prepare it first with mkdumpdisk, without --%s",
		options_action(o));
	tool_error(o->target, todo, "is not a dump disk");
}

static bool report_scan(const struct options *o, const struct kexec_scan *s)
{
	if (s->found == 1)
		return true;
	if (s->found > 1)
		tool_error(o->target, "name the one that dumps shall go to",
			"holds %u dump partitions", s->found);
	else if (s->start_bytes)
		tool_error(o->target,
			"prepare it with mkdumpdisk, and give it the type that mkdumpdisk names",
			"is not a dump partition of a disk with a GPT");
	else
		refuse_unprepared(o);
	return false;
}

bool kexec_target_open(const struct options *o, struct kexec_target *t)
{
	struct kexec_scan scan = {0};
	struct sysdisk d;
	struct stat st;
	bool read;

	if (!stat_target(o, &st))
		return false;
	if (!sysdisk_identify(o, st.st_rdev, &d, &scan.start_bytes)) {
		tool_error(o->target, NAME_ONE, "is not known to the kernel as a disk");
		return false;
	}
	if (!sysdisk_open(&d, o)) {
		tool_error_errno(o->target, "be opened", errno,
			errno == EACCES ? "run this as root" : NAME_ONE);
		return false;
	}
	read = kexec_scan_disk(d.fd, d.bytes, d.block_bytes, &scan);
	if (!read)
		tool_error_errno(o->target, "be read", errno, "check the disk");
	close(d.fd);
	if (!read || !report_scan(o, &scan))
		return false;
	fill(t, &d, &scan);
	if (t->reach.by)
		return true;
	tool_error(o->target, t->reach.todo, "%s", t->reach.fault);
	return false;
}

/* --- by UUID --- */

/* Disks that could hold it; others may be slow to open, or made of these. */
static bool worth_opening(const char *name)
{
	static const char *const others[] = {".", "loop", "ram", "zram", "dm-", "md", "sr", "fd"};

	for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
		if (strncmp(name, others[i], strlen(others[i])) == 0)
			return false;
	}
	return strlen(name) < sizeof(((struct sysdisk *)NULL)->name);
}

static bool try_disk(
	const struct options *o, const char *name, const u8 uuid[16], struct kexec_target *t)
{
	struct kexec_scan scan = {.uuid = uuid};
	struct sysdisk d;
	bool hit;

	if (!worth_opening(name))
		return false;
	if (!sysdisk_named(o, name, &d) || !sysdisk_open(&d, o))
		return false;
	hit = kexec_scan_disk(d.fd, d.bytes, d.block_bytes, &scan) && scan.found > 0;
	close(d.fd);
	if (hit)
		fill(t, &d, &scan);
	return hit;
}

bool kexec_target_find(const struct options *o, const u8 uuid[16], struct kexec_target *t)
{
	char path[KEXEC_PATH_BYTES];
	DIR *dir = opendir(kexec_path(o, "/sys/block", path));
	struct kexec_target one;
	struct dirent *e;
	bool hit = false;

	if (!dir)
		return false;
	for (u32 i = 0; i < ENTRIES_MAX && (e = readdir(dir)); i++) {
		if (!try_disk(o, e->d_name, uuid, &one))
			continue;
		hit = true;
		*t = one;
		if (t->reach.by)
			break;
	}
	closedir(dir);
	return hit;
}
