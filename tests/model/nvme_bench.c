/*
 * What the NVMe driver's tests share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nvme_bench.h"

/* Part of no test program by itself, so without cmocka. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "modelled controller: %s\n", what);
	abort();
}

void bench_make(struct bench *b, u32 block_log2)
{
	memset(b, 0, sizeof(*b));
	machine_init(&b->mc);
	nvme_model_init(&b->m, BDF);
	b->disk = calloc(1, DISK_BYTES);
	must(b->disk, "out of memory");
	nvme_model_add(&b->m, 1, b->disk, DISK_BYTES >> block_log2, block_log2);
	b->m.dma_first = MACHINE_ARENA_PA;
	b->m.dma_end = MACHINE_ARENA_PA + MACHINE_ARENA_BYTES;
	b->buf = arena_alloc(&b->mc.arena, BUF_BYTES, PAGE_BYTES);
	must(b->buf, "arena too small");
	b->buf_pa = arena_pa(&b->mc.arena, b->buf);
}

void bench_free(struct bench *b)
{
	must(b->m.stray_dma == 0, "DMA that is not allowed");
	must(b->m.fn->pins == 0, "interrupt pin");
	must(b->m.fn->early == 0, "waking not waited for");
	must(b->m.stray_writes == 0, "write outside the extent");
	must(b->m.protocol_errors == 0, "host broke the specification");
	nvme_model_flush(&b->m);
	free(b->disk);
	machine_free(&b->mc);
}

enum status bench_open(struct bench *b)
{
	struct pci_dev dev = {.bdf = BDF, .class = NVME_PCI_CLASS};

	struct blk *blk;
	enum status st = nvme_driver.open(&dev, &b->mc.arena, &blk);

	if (st == OK)
		b->n = (struct nvme *)blk;
	return st;
}

enum status bench_open_all(struct bench *b)
{
	enum status st = bench_open(b);

	return st == OK ? nvme_select(&b->n->blk, 0) : st;
}

enum status bench_stop(struct bench *b)
{
	return b->n->blk.ops->stop(&b->n->blk);
}
