/*
 * The finding about the survey on the target: is it known which memory a reset destroys here,
 * and is Linux kept off it? By the kernel's own list of its memory or, where that is hidden, by
 * the words on its command line.
 */
#include <string.h>
#include "check.h"
#include "handoff.h"
#include "tools/common/reserve.h"
#include "tools/common/tool.h"

#define SURVEY_IT     "run mkdumpdisk --survey on it"
#define WORDS_MAX     500 /* of a kernel command line that a finding may quote */
#define RAM_DIFFERS   8	  /* this part of memory may differ: what firmware and Linux count */
#define CMDLINE_WORDS 256

static struct reserve wanted;
static struct reserve missing;
static char words[RESERVE_TEXT_BYTES];

static bool overlaps(const struct sys_range *r, u64 pa, u64 bytes)
{
	return r->start < pa + bytes && pa < r->start + r->bytes;
}

/* All of it is taken away from Linux by one memmap=. */
static bool reserved_by_words(const struct check_system *s, const struct reserve_region *r)
{
	const char *at = s->cmdline;
	struct sys_range range;

	for (u32 i = 0; i < CMDLINE_WORDS && sysfacts_memmap_next(&at, &range); i++) {
		if (r->pa >= range.start && range_fits(r->pa - range.start, r->bytes, range.bytes))
			return true;
	}
	return false;
}

static bool is_kept_off(const struct check_system *s, const struct reserve_region *r)
{
	if (s->ram_count == 0)
		return reserved_by_words(s, r);
	for (u32 i = 0; i < s->ram_count; i++) {
		if (overlaps(&s->ram[i], r->pa, r->bytes))
			return false;
	}
	return true;
}

/* The regions of @wanted that Linux uses, to @missing. */
static void find_missing(const struct check_system *s)
{
	missing.bytes = 0;
	missing.count = 0;
	for (u32 i = 0; i < wanted.count; i++) {
		if (is_kept_off(s, &wanted.region[i]))
			continue;
		missing.bytes += wanted.region[i].bytes;
		missing.region[missing.count++] = wanted.region[i];
	}
}

/* Does the kernel itself lie in memory that a reset destroys? No reservation helps then. */
static bool kernel_lost(const struct check_system *s, const struct survey_record *v)
{
	for (u32 i = 0; i < v->v.range_count; i++) {
		if (s->kernel.bytes && overlaps(&s->kernel, v->range[i].pa, v->range[i].bytes))
			return true;
	}
	return false;
}

static void look_at_reservation(
	const struct check_system *s, const struct survey_record *v, struct finding *f)
{
	char bytes[32];

	find_missing(s);
	if (missing.count == 0 && kernel_lost(s, v)) {
		finding_set(f, CHECK_WARNING,
			"done, and memory is reserved, but the kernel's own code and data, at "
			"0x%llx, "
			"lie where a reset destroys them",
			(unsigned long long)s->kernel.start);
		finding_todo(f, "start Linux another way, as docs/survey.md says under Reserving");
		return;
	}
	if (missing.count == 0) {
		finding_set(f, CHECK_OK, "done, and Linux is kept off what a reset destroys");
		return;
	}
	reserve_text(&missing, RESERVE_PLAIN, words);
	finding_set(f, CHECK_WARNING,
		"done, but Linux uses memory that a reset destroys: %u piece%s, %s", missing.count,
		missing.count == 1 ? "" : "s", tool_size_text(missing.bytes, bytes, sizeof(bytes)));
	if (strlen(words) <= WORDS_MAX)
		finding_todo(f,
			"add %s to the kernel command line and reboot; getdump survey prints it "
			"for GRUB",
			words);
	else
		finding_todo(f, "add to the kernel command line what getdump survey prints, and "
				"reboot");
}

/* Was it made by the way that a capture will go, with the memory there is? */
static bool fits(const struct check_system *s, const struct dl_survey *v, struct finding *f)
{
	u32 door = s->uefi ? DOOR_UEFI : DOOR_BIOS;
	u64 surveyed = v->ram_pages * PAGE_BYTES;
	u64 apart = surveyed > s->ram_bytes ? surveyed - s->ram_bytes : s->ram_bytes - surveyed;
	char then[32], now[32];

	if (v->door != door && v->door != DOOR_LINUX && v->door != DOOR_MULTIBOOT)
		finding_set(f, CHECK_WARNING,
			"was made booting by %s, and this machine boots by %s", door_name(v->door),
			door_name(door));
	else if (s->ram_bytes > 0 && apart > surveyed / RAM_DIFFERS)
		finding_set(f, CHECK_WARNING, "was made with %s of memory, and there are %s now",
			tool_size_text(surveyed, then, sizeof(then)),
			tool_size_text(s->ram_bytes, now, sizeof(now)));
	else
		return true;
	finding_todo(f, "it is of no use here: " SURVEY_IT " again");
	return false;
}

static void look_at_record(const struct check_facts *c, struct finding *f)
{
	const struct dl_survey *v = &c->disk.survey.v;

	switch (v->state) {
	case DL_SURVEY_DONE:
		if (!fits(&c->system, v, f))
			return;
		reserve_make(&c->disk.survey, &wanted);
		look_at_reservation(&c->system, &c->disk.survey, f);
		return;
	case DL_SURVEY_ARMED:
		finding_set(f, v->flags & DL_SURVEY_CONFIRMED ? CHECK_STOPS : CHECK_WARNING,
			"is armed: the next start of the disk overwrites all memory%s",
			v->flags & DL_SURVEY_CONFIRMED ? ", whether there is a crash in it or not"
						       : ", unless there is a crash in it");
		finding_todo(f, "carry it out now, or run mkdumpdisk --survey=off on the disk");
		return;
	case DL_SURVEY_FILLING:
	case DL_SURVEY_FILLED:
		finding_set(
			f, CHECK_WARNING, "is under way: start the disk again to go on with it");
		finding_todo(f, "go on with it, or run mkdumpdisk --survey=off on the disk");
		return;
	default:
		finding_set(f, CHECK_WARNING, "ended without a result: %s",
			v->reason ? status_text(v->reason) : "no reason is on record");
		finding_todo(f, SURVEY_IT " again");
		return;
	}
}

void check_survey(const struct check_facts *c, struct finding *f)
{
	const struct check_disk *d = &c->disk;

	f->name = "survey";
	if (!d->found)
		return;
	if (d->survey_status == OK) {
		look_at_record(c, f);
	} else if (d->super.survey_blocks == 0) {
		finding_set(f, CHECK_WARNING,
			"none, and the disk has no room for one: which memory a reset destroys is "
			"not "
			"known");
		finding_todo(f,
			"fetch and clear the dumps, prepare the disk again with mkdumpdisk, "
			"then " SURVEY_IT);
	} else if (d->survey_status == E_NO_DUMP) {
		finding_set(f, CHECK_WARNING,
			"none was made: which memory a reset destroys is not known, and Linux may "
			"use it");
		finding_todo(f, SURVEY_IT);
	} else {
		finding_set(f, CHECK_WARNING, "can not be used: %s", status_text(d->survey_status));
		finding_todo(f, SURVEY_IT " again");
	}
}
