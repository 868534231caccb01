/*
 * AHCI and ATA hardware truth: registers and tables in memory after AHCI 1.3.1, frames and
 * link registers after Serial ATA 3.2 (SATA), commands and identify data after ATA8-ACS (ACS).
 * Nothing about this driver.
 */
#ifndef AFTERIMAGE_AHCIREG_H
#define AFTERIMAGE_AHCIREG_H

#include "types.h"

#define AHCI_PCI_CLASS	     0x010601u
#define AHCI_BAR	     5
#define AHCI_GONE	     0xffffffffu /* what a missing device reads as */
#define AHCI_PCI_PCS	     0x90 /* Intel, configuration space: enables of ports 0-5 in the upper half */
#define AHCI_PCI_PCS_ENABLES 0x003f0000u
#define AHCI_PORTS_MAX	     32
#define AHCI_SLOTS_MAX	     32

/* Generic host control (s3.1) */
#define AHCI_CAP	  0x00
#define AHCI_CAP_NP(r)	  (((r)&0x1f) + 1)	  /* ports at most */
#define AHCI_CAP_NCS(r)	  (((r) >> 8 & 0x1f) + 1) /* command slots of a port */
#define AHCI_CAP_SSS	  (1u << 27)		  /* disks spin up one by one */
#define AHCI_CAP_SNCQ	  (1u << 30)
#define AHCI_CAP_S64A	  (1u << 31)
#define AHCI_GHC	  0x04
#define AHCI_GHC_HR	  (1u << 0)
#define AHCI_GHC_AE	  (1u << 31)
#define AHCI_PI		  0x0c /* ports that there are */
#define AHCI_CAP2	  0x24
#define AHCI_CAP2_BOH	  (1u << 0) /* BOHC works */
#define AHCI_BOHC	  0x28
#define AHCI_BOHC_BOS	  (1u << 0) /* owned by the BIOS */
#define AHCI_BOHC_OOS	  (1u << 1) /* wanted by the operating system */
#define AHCI_BOHC_OOC	  (1u << 3) /* ownership changed: cleared by writing it */
#define AHCI_BOHC_BB	  (1u << 4) /* the BIOS is busy */
#define AHCI_REGS_BYTES	  0x1100    /* with all ports */
#define AHCI_PORT(i)	  (0x100 + 0x80 * (i))
#define AHCI_HR_US	  1000000ull /* for GHC.HR to clear (s10.4.3) */
#define AHCI_BOS_US	  25000ull /* for the BIOS to let go, or to say that it is busy (s10.6.3) */
#define AHCI_BIOS_BUSY_US 2000000ull

