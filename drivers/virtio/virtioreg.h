/*
 * virtio hardware truth: PCI transport, split queue and block device, after Virtual I/O
 * Device (VIRTIO) 1.2. Nothing about this driver.
 */
#ifndef AFTERIMAGE_VIRTIOREG_H
#define AFTERIMAGE_VIRTIOREG_H

#include "types.h"

#define VIRTIO_PCI_VENDOR    0x1af4
#define VIRTIO_PCI_BLK	     0x1042
#define VIRTIO_PCI_BLK_TRANS 0x1001 /* transitional: may be modern too (s4.1.2.3) */

/* Vendor capability: where a structure is (s4.1.4); offsets of 32-bit words */
#define VIRTIO_CAP	      0x09
#define VIRTIO_CAP_TYPE(v)    ((v) >> 24) /* of the first word */
#define VIRTIO_CAP_COMMON     1
#define VIRTIO_CAP_NOTIFY     2
#define VIRTIO_CAP_DEVICE     4
#define VIRTIO_CAP_TYPES      5
#define VIRTIO_CAP_BAR	      4
#define VIRTIO_CAP_BAR_NO(v)  ((v)&0xff)
#define VIRTIO_CAP_OFFSET     8
#define VIRTIO_CAP_LENGTH     12
#define VIRTIO_CAP_MULTIPLIER 16 /* of notify only */
#define VIRTIO_CAP_BYTES      20

/* Common configuration (s4.1.4.3): offset, and width where that is not 4 */
#define VIRTIO_FEATURE_SELECT	 0x00
#define VIRTIO_FEATURE		 0x04
#define VIRTIO_FEATURE_SELECT_US 0x08
#define VIRTIO_FEATURE_US	 0x0c
#define VIRTIO_STATUS		 0x14 /* 1 */
#define VIRTIO_GENERATION	 0x15 /* 1 */
#define VIRTIO_QUEUE_SELECT	 0x16 /* 2 */
#define VIRTIO_QUEUE_SIZE	 0x18 /* 2 */
#define VIRTIO_QUEUE_ENABLE	 0x1c /* 2 */
#define VIRTIO_QUEUE_NOTIFY	 0x1e /* 2; in units of the multiplier */
#define VIRTIO_QUEUE_DESC	 0x20 /* low word, then high */
#define VIRTIO_QUEUE_AVAIL	 0x28
#define VIRTIO_QUEUE_USED	 0x30
#define VIRTIO_COMMON_BYTES	 0x38

/* Device status (s2.1) */
#define VIRTIO_STATUS_ACKNOWLEDGE (1u << 0)
#define VIRTIO_STATUS_DRIVER	  (1u << 1)
#define VIRTIO_STATUS_DRIVER_OK	  (1u << 2)
#define VIRTIO_STATUS_FEATURES_OK (1u << 3)
#define VIRTIO_STATUS_NEEDS_RESET (1u << 6)

/* What a register of a missing device reads as */
#define VIRTIO_GONE8  0xffu
#define VIRTIO_GONE16 0xffffu
#define VIRTIO_GONE   0xffffffffu

/* Feature bits 0 to 31 (s5.2.3, s6) and 32 to 63 */
#define VIRTIO_BLK_F_SIZE_MAX	    (1u << 1)
#define VIRTIO_BLK_F_SEG_MAX	    (1u << 2)
#define VIRTIO_BLK_F_RO		    (1u << 5)
#define VIRTIO_BLK_F_BLK_SIZE	    (1u << 6)
#define VIRTIO_BLK_F_FLUSH	    (1u << 9)
#define VIRTIO_F_INDIRECT_DESC	    (1u << 28)
#define VIRTIO_F_HI_VERSION_1	    (1u << 0)
#define VIRTIO_F_HI_ACCESS_PLATFORM (1u << 1)
#define VIRTIO_F_HI_ORDER_PLATFORM  (1u << 4)

/* Block device configuration (s5.2.4) */
#define VIRTIO_BLK_CAPACITY	0x00 /* low word, then high; in sectors */
#define VIRTIO_BLK_SIZE_MAX	0x08
#define VIRTIO_BLK_SEG_MAX	0x0c
#define VIRTIO_BLK_BLK_SIZE	0x14
#define VIRTIO_BLK_CONFIG_BYTES 0x18
#define VIRTIO_SECTOR_BYTES	512

/* Split queue (s2.7), sizes for @n entries without the words for event indices */
struct virtio_desc {
	u64 pa;
	u32 bytes;
	u16 flags;
	u16 next;
};
ASSERT_SIZE(struct virtio_desc, 16);
ASSERT_AT(struct virtio_desc, flags, 12);
#define VIRTIO_DESC_NEXT     1u
#define VIRTIO_DESC_WRITE    2u /* by the device */
#define VIRTIO_DESC_INDIRECT 4u
#define VIRTIO_DESC_ALIGN    16

struct virtio_avail {
	u16 flags;
	u16 idx;
	u16 ring[];
};
#define VIRTIO_AVAIL_NO_INTERRUPT 1u
#define VIRTIO_AVAIL_BYTES(n)	  (4 + 2 * (n))

struct virtio_used_entry {
	u32 id; /* first descriptor of the chain */
	u32 bytes;
};

struct virtio_used {
	u16 flags;
	u16 idx;
	struct virtio_used_entry ring[];
};
ASSERT_AT(struct virtio_used, ring, 4);
#define VIRTIO_USED_BYTES(n) (4 + 8 * (n))

/* Block requests (s5.2.6): this, then data, then a byte of status */
struct virtio_blk_header {
	u32 type;
	u32 zero;
	u64 sector;
};
ASSERT_SIZE(struct virtio_blk_header, 16);
ASSERT_AT(struct virtio_blk_header, sector, 8);
#define VIRTIO_BLK_T_IN	    0
#define VIRTIO_BLK_T_OUT    1
#define VIRTIO_BLK_T_FLUSH  4
#define VIRTIO_BLK_T_GET_ID 8
#define VIRTIO_BLK_ID_BYTES 20
#define VIRTIO_BLK_S_OK	    0
#define VIRTIO_BLK_S_UNSUPP 2

#endif
