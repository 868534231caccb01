/*
 * State of the NVMe driver and its entry points. One admin queue used for one
 * command at a time, one I/O queue pair for the one namespace that is selected.
 *
 * Memory, all from the arena, six pages, the last three once the controller is known:
 *
 *	admin SQ, struct nvme | admin CQ | identify data | I/O SQ | I/O CQ | PRP lists, one per slot
 */
#ifndef AFTERIMAGE_NVMEVAR_H
#define AFTERIMAGE_NVMEVAR_H

#include "blk.h"
#include "dumplog.h"
#include "nvmereg.h"

struct mmio;

#define NVME_ADMIN_ENTRIES  4
#define NVME_IO_ENTRIES	    32
#define NVME_ADMIN_QID	    0
#define NVME_IO_QID	    1
#define NVME_MAX_NAMESPACES 16

/* A transfer that starts inside a page touches one page more than it is long. */
#define NVME_MAX_BYTES	(DL_MAX_CHUNK_BYTES & ~(NVME_PAGE_BYTES - 1))
#define NVME_LIST_PRPS	(NVME_MAX_BYTES / NVME_PAGE_BYTES)
#define NVME_LIST_BYTES (NVME_LIST_PRPS * sizeof(u64))

/* In flight at most: what a queue holds less one, and as many lists as one page holds. */
#define NVME_SLOTS 30
_Static_assert(NVME_SLOTS *NVME_LIST_BYTES <= NVME_PAGE_BYTES, "PRP lists need one page");
_Static_assert(NVME_SLOTS < NVME_IO_ENTRIES, "a full queue must hold all slots");

/* Command ids: slot in the low bits, a use count above, so that a late duplicate is noticed. */
#define NVME_CID_SLOT_BITS 5
#define NVME_CID_SLOT_MASK ((1u << NVME_CID_SLOT_BITS) - 1)
_Static_assert(NVME_SLOTS <= NVME_CID_SLOT_MASK, "slot numbers must not make cid 0xffff");

/*
 * The longest that a request can take until it is done or the device is dead: it is late,
 * aborted and sent again, late again and not to be aborted, so that the controller is reset;
 * then it is late for the third time and not to be aborted.
 */
#define NVME_IO_TIMEOUT_US    20000000ull
#define NVME_ABORT_TIMEOUT_US 2000000ull  /* for all that are late at a time */
#define NVME_RESET_TIMEOUT_US 22000000ull /* until the queues are there again */
#define NVME_REQUEST_MAX_US                                                                        \
	(3 * (NVME_IO_TIMEOUT_US + NVME_ABORT_TIMEOUT_US) + NVME_RESET_TIMEOUT_US)
_Static_assert(NVME_REQUEST_MAX_US < 90000000, "an operator waits for this");

#define NVME_ADMIN_TIMEOUT_US	 5000000ull
#define NVME_SHUTDOWN_TIMEOUT_US 10000000ull
#define NVME_IDLE_CHECK_US	 1000ull /* how often CSTS is read while nothing completes */

struct nvme_queue {
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;
	u32 qid, entries;
	u32 tail; /* next SQ entry to fill */
	u32 head; /* next CQ entry to look at */
	u32 phase;
};

/* One command in flight. */
struct nvme_slot {
	struct blk_req *req; /* NULL: free */
	u16 cid, uses;
	bool retried;
	u64 deadline_us;
	u64 *list; /* NVME_LIST_PRPS entries */
	u64 list_pa;
};

