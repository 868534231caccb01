/*
 * The survey's states: what the record on the disk asks for, what is written to it when, and
 * what the operator reads. The work on memory is surveymem.c's.
 */
#include <string.h>
#include "str.h"
#include "survey.h"
#include "surveymem.h"

#define TELL_US	    1000000u
#define ALIKE_PAGES (64u * MIB / PAGE_BYTES) /* firmware's map differs a little each time */
#define NOTE_RANGES                                                                                \
	((WRITER_NOTE_MAX_BYTES - sizeof(struct dl_survey)) / sizeof(struct dl_survey_range))

static void say_failure(enum status st)
{
	con_printf("afterimage: survey: E%u %s; %s\n", st, status_text(st), status_advice(st));
}

static u64 mib(u64 pages)
{
	return pages / (MIB / PAGE_BYTES);
}

static u64 mib_up(u64 pages)
{
	return mib(pages + MIB / PAGE_BYTES - 1);
}

/* Nothing that may follow minds whether the reason of the end could be written. */
static void end(struct survey *s, enum status reason)
{
	enum status st;

	s->log.record->state = DL_SURVEY_ENDED;
	s->log.record->reason = reason;
	s->log.record->ended_s = s->handoff->time_s;
	s->log.record->range_count = 0;
	s->log.record->lost_pages = 0;
	say_failure(reason);
	st = surveylog_write(&s->log);
	if (st != OK)
		say_failure(st);
}

static void progress(void *ctx, u64 done_pages, u64 total_pages)
{
	struct survey *s = ctx;
	u64 now = clock_us();

	con_bar((u32)(done_pages * 1000 / max_u64(total_pages, 1)));
	if (s->told_us && now - s->told_us < TELL_US)
		return;
	s->told_us = now;
	con_printf("afterimage: survey: %s, %lu MiB of %lu\n", s->doing, mib(done_pages),
		mib(total_pages));
}

static bool alike(u64 a, u64 b)
{
	return max_u64(a, b) - min_u64(a, b) <= ALIKE_PAGES;
}

/* Was it made on this machine as it is, and by the door that it is for? */
static bool fits(const struct survey *s)
{
	const struct dl_survey *r = s->log.record;
	const struct memmap *map = &s->handoff->map;

	return r->door == s->handoff->door && alike(r->ram_pages, memmap_ram_pages(map)) &&
	       alike(r->end_pfn, memmap_end_pfn(map));
}

/* Another one for each cycle: what is left of an earlier one is not taken for this one's. */
static u64 next_seed(const struct survey *s)
{
	const struct dl_survey *r = s->log.record;
	u64 id[2];

	memcpy(id, r->disk_uuid, sizeof(id));
	return (r->seed ^ id[0] ^ s->handoff->time_s << 20 ^ clock_us()) * 0x9e3779b97f4a7c15ull +
	       id[1] + 1;
}

static void describe_machine(struct survey *s)
{
	struct dl_survey *r = s->log.record;

	r->door = s->handoff->door;
	r->ram_pages = memmap_ram_pages(&s->handoff->map);
	r->end_pfn = memmap_end_pfn(&s->handoff->map);
}

/* Once it is on the disk that the pattern goes to memory, it does: then only a restart is left. */
static void fill(struct survey *s)
{
	const struct surveymem_progress p = {progress, s};
	struct dl_survey *r = s->log.record;
	enum status st;
	u64 pages;

	describe_machine(s);
	r->state = DL_SURVEY_FILLING;
	r->seed = next_seed(s);
	st = surveylog_write(&s->log);
	if (st != OK) {
		say_failure(st);
		return;
	}
	s->restart = true;
	s->doing = "filling";
	s->told_us = 0;
	pages = surveymem_fill(&s->handoff->map, r->seed, &p);
	physmem_init(s->pm, &s->handoff->map);
	r->state = DL_SURVEY_FILLED;
	st = surveylog_write(&s->log);
	if (st != OK)
		say_failure(st);
	else
		con_printf("afterimage: survey: cycle %u of %u: %lu MiB filled; restarting\n",
			r->cycles_done + 1, r->cycles_wanted, mib(pages));
}

