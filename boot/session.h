/*
 * One capture from the front door to the restart of the machine, and its steps; between the
 * files of the core.
 */
#ifndef AFTERIMAGE_SESSION_H
#define AFTERIMAGE_SESSION_H

#include "acpi.h"
#include "capture.h"
#include "choose.h"
#include "elfcore.h"
#include "handoff.h"
#include "oldkernel.h"
#include "pagescan.h"
#include "panic.h"
#include "survey.h"
#include "target.h"
#include "writer.h"

/* Everything a capture needs. Big, and there is only one: not on the stack. */
struct session {
	struct handoff *handoff;
	struct acpi acpi;
	struct arena arena;
	u64 arena_mark; /* what was used before a disk was looked for */
	struct physmem pm;
	struct oldkernel kernel;
	struct pagemap pagemap;
	struct pagescan scan;
	struct target_ask ask;
	struct target target;
	struct target next; /* while it is looked for */
	struct survey survey;
	u64 crash_id; /* of the old kernel's run; 0: not known */
	struct writer writer;
	struct compressor compressor;
	struct elfcore core;		    /* if the handoff has one */
	char panic[DL_PANIC_BYTES];	    /* empty: the old kernel did not say */
	union {				    /* each byte here is one that the arena lacks */
		struct oldkernel candidate; /* until a kernel is found */
		struct panic_scratch log;   /* then */
		struct capture capture;	    /* from the first page on */
	};
	void (*panic_way)(void); /* of the front door, until the capture begins; NULL: none */
	u64 start_us;
	u32 degraded;
	u32 recent; /* captures shortly before this one, on whichever disk there were more */
	bool has_core;
	bool has_pagemap;
	bool kernel_known;
	bool target_open;
	bool dump_open;
	bool reported;
	bool leaving;
};

/* Failure and advice; the capture goes on without what failed. */
void session_say(enum status st);

/*
 * boot/known.c: what is known of the old kernel. Once for a capture, whatever disk it goes to.
 */

/*
 * The kernel. One that can not be verified is dumped too, all of it: OK. E_NO_KERNEL if there is
 * no trace of one.
 */
enum status known_kernel(struct session *s) MUST_CHECK;

/* Why it stopped, and its page map, as far as these can be found. */
void known_rest(struct session *s);

/*
 * boot/store.c: the dump on the disk that is open.
 */

/* All of it. Why the dump is not complete; s->dump_open tells if there is one. */
enum status store_dump(struct session *s) MUST_CHECK;

/*
 * boot/disk.c: the disk that the dump goes to.
 */

/*
 * Opens the dump disk and lets @dump do its work on it; if that fails for the disk's sake,
 * again on the next one, as long as there is one. What the last one ended with, or why there is
 * no disk at all.
 */
enum status disk_dump(struct session *s, enum status (*dump)(struct session *s)) MUST_CHECK;

#endif
