/*
 * The information of a Multiboot loader. Believes the addresses it finds; whoever follows them
 * checks. What it says of GRUB's own memory was measured (docs/boot.md).
 */
#include <string.h>
#include "bytes.h"
#include "multiboot.h"
#include "str.h"

/* Multiboot 1: s3.3, flags and offsets. */
#define INFO_FLAGS	 0
#define HAS_MEMORY	 (1u << 0)
#define HAS_CMDLINE	 (1u << 2)
#define HAS_MODULES	 (1u << 3)
#define HAS_MAP		 (1u << 6)
#define HAS_LOADER	 (1u << 9)
#define HAS_FRAMEBUFFER	 (1u << 12)
#define INFO_LOWER	 4
#define INFO_CMDLINE	 16
#define INFO_MODULES	 20
#define INFO_MODULES_PA	 24
#define INFO_MAP_BYTES	 44
#define INFO_MAP_PA	 48
#define INFO_LOADER	 64
#define INFO_FRAMEBUFFER 88
#define INFO_COLOURS	 110 /* s3.3; where a C compiler puts them, GRUB too: two bytes later */
#define INFO_COLOURS_C	 112

#define MAP1_SIZE  0 /* of what follows this field */
#define MAP1_ENTRY 4

/* Multiboot 2: s3.6, tags; offsets in them from behind type and size. */
#define TAG_HEAD	 8u
#define TAG_END		 0
#define TAG_CMDLINE	 1
#define TAG_LOADER	 2
#define TAG_MODULE	 3
#define TAG_MEMORY	 4
#define TAG_MAP		 6
#define MAP2_ENTRY_BYTES 0
#define MAP2_ENTRIES	 8
#define TAG_FRAMEBUFFER	 8
#define TAG_COLOURS	 24
#define TAG_RSDP_1	 14
#define TAG_RSDP_2	 15
#define TAG_EFI_MAP	 17
#define EFI_MAP_STEP	 0
#define EFI_MAP_ENTRIES	 8

/* Alike in both. */
#define ENTRY_PA     0
#define ENTRY_SIZE   8
#define ENTRY_TYPE   16
#define ENTRY_BYTES  20u
#define ENTRY_RAM    1
#define MODULE_START 0
#define MODULE_END   4
#define MODULE_TEXT  8
#define FB_PA	     0
#define FB_STRIDE    8
#define FB_WIDTH     12
#define FB_HEIGHT    16
#define FB_DEPTH     20
#define FB_TYPE	     21
#define FB_RGB	     1
#define FB_EGA_TEXT  2
#define FB_BYTES     22u
#define COLOUR_BYTES 6u
#define RSDP_LEAST   20u

#define EGA_PA	    0xb8000u
#define EGA_COLUMNS 80u
#define EGA_ROWS    25u

/* EFI's memory types and descriptors, UEFI 2.10 s7.2.3. */
#define EFI_LOADER_CODE 1
#define EFI_LOADER_DATA 2
#define EFI_PA		8
#define EFI_PAGES	24
#define EFI_PAGES_MAX	(1ull << 40)

#define LOW_FIRST   ((u64)PAGE_BYTES) /* page 0 is the BIOS's */
#define LOW_LIMIT   0xa0000ull
#define CMDLINE_MAX 4096u

/*
 * Measured, docs/boot.md: GRUB's core lies at 1 MiB on BIOS; of its heap it uses the end, 2 MiB with
 * a text menu, 47 MiB with fonts and the largest of modes.
 */
#define GRUB_CORE_PA	((u64)MIB)
#define GRUB_CORE_BYTES (256u * KIB)
#define GRUB_HEAP_BYTES (64ull * MIB)
#define GRUB_LIMIT	(4 * GIB)
#define GRUB_RANGES	32u

static void add_entry(const u8 *entry, struct memmap *map)
{
	bool ram = get_u32(entry + ENTRY_TYPE) == ENTRY_RAM;

	memmap_add(map, get_u64(entry + ENTRY_PA), get_u64(entry + ENTRY_SIZE),
		ram ? MEM_RAM : MEM_RESERVED);
}

static struct framebuffer_colour get_colour(const u8 *field)
{
	return (struct framebuffer_colour) {.shift = field[0], .bits = field[1]};
}

