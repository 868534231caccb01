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
	NVME_FAULT_SHRINK,     /* the namespaces are smaller from now on */
	NVME_FAULTS,
};

enum nvme_read_fault {
	NVME_READ_NONE,
	NVME_READ_GONE,	   /* ones from the n-th register read on */
	NVME_READ_BLINK,   /* ones at the n-th only */
	NVME_READ_FATAL,   /* CSTS.CFS from the n-th on */
	NVME_READ_UNREADY, /* CSTS.RDY reads 0 while enabled, from the n-th on */
	NVME_READ_FAULTS,
};

struct nvme_model_ns {
	u32 nsid;
	u64 blocks;
	u32 block_log2;
	u32 metadata_bytes;
	u32 protection;
	u32 format; /* which of its 64 formats is in use */
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

struct nvme_model {
	/* knobs */
	char serial[21]; /* with a character that no console should see */
	u32 mqes, to, dstrd, mpsmin, css_nvm, mdts, vwc, nn;
	bool no_list; /* refuses CNS 2, as NVMe 1.0 does */
	bool list_empty;
	bool ready_stuck_0, ready_stuck_1, shutdown_stuck;
	u32 ready_reads; /* register reads that a state change takes */
	u32 delay_reads; /* ... that every I/O completion takes */
	bool lifo;	 /* later ones complete first */
	enum nvme_fault fault;
	u64 fault_at; /* command, counted from 1 */
	u64 fault_count;
	enum nvme_read_fault read_fault;
	u64 read_fault_at;
	u64 us_per_read;	    /* model time of a register read */
	u64 write_first, write_end; /* LBAs that may be written */
	u64 dma_first, dma_end;	    /* memory that may be written to */
	struct nvme_model_ns ns[NVME_MODEL_NAMESPACES];
	u32 ns_count;
	/* what it saw */
	u64 reads, commands, flushes, blocks_written, failed;
	u32 stray_writes; /* commands outside write_first..write_end, or to another namespace */
	u32 stray_dma;	  /* DMA without the right, outside memory, or outside dma_first..dma_end;
			   * interrupt messages */
	u32 protocol_errors; /* what the specification forbids a host */
	bool shut_down;	     /* in order, since the last enable */
	/* state */
	struct mmio regs;
	struct pci_model_fn *fn;
	u32 cc, csts, aqa;
	u64 asq, acq, settle_read;
	bool firmware; /* still as it was left: running on queues in old memory */
	u32 resets;    /* of the function, that it has noticed */
	bool gone;
	struct nvme_model_queue queue[2];
	struct nvme_model_pending pending[NVME_MODEL_PENDING];
	u32 pending_count;
};

/* A sound controller at @bdf as a kernel leaves it: enabled, MSI-X on; no namespaces. */
void nvme_model_init(struct nvme_model *m, u32 bdf);

/* Adds a namespace over @disk, which stays the caller's. */
void nvme_model_add(struct nvme_model *m, u32 nsid, u8 *disk, u64 blocks, u32 block_log2);

/* DMA by the controller: NULL, and counted, if that is not allowed. */
u8 *nvme_model_dma(struct nvme_model *m, u64 pa, u64 bytes, bool to_memory);

/* Runs one command; returns its status field without the phase. */
u16 nvme_model_run(struct nvme_model *m, u32 qid, const struct nvme_sqe *sqe);

#endif
