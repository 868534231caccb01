/*
 * Reads for --check what the image on a disk would do when it is started: by BIOS from the boot
 * area's settings, which are sealed as is the image, by UEFI from the file beside the application.
 */
#include <stdlib.h>
#include <string.h>
#include "bootimage.h"
#include "check.h"
#include "crc32c.h"
#include "device.h"
#include "linuxboot.h"

/* As the image checks itself. */
static bool image_is_whole(int fd, u64 at, const struct boot_header *h)
{
	u64 bytes = h->image_bytes - sizeof(*h);
	u8 *body = malloc(bytes + 1);
	bool ok;

	ok = body && device_read(fd, at + sizeof(*h), body, bytes) &&
	     crc32c(0, body, bytes) == h->image_crc32c;
	free(body);
	return ok;
}

static bool settings_are_whole(const struct boot_header *h)
{
	struct boot_header copy = *h;

	copy.crc32c = 0;
	return h->image_bytes >= sizeof(*h) && h->image_bytes <= BOOT_MAX_BYTES &&
	       crc32c(0, &copy, sizeof(copy)) == h->crc32c;
}

static enum check_area judge(
	int fd, u64 at, const struct boot_header *h, const struct dl_super *super, u64 dump_lba)
{
	if (memcmp(h->magic, BOOT_HEADER_MAGIC, sizeof(h->magic)) != 0)
		return AREA_NONE;
	if (h->version != BOOT_HEADER_VERSION)
		return AREA_OTHER_VERSION;
	if (!settings_are_whole(h))
		return AREA_SETTINGS;
	if (!image_is_whole(fd, at, h))
		return AREA_IMAGE;
	if (memcmp(h->target_uuid, super->disk_uuid, sizeof(h->target_uuid)) != 0 ||
		h->dump_lba != dump_lba || h->dump_blocks != dl_data_start(super))
		return AREA_MISPLACED;
	return AREA_GOOD;
}

void check_area_read(int fd, u32 block_bytes, u64 dump_bytes, struct check_disk *d)
{
	struct boot_locate locate;
	u8 sector[BOOT_SECTOR_BYTES];
	struct boot_header h;
	u64 at;

	if (!device_read(fd, 0, sector, sizeof(sector)))
		return;
	memcpy(&locate, sector + BOOT_LOCATE_OFFSET, sizeof(locate));
	d->boot_sector = locate.magic == BOOT_LOCATE_MAGIC;
	if (!d->boot_sector || locate.lba > UINT32_MAX || locate.block_bytes != block_bytes)
		return;
	at = locate.lba * block_bytes;
	if (!device_read(fd, at, &h, sizeof(h)))
		return;
	d->area = judge(fd, at, &h, &d->super, dump_bytes / block_bytes);
	if (d->area != AREA_GOOD && d->area != AREA_MISPLACED)
		return;
	d->by_bios.known = true;
	d->by_bios.automatic = h.flags & BOOT_FLAG_AUTOMATIC;
	d->by_bios.menu_seconds = h.menu_seconds;
}

void check_area_words(char *text, u64 bytes, struct check_disk *d)
{
	struct linuxboot_cmdline words;

	text[bytes] = '\0';
	linuxboot_cmdline(text, &words);
	d->by_uefi.known = true;
	d->by_uefi.automatic = words.automatic;
	d->by_uefi.menu_seconds = words.menu_seconds;
}
