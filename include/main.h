/*
 * The core's two entries. Everything before dump_main is a front door's.
 */
#ifndef AFTERIMAGE_MAIN_H
#define AFTERIMAGE_MAIN_H

#include "choose.h"
#include "handoff.h"
#include "status.h"

/* The first line; a front door prints it once there is a console. @door: enum door. */
void dump_hello(u32 door);

/*
 * Asks the old kernel in automatic mode, and the console (choose.h), what to do; to be called
 * while firmware still works, if at all. @disk: what is on the dump disk, with automatic mode;
 * @key, @ctx as in struct choose. What was chosen goes into @handoff. *@crash_id: of what is to be
 * captured in automatic mode, 0: not known.
 */
enum choose_way dump_choose(struct handoff *handoff, const struct choose_disk *disk,
	u32 (*key)(void *ctx, u64 wait_us), void *ctx, u64 *crash_id) MUST_CHECK;

/*
 * Until dump_main dump_panic leaves by @way, which is a way on for firmware, instead of a restart:
 * that would come to the same place again. @way may return if it finds none.
 */
void dump_panic_way(void (*way)(void));

/*
 * Without a capture: switches the machine off if @way is CHOOSE_OFF, else restarts it. Returns only
 * in the hosted build.
 */
void dump_leave(struct handoff *handoff, enum choose_way way);

/*
 * Captures: prints exactly one result line and the action line, then calls
 * machine_reset; if nobody was asked yet what to do, the console is, and if that wants no capture
 * there is no result line. @handoff stays; a survey on the disk may mark more of its memory as touched.
 * Returns only in the hosted build.
 */
void dump_main(struct handoff *handoff);

/*
 * For faults that nothing can go on after (exceptions, overrun stack): says @status and
 * @detail with the result line and restarts the machine. Never called by pure code but main.
 */
void dump_panic(enum status status, const char *detail);

#endif
