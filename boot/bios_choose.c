/*
 * BIOS door, before the core: automatic mode and the console's menu, with the BIOS's disks and
 * keyboard. What is to be captured is remembered in low memory, so that a capture that fails is
 * not tried at every start.
 */
#include <string.h>
#include "arch/x86/metal.h"
#include "boot/bios.h"
#include "bootimage.h"
#include "crc32c.h"
#include "main.h"
#include "ports.h"
#include "str.h"

#define TRIED_MAGIC 0x52544641u		     /* "AFTR" */
#define DISK_BYTES  (2 * PAGE_BYTES + 4096u) /* the least of what bios.h says of the arena */

extern const struct boot_locate boot_locate;
extern const char bios_key16[], bios_next16[], bios_give_up16[];
u32 bios_real(const char *routine);

/* Firmware clears from 0x7000 to 0x90000 what its start-up used: one copy is below, one above. */
static struct bios_tried *tried_place(const struct handoff *h, bool second)
{
	return (struct bios_tried *)(second ? h->arena_pa + h->arena_bytes : BIOS_TRIED_PA);
}

static u64 tried_read(const struct handoff *h)
{
	for (u32 i = 0; i < 2; i++) {
		struct bios_tried t = *tried_place(h, i);

		if (t.magic == TRIED_MAGIC && t.crc32c == crc32c(0, &t.crash_id, sizeof(u64)))
			return t.crash_id;
	}
	return 0;
}

static void tried_write(const struct handoff *h, u64 crash_id)
{
	u32 crc = crc32c(0, &crash_id, sizeof(crash_id));

	for (u32 i = 0; i < 2; i++)
		*tried_place(h, i) = (struct bios_tried) {TRIED_MAGIC, crc, crash_id};
	memory_flush();
}

/* Of the disk that dumps go to, and nothing else. */
static void disk_look(struct choose_disk *disk, const struct boot_header *settings,
	const struct bios_found *found)
{
	const u8 *survey = (const u8 *)disk + PAGE_BYTES;
	const u8 *block = survey + PAGE_BYTES;
	u32 block_bytes = boot_locate.block_bytes;
	struct dl_super super;

	memset(disk, 0, sizeof(*disk));
	disk->why = E_READ;
	if (!found->disk_read || !choose_disk_super(disk, block, &super))
		return;
	if (super.block_bytes != block_bytes ||
		memcmp(super.disk_uuid, settings->target_uuid, sizeof(super.disk_uuid)) != 0) {
		disk->known = false;
		disk->why = E_SUPERBLOCK;
		return;
	}
	for (u32 i = 1; i < settings->dump_blocks && i <= super.dir_slots; i++)
		choose_disk_slot(disk, &super, block + i * block_bytes);
	if (found->disk_read > 1)
		choose_disk_survey(disk, &super, survey);
}

static u32 real(const char *routine)
{
	u32 result = bios_real(routine);

	trap_init();
	return result;
}

/* The console's port is looked at once for each tick of the BIOS; it keeps that many characters. */
static u32 key(void *ctx, u64 wait_us)
{
	u64 end = clock_us() + wait_us;
	u32 pressed;

	(void)ctx;
	do {
		pressed = serial_key();
		if (!pressed)
			pressed = real(bios_key16);
	} while (!pressed && clock_us() < end);
	return pressed;
}

void bios_boot_on(void)
{
	con_printf("afterimage: booting on\n");
	real(bios_next16);
	con_printf("afterimage: E%u %s; %s\n", (u32)E_NO_NEXT, status_text(E_NO_NEXT),
		status_advice(E_NO_NEXT));
	real(bios_give_up16);
	machine_reset(ACTION_HALT);
}

void bios_choose(
	struct handoff *h, const struct boot_header *settings, const struct bios_found *found)
{
	struct choose_disk *disk = (struct choose_disk *)h->arena_pa;
	enum choose_way way;
	u64 crash_id;

	h->boots_on = true;
	h->automatic = settings->flags & BOOT_FLAG_AUTOMATIC;
	h->menu_seconds = settings->menu_seconds;
	if (!h->automatic && h->menu_seconds == 0)
		return;
	if (h->arena_bytes < DISK_BYTES) {
		if (h->automatic)
			dump_panic(E_MEMMAP, ""); /* nor could it be captured */
		return;
	}
	disk_look(disk, settings, found);
	disk->tried_id = tried_read(h);
	way = dump_choose(h, disk, key, NULL, &crash_id);
	if (way == CHOOSE_BOOT_ON)
		bios_boot_on();
	if (way == CHOOSE_OFF)
		dump_leave(h, way);
	if (crash_id)
		tried_write(h, crash_id);
}
