/*
 * An AHCI host bus adapter with disks for hosted builds, after the specifications and not
 * after the driver, with a knob for every way to misbehave. It does DMA to the memory that
 * host_ram_at knows, and counts what no driver may cause. Time is the tests' clock.
 */
#ifndef AFTERIMAGE_AHCI_MODEL_H
#define AFTERIMAGE_AHCI_MODEL_H

#include "ahci_model_reg.h"
#include "mmio.h"
#include "pci_model.h"
#include "types.h"

#define AHCI_MODEL_PORTS 32
#define AHCI_MODEL_SLOTS 32
#define AHCI_MODEL_BDF	 0xfau

/* What happens to a command, counted over all ports. */
enum ahci_fault {
	AHCI_FAULT_NONE,
	AHCI_FAULT_NEVER,      /* it is lost */
	AHCI_FAULT_LATE,       /* it ends late, but within any deadline */
	AHCI_FAULT_TOO_LATE,   /* it ends when no host waits any more */
	AHCI_FAULT_ERROR,      /* it ends with an error, nothing is transferred */
	AHCI_FAULT_D2H_ERROR,  /* likewise, by a D2H FIS; a queued one before it was accepted */
	AHCI_FAULT_INTERFACE,  /* PxIS.IFS: its data had a wrong CRC */
	AHCI_FAULT_NONFATAL,   /* PxIS.INFS, and it is done well */
	AHCI_FAULT_BUS,	       /* PxIS.HBFS */
	AHCI_FAULT_BUS_DATA,   /* PxIS.HBDS */
	AHCI_FAULT_SHORT,      /* half of it is transferred, and says so; of one not queued */
	AHCI_FAULT_BUSY,       /* the drive stays busy with it, until it is reset */
	AHCI_FAULT_BUSY_EVER,  /* whatever is done */
	AHCI_FAULT_SDB_EARLY,  /* a queued one is reported before it is begun */
	AHCI_FAULT_SDB_ALL,    /* SDB FIS for slots that were never issued */
	AHCI_FAULT_SDB_NONE,   /* SDB FIS that reports nothing */
	AHCI_FAULT_POWER,      /* the drive loses power: COMINIT, cache and queue gone */
	AHCI_FAULT_POWER_BACK, /* likewise, and the link comes back by itself */
	AHCI_FAULT_UNPLUG,     /* nothing there any more */
	AHCI_FAULT_GONE,       /* all registers read as ones from now on */
	AHCI_FAULT_SHRINK,     /* the disks are smaller from now on */
	AHCI_FAULTS,
};

/* What happens at a register read. */
enum ahci_read_fault {
	AHCI_READ_NONE,
	AHCI_READ_GONE,	    /* ones from the n-th read on */
	AHCI_READ_BLINK,    /* ones at the n-th only */
	AHCI_READ_BUSY,	    /* PxTFD shows BSY from the n-th on */
	AHCI_READ_CR_STUCK, /* PxCMD.CR stays as it is from the n-th on */
	AHCI_READ_FR_STUCK,
	AHCI_READ_RESET_STUCK, /* GHC.HR stays once set */
	AHCI_READ_NO_LINK,     /* every link is lost for ever */
	AHCI_READ_POWER,       /* every drive loses power */
	AHCI_READ_POWER_BACK,
	AHCI_READ_CI_EXTRA,   /* PxCI shows slots that were not issued, at the n-th read only */
	AHCI_READ_SACT_EXTRA, /* PxSACT likewise */
	AHCI_READ_CI_STUCK,   /* PxCI keeps its ones from the n-th on */
	AHCI_READ_SACT_STUCK,
	AHCI_READ_SDB,	     /* SDB FIS out of the blue */
	AHCI_READ_D2H_ERROR, /* the drive reports an error and drops its queue */
	AHCI_READ_INTERFACE, /* PxIS.IFS */
	AHCI_READ_BUS,	     /* PxIS.HBFS */
	AHCI_READ_SHRINK,
	AHCI_READ_FAULTS,
};

