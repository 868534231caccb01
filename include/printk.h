/*
 * The crashed kernel's log: the printk ring buffer (5.10 on), the record buffer (3.5 to
 * 5.9) and the plain text ring before. All offsets come from vmcoreinfo. Descriptors and
 * records are looked up by number or walked forward within the buffer's length; no pointer
 * of the old kernel but those to the buffers is followed.
 */
#ifndef AFTERIMAGE_PRINTK_H
#define AFTERIMAGE_PRINTK_H

#include "oldkernel.h"

#define PRINTK_TEXT_MAX 8192

struct printk_record {
	u64 sequence;
	u64 time_ns; /* since boot; ~0 unknown */
	u32 level;   /* 0-7; 8 unknown */
	u32 bytes;   /* of text */
	bool cut;    /* part of the text was overwritten or lies outside the dump */
	char text[PRINTK_TEXT_MAX];
};

struct printk {
	struct physmem *pm;
	struct pagetable pt;
	u32 kind;
	u64 next; /* where the walk is */
	u64 end;
	u64 steps; /* left: every walk is bounded */
	u64 lost;  /* records passed over because they were reused, torn or unreadable */
	/* places and offsets; the module's own */
	struct printk_ring {
		u64 desc_va, info_va, text_va;
		u64 desc_count, text_bytes;
		u64 first_id;
	} ring;
	s32 at[16];
	u32 size[4];
};

/* E_NO_LOG if vmcoreinfo names no log, or what it names can not be read or makes no sense. */
enum status printk_open(struct printk *p, struct physmem *pm, const struct pagetable *pt,
	const struct vmcoreinfo *vi) MUST_CHECK;

/* The next record, oldest first; false at the end. Big: not for the stack. */
bool printk_next(struct printk *p, struct printk_record *r);

#endif
