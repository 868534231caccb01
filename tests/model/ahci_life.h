/*
 * A whole life of the AHCI driver on a modelled HBA, from open to stop, with everything looked
 * at that it says: for tests that let something go wrong on the way.
 */
#ifndef AFTERIMAGE_AHCI_LIFE_H
#define AFTERIMAGE_AHCI_LIFE_H

#include "ahci_bench.h"
#include "drivers/ahci/ahcivar.h"

#define LIFE_WRITES 36u /* more than there are slots */
#define LIFE_LATER  6u	/* around a bad sector, not flushed when it is met */
#define LIFE_READS  4u

/* What kind of HBA and disk. */
enum life_shape {
	LIFE_NCQ,
	LIFE_NO_NCQ,
	LIFE_NO_S64A, /* and data above 4 GiB */
	LIFE_SHAPES,
};

/*
 * Bounds on one life: what it takes to bring HBA and disk up, twice; what a lost command takes
 * before and after the only reset, and once more at the stop.
 */
#define LIFE_RESET_US 1000000ull
#define LIFE_UP_US                                                                                 \
	(LIFE_RESET_US + AHCI_PRESENT_US + AHCI_LINK_US + AHCI_SPINUP_US + 2 * AHCI_ADMIN_US)
#define LIFE_US (2 * LIFE_UP_US + 3 * AHCI_IO_US)

/* A request, and how often power was lost before it was sent. */
struct life_req {
	struct blk_req r;
	u64 losses;
	bool seen;
};

struct life {
	struct ahci_bench b;
	struct life_req w[LIFE_WRITES + LIFE_LATER];
	u64 took_us;
	u32 flushes_ok, flushes_failed, reads_ok, writes_ok;
	bool selected;
};

/* A bench of @shape whose disk has one bad sector, slow enough to come to every deadline. */
void life_make(struct life *l, enum life_shape shape);

/*
 * Runs it, and frees the bench. Aborts if the driver took longer than LIFE_US, said OK to a
 * request whose data is not where it belongs, left bus mastering on, or did anything that
 * the model forbids. OK if the device was sound to the end; why it was not.
 */
enum status life_run(struct life *l) MUST_CHECK;

#endif