/* Port registers (s3.3), offsets from AHCI_PORT */
#define AHCI_PXCLB	   0x00
#define AHCI_PXCLBU	   0x04
#define AHCI_PXFB	   0x08
#define AHCI_PXFBU	   0x0c
#define AHCI_PXIS	   0x10	      /* cleared by writing ones */
#define AHCI_PXIS_PCS	   (1u << 6)  /* shows PxSERR.DIAG.X */
#define AHCI_PXIS_PRCS	   (1u << 22) /* shows PxSERR.DIAG.N */
#define AHCI_PXIS_OFS	   (1u << 24) /* overflow: more came than was asked for */
#define AHCI_PXIS_IFS	   (1u << 27)
#define AHCI_PXIS_HBDS	   (1u << 28)
#define AHCI_PXIS_HBFS	   (1u << 29)
#define AHCI_PXIS_TFES	   (1u << 30)
#define AHCI_PXIE	   0x14
#define AHCI_PXCMD	   0x18
#define AHCI_PXCMD_ST	   (1u << 0)
#define AHCI_PXCMD_SUD	   (1u << 1)
#define AHCI_PXCMD_POD	   (1u << 2)
#define AHCI_PXCMD_FRE	   (1u << 4)
#define AHCI_PXCMD_CCS(r)  ((r) >> 8 & 0x1f) /* slot of the command being run */
#define AHCI_PXCMD_FR	   (1u << 14)
#define AHCI_PXCMD_CR	   (1u << 15)
#define AHCI_PXCMD_CPD	   (1u << 20) /* there is power to be switched by POD */
#define AHCI_PXCMD_ATAPI   (1u << 24)
#define AHCI_PXCMD_ALPE	   (1u << 26)
#define AHCI_PXCMD_ICC	   (0xfu << 28)
#define AHCI_PXCMD_ICC_ACT (1u << 28)
#define AHCI_PXTFD	   0x20
#define AHCI_PXSIG	   0x24
#define AHCI_PXSIG_DISK	   0x00000101u
#define AHCI_PXSIG_PM	   0x96690101u
#define AHCI_PXSSTS	   0x28
#define AHCI_SSTS_DET(r)   ((r)&0xf)
#define AHCI_DET_UP	   3
#define AHCI_DET_THERE	   1u /* a bit of it: a device, its link up or not */
#define AHCI_PXSCTL	   0x2c
#define AHCI_SCTL_DET	   0xfu
#define AHCI_SCTL_DET_INIT 1u	      /* COMRESET for as long as it stands */
#define AHCI_SCTL_IPM_OFF  (3u << 8)  /* neither partial nor slumber */
#define AHCI_PXSERR	   0x30	      /* cleared by writing ones */
#define AHCI_SERR_N	   (1u << 16) /* PhyRdy changed */
#define AHCI_SERR_X	   (1u << 26) /* COMINIT: plugged in, or power came back */
#define AHCI_SERR_LOST	   (AHCI_SERR_N | AHCI_SERR_X)
#define AHCI_PXSACT	   0x34	     /* queued commands that are not done; writing ones adds */
#define AHCI_PXCI	   0x38	     /* commands that the HBA has not handed over; likewise */
#define AHCI_STOP_US	   500000ull /* for CR, and for FR (s10.1.2, s10.3) */
#define AHCI_COMRESET_US   1000ull   /* how long DET_INIT stands at least (s10.4.2) */

/* Status of a device, in PxTFD and in frames (ACS s6.2 of ATA8-ACS; SATA s10.5) */
#define ATA_STATUS_ERR 0x01u
#define ATA_STATUS_DRQ 0x08u
#define ATA_STATUS_BSY 0x80u

/* Command list (s4.2.2): 32 headers on a 1 KiB boundary */
struct ahci_header {
	u16 flags; /* length of the frame in 32-bit words, and bits */
	u16 prdtl; /* entries of the table's PRDT */
	u32 prdbc; /* bytes moved; the HBA's */
	u32 ctba;
	u32 ctbau;
	u32 zero[4];
};
ASSERT_SIZE(struct ahci_header, 32);
ASSERT_AT(struct ahci_header, prdbc, 4);
ASSERT_AT(struct ahci_header, ctba, 8);

#define AHCI_HEADER_CFL(bytes) ((bytes) / 4)
#define AHCI_HEADER_WRITE      (1u << 6)
#define AHCI_LIST_BYTES	       (AHCI_SLOTS_MAX * 32)
#define AHCI_LIST_ALIGN	       1024

/* Physical region (s4.2.3.3): a piece of the data */
struct ahci_prd {
	u32 dba; /* even */
	u32 dbau;
	u32 zero;
	u32 dbc; /* bytes - 1, bit 0 set; bit 31: interrupt */
};
ASSERT_SIZE(struct ahci_prd, 16);
ASSERT_AT(struct ahci_prd, dbc, 12);

#define AHCI_PRD_DBC(bytes) ((bytes)-1)
#define AHCI_PRD_BYTES_MAX  (4u * MIB)

/* Command table (s4.2.3), on a 128-byte boundary: the frame first, then the PRDT */
#define AHCI_TABLE_ALIGN 128
#define AHCI_TABLE_PRDT	 0x80

/* Received frames (s4.2.1), on a 256-byte boundary */
#define AHCI_FIS_BYTES 256
#define AHCI_FIS_ALIGN 256

