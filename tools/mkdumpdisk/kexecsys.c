/*
 * What the running system says about loading a crash kernel, and programs that are started
 * for it. Decides nothing but what stands in the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kexec.h"
#include "tools/common/tool.h"

#define CRASH_LOADED  "/sys/kernel/kexec_crash_loaded"
#define CRASH_SIZE    "/sys/kernel/kexec_crash_size"
#define LOAD_DISABLED "/proc/sys/kernel/kexec_load_disabled"
#define LOCKDOWN      "/sys/kernel/security/lockdown"
#define WANTS	      "/etc/systemd/system/multi-user.target.wants/"

/* Debian's and Red Hat's; the file and the line in it by which it is switched off. */
static const struct {
	const char *service;
	const char *file;
	const char *off;
} rivals[] = {
	{"kdump-tools.service", "/etc/default/kdump-tools", "USE_KDUMP=0"},
	{"kdump.service", NULL, NULL},
};

#define LINES_MAX 4096

const char *kexec_path(const struct options *o, const char *path, char *out)
{
	snprintf(out, KEXEC_PATH_BYTES, "%s%s", o->root, path);
	return out;
}

static FILE *open_below(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return fopen(kexec_path(o, path, full), "re");
}

static bool exists(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return access(kexec_path(o, path, full), F_OK) == 0;
}

bool kexec_read_line(const struct options *o, const char *path, char *line, u32 size)
{
	FILE *f = open_below(o, path);
	bool ok;

	line[0] = '\0';
	if (!f)
		return false;
	ok = fgets(line, (int)size, f) != NULL;
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return ok;
}

static u64 read_number(const struct options *o, const char *path)
{
	char line[32];
	u64 v;

	if (!kexec_read_line(o, path, line, sizeof(line)) ||
		!tool_parse_number(line, INT64_MAX, &v))
		return 0;
	return v;
}

/* The word in brackets of "none [integrity] confidentiality"; "none" is no lockdown. */
static void read_lockdown(const struct options *o, char *word, u32 size)
{
	char line[128];
	char *open, *close;

	word[0] = '\0';
	if (!kexec_read_line(o, LOCKDOWN, line, sizeof(line)))
		return;
	open = strchr(line, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return;
	*close = '\0';
	if (strcmp(open + 1, "none") != 0)
		snprintf(word, size, "%s", open + 1);
}

static bool has_line(const struct options *o, const char *path, const char *wanted)
{
	char line[256];
	FILE *f = open_below(o, path);
	bool hit = false;

	if (!f)
		return false;
	for (u32 i = 0; !hit && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		line[strcspn(line, " \t\n")] = '\0';
		hit = strcmp(line, wanted) == 0;
	}
	fclose(f);
	return hit;
}

/* A link that leads nowhere is one as well: below a root it often does. */
static void read_rival(const struct options *o, char *name, u32 size)
{
	char path[128], full[KEXEC_PATH_BYTES], to[8];

	name[0] = '\0';
	for (u32 i = 0; i < ARRAY_SIZE(rivals); i++) {
		snprintf(path, sizeof(path), WANTS "%s", rivals[i].service);
		if (readlink(kexec_path(o, path, full), to, sizeof(to)) < 0)
			continue;
		if (!rivals[i].file || !has_line(o, rivals[i].file, rivals[i].off))
			snprintf(name, size, "%s", rivals[i].service);
	}
}

void kexec_system_read(const struct options *o, struct kexec_system *s)
{
	char line[4096];

	*s = (struct kexec_system) {.known = exists(o, "/sys/kernel")};
	read_rival(o, s->rival, sizeof(s->rival));
	s->has_kexec = exists(o, CRASH_LOADED);
	s->loaded = read_number(o, CRASH_LOADED) != 0;
	s->ours = s->loaded && exists(o, KEXEC_RECORD);
	s->load_disabled = read_number(o, LOAD_DISABLED) != 0;
	s->reserved_bytes = read_number(o, CRASH_SIZE);
	s->asked = kexec_read_line(o, "/proc/cmdline", line, sizeof(line)) &&
		   strstr(line, "crashkernel=");
	read_lockdown(o, s->lockdown, sizeof(s->lockdown));
}

bool kexec_memory_text(const struct kexec_system *s, char text[KEXEC_TEXT_BYTES])
{
	char size[32];

	if (s->reserved_bytes == 0 && s->asked) {
		snprintf(text, KEXEC_TEXT_BYTES,
			"none is reserved although crashkernel= is on the kernel command line; see "
			"what the kernel's log says of it, and set crashkernel=%uM",
			KEXEC_ADVISE_MIB);
		return false;
	}
	if (s->reserved_bytes == 0) {
		snprintf(text, KEXEC_TEXT_BYTES,
			"none is reserved; add crashkernel=%uM to the kernel command line and "
			"reboot",
			KEXEC_ADVISE_MIB);
		return false;
	}
	tool_size_text(s->reserved_bytes, size, sizeof(size));
	if (s->reserved_bytes >= KEXEC_LEAST_MIB * MIB) {
		snprintf(text, KEXEC_TEXT_BYTES, "%s reserved", size);
		return true;
	}
	snprintf(text, KEXEC_TEXT_BYTES,
		"%s reserved, too small: the image needs %u MiB; set crashkernel=%uM on the kernel "
		"command line and reboot",
		size, KEXEC_LEAST_MIB, KEXEC_ADVISE_MIB);
	return false;
}

static bool check_others(const struct kexec_system *s)
{
	char todo[KEXEC_TEXT_BYTES];
	const char *rival = *s->rival ? s->rival : "its service";

	if (!*s->rival && (!s->loaded || s->ours))
		return true;
	snprintf(todo, sizeof(todo),
		"choose one: to use afterimage, run systemctl disable --now %s%s", rival,
		s->loaded && !s->ours ? " or kexec -p -u, then do this again" : "");
	if (s->loaded && !s->ours)
		tool_error(CRASH_LOADED, todo, "another crash kernel is loaded already%s%s%s",
			*s->rival ? " (by " : "", s->rival, *s->rival ? "?)" : "");
	else
		tool_error(s->rival, todo, "is enabled and loads a crash kernel of its own");
	return false;
}

bool kexec_system_check(const struct kexec_system *s, bool memory)
{
	char text[KEXEC_TEXT_BYTES];

	if (s->known && !s->has_kexec)
		tool_error(CRASH_LOADED,
			"boot a kernel with CONFIG_KEXEC_FILE, or capture by booting the dump disk",
			"this kernel is built without kexec");
	else if (s->load_disabled)
		tool_error(LOAD_DISABLED,
			"take kernel.kexec_load_disabled=1 out of /etc/sysctl.d and reboot",
			"loading is switched off until the next boot");
	else if (*s->lockdown)
		tool_error(LOCKDOWN,
			"capture by booting the dump disk after a reset instead, or switch Secure "
			"Boot or lockdown off",
			"the kernel is locked down (%s) and loads only what is signed, which the "
			"image is not",
			s->lockdown);
	else if (!check_others(s))
		return false;
	else if (memory && !kexec_memory_text(s, text))
		tool_error(CRASH_SIZE, NULL, "crash memory: %s", text);
	else
		return true;
	return false;
}

bool kexec_find_program(const struct options *o, const char *name, char *out)
{
	static const char *const folders[] = {
		"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"};
	char path[256];

	for (u32 i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		if (access(kexec_path(o, path, out), X_OK) == 0)
			return true;
	}
	return false;
}
