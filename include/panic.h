/*
 * Why the old kernel stopped, in its own words.
 */
#ifndef AFTERIMAGE_PANIC_H
#define AFTERIMAGE_PANIC_H

#include "printk.h"

/* Lent: a walk over the log and one record. Big: not for the stack. */
struct panic_scratch {
	struct printk log;
	struct printk_record record;
};

/*
 * Finds the panic message in the old kernel's log: the text after "Kernel panic - not
 * syncing: " of the last record with it; failing that the first line of the last oops or BUG.
 * Sanitised and NUL-terminated, cut to @bytes. False, and an empty text, if there is none.
 */
bool panic_find(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	char *text, u32 bytes);

#endif
