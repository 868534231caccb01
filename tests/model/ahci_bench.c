/*
 * What the AHCI driver's tests share. Memory and disks hold noise, the same in every run, so
 * that a block in the wrong place shows; they are made once and copied.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ahci_bench.h"
#include "drivers/ahci/ahcivar.h"
#include "tests/host/ports_mem.h"

#define NOISE_BYTES (AHCI_RAM_BYTES + AHCI_HIGH_BYTES + AHCI_BENCH_DISKS * AHCI_DISK_BYTES)
#define HIGH_AT	    AHCI_RAM_BYTES
#define DISK_AT(i)  (AHCI_RAM_BYTES + AHCI_HIGH_BYTES + (i)*AHCI_DISK_BYTES)

static _Alignas(4096) u8 noise[NOISE_BYTES];
static _Alignas(4096) u8 memory[NOISE_BYTES];
static u8 kept[AHCI_BENCH_DISKS][AHCI_DISK_BYTES];

/* Part of no test program by itself, so without cmocka. */
static void must(bool ok, const char *what, const char *why)
{
	if (ok)
		return;
	fprintf(stderr, "modelled HBA: %s: %s\n", what, why ? why : "");
	abort();
}

static void make_noise(void)
{
	u64 seed = 88172645463325252ull;

	for (u32 i = 0; i < NOISE_BYTES; i += 8) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		memcpy(noise + i, &seed, 8);
	}
}

void ahci_bench_make(struct ahci_bench *b, u32 ports)
{
	if (!noise[0]) {
		make_noise();
		memcpy(memory, noise, DISK_AT(0));
	}
	memset(b, 0, sizeof(*b));
	host_reset_all();
	pci_model_reset();
	/* The rest is as it was, as the end of the last test has seen. */
	memcpy(memory + MACHINE_ARENA_PA, noise + MACHINE_ARENA_PA, AHCI_ARENA_BYTES);
	b->mc.ram = memory;
	b->high = memory + HIGH_AT;
	host_ram_set(memory, AHCI_RAM_BYTES);
	host_ram_add(AHCI_HIGH_PA, b->high, AHCI_HIGH_BYTES);
	b->mc.arena = (struct arena) {
		.va = memory + MACHINE_ARENA_PA,
		.pa = MACHINE_ARENA_PA,
		.bytes = AHCI_ARENA_BYTES,
	};
	/* Its place is a function of the chipset's, which has others. */
	pci_model_add(AHCI_MODEL_BDF & ~7u, 0x060100)->config[3] = PCI_MODEL_MULTI;
	ahci_model_init(&b->m, AHCI_MODEL_BDF, ports);
	b->m.dma_first = MACHINE_ARENA_PA;
	b->m.dma_end = MACHINE_ARENA_PA + AHCI_ARENA_BYTES;
	b->buf = arena_alloc(&b->mc.arena, AHCI_BUF_BYTES, PAGE_BYTES);
	must(b->buf, "arena too small", NULL);
	b->buf_pa = arena_pa(&b->mc.arena, b->buf);
}

struct ahci_model_disk *ahci_bench_disk(struct ahci_bench *b, u32 port, u32 block_bytes)
{
	u32 i = 0;

	while (i < AHCI_BENCH_DISKS && b->disk[i])
		i++;
	must(i < AHCI_BENCH_DISKS, "too many disks", NULL);
	b->disk[i] = memory + DISK_AT(i);
	b->kept[i] = kept[i];
	memcpy(b->disk[i], noise + DISK_AT(i), AHCI_DISK_BYTES);
	memcpy(kept[i], noise + DISK_AT(i), AHCI_DISK_BYTES);
	return ahci_model_disk(&b->m, port, b->disk[i], kept[i], AHCI_DISK_BYTES, block_bytes);
}

void ahci_bench_one(struct ahci_bench *b, u32 block_bytes)
{
	ahci_bench_make(b, 1);
	ahci_bench_disk(b, 0, block_bytes);
}

static bool clean(const struct ahci_bench *b)
{
	return b->m.protocol_errors + b->m.stray_dma + b->m.stray_writes == 0;
}

void ahci_bench_free(struct ahci_bench *b)
{
	u64 end = MACHINE_ARENA_PA + AHCI_ARENA_BYTES;

	if (!clean(b))
		fprintf(stderr, "modelled HBA: fault %u at %llu, read fault %u at %llu\n",
			b->m.fault, (unsigned long long)b->m.fault_at, b->m.read_fault,
			(unsigned long long)b->m.read_fault_at);
	must(b->m.protocol_errors == 0, "host broke the specification", b->m.broken);
	must(b->m.stray_dma == 0, "DMA that is not allowed", NULL);
	must(b->m.stray_writes == 0, "write outside the extent", NULL);
	must(b->m.fn->pins == 0, "interrupt pin", NULL);
	must(b->m.fn->early == 0, "waking not waited for", NULL);
	must(memcmp(memory, noise, MACHINE_ARENA_PA) == 0, "memory changed", "below the arena");
	must(memcmp(memory + end, noise + end, DISK_AT(0) - end) == 0, "memory changed", "old");
	ahci_model_free(&b->m);
	host_reset_all();
}

enum status ahci_bench_open(struct ahci_bench *b)
{
	struct pci_dev dev = {.bdf = AHCI_MODEL_BDF, .class = 0x010601};

	return ahci_driver.open(&dev, &b->mc.arena, &b->blk);
}

enum status ahci_bench_open_all(struct ahci_bench *b)
{
	enum status st = ahci_bench_open(b);

	return st == OK ? b->blk->ops->select(b->blk, 0) : st;
}

enum status ahci_bench_stop(struct ahci_bench *b)
{
	return b->blk->ops->stop(b->blk);
}