struct nvme {
	struct blk blk; /* first: the ops get this pointer */
	struct pci_dev pci;
	const struct mmio *regs;
	struct arena *arena;
	u32 stride, entries_max; /* of doorbells, bytes; of queues */
	u64 ready_timeout_us;
	bool vwc; /* has a volatile write cache */
	u32 nsid; /* selected */
	u16 admin_cid;
	u32 nsids[NVME_MAX_NAMESPACES]; /* blk.disks of them */
	u64 idle_check_us;		/* when to read CSTS next */
	u64 limit_us;			/* ends every wait, whatever its own deadline */
	struct nvme_queue admin, io;
	struct nvme_slot slot[NVME_SLOTS];
	u8 *identify; /* one page */
	char serial[NVME_IDC_SERIAL_BYTES + 1];
	char name[BLK_NAME_BYTES];
	char id[BLK_ID_BYTES];
};

_Static_assert(
	NVME_ADMIN_ENTRIES * sizeof(struct nvme_sqe) + sizeof(struct nvme) <= NVME_PAGE_BYTES,
	"admin SQ and state share a page");

/*
 * Wants 4 KiB pages and the NVM command set: else E_FORMAT. Controllers without namespaces (for
 * discovery or administration): E_NO_PARTITION.
 */
extern const struct blk_driver nvme_driver;

/*
 * Between the driver's files.
 */

u32 nvme_reg(const struct nvme *n, u32 offset);
void nvme_reg_set(const struct nvme *n, u32 offset, u32 value);

/*
 * Waits until CSTS & @mask == @want. E_DEVICE_GONE; E_FATAL if @want is not 0; @late
 * after @timeout_us.
 */
enum status nvme_wait_csts(
	const struct nvme *n, u32 mask, u32 want, u64 timeout_us, enum status late) MUST_CHECK;

/*
 * What to do about trouble: @why is a refusal (E_COMMAND, E_DMA): nothing. Else, the first
 * time, the controller is reset and all requests in flight are sent again: OK. The second time,
 * and if it is gone or does not come back, it is dead; returns why.
 */
enum status nvme_recover(struct nvme *n, enum status why) MUST_CHECK;

/*
 * Resets a controller in use, its DMA off until it has let go of everything, and gives it its
 * queues again, empty. At most NVME_RESET_TIMEOUT_US.
 */
enum status nvme_restart(struct nvme *n) MUST_CHECK;

/*
 * Clears CC.EN and waits until the controller has let go of its queues; at most three times as
 * long as it claims for that, and 10 s more for a shutdown that it is in the middle of.
 * E_DEVICE_GONE, E_READY.
 */
enum status nvme_disable(const struct nvme *n) MUST_CHECK;

/* Of a controller in use: E_DEVICE_GONE or E_FATAL by CSTS. */
enum status nvme_health(const struct nvme *n) MUST_CHECK;

/* Puts @sqe into the queue and rings the doorbell. There must be room. */
void nvme_queue_push(const struct nvme *n, struct nvme_queue *q, const struct nvme_sqe *sqe);

/* Takes the next completion if there is one; nvme_queue_release tells the device. */
bool nvme_queue_pop(struct nvme_queue *q, struct nvme_cqe *out);
void nvme_queue_release(const struct nvme *n, const struct nvme_queue *q);

/* Is @pa a page of the memory that the controller may write? */
bool nvme_page_ours(const struct nvme *n, u64 pa);

/*
 * Runs one admin command. E_COMMAND: refused, where that may help twice; E_DMA: the data or
 * queue is not one page of the arena, and nothing was sent. Anything else: the controller needs
 * a reset.
 */
enum status nvme_admin_once(struct nvme *n, struct nvme_sqe *sqe) MUST_CHECK;

/* With that reset, and once more after it; dead after anything but OK, E_COMMAND and E_DMA. */
enum status nvme_admin(struct nvme *n, struct nvme_sqe *sqe) MUST_CHECK;

/*
 * As blk_ops wants it; disks are namespaces. E_FORMAT for blocks not of 512 or 4096 bytes or with
 * metadata, E_READ_ONLY for one that can not be written.
 */
enum status nvme_select(struct blk *blk, u32 index) MUST_CHECK;

/* The operations on nvme->blk. */
extern const struct blk_ops nvme_blk_ops;

#endif
