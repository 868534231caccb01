/*
 * A disk of this machine as sysfs and /dev show it, both below the root that the options name.
 */
#ifndef MKDUMPDISK_SYSDISK_H
#define MKDUMPDISK_SYSDISK_H

#include <sys/types.h>
#include "kexec.h"
#include "options.h"
#include "status.h"
#include "types.h"

/* Of an EFI system partition, c12a7328-f81f-11d2-ba4b-00a0c93ec93b, as stored on disk. */
extern const u8 sysdisk_esp_type[16];

struct sysdisk {
	char sysfs[KEXEC_PATH_BYTES]; /* below the root, or the running system's own */
	char name[64];		      /* in /sys/block */
	int fd;			      /* after sysdisk_open */
	u64 bytes;
	u32 block_bytes;
};

/* The disk with this @name in /sys/block; nothing is opened. False: the name is too long. */
bool sysdisk_named(const struct options *o, const char *name, struct sysdisk *d) MUST_CHECK;

/*
 * The disk that @dev is or is a partition of; then *@start_bytes is where it starts, else 0.
 * Nothing is opened. False: the kernel knows no such disk.
 */
bool sysdisk_identify(
	const struct options *o, dev_t dev, struct sysdisk *d, u64 *start_bytes) MUST_CHECK;

/* Opens the disk to be read, and measures it; the caller closes @d->fd. False: errno is set. */
bool sysdisk_open(struct sysdisk *d, const struct options *o) MUST_CHECK;

/* Reads blocks of the open struct sysdisk @disk; a gpt_read_fn. */
enum status sysdisk_read(void *disk, u64 lba, u32 blocks, void *buf) MUST_CHECK;

/* The kernel's name of the partition that starts at @start_bytes; false if it knows none. */
bool sysdisk_partition(const struct sysdisk *d, u64 start_bytes, char name[64]) MUST_CHECK;

/* The number of the partition @name of the disk; 0 if the kernel does not tell. */
u32 sysdisk_partition_number(const struct sysdisk *d, const char *name);

#endif
