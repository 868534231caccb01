/*
 * UEFI door, C part: turns what the UEFI application found into the handoff and calls the core.
 * Runs at the address the image was linked for, with firmware gone; writes only to the image
 * and its arena.
 */
#include <string.h>
#include "arch/x86/metal.h"
#include "bootimage.h"
#include "crc32c.h"
#include "dumplog.h"
#include "efiboot.h"
#include "handoff.h"
#include "linuxboot.h"
#include "main.h"
#include "pci.h"
#include "ports.h"
#include "str.h"

extern char image_start[], image_writable[], arena_first[], arena_limit[];
void door_efi(u64 boot_pa);

/* Big: not for the stack. */
static struct {
	struct handoff handoff;
	struct efiboot boot;
	struct linuxboot_cmdline settings;
} door;

static void boot_read(u64 boot_pa)
{
	if (!phys_copy(boot_pa, &door.boot, sizeof(door.boot)) || door.boot.magic != EFIBOOT_MAGIC)
		dump_panic(E_IMAGE, "");
	door.boot.settings[EFIBOOT_SETTINGS_BYTES - 1] = '\0';
	linuxboot_cmdline(door.boot.settings, &door.settings);
}

/* A device that firmware left running may have written to where the image lies now. */
static bool image_intact(void)
{
	return crc32c(0, image_start, (u64)(image_writable - image_start)) ==
	       door.boot.const_crc32c;
}

static void consoles_init(void)
{
	const struct linuxboot_cmdline *c = &door.settings;
	const struct framebuffer *screen = &door.boot.screen;

	console_init(c->console & (u8)~BOOT_CONSOLE_SCREEN, c->serial_port, c->serial_baud);
	if (c->console & BOOT_CONSOLE_SCREEN &&
		!memmap_has(&door.boot.map, screen->pa, screen->bytes, MEM_RAM))
		console_framebuffer(screen);
	dump_hello(DOOR_UEFI);
}

static void settings_say(struct handoff *h)
{
	if (door.boot.has_settings && door.settings.has_target)
		return;
	h->degraded |= DL_DEGRADED_BOOT_HEADER;
	con_printf("afterimage: \\EFI\\afterimage\\afterimage.cfg is %s; any dump disk will do\n",
		door.boot.has_settings ? "damaged" : "not there");
}

static void app_say(void)
{
	if (door.boot.not_left)
		con_printf("afterimage: E%u %s; going on without its leave\n", E_FIRMWARE,
			status_text(E_FIRMWARE));
	if (door.boot.took_free)
		con_printf("afterimage: firmware used too little memory; the image took 1 MiB of "
			   "the old kernel's\n");
	if (door.boot.next_set)
		con_printf("afterimage: firmware will boot this disk once more, for the survey\n");
}

static void map_build(struct handoff *h)
{
	memcpy(&h->map, &door.boot.map, sizeof(h->map));
	memmap_touch(&h->map, own_pa(image_start), (u64)(arena_limit - image_start), TOUCHED_OURS);
	if (h->map.dropped)
		h->degraded |= DL_DEGRADED_MEMMAP;
}

void door_efi(u64 boot_pa)
{
	struct handoff *h = &door.handoff;
	bool intact;

	trap_init();
	crc32c_init();
	clock_init();
	boot_read(boot_pa);
	pci_quiesce();
	intact = image_intact();
	consoles_init();
	mce_init();
	paging_protect();
	if (!intact)
		dump_panic(E_IMAGE, "");

	h->version = HANDOFF_VERSION;
	h->door = DOOR_UEFI;
	h->time_s = rtc_now_s();
	h->arena_pa = own_pa(arena_first);
	h->arena_bytes = (u64)(arena_limit - arena_first);
	h->rsdp_pa = door.boot.rsdp_pa;
	h->screen = door.boot.screen;
	memcpy(h->boot_part_guid, door.boot.boot_part_guid, sizeof(h->boot_part_guid));
	memcpy(h->target_uuid, door.settings.target_uuid, sizeof(h->target_uuid));
	h->vmcoreinfo_pa = door.boot.vmcoreinfo_pa;
	h->automatic = door.boot.automatic;
	h->has_level = door.boot.has_level;
	h->level = door.boot.level;
	h->asked = true; /* by the application, if anybody was to be */
	settings_say(h);
	app_say();
	map_build(h);
	dump_main(h);
}
