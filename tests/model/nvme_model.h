/*
 * An NVMe controller for hosted builds, after the specification and not after the
 * driver, with a knob for every way to misbehave. It does DMA to the memory that
 * host_ram_at knows, and counts what no driver may cause.
 */
#ifndef AFTERIMAGE_NVME_MODEL_H
#define AFTERIMAGE_NVME_MODEL_H

#include "drivers/nvme/nvmereg.h"
#include "mmio.h"
#include "pci_model.h"
#include "types.h"

#define NVME_MODEL_NAMESPACES 4
#define NVME_MODEL_PENDING    64
#define NVME_MODEL_FOREVER    0xffffffffu

struct nvme_model_undo;

enum nvme_fault {
	NVME_FAULT_NONE,
	NVME_FAULT_NEVER,      /* the command is lost */
	NVME_FAULT_LATE,       /* its completion comes some register reads later */
	NVME_FAULT_PHASE,      /* its completion has the old phase */
	NVME_FAULT_CID,	       /* its completion names another command */
	NVME_FAULT_SQID,       /* ... another queue */
	NVME_FAULT_DUPLICATE,  /* two completions */
	NVME_FAULT_STATUS,     /* it fails, nothing is transferred */
	NVME_FAULT_STATUS_DNR, /* likewise, and need not be tried again */
	NVME_FAULT_FATAL,      /* CSTS.CFS instead of a completion */
	NVME_FAULT_GONE,       /* all registers read as ones from now on */
	NVME_FAULT_SPURIOUS,   /* one completion more, of a command that nobody sent */
	NVME_FAULT_SHORT,      /* success, but only half of the data was moved, if it is a read */
	NVME_FAULT_RESET,      /* the controller is reset behind the host's back instead */
	NVME_FAULT_SHRINK,     /* the namespaces are smaller from now on */
	NVME_FAULTS,
};

enum nvme_read_fault {
	NVME_READ_NONE,
	NVME_READ_GONE,	   /* ones from the n-th register read on */
	NVME_READ_BLINK,   /* ones at the n-th only */
	NVME_READ_FATAL,   /* CSTS.CFS from the n-th on */
	NVME_READ_UNREADY, /* CSTS.RDY reads 0 while enabled, from the n-th on */
	NVME_READ_FATAL_1, /* CSTS.CFS at the n-th, until the next reset */
	NVME_READ_BUSY_1,  /* likewise, at the n-th only */
	NVME_READ_STUCK,   /* CSTS never changes any more, from the n-th on */
	NVME_READ_FAULTS,
};

/* What an Abort does about a command that was lost or is late. */
enum nvme_abort {
	NVME_ABORT_WORKS,   /* it ends as aborted */
	NVME_ABORT_DNR,	    /* likewise, and the host is told not to try again */
	NVME_ABORT_DONE,    /* it ends well after all, and could not be aborted */
	NVME_ABORT_AFTER,   /* it ends as aborted some register reads after the Abort */
	NVME_ABORT_LIES,    /* it is said to be aborted and never ends */
	NVME_ABORT_NOT,	    /* it is not aborted */
	NVME_ABORT_UNKNOWN, /* no such admin command */
	NVME_ABORT_LIMIT,   /* too many of them already */
	NVME_ABORT_LOST,    /* the Abort itself never ends */
	NVME_ABORTS,
};

struct nvme_model_ns {
	u32 nsid;
	u64 blocks;
	u32 block_log2;
	u32 metadata_bytes;
	u32 protection;
	u32 format; /* which of its 64 formats is in use */
	bool protected;
	u8 nguid[16], eui64[8];
	u8 *disk;
};

struct nvme_model_queue {
	u64 sq_pa, cq_pa;
	u32 sq_entries, cq_entries;
	u32 sq_head, cq_head, cq_tail;
	u32 phase;
	bool live;
	bool interrupts;
};

struct nvme_model_pending {
	u64 due_read;
	u32 qid;
	struct nvme_cqe cqe;
};

