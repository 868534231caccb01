/*
 * State of the AHCI driver and its entry points. One port of the HBA is used at a time, the
 * selected one; its slots hold one request each.
 *
 * Memory, all from the arena, less than 24 KiB; without 64-bit addresses there are
 * AHCI_BOUNCES slots and as many buffers:
 *
 *	struct ahci | command list | received frames | one block of data | command tables | bounce buffers
 */
#ifndef AFTERIMAGE_AHCIVAR_H
#define AFTERIMAGE_AHCIVAR_H

#include "ahcireg.h"
#include "arena.h"
#include "blk.h"
#include "dumplog.h"
#include "pci.h"

struct mmio;

/* Not all 32: a register of all ones means that the HBA has gone. */
#define AHCI_SLOTS 31
#define AHCI_UNQUEUED                                                                              \
	4 /* sent at once without NCQ; the disk is never idle, the last one not late */
#define AHCI_MAX_BYTES	 (DL_MAX_CHUNK_BYTES & ~(PAGE_BYTES - 1))
#define AHCI_TABLE_BYTES 512u
_Static_assert(AHCI_TABLE_PRDT + BLK_MAX_SEGS * sizeof(struct ahci_prd) <= AHCI_TABLE_BYTES,
	"a table must hold every request");
_Static_assert(AHCI_MAX_BYTES <= AHCI_PRD_BYTES_MAX, "so that a segment is one entry");

#define AHCI_BOUNCES	  2
#define AHCI_BOUNCE_BYTES 8192u

#define AHCI_PRESENT_US 100000ull   /* after COMRESET: ten times what a device has (SATA s8.4.1) */
#define AHCI_LINK_US	1000000ull  /* from there until the link is up */
#define AHCI_SPINUP_US	20000000ull /* and until the disk is ready */
#define AHCI_ADMIN_US	10000000ull /* IDENTIFY, READ LOG */
#define AHCI_IO_US	30000000ull
#define AHCI_LOOK_US	1000ull /* how often is looked for what no status bit tells */

/* PxIS: a command failed; link or device are not what they were. */
#define AHCI_IS_FAILED (AHCI_PXIS_TFES | AHCI_PXIS_IFS | AHCI_PXIS_HBDS | AHCI_PXIS_HBFS)
#define AHCI_IS_LOST   (AHCI_PXIS_PCS | AHCI_PXIS_PRCS | AHCI_PXIS_OFS)

struct ahci_slot {
	struct blk_req *req; /* NULL: free */
	u64 deadline_us;
	bool retried;
};

struct ahci {
	struct blk blk; /* first: the ops get this pointer */
	struct pci_dev pci;
	const struct mmio *regs;
	struct arena *arena;
	u32 cap;
	u32 ports;    /* a bit for each that there is */
	u32 told;     /* likewise: has a port multiplier, which was said */
	u64 reset_us; /* when the HBA was reset */
	u32 slots;    /* what there is memory for */
	u32 port;     /* selected */
	bool started; /* it may receive frames */
	bool queued;  /* the disk gets queued commands (NCQ) */
	bool flushes; /* it has something to flush */
	u32 at_once;  /* commands that it gets at the same time */
	u32 held;     /* slots whose request waits to be sent */
	u32 sent;     /* slots that the HBA has */
	u32 tagged;   /* those of them with queued commands */
	u64 look_us;  /* when to look at everything again */
	struct ahci_header *list;
	u8 *fis;
	u8 *data;   /* identify data or log */
	u8 *tables; /* AHCI_TABLE_BYTES for each slot */
	u8 *bounce; /* NULL: not needed */
	struct ahci_slot slot[AHCI_SLOTS];
	char name[BLK_NAME_BYTES];
	char id[BLK_ID_BYTES];
};

extern const struct blk_driver ahci_driver;

/*
 * Between the driver's files.
 */

static inline u32 ahci_bit(u32 slot)
{
	return 1u << slot;
}

static inline u32 ahci_count(u32 mask)
{
	u32 count = 0;

	for (; mask; mask &= mask - 1)
		count++;
	return count;
}

/* Registers of the selected port. */
u32 ahci_port_reg(const struct ahci *a, u32 offset);
void ahci_port_set(const struct ahci *a, u32 offset, u32 value);

/* Waits until the register's bits in @mask are @want. E_DEVICE_GONE, E_READY after @timeout_us. */
enum status ahci_wait(
	const struct ahci *a, u32 offset, u32 mask, u32 want, u64 timeout_us) MUST_CHECK;

/* Resets the HBA with all its ports (s10.4.3). E_READY, E_DEVICE_GONE. */
enum status ahci_hba_reset(struct ahci *a) MUST_CHECK;

/*
 * Brings up the selected port, which is stopped, and the device there, which is reset.
 * E_NO_PARTITION: no disk; E_READY: one that does not come up; E_DEVICE_GONE: no HBA; E_DMA.
 */
enum status ahci_port_start(struct ahci *a) MUST_CHECK;

/*
 * Stops it in order (s10.1.2), or else resets the HBA: in both cases it does no more DMA.
 * E_READY, E_DEVICE_GONE.
 */
enum status ahci_port_stop(struct ahci *a) MUST_CHECK;

/*
 * Stops and starts the command list only, which is how errors are left (s6.2.2). E_READY if it does
 * not stop, or the device is not ready for commands.
 */
enum status ahci_list_restart(struct ahci *a) MUST_CHECK;

/* The frame of a new @command in @slot, which has no data yet; ahci_data adds a region of it. */
struct ata_h2d *ahci_frame(struct ahci *a, u32 slot, u8 command);
void ahci_data(struct ahci *a, u32 slot, u64 pa, u32 bytes);

/*
 * Reads a block to a->data with a command of the driver's own, sent once more if it fails, in
 * the first slot; nothing else is sent. E_COMMAND, E_TIMEOUT, E_READY, E_DEVICE_GONE, E_DMA: after
 * all of them the list is to be stopped.
 */
enum status ahci_ask(struct ahci *a, u8 command, u32 log) MUST_CHECK;

/* As blk_ops wants it; disks are ports. */
enum status ahci_select(struct blk *blk, u32 index) MUST_CHECK;

/* After a reset: is the disk the one that was selected? E_DEVICE_GONE. */
enum status ahci_disk_same(struct ahci *a) MUST_CHECK;

/* Sends what is held, as far as it may go now. */
void ahci_issue(struct ahci *a);

/* The slots in @done have been carried out, or if not queued so it seems. */
void ahci_reap(struct ahci *a, u32 done);

/*
 * The command of @slot failed: it is held to be sent once more, or its request has failed. A
 * flush always.
 */
void ahci_slot_failed(struct ahci *a, u32 slot);

/*
 * Finds out which command failed, and goes on with the others; @is are the bits of PxIS that
 * tell of it, @pending the commands that are not done.
 */
enum status ahci_recover(struct ahci *a, u32 is, u32 pending) MUST_CHECK;

/* Resets the port and sends everything again; the second time it is dead for @why. */
enum status ahci_port_reset(struct ahci *a, enum status why) MUST_CHECK;

/* The operations on ahci->blk. */
extern const struct blk_ops ahci_blk_ops;

#endif
