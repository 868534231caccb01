/*
 * mkdumpdisk --kexec: the image in reserved memory, loaded for the case of a panic. What its
 * parts share. Every path of the system is below the root that the options name.
 */
#ifndef MKDUMPDISK_KEXEC_H
#define MKDUMPDISK_KEXEC_H

#include "dumplog.h"
#include "options.h"
#include "reach.h"
#include "types.h"

#define KEXEC_SERVICE	 "afterimage-kexec.service"
#define KEXEC_IMAGE	 "afterimage.bzimage"
#define KEXEC_SETTINGS	 "/etc/afterimage/kexec.conf"
#define KEXEC_RECORD	 "/run/afterimage-kexec.loaded" /* while the image loaded is ours */
#define KEXEC_LEAST_MIB	 4u /* of reserved memory; what the image and its loaders take */
#define KEXEC_ADVISE_MIB 16u
#define KEXEC_PATH_BYTES 4096 /* a root of 1024 bytes and any path that follows fit */
#define KEXEC_TEXT_BYTES 256

/* --- the system (kexecsys.c) --- */

/* What the kernel says of itself; all zero where there is no /sys/kernel below the root. */
struct kexec_system {
	bool known;
	bool has_kexec;
	bool loaded; /* a crash kernel, anybody's */
	bool ours;   /* and it is this image */
	bool load_disabled;
	bool asked; /* crashkernel= is on its command line */
	u64 reserved_bytes;
	char lockdown[32]; /* empty: none */
	char rival[64];	   /* enabled service that loads a crash kernel of its own; empty: none */
};

void kexec_system_read(const struct options *o, struct kexec_system *s);

/* @path below the root; @out has KEXEC_PATH_BYTES. Returns @out. */
const char *kexec_path(const struct options *o, const char *path, char *out);

/* First line of the file @path below the root; false if there is none. */
bool kexec_read_line(const struct options *o, const char *path, char *line, u32 size);

/* The program @name in the folders for programs below the root; false if it is in none. */
bool kexec_find_program(const struct options *o, const char *name, char *out) MUST_CHECK;

/*
 * True if nothing in @s keeps an image from being loaded; else false after the message.
 * @memory: reserved memory is needed, too.
 */
bool kexec_system_check(const struct kexec_system *s, bool memory) MUST_CHECK;

/* Reserved memory in words, for a report; true if it is enough. */
bool kexec_memory_text(const struct kexec_system *s, char text[KEXEC_TEXT_BYTES]);

/*
 * Runs the program @argv[0], for at most a minute, and keeps what it prints in @out, a single
 * line. Its exit code; -1 if it could not be run or did not end. After a failure @out is never
 * empty.
 */
int kexec_run(char *const argv[], char *out, u32 size) MUST_CHECK;

/* Likewise, for at most @seconds. */
int kexec_run_for(u32 seconds, char *const argv[], char *out, u32 size) MUST_CHECK;

/* --- the target (kexectarget.c, kexecdisk.c) --- */

struct kexec_target {
	u8 uuid[16];   /* as in the superblock */
	char disk[64]; /* its name in /sys/block */
	char node[80]; /* partition's or, if it has none, the disk's name in /dev */
	struct reach reach;
};

/* The dump partition that the options' TARGET is or holds. False: reported. */
bool kexec_target_open(const struct options *o, struct kexec_target *t) MUST_CHECK;

/* The dump partition with @uuid on any disk; one that the image can reach, if there is. */
bool kexec_target_find(
	const struct options *o, const u8 uuid[16], struct kexec_target *t) MUST_CHECK;

/* Finds a dump partition as the image does: by table, type and superblock. */
struct kexec_scan {
	const u8 *uuid;	       /* NULL: any */
	u64 start_bytes;       /* 0: any */
	u32 found;	       /* how many match */
	u64 first_bytes;       /* where the first of them starts */
	u64 first_size;	       /* its bytes */
	struct dl_super first; /* its superblock, checked */
};

/* Looks through the disk of @bytes at @fd. False, with errno, if it could not be read. */
bool kexec_scan_disk(int fd, u64 bytes, u32 block_bytes, struct kexec_scan *s) MUST_CHECK;

/* --- the image and the settings (kexecimage.c, kexecconf.c) --- */

struct kexec_settings {
	u8 target_uuid[16]; /* as in the superblock */
	char console[64];   /* as after console= */
	char image[2048];   /* absolute, below the root */
	bool copied;	    /* the image is the installation's own copy, with this checksum: */
	u32 image_crc32c;
};

/*
 * What is wrong with the @bytes at @data as an afterimage.bzimage, in words, or NULL. No
 * checksum is in it: damage past the header does not show.
 */
const char *kexec_image_fault(const u8 *data, u64 bytes) MUST_CHECK;

/* Reads and checks the file @path, to be freed by the caller; NULL after the message. */
u8 *kexec_image_load(const char *path, u64 *bytes) MUST_CHECK;

/* The console of @o as the image takes it. */
void kexec_console_text(const struct options *o, char text[64]);

/* Reads and checks the settings. False: reported. */
bool kexec_settings_load(const struct options *o, struct kexec_settings *s) MUST_CHECK;

/* True if there are settings, good or bad. */
bool kexec_settings_exist(const struct options *o);

/* The file's text. */
void kexec_settings_text(const struct kexec_settings *s, char *text, u32 size);

/* --- the actions; false after the message --- */

bool kexec_install(const struct options *o) MUST_CHECK;
bool kexec_remove(const struct options *o) MUST_CHECK;
bool kexec_load(const struct options *o) MUST_CHECK;
bool kexec_unload(const struct options *o) MUST_CHECK;
bool kexec_status(const struct options *o) MUST_CHECK;

/* --- a report of findings, a line each or as JSON (kexecstatus.c) --- */

struct kexec_finding {
	const char *name;
	bool ok;
	char text[KEXEC_TEXT_BYTES];
};

/* Prints them to stdout. True if all are well. */
bool kexec_findings_print(const struct options *o, const struct kexec_finding *f, u32 count);

/* --- files (kexecfiles.c) --- */

/* Writes or replaces @path below the root as a whole, folders included. False: reported. */
bool kexec_file_write(
	const struct options *o, const char *path, const void *data, u64 bytes) MUST_CHECK;

/* Likewise a program made of @text. */
bool kexec_file_write_script(
	const struct options *o, const char *path, const char *text) MUST_CHECK;

/* Copies the running program to @path below the root; likewise. */
bool kexec_file_copy_program(const struct options *o, const char *path) MUST_CHECK;

/* Makes or replaces the link; likewise. */
bool kexec_file_link(const struct options *o, const char *path, const char *to) MUST_CHECK;

/* Removes @path, and its folder if that is empty and @folder says so. Gone already is fine. */
bool kexec_file_remove(const struct options *o, const char *path, bool folder) MUST_CHECK;

#endif
