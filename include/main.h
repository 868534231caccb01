/*
 * The core's two entries. Everything before dump_main is a front door's.
 */
#ifndef AFTERIMAGE_MAIN_H
#define AFTERIMAGE_MAIN_H

#include "handoff.h"
#include "status.h"

/* The first line; a front door prints it once there is a console. @door: enum door. */
void dump_hello(u32 door);

/*
 * Captures: prints exactly one result line and the action line, then calls
 * machine_reset. @handoff stays; a survey on the disk may mark more of its memory as touched.
 * Returns only in the hosted build.
 */
void dump_main(struct handoff *handoff);

/*
 * For faults that nothing can go on after (exceptions, overrun stack): says @status and
 * @detail with the result line and restarts the machine. Never called by pure code but main.
 */
void dump_panic(enum status status, const char *detail);

#endif
