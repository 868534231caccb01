/*
 * Facts of a log in words.
 */
#include <stdio.h>
#include <time.h>
#include "describe.h"
#include "ports.h"
#include "tools/common/tool.h"

#define YEAR_9999_END_S 253402300799ull

const char *describe_time(u64 time_s, char *buf, u32 size)
{
	struct tm tm;
	time_t t = (time_t)time_s;

	if (time_s == 0 || time_s > YEAR_9999_END_S || !gmtime_r(&t, &tm) ||
		strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, size, "unknown");
	return buf;
}

static bool damaged(enum status st)
{
	return st != OK && st != E_TRUNCATED;
}

bool describe_damage(const struct source *s)
{
	const struct reader *r = &s->reader;
	bool front = damaged(r->super_front);
	bool back = damaged(r->super_back);

	if (front || back)
		tool_error(s->path, "fetch the dumps, then prepare the disk again with mkdumpdisk",
			"the %s superblock is damaged, the other one serves",
			front ? "first" : "last");
	if (r->bad_slots)
		tool_error(s->path, status_advice(r->bad_slot_why),
			"%u of %u directory slots can not be read: %s (E%d)", r->bad_slots,
			r->super.dir_slots, status_text(r->bad_slot_why), (int)r->bad_slot_why);
	return front || back || r->bad_slots;
}

const char *describe_classes(u32 mask, char buf[DESCRIBE_CLASSES])
{
	u32 at = 0;

	buf[0] = '\0';
	for (u32 class = 0; class < DL_CLASSES; class ++) {
		if (!(mask >> class & 1) || at >= DESCRIBE_CLASSES)
			continue;
		at += (u32)snprintf(buf + at, DESCRIBE_CLASSES - at, "%s%s", at ? ", " : "",
			dl_class_name(class));
	}
	return buf;
}

const char *describe_degraded(u32 bit)
{
	switch (1u << bit) {
	case DL_DEGRADED_NO_VMCOREINFO:
		return "no kernel could be verified: everything was kept";
	case DL_DEGRADED_SEVERAL:
		return "several kernels in memory: the best was taken";
	case DL_DEGRADED_MEMMAP:
		return "the firmware's memory map had too many ranges";
	case DL_DEGRADED_SUPERBLOCK:
		return "one of the superblocks was damaged";
	case DL_DEGRADED_LEVEL:
		return "pages were kept that the level asked for leaves out";
	case DL_DEGRADED_BOOT_HEADER:
		return "the boot area's settings were damaged: defaults were used";
	case DL_DEGRADED_DIRECTORY:
		return "a directory slot was damaged: its dump was not protected";
	case DL_DEGRADED_PAGEMAP:
		return "the old kernel's page map could not be used: everything was kept";
	case DL_DEGRADED_DROPPED:
		return "classes were left out because they would not fit";
	case DL_DEGRADED_ELFCOREHDR:
		return "the loader's description of memory was damaged: it was guessed";
	case DL_DEGRADED_REGISTERS:
		return "the registers of some processors could not be read";
	case DL_DEGRADED_NEXT_DISK:
		return "another dump disk failed before: the dump began anew on this one";
	default:
		return NULL;
	}
}

const char *describe_survey(u32 use)
{
	static const char *const words[] = {
		[DL_SURVEY_NOT_NEEDED] = "not needed",
		[DL_SURVEY_NONE] = "none was made",
		[DL_SURVEY_USED] = "used",
		[DL_SURVEY_UNFIT] = "unfit: made by another boot path or with other memory",
	};

	return use < ARRAY_SIZE(words) ? words[use] : "unknown";
}

const char *describe_after(u32 after)
{
	static const char *const words[] = {
		[ACTION_REBOOT] = "reboot",
		[ACTION_POWEROFF] = "poweroff",
		[ACTION_HALT] = "halt",
	};

	return after < ARRAY_SIZE(words) ? words[after] : "unknown";
}

const char *describe_overwrite(u32 overwrite)
{
	static const char *const words[] = {
		[DL_OVERWRITE_NEVER] = "never",
		[DL_OVERWRITE_OLDEST] = "oldest",
	};

	return overwrite < ARRAY_SIZE(words) ? words[overwrite] : "unknown";
}