/* A command that the controller has taken and will never end by itself. */
struct nvme_model_held {
	u32 qid;
	struct nvme_sqe sqe;
};

struct nvme_model {
	/* knobs */
	char serial[21]; /* with a character that no console should see */
	u32 mqes, to, dstrd, mpsmin, css_nvm, mdts, vwc, nn;
	u32 version, type;
	u32 crto;     /* not 0: it is there, as CAP says */
	bool no_list; /* refuses CNS 2 */
	bool list_empty;
	bool ready_stuck_0, ready_stuck_1, shutdown_stuck;
	u32 ready_reads; /* register reads that a state change takes */
	u32 delay_reads; /* ... that every I/O completion takes */
	bool lifo;	 /* later ones complete first */
	enum nvme_fault fault;
	u64 fault_at; /* command, counted from 1 */
	u64 fault_count;
	bool fault_io; /* commands of the I/O queue only, and only these count */
	enum nvme_abort abort;
	u32 disables_ok; /* after so many it does not let itself be disabled; 0: any number */
	u32 enables_ok;	 /* nor become ready */
	bool caches;	 /* writes are durable once flushed; the test ends with _flush or _cut */
	bool loses;	 /* what is in the cache, at each reset */
	enum nvme_read_fault read_fault;
	u64 read_fault_at;
	u64 us_per_read;	    /* model time of a register read */
	u64 write_first, write_end; /* LBAs that may be written */
	u64 dma_first, dma_end;	    /* memory that may be written to */
	struct nvme_model_ns ns[NVME_MODEL_NAMESPACES];
	u32 ns_count;
	/* what it saw */
	u64 reads, commands, flushes, blocks_written, failed, aborts;
	u32 stray_writes;    /* commands outside write_first..write_end, or to another namespace */
	u32 stray_dma;	     /* DMA outside memory, or outside dma_first..dma_end;
			   * interrupt messages */
	u32 protocol_errors; /* what the specification forbids a host */
	bool shut_down;	     /* in order, since the last enable */
	/* state */
	struct mmio regs;
	struct pci_model_fn *fn;
	u32 cc, csts, aqa, csts_stuck;
	u64 asq, acq, settle_read;
	bool firmware; /* still as it was left: running on queues in old memory */
	u32 resets;    /* of the function, that it has noticed */
	u32 disables, enables;
	u32 qid; /* of the command that is being run */
	bool gone;
	struct nvme_model_queue queue[2];
	struct nvme_model_pending pending[NVME_MODEL_PENDING];
	u32 pending_count;
	struct nvme_model_held held[NVME_MODEL_PENDING];
	u32 held_count;
	u32 result; /* of the command that is being run */
	struct nvme_model_undo *undo;
};

/* A sound controller at @bdf as a kernel leaves it: enabled, MSI-X on; no namespaces. */
void nvme_model_init(struct nvme_model *m, u32 bdf);

/* Adds a namespace over @disk, which stays the caller's. */
void nvme_model_add(struct nvme_model *m, u32 nsid, u8 *disk, u64 blocks, u32 block_log2);

/* DMA by the controller: NULL, and counted, if that is not allowed. */
u8 *nvme_model_dma(struct nvme_model *m, u64 pa, u64 bytes, bool to_memory);

/* Ends a command @delay register reads from now. */
void nvme_model_end(struct nvme_model *m, u32 qid, const struct nvme_cqe *cqe, u64 delay);

/* Remembers what is at @p before a write, in the volatile cache if there is one. */
void nvme_model_cache(struct nvme_model *m, u8 *p, u64 bytes);

/* It is durable now. */
void nvme_model_flush(struct nvme_model *m);

/* Power goes: what was written since the last flush is lost. */
void nvme_model_cut(struct nvme_model *m);

/* Runs one command; returns its status field without the phase. */
u16 nvme_model_run(struct nvme_model *m, u32 qid, const struct nvme_sqe *sqe);

#endif
