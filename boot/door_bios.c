/*
 * BIOS door, C part: turns what the real-mode start found into the handoff and
 * calls the core. Runs in 64-bit mode with the first MiB mapped; writes only to
 * the image and its arena.
 */
#include <string.h>
#include "arch/x86/metal.h"
#include "boot/bios.h"
#include "bootimage.h"
#include "crc32c.h"
#include "dumplog.h"
#include "handoff.h"
#include "main.h"

#define E820_RAM       1
#define E820_PA	       0x1000u /* from here on it is ours: boot/bios.inc */
#define LOW_MEMORY_END 0xa0000u
#define TRIED_BYTES    sizeof(struct bios_tried)

struct __attribute__((packed)) e820_entry {
	u64 pa;
	u64 bytes;
	u32 type;
};
ASSERT_SIZE(struct e820_entry, 20);

extern char image_start[], image_file_end[], image_end[];
void door_bios(const struct bios_found *found);

static struct handoff handoff;

/* Of the image as it was loaded: only before anything in it has been written to. */
static u32 image_checksum(void)
{
	const char *body = image_start + sizeof(struct boot_header);

	return crc32c(0, body, (u64)(image_file_end - body));
}

/* The settings mkdumpdisk wrote; the built-in ones if they are damaged. */
static struct boot_header settings_read(u32 *degraded)
{
	struct boot_header h;
	u32 crc;

	memcpy(&h, image_start, sizeof(h));
	crc = h.crc32c;
	h.crc32c = 0;
	if (crc32c(0, &h, sizeof(h)) == crc)
		return h;
	*degraded |= DL_DEGRADED_BOOT_HEADER;
	memset(h.target_uuid, 0, sizeof(h.target_uuid));
	h.console = BOOT_CONSOLE_SERIAL | BOOT_CONSOLE_SCREEN;
	h.serial_port = 0x3f8;
	h.serial_baud = 115200;
	h.image_crc32c = image_checksum();
	h.flags = 0;
	h.menu_seconds = 0;
	return h;
}

static void map_build(struct memmap *map, u32 count)
{
	const struct e820_entry *table = (const struct e820_entry *)(u64)E820_PA;

	for (u32 i = 0; i < count; i++) {
		memmap_add(map, table[i].pa, table[i].bytes,
			table[i].type == E820_RAM ? MEM_RAM : MEM_RESERVED);
	}
}

/*
 * From the image's end to the end of the low memory that firmware leaves us. Some call the
 * extended BIOS data area RAM in the memory map; their system management code works in it.
 */
static void arena_place(struct handoff *h, u32 base_kib)
{
	u64 start = (u64)image_end;
	u64 end = min_u64((u64)base_kib * KIB, LOW_MEMORY_END);
	const struct mem_range *low = memmap_find(&h->map, start);

	h->arena_pa = start;
	if (end <= start)
		end = LOW_MEMORY_END; /* not a size that can be meant */
	if (low && low->type == MEM_RAM) {
		u64 room = min_u64(low->pa + low->bytes, end) - start;

		h->arena_bytes = room - min_u64(room, TRIED_BYTES);
	}
}

/* What lies below 1 MiB was written to since the reset, all of it. */
static void low_memory_touch(struct handoff *h)
{
	memmap_touch(&h->map, 0, LOW_MEMORY_END, TOUCHED_FIRMWARE);
	memmap_touch(&h->map, E820_PA, h->arena_pa + h->arena_bytes + TRIED_BYTES - E820_PA,
		TOUCHED_OURS);
}

void door_bios(const struct bios_found *found)
{
	struct handoff *h = &handoff;
	struct boot_header settings;
	bool intact;

	crc32c_init();
	settings = settings_read(&h->degraded);
	intact = settings.image_crc32c == image_checksum();
	clock_init();
	console_init(settings.console, settings.serial_port, settings.serial_baud);
	dump_hello(DOOR_BIOS);
	trap_init();
	mce_init();
	paging_protect();
	if (settings.flags & BOOT_FLAG_AUTOMATIC)
		dump_panic_way(bios_boot_on);
	if (!intact)
		dump_panic(E_IMAGE, "");

	h->version = HANDOFF_VERSION;
	h->door = DOOR_BIOS;
	h->time_s = rtc_now_s();
	memcpy(h->target_uuid, settings.target_uuid, sizeof(h->target_uuid));
	map_build(&h->map, found->e820_count);
	if (found->e820_cut || h->map.dropped)
		h->degraded |= DL_DEGRADED_MEMMAP;
	arena_place(h, found->base_kib);
	low_memory_touch(h);
	bios_choose(h, &settings, found);
	dump_main(h);
}
