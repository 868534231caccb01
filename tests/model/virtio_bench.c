/*
 * What the virtio driver's tests share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "virtio_bench.h"

/* Part of no test program by itself, so without cmocka. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "modelled virtio disk: %s\n", what);
	abort();
}

void vbench_make(struct vbench *b)
{
	memset(b, 0, sizeof(*b));
	machine_init(&b->mc);
	b->disk = calloc(1, VBENCH_DISK);
	b->durable = calloc(1, VBENCH_DISK);
	must(b->disk && b->durable, "out of memory");
	vbench_renew(b);
}

void vbench_renew(struct vbench *b)
{
	pci_model_reset();
	virtio_model_init(&b->m, VBENCH_BDF, b->disk, b->durable, VBENCH_DISK);
	b->m.dma_first = MACHINE_ARENA_PA;
	b->m.dma_end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;
	b->v = NULL;
	b->mc.arena.used = 0;
	b->buf = arena_alloc(&b->mc.arena, VBENCH_BUF, PAGE_BYTES);
	must(b->buf, "arena too small");
	b->buf_pa = arena_pa(&b->mc.arena, b->buf);
}

void vbench_check(const struct vbench *b)
{
	must(b->m.stray_dma == 0, "DMA that is not allowed");
	must(b->m.fn->pins == 0, "interrupt pin");
	must(b->m.fn->early == 0, "waking not waited for");
	must(b->m.stray_writes == 0, "write outside the extent");
	must(b->m.protocol_errors == 0, b->m.broken);
}

void vbench_free(struct vbench *b)
{
	vbench_check(b);
	free(b->disk);
	free(b->durable);
	machine_free(&b->mc);
}

enum status vbench_open(struct vbench *b)
{
	struct pci_dev dev = {.bdf = VBENCH_BDF, .vendor = 0x1af4, .device = 0x1042};
	struct blk *blk;
	enum status st = virtio_driver.open(&dev, &b->mc.arena, &blk);

	if (st == OK)
		b->v = (struct virtio *)blk;
	return st;
}

enum status vbench_open_all(struct vbench *b)
{
	enum status st = vbench_open(b);

	return st == OK ? virtio_select(&b->v->blk, 0) : st;
}

enum status vbench_stop(struct vbench *b)
{
	return b->v->blk.ops->stop(&b->v->blk);
}
