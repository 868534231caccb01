/*
 * --kexec=install and --kexec=remove: the service, the udev rule, the settings, and, if the
 * program is not installed itself, copies of it and of the image. Everything is checked
 * before the first file is written; the link that enables the service comes last.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bootfile.h"
#include "crc32c.h"
#include "kexec.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define UNIT	     "/etc/systemd/system/" KEXEC_SERVICE
#define UNIT_LINK    "/etc/systemd/system/sysinit.target.wants/" KEXEC_SERVICE
#define RULE	     "/etc/udev/rules.d/90-afterimage-kexec.rules"
#define COPIES	     "/usr/local/lib/afterimage-kexec"
#define COPY_PROGRAM COPIES "/mkdumpdisk"
#define COPY_IMAGE   COPIES "/" KEXEC_IMAGE
#define PLAIN	     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-" /* to systemd */
#define TEXT_BYTES   12288

/*
 * Early, so that crashes at boot are captured too; not stopped at shutdown, for those there.
 * After the others, so that it is seen if one of them has loaded its own.
 */
static const char unit_text[] = "[Unit]\n"
				"Description=Load afterimage to capture crashes\n"
				"DefaultDependencies=no\n"
				"RequiresMountsFor=%s %s\n"
				"After=local-fs.target systemd-sysctl.service "
				"systemd-udev-trigger.service kdump-tools.service kdump.service\n"
				"StartLimitIntervalSec=0\n"
				"\n"
				"[Service]\n"
				"Type=oneshot\n"
				"RemainAfterExit=yes\n"
				"TimeoutSec=150\n"
				"ExecStart=%s --kexec=load\n"
				"ExecStop=%s --kexec=unload\n"
				"\n"
				"[Install]\n"
				"WantedBy=sysinit.target\n";

/*
 * What is loaded describes memory and processors as they were then. Events that are only
 * repeated for udev's sake, at boot one per processor, have a SYNTH_UUID.
 */
#define RESTART                                                                                    \
	"ENV{SYNTH_UUID}!=\"?*\", RUN+=\"/bin/systemctl --no-block try-restart " KEXEC_SERVICE     \
	"\"\n"
static const char rule_text[] =
	"# Made by mkdumpdisk --kexec: the loaded image must know memory and processors.\n"
	"SUBSYSTEM==\"memory\", ACTION==\"add|remove|online|offline\", " RESTART
	"SUBSYSTEM==\"cpu\", ACTION==\"add|remove\", " RESTART;

struct setup {
	struct kexec_system system;
	struct kexec_target target;
	struct kexec_settings settings;
	char program[2048]; /* that the service runs */
	u8 *image;
	u64 image_bytes;
};

/* An installed program is used where it is, so that an upgrade reaches the service. */
static bool find_files(const struct options *o, struct setup *s)
{
	char path[KEXEC_PATH_BYTES], whole[PATH_MAX];
	bool installed = false;
	ssize_t n;

	if (o->image)
		snprintf(path, sizeof(path), "%s", o->image);
	else if (!bootfile_find(path, sizeof(path), KEXEC_IMAGE, o->target, &installed))
		return false;
	s->image = kexec_image_load(path, &s->image_bytes);
	if (!s->image)
		return false;
	n = readlink("/proc/self/exe", s->program, sizeof(s->program) - 1);
	s->program[n > 0 ? n : 0] = '\0';
	s->settings.copied = *o->root || !installed || n <= 0 ||
			     n >= (ssize_t)sizeof(s->program) - 1 || !realpath(path, whole) ||
			     s->program[strspn(s->program, PLAIN)] || whole[strspn(whole, PLAIN)] ||
			     strlen(whole) >= sizeof(s->settings.image);
	if (s->settings.copied) {
		snprintf(s->program, sizeof(s->program), COPY_PROGRAM);
		snprintf(whole, sizeof(whole), COPY_IMAGE);
	}
	snprintf(s->settings.image, sizeof(s->settings.image), "%s", whole);
	s->settings.image_crc32c = crc32c(0, s->image, s->image_bytes);
	return true;
}

static bool plan(const struct options *o, struct setup *s)
{
	char path[KEXEC_PATH_BYTES];

	if (*o->root && access(o->root, F_OK) != 0) {
		tool_error_errno(o->root, "be used as the root", errno, "name a folder");
		return false;
	}
	if (!kexec_target_open(o, &s->target))
		return false;
	kexec_system_read(o, &s->system);
	if (!kexec_system_check(&s->system, false))
		return false;
	if (!kexec_find_program(o, "kexec", path)) {
		tool_error("kexec", "install kexec-tools", "is not installed");
		return false;
	}
	memcpy(s->settings.target_uuid, s->target.uuid, sizeof(s->target.uuid));
	kexec_console_text(o, s->settings.console);
	return find_files(o, s);
}

static bool write_text(const struct options *o, const char *path, const char *text)
{
	return kexec_file_write(o, path, text, strlen(text));
}

static bool write_files(const struct options *o, const struct setup *s)
{
	char text[TEXT_BYTES];

	if (s->settings.copied && (!kexec_file_write(o, COPY_IMAGE, s->image, s->image_bytes) ||
					  !kexec_file_copy_program(o, COPY_PROGRAM)))
		return false;
	kexec_settings_text(&s->settings, text, sizeof(text));
	if (!write_text(o, KEXEC_SETTINGS, text))
		return false;
	snprintf(text, sizeof(text), unit_text, s->program, s->settings.image, s->program,
		s->program);
	return write_text(o, UNIT, text) && write_text(o, RULE, rule_text) &&
	       kexec_file_link(o, UNIT_LINK, UNIT);
}

