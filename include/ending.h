/*
 * How the old kernel stopped: told to (restart, power off, halt), or by a crash, a hang, a reset;
 * and which run of which kernel that was. Everything is read from the kernel itself.
 */
#ifndef AFTERIMAGE_ENDING_H
#define AFTERIMAGE_ENDING_H

#include "panic.h"

enum ending_how {
	ENDING_UNKNOWN = 0, /* neither its log nor its state can be read */
	ENDING_ORDERLY = 1, /* it went all the way down, because it was told to */
	ENDING_CRASH = 2,   /* anything else: it was running, or on its way down */
};

struct ending {
	u32 how;	 /* enum ending_how */
	const char *why; /* a constant, for "it REASON": "was still running", "panicked", ... */
	/*
	 * Names this run of this kernel at the moment it stopped: the same however often the same
	 * memory is looked at, another one for any other run. 0: can not be told.
	 */
	u64 crash_id;
	/*
	 * Of a crash: its log was read, and says that it panicked, or its variables say that it had
	 * not begun to go down. The remains of a kernel that ended in order and that a later one
	 * wrote over may look like a crash, but not like that.
	 */
	bool sure;
};

/*
 * Of the verified kernel @k, which need not have a page map. Orderly only if its log ends with its
 * own words of an orderly end and, where symbols can be looked up (6.0 on), its system_state and
 * its panic state agree; a hardware register, a timer or sysrq that restarted it leaves no such
 * words. A CRASHTIME, a panic or a state that contradicts the log makes it a crash.
 */
void ending_find(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	struct ending *out);

#endif
