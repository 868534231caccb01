/*
 * A virtio disk on modern PCI for hosted builds, after the specification (VIRTIO 1.2) and not
 * after the driver, with a knob for every way to misbehave. It does DMA to the memory that
 * host_ram_at knows, and counts what no driver may cause. It has a cache that a reset may lose.
 */
#ifndef AFTERIMAGE_VIRTIO_MODEL_H
#define AFTERIMAGE_VIRTIO_MODEL_H

#include "mmio.h"
#include "pci_model.h"
#include "types.h"

#define VIRTIO_MODEL_PIECES  64
#define VIRTIO_MODEL_PENDING 64
#define VIRTIO_MODEL_ID	     20
#define VIRTIO_MODEL_FOREVER 0xffffffffu

/* Structures: where each is in the BAR (knobs), and the place of its capability. */
enum virtio_model_area {
	VIRTIO_AREA_COMMON,
	VIRTIO_AREA_NOTIFY,
	VIRTIO_AREA_DEVICE,
	VIRTIO_AREAS,
};

#define VIRTIO_MODEL_BAR_PA    0x3800004000ull
#define VIRTIO_MODEL_BAR_BYTES 0x4000u
#define VIRTIO_MODEL_BAR       4
#define VIRTIO_MODEL_CAP_AT(i) (0x60u + 20 * (i)) /* of an area */

enum virtio_fault {
	VIRTIO_FAULT_NONE,
	VIRTIO_FAULT_NEVER,	  /* the request is lost */
	VIRTIO_FAULT_LATE,	  /* its completion comes some register reads later */
	VIRTIO_FAULT_IOERR,	  /* it fails, nothing is transferred */
	VIRTIO_FAULT_ODD_STATUS,  /* likewise, with a status that is not defined */
	VIRTIO_FAULT_UNSUPP,	  /* likewise, not supported */
	VIRTIO_FAULT_NO_STATUS,	  /* completed, but no status was written */
	VIRTIO_FAULT_SHORT,	  /* all but a sector of the data is read; it says so */
	VIRTIO_FAULT_ID_UNKNOWN,  /* its completion names no descriptor of the queue */
	VIRTIO_FAULT_ID_FREE,	  /* ... one that is not in use */
	VIRTIO_FAULT_SPURIOUS,	  /* the same, besides the right one */
	VIRTIO_FAULT_DUPLICATE,	  /* two completions */
	VIRTIO_FAULT_JUMP,	  /* the index counts more than there are */
	VIRTIO_FAULT_BACK,	  /* the index goes back */
	VIRTIO_FAULT_NEEDS_RESET, /* DEVICE_NEEDS_RESET instead of a completion */
	VIRTIO_FAULT_FORGETS,	  /* it resets itself */
	VIRTIO_FAULT_GONE,	  /* all registers read as ones from now on */
	VIRTIO_FAULT_SHRINK,	  /* the disk is smaller from now on */
	VIRTIO_FAULTS,
};

enum virtio_read_fault {
	VIRTIO_READ_NONE,
	VIRTIO_READ_GONE,	 /* ones from the n-th register read on */
	VIRTIO_READ_BLINK,	 /* ones at the n-th only */
	VIRTIO_READ_NEEDS_RESET, /* DEVICE_NEEDS_RESET at the n-th, until it is reset */
	VIRTIO_READ_SICK,	 /* the same, and again after every reset */
	VIRTIO_READ_FORGETS,	 /* it resets itself at the n-th */
	VIRTIO_READ_STUCK,	 /* its status does not change any more from the n-th on */
	VIRTIO_READ_ZERO,	 /* zeros from the n-th on */
	VIRTIO_READ_FAULTS,
};

struct virtio_model_piece {
	u64 pa;
	u32 bytes;
	bool write;
};

/* A request that was taken from the queue. */
struct virtio_model_chain {
	u64 due_read;
	enum virtio_fault fault;
	u32 head;
	u32 count;
	struct virtio_model_piece piece[VIRTIO_MODEL_PIECES];
};

struct virtio_model {
	/* knobs */
	u32 features, features_hi; /* offered */
	u64 sectors;
	u32 size_max, seg_max, blk_size;
	char id[VIRTIO_MODEL_ID];
	u32 queue_max, notify_unit, multiplier;
	bool size_fixed; /* the queue's size can not be written */
	bool features_refused, reset_stuck;
	bool counts_data_only; /* what it says it wrote is without the status */
	bool forgets_cache;    /* a reset loses what was not flushed */
	u32 config_churn;      /* so many times the configuration is another when looked at */
	u32 reset_reads;       /* register reads that a reset takes */
	u32 delay_reads;       /* ... that every completion takes */
	bool lifo;	       /* later ones complete first */
	enum virtio_fault fault;
	u64 fault_at; /* request, counted from 1 */
	u64 fault_count;
	enum virtio_read_fault read_fault;
	u64 read_fault_at;
	u64 us_per_read;	    /* model time of a register read */
	u64 write_first, write_end; /* sectors that may be written */
	u64 dma_first, dma_end;	    /* memory that may be written to */
	/* what it saw */
	u64 reads, commands, flushes, sectors_written, failed;
	u32 resets;	  /* by its status register */
	u32 stray_writes; /* requests outside write_first..write_end, or to a disk that is read-only */
	u32 stray_dma;	  /* DMA without the right, outside memory, or outside dma_first..dma_end;
			   * interrupt messages */
	u32 protocol_errors;
	const char *broken; /* the first of these rules */
	u32 deepest;	    /* most requests in the queue */
	u32 longest;	    /* most descriptors in a request */
	/* state */
	u8 *disk, *durable; /* what reads see, and what a reset leaves; the caller's */
	u64 disk_bytes;
	struct mmio regs[VIRTIO_AREAS];
	u64 mapped[VIRTIO_AREAS];
	u32 doorbell; /* what was mapped of the doorbells */
	struct pci_model_fn *fn;
	u32 fn_resets; /* of the function, that it has noticed */
	u32 status, feature_select, feature_select_us, accepted, accepted_hi;
	u32 generation, queue_select, queue_size;
	bool queue_live, reset_seen, gone, firmware;
	bool forgot;	/* reset itself, which the driver can not know yet */
	u64 reset_done; /* register read at which a reset is over */
	u64 desc_pa, avail_pa, used_pa;
	u32 avail_idx, used_idx;
	struct virtio_model_chain pending[VIRTIO_MODEL_PENDING];
	u32 pending_count;
};

/* A sound disk at @bdf over @disk as a kernel leaves it: in use, MSI-X on. */
void virtio_model_init(struct virtio_model *m, u32 bdf, u8 *disk, u8 *durable, u64 bytes);

/* Puts area @i elsewhere, or makes it another length. */
void virtio_model_area(struct virtio_model *m, u32 i, u32 bar, u32 offset, u32 bytes);

/*
 * Between the model's files.
 */

/* The driver broke a rule. */
void virtio_model_broken(struct virtio_model *m, const char *rule);

/* DMA by the device: NULL, and counted, if that is not allowed. */
u8 *virtio_model_dma(struct virtio_model *m, u64 pa, u64 bytes, bool to_memory);

/* A reset that nobody asked for. */
void virtio_model_forget(struct virtio_model *m);

/* Takes what is new in the queue, then completes what is due. */
void virtio_model_fetch(struct virtio_model *m);
void virtio_model_settle(struct virtio_model *m);

/* Runs a request but for its status, which it returns; *@written: how much went to memory. */
u8 virtio_model_run(struct virtio_model *m, const struct virtio_model_chain *c, u32 *written);

#endif
