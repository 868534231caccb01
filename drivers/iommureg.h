/*
 * Registers of DMA remapping units: Intel VT-d 4.0 s11.4 and AMD I/O Virtualization 3.07
 * s3.4. Only those that switching it off needs.
 */
#ifndef AFTERIMAGE_IOMMUREG_H
#define AFTERIMAGE_IOMMUREG_H

#define IOMMU_GONE 0xffffffffu /* what a missing unit reads as */

/* VT-d */
#define VTD_BYTES	 0x1000u
#define VTD_VER		 0x00
#define VTD_VER_MAJOR(r) ((r) >> 4 & 0xf)
#define VTD_VER_ZERO(r)	 ((r) >> 8)
#define VTD_GCMD	 0x18
#define VTD_GSTS	 0x1c
#define VTD_GSTS_TES	 (1u << 31)  /* GCMD.TE */
#define VTD_GSTS_KEEP	 0x96ffffffu /* without what GCMD takes as a one-time order */
#define VTD_PMEN	 0x64
#define VTD_PMEN_EPM	 (1u << 31)
#define VTD_PMEN_PRS	 (1u << 0)

/* AMD-Vi; 64-bit registers */
#define AMDVI_BYTES		 0x3000u
#define AMDVI_CONTROL		 0x18
#define AMDVI_CONTROL_ENABLE	 (1u << 0)
#define AMDVI_CONTROL_EVENT_LOG	 (1u << 2)
#define AMDVI_CONTROL_EVENT_INT	 (1u << 3)
#define AMDVI_CONTROL_COMMANDS	 (1u << 12)
#define AMDVI_CONTROL_PPR_LOG	 (1u << 13)
#define AMDVI_CONTROL_PPR_INT	 (1u << 14)
#define AMDVI_CONTROL_GA_LOG	 (1u << 28)
#define AMDVI_CONTROL_GA_INT	 (1u << 29)
#define AMDVI_STATUS		 0x2020
#define AMDVI_STATUS_EVENT_RUN	 (1u << 3)
#define AMDVI_STATUS_COMMAND_RUN (1u << 4)
#define AMDVI_STATUS_PPR_RUN	 (1u << 7)
#define AMDVI_STATUS_GA_RUN	 (1u << 8)

#endif
