/*
 * Configuration space of a few functions. Only the command register does anything.
 */
#include <stdlib.h>
#include <string.h>
#include "pci_model.h"
#include "ports.h"

#define COMMAND_AT 1
#define CLASS_AT   2
#define BAR0_AT	   4
#define BAR_64	   4u
#define WRITABLE   (PCI_MODEL_MEMORY | PCI_MODEL_MASTER | PCI_MODEL_INTX)

static struct {
	u32 count;
	u64 reads;
	struct pci_model_fn fn[PCI_MODEL_FUNCTIONS];
} bus;

void pci_model_reset(void)
{
	memset(&bus, 0, sizeof(bus));
}

struct pci_model_fn *pci_model_add(u32 bdf, u32 class)
{
	struct pci_model_fn *fn = &bus.fn[bus.count++];

	if (bus.count > PCI_MODEL_FUNCTIONS)
		abort();
	fn->bdf = bdf;
	fn->config[0] = 0x00101b36;
	fn->config[CLASS_AT] = class << 8;
	return fn;
}

void pci_model_bar(struct pci_model_fn *fn, u64 pa, u64 bytes, const struct mmio *regs)
{
	fn->bar_pa = pa;
	fn->bar_bytes = bytes;
	fn->regs = regs;
	fn->config[BAR0_AT] = (u32)pa | BAR_64;
	fn->config[BAR0_AT + 1] = (u32)(pa >> 32);
}

bool pci_model_masters(const struct pci_model_fn *fn)
{
	return fn->config[COMMAND_AT] & PCI_MODEL_MASTER;
}

u64 pci_model_reads(void)
{
	return bus.reads;
}

static struct pci_model_fn *find(u32 bdf, u32 offset)
{
	if (bdf >= 0x10000 || offset % 4 != 0 || offset >= PCI_MODEL_DWORDS * 4)
		abort();
	for (u32 i = 0; i < bus.count; i++) {
		if (bus.fn[i].bdf == bdf && !bus.fn[i].gone)
			return &bus.fn[i];
	}
	return NULL;
}

u32 pci_read(u32 bdf, u32 offset)
{
	const struct pci_model_fn *fn = find(bdf, offset);

	bus.reads++;
	return fn ? fn->config[offset / 4] : 0xffffffff;
}

void pci_write(u32 bdf, u32 offset, u32 value)
{
	struct pci_model_fn *fn = find(bdf, offset);
	u32 old;

	if (!fn || offset / 4 != COMMAND_AT)
		return;
	old = fn->config[COMMAND_AT];
	fn->status_written |= value >> 16;
	fn->config[COMMAND_AT] = (old & ~WRITABLE) | (value & WRITABLE);
	if (fn->master_stuck)
		fn->config[COMMAND_AT] |= old & PCI_MODEL_MASTER;
}

const struct mmio *mmio_map(u64 pa, u64 bytes)
{
	for (u32 i = 0; i < bus.count; i++) {
		struct pci_model_fn *fn = &bus.fn[i];

		if (!fn->regs || pa != fn->bar_pa || bytes > fn->bar_bytes)
			continue;
		fn->mapped_bytes = max_u64(fn->mapped_bytes, bytes);
		return fn->regs;
	}
	return NULL;
}
