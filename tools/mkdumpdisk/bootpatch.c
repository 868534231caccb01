/*
 * Checks the bytes of afterimage.mbr and writes the disk's settings into them. Bytes
 * in, bytes out: no files.
 */
#include <string.h>
#include "bootfile.h"
#include "crc32c.h"

const char *bootfile_fault(const u8 *data, u64 bytes)
{
	struct boot_header h;
	struct boot_locate where;

	if (bytes < BOOT_SECTOR_BYTES + sizeof(h))
		return "is too short for a boot image";
	if (bytes > BOOT_FILE_MAX_BYTES)
		return "is too long for a boot image";
	memcpy(&h, data + BOOT_SECTOR_BYTES, sizeof(h));
	memcpy(&where, data + BOOT_LOCATE_OFFSET, sizeof(where));
	if (memcmp(h.magic, BOOT_HEADER_MAGIC, sizeof(h.magic)) != 0)
		return "is no boot image (the image's mark is missing)";
	if (where.magic != BOOT_LOCATE_MAGIC)
		return "is no boot image (the boot sector's mark is missing)";
	if (h.version != BOOT_HEADER_VERSION)
		return "is a boot image of another version";
	if (h.image_bytes != bytes - BOOT_SECTOR_BYTES)
		return "is cut short or damaged (its length is not the one it states)";
	return NULL;
}

void bootfile_apply(u8 *data, u64 bytes, const struct boot_settings *s)
{
	u64 image_bytes = bytes - BOOT_SECTOR_BYTES;
	struct boot_locate where = {
		.lba = s->boot_lba,
		.blocks = (u16)((image_bytes + s->block_bytes - 1) / s->block_bytes),
		.block_bytes = (u16)s->block_bytes,
		.magic = BOOT_LOCATE_MAGIC,
	};
	struct boot_header h;

	memcpy(data + BOOT_LOCATE_OFFSET, &where, sizeof(where));
	memcpy(&h, data + BOOT_SECTOR_BYTES, sizeof(h));
	memcpy(h.target_uuid, s->target_uuid, sizeof(h.target_uuid));
	h.console = s->console;
	h.zero0 = 0;
	h.flags = s->automatic ? BOOT_FLAG_AUTOMATIC : 0;
	h.menu_seconds = s->menu_seconds;
	h.dump_blocks = s->dump_blocks;
	h.dump_lba = s->dump_lba;
	h.survey_lba = s->survey_lba;
	h.serial_port = s->serial_port;
	h.serial_baud = s->serial_baud;
	h.image_crc32c = crc32c(0, data + BOOT_SECTOR_BYTES + sizeof(h), image_bytes - sizeof(h));
	h.crc32c = 0;
	h.crc32c = crc32c(0, &h, sizeof(h));
	memcpy(data + BOOT_SECTOR_BYTES, &h, sizeof(h));
}

void bootfile_change(struct boot_header *h, const struct options *o)
{
	h->console = o->console;
	h->serial_port = o->serial_port;
	h->serial_baud = o->serial_baud;
	h->flags =
		(u8)((h->flags & ~BOOT_FLAG_AUTOMATIC) | (o->automatic ? BOOT_FLAG_AUTOMATIC : 0));
	h->menu_seconds = (u8)o->menu_seconds;
	h->crc32c = 0;
	h->crc32c = crc32c(0, h, sizeof(*h));
}
