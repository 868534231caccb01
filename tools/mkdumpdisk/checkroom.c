/*
 * Findings about room and kernel: does a dump of this machine fit the disk, and is this a kernel
 * whose pages the image can tell apart? Sizes are before compression, so rather too big.
 */
#include "check.h"
#include "tools/common/tool.h"
#include "writer.h"

/* Bits of the level whose pages can be counted from outside are not in the dump. */
static u64 needed_bytes(const struct check_system *s, u32 level)
{
	u64 out = 0;

	if (level & DL_LEVEL_FREE)
		out += s->free_bytes;
	if (level & DL_LEVEL_PRIVATE_CACHE)
		out += s->cache_bytes;
	if (level & DL_LEVEL_USER)
		out += s->user_bytes;
	return s->ram_bytes > out ? s->ram_bytes - out : s->ram_bytes;
}

static void no_room(const struct check_disk *d, struct finding *f)
{
	finding_set(f, CHECK_STOPS, "%s with %u dump%s that %s not cleared",
		d->slot_free ? "the disk is full" : "the dump directory is full", d->dumps,
		d->dumps == 1 ? "" : "s", d->dumps == 1 ? "is" : "are");
	finding_todo(f, "fetch the dumps with getdump and clear them");
}

static const char *more_room(const struct check_disk *d)
{
	if (d->dumps > 0 && d->room_bytes < d->data_bytes)
		return "fetch the dumps with getdump and clear them, or use a larger disk";
	if (d->super.level == DL_LEVEL_MAX)
		return "use a larger disk";
	return "use a larger disk, or prepare it with --level 31";
}

void check_room(const struct check_facts *c, struct finding *f)
{
	const struct check_disk *d = &c->disk;
	char room[32], ram[32], need_text[32];
	u64 need = needed_bytes(&c->system, d->super.level);

	f->name = "room";
	if (!d->found)
		return;
	if (!d->slot_free || d->room_bytes < WRITER_MIN_BYTES) {
		no_room(d, f);
		return;
	}
	tool_size_text(d->room_bytes, room, sizeof(room));
	tool_size_text(c->system.ram_bytes, ram, sizeof(ram));
	tool_size_text(need, need_text, sizeof(need_text));
	if (c->system.ram_bytes == 0) {
		finding_set(f, CHECK_WARNING, "%s; how much memory there is can not be seen", room);
		finding_todo(f, "mount /proc");
	} else if (d->room_bytes >= c->system.ram_bytes) {
		finding_set(f, CHECK_OK, "%s, enough for all memory (%s)", room, ram);
	} else if (d->room_bytes >= need) {
		finding_set(f, CHECK_OK,
			"%s, enough for what level %u keeps at present (%s of %s, before "
			"compression)",
			room, d->super.level, need_text, ram);
	} else {
		finding_set(f, CHECK_WARNING,
			"%s; level %u keeps up to %s of %s at present, before compression: the "
			"least useful pages may be left out",
			room, d->super.level, need_text, ram);
		finding_todo(f, "%s", more_room(d));
	}
}

#define TESTED_MAJOR 5u
#define TESTED_MINOR 10u

void check_kernel(const struct check_facts *c, struct finding *f)
{
	const struct check_system *s = &c->system;
	u32 major, minor;

	f->name = "kernel";
	if (!s->kernel_known) {
		finding_set(f, CHECK_WARNING, "nothing can be seen of the kernel");
		finding_todo(f, "mount /sys");
	} else if (!s->vmcoreinfo) {
		finding_set(f, CHECK_STOPS,
			"%s has no /sys/kernel/vmcoreinfo, by which the image finds it in memory",
			*s->release ? s->release : "this kernel");
		finding_todo(f,
			"boot a kernel with CONFIG_VMCORE_INFO (before 6.9: CONFIG_CRASH_CORE), "
			"which CONFIG_KEXEC brings");
	} else if (!sysfacts_release(s->release, &major, &minor)) {
		finding_set(f, CHECK_WARNING, "its version can not be seen");
		finding_todo(f, "mount /proc");
	} else if (major < TESTED_MAJOR || (major == TESTED_MAJOR && minor < TESTED_MINOR)) {
		finding_set(f, CHECK_WARNING,
			"%s is older than all that the image was tested with (%u.%u)", s->release,
			TESTED_MAJOR, TESTED_MINOR);
		finding_todo(f, "try it once, as README.md says");
	} else {
		finding_set(f, CHECK_OK, "%s describes itself to the image", s->release);
	}
}