/* Register frame, host to device (SATA s10.5.5) */
struct ata_h2d {
	u8 type;
	u8 flags;
	u8 command;
	u8 features; /* bits 7:0 */
	u8 lba0, lba1, lba2;
	u8 device;
	u8 lba3, lba4, lba5;
	u8 features_high;
	u16 count;
	u8 icc;
	u8 control;
	u32 zero;
};
ASSERT_SIZE(struct ata_h2d, 20);
ASSERT_AT(struct ata_h2d, lba3, 8);
ASSERT_AT(struct ata_h2d, count, 12);

#define ATA_FIS_H2D	0x27
#define ATA_H2D_COMMAND 0x80u /* flags: a new command, not the control register */
#define ATA_DEVICE_LBA	0x40u

/* Commands (ATA8-ACS s7); of queued ones the tag is in count bits 7:3, the count in features */
#define ATA_READ_DMA_EXT     0x25
#define ATA_READ_LOG_EXT     0x2f
#define ATA_WRITE_DMA_EXT    0x35
#define ATA_READ_FPDMA	     0x60
#define ATA_WRITE_FPDMA	     0x61
#define ATA_FLUSH_CACHE_EXT  0xea
#define ATA_IDENTIFY	     0xec
#define ATA_FPDMA_COUNT(tag) ((tag) << 3)
#define ATA_LBA48_MAX	     (1ull << 48)

/* The log of queued errors (SATA s13.7): reading it ends the device's error state */
#define ATA_LOG_NCQ_ERROR 0x10
#define ATA_LOG_BYTES	  512
#define ATA_NCQ_TAG	  0	/* byte */
#define ATA_NCQ_TAG_NONE  0x80u /* NQ: the failed command was not a queued one */
#define ATA_NCQ_TAG_OF(b) ((b)&0x1fu)
#define ATA_NCQ_STATUS	  2
/* The last byte makes the sum of all 512 zero. */

/* Identify data (ATA8-ACS s7.16.7): 256 words of 16 bits; here the numbers of words */
#define ATA_IDENTIFY_BYTES     512
#define ATA_ID_SERIAL	       10 /* text: the first character of a word is its high byte */
#define ATA_ID_SERIAL_BYTES    20
#define ATA_ID_MODEL	       27
#define ATA_ID_MODEL_BYTES     40
#define ATA_ID_CAPS	       49
#define ATA_ID_CAPS_DMA	       (1u << 8)
#define ATA_ID_QUEUE	       75 /* depth - 1 */
#define ATA_ID_QUEUE_DEPTH(w)  (((w)&0x1f) + 1)
#define ATA_ID_SATA	       76 /* 0 and 0xffff: nothing is said */
#define ATA_ID_SATA_NCQ	       (1u << 8)
#define ATA_ID_VWC	       (1u << 5) /* words 82 and 85 */
#define ATA_ID_SUPPORTS_2      83
#define ATA_ID_VALID_MASK      0xc000u	  /* words 83, 87, 106, 108 ff.: valid if these ... */
#define ATA_ID_VALID	       0x4000u	  /* ... are so */
#define ATA_ID_LBA48	       (1u << 10) /* words 83 and 86 */
#define ATA_ID_FLUSH_EXT       (1u << 13) /* likewise */
#define ATA_ID_WWN	       (1u << 8)  /* words 84 and 87 */
#define ATA_ID_ENABLED_1       85
#define ATA_ID_ENABLED_3       87
#define ATA_ID_BLOCKS	       100 /* 4 words, least significant first */
#define ATA_ID_BLOCK_SIZE      106
#define ATA_ID_BLOCK_SIZE_LONG (1u << 12) /* more than 256 words: see ATA_ID_BLOCK_WORDS */
#define ATA_ID_WWN_WORDS       108	  /* 4 words, most significant first */
#define ATA_ID_BLOCK_WORDS     117	  /* words in a logical block; 2, least significant first */

#endif
