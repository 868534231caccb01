/*
 * The record buffer, Linux 3.5 to 5.9: records of any size one after the other, each with
 * its length in front, from log_first_idx to log_next_idx. A length of 0 says that the next
 * record is at the buffer's start; there is always room for that. Nothing marks a record's
 * start, so the walk ends where one can not be read or makes no sense.
 */
#include "linux/printk_parts.h"

#define BUFFER_MAX (1u << 31) /* the most that log_buf_len= takes */
#define HEADER_MIN 16u

/* From the dictionary's length: u16 length, u8 facility, u8 flags:5 level:3. */
#define FACILITY_AFTER_LENGTH 2
#define LEVEL_SHIFT	      5

enum key {
	RECORD_BYTES, /* of its header */
	RECORD_TIME,
	RECORD_LEN,
	RECORD_TEXT_LEN,
	RECORD_DICT_LEN,
	KEYS,
};

static const char *const keys[KEYS] = {
	[RECORD_BYTES] = "SIZE(printk_log)",
	[RECORD_TIME] = "OFFSET(printk_log.ts_nsec)",
	[RECORD_LEN] = "OFFSET(printk_log.len)",
	[RECORD_TEXT_LEN] = "OFFSET(printk_log.text_len)",
	[RECORD_DICT_LEN] = "OFFSET(printk_log.dict_len)",
};

/* Its name up to 3.10. */
static const char *const old_keys[KEYS] = {
	[RECORD_BYTES] = "SIZE(log)",
	[RECORD_TIME] = "OFFSET(log.ts_nsec)",
	[RECORD_LEN] = "OFFSET(log.len)",
	[RECORD_TEXT_LEN] = "OFFSET(log.text_len)",
	[RECORD_DICT_LEN] = "OFFSET(log.dict_len)",
};

enum status printk_records_open(struct printk *p, const struct vmcoreinfo *vi)
{
	u32 bytes;
	u32 first;
	u32 next;

	if (!printk_keys(p, vi, keys, KEYS) && !printk_keys(p, vi, old_keys, KEYS))
		return E_NO_LOG;
	if (!printk_symbol(p, vi, "SYMBOL(log_buf)", &p->text_va, sizeof(p->text_va)) ||
		!printk_symbol(p, vi, "SYMBOL(log_buf_len)", &bytes, sizeof(bytes)) ||
		!printk_symbol(p, vi, "SYMBOL(log_first_idx)", &first, sizeof(first)) ||
		!printk_symbol(p, vi, "SYMBOL(log_next_idx)", &next, sizeof(next)))
		return E_NO_LOG;
	if (p->at[RECORD_BYTES] < HEADER_MIN || bytes > BUFFER_MAX || first >= bytes ||
		next >= bytes)
		return E_NO_LOG;
	p->text_bytes = bytes;
	p->next = first;
	p->end = next;
	/* One more for the step to the start: a second lap would run out of steps. */
	p->steps = first == next ? 0 : bytes / p->at[RECORD_BYTES] + 1;
	return OK;
}

/* Level and facility are known from 3.6 on; 3.5 stored them otherwise. */
static bool read_header(
	const struct printk *p, u64 va, struct printk_record *r, u16 *len, u16 *text_len)
{
	u8 by[2]; /* facility, level */

	if (!printk_get(p, va + p->at[RECORD_LEN], len, sizeof(*len)) ||
		!printk_get(p, va + p->at[RECORD_TEXT_LEN], text_len, sizeof(*text_len)) ||
		!printk_get(p, va + p->at[RECORD_TIME], &r->time_ns, sizeof(r->time_ns)) ||
		!printk_get(p, va + p->at[RECORD_DICT_LEN] + FACILITY_AFTER_LENGTH, by, sizeof(by)))
		return false;
	r->facility = by[0];
	r->level = by[1] >> LEVEL_SHIFT;
	return true;
}

static enum printk_found end_walk(struct printk *p, enum printk_found found)
{
	p->steps = 0;
	return found;
}

/* To the start, once: from there on the walk only goes forward to the end. */
static enum printk_found wrap(struct printk *p)
{
	if (p->next <= p->end)
		return end_walk(p, PRINTK_LOST);
	p->next = 0;
	return p->end == 0 ? end_walk(p, PRINTK_NOTHING) : PRINTK_NOTHING;
}

enum printk_found printk_records_next(struct printk *p, struct printk_record *r)
{
	u64 limit = p->next < p->end ? p->end : p->text_bytes;
	u64 va = p->text_va + p->next;
	u32 header = p->at[RECORD_BYTES];
	u16 text_len;
	u16 len;

	if (!range_fits(p->next, header, limit))
		return end_walk(p, PRINTK_LOST);
	if (!read_header(p, va, r, &len, &text_len))
		return end_walk(p, PRINTK_UNREADABLE);
	if (len == 0)
		return wrap(p);
	if (len < header || !range_fits(p->next, len, limit))
		return end_walk(p, PRINTK_LOST);
	r->sequence = p->sequence++;
	r->cut = text_len > len - header;
	printk_fill(p, r, va + header, (u32)min_u64(text_len, len - header));
	p->next += len;
	if (p->next == p->end)
		p->steps = 0;
	return PRINTK_RECORD;
}
