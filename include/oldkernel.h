/*
 * All that the rest of the program sees of the crashed kernel: find it, verify it,
 * translate its addresses. Bytes in, facts out.
 */
#ifndef AFTERIMAGE_OLDKERNEL_H
#define AFTERIMAGE_OLDKERNEL_H

#include "physmem.h"
#include "status.h"

#define VMCOREINFO_MAX 4096
#define UTS_FIELD      65
#define UTS_FIELDS     6

/* The text in a private, NUL-terminated copy. */
struct vmcoreinfo {
	u32 bytes;
	char text[VMCOREINFO_MAX + 1];
};

/*
 * Value of the line `KEY=...`. vmcoreinfo_text returns a pointer into the text and its
 * length without the newline. _hex parses with or without 0x, _number signed decimal or
 * 0x hex; false if the line is absent or malformed (overflow included).
 */
const char *vmcoreinfo_text(const struct vmcoreinfo *vi, const char *key, u32 *bytes);
bool vmcoreinfo_hex(const struct vmcoreinfo *vi, const char *key, u64 *value);
bool vmcoreinfo_number(const struct vmcoreinfo *vi, const char *key, s64 *value);

struct pagetable {
	u64 root_pa;
	u32 levels; /* 4 or 5 */
	u64 sme_mask;
};

/*
 * Physical address of @va by walking the old kernel's tables (Intel SDM Vol. 3A s4.5):
 * 4 KiB, 2 MiB and 1 GiB pages. E_PAGETABLE if not present or not canonical, E_NOT_RAM if a
 * table lies outside RAM. The result itself is not checked to be RAM.
 */
enum status pagetable_walk(
	struct physmem *pm, const struct pagetable *pt, u64 va, u64 *pa) MUST_CHECK;

/* The same, and how far from *pa on the old kernel's memory continues: up to the end of the
 * 4 KiB, 2 MiB or 1 GiB page that maps @va. */
enum status pagetable_map(
	struct physmem *pm, const struct pagetable *pt, u64 va, u64 *pa, u64 *bytes) MUST_CHECK;

/* Copies [va, va+len) of the old kernel; @len is bounded by the caller. */
enum status pagetable_read(
	struct physmem *pm, const struct pagetable *pt, u64 va, void *buf, u64 len) MUST_CHECK;

struct oldkernel {
	bool verified;	 /* false: candidates seen, none verified; only vi and candidates count */
	enum status why; /* OK if verified, else what failed for the best candidate */
	u32 candidates;	 /* seen */
	u32 verified_count; /* kernels that verified; copies of one kernel's text are one */
	u64 trace_pa;	    /* of what showed that there is one */
	u64 vmcoreinfo_pa;
	struct vmcoreinfo vi;
	struct pagetable pt;
	s64 phys_base;
	u64 page_offset;		 /* 0 unknown */
	char uts[UTS_FIELDS][UTS_FIELD]; /* sanitised, NUL-terminated */
};

enum uts_index {
	UTS_SYSNAME,
	UTS_NODENAME,
	UTS_RELEASE,
	UTS_VERSION,
	UTS_MACHINE,
	UTS_DOMAIN,
};

struct pagemap;

#define OLDKERNEL_SKIPS 4

/* What to look for. All zero: any kernel, anywhere. */
struct oldkernel_ask {
	u64 hint_pa; /* of vmcoreinfo; what verifies there is taken without a search; 0: none */
	u32 skips;   /* kernels that are not wanted, by oldkernel_skip */
	struct oldkernel_known {
		u64 root_pa;
		s64 phys_base;
	} skip[OLDKERNEL_SKIPS];
};

/* Adds the verified @k to what is not wanted; false if there is no room for more. */
bool oldkernel_skip(struct oldkernel_ask *ask, const struct oldkernel *k);

/*
 * Searches all RAM of pm->map for vmcoreinfo, verifies each candidate through its own page tables
 * and keeps the best: one with CRASHTIME before one without, unless its page map describes less
 * than half of what the other's does; then the one whose page map describes most of RAM; then
 * the one found first. What @ask skips is counted and not
 * taken; if there is nothing else it is E_NO_KERNEL. @k is big: not for the stack. OK if verified; E_NO_KERNEL if there is
 * no candidate; else why none verified. @k, @scratch and @map are three places: kernels are
 * compared in them. The contents of the last two are lost.
 */
enum status oldkernel_find(struct physmem *pm, const struct oldkernel_ask *ask, struct oldkernel *k,
	struct oldkernel *scratch, struct pagemap *map) MUST_CHECK;

/*
 * When there is no candidate: is there a kernel's banner in RAM that nobody has written to since?
 * Reads all of it. *@pa is where the first one lies, @release is NUL-terminated.
 */
bool oldkernel_banner(struct physmem *pm, u64 *pa, char release[UTS_FIELD]);

#endif
