/*
 * The file afterimage.efi and the text file beside it on an EFI system partition.
 */
#ifndef MKDUMPDISK_EFIIMAGE_H
#define MKDUMPDISK_EFIIMAGE_H

#include "options.h"
#include "types.h"

#define EFI_IMAGE_MAX_BYTES    (16u * MIB)
#define EFI_SETTINGS_MAX_BYTES 256

/* What an EFI system partition gets. */
struct efi_files {
	u8 *image; /* the caller frees it */
	u64 image_bytes;
	char settings[EFI_SETTINGS_MAX_BYTES];
};

/*
 * What is wrong with the @bytes at @data as an afterimage.efi (an EFI application for
 * x86-64; Microsoft PE format s3), in words, or NULL. A signature that was appended may be there; it is not checked.
 */
const char *efiimage_fault(const u8 *data, u64 bytes) MUST_CHECK;

/*
 * Reads and checks the file that @o names or, without one, afterimage.efi as bootfile_find does,
 * and makes the settings for the dump partition @uuid. False: reported.
 */
bool efi_files_load(struct efi_files *f, const struct options *o, const u8 uuid[16]) MUST_CHECK;

#endif
