/*
 * --kexec=load and --kexec=unload: what the service runs. Loads only what can work, replaces
 * and unloads nobody else's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "crc32c.h"
#include "kexec.h"
#include "tools/common/guid.h"
#include "tools/common/tool.h"

#define WAIT_TRIES   50 /* at boot the disk may still be looked for: 10 s */
#define WAIT_NS	     200000000
#define OUT_BYTES    512
#define INSTALL_TODO "install kexec-tools"

/* What was decided before anything is loaded. */
struct load {
	struct kexec_settings settings;
	struct kexec_system system;
	struct kexec_target target;
	char kexec[KEXEC_PATH_BYTES];
	char image[KEXEC_PATH_BYTES];
	char words[160]; /* the image's command line */
};

static bool check_image(const struct options *o, struct load *l)
{
	u64 bytes;
	u8 *data = kexec_image_load(kexec_path(o, l->settings.image, l->image), &bytes);
	bool ok;

	if (!data)
		return false;
	ok = !l->settings.copied || crc32c(0, data, bytes) == l->settings.image_crc32c;
	free(data);
	if (!ok)
		tool_error(l->image, "install it again with mkdumpdisk --kexec TARGET",
			"is damaged: it is not what was installed");
	return ok;
}

/* The service may start before the disk is found; a user at a terminal is told at once. */
static bool find_target(const struct options *o, struct load *l)
{
	const struct timespec pause = {.tv_nsec = WAIT_NS};
	u32 tries = getenv("INVOCATION_ID") ? WAIT_TRIES : 1;
	char uuid[GUID_TEXT_BYTES];

	for (u32 i = 0; i < tries; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		if (!kexec_target_find(o, l->settings.target_uuid, &l->target))
			continue;
		if (l->target.reach.by)
			return true;
		tool_error(l->target.node, l->target.reach.todo, "%s", l->target.reach.fault);
		return false;
	}
	tool_error(guid_text(l->settings.target_uuid, uuid),
		"attach that disk, or choose another with mkdumpdisk --kexec TARGET",
		"no disk has the dump partition with this UUID; without it nothing can be "
		"captured");
	return false;
}

static bool find_kexec(const struct options *o, char *path)
{
	if (kexec_find_program(o, "kexec", path))
		return true;
	tool_error("kexec", INSTALL_TODO, "is not installed");
	return false;
}

static bool load_prepare(const struct options *o, struct load *l)
{
	char uuid[GUID_TEXT_BYTES];

	if (!kexec_settings_load(o, &l->settings))
		return false;
	kexec_system_read(o, &l->system);
	l->system.known = true;
	if (!kexec_system_check(&l->system, true) || !find_kexec(o, l->kexec))
		return false;
	if (!check_image(o, l) || !find_target(o, l))
		return false;
	snprintf(l->words, sizeof(l->words), "dump=%s console=%s",
		guid_text(l->settings.target_uuid, uuid), l->settings.console);
	return true;
}

static bool is_loaded(const struct options *o)
{
	struct kexec_system s;

	kexec_system_read(o, &s);
	return s.loaded;
}

/* By the system call that @flag stands for; what kexec said is in @out. */
static bool try_load(const struct load *l, const char *flag, char *out)
{
	char words[200];
	char *argv[] = {(char *)l->kexec, "-p", (char *)flag, words, (char *)l->image, NULL};

	snprintf(words, sizeof(words), "--command-line=%s", l->words);
	return kexec_run(argv, out, OUT_BYTES) == 0;
}

static const char *load_either(const struct load *l)
{
	char by_file[OUT_BYTES], by_segments[OUT_BYTES];

	if (try_load(l, "-s", by_file))
		return "kexec_file_load";
	if (try_load(l, "-c", by_segments))
		return "kexec_load";
	tool_error(l->image, "see what the kernel's log says of it",
		"kexec can not load it: by kexec_file_load: %s, by kexec_load: %s", by_file,
		by_segments);
	return NULL;
}

/* The record comes first: what is loaded and not known to be ours would stay for ever. */
static const char *load_recorded(const struct options *o, const struct load *l)
{
	char uuid[GUID_TEXT_BYTES], line[GUID_TEXT_BYTES + 1];
	const char *how;
	bool loaded;

	snprintf(line, sizeof(line), "%s\n", guid_text(l->settings.target_uuid, uuid));
	if (!kexec_file_write(o, KEXEC_RECORD, line, strlen(line)))
		return NULL;
	how = load_either(l);
	loaded = is_loaded(o);
	if (how && !loaded)
		tool_error(l->image, "see what the kernel's log says of it",
			"kexec reported success, but nothing is loaded");
	if (!loaded && !kexec_file_remove(o, KEXEC_RECORD, false))
		return NULL;
	return loaded ? how : NULL;
}

bool kexec_load(const struct options *o)
{
	char memory[KEXEC_TEXT_BYTES];
	const char *how = NULL;
	struct load l;

	if (!load_prepare(o, &l))
		return false;
	if (o->dry_run) {
		printf("%s -p -s --command-line='%s' %s\n", l.kexec, l.words, l.image);
		return true;
	}
	how = load_recorded(o, &l);
	if (!how)
		return false;
	kexec_memory_text(&l.system, memory);
	printf("loaded by %s; a crash is captured to %s; %s\n", how, l.target.node, memory);
	return true;
}

static bool run_unload(const char *kexec)
{
	char by_file[OUT_BYTES], by_segments[OUT_BYTES];
	char *file[] = {(char *)kexec, "-p", "-u", "-s", NULL};
	char *segments[] = {(char *)kexec, "-p", "-u", "-c", NULL};

	if (kexec_run(file, by_file, OUT_BYTES) == 0 ||
		kexec_run(segments, by_segments, OUT_BYTES) == 0)
		return true;
	tool_error(kexec, "see what the kernel's log says of it",
		"the image can not be unloaded: %s, %s", by_file, by_segments);
	return false;
}

bool kexec_unload(const struct options *o)
{
	char kexec[KEXEC_PATH_BYTES];
	struct kexec_system s;

	kexec_system_read(o, &s);
	if (s.loaded && !s.ours) {
		printf("another program's crash kernel is loaded; it stays\n");
		return true;
	}
	if (s.loaded && o->dry_run)
		printf("would unload the image\n");
	if (o->dry_run)
		return true;
	if (s.loaded && (!find_kexec(o, kexec) || !run_unload(kexec)))
		return false;
	return kexec_file_remove(o, KEXEC_RECORD, false);
}
