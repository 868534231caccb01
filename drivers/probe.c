/*
 * The list of drivers, and the names of controllers that hide their disks: all that the
 * search for the dump disk knows about kinds of hardware.
 */
#include "drivers/ahci/ahcivar.h"
#include "drivers/nvme/nvmevar.h"
#include "drivers/virtio/virtiovar.h"
#include "pcireg.h"
#include "probe.h"

static const struct blk_driver *const drivers[] = {
	&nvme_driver,
	&ahci_driver,
	&virtio_driver,
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

/* Intel's; their class is RAID. */
static const u16 vmds[] = {
	0x201d, 0x28c0, 0x467f, 0x4c3d, 0x7d0b, 0x9a0b, 0xa77f, 0xad0b, 0xb06f, 0xb07f, 0xb60b};

static bool is_vmd(const struct pci_dev *dev)
{
	for (u32 i = 0; i < ARRAY_SIZE(vmds); i++) {
		if (dev->vendor == PCI_VENDOR_INTEL && dev->device == vmds[i])
			return true;
	}
	return false;
}

static const char *hidden_virtio(const struct pci_dev *dev)
{
	switch (dev->device) {
	case PCI_VIRTIO_BLOCK_OLD:
	case PCI_VIRTIO_BLOCK:
		return "a virtio disk without the modern interface (set disable-modern=off)";
	case PCI_VIRTIO_SCSI_OLD:
	case PCI_VIRTIO_SCSI:
		return "virtio-scsi (attach the disk by virtio-blk)";
	default:
		return NULL;
	}
}

static const char *hidden_by_class(const struct pci_dev *dev)
{
	switch (PCI_CLASS_KIND(dev->class)) {
	case PCI_KIND_SCSI:
		return "a SCSI controller";
	case PCI_KIND_IDE:
		return "a disk controller in IDE mode (choose AHCI in the firmware setup)";
	case PCI_KIND_RAID:
		if (is_vmd(dev))
			return "Intel VMD (switch VMD off in the firmware setup)";
		if (dev->vendor == PCI_VENDOR_INTEL)
			return "in Intel's RAID mode, RST (choose AHCI in the firmware setup)";
		return "a RAID controller (choose AHCI in the firmware setup)";
	case PCI_KIND_SAS:
		return "a SAS controller";
	case PCI_KIND_UFS:
		return "a UFS controller";
	case PCI_KIND_SD:
		return "an SD or eMMC controller";
	default:
		return NULL;
	}
}

const char *probe_hidden(const struct pci_dev *dev)
{
	if (probe_driver(dev))
		return NULL;
	return dev->vendor == PCI_VENDOR_VIRTIO ? hidden_virtio(dev) : hidden_by_class(dev);
}
