/*
 * PCI configuration space (PCI 3.0 s6): enumeration by brute force, DMA off and on,
 * base addresses. Sizes no BAR, assigns no resources, knows no capabilities.
 */
#include "pci.h"
#include "ports.h"

#define PCI_ID		     0x00
#define PCI_COMMAND	     0x04 /* the upper half is status, cleared by writing ones */
#define PCI_COMMAND_MEMORY   (1u << 1)
#define PCI_COMMAND_MASTER   (1u << 2)
#define PCI_COMMAND_INTX_OFF (1u << 10)
#define PCI_COMMAND_MASK     0xffffu
#define PCI_CLASS	     0x08
#define PCI_HEADER	     0x0c
#define PCI_HEADER_MULTI     (1u << 23)
#define PCI_BAR(i)	     (0x10 + 4 * (i))
#define PCI_BAR_IO	     1u
#define PCI_BAR_TYPE	     (3u << 1)
#define PCI_BAR_TYPE64	     (2u << 1)
#define PCI_BAR_BASE	     0xfffffff0u

#define PCI_NOBODY	  0xffffffffu
#define PCI_BARS	  6
#define PCI_DEVICE_STEP	  8 /* functions of one device */
#define PCI_CLASS_BASE(c) ((c) >> 16)
#define PCI_CLASS_BRIDGE  0x06

/* Where to look after @bdf: functions 1-7 only where function 0 says there may be some. */
static u32 step_from(u32 bdf, u32 id)
{
	if (pci_function(bdf) != 0)
		return bdf + 1;
	if (id == PCI_NOBODY || !(pci_read(bdf, PCI_HEADER) & PCI_HEADER_MULTI))
		return bdf + PCI_DEVICE_STEP;
	return bdf + 1;
}

bool pci_next(u32 *cursor, struct pci_dev *out)
{
	while (*cursor < PCI_FUNCTIONS) {
		u32 bdf = *cursor;
		u32 id = pci_read(bdf, PCI_ID);

		*cursor = step_from(bdf, id);
		if (id == PCI_NOBODY)
			continue;
		out->bdf = bdf;
		out->vendor = (u16)id;
		out->device = (u16)(id >> 16);
		out->class = pci_read(bdf, PCI_CLASS) >> 8;
		return true;
	}
	return false;
}

static u32 command_read(u32 bdf)
{
	return pci_read(bdf, PCI_COMMAND) & PCI_COMMAND_MASK;
}

void pci_quiesce(void)
{
	struct pci_dev dev;
	u32 cursor = 0;

	while (pci_next(&cursor, &dev)) {
		u32 command = command_read(dev.bdf);

		if (PCI_CLASS_BASE(dev.class) == PCI_CLASS_BRIDGE)
			continue;
		if (command & PCI_COMMAND_MASTER)
			pci_write(dev.bdf, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
	}
}

bool pci_bar(const struct pci_dev *dev, u32 index, u64 *pa)
{
	u32 low, high = 0;

	if (index >= PCI_BARS)
		return false;
	low = pci_read(dev->bdf, PCI_BAR(index));
	if (low == PCI_NOBODY || low & PCI_BAR_IO)
		return false;
	if ((low & PCI_BAR_TYPE) == PCI_BAR_TYPE64) {
		if (index + 1 >= PCI_BARS)
			return false;
		high = pci_read(dev->bdf, PCI_BAR(index + 1));
	}
	*pa = (u64)high << 32 | (low & PCI_BAR_BASE);
	return *pa != 0 && high != PCI_NOBODY;
}

void pci_enable_memory(const struct pci_dev *dev)
{
	u32 command = command_read(dev->bdf);

	pci_write(dev->bdf, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
}

void pci_enable_dma(const struct pci_dev *dev)
{
	pci_write(dev->bdf, PCI_COMMAND, command_read(dev->bdf) | PCI_COMMAND_MASTER);
}

enum status pci_disable_dma(const struct pci_dev *dev)
{
	pci_write(dev->bdf, PCI_COMMAND, command_read(dev->bdf) & ~PCI_COMMAND_MASTER);
	return command_read(dev->bdf) & PCI_COMMAND_MASTER ? E_DEVICE_GONE : OK;
}
