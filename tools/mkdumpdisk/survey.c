/*
 * Arms and disarms a survey: every check first, then the question, then one write. The image
 * does the survey.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "survey.h"
#include "tools/common/tool.h"

static bool has_room(const struct dumpdisk *d)
{
	if (d->super.survey_blocks > 0)
		return true;
	tool_error(d->path, "fetch its dumps with getdump, then prepare it again with mkdumpdisk",
		"was prepared without room for a survey");
	return false;
}

/* What is on record already; a damaged one is as good as none. */
static bool look(struct survey_plan *p)
{
	static struct survey_record record;

	p->before_st = survey_read(dumpdisk_read, &p->disk, &p->disk.super, &record);
	if (p->before_st == E_READ || p->before_st == E_TRUNCATED) {
		tool_error_status(p->disk.path, p->before_st);
		return false;
	}
	p->before = record.v;
	return dumpdisk_count_dumps(&p->disk, &p->dumps);
}

/* A result that was reached, or why there is none, is no armed survey. */
static bool is_armed(const struct survey_plan *p)
{
	if (p->before_st != OK)
		return p->before_st != E_NO_DUMP;
	return p->before.state == DL_SURVEY_ARMED || p->before.state == DL_SURVEY_FILLING ||
	       p->before.state == DL_SURVEY_FILLED;
}

static bool check(struct survey_plan *p)
{
	const struct options *o = p->options;

	if (!dumpdisk_open(&p->disk, o->target, !o->dry_run))
		return false;
	if (!has_room(&p->disk) || !look(p))
		return false;
	p->writes = o->survey == SURVEY_ARM || is_armed(p);
	return true;
}

static void explain(const struct survey_plan *p)
{
	const struct options *o = p->options;
	char name[256];

	tool_printable(name, sizeof(name), p->disk.path, PATH_MAX);
	fprintf(stderr,
		"The next start of the dump disk %s overwrites all memory of the machine and\n"
		"resets it, %u time%s. Start it after an orderly shutdown.\n",
		name, o->survey_cycles, o->survey_cycles == 1 ? "" : "s");
	if (o->force)
		fprintf(stderr, "With --force it does not look for a crash in memory first: one "
				"would be lost.\n");
	else
		fprintf(stderr, "If the machine crashes before that, the image sees the crash and "
				"captures it\ninstead.\n");
	if (p->before_st == OK && p->before.state == DL_SURVEY_DONE)
		fprintf(stderr, "The result of the survey before will be lost.\n");
	fprintf(stderr, "Arm the survey? [y/N] ");
}

static bool confirmed(const struct survey_plan *p)
{
	char answer[16];

	if (p->options->yes || p->options->survey == SURVEY_OFF)
		return true;
	if (!isatty(STDIN_FILENO)) {
		tool_error(p->disk.path,
			"use --yes to do it without asking: the next start of the dump disk will "
			"overwrite all memory",
			"not confirmed");
		return false;
	}
	explain(p);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	tool_error(p->disk.path, NULL, "not confirmed, nothing was written");
	return false;
}

static bool make_record(const struct survey_plan *p, struct dl_survey *v)
{
	static const struct dl_survey_range none;
	const struct options *o = p->options;
	time_t now = time(NULL);

	*v = (struct dl_survey) {
		.version = DL_VERSION,
		.state = DL_SURVEY_ARMED,
		.flags = o->force ? DL_SURVEY_CONFIRMED : 0,
		.cycles_wanted = o->survey_cycles,
		.armed_s = now > 0 ? (u64)now : 0,
	};
	memcpy(v->magic, DL_SURVEY_MAGIC, sizeof(v->magic));
	memcpy(v->disk_uuid, p->disk.super.disk_uuid, sizeof(v->disk_uuid));
	if (getrandom(&v->seed, sizeof(v->seed), 0) != (ssize_t)sizeof(v->seed)) {
		tool_error_errno(p->disk.path, "be armed", errno, "try again");
		return false;
	}
	dl_survey_seal(v, &none);
	return true;
}

/* One block: after a power cut there is the old record, the new one, or a damaged one, so none. */
static bool write_record(struct survey_plan *p)
{
	bool arm = p->options->survey == SURVEY_ARM;
	struct dl_survey v;

	if (arm && !make_record(p, &v))
		return false;
	if (dumpdisk_write_survey(&p->disk, arm ? &v : NULL) && dumpdisk_close(&p->disk))
		return true;
	tool_error(p->disk.path, "check the disk, then do it again",
		"writing the survey's record failed: %s (nothing else was touched)",
		strerror(errno));
	return false;
}

static bool act(struct survey_plan *p)
{
	if (!check(p))
		return false;
	if (p->writes && !p->options->dry_run && (!confirmed(p) || !write_record(p)))
		return false;
	if (survey_report(p))
		return true;
	tool_error(p->disk.path, "see it again with getdump survey",
		"the report could not be printed");
	return false;
}

bool survey_act(const struct options *o)
{
	static struct survey_plan plan;
	bool ok;

	plan = (struct survey_plan) {.options = o, .disk = {.fd = -1}};
	ok = act(&plan);
	/* All that matters was flushed, and closed after a write. */
	if (!dumpdisk_close(&plan.disk) && ok)
		ok = tool_error_errno(o->target, "be closed", errno, "check the disk") == TOOL_DONE;
	return ok;
}