/* OK if most of memory still has the pattern. */
static enum status pattern_find(struct survey *s)
{
	struct surveymem_sample sample;

	if (!fits(s))
		return E_SURVEY_LOST;
	surveymem_sample(s->pm, s->log.record->seed, &sample);
	if (sample.looked > 0 && sample.held >= sample.looked - sample.held)
		return OK;
	return surveymem_wiped(&sample) ? E_WIPED : E_SURVEY_LOST;
}

static void compare(struct survey *s)
{
	const struct surveymem_progress p = {progress, s};
	struct dl_survey *r = s->log.record;
	struct lostmap lost = {
		.range = s->log.range,
		.count = r->range_count,
		.max = DL_SURVEY_RANGES,
		.joined = r->joined,
	};

	s->doing = "comparing";
	r->checked_pages = surveymem_compare(s->pm, r->seed, &lost, &p);
	r->range_count = lost.count;
	r->joined = lost.joined;
	r->lost_pages = lostmap_pages(&lost);
	r->cycles_done++;
	describe_machine(s);
	con_printf("afterimage: survey: cycle %u of %u: %lu MiB compared, %lu MiB lost\n",
		r->cycles_done, r->cycles_wanted, mib(r->checked_pages), mib_up(r->lost_pages));
}

static void done(struct survey *s)
{
	struct dl_survey *r = s->log.record;
	u64 kept = r->ram_pages - min_u64(r->lost_pages, r->ram_pages);
	u64 permille = kept * 1000 / max_u64(r->ram_pages, 1);
	enum status st;

	r->state = DL_SURVEY_DONE;
	r->reason = OK;
	r->ended_s = s->handoff->time_s;
	st = surveylog_write(&s->log);
	if (st != OK) {
		say_failure(st);
		return;
	}
	s->restart = true;
	con_printf("afterimage: survey: done: %lu.%lu %% of memory survives a reset, %lu MiB do "
		   "not; see getdump survey\n",
		permille / 10, permille % 10, mib_up(r->lost_pages));
}

void survey_open(struct survey *s, struct handoff *handoff, struct physmem *pm, struct gate *gate,
	const struct dl_super *super, struct arena *arena)
{
	enum status st;

	memset(s, 0, sizeof(*s));
	s->handoff = handoff;
	s->pm = pm;
	s->arena = arena;
	s->arena_mark = arena->used;
	st = surveylog_read(&s->log, gate, super, arena);
	s->held = st == OK;
	if (st != OK && st != E_NO_DUMP)
		say_failure(st);
	if (s->held && s->log.record->state == DL_SURVEY_FILLING)
		end(s, E_SURVEY_LOST);
}

/* Did the old kernel start us itself, with no reset in between? Even if it is not told how. */
static bool after_kexec(const struct survey *s)
{
	return s->handoff->elfcorehdr_pa || s->handoff->degraded & DL_DEGRADED_ELFCOREHDR;
}

static u32 use_of(const struct survey *s)
{
	if (after_kexec(s))
		return DL_SURVEY_NOT_NEEDED;
	if (!s->held || s->log.record->state != DL_SURVEY_DONE)
		return DL_SURVEY_NONE;
	return fits(s) ? DL_SURVEY_USED : DL_SURVEY_UNFIT;
}

static void say_use(const struct survey *s)
{
	switch (s->use) {
	case DL_SURVEY_NONE:
		if (s->held && s->log.record->state != DL_SURVEY_ENDED)
			break; /* it is under way */
		con_printf("afterimage: no survey of this machine was made; see mkdumpdisk "
			   "--survey\n");
		break;
	case DL_SURVEY_UNFIT:
		con_printf("afterimage: survey: it is of another boot path or of other memory; "
			   "arm it again with mkdumpdisk --survey\n");
		break;
	case DL_SURVEY_USED:
		con_printf("afterimage: survey: %lu MiB of %lu are lost at every reset\n",
			mib_up(s->log.record->lost_pages), mib(s->log.record->ram_pages));
		break;
	default:
		break;
	}
}

