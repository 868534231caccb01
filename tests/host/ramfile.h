/*
 * RAM files of QEMU's q35 as old memory: mapped privately, with the kernel in them found and
 * its page map opened. For programs that work on real images.
 */
#ifndef AFTERIMAGE_RAMFILE_H
#define AFTERIMAGE_RAMFILE_H

#include "pagemap.h"

struct ramfile {
	u8 *base; /* all of it; writing changes this copy only */
	u64 bytes;
	struct memmap map;
	struct physmem pm;
	struct oldkernel kernel;
	struct oldkernel scratch;
	struct pagemap pagemap;
};

/*
 * Maps @files one behind the other and gives them to the hosted ports: up to 0xb0000000 bytes
 * from address 0, else the first 2 GiB there and the rest from 4 GiB. The memory map is a
 * PC's, or that in the file @map_path: lines of first and last usable byte in hexadecimal.
 * Says what is wrong and exits if it can not.
 */
void ramfile_load(struct ramfile *r, char *const *files, u32 count, const char *map_path);

/* Finds the kernel and opens its page map; what does not work is its status. */
enum status ramfile_open(struct ramfile *r) MUST_CHECK;

#endif
