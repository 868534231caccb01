/*
 * mkdumpdisk --grub: afterimage.elf as an entry in GRUB's menu. What its parts share. Every path
 * of the system is below the root that the options name.
 */
#ifndef MKDUMPDISK_GRUB_H
#define MKDUMPDISK_GRUB_H

#include "bootfile.h"
#include "options.h"
#include "types.h"

#define GRUB_FILE     "afterimage.elf"
#define GRUB_IMAGE    "/boot/afterimage/" GRUB_FILE
#define GRUB_SCRIPT   "/etc/grub.d/45_afterimage"
#define GRUB_CONFIG   "/boot/grub/grub.cfg"
#define GRUB_DEFAULTS "/etc/default/grub"
#define GRUB_ENTRY_ID "afterimage"
#define GRUB_HIDDEN                                                                                \
	"GRUB does not show its menu by itself: hold Shift (BIOS) or press Esc (UEFI) at the "     \
	"start"

/* --- the image (grubimage.c) --- */

/*
 * What is wrong with the @bytes at @data as an afterimage.elf, in words, or NULL: ELF64 for x86-64
 * with a header of Multiboot 2 (its specification s3.1.1) and our name. Damage elsewhere does not
 * show.
 */
const char *grub_image_fault(const u8 *data, u64 bytes) MUST_CHECK;

/* Reads and checks the file @path, to be freed by the caller; NULL after the message. */
u8 *grub_image_load(const char *path, u64 *bytes) MUST_CHECK;

/* What is wrong with the installed one, in words, or NULL. */
const char *grub_image_installed_fault(const struct options *o) MUST_CHECK;

/* --- what is installed (grubscript.c) --- */

struct grub_state {
	bool script;			  /* there is a file of its name */
	bool ours;			  /* and it was made here */
	char words[BOOTFILE_WORDS_BYTES]; /* for the image, that it holds */
	u8 uuid[16];			  /* the dump partition among them; zero: none */
	bool listed;			  /* GRUB's settings have the entry */
	char listed_words[BOOTFILE_WORDS_BYTES];
	bool hidden;  /* GRUB shows its menu only when asked */
	u32 position; /* in it, from 1 */
};

void grub_look(const struct options *o, struct grub_state *s);

/* Writes the script that prints the entry, with @words for the image. False: reported. */
bool grub_script_write(const struct options *o, const char *words) MUST_CHECK;

/* How it stands, to stdout. True: the entry would work. */
bool grub_status(const struct options *o) MUST_CHECK;

/* --- the machine's GRUB (grubsystem.c) --- */

/*
 * What keeps this machine's GRUB from starting the image, in words, and in @todo what to do; NULL:
 * nothing that can be seen. Runs no program.
 */
const char *grub_fault(const struct options *o, char text[256], const char **todo) MUST_CHECK;

/*
 * Asks GRUB's own tools whether it can read /boot. Not below a root. @note: what to look at, or
 * empty. False: reported.
 */
bool grub_probe(const struct options *o, char note[256]) MUST_CHECK;

/* Has GRUB's settings made again. False: reported. */
bool grub_update(const struct options *o) MUST_CHECK;

#endif
