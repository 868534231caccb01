/*
 * afterimage.mbr, as mkdumpdisk installs it and the boot sector loads it.
 *
 *	byte 0	 boot sector; bytes 0-439 go to the disk's first block. Its
 *		 struct boot_locate at 416 says where the image is.
 *	byte 512 the image, loaded to BOOT_LOAD_PA; goes to the boot area. It opens
 *		 with struct boot_header.
 */
#ifndef AFTERIMAGE_BOOTIMAGE_H
#define AFTERIMAGE_BOOTIMAGE_H

#include "types.h"

#define BOOT_SECTOR_BYTES   512
#define BOOT_CODE_BYTES	    440 /* the rest is the disk's id, partition table and signature */
#define BOOT_LOAD_PA	    0x8000u
#define BOOT_MAX_BYTES	    (160u * KIB)
#define BOOT_LOCATE_OFFSET  416
#define BOOT_LOCATE_MAGIC   0x424d4941u /* "AIMB" */
#define BOOT_HEADER_MAGIC   "AFTRBOOT"
#define BOOT_HEADER_VERSION 2

#define BOOT_FLAG_AUTOMATIC 1u /* mkdumpdisk --auto */

/* In the boot sector; written by mkdumpdisk. */
struct boot_locate {
	u64 lba;	 /* first device block of the boot area */
	u16 blocks;	 /* device blocks to load */
	u16 block_bytes; /* 512 or 4096 */
	u32 magic;
};
ASSERT_SIZE(struct boot_locate, 16);

#define BOOT_CONSOLE_SERIAL 1u
#define BOOT_CONSOLE_SCREEN 2u

/* At the start of the image; settings written by mkdumpdisk. */
struct boot_header {
	u8 jump[4];
	u8 magic[8];
	u32 version;	 /* BOOT_HEADER_VERSION */
	u32 image_bytes; /* from this header to the end of the file */
	u32 crc32c;	 /* of this header with this field 0 */
	u8 target_uuid[16];
	u8 console; /* BOOT_CONSOLE_*; 0 means none */
	u8 zero0;
	u16 serial_port; /* I/O address, 0x3f8 is the first */
	u32 serial_baud;
	u32 image_crc32c; /* of what follows this header, image_bytes - sizeof(this) bytes */
	u8 flags;	  /* BOOT_FLAG_* */
	u8 menu_seconds;  /* how long the console waits for a key; 0: not at all */
	u16 dump_blocks;  /* device blocks to read from dump_lba: superblock and directory */
	u32 zero1[2];
	u64 dump_lba;	/* first device block of the dump partition */
	u64 survey_lba; /* of the survey's record; 0: none */
	u8 zero2[16];
};
ASSERT_SIZE(struct boot_header, 96);
ASSERT_AT(struct boot_header, magic, 4);
ASSERT_AT(struct boot_header, image_bytes, 16);
ASSERT_AT(struct boot_header, target_uuid, 24);
ASSERT_AT(struct boot_header, serial_baud, 44);
ASSERT_AT(struct boot_header, image_crc32c, 48);
ASSERT_AT(struct boot_header, dump_blocks, 54);
ASSERT_AT(struct boot_header, dump_lba, 64);

#endif
