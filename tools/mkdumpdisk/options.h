/*
 * The command line of mkdumpdisk.
 */
#ifndef MKDUMPDISK_OPTIONS_H
#define MKDUMPDISK_OPTIONS_H

#include "types.h"

#define OPTIONS_BAUD_MAX 115200u
#define LABEL_MAX_BYTES	 63 /* struct dl_super holds a NUL after it */

/* What --kexec asks for. */
enum kexec_action {
	KEXEC_NONE,
	KEXEC_INSTALL,
	KEXEC_STATUS,
	KEXEC_REMOVE,
	KEXEC_LOAD,
	KEXEC_UNLOAD,
};

/* What --survey asks for. */
enum survey_action {
	SURVEY_NONE,
	SURVEY_ARM,
	SURVEY_OFF,
};

/* What --boot-entry asks for. */
enum boot_entry_action {
	BOOT_ENTRY_NONE,
	BOOT_ENTRY_ADD,
	BOOT_ENTRY_FIRST,
	BOOT_ENTRY_LAST,
	BOOT_ENTRY_NEXT,
	BOOT_ENTRY_REMOVE,
	BOOT_ENTRY_STATUS,
};

/* What --grub and --systemd-boot ask for. */
enum loader_action {
	LOADER_NONE,
	LOADER_INSTALL,
	LOADER_STATUS,
	LOADER_REMOVE,
};

/* Strings point into the argument vector. */
struct options {
	const char *target;    /* NULL only for --check, and actions that can do without */
	const char *image;     /* NULL: search for it */
	const char *efi_image; /* likewise */
	const char *label;     /* never NULL */
	u64 size_bytes;	       /* 0: not given */
	u32 sector_bytes;      /* 0: not given */
	u32 level;
	u32 compressor; /* enum dl_compressor */
	u32 after;	/* enum machine_action */
	u32 overwrite;	/* enum dl_overwrite */
	u8 console;	/* BOOT_CONSOLE_* */
	u16 serial_port;
	u32 serial_baud;
	const char *root;  /* what paths of the system follow; never NULL, empty: nothing */
	u32 kexec;	   /* enum kexec_action */
	u32 survey;	   /* enum survey_action */
	u32 survey_cycles; /* of SURVEY_ARM */
	u32 boot_entry;	   /* enum boot_entry_action */
	u32 grub;	   /* enum loader_action */
	u32 systemd_boot;  /* enum loader_action */
	u32 menu_seconds;  /* for a key on the console */
	bool automatic;
	bool check;
	bool settings;	    /* change those of a dump disk */
	bool given_auto;    /* on or off */
	bool given_menu;    /* not the default */
	bool given_console; /* likewise */
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

/* Takes the @value of the option with the letter @c. False: reported as a usage error. */
bool options_take_value(struct options *o, int c, const char *value) MUST_CHECK;

/*
 * Takes apart a --console LIST of untrusted @text into the console fields of @o. False: reported
 * as a usage error.
 */
bool options_parse_console(const char *text, struct options *o) MUST_CHECK;

/*
 * True if the options go together; @preparing is the long name of one that decides what is
 * written to the target, or NULL. False: reported as a usage error.
 */
bool options_check(const struct options *o, const char *preparing) MUST_CHECK;

/* What --help prints. */
extern const char options_help[];

/* Words for the report. */
const char *options_after_name(u32 after);
const char *options_overwrite_name(u32 overwrite);
const char *options_kexec_name(u32 kexec);
const char *options_boot_entry_name(u32 boot_entry);
const char *options_loader_name(u32 action);

/* The long name of the action among @o; NULL if a disk is to be prepared. */
const char *options_action(const struct options *o);

#endif