/* Whether there is a systemd to be told. */
static bool find_systemctl(const struct options *o, char *path)
{
	return !*o->root && access("/run/systemd/system", F_OK) == 0 &&
	       kexec_find_program(o, "systemctl", path);
}

static bool systemctl(char *program, char *verb, char *unit)
{
	char *argv[] = {program, verb, unit, NULL};
	char out[512];

	if (kexec_run(argv, out, sizeof(out)) == 0)
		return true;
	tool_error(KEXEC_SERVICE, "see journalctl -u afterimage-kexec", "systemctl %s failed: %s",
		verb, out);
	return false;
}

static void print_setup(const struct options *o, const struct setup *s)
{
	char uuid[GUID_TEXT_BYTES], memory[KEXEC_TEXT_BYTES];

	printf("%s: crashes %s captured to %s\n", o->target, o->dry_run ? "would be" : "will be",
		s->target.node);
	printf("  UUID         %s\n", guid_text(s->target.uuid, uuid));
	printf("  service      %s\n", UNIT);
	printf("  rule         %s\n", RULE);
	printf("  settings     %s\n", KEXEC_SETTINGS);
	printf("  program      %s%s\n", s->program, s->settings.copied ? " (a copy)" : "");
	printf("  image        %s%s\n", s->settings.image, s->settings.copied ? " (a copy)" : "");
	printf("  console      %s\n", s->settings.console);
	printf("  crashkernel  %uM (the least that works: %uM)\n", KEXEC_ADVISE_MIB,
		KEXEC_LEAST_MIB);
	if (!s->system.known)
		return;
	kexec_memory_text(&s->system, memory);
	printf("  memory       %s\n", memory);
}

static void print_next(const struct options *o, const struct setup *s, bool loaded)
{
	char text[KEXEC_TEXT_BYTES];

	if (o->dry_run)
		printf("nothing was written (--dry-run)\n");
	else if (loaded)
		printf("next: nothing, the image is loaded; mkdumpdisk --kexec=status tells of it, "
		       "and on a test machine echo c >/proc/sysrq-trigger tries it\n");
	else if (!*o->root && kexec_memory_text(&s->system, text))
		printf("next: reboot, or run mkdumpdisk --kexec=load\n");
	else
		printf("next: put crashkernel=%uM on the kernel command line and reboot; on "
		       "Debian: "
		       "add it to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then run "
		       "update-grub\n",
			KEXEC_ADVISE_MIB);
}

static bool carry_out(const struct options *o, const struct setup *s)
{
	char program[KEXEC_PATH_BYTES], text[KEXEC_TEXT_BYTES];
	bool load = find_systemctl(o, program);

	if (!write_files(o, s)) {
		tool_error(o->target,
			"correct that and repeat it, or run mkdumpdisk --kexec=remove",
			"the installation is not complete");
		return false;
	}
	if (load && !systemctl(program, "daemon-reload", NULL))
		return false;
	load = load && kexec_memory_text(&s->system, text);
	if (load && !systemctl(program, "restart", KEXEC_SERVICE))
		return false;
	print_setup(o, s);
	print_next(o, s, load);
	return true;
}

bool kexec_install(const struct options *o)
{
	struct setup s = {0};
	bool ok = plan(o, &s);

	if (ok && o->dry_run) {
		print_setup(o, &s);
		print_next(o, &s, false);
	} else if (ok) {
		ok = carry_out(o, &s);
	}
	free(s.image);
	return ok;
}

/* --- removal --- */

static const struct {
	const char *path;
	bool folder; /* made for it */
} files[] = {
	{UNIT_LINK, false},
	{UNIT, false},
	{RULE, false},
	{KEXEC_SETTINGS, true},
	{COPY_IMAGE, false},
	{COPY_PROGRAM, true},
};

static bool file_exists(const struct options *o, const char *file)
{
	char path[KEXEC_PATH_BYTES], to[8];

	kexec_path(o, file, path);
	return access(path, F_OK) == 0 || readlink(path, to, sizeof(to)) >= 0;
}

static u32 count_files(const struct options *o)
{
	u32 count = 0;

	for (u32 i = 0; i < ARRAY_SIZE(files); i++) {
		if (!file_exists(o, files[i].path))
			continue;
		if (o->dry_run)
			printf("would remove %s%s\n", o->root, files[i].path);
		count++;
	}
	return count;
}

/* Or systemd would list a service that failed even after its unit is gone. */
static bool stop_service(char *program)
{
	char *argv[] = {program, "reset-failed", KEXEC_SERVICE, NULL};
	bool ok = systemctl(program, "stop", KEXEC_SERVICE);
	char out[512];

	return kexec_run(argv, out, sizeof(out)) >= 0 && ok;
}

bool kexec_remove(const struct options *o)
{
	char program[KEXEC_PATH_BYTES];
	bool systemd = find_systemctl(o, program);
	u32 count = count_files(o);
	bool ok = true;

	if (systemd && file_exists(o, UNIT) && !o->dry_run)
		ok = stop_service(program);
	if (!*o->root)
		ok = kexec_unload(o) && ok;
	for (u32 i = 0; !o->dry_run && i < ARRAY_SIZE(files); i++)
		ok = kexec_file_remove(o, files[i].path, files[i].folder) && ok;
	if (systemd && count > 0 && !o->dry_run)
		ok = systemctl(program, "daemon-reload", NULL) && ok;
	if (count == 0)
		printf("nothing is installed\n");
	else if (ok && !o->dry_run)
		printf("removed; take crashkernel= off the kernel command line to have the memory "
		       "back\n");
	return ok;
}
