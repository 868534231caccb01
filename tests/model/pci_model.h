/*
 * A PCI configuration space for hosted builds: the test adds functions, the ports
 * pci_read, pci_write and mmio_map work on them.
 */
#ifndef AFTERIMAGE_PCI_MODEL_H
#define AFTERIMAGE_PCI_MODEL_H

#include "mmio.h"
#include "types.h"

#define PCI_MODEL_FUNCTIONS 16
#define PCI_MODEL_DWORDS    16

#define PCI_MODEL_MEMORY 2u
#define PCI_MODEL_MASTER 4u
#define PCI_MODEL_INTX	 0x400u
#define PCI_MODEL_MULTI	 (1u << 23)

struct pci_model_fn {
	u32 bdf;
	u32 config[PCI_MODEL_DWORDS];
	bool gone;	    /* reads as all ones */
	bool master_stuck;  /* bus mastering can not be cleared */
	u32 status_written; /* ones written to the status half: a driver's mistake */
	u64 bar_pa;
	u64 bar_bytes;
	u64 mapped_bytes;	 /* most that mmio_map was asked for */
	const struct mmio *regs; /* NULL: mmio_map fails */
};

void pci_model_reset(void);

/* Adds a function with @class as in struct pci_dev; header type 0, everything else 0. */
struct pci_model_fn *pci_model_add(u32 bdf, u32 class);

/* Gives it a 64-bit memory BAR 0. */
void pci_model_bar(struct pci_model_fn *fn, u64 pa, u64 bytes, const struct mmio *regs);

bool pci_model_masters(const struct pci_model_fn *fn);

/* Configuration reads so far. */
u64 pci_model_reads(void);

#endif
