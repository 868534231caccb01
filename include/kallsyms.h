/*
 * Addresses of the old kernel's variables by name, out of the table that it keeps of its own
 * symbols: Linux 6.0 on says in vmcoreinfo where that is. Symbols of modules are not in it.
 */
#ifndef AFTERIMAGE_KALLSYMS_H
#define AFTERIMAGE_KALLSYMS_H

#include "oldkernel.h"

#define KALLSYMS_TOKENS	     256u
#define KALLSYMS_TOKEN_BYTES 3072u /* of all tokens; a kernel's take about 1000 */
#define KALLSYMS_NAMES_BYTES 4096u
#define KALLSYMS_WANTED_MAX  8u

struct kallsyms_wanted {
	const char *name;
	u64 va; /* out: 0 if there is no such symbol */
};

/* Memory lent. Big: not for the stack. Its contents are lost. */
struct kallsyms_room {
	u8 index[KALLSYMS_TOKENS * sizeof(u16)];
	u8 token[KALLSYMS_TOKEN_BYTES];
	u8 names[KALLSYMS_NAMES_BYTES];
};

/*
 * Looks up @count (at most KALLSYMS_WANTED_MAX) symbols of a verified kernel in one walk over
 * all names. Of two with the same name the first. A table is believed if it also has the address
 * of init_uts_ns as vmcoreinfo gives it. False, and all addresses 0, if there is none, if it can
 * not be read or contradicts that.
 */
bool kallsyms_find(struct physmem *pm, const struct oldkernel *k, struct kallsyms_room *room,
	struct kallsyms_wanted *wanted, u32 count);

#endif
