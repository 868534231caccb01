/*
 * Multiboot door, C part: turns what GRUB tells into the handoff and calls the core. Runs at the
 * address the image was linked for; writes only to the image and its arena, for which it looks
 * among the memory that the old kernel has lost already.
 */
#include <string.h>
#include "arch/x86/metal.h"
#include "boot/loader.h"
#include "capture.h"
#include "crc32c.h"
#include "dumplog.h"
#include "handoff.h"
#include "linuxboot.h"
#include "main.h"
#include "multiboot.h"
#include "ports.h"
#include "str.h"

#define LOW_MEMORY_END ((u64)MIB)
#define PHYS_MAX       (1ull << 52) /* of any processor */

/* docs/memory.md says what it is used for: beside the dump disk's, 32 KiB are other devices'. */
#define ARENA_LEAST                                                                                \
	(WRITER_ARENA_BYTES + CAPTURE_ARENA_BYTES + COMPRESS_LZF_STATE_BYTES + 32u * KIB)
#define ARENA_WANT (640u * KIB)

extern char image_start[], image_limit[], arena_first[], arena_limit[];
extern u8 facts[MULTIBOOT_MAX_BYTES]; /* may become the arena's */
extern const u32 facts_magic;
void door_multiboot(u64 facts_pa);

/* Big: not for the stack. */
static struct {
	struct handoff handoff;
	struct multiboot told;
	struct linuxboot_cmdline cmdline;
	struct loader_screen screen;
	char loader[32];
	char text[LINUXBOOT_CMDLINE_MAX + 1];
	_Alignas(16) u8 rsdp[MULTIBOOT_RSDP_BYTES];
	u32 facts_bytes;
} door;

/* As much as there is up to @room. */
static bool text_copy(u64 pa, char *text, u32 room)
{
	if (!pa || !phys_copy(pa, text, room))
		text[0] = '\0';
	text[room - 1] = '\0';
	return text[0];
}

/* Of the tables that the information names, one after the other, only so much is read. */
static bool table_copy(u64 pa, u64 bytes)
{
	return pa && bytes && phys_copy(pa, facts, min_u64(bytes, sizeof(facts)));
}

static void facts_read1(u64 pa)
{
	struct multiboot *told = &door.told;
	struct memmap *map = &door.handoff.map;
	u32 modules;

	if (!phys_copy(pa, facts, MULTIBOOT1_BYTES))
		return;
	door.facts_bytes = MULTIBOOT1_BYTES;
	multiboot1_read(facts, told);
	text_copy(told->cmdline_pa, door.text, sizeof(door.text));
	if (text_copy(told->loader_pa, door.loader, sizeof(door.loader)))
		told->loader = door.loader;
	if (table_copy(told->map_pa, told->map_bytes))
		told->has_map =
			multiboot1_memmap(facts, (u32)min_u64(told->map_bytes, sizeof(facts)), map);
	modules = (u32)min_u64(told->modules, sizeof(facts) / MULTIBOOT1_MODULE);
	if (table_copy(told->modules_pa, (u64)modules * MULTIBOOT1_MODULE))
		multiboot1_modules(facts, modules, map);
}

static void facts_read2(u64 pa)
{
	u32 bytes;

	if (!phys_copy(pa, &bytes, sizeof(bytes)))
		return;
	bytes = (u32)min_u64(bytes, sizeof(facts));
	if (!phys_copy(pa, facts, bytes))
		return;
	door.facts_bytes = bytes;
	multiboot2_read(facts, bytes, &door.told, &door.handoff.map);
	if (door.told.cmdline)
		str_copy(door.text, sizeof(door.text), door.told.cmdline, LINUXBOOT_CMDLINE_MAX);
	memcpy(door.rsdp, door.told.rsdp, sizeof(door.rsdp));
}

static void facts_read(u64 pa)
{
	if (facts_magic == MULTIBOOT1_LOADED)
		facts_read1(pa);
	else
		facts_read2(pa);
	linuxboot_cmdline(door.text, &door.cmdline);
}

static void machine_init(void)
{
	door.screen = (struct loader_screen) {door.told.text_mode, door.told.screen};
	loader_console(&door.cmdline, &door.screen, DOOR_MULTIBOOT);
	mce_init();
	paging_protect();
}

/* What has been written to since the reset, as far as the loader tells or is known of it. */
static void map_build(struct handoff *h, u64 facts_pa)
{
	struct memmap *map = &h->map;

	memmap_add(map, phys_end(), PHYS_MAX - phys_end(), MEM_RESERVED);
	multiboot_loader(&door.told, map);
	memmap_touch(map, facts_pa, door.facts_bytes, TOUCHED_LOADER);
	memmap_touch(map, door.told.cmdline_pa, sizeof(door.text), TOUCHED_LOADER);
	memmap_touch(map, door.told.map_pa, door.told.map_bytes, TOUCHED_LOADER);
	memmap_touch(map, 0, LOW_MEMORY_END, TOUCHED_FIRMWARE);
	if (map->dropped)
		h->degraded |= DL_DEGRADED_MEMMAP;
}

/* The image's memory, and the arena's, which is shown behind it. */
static void memory_place(struct handoff *h)
{
	const struct multiboot_need need = {
		.want = min_u64(ARENA_WANT, (u64)(arena_limit - arena_first)),
		.least = ARENA_LEAST,
		.low_end = door.told.low_end,
		.own = {own_pa(image_start), (u64)(arena_first - image_start)},
	};
	struct efiboot_range arena;
	bool took_free;

	arena = multiboot_arena(&h->map, &need, &took_free);
	if (took_free)
		con_printf("afterimage: the loader left no memory; the image took %lu KiB of the "
			   "old kernel's\n",
			(u64)arena.bytes / KIB);
	paging_arena(arena.pa, arena.bytes);
	h->arena_pa = arena.pa;
	h->arena_bytes = arena.bytes;
	memmap_touch(&h->map, own_pa(image_start), (u64)(image_limit - image_start), TOUCHED_OURS);
	memmap_touch(&h->map, arena.pa, arena.bytes, TOUCHED_OURS);
}

/* The loader's copy of it is in its own memory, ours is read past the caches. */
static void rsdp_place(struct handoff *h)
{
	h->rsdp_pa = door.cmdline.rsdp_pa;
	if (h->rsdp_pa || !door.told.rsdp_bytes)
		return;
	memory_flush();
	h->rsdp_pa = own_pa(door.rsdp);
}

void door_multiboot(u64 facts_pa)
{
	struct handoff *h = &door.handoff;

	trap_init();
	crc32c_init();
	clock_init();
	facts_read(facts_pa);
	machine_init();

	h->version = HANDOFF_VERSION;
	h->door = DOOR_MULTIBOOT;
	h->time_s = rtc_now_s();
	h->menu_seconds = door.cmdline.menu_seconds;
	memcpy(h->target_uuid, door.cmdline.target_uuid, sizeof(h->target_uuid));
	map_build(h, facts_pa);
	loader_screen_open(h, &door.cmdline, &door.screen);
	if (!door.told.has_map || memmap_ram_pages(&h->map) == 0)
		dump_panic(E_MEMMAP, "");
	memory_place(h);
	rsdp_place(h);
	if (door.cmdline.bad_target)
		dump_panic(E_CMDLINE, "");
	dump_main(h);
}
