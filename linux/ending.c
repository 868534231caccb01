/*
 * How the old kernel stopped, by its log.
 */
#include <string.h>
#include "ending.h"

void ending_find(struct physmem *pm, const struct oldkernel *k, struct panic_scratch *scratch,
	struct ending *out)
{
	bool orderly = panic_orderly_end(pm, k, scratch);

	memset(out, 0, sizeof(*out));
	out->how = orderly ? ENDING_ORDERLY : ENDING_CRASH;
	out->why = orderly ? "shut down in order" : "did not shut down";
	out->crash_id = k->vmcoreinfo_pa;
}
