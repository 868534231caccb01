/*
 * A machine with one modelled AHCI HBA, and the driver's view of it.
 */
#ifndef AFTERIMAGE_AHCI_BENCH_H
#define AFTERIMAGE_AHCI_BENCH_H

#include "ahci_model.h"
#include "blk.h"
#include "machine_model.h"
#include "requests.h"

#define AHCI_BENCH_DISKS 4u
#define AHCI_DISK_BYTES	 (512u * KIB)
#define AHCI_BUF_BYTES	 (144u * KIB)
#define AHCI_ARENA_BYTES (256u * KIB)
#define AHCI_OLD_BYTES	 (512u * KIB)
#define AHCI_RAM_BYTES	 (MACHINE_OLD_PA + AHCI_OLD_BYTES)
#define AHCI_HIGH_PA	 (4ull * GIB)
#define AHCI_HIGH_BYTES	 (256u * KIB)

struct ahci_bench {
	struct machine mc;
	struct ahci_model m;
	struct blk *blk;	    /* NULL until open */
	u8 *disk[AHCI_BENCH_DISKS]; /* what the host sees */
	u8 *kept[AHCI_BENCH_DISKS]; /* what a loss of power leaves */
	u8 *buf;		    /* DMA buffer of AHCI_BUF_BYTES in the arena */
	u64 buf_pa;
	u8 *high; /* old memory above 4 GiB */
};

/* RAM full of noise and an HBA without disks; it may write to the arena only. */
void ahci_bench_make(struct ahci_bench *b, u32 ports);

/* The next of the disks, full of noise, in @port. */
struct ahci_model_disk *ahci_bench_disk(struct ahci_bench *b, u32 port, u32 block_bytes);

/* HBA with one port and a disk in it. */
void ahci_bench_one(struct ahci_bench *b, u32 block_bytes);

/* Aborts if the HBA saw a stray write, stray DMA or a broken rule, or if old memory changed. */
void ahci_bench_free(struct ahci_bench *b);

enum status ahci_bench_open(struct ahci_bench *b) MUST_CHECK;
enum status ahci_bench_open_all(struct ahci_bench *b) MUST_CHECK; /* and selects the first disk */
enum status ahci_bench_stop(struct ahci_bench *b) MUST_CHECK;

#endif