/* A device that died may still write to what it was given. */
static void give_back(struct survey *s)
{
	s->held = false;
	if (s->log.gate && s->log.gate->blk->dead == OK)
		s->arena->used = s->arena_mark;
}

void survey_apply(struct survey *s)
{
	s->use = use_of(s);
	say_use(s);
	if (s->use == DL_SURVEY_USED) {
		struct lostmap lost = {
			.range = s->log.range,
			.count = s->log.record->range_count,
			.max = DL_SURVEY_RANGES,
		};

		if (surveymem_apply(&s->handoff->map, &lost)) {
			memmap_settle(&s->handoff->map, TOUCHED_NOBODY);
			return;
		}
		s->use = DL_SURVEY_UNFIT;
		con_printf("afterimage: survey: firmware's memory map is too long to mark what is "
			   "lost\n");
	}
}

/*
 * A kernel that is left in memory is a crash, unless it said goodbye. Of several only one can be
 * heard.
 */
static bool no_crash(const struct survey *s, const struct survey_kernel *k)
{
	if (after_kexec(s))
		return false;
	if (k->found == E_NO_KERNEL || s->log.record->flags & DL_SURVEY_CONFIRMED)
		return true;
	return k->kernel->verified_count == 1 && panic_orderly_end(s->pm, k->kernel, k->scratch);
}

static void start(struct survey *s)
{
	struct dl_survey *r = s->log.record;

	r->cycles_done = 0;
	r->range_count = 0;
	r->joined = 0;
	r->lost_pages = 0;
	r->reason = OK;
	fill(s);
}

/*
 * Was a kernel booted since memory was filled? It need not have used much of it. What can not be
 * verified and lies where no pattern was is left over from before.
 */
static bool kernel_since(const struct survey *s, const struct survey_kernel *k)
{
	const struct mem_range *r;

	if (after_kexec(s) || k->kernel->verified)
		return true;
	if (k->found == E_NO_KERNEL)
		return false;
	r = memmap_find(&s->handoff->map, k->kernel->trace_pa);
	return r && r->touched == TOUCHED_NOBODY;
}

static void resume(struct survey *s, const struct survey_kernel *k)
{
	enum status st = kernel_since(s, k) ? E_SURVEY_LOST : pattern_find(s);

	if (st != OK) {
		end(s, st);
		return;
	}
	compare(s);
	if (s->log.record->cycles_done < s->log.record->cycles_wanted)
		fill(s);
	else
		done(s);
}

void survey_run(struct survey *s, const struct survey_kernel *k)
{
	u32 state = s->held && !k->keep ? s->log.record->state : DL_SURVEY_IDLE;

	if (state == DL_SURVEY_ARMED && no_crash(s, k))
		start(s);
	else if (state == DL_SURVEY_ARMED)
		end(s, E_SURVEY_CRASH);
	else if (state == DL_SURVEY_FILLED)
		resume(s, k);
	give_back(s);
}

/* As a note has them: the ranges right behind the record. */
static u32 note_pack(struct surveylog *log)
{
	u64 ranges = min_u64(log->record->range_count, NOTE_RANGES);
	u64 bytes = ranges * sizeof(log->range[0]);

	memmove(log->record + 1, log->range, bytes);
	return (u32)(sizeof(*log->record) + bytes);
}

enum status survey_note(struct survey *s, struct writer *w)
{
	struct surveylog log = s->log;
	enum status st;

	if (s->use != DL_SURVEY_USED)
		return OK;
	s->arena_mark = s->arena->used;
	st = surveylog_read(&log, s->log.gate, s->log.super, s->arena);
	if (st == OK)
		st = writer_note(w, DL_NOTE_SURVEY, log.record, note_pack(&log));
	else
		st = s->log.gate->blk->dead;
	give_back(s);
	return st;
}