/* The type decides: RGB can be drawn on, EGA text is the console's; a palette is nobody's. */
static void add_screen(const u8 *fb, const u8 *colours, struct multiboot *out)
{
	struct framebuffer s = {
		.pa = get_u64(fb + FB_PA),
		.width = get_u32(fb + FB_WIDTH),
		.height = get_u32(fb + FB_HEIGHT),
		.stride_bytes = get_u32(fb + FB_STRIDE),
		.pixel_bytes = (fb[FB_DEPTH] + 7u) / 8,
	};

	s.bytes = (u64)s.stride_bytes * s.height;
	if (fb[FB_TYPE] == FB_EGA_TEXT)
		out->text_mode = s.pa == EGA_PA && s.width == EGA_COLUMNS && s.height == EGA_ROWS;
	if (fb[FB_TYPE] != FB_RGB || !colours || s.pixel_bytes < 2 || s.pixel_bytes > 4)
		return;
	if (!s.pa || !range_fits(s.pa, s.bytes, UINT64_MAX))
		return;
	s.red = get_colour(colours);
	s.green = get_colour(colours + 2);
	s.blue = get_colour(colours + 4);
	out->screen = s;
}

/* --- Multiboot 1 ------------------------------------------------------------------------ */

static u32 get_if(const u8 *info, u32 flag, u32 at)
{
	return get_u32(info + INFO_FLAGS) & flag ? get_u32(info + at) : 0;
}

/* Red has no bits where there is but padding. */
static const u8 *colours1(const u8 *info)
{
	return info + (info[INFO_COLOURS + 1] ? INFO_COLOURS : INFO_COLOURS_C);
}

void multiboot1_read(const u8 info[MULTIBOOT1_BYTES], struct multiboot *out)
{
	memset(out, 0, sizeof(*out));
	out->low_end = (u64)get_if(info, HAS_MEMORY, INFO_LOWER) * KIB;
	out->cmdline_pa = get_if(info, HAS_CMDLINE, INFO_CMDLINE);
	out->modules_pa = get_if(info, HAS_MODULES, INFO_MODULES_PA);
	out->modules = get_if(info, HAS_MODULES, INFO_MODULES);
	out->map_pa = get_if(info, HAS_MAP, INFO_MAP_PA);
	out->map_bytes = get_if(info, HAS_MAP, INFO_MAP_BYTES);
	out->loader_pa = get_if(info, HAS_LOADER, INFO_LOADER);
	if (get_u32(info + INFO_FLAGS) & HAS_FRAMEBUFFER)
		add_screen(info + INFO_FRAMEBUFFER, colours1(info), out);
	else
		out->text_mode = true; /* as the loader's header asked for */
}

bool multiboot1_memmap(const u8 *table, u32 bytes, struct memmap *map)
{
	bool any = false;

	while (bytes >= MAP1_ENTRY + ENTRY_BYTES) {
		u32 size = get_u32(table + MAP1_SIZE);

		if (size < ENTRY_BYTES)
			break;
		add_entry(table + MAP1_ENTRY, map);
		any = true;
		if (size > bytes - MAP1_ENTRY)
			break;
		table += MAP1_ENTRY + size;
		bytes -= MAP1_ENTRY + size;
	}
	return any;
}

void multiboot1_modules(const u8 *table, u32 count, struct memmap *map)
{
	for (u32 i = 0; i < count; i++) {
		const u8 *m = table + (u64)i * MULTIBOOT1_MODULE;
		u64 start = get_u32(m + MODULE_START);

		memmap_touch(map, start, get_u32(m + MODULE_END) - start, TOUCHED_LOADER);
		memmap_touch(map, get_u32(m + MODULE_TEXT), CMDLINE_MAX, TOUCHED_LOADER);
	}
}

/* --- Multiboot 2 ------------------------------------------------------------------------ */

struct tag {
	u32 type;
	u32 bytes; /* of the body */
	const u8 *body;
};

