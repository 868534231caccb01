/*
 * What the file formats share: a dump opened for extraction, its pages in order,
 * its notes, and where the result goes.
 */
#ifndef AFTERIMAGE_EXTRACT_H
#define AFTERIMAGE_EXTRACT_H

#include "reader.h"
#include "sink.h"

struct vmcoreinfo;

enum pack_method {
	PACK_NONE,
	PACK_ZLIB,
	PACK_LZO,
	PACK_ZSTD,
};

/* The old kernel, as far as the dump's notes tell. */
struct core_facts {
	struct vmcoreinfo *vi; /* NULL if the dump has none */
	char uts[6][65];
	s64 phys_base;
	u64 page_offset; /* 0: unknown */
	u8 *notes;	 /* ELF notes: CPUs, then VMCOREINFO */
	u64 notes_bytes;
	u64 vmcoreinfo_at; /* of its text in the notes */
	u64 vmcoreinfo_bytes;
	u32 cpus;
};

struct extract {
	const struct dl_header *h;
	struct reader_map map;
	struct reader_pages pages;
	struct core_facts facts;
	struct sink sink;
	enum pack_method method;
	u32 level; /* what the file leaves out: by the dump, by request, for want of room */
	u64 done_pages;
	u64 lost_pages; /* in the log, but damaged */
	enum status lost_why;
};

/* Gathers the facts; E_NO_MEMORY. Damaged notes are left out. */
enum status facts_load(struct core_facts *f, const struct reader_map *m) MUST_CHECK;
void facts_free(struct core_facts *f);

/*
 * Puts an NT_PRPSINFO note with a task number of its own, 2^22 + n for the n-th processor,
 * before each idle processor's registers: idle tasks all have number 0, and gdb, which takes
 * notes of one number for one thread, numbers those by the last NT_PRPSINFO. The registers' notes
 * stay as they are: drgn wants to find the idle task's number there. E_NO_MEMORY.
 */
enum status facts_number_idle(struct core_facts *f) MUST_CHECK;

/*
 * Contents of a page that is in the dump, in @buf. E_ABSENT if they are damaged, which is
 * counted; never another failure.
 */
enum status extract_page(struct extract *x, u64 pfn, u8 *buf) MUST_CHECK;

/*
 * Makes the file leave out what @level does, on top of what the dump lacks. Zero pages are
 * told apart only by looking: see extract_is_zero.
 */
void extract_set_level(struct extract *x, u32 level);

/* The level asks for zero pages to be left out and @page is one. */
bool extract_is_zero(const struct extract *x, const u8 *page);

/*
 * The file can be said to hold all that the dump should and @level asks for: what the dump
 * lacks are pages that the file leaves out.
 */
bool extract_is_whole(const struct extract *x);

/* Each writes the whole file to x->sink. E_WRITE, E_NO_MEMORY. */
enum status kdump_write(struct extract *x) MUST_CHECK;
enum status elf_write(struct extract *x) MUST_CHECK;
enum status raw_write(struct extract *x) MUST_CHECK;

/* Packs one page to @out (PACK_ROOM bytes); its size, or 0 if that is not smaller. */
#define PACK_ROOM 8192
struct packer;
struct packer *packer_open(enum pack_method method); /* NULL: no memory */
u32 packer_pack(struct packer *p, const u8 *page, u8 *out);
void packer_close(struct packer *p);

#endif
