/*
 * A machine with one modelled virtio disk, and the driver's view of it.
 */
#ifndef AFTERIMAGE_VIRTIO_BENCH_H
#define AFTERIMAGE_VIRTIO_BENCH_H

#include "drivers/virtio/virtiovar.h"
#include "machine_model.h"
#include "requests.h"
#include "virtio_model.h"

#define VBENCH_BDF  0x28u
#define VBENCH_DISK (512u * KIB)
#define VBENCH_BUF  (72u * KIB)

struct vbench {
	struct machine mc;
	struct virtio_model m;
	struct virtio *v; /* NULL until open */
	u8 *disk;	  /* what is read from it */
	u8 *durable;	  /* what a lost cache leaves */
	u8 *buf;	  /* DMA buffer of VBENCH_BUF in the arena */
	u64 buf_pa;
};

/* A sound, zeroed disk; DMA to memory is allowed in the arena only. */
void vbench_make(struct vbench *b);

/* The same on a bench that was made before, and is to be freed once; its RAM stays. */
void vbench_renew(struct vbench *b);

/* Aborts if the disk saw a stray write, stray DMA or a broken rule. */
void vbench_check(const struct vbench *b);
void vbench_free(struct vbench *b); /* checks too */

enum status vbench_open(struct vbench *b) MUST_CHECK;
enum status vbench_open_all(struct vbench *b) MUST_CHECK; /* and selects the disk */
enum status vbench_stop(struct vbench *b) MUST_CHECK;

#endif
