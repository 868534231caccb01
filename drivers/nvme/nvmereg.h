/*
 * NVMe hardware truth: registers, queue entries, opcodes and identify data, after
 * NVM Express 1.4, and 2.0 where it says so. Nothing about this driver.
 */
#ifndef AFTERIMAGE_NVMEREG_H
#define AFTERIMAGE_NVMEREG_H

#include "types.h"

#define NVME_PCI_CLASS 0x010802u

/* Controller registers (s3.1) */
#define NVME_CAP_LO		0x00
#define NVME_CAP_LO_MQES(r)	((r)&0xffff) /* entries per queue - 1 */
#define NVME_CAP_LO_TO(r)	((r) >> 24)  /* in units of 500 ms */
#define NVME_CAP_HI		0x04
#define NVME_CAP_HI_DSTRD(r)	((r)&0xf) /* doorbells are 4 << DSTRD bytes apart */
#define NVME_CAP_HI_CSS_NVM	(1u << 5)
#define NVME_CAP_HI_MPSMIN(r)	((r) >> 16 & 0xf) /* smallest page is 4096 << MPSMIN */
#define NVME_CAP_HI_CRMS	(3u << 27)	  /* 2.0: there is a CRTO */
#define NVME_VS			0x08
#define NVME_VS_1_1		0x10100u
#define NVME_CC			0x14
#define NVME_CC_EN		(1u << 0)
#define NVME_CC_SHN		(3u << 14)
#define NVME_CC_SHN_NORMAL	(1u << 14)
#define NVME_CC_IOSQES(r)	((r) << 16) /* log2 of the entry size */
#define NVME_CC_IOCQES(r)	((r) << 20)
#define NVME_CSTS		0x1c
#define NVME_CSTS_RDY		(1u << 0)
#define NVME_CSTS_CFS		(1u << 1)
#define NVME_CSTS_SHST		(3u << 2)
#define NVME_CSTS_SHST_BUSY	(1u << 2)
#define NVME_CSTS_SHST_DONE	(2u << 2)
#define NVME_AQA		0x24
#define NVME_AQA_ASQS(n)	((n)-1)
#define NVME_AQA_ACQS(n)	(((n)-1) << 16)
#define NVME_ASQ_LO		0x28
#define NVME_ASQ_HI		0x2c
#define NVME_ACQ_LO		0x30
#define NVME_ACQ_HI		0x34
#define NVME_CRTO		0x68	     /* 2.0 */
#define NVME_CRTO_MEDIA(r)	((r)&0xffff) /* as CAP.TO */
#define NVME_DOORBELLS		0x1000
#define NVME_SQ_TAIL(q, stride) (NVME_DOORBELLS + 2 * (q) * (stride))
#define NVME_CQ_HEAD(q, stride) (NVME_DOORBELLS + (2 * (q) + 1) * (stride))

#define NVME_GONE	     0xffffffffu /* what a missing device reads as */
#define NVME_TO_UNIT_MS	     500
#define NVME_TO_MAX	     255u
#define NVME_PAGE_BYTES	     4096u /* as set in CC.MPS */
#define NVME_SQE_LOG2	     6
#define NVME_CQE_LOG2	     4
#define NVME_BLOCK_LOG2_512  9
#define NVME_BLOCK_LOG2_4096 12

/* Submission queue entry (s4.2) */
struct nvme_sqe {
	u8 opcode;
	u8 flags; /* no fused operation, PRPs */
	u16 cid;
	u32 nsid;
	u32 zero[4]; /* reserved, metadata pointer */
	u64 prp1;
	u64 prp2;
	u32 cdw10;
	u32 cdw11;
	u32 cdw12;
	u32 cdw13;
	u32 cdw14;
	u32 cdw15;
};
ASSERT_SIZE(struct nvme_sqe, 1 << NVME_SQE_LOG2);
ASSERT_AT(struct nvme_sqe, nsid, 4);
ASSERT_AT(struct nvme_sqe, prp1, 24);
ASSERT_AT(struct nvme_sqe, cdw10, 40);

