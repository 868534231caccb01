/*
 * The command line of mkdumpdisk.
 */
#ifndef MKDUMPDISK_OPTIONS_H
#define MKDUMPDISK_OPTIONS_H

#include "types.h"

#define LABEL_MAX_BYTES 63 /* struct dl_super holds a NUL after it */

/* Strings point into the argument vector. */
struct options {
	const char *target;
	const char *image; /* NULL: search for it */
	const char *label; /* never NULL */
	u64 size_bytes;	   /* 0: not given */
	u32 sector_bytes;  /* 0: not given */
	u32 level;
	u32 compressor; /* enum dl_compressor */
	u32 after;	/* enum machine_action */
	u32 overwrite;	/* enum dl_overwrite */
	u8 console;	/* BOOT_CONSOLE_* */
	u16 serial_port;
	u32 serial_baud;
	bool force;
	bool yes;
	bool dry_run;
	bool json;
};

/*
 * Fills @o. True: go on. False: the process ends with *@exit_code (enum tool_exit); help, version or the
 * error was printed.
 */
bool options_parse(int argc, char **argv, struct options *o, int *exit_code) MUST_CHECK;

/* Words for the report. */
const char *options_after_name(u32 after);
const char *options_overwrite_name(u32 overwrite);

#endif
