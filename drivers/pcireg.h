/*
 * PCI hardware truth: configuration space after PCI 3.0 s6 and PCI PM 1.2 s3, mapped to memory
 * after PCIe 4.0 s7.2.2.
 */
#ifndef AFTERIMAGE_PCIREG_H
#define AFTERIMAGE_PCIREG_H

#define PCI_NOBODY	   0xffffffffu /* what a missing function reads as */
#define PCI_LATE	   0xffff0001u /* its first word while it starts (PCIe 4.0 s2.3.2) */
#define PCI_OFFSET_MASK	   0xfcu
#define PCI_ECAM_BUS_SHIFT 20 /* and a page for each function */

/* Header (s6.1); offsets of 32-bit words */
#define PCI_ID		     0x00
#define PCI_VENDOR(v)	     ((v)&0xffff)
#define PCI_VENDOR_NOBODY    0xffff
#define PCI_COMMAND	     0x04 /* the upper half is status, cleared by writing ones */
#define PCI_COMMAND_MEMORY   (1u << 1)
#define PCI_COMMAND_MASTER   (1u << 2)
#define PCI_COMMAND_INTX_OFF (1u << 10)
#define PCI_COMMAND_MASK     0xffffu
#define PCI_STATUS_CAPS	     (1u << 20) /* there is a list of capabilities */
#define PCI_CLASS	     0x08
#define PCI_HEADER	     0x0c
#define PCI_HEADER_MULTI     (1u << 23)
#define PCI_HEADER_TYPE(v)   ((v) >> 16 & 0x7f)
#define PCI_HEADER_DEVICE    0
#define PCI_HEADER_BRIDGE    1
#define PCI_BAR(i)	     (0x10 + 4 * (i))
#define PCI_BAR_IO	     1u
#define PCI_BAR_TYPE	     (3u << 1)
#define PCI_BAR_TYPE64	     (2u << 1)
#define PCI_BAR_BASE	     0xfffffff0u
#define PCI_BARS	     6
#define PCI_BUSES	     0x18 /* of a bridge */
#define PCI_BUSES_SECOND(v)  ((v) >> 8 & 0xff)
#define PCI_BRIDGE_IO	     0x1c /* of a bridge; the upper half is status as above */
#define PCI_BRIDGE_IO_MASK   0xffffu
#define PCI_CAPS	     0x34
#define PCI_CONFIG_WORDS     64

/* Classes */
#define PCI_CLASS_BASE(c) ((c) >> 16)
#define PCI_CLASS_DISPLAY 0x03
#define PCI_CLASS_BRIDGE  0x06
#define PCI_CLASS_SUB(c)  ((c) >> 8 & 0xff)
#define PCI_SUB_PCI	  0x04 /* those below it are host, ISA, EISA and MCA bridges */

/* Class and subclass of what has disks (PCI Code and ID Assignment 1.11 s1.2) */
#define PCI_CLASS_KIND(c) ((c) >> 8)
#define PCI_KIND_SCSI	  0x0100
#define PCI_KIND_IDE	  0x0101
#define PCI_KIND_RAID	  0x0104
#define PCI_KIND_SAS	  0x0107
#define PCI_KIND_UFS	  0x0109
#define PCI_KIND_SD	  0x0805

/* Vendors, and their devices (virtio 1.1 s4.1.2) */
#define PCI_VENDOR_INTEL     0x8086
#define PCI_VENDOR_VIRTIO    0x1af4
#define PCI_VIRTIO_BLOCK_OLD 0x1001
#define PCI_VIRTIO_SCSI_OLD  0x1004
#define PCI_VIRTIO_BLOCK     0x1042
#define PCI_VIRTIO_SCSI	     0x1048

/* Capabilities (s6.7): in what is behind the header, each on a word of its own */
#define PCI_CAP_FIRST	0x40
#define PCI_CAP_LIMIT	((256 - PCI_CAP_FIRST) / 4)
#define PCI_CAP_POS(v)	((v)&0xfc)
#define PCI_CAP_ID(v)	((v)&0xff)
#define PCI_CAP_NEXT(v) PCI_CAP_POS((v) >> 8)

#define PCI_CAP_PM	 0x01
#define PCI_PM_CSR	 4 /* from the capability */
#define PCI_PM_CSR_STATE 3u
#define PCI_PM_CSR_PME	 (1u << 8 | 1u << 15) /* enable, and status: cleared by a one */
#define PCI_PM_WAKE_US	 10000ull	      /* D3hot to D0 */
#define PCI_PM_BRIDGE_US 100000ull	      /* until what is behind it answers, PCIe 4.0 s6.6.1 */
#define PCI_PM_ANSWER_US 1000000ull	      /* until it must answer after a reset, likewise */

#define PCI_CAP_MSI	  0x05
#define PCI_MSI_ENABLE	  (1u << 16)
#define PCI_CAP_MSIX	  0x11
#define PCI_MSIX_MASK_ALL (1u << 30)
#define PCI_MSIX_ENABLE	  (1u << 31)

#endif
