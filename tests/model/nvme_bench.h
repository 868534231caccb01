/*
 * A machine with one modelled NVMe controller, and the driver's view of it.
 */
#ifndef AFTERIMAGE_NVME_BENCH_H
#define AFTERIMAGE_NVME_BENCH_H

#include "drivers/nvme/nvmevar.h"
#include "machine_model.h"
#include "nvme_model.h"
#include "requests.h"

#define BDF	   0x20u
#define DISK_BYTES (4u * MIB)
#define BUF_BYTES  (72u * KIB)

struct bench {
	struct machine mc;
	struct nvme_model m;
	struct nvme *n; /* NULL until open */
	u8 *disk;
	u8 *buf; /* DMA buffer of BUF_BYTES in the arena */
	u64 buf_pa;
};

/* A sound controller with one zeroed namespace; DMA to memory is allowed in the arena only. */
void bench_make(struct bench *b, u32 block_log2);

/* Aborts if the controller saw a stray write, stray DMA or a broken rule. */
void bench_free(struct bench *b);

enum status bench_open(struct bench *b) MUST_CHECK;
enum status bench_open_all(struct bench *b) MUST_CHECK; /* and selects the first namespace */
enum status bench_stop(struct bench *b) MUST_CHECK;

#endif
