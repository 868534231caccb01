/*
 * Everything that was decided about a target before the first write.
 */
#ifndef MKDUMPDISK_PLAN_H
#define MKDUMPDISK_PLAN_H

#include "bootfile.h"
#include "efiimage.h"
#include "layout.h"
#include "options.h"
#include "probe.h"
#include "reach.h"
#include "target.h"

struct json_object;

struct plan {
	const struct options *options;
	struct target target;
	struct probe found; /* what will be lost */
	struct layout layout;
	struct dl_super super;
	struct bootfile boot; /* only of a whole disk; settings applied */
	struct efi_files efi; /* likewise */
	struct reach reach;   /* of a device: how it is attached here */
	int esp_fd;	      /* file with the EFI system partition's contents; -1: none */
};

/*
 * Makes the EFI system partition of @p with its files in a file in memory: its fd, or -1 after
 * the message. A file and not the target, so that a failure costs nothing. What is in it depends
 * on @p alone, not on the time.
 */
int esp_make(const struct plan *p);

/* Writes the partition table to a target that has none; false with errno. */
bool table_write(const struct plan *p) MUST_CHECK;

/*
 * Writes all of it, first what makes the target useless and last what makes it boot. On
 * failure says at which step, and in what state the target is. True: all is on the disk.
 */
bool install(struct plan *p) MUST_CHECK;

/* The report to stdout; the plan's if nothing was written. False if stdout failed. */
bool report_print(const struct plan *p) MUST_CHECK;

/* Parts of it that --settings prints, too: consoles, start and menu of @o. */
void report_start_text(const struct options *o);
void report_start_json(const struct options *o, struct json_object *j);

/*
 * What keeps a machine that captures by itself from coming back by itself, if @after is what
 * follows a capture; NULL: nothing.
 */
const char *report_after_fault(const struct options *o, u32 after);

/* What is to be done next with a disk. */
const char *report_next(const struct options *o);

#endif
