/*
 * mkdumpdisk --systemd-boot: an entry in systemd-boot's menu that starts afterimage.efi, after the
 * Boot Loader Specification (UAPI.1), type 1. What its parts share. Everything is put on the EFI
 * system partition that systemd-boot was started from: it reads entries there and on the extended
 * boot loader partition, and an entry can only name a file on its own partition.
 */
#ifndef MKDUMPDISK_SDBOOT_H
#define MKDUMPDISK_SDBOOT_H

#include "bootentry.h"
#include "kexec.h"
#include "options.h"
#include "types.h"

#define SDBOOT_PROGRAM "/EFI/systemd/systemd-bootx64.efi" /* as bootctl install names it */
#define SDBOOT_ENTRIES "/loader/entries"
#define SDBOOT_NAME    "afterimage.conf"
#define SDBOOT_ENTRY   SDBOOT_ENTRIES "/" SDBOOT_NAME

/* --- which entry systemd-boot starts if nobody chooses (sdbootorder.c) --- */

/* What the administrator set: a pattern for the names of entries. */
struct sdboot_order {
	char pattern[128];  /* empty: none */
	bool saved;	    /* whatever was started last */
	u32 others;	    /* entries but ours */
	bool before;	    /* one of them comes before ours in the menu */
	bool match;	    /* one of them matches the pattern */
	bool before_match;  /* one that comes before ours does */
	bool boots_nothing; /* out: there is no entry but ours */
	bool is_default;    /* out: ours would be started */
};

/* Takes in what is set; the later call counts. Empty: nothing is. */
void sdboot_order_pattern(struct sdboot_order *r, const char *pattern);

/* Takes in an entry of this file @name; @has_key: it has a sort-key. */
void sdboot_order_entry(struct sdboot_order *r, const char *name, bool has_key);

/* Judges what was taken in. */
void sdboot_order_judge(struct sdboot_order *r);

/* --- what is there (sdbootread.c) --- */

struct sdboot {
	bool mounted; /* the EFI system partition is, */
	struct boot_esp esp;
	bool loader; /* with systemd-boot on it */
	bool entry;  /* ours is there, */
	bool whole;  /* as it is written */
	bool secure; /* Secure Boot is on */
	bool unsigned_image;
	struct boot_esp_files files;
	struct sdboot_order order;
	struct firmware firmware; /* its entries for afterimage on the same partition */
};

/* Looks for systemd-boot and what was put beside it. False: reported. */
bool sdboot_read(const struct options *o, struct sdboot *s) MUST_CHECK;

/* What is written to our entry. */
extern const char sdboot_entry_text[];

/* True if systemd-boot has an entry for the files on the partition @e. */
bool sdboot_uses(const struct options *o, const struct boot_esp *e);

/* --- the report (sdbootreport.c) --- */

struct sdboot_report {
	const struct sdboot *now;
	const struct kexec_target *target; /* of the settings; NULL: no disk has it */
	bool wanted;			   /* it is the one that the user named, if any */
	bool kept;			   /* removed, but not the files */
	bool well;			   /* it would work */
};

/* Prints the state after the action to stdout. */
void sdboot_report_print(const struct options *o, const struct sdboot_report *r);

#endif
