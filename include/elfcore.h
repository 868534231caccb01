/*
 * The ELF header that kexec leaves for a capture (elfcorehdr): the old kernel's RAM as
 * PT_LOAD, vmcoreinfo and each processor's registers as PT_NOTE. Read through a physmem, a
 * program header at a time, so that nothing grows with processors or memory. Everything in
 * it is checked: it lies in memory that a crashed kernel could write to.
 */
#ifndef AFTERIMAGE_ELFCORE_H
#define AFTERIMAGE_ELFCORE_H

#include "memmap.h"
#include "physmem.h"

#define ELFCORE_MAX_HEADERS  65534u /* e_phnum's range but PN_XNUM, which kexec never uses */
#define ELFCORE_HEADER_BYTES 56u    /* of one Elf64_Phdr */
#define ELFCORE_NOTE_MAX     1024u  /* a processor's NT_PRSTATUS takes 356 bytes */

struct elfcore {
	u64 pa; /* of the ELF header */
	u64 headers_pa;
	u32 count; /* program headers */
	u32 loads; /* usable PT_LOADs */
	u32 notes; /* PT_NOTEs */
};

/*
 * Checks the header at @pa and counts what it has. Program headers that make no sense (no
 * bytes, beyond 2^52, more than 64 TiB in one) are passed over. E_ELFCOREHDR if it is no such header, can
 * not be read, or has no usable PT_LOAD. @pm must reach it: the loader's own memory.
 */
enum status elfcore_open(struct elfcore *e, struct physmem *pm, u64 pa) MUST_CHECK;

/*
 * Adds every PT_LOAD to @map as RAM but those that make no sense or reach into what @map calls
 * RESERVED above 1 MiB: that is a damaged size, and device registers lie in its way. How many
 * were left out.
 */
u32 elfcore_memmap(const struct elfcore *e, struct physmem *pm, struct memmap *map);

/*
 * Address of the note VMCOREINFO, 0 if there is none. From here on @pm must reach both: the
 * program headers in the loader's memory and the notes in the old kernel's.
 */
u64 elfcore_vmcoreinfo(const struct elfcore *e, struct physmem *pm);

/* A walk over the processors' notes. All zero: its start. */
struct elfcore_walk {
	u32 next;   /* program header */
	u32 absent; /* processors without a note: offline, or they did not answer */
	u32 broken; /* program headers and notes that could not be read or make no sense */
};

/*
 * The next processor's NT_PRSTATUS as ELF note (header, name, descriptor, padded), in the
 * order of the program headers; 0 bytes after the last one. Of several in one PT_NOTE the
 * first counts. Empty notes are passed over as Linux's own /proc/vmcore does, so that the
 * n-th note is the n-th processor that has one.
 */
u32 elfcore_prstatus(const struct elfcore *e, struct physmem *pm, struct elfcore_walk *walk,
	u8 note[ELFCORE_NOTE_MAX]);

#endif
