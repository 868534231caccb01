/*
 * Block devices: the only table of operations in the program. One struct blk is one disk
 * controller with one of its disks selected. A request and its memory belong to the device
 * from submit until `done`; once the device is dead they belong to it for ever, unless
 * it is provably silent.
 *
 * What a driver does about trouble, each step bounded by a deadline:
 * - a command that fails, and may be tried again, is sent once more; then the request has failed,
 *   and the device lives on. Not so a flush: what it could not keep the device has dropped, and the
 *   next one would succeed without it;
 * - a command that does not end, a controller that reports a fatal status or a completion that
 *   makes no sense: the device is reset, once in its life, and every unfinished request is
 *   sent again; the second time the device is dead;
 * - registers of all ones: the device has gone and is dead at once.
 */
#ifndef AFTERIMAGE_BLK_H
#define AFTERIMAGE_BLK_H

#include "arena.h"
#include "pci.h"
#include "status.h"
#include "types.h"

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH, /* makes all completed writes durable; no lba, no segments */
};

/* Physically contiguous piece of a transfer. */
struct blk_seg {
	u64 pa;
	u32 bytes;
};

#define BLK_MAX_SEGS  17
#define BLK_SEG_ALIGN 4

/*
 * Every segment but the first starts, and every one but the last ends, on a page
 * boundary (NVMe PRP rules); all start on a multiple of 4. The sum of the segments is
 * blocks * block_bytes and at most max_bytes.
 */
struct blk_req {
	enum blk_op op;
	u64 lba; /* device block */
	u32 blocks;
	u32 nsegs;
	struct blk_seg seg[BLK_MAX_SEGS];
	/* the driver's part */
	bool done;
	enum status status; /* valid when done */
};

struct blk;

struct blk_ops {
	/*
	 * Hands @req to the device. E_BUSY: queue full, poll and repeat. E_INVAL: breaks the rules
	 * above. E_DMA by blk_dma_check, asked before every use of the segments.
	 */
	enum status (*submit)(struct blk *blk, struct blk_req *req);
	/*
	 * Reaps what has finished, marking those requests done. A dead device marks nothing
	 * more; the first poll that finds it dead returns why, and so does every later call.
	 */
	enum status (*poll)(struct blk *blk);
	/*
	 * Makes the controller's disk @index (0 .. disks - 1) the one that requests go to; nothing may
	 * be in flight (E_BUSY). E_NO_PARTITION if there is none in that place, E_FORMAT if its
	 * blocks can not be used, other errors of that disk. The controller lives on unless
	 * blk->dead says otherwise. If it is dead because of the disk selected before, and that
	 * one can be silenced alone, it lives again; what was in flight is never marked done.
	 */
	enum status (*select)(struct blk *blk, u32 index);
	/*
	 * Stops the controller in order, bounded, or takes its DMA from one that is dead; sets
	 * blk->silent if that is certain. Why it could not be stopped in order, or was dead before.
	 */
	enum status (*stop)(struct blk *blk);
};

#define BLK_ID_BYTES   64
#define BLK_MAX_DISKS  32 /* on one controller */
#define BLK_NAME_BYTES 40

struct blk {
	const struct blk_ops *ops;
	const char *name; /* for messages: "nvme 00:04.0 ns 1"; without a disk "nvme 00:04.0" */
	const char *
		id; /* the selected disk's own word who it is, the same on every path to it; "": none */
	u32 disks;	 /* how many places for one the controller has */
	u64 blocks;	 /* capacity of the selected disk */
	u32 block_bytes; /* 512 or 4096 */
	u32 max_bytes;	 /* largest transfer, a multiple of 4096, at least 8192 */
	u64 dma_pa;	 /* the only memory that the device may write: the arena */
	u64 dma_bytes;	 /* 0: none at all */
	u32 depth;	 /* requests that can be in flight */
	u32 inflight;
	u32 resets;	  /* while in use: what a disk kept in its cache may be lost with each */
	enum status dead; /* OK while alive */
	bool silent;	  /* after stop: it can not do DMA any more, its memory may be used again */
};

/* One kind of controller. */
struct blk_driver {
	const char *kind; /* "nvme"; for messages before there is a struct blk */
	u32 class;	  /* PCI class that it drives; 0: asks drives() */
	bool (*drives)(const struct pci_dev *dev);
	/*
	 * Brings the controller up from any state that firmware or the old kernel left it in: reset
	 * while it can not do DMA. No disk is selected. On failure its DMA is off again,
	 * and @arena as before if the controller provably lets go of the memory. E_NO_MEMORY, E_READY,
	 * E_FATAL, E_COMMAND, E_FORMAT, E_DEVICE_GONE, E_TIMEOUT, E_DMA; E_NO_PARTITION: it is not one
	 * for disks.
	 */
	enum status (*open)(const struct pci_dev *dev, struct arena *arena, struct blk **out);
};

/* "kind 00:1f.2", and of PCI segments but the first "kind 0001:00:1f.2"; returns its length. */
u32 blk_name(const char *kind, const struct pci_dev *dev, char *buf, u32 size);

/*
 * A field of identify data, @bytes long and padded with spaces or zeros, as text at @dst, which
 * has room for one byte more; what a console should not print becomes a question mark.
 */
void blk_text(char *dst, const u8 *field, u32 bytes);

/*
 * Is @req as the rules above and the limits of @blk want it? Of flushes nothing but op is
 * looked at.
 */
bool blk_req_ok(const struct blk *blk, const struct blk_req *req);

/* Is it all in the memory that the device may write? */
bool blk_ours(const struct blk *blk, u64 pa, u64 bytes);

/* A controller without a disk yet, which may write to @arena; the texts stay the driver's. */
void blk_init(struct blk *blk, const struct blk_ops *ops, const struct arena *arena,
	const char *name, const char *id);

/* Declares the device dead for @why, once; returns why it is dead. */
enum status blk_die(struct blk *blk, enum status why);

/* The start of a stop: polls until nothing is in flight. Why the device is dead, or OK. */
enum status blk_drain(struct blk *blk) MUST_CHECK;

/*
 * The end of a stop: takes the right to do DMA from @dev, so that nothing can be sent any more.
 * Returns @stopped, how the device's own part went, or else whether this is certain.
 */
enum status blk_silence(struct blk *blk, const struct pci_dev *dev, enum status stopped) MUST_CHECK;

/*
 * Lets through every request that does not make the device write to memory outside the
 * range of @blk; else E_DMA. Memory that the device only reads may be anywhere.
 */
enum status blk_dma_check(const struct blk *blk, const struct blk_req *req) MUST_CHECK;

/* Submits @req, polling while the queue is full. */
enum status blk_submit(struct blk *blk, struct blk_req *req) MUST_CHECK;

/*
 * Polls until @req is done; returns its status or why the device died. Bounded by the driver's
 * deadline.
 */
enum status blk_wait(struct blk *blk, struct blk_req *req) MUST_CHECK;

/* Reads @blocks blocks at @lba into one contiguous DMA buffer and waits. */
enum status blk_read(struct blk *blk, u64 lba, u32 blocks, u64 buf_pa) MUST_CHECK;

#endif
