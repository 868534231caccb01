/*
 * The dump partitions of a disk as the image will find them: protective MBR, table,
 * partition type, superblock. Reads only.
 */
#include <errno.h>
#include <string.h>
#include "device.h"
#include "dumplog.h"
#include "gpt.h"
#include "kexec.h"
#include "sysdisk.h"

#define PARTITIONS_MAX 16 /* the image looks at no more */

/* The same conditions as the image's, or the image would not take the partition. */
static bool super_read(
	struct sysdisk *d, const struct gpt_partition *p, u64 lba, struct dl_super *super)
{
	u8 block[4096];

	if (sysdisk_read(d, lba, 1, block) != OK)
		return false;
	memcpy(super, block, sizeof(*super));
	return dl_super_check(super) == OK && super->blocks == p->last_lba - p->first_lba + 1 &&
	       super->block_bytes == d->block_bytes;
}

static void look_at(struct sysdisk *d, const struct gpt_partition *p, struct kexec_scan *s)
{
	u64 start = p->first_lba * d->block_bytes;
	struct dl_super super;

	if (s->start_bytes && s->start_bytes != start)
		return;
	if (!super_read(d, p, p->first_lba, &super) && !super_read(d, p, p->last_lba, &super))
		return;
	if (s->uuid && memcmp(s->uuid, super.disk_uuid, sizeof(super.disk_uuid)) != 0)
		return;
	if (s->found++ > 0)
		return;
	s->first_bytes = start;
	s->first = super;
	s->first_size = (p->last_lba - p->first_lba + 1) * d->block_bytes;
}

bool kexec_scan_disk(int fd, u64 bytes, u32 block_bytes, struct kexec_scan *s)
{
	struct sysdisk d = {.fd = fd, .bytes = bytes, .block_bytes = block_bytes};
	enum status st = OK;
	u8 buf[8192];

	s->found = 0;
	if (bytes < sizeof(buf) || (block_bytes != 512 && block_bytes != 4096)) {
		errno = EINVAL;
		return false;
	}
	if (!device_read(fd, 0, buf, 512))
		return false;
	if (!gpt_protected(buf))
		return true;
	for (u32 i = 0; i < PARTITIONS_MAX && (st == OK || st == E_GEOMETRY); i++) {
		struct gpt_partition p;

		st = gpt_find(sysdisk_read, &d, bytes / block_bytes, block_bytes, gpt_dump_type, i,
			buf, &p);
		if (st == OK)
			look_at(&d, &p, s);
	}
	return st != E_READ;
}