/* The tag at *@at of @bytes, which goes on to the next one; false at the end. */
static bool tag_next(const u8 *info, u32 bytes, u32 *at, struct tag *t)
{
	u32 left = *at < bytes ? bytes - *at : 0;
	u32 size;

	if (left < TAG_HEAD)
		return false;
	t->type = get_u32(info + *at);
	size = get_u32(info + *at + 4);
	if (t->type == TAG_END || size < TAG_HEAD || size > left)
		return false;
	t->body = info + *at + TAG_HEAD;
	t->bytes = size - TAG_HEAD;
	*at += (u32)round_up_u64(size, TAG_HEAD);
	return true;
}

/* The first tag of @type with at least @least bytes in it. */
static bool tag_find(const u8 *info, u32 bytes, u32 type, u32 least, struct tag *t)
{
	u32 at = MULTIBOOT2_HEAD_BYTES;

	while (tag_next(info, bytes, &at, t)) {
		if (t->type == type && t->bytes >= least)
			return true;
	}
	return false;
}

static const char *tag_text(const u8 *info, u32 bytes, u32 type)
{
	struct tag t;

	if (!tag_find(info, bytes, type, 1, &t) || t.body[t.bytes - 1] != '\0')
		return NULL;
	return (const char *)t.body;
}

static void rsdp_read(const u8 *info, u32 bytes, struct multiboot *out)
{
	struct tag t;

	if (!tag_find(info, bytes, TAG_RSDP_2, MULTIBOOT_RSDP_BYTES, &t) &&
		!tag_find(info, bytes, TAG_RSDP_1, RSDP_LEAST, &t))
		return;
	out->rsdp_bytes = (u32)min_u64(t.bytes, MULTIBOOT_RSDP_BYTES);
	memcpy(out->rsdp, t.body, out->rsdp_bytes);
}

/*
 * GRUB is in there and its heap: a quarter of all memory with 2.06, of which it uses the end, and
 * the first page. Perhaps.
 */
static void efi_loader(const u8 *d, u64 bytes, u32 step, struct memmap *map)
{
	for (; bytes >= step; bytes -= step, d += step) {
		u64 size = min_u64(get_u64(d + EFI_PAGES), EFI_PAGES_MAX) << PAGE_SHIFT;
		u64 pa = get_u64(d + EFI_PA);
		u64 used = min_u64(size, GRUB_HEAP_BYTES);
		u32 type = get_u32(d);

		if ((type != EFI_LOADER_CODE && type != EFI_LOADER_DATA) || size == 0)
			continue;
		memmap_touch(map, pa, size, TOUCHED_NOBODY);
		memmap_touch(map, pa, PAGE_BYTES, TOUCHED_PERHAPS);
		memmap_touch(map, pa + size - used, used, TOUCHED_PERHAPS);
	}
}

static bool efi_map_read(const u8 *info, u32 bytes, struct memmap *map)
{
	struct tag t;
	u32 step;

	if (!tag_find(info, bytes, TAG_EFI_MAP, EFI_MAP_ENTRIES, &t))
		return false;
	step = get_u32(t.body + EFI_MAP_STEP);
	t.body += EFI_MAP_ENTRIES;
	t.bytes -= EFI_MAP_ENTRIES;
	if (step > t.bytes || !efiboot_memmap(t.body, t.bytes, step, map))
		return false;
	efi_loader(t.body, t.bytes, step, map);
	return true;
}

static bool map_read(const u8 *info, u32 bytes, struct memmap *map)
{
	struct tag t;
	u32 step;

	if (!tag_find(info, bytes, TAG_MAP, MAP2_ENTRIES, &t))
		return false;
	step = get_u32(t.body + MAP2_ENTRY_BYTES);
	if (step < ENTRY_BYTES)
		return false;
	t.body += MAP2_ENTRIES;
	for (u32 left = t.bytes - MAP2_ENTRIES; left >= step; left -= step, t.body += step)
		add_entry(t.body, map);
	return true;
}

static void modules_touch(const u8 *info, u32 bytes, struct memmap *map)
{
	u32 at = MULTIBOOT2_HEAD_BYTES;
	struct tag t;

	while (tag_next(info, bytes, &at, &t)) {
		if (t.type != TAG_MODULE || t.bytes < MODULE_TEXT)
			continue;
		memmap_touch(map, get_u32(t.body + MODULE_START),
			(u64)get_u32(t.body + MODULE_END) - get_u32(t.body + MODULE_START),
			TOUCHED_LOADER);
	}
}

