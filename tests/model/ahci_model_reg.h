/*
 * What AHCI 1.3.1 and ATA8-ACS say about registers, structures in memory and commands,
 * written down a second time: the models' own view, so that a wrong number in the driver's
 * headers shows.
 */
#ifndef AFTERIMAGE_AHCI_MODEL_REG_H
#define AFTERIMAGE_AHCI_MODEL_REG_H

/* Generic host control (s3.1). */
#define HBA_CAP	  0x00
#define HBA_GHC	  0x04
#define HBA_IS	  0x08
#define HBA_PI	  0x0c
#define HBA_VS	  0x10
#define HBA_CAP2  0x24
#define HBA_BOHC  0x28
#define HBA_PORTS 0x100
#define HBA_PORT  0x80 /* bytes of one */

#define CAP_S64A (1u << 31)
#define CAP_SNCQ (1u << 30)
#define CAP_SSS	 (1u << 27)
#define CAP_SCLO (1u << 24)
#define CAP_SAM	 (1u << 18)
#define CAP_SPM	 (1u << 17)

#define GHC_HR (1u << 0)
#define GHC_IE (1u << 1)
#define GHC_AE (1u << 31)

#define CAP2_BOH 1u
#define BOHC_BOS (1u << 0)
#define BOHC_OOS (1u << 1)
#define BOHC_OOC (1u << 3)
#define BOHC_BB	 (1u << 4)

/* A port (s3.3). */
#define PX_CLB	0x00
#define PX_CLBU 0x04
#define PX_FB	0x08
#define PX_FBU	0x0c
#define PX_IS	0x10
#define PX_IE	0x14
#define PX_CMD	0x18
#define PX_TFD	0x20
#define PX_SIG	0x24
#define PX_SSTS 0x28
#define PX_SCTL 0x2c
#define PX_SERR 0x30
#define PX_SACT 0x34
#define PX_CI	0x38
#define PX_SNTF 0x3c

#define IS_DHRS (1u << 0)
#define IS_PSS	(1u << 1)
#define IS_DSS	(1u << 2)
#define IS_SDBS (1u << 3)
#define IS_PCS	(1u << 6)
#define IS_PRCS (1u << 22)
#define IS_OFS	(1u << 24)
#define IS_INFS (1u << 26)
#define IS_IFS	(1u << 27)
#define IS_HBDS (1u << 28)
#define IS_HBFS (1u << 29)
#define IS_TFES (1u << 30)

#define CMD_ST	      (1u << 0)
#define CMD_SUD	      (1u << 1)
#define CMD_POD	      (1u << 2)
#define CMD_CLO	      (1u << 3)
#define CMD_FRE	      (1u << 4)
#define CMD_FR	      (1u << 14)
#define CMD_CR	      (1u << 15)
#define CMD_ICC	      (15u << 28)
#define CMD_CCS(slot) ((u32)(slot) << 8)

#define STS_ERR 0x01u
#define STS_DRQ 0x08u
#define STS_DF	0x20u
#define STS_RDY 0x40u
#define STS_BSY 0x80u

#define SERR_C (1u << 21) /* CRC */
#define SERR_N (1u << 16) /* PhyRdy change */
#define SERR_X (1u << 26) /* exchanged */

#define SIG_ATA	  0x00000101u
#define SIG_ATAPI 0xeb140101u
#define SIG_PM	  0x96690101u

/* Received FIS (s4.2.1) and command tables (s4.2.2, s4.2.3). */
#define RFIS_PIO     0x20
#define RFIS_D2H     0x40
#define RFIS_SDB     0x58
#define RFIS_BYTES   256
#define LIST_BYTES   1024
#define HEADER_BYTES 32
#define TABLE_PRDT   0x80
#define PRD_BYTES    16

#define HDR_CFL(dw0)   ((dw0)&31)
#define HDR_A	       (1u << 5)
#define HDR_W	       (1u << 6)
#define HDR_P	       (1u << 7)
#define HDR_R	       (1u << 8)
#define HDR_B	       (1u << 9)
#define HDR_C	       (1u << 10)
#define HDR_PMP(dw0)   ((dw0) >> 12 & 15)
#define HDR_PRDTL(dw0) ((dw0) >> 16)

#define FIS_H2D	 0x27
#define FIS_D2H	 0x34
#define FIS_SDB	 0xa1
#define FIS_PIO	 0x5f
#define FIS_C	 0x80
#define FIS_INTR 0x40
#define CTL_SRST 4
#define DEV_LBA	 0x40
#define DEV_FUA	 0x80

#define ATA_READ_DMA_EXT  0x25
#define ATA_READ_DMA	  0xc8
#define ATA_WRITE_DMA_EXT 0x35
#define ATA_WRITE_FUA_EXT 0x3d
#define ATA_WRITE_DMA	  0xca
#define ATA_READ_FPDMA	  0x60
#define ATA_WRITE_FPDMA	  0x61
#define ATA_READ_LOG_EXT  0x2f
#define ATA_IDENTIFY	  0xec
#define ATA_FLUSH	  0xe7
#define ATA_FLUSH_EXT	  0xea
#define ATA_STANDBY	  0xe0
#define ATA_IDLE	  0xe1
#define ATA_SET_FEATURES  0xef
#define FEATURE_WC_ON	  0x02
#define FEATURE_XFER_MODE 0x03
#define FEATURE_WC_OFF	  0x82
#define LOG_NCQ		  0x10

#define ERR_ABRT 0x04
#define ERR_IDNF 0x10
#define ERR_UNC	 0x40
#define ERR_ICRC 0x80

#endif