enum ahci_bios {
	AHCI_BIOS_NONE,
	AHCI_BIOS_GOOD,
	AHCI_BIOS_SLOW,
	AHCI_BIOS_STUCK
};

enum ahci_kind {
	AHCI_KIND_NOTHING,
	AHCI_KIND_DISK,
	AHCI_KIND_ATAPI,
	AHCI_KIND_MULTIPLIER
};

/* A command that the drive has. */
struct ahci_model_cmd {
	bool live, queued;
	bool write, fua;
	u8 command, features;
	u32 header; /* first word */
	u64 header_pa, table_pa;
	u64 lba, blocks;
	u64 due_us;
	u64 bytes;  /* of a transfer that is not of blocks */
	u64 number; /* the how many-th of the HBA's commands */
};

struct ahci_model_disk {
	/* knobs */
	enum ahci_kind kind;
	u8 *bytes; /* what the host sees; the caller's */
	u8 *kept;  /* what survives a loss of power: as long; NULL: the same */
	u64 blocks;
	u64 first_lba; /* that bytes begin with; there are none for the others */
	u32 block_bytes;
	bool no_lba48, no_flush_ext, no_wcache, wcache_off, no_id_checksum;
	u32 depth;	  /* of its queue; 0: no NCQ */
	u64 bad_lba;	  /* sector that can not be read or written; all ones: none */
	u64 spin_up_us;	  /* from COMRESET or spin-up to the signature */
	bool never_ready; /* there, but stays busy */
	bool errors;	  /* every transfer fails */
	char serial[21];
	u64 wwn;      /* 0: none */
	bool swapped; /* the next loss of power is that of another disk put in its place */
	u64 write_first, write_end; /* LBAs that may be written */
	/* state */
	u64 all_blocks; /* that there were, should it shrink */
	u8 *dirty;	/* one for each block that is in the cache only */
	bool wcache;
	bool ncq_error; /* refuses all but the log until that is read */
	bool gone;	/* pulled out */
	u8 log_tag, log_error;
	bool log_nq;
};

struct ahci_model;

struct ahci_model_port {
	struct ahci_model *hba;
	u32 index;
	struct ahci_model_disk disk;
	u64 clb, fb;
	u32 is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
	bool halted;	/* fatal error: fetches nothing until ST is cleared */
	bool old;	/* still running as the crashed kernel left it */
	bool stale;	/* the drive may know commands from before ST was last cleared */
	bool srst;	/* in software reset */
	bool sig_waits; /* the first FIS is held back until DIAG.X is clear */
	bool announced; /* the signature is due at sig_us */
	bool busy_ever;
	u64 st_off_us, fre_off_us, clo_us; /* when CR, FR, CLO go; 0: not waiting */
	u64 link_us;			   /* when the link comes up; 0: not waiting */
	u64 sig_us;
	u64 comreset_us; /* when DET was set to 1 */
	struct ahci_model_cmd cmds[AHCI_MODEL_SLOTS];
};

struct ahci_model {
	/* knobs */
	u32 cap, cap2, pi;
	enum ahci_bios bios;
	u64 bios_us; /* that BIOS takes to let go */
	u64 hr_us;   /* that a reset takes */
	u64 stop_us; /* that CR and FR take to clear */
	u64 link_us; /* that a link takes */
	bool hr_stuck, cr_stuck, fr_stuck, clo_stuck;
	bool cr_stuck_old; /* CR of ports as they were left stays until the HBA is reset */
	bool lenient;	   /* takes a drive's first FIS before DIAG.X is cleared */
	u64 command_us;	   /* that a command takes */
	u64 spread_us;	   /* ... and up to this more, so that queued ones end in any order */
	bool reverse;	   /* later ones of a poll first */
	u64 us_per_read;   /* time of a register read */
	enum ahci_fault fault;
	u64 fault_at; /* command, counted from 1 */
	u64 fault_count;
	enum ahci_read_fault read_fault;
	u64 read_fault_at;
	u64 dma_first, dma_end; /* memory that may be written to */
	/* what it saw */
	u64 reads, commands, queued, failed, flushes, resets, comresets, power_losses;
	u64 blocks_written;
	u32 spinning_most; /* drives that were made to spin up at the same time */
	u32 stray_writes, stray_dma, protocol_errors, pi_written;
	const char *broken; /* the first rule that was */
	/* state */
	struct mmio regs;
	struct pci_model_fn *fn;
	u32 ghc, is, bohc;
	u64 hr_end_us, bios_end_us, oos_us;
	u32 seed;
	u32 fn_resets;
	bool gone;
	struct ahci_model_port port[AHCI_MODEL_PORTS];
};