void multiboot2_read(const u8 *info, u32 bytes, struct multiboot *out, struct memmap *map)
{
	struct tag t;

	memset(out, 0, sizeof(*out));
	if (bytes >= MULTIBOOT2_HEAD_BYTES)
		bytes = (u32)min_u64(bytes, get_u32(info));
	out->cmdline = tag_text(info, bytes, TAG_CMDLINE);
	out->loader = tag_text(info, bytes, TAG_LOADER);
	if (tag_find(info, bytes, TAG_MEMORY, 4, &t))
		out->low_end = (u64)get_u32(t.body) * KIB;
	if (tag_find(info, bytes, TAG_FRAMEBUFFER, FB_BYTES, &t))
		add_screen(t.body,
			t.bytes >= TAG_COLOURS + COLOUR_BYTES ? t.body + TAG_COLOURS : NULL, out);
	rsdp_read(info, bytes, out);
	out->is_efi = efi_map_read(info, bytes, map);
	out->has_map = out->is_efi || map_read(info, bytes, map);
	modules_touch(info, bytes, map);
}

/* --- memory of the loader's, and ours ----------------------------------------------------- */

static bool is_grub(const char *loader)
{
	return loader && str_len(loader, 4) == 4 && memcmp(loader, "GRUB", 4) == 0;
}

void multiboot_loader(const struct multiboot *m, struct memmap *map)
{
	struct efiboot_range heap[GRUB_RANGES];
	u32 count = 0;

	if (m->is_efi || !is_grub(m->loader))
		return;
	for (u32 i = 0; i < map->count && count < ARRAY_SIZE(heap); i++) {
		const struct mem_range *r = &map->range[i];
		u64 used = min_u64(r->bytes, GRUB_HEAP_BYTES);

		if (r->touched != TOUCHED_NOBODY) /* modules, for certain */
			continue;
		if (r->type == MEM_RAM && r->pa >= GRUB_CORE_PA && r->pa + r->bytes <= GRUB_LIMIT)
			heap[count++] = (struct efiboot_range) {r->pa + r->bytes - used, used};
	}
	for (u32 i = 0; i < count; i++)
		memmap_touch(map, heap[i].pa, heap[i].bytes, TOUCHED_PERHAPS);
	memmap_touch(map, GRUB_CORE_PA, GRUB_CORE_BYTES, TOUCHED_LOADER);
}

static void larger(struct efiboot_range *best, u64 from, u64 end)
{
	if (from < end && end - from > best->bytes)
		*best = (struct efiboot_range) {from, end - from};
}

/* The largest piece of low memory, without the image. */
static struct efiboot_range low_memory(const struct memmap *map, const struct multiboot_need *need)
{
	u64 limit = need->low_end > LOW_FIRST ? min_u64(need->low_end, LOW_LIMIT) : LOW_LIMIT;
	u64 own_end = need->own.pa + need->own.bytes;
	struct efiboot_range best = {0};

	for (u32 i = 0; i < map->count && i < MEMMAP_MAX; i++) {
		const struct mem_range *r = &map->range[i];
		u64 from = max_u64(r->pa, LOW_FIRST);
		u64 end = min_u64(r->pa + r->bytes, limit) & ~(u64)(PAGE_BYTES - 1);

		if (r->type != MEM_RAM)
			continue;
		larger(&best, from, min_u64(end, need->own.pa));
		larger(&best, max_u64(from, own_end), end);
	}
	return best;
}

struct efiboot_range multiboot_arena(
	const struct memmap *map, const struct multiboot_need *need, bool *took_free)
{
	struct efiboot_range low = low_memory(map, need);
	struct efiboot_range place = {.bytes = round_up_u64(need->want, PAGE_BYTES)};

	*took_free = false;
	low.bytes = min_u64(low.bytes, place.bytes);
	if (low.bytes == place.bytes)
		return low;
	place.pa = efiboot_place(map, place.bytes, &need->own, 1, took_free);
	if (place.pa && !*took_free)
		return place;
	*took_free = false;
	if (low.bytes >= need->least)
		return low;
	place.bytes = round_up_u64(need->least, PAGE_BYTES);
	place.pa = efiboot_place(map, place.bytes, &need->own, 1, took_free);
	return place.pa ? place : low;
}
