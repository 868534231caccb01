/*
 * Finds and reads a file in a FAT16 or FAT32 file system (FAT specification 1.03): by short
 * names, read only, to see what an EFI system partition holds. Any bytes may be there: every
 * position is checked, every chain of clusters has a bound.
 */
#ifndef AFTERIMAGE_FAT_H
#define AFTERIMAGE_FAT_H

#include "types.h"

#define FAT_NAME_BYTES 11 /* as on disk: 8 and 3 characters, upper case, blanks at the end */

enum fat_result {
	FAT_FOUND,
	FAT_MISSING,
	FAT_UNREADABLE, /* no such file system, damaged, or the reader failed */
};

/* All @bytes at @offset of the file system, or false. */
typedef bool (*fat_read_fn)(void *ctx, u64 offset, void *buf, u64 bytes);

/* An open file system; the fields are fat.c's. */
struct fat {
	fat_read_fn read;
	void *ctx;
	u64 bytes;
	u32 cluster_bytes;
	u32 clusters;
	u32 entry_bytes; /* of a cluster in the table: 2 or 4 */
	u64 table_at;
	u64 root_at; /* FAT16: the root folder has a place of its own */
	u32 root_bytes;
	u32 root_cluster; /* FAT32 */
	u64 data_at;
};

/* Opens the file system of @bytes that @read reads. False if it is none, or of another kind. */
bool fat_open(struct fat *f, fat_read_fn read, void *ctx, u64 bytes) MUST_CHECK;

/*
 * Reads the first bytes, at most *@got, of the file that the @depth names of @path lead to;
 * *@got: how many there were.
 */
enum fat_result fat_read_file(
	const struct fat *f, const char *const path[], u32 depth, u8 *buf, u64 *got) MUST_CHECK;

#endif
