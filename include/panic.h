/*
 * Why the old kernel stopped, in its own words.
 */
#ifndef AFTERIMAGE_PANIC_H
#define AFTERIMAGE_PANIC_H

#include "printk.h"

/* What was the last that the log says of an end. */
enum panic_last {
	PANIC_WORDS_NONE = 0,
	PANIC_WORDS_GOODBYE = 1, /* an orderly end, with little behind it */
	PANIC_WORDS_OOPS = 2,	 /* or a BUG or a lockup */
	PANIC_WORDS_PANIC = 3,
	PANIC_WORDS_RESET = 4, /* sysrq B, and no panic before it */
};

struct panic_words {
	u32 last; /* enum panic_last */
	/* Of the last record that follows the one before it, as in struct printk_record. */
	u64 sequence;
	u64 time_ns; /* a number made of its text if the log has no times */
};

/* Lent: a walk over the log and one record. Big: not for the stack. */
struct panic_scratch {
	struct printk log;
	struct printk_record record;
};

/*
 * Finds in the old kernel's log, in this order,
 *  - the line of the last panic, without its "Kernel panic - not syncing: ", unless it is
 *    "Fatal exception...", which only says that there was an oops;
 *  - the first line of the last oops, BUG or lockup. Such lines with at most 16 records
 *    from one to the next are one report: "BUG: kernel NULL pointer dereference" is taken,
 *    not the "Oops: 0002" after it. A kernel that is to panic on an oops enters kexec before
 *    it says so: its log ends here;
 *  - the line of a panic that says "Fatal exception".
 * Only lines of the kernel's own that begin so count. Sanitised and NUL-terminated, cut to @bytes. False, and an
 * empty text, if there is none.
 */
bool panic_find(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	char *text, u32 bytes);

/* How the log of a verified kernel ends. False if it can not be read or is empty. */
bool panic_last_words(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	struct panic_words *words);

/*
 * Does the log of a verified kernel end with its own words of an orderly end (restart, power
 * off, halt, the start of another kernel), followed by little and by no panic, oops or lockup?
 * False also if the log can not be read.
 */
bool panic_orderly_end(
	struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch);

#endif
