/*
 * mkdumpdisk --boot-entry: an entry in the firmware's boot menu that starts afterimage.efi. What
 * its parts share. Every path of the system is below the root that the options name.
 */
#ifndef MKDUMPDISK_BOOTENTRY_H
#define MKDUMPDISK_BOOTENTRY_H

#include "kexec.h"
#include "options.h"
#include "types.h"

#define BOOT_ENTRY_LABEL    "afterimage dump disk"
#define BOOT_ENTRY_PATH	    "\\EFI\\afterimage\\afterimage.efi" /* as firmware knows it */
#define BOOT_ENTRY_IMAGE    "/EFI/afterimage/afterimage.efi"	/* where it is mounted */
#define BOOT_ENTRY_SETTINGS "/EFI/afterimage/afterimage.cfg"
#define FIRMWARE_ORDER_MAX  256
#define FIRMWARE_OWN_MAX    16

/* --- what the firmware has (firmware.c) --- */

struct firmware {
	u16 order[FIRMWARE_ORDER_MAX];
	u32 order_count;
	bool has_next;
	u16 next;
	u16 own[FIRMWARE_OWN_MAX]; /* entries for this partition, ascending */
	u32 own_count;
	bool active; /* the first of them */
	u32 strays;  /* entries for this path on other partitions */
	u16 stray;   /* the first of them */
};

/* True if boot entries can be read and written; else false after the message. */
bool firmware_check(const struct options *o) MUST_CHECK;

/* Reads the entries; ours lead to the partition @guid. False: reported. */
bool firmware_read(const struct options *o, const u8 guid[16], struct firmware *f) MUST_CHECK;

/* True if Secure Boot is on, as far as can be seen. */
bool firmware_secure(const struct options *o);

/*
 * The text of the variable @name with its GUID, of 16-bit characters; what is not printable ASCII
 * is '?'. Empty: there is none, or it can not be read.
 */
void firmware_text(const struct options *o, const char *name, char *text, u32 size);

/* Reads only the boot order and what comes next. */
void firmware_order(const struct options *o, struct firmware *f);

/* Where an entry is in the boot order, from 1; 0: it is not. */
u32 firmware_position(const struct firmware *f, u16 number);

/*
 * Runs efibootmgr with @args, NULL at the end and at most 10. With --dry-run only says so. False:
 * reported.
 */
bool firmware_run(const struct options *o, const char *const args[]) MUST_CHECK;

/* --- the partition that the entry leads to (bootesp.c) --- */

struct boot_esp {
	char disk[80]; /* the disk's name in /dev */
	u32 number;    /* of the partition */
	u8 guid[16];
	bool system;	     /* the running system's, not the dump disk's own */
	const char *mounted; /* the system's: where, below the root */
};

/*
 * The dump disk's own, or, if the target is a dump partition on a disk that has none, the
 * system's. False: reported.
 */
bool boot_esp_find(
	const struct options *o, const struct kexec_target *t, struct boot_esp *e) MUST_CHECK;

/*
 * The running system's partition of the @type that is mounted at @point, a FAT file system. False:
 * there is none; not reported.
 */
bool boot_esp_mounted(const struct options *o, const char *point, const u8 type[16],
	struct boot_esp *e) MUST_CHECK;

/* What is on it. */
struct boot_esp_files {
	bool image;
	bool settings;
	u8 uuid[16]; /* the dump partition in the settings; zero: none */
};

/* Looks; what can not be read is not there. */
void boot_esp_look(const struct options *o, const struct boot_esp *e, struct boot_esp_files *f);

/*
 * Sees to the files that the entry needs for the dump partition @uuid: those of the dump disk
 * must be there, the system's are written, each as a whole, and not half of them. False: reported.
 */
bool boot_esp_fill(const struct options *o, const struct boot_esp *e, const u8 uuid[16]) MUST_CHECK;

/* Removes them from the system's. False: reported. */
bool boot_esp_clear(const struct options *o, const struct boot_esp *e) MUST_CHECK;

/* --- the action and its report --- */

/* What --boot-entry asks for; false after the message. */
bool boot_entry(const struct options *o) MUST_CHECK;

struct boot_report {
	const struct kexec_target *target;
	const struct boot_esp *esp;
	const struct firmware *firmware;
	const struct boot_esp_files *files;
	bool well; /* it would boot */
	bool kept; /* removed, but the files stay: another needs them */
};

/* Prints the state after the action to stdout. */
void boot_report_print(const struct options *o, const struct boot_report *r);

#endif
