/*
 * Display controllers: finds the one whose memory a framebuffer is in (PCI 3.0 s6.2.5.1). Sets
 * no mode, touches no register of theirs.
 */
#include "display.h"
#include "pci.h"
#include "pcireg.h"
#include "pcivar.h"
#include "ports.h"

/* The bits of a BAR that can be changed: all above its size. What it held is put back. */
static u32 bar_mask(u32 bdf, u32 index)
{
	u32 old = pci_read(bdf, PCI_BAR(index));
	u32 mask;

	pci_write(bdf, PCI_BAR(index), PCI_NOBODY);
	mask = pci_read(bdf, PCI_BAR(index));
	pci_write(bdf, PCI_BAR(index), old);
	return mask;
}

/* 0 if what it answers is not a size: all bits above it can be changed, none below. */
static u64 bar_bytes(const struct pci_dev *dev, u32 index)
{
	u32 low = pci_read(dev->bdf, PCI_BAR(index));
	u64 bytes;
	u64 mask = (u64)UINT32_MAX << 32;

	if (!pci_command_change(dev->bdf, PCI_COMMAND_MEMORY, 0))
		return 0;
	mask |= bar_mask(dev->bdf, index) & PCI_BAR_BASE;
	if ((low & PCI_BAR_TYPE) == PCI_BAR_TYPE64)
		mask = (mask & UINT32_MAX) | (u64)bar_mask(dev->bdf, index + 1) << 32;
	if (!pci_command_change(dev->bdf, 0, PCI_COMMAND_MEMORY))
		return 0;
	bytes = mask & -mask;
	return mask == -bytes ? bytes : 0;
}

static bool bar_has(const struct pci_dev *dev, u32 index, u64 pa, u64 bytes)
{
	u64 bar_pa;

	if (!pci_bar(dev, index, &bar_pa) || pa < bar_pa)
		return false;
	return range_fits(pa - bar_pa, bytes, bar_bytes(dev, index));
}

static bool controller_has(const struct pci_dev *dev, u64 pa, u64 bytes)
{
	if (PCI_HEADER_TYPE(pci_read(dev->bdf, PCI_HEADER)) != PCI_HEADER_DEVICE)
		return false;
	if (!(pci_read(dev->bdf, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return false;
	for (u32 i = 0; i < PCI_BARS; i++) {
		u32 low = pci_read(dev->bdf, PCI_BAR(i));

		if (bar_has(dev, i, pa, bytes))
			return true;
		if (!(low & PCI_BAR_IO) && (low & PCI_BAR_TYPE) == PCI_BAR_TYPE64)
			i++; /* the next one is its upper half */
	}
	return false;
}

bool display_has(u64 pa, u64 bytes)
{
	struct pci_dev dev;
	u32 cursor = 0;

	while (pci_next(&cursor, &dev)) {
		if (PCI_CLASS_BASE(dev.class) == PCI_CLASS_DISPLAY && !pci_asleep(dev.bdf) &&
			controller_has(&dev, pa, bytes))
			return true;
	}
	return false;
}