/* Completion queue entry (s4.6) */
struct nvme_cqe {
	u32 result;
	u32 zero;
	u16 sq_head;
	u16 sq_id;
	u16 cid;
	u16 status;
};
ASSERT_SIZE(struct nvme_cqe, 1 << NVME_CQE_LOG2);
ASSERT_AT(struct nvme_cqe, sq_head, 8);
ASSERT_AT(struct nvme_cqe, status, 14);
#define NVME_STATUS_PHASE   (1u << 0)
#define NVME_STATUS_CODE(s) ((s) >> 1 & 0x7ff) /* type and code; 0 is success */
#define NVME_STATUS_DNR	    (1u << 15)	       /* do not retry */
#define NVME_CODE_ABORTED   0x07u	       /* as the host asked */
#define NVME_CID_FORBIDDEN  0xffff

/* Admin commands (s5) */
#define NVME_ADMIN_CREATE_SQ	0x01
#define NVME_ADMIN_CREATE_CQ	0x05
#define NVME_QUEUE_SIZE(n)	(((n)-1) << 16) /* cdw10, with the queue's id */
#define NVME_QUEUE_CONTIGUOUS	(1u << 0)	/* cdw11 */
#define NVME_CQ_INTERRUPTS	(1u << 1)	/* likewise */
#define NVME_SQ_CQID(q)		((q) << 16)	/* cdw11 */
#define NVME_ADMIN_IDENTIFY	0x06
#define NVME_CNS_NAMESPACE	0x00 /* cdw10 */
#define NVME_CNS_CONTROLLER	0x01
#define NVME_CNS_ACTIVE_NSIDS	0x02
#define NVME_ADMIN_ABORT	0x08
#define NVME_ABORT_WHICH(cid)	((u32)(cid) << 16) /* cdw10, with the queue's id */
#define NVME_ADMIN_SET_FEATURES 0x09
#define NVME_FEATURE_QUEUES	0x07 /* cdw10; cdw11: pairs wanted - 1, twice: 0 is one pair */

/* NVM commands (s6) */
#define NVME_IO_FLUSH 0x00
#define NVME_IO_WRITE 0x01
#define NVME_IO_READ  0x02

/* Identify controller (s5.15.2.2) */
#define NVME_IDC_SERIAL	      4
#define NVME_IDC_SERIAL_BYTES 20
#define NVME_IDC_MDTS	      77  /* largest transfer is 4096 << MDTS (at MPSMIN 0); 0: no limit */
#define NVME_MDTS_END	      16  /* more is more than anybody sends */
#define NVME_IDC_TYPE	      111 /* 0: older than 1.4 */
#define NVME_IDC_TYPE_IO      1u
#define NVME_IDC_NN	      516
#define NVME_IDC_VWC	      525
#define NVME_IDC_VWC_PRESENT  1u

/* Identify namespace (s5.15.2.1) */
#define NVME_IDN_NSZE		0
#define NVME_IDN_FLBAS		26
#define NVME_IDN_FLBAS_INDEX(v) (((v)&0xfu) | ((v)&0x60u) >> 1) /* s4.1.5.1 of 2.0 */
#define NVME_IDN_DPS		29
#define NVME_IDN_DPS_TYPE	7u /* protection information in use */
#define NVME_IDN_NSATTR		99
#define NVME_IDN_NSATTR_WP	1u /* write-protected */
#define NVME_IDN_NGUID		104
#define NVME_IDN_NGUID_BYTES	16
#define NVME_IDN_EUI64		120
#define NVME_IDN_EUI64_BYTES	8
#define NVME_IDN_LBAF(i)	(128 + 4 * (i))
#define NVME_LBAF_MS(v)		((v)&0xffff)
#define NVME_LBAF_LBADS(v)	((v) >> 16 & 0xff)

#endif
