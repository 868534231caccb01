/*
 * The crashed kernel's log: the printk ring buffer (5.10 on), the record buffer (3.5 to
 * 5.9) and the plain text ring before. All offsets come from vmcoreinfo. Descriptors and
 * records are looked up by number or walked forward within the buffer's length; no pointer
 * of the old kernel but those to the buffers is followed.
 */
#ifndef AFTERIMAGE_PRINTK_H
#define AFTERIMAGE_PRINTK_H

#include "oldkernel.h"

#define PRINTK_TEXT_MAX	     8192
#define PRINTK_TIME_UNKNOWN  UINT64_MAX
#define PRINTK_LEVEL_UNKNOWN 8
#define PRINTK_BY_KERNEL     0 /* facility; what user space writes to /dev/kmsg has others */
#define PRINTK_KEYS	     20

struct printk_record {
	u64 sequence;
	u64 time_ns;  /* since boot; PRINTK_TIME_UNKNOWN */
	u32 level;    /* 0-7; PRINTK_LEVEL_UNKNOWN */
	u32 facility; /* PRINTK_BY_KERNEL also if it is unknown */
	u32 bytes;    /* of text */
	bool cut;     /* part of the text was overwritten or lies outside the dump */
	/* As the kernel wrote it: any bytes, not terminated; '\n' only between its lines. */
	char text[PRINTK_TEXT_MAX];
};

struct printk {
	struct physmem *pm;
	struct pagetable pt;
	u32 kind;
	u64 next;	/* where the walk is: descriptor ID or position in the buffer */
	u64 end;	/* of the walk, if it is by position */
	u64 steps;	/* left: every walk is bounded */
	u64 sequence;	/* of the next record, where the kernel stores none */
	u64 lost;	/* passed over: torn, overwritten or unreadable */
	u64 unreadable; /* records of which not all could be read; some of them are in @lost */
	u64 desc_va, info_va, text_va;
	u64 descs;	     /* a power of two */
	u64 text_bytes;	     /* likewise, but for the record buffer */
	u32 at[PRINTK_KEYS]; /* sizes and offsets, as the kind numbers them */
};

/* E_NO_LOG if vmcoreinfo names no log, or what it names can not be read or makes no sense. */
enum status printk_open(struct printk *p, struct physmem *pm, const struct pagetable *pt,
	const struct vmcoreinfo *vi) MUST_CHECK;

/* The next record, oldest first; false at the end. Big: not for the stack. */
bool printk_next(struct printk *p, struct printk_record *r);

#endif
