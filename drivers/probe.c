/*
 * The list of drivers, and the names of controllers that hide their disks: all that the
 * search for the dump disk knows about kinds of hardware.
 */
#include "drivers/ahci/ahcivar.h"
#include "drivers/nvme/nvmevar.h"
#include "pcireg.h"
#include "probe.h"

static const struct blk_driver *const drivers[] = {
	&nvme_driver,
	&ahci_driver,
};

const struct blk_driver *probe_driver(const struct pci_dev *dev)
{
	for (u32 i = 0; i < ARRAY_SIZE(drivers); i++) {
		const struct blk_driver *d = drivers[i];

		if (d->drives ? d->drives(dev) : d->class == dev->class)
			return d;
	}
	return NULL;
}

const char *probe_hidden(const struct pci_dev *dev)
{
	if (probe_driver(dev) || PCI_CLASS_BASE(dev->class) != PCI_CLASS_STORAGE)
		return NULL;
	return PCI_CLASS_SUB(dev->class) == PCI_SUB_RAID ? "a RAID controller" : NULL;
}
