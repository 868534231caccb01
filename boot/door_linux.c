/*
 * Linux door, C part: turns what kexec or GRUB tells a kernel into the handoff and calls the
 * core. Runs at the address the image was linked for; writes only to the image and its
 * arena, which are one piece of memory that the loader set aside.
 */
#include <string.h>
#include "arch/x86/metal.h"
#include "boot/loader.h"
#include "crc32c.h"
#include "dumplog.h"
#include "elfcore.h"
#include "handoff.h"
#include "linuxboot.h"
#include "main.h"
#include "ports.h"
#include "str.h"

#define LOW_MEMORY_END ((u64)MIB)
#define PHYS_MAX       (1ull << 52) /* of any processor */
#define CORE_MAX_BYTES ((u64)ELFCORE_MAX_HEADERS * ELFCORE_HEADER_BYTES + PAGE_BYTES)

extern char image_start[], arena_first[], arena_limit[];
void door_linux(u64 zero_page_pa);

/* Big: not for the stack. */
static struct {
	struct handoff handoff;
	struct linuxboot_zero_page zero_page;
	struct linuxboot_cmdline cmdline;
	struct loader_screen screen;
	struct physmem loader; /* the memory that the loader gave us */
	struct elfcore core;
	u8 page[LINUXBOOT_ZERO_PAGE_BYTES];
	char text[LINUXBOOT_CMDLINE_MAX + 1];
} door;

static void parameters_read(u64 zero_page_pa)
{
	if (!phys_copy(zero_page_pa, door.page, sizeof(door.page)))
		memset(door.page, 0, sizeof(door.page));
	linuxboot_zero_page(door.page, &door.zero_page);
	if (!door.zero_page.cmdline_pa ||
		!phys_copy(door.zero_page.cmdline_pa, door.text, LINUXBOOT_CMDLINE_MAX))
		door.text[0] = '\0';
	linuxboot_cmdline(door.text, &door.cmdline);
}

static void machine_init(void)
{
	door.screen = (struct loader_screen) {door.zero_page.text_mode, door.zero_page.screen};
	loader_console(&door.cmdline, &door.screen, DOOR_LINUX);
	mce_init();
	paging_protect();
}

/* The piece of the loader's memory that the image is in: all of it is given to the capture. */
static const struct mem_range *own_range(void)
{
	const struct mem_range *r = memmap_find(&door.zero_page.map, own_pa(image_start));
	u64 bytes = (u64)(arena_limit - image_start);

	if (!r || r->type != MEM_RAM)
		return NULL;
	return range_fits(own_pa(image_start) - r->pa, bytes, r->bytes) ? r : NULL;
}

/*
 * Where elfcorehdr can be read: loaders cut it out of the memory they name, so it lies in a gap
 * beside our piece. Any other address is no elfcorehdr.
 */
static bool core_reach(struct memmap *map, const struct mem_range *own, u64 pa)
{
	u64 end = own->pa + own->bytes;

	if (pa % PAGE_BYTES != 0 || pa > end || pa + CORE_MAX_BYTES < own->pa)
		return false;
	memmap_add(map, pa, pa < own->pa ? own->pa - pa : CORE_MAX_BYTES, MEM_RAM);
	return true;
}

static bool core_open(const struct mem_range *own)
{
	u64 pa = door.cmdline.elfcorehdr_pa;

	if (!core_reach(&door.zero_page.map, own, pa))
		return false;
	return elfcore_open(&door.core, &door.loader, pa) == OK;
}

/* What is no RAM, whoever else may think so: the loader says so, or the processor can't reach it. */
static void add_reserved(struct memmap *map)
{
	memmap_add(map, phys_end(), PHYS_MAX - phys_end(), MEM_RESERVED);
	for (u32 i = 0; i < door.zero_page.map.count; i++) {
		const struct mem_range *r = &door.zero_page.map.range[i];

		if (r->type == MEM_RESERVED)
			memmap_add(map, r->pa, r->bytes, r->type);
	}
}

/* What we write to, and nothing else of what the loader set aside. */
static const struct mem_range *image_range(void)
{
	static struct mem_range image;

	image.pa = own_pa(image_start);
	image.bytes = (u64)(arena_limit - image_start);
	return &image;
}

/*
 * kexec -p: the old kernel's memory by its own list, and what it had reserved for us. That
 * list has nothing of the latter; if it has, then the loader named all memory, not just what it
 * set aside (kexec --pass-memmap-cmdline). False if some of the list is damaged.
 */
