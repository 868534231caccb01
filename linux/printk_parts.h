/*
 * Private to linux/printk*.c: the three kinds of log, and what they share.
 */
#ifndef AFTERIMAGE_LINUX_PRINTK_PARTS_H
#define AFTERIMAGE_LINUX_PRINTK_PARTS_H

#include "printk.h"

/* What one step of a walk came upon. */
enum printk_found {
	PRINTK_RECORD,
	PRINTK_NOTHING,
	PRINTK_LOST,
	PRINTK_UNREADABLE,
};

/* Numbers of all @keys to p->at; false if one is absent or no size or offset of a struct. */
bool printk_keys(struct printk *p, const struct vmcoreinfo *vi, const char *const *keys, u32 count);

/* Copies a few bytes of the old kernel; false if they can not be read. */
bool printk_get(const struct printk *p, u64 va, void *buf, u32 bytes);

/* The same for the variable behind the SYMBOL @key. */
bool printk_symbol(
	const struct printk *p, const struct vmcoreinfo *vi, const char *key, void *buf, u32 bytes);

/* Copies text page by page; how many bytes there are before the first unreadable page. */
u32 printk_text(const struct printk *p, u64 va, char *to, u32 bytes);

/* Fills the record with the text at @va, as much as can be read and has room. */
void printk_fill(struct printk *p, struct printk_record *r, u64 va, u32 bytes);

/*
 * Of each kind: open fails with E_NO_LOG; next takes one step and ends the walk by setting
 * p->steps to 0. The record comes cleared, its time and level unknown.
 */
enum status printk_ring_open(struct printk *p, const struct vmcoreinfo *vi) MUST_CHECK;
enum printk_found printk_ring_next(struct printk *p, struct printk_record *r);
enum status printk_records_open(struct printk *p, const struct vmcoreinfo *vi) MUST_CHECK;
enum printk_found printk_records_next(struct printk *p, struct printk_record *r);
enum status printk_plain_open(struct printk *p, const struct vmcoreinfo *vi) MUST_CHECK;
enum printk_found printk_plain_next(struct printk *p, struct printk_record *r);

#endif
