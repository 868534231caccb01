/*
 * The file afterimage.mbr: found, checked, and given its settings in memory. Nothing
 * is written.
 */
#ifndef MKDUMPDISK_BOOTFILE_H
#define MKDUMPDISK_BOOTFILE_H

#include "bootimage.h"
#include "options.h"
#include "types.h"

#define BOOTFILE_EFI	     "afterimage.efi"
#define BOOTFILE_WORDS_BYTES 160

#define BOOT_FILE_MAX_BYTES (BOOT_SECTOR_BYTES + BOOT_MAX_BYTES)

struct bootfile {
	char path[4096];
	u32 bytes; /* whole file; sector and image */
	u8 data[BOOT_FILE_MAX_BYTES];
};

struct boot_settings {
	u8 target_uuid[16]; /* as in the superblock */
	u8 console;	    /* BOOT_CONSOLE_* */
	u16 serial_port;
	u32 serial_baud;
	u64 boot_lba; /* of the boot area, in device blocks */
	u32 block_bytes;
	bool automatic;
	u8 menu_seconds;
	u64 dump_lba;	 /* of the dump partition, in device blocks */
	u16 dump_blocks; /* superblock and directory */
	u64 survey_lba;	 /* of the survey's record */
};

/*
 * What is wrong with the @bytes at @data as an afterimage.mbr, in words, or NULL. Settings
 * that are already in it do not matter.
 */
const char *bootfile_fault(const u8 *data, u64 bytes) MUST_CHECK;

/* Writes @s into a file without fault: the locate record and the sealed header. */
void bootfile_apply(u8 *data, u64 bytes, const struct boot_settings *s);

/* Changes a header's console, start and menu to those of @o, and seals it. */
void bootfile_change(struct boot_header *h, const struct options *o);

/*
 * Where the file @name is: beside the running program or, then *@installed, in
 * ../lib/afterimage. @target is for the message. False: reported.
 */
bool bootfile_find(
	char *path, u32 size, const char *name, const char *target, bool *installed) MUST_CHECK;

/*
 * The contents of the regular file @path of at most @max_bytes, to be freed by the caller; NULL
 * with errno, EINVAL if it is longer or another kind of file.
 */
u8 *bootfile_read(const char *path, u64 max_bytes, u64 *bytes) MUST_CHECK;

/* The words that the image takes when a loader or a settings file gives it some, in one line. */
void bootfile_words(const struct options *o, const u8 uuid[16], char words[BOOTFILE_WORDS_BYTES]);

/*
 * Reads @path, or, if that is NULL, afterimage.mbr beside the running program or in
 * ../lib/afterimage. @target is for the message. False: reported.
 */
bool bootfile_load(struct bootfile *f, const char *path, const char *target) MUST_CHECK;

#endif
