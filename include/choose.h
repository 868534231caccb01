/*
 * What to do with the memory that was found: capture it, leave it and boot something else, or
 * switch off. In automatic mode the old kernel's end decides, otherwise it is a capture; a human
 * at the console has a few seconds to decide otherwise. Runs where firmware still works, before
 * any device is touched: what is on the dump disk is told by the caller, who has read it through
 * firmware. Writes nothing but the console.
 */
#ifndef AFTERIMAGE_CHOOSE_H
#define AFTERIMAGE_CHOOSE_H

#include "dumplog.h"
#include "ending.h"
#include "pagemap.h"
#include "surveylog.h"

#define CHOOSE_IDS	64u /* dumps remembered: memory holds the latest kernels */
#define CHOOSE_SECONDS	3u  /* default of mkdumpdisk --menu */
#define CHOOSE_MAX	60u
#define CHOOSE_NO_LEVEL UINT32_MAX /* the dump disk's own */

enum choose_way {
	CHOOSE_CAPTURE = 0,
	CHOOSE_BOOT_ON = 1, /* the next boot option, or a restart where there is no way to it */
	CHOOSE_OFF = 2,
};

/* What the dump disk knows; filled by choose_disk_* from what the caller read. */
struct choose_disk {
	bool known; /* the superblock was read and is good */
	enum status
		why;   /* if not: E_SUPERBLOCK, E_VERSION, E_READ; OK: there was nothing to read */
	bool survey;   /* one is under way: this boot belongs to it */
	u64 survey_id; /* then: of its record, another one whenever the image has written it */
	u64 tried_id;  /* the capture of this crash was begun at an earlier boot; 0: of none */
	u32 count;
	struct choose_dump {
		u64 crash_id;
		u32 number;
		bool cut;   /* by a reset, in the middle: the crash is not on the disk */
	} dump[CHOOSE_IDS]; /* those with the highest numbers */
};

/* Memory lent, so that it need not be there twice. */
struct choose_memory {
	struct oldkernel *kernel;
	struct oldkernel *candidate;
	struct pagemap *pagemap;
	struct panic_scratch *log; /* may be @candidate's memory */
};

struct choose {
	struct physmem *pm;
	struct choose_memory memory;
	const struct choose_disk *disk; /* only with @automatic */
	bool automatic;
	bool boots_on; /* there is a way to the next boot option; else it is a restart */
	u32 seconds;   /* for a key; 0: nobody is asked */
	/*
	 * Waits at most @wait_us for a key: its ASCII code, 0 if none was pressed. A key that
	 * was pressed before is returned at once. NULL: no keys.
	 */
	u32 (*key)(void *ctx, u64 wait_us);
	void *ctx;

	u32 level;   /* out: 0-31 chosen by hand, or CHOOSE_NO_LEVEL */
	bool by_key; /* out: somebody asked for the capture */
	/*
	 * Out, only with @automatic: of what is to be captured, a crash or a survey's record, or of
	 * what was tried before and is not; 0: none.
	 */
	u64 crash_id;
	u64 vmcoreinfo_pa; /* out, likewise: where that kernel's description is */
};

/* Decides and says what and why. */
enum choose_way choose_way(struct choose *c) MUST_CHECK;

/* Takes in the superblock in @block, as read; false, and @disk is unknown, if it is damaged. */
bool choose_disk_super(struct choose_disk *disk, const void *block, struct dl_super *super);

/* Takes in one directory slot of the disk of @super; one that is no header is passed over. */
void choose_disk_slot(struct choose_disk *disk, const struct dl_super *super, const void *block);

/* Takes in the first block of the survey's record, likewise. */
void choose_disk_survey(struct choose_disk *disk, const struct dl_super *super, const void *block);

#endif
