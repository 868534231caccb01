/*
 * The old kernel's log, whichever of the three kinds it has: which one, and the walk over
 * it. What the kinds look like is in their own files.
 */
#include <string.h>
#include "linux/printk_parts.h"

#define KEY_MAX 65535 /* no struct of the log is nearly as big */

static const struct kind {
	const char *symbol; /* that only kernels with this kind export */
	enum status (*open)(struct printk *p, const struct vmcoreinfo *vi);
	enum printk_found (*next)(struct printk *p, struct printk_record *r);
} kinds[] = {
	{"SYMBOL(prb)", printk_ring_open, printk_ring_next},
	{"SYMBOL(log_first_idx)", printk_records_open, printk_records_next},
	{"SYMBOL(log_end)", printk_plain_open, printk_plain_next},
};

bool printk_keys(struct printk *p, const struct vmcoreinfo *vi, const char *const *keys, u32 count)
{
	for (u32 i = 0; i < count && i < PRINTK_KEYS; i++) {
		s64 number;

		if (!vmcoreinfo_number(vi, keys[i], &number) || number < 0 || number > KEY_MAX)
			return false;
		p->at[i] = (u32)number;
	}
	return true;
}

bool printk_get(const struct printk *p, u64 va, void *buf, u32 bytes)
{
	return pagetable_read(p->pm, &p->pt, va, buf, bytes) == OK;
}

bool printk_symbol(
	const struct printk *p, const struct vmcoreinfo *vi, const char *key, void *buf, u32 bytes)
{
	u64 va;

	return vmcoreinfo_hex(vi, key, &va) && printk_get(p, va, buf, bytes);
}

u32 printk_text(const struct printk *p, u64 va, char *to, u32 bytes)
{
	u32 done = 0;

	while (done < bytes) {
		u64 at = va + done;
		u32 n = (u32)min_u64(bytes - done, PAGE_BYTES - (at & (PAGE_BYTES - 1)));

		if (!printk_get(p, at, to + done, n))
			break;
		done += n;
	}
	return done;
}

void printk_fill(struct printk *p, struct printk_record *r, u64 va, u32 bytes)
{
	u32 want = (u32)min_u64(bytes, PRINTK_TEXT_MAX);

	r->bytes = printk_text(p, va, r->text, want);
	if (r->bytes < want)
		p->unreadable++;
	if (r->bytes < bytes)
		r->cut = true;
}

enum status printk_open(struct printk *p, struct physmem *pm, const struct pagetable *pt,
	const struct vmcoreinfo *vi)
{
	memset(p, 0, sizeof(*p));
	p->pm = pm;
	p->pt = *pt;
	for (p->kind = 0; p->kind < ARRAY_SIZE(kinds); p->kind++) {
		u32 bytes;

		if (vmcoreinfo_text(vi, kinds[p->kind].symbol, &bytes))
			return kinds[p->kind].open(p, vi);
	}
	return E_NO_LOG;
}

bool printk_next(struct printk *p, struct printk_record *r)
{
	while (p->steps > 0) {
		enum printk_found found;

		p->steps--;
		memset(r, 0, offsetof(struct printk_record, text));
		r->time_ns = PRINTK_TIME_UNKNOWN;
		r->level = PRINTK_LEVEL_UNKNOWN;
		found = kinds[p->kind].next(p, r);
		if (found == PRINTK_RECORD)
			return true;
		p->lost += found != PRINTK_NOTHING;
		p->unreadable += found == PRINTK_UNREADABLE;
	}
	return false;
}