static bool map_crash(struct memmap *map, const struct mem_range *own)
{
	u64 core_pa = door.cmdline.elfcorehdr_pa;
	u64 core_end = door.core.headers_pa + (u64)door.core.count * ELFCORE_HEADER_BYTES;
	u32 refused;

	add_reserved(map);
	refused = elfcore_memmap(&door.core, &door.loader, map);
	if (memmap_has(map, own->pa, own->bytes, MEM_RAM))
		own = image_range();
	memmap_add(map, own->pa, own->bytes, MEM_RAM);
	memmap_add(map, core_pa, round_up_u64(core_end - core_pa, PAGE_BYTES), MEM_RAM);
	memmap_touch(map, own->pa, own->bytes, TOUCHED_OURS);
	memmap_touch(map, core_pa, core_end - core_pa, TOUCHED_OURS);
	door.handoff.elfcorehdr_pa = core_pa;
	return refused == 0;
}

/* A kernel lies above 1 MiB, and what it reserves for a capture has more of its memory below. */
static bool has_old_memory(const struct memmap *map, const struct mem_range *own)
{
	if (own->pa <= LOW_MEMORY_END)
		return true;
	return memmap_has(map, LOW_MEMORY_END, own->pa - LOW_MEMORY_END, MEM_RAM);
}

/* The end of the RAM that our piece lies in: where the loader says that something else begins. */
static u64 ram_end(const struct mem_range *own)
{
	const struct memmap *map = &door.zero_page.map;
	u64 end = own->pa + own->bytes;

	for (u32 i = 0; i < map->count; i++) {
		if (map->range[i].pa >= end && map->range[i].type == MEM_RESERVED)
			return map->range[i].pa;
	}
	return end;
}

/*
 * The list is damaged or missing. If our piece lies below 4 GiB, all from 1 MiB up to the next
 * thing that is not RAM is taken for RAM, but what the loader says is not; what is in the map
 * already stays there.
 */
static void map_guess(struct memmap *map, const struct mem_range *own)
{
	u64 end = ram_end(own);

	if (end <= 4 * GIB)
		memmap_add(map, LOW_MEMORY_END, end - LOW_MEMORY_END, MEM_RAM);
	for (u32 i = 0; i < door.zero_page.map.count; i++) {
		const struct mem_range *r = &door.zero_page.map.range[i];

		memmap_add(map, r->pa, r->bytes, r->type);
	}
	memmap_touch(map, image_range()->pa, image_range()->bytes, TOUCHED_OURS);
	door.handoff.degraded |= DL_DEGRADED_ELFCOREHDR;
	con_printf("afterimage: E%u %s; searching memory below %lu MiB\n", E_ELFCOREHDR,
		status_text(E_ELFCOREHDR), end / MIB);
}

/* Started by a boot loader, after a reset: firmware's list, and what was loaded where. */
static void map_boot(struct memmap *map, u64 zero_page_pa)
{
	const struct linuxboot_zero_page *z = &door.zero_page;

	memcpy(map, &z->map, sizeof(*map));
	memmap_touch(map, 0, LOW_MEMORY_END, TOUCHED_FIRMWARE);
	memmap_touch(map, zero_page_pa, sizeof(door.page), TOUCHED_LOADER);
	memmap_touch(map, z->cmdline_pa, LINUXBOOT_CMDLINE_MAX, TOUCHED_LOADER);
	memmap_touch(map, z->initrd_pa, z->initrd_bytes, TOUCHED_LOADER);
	memmap_touch(map, own_pa(image_start), (u64)(arena_limit - image_start), TOUCHED_OURS);
}

static void map_build(struct handoff *h, u64 zero_page_pa)
{
	const struct mem_range *found = own_range();
	struct mem_range own;
	bool good = true;

	if (!found)
		dump_panic(E_RESERVED, "");
	own = *found;
	physmem_init(&door.loader, &door.zero_page.map);
	if (!door.cmdline.has_elfcorehdr)
		map_boot(&h->map, zero_page_pa);
	else
		good = core_open(&own) && map_crash(&h->map, &own);
	if (!good || !has_old_memory(&h->map, &own))
		map_guess(&h->map, &own);
	if (h->map.dropped)
		h->degraded |= DL_DEGRADED_MEMMAP;
}

void door_linux(u64 zero_page_pa)
{
	struct handoff *h = &door.handoff;

	trap_init(); /* first: whoever waits for the machine may press the NMI button */
	crc32c_init();
	clock_init();
	parameters_read(zero_page_pa);
	machine_init();

	h->version = HANDOFF_VERSION;
	h->door = DOOR_LINUX;
	h->time_s = rtc_now_s();
	h->menu_seconds = door.cmdline.menu_seconds;
	h->arena_pa = own_pa(arena_first);
	h->arena_bytes = (u64)(arena_limit - arena_first);
	h->rsdp_pa = door.cmdline.rsdp_pa ? door.cmdline.rsdp_pa : door.zero_page.rsdp_pa;
	memcpy(h->target_uuid, door.cmdline.target_uuid, sizeof(h->target_uuid));
	map_build(h, zero_page_pa);
	loader_screen_open(h, &door.cmdline, &door.screen);
	if (door.cmdline.bad_target)
		dump_panic(E_CMDLINE, "");
	dump_main(h);
}
