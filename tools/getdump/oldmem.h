/*
 * The old machine's memory as a dump has it, and the old kernel in it: what linux/ needs
 * to look things up in a dump.
 */
#ifndef AFTERIMAGE_OLDMEM_H
#define AFTERIMAGE_OLDMEM_H

#include "oldkernel.h"
#include "reader.h"

struct oldmem {
	struct physmem pm;
	struct oldkernel kernel;
	struct reader_pages pages;
	struct oldmem_cached *cache; /* single pages, unpacked */
};

/*
 * Opens the memory of the dump behind @map, which must stay, as @m must stay in its place.
 * Zero pages read as zeros; E_ABSENT for pages without contents, E_CHECKSUM and the like for
 * damaged ones. Of m->kernel vi, pt, phys_base, page_offset and uts are filled. E_NO_KERNEL if
 * the dump's notes describe no kernel, E_VMCOREINFO if they are damaged, E_NO_MEMORY; nothing
 * is held then. Big: not for the stack.
 */
enum status oldmem_open(struct oldmem *m, const struct reader_map *map) MUST_CHECK;

void oldmem_close(struct oldmem *m);

#endif