/*
 * A sound HBA at @bdf with @ports ports, 32 slots, NCQ and 64-bit addresses, as firmware
 * leaves it: AHCI mode, ports idle. No disks.
 */
void ahci_model_init(struct ahci_model *m, u32 bdf, u32 ports);

/* Puts a sound SSD with NCQ into @port: @bytes and @kept stay the caller's. */
struct ahci_model_disk *ahci_model_disk(
	struct ahci_model *m, u32 port, u8 *bytes, u8 *kept, u64 size, u32 block_bytes);

/* Puts something else there. */
void ahci_model_put(struct ahci_model *m, u32 port, enum ahci_kind kind);

/*
 * As a crashed kernel leaves @port: started, interrupts on, lists in its memory at @pa, and
 * @count queued commands in flight.
 */
void ahci_model_leave_running(struct ahci_model *m, u32 port, u64 pa, u32 count);

void ahci_model_free(struct ahci_model *m);

/*
 * Between the model's files.
 */

/* A rule of the specification was broken. */
void ahci_model_broken(struct ahci_model *m, const char *what);

/* DMA by the HBA: NULL, and counted, if that is not allowed. */
u8 *ahci_model_dma(struct ahci_model *m, u64 pa, u64 bytes, bool to_memory);

/* Is @fault due for command @number? */
bool ahci_model_fault(const struct ahci_model *m, enum ahci_fault fault, u64 number);

u64 ahci_model_random(struct ahci_model *m, u64 below);

u32 ahci_model_port_read(struct ahci_model_port *p, u32 offset);
void ahci_model_port_write(struct ahci_model_port *p, u32 offset, u32 value);

/* Time passes: engines stop, links come up, signatures arrive, commands end. */
void ahci_model_port_settle(struct ahci_model_port *p, u64 now_us);
void ahci_model_port_reset(struct ahci_model_port *p, u64 now_us);

/* Sets bits of PxIS; a wanted interrupt that is a message is stray DMA. */
void ahci_model_port_raise(struct ahci_model_port *p, u32 is);

/* COMRESET or COMINIT: the link comes up at @now_us + the model's time for that. */
void ahci_model_port_relink(struct ahci_model_port *p, u64 now_us);

void ahci_model_power_loss(struct ahci_model_port *p, u64 now_us, bool back);
void ahci_model_unplug(struct ahci_model_port *p);
void ahci_model_shrink(struct ahci_model *m);

/* New bits in PxCI. */
void ahci_model_issue(struct ahci_model_port *p, u32 slots);
void ahci_model_run(struct ahci_model_port *p, u64 now_us);

/* FISes from the drive. */
void ahci_model_d2h(struct ahci_model_port *p, u8 status, u8 error, bool interrupt);
void ahci_model_sdb(struct ahci_model_port *p, u32 done, u8 status, u8 error);
void ahci_model_drop_queue(struct ahci_model_port *p, u8 tag, bool queued, u8 error);

/* The drive: takes the command apart, false: aborted. Does it; returns the error register. */
bool ahci_model_decode(struct ahci_model_port *p, u32 slot, const u8 *fis);
u8 ahci_model_perform(struct ahci_model_port *p, const struct ahci_model_cmd *c, bool half);

#endif
