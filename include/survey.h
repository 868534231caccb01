/*
 * The survey: which memory this machine loses between a reset and the start of the image. Its
 * states are those of the record on the disk (surveylog.h); here is what the image does in each:
 *
 *	ARMED    memory is filled, unless it may hold a crash; the machine restarts
 *	FILLING  found at a start: it was cut short, and is over
 *	FILLED   memory is compared; then the next cycle fills it again, or all is DONE; the
 *	         machine restarts. It is over if a kernel ran in between, if the pattern is gone,
 *	         or if the machine is another
 *	DONE     the capture uses the result
 *
 * Whatever goes wrong ends the survey and never the capture that may follow.
 */
#ifndef AFTERIMAGE_SURVEY_H
#define AFTERIMAGE_SURVEY_H

#include "handoff.h"
#include "oldkernel.h"
#include "panic.h"
#include "surveyio.h"
#include "writer.h"

struct survey {
	struct handoff *handoff;
	struct physmem *pm;
	struct arena *arena;
	u64 arena_mark; /* what was used before the record came into it */
	struct surveylog log;
	bool held;    /* the record is good and in memory */
	bool restart; /* memory belongs to the survey: no capture, the machine starts anew */
	u32 use;      /* enum dl_survey_use */
	u64 told_us;  /* progress, last */
	const char *doing;
};

/* What was found in memory, and what is lent to read its log. */
struct survey_kernel {
	enum status found; /* OK also for one that could not be verified; E_NO_KERNEL */
	const struct oldkernel *kernel;
	struct panic_scratch *scratch;
	bool keep; /* whatever the record says: a dump of this memory was begun, or may have been */
};

/* Reads the record. Everything handed over stays the caller's and must stay. */
void survey_open(struct survey *s, struct handoff *handoff, struct physmem *pm, struct gate *gate,
	const struct dl_super *super, struct arena *arena);

/*
 * Marks in the handoff's map what an earlier survey found to be lost, and says how much that
 * is. s->use is for the dump's header.
 */
void survey_apply(struct survey *s);

/*
 * Goes one step on in a survey that is under way, if memory holds no crash and k->keep is not set:
 * then s->restart is set. If not, the arena has its memory back.
 */
void survey_run(struct survey *s, const struct survey_kernel *k);

/*
 * Writes the note of a survey that was used: with as many ranges as a note holds. The record is
 * read again; if that fails the dump does without.
 */
enum status survey_note(struct survey *s, struct writer *w) MUST_CHECK;

#endif
