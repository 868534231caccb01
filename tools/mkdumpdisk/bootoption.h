/*
 * A boot entry of UEFI firmware: the variable Boot####, an EFI_LOAD_OPTION (UEFI 2.10 s3.1.3).
 * Bytes in, facts out.
 */
#ifndef MKDUMPDISK_BOOTOPTION_H
#define MKDUMPDISK_BOOTOPTION_H

#include "types.h"

#define BOOT_OPTION_TEXT_BYTES 128

struct boot_option {
	bool active;
	bool has_partition;			  /* of a GPT disk */
	u8 partition[16];			  /* its GUID in disk order */
	char path[BOOT_OPTION_TEXT_BYTES];	  /* of the file; empty: none */
	char description[BOOT_OPTION_TEXT_BYTES]; /* what is not printable ASCII is '?' */
};

/* Takes @bytes at @data apart, texts cut to fit. False: it is no load option, or damaged. */
bool boot_option_parse(const u8 *data, u64 bytes, struct boot_option *out) MUST_CHECK;

/* True if it starts the file @path, in either case, on the partition @guid. */
bool boot_option_leads_to(const struct boot_option *b, const u8 guid[16], const char *path);

/* The number of a variable's name like Boot001F-GUID with the firmware's own GUID; -1: none. */
int boot_option_number(const char *name);

#endif
