/*
 * The zero page: picks the few fields that matter here out of struct boot_params (Linux x86
 * boot protocol; Documentation/arch/x86/zero-page.rst). Believes the addresses it finds;
 * whoever follows them checks. More than 128 e820 entries, which come as setup_data, are
 * not read.
 */
#include <string.h>
#include "bytes.h"
#include "linuxboot.h"

#define SCREEN_IS_VGA 0x00f
#define ACPI_RSDP     0x070
#define EXT_RAMDISK   0x0c0
#define EXT_RAMDISK_N 0x0c4
#define EXT_CMDLINE   0x0c8
#define E820_ENTRIES  0x1e8
#define HDR_RAMDISK   0x218
#define HDR_RAMDISK_N 0x21c
#define HDR_CMDLINE   0x228
#define E820_TABLE    0x2d0

#define E820_MAX	 128u
#define E820_ENTRY_BYTES 20u
#define E820_SIZE	 8u
#define E820_TYPE	 16u
#define E820_TYPE_RAM	 1u
_Static_assert(E820_TABLE + E820_MAX * E820_ENTRY_BYTES <= LINUXBOOT_ZERO_PAGE_BYTES,
	"the e820 table ends inside the zero page");

/* What orig_video_isVGA says of a screen in text mode, and of one with a framebuffer. */
#define VIDEO_UNKNOWN	0x00
#define VIDEO_VGA	0x01
#define VIDEO_VGA_COLOR 0x22
#define VIDEO_VESA	0x23
#define VIDEO_EFI	0x70

/* The framebuffer (struct screen_info); colours are bits and shift. */
#define LFB_WIDTH    0x012
#define LFB_HEIGHT   0x014
#define LFB_DEPTH    0x016
#define LFB_BASE     0x018
#define LFB_STRIDE   0x024
#define LFB_RED	     0x026
#define LFB_GREEN    0x028
#define LFB_BLUE     0x02a
#define LFB_CAPS     0x036
#define LFB_CAPS_64  (1u << 1) /* the base has an upper half */
#define LFB_BASE_EXT 0x03a

/* Fields of the header that grew: 32 bits there, the upper half elsewhere. */
static u64 get_split(const u8 *page, u32 low, u32 high)
{
	return get_u32(page + low) | (u64)get_u32(page + high) << 32;
}

static void add_e820(const u8 *page, struct memmap *map)
{
	u32 count = page[E820_ENTRIES];

	for (u32 i = 0; i < count && i < E820_MAX; i++) {
		const u8 *entry = page + E820_TABLE + i * E820_ENTRY_BYTES;
		bool ram = get_u32(entry + E820_TYPE) == E820_TYPE_RAM;

		memmap_add(map, get_u64(entry), get_u64(entry + E820_SIZE),
			ram ? MEM_RAM : MEM_RESERVED);
	}
}

static struct framebuffer_colour get_colour(const u8 *field)
{
	struct framebuffer_colour c = {.bits = field[0], .shift = field[1]};

	return c;
}

/*
 * Its size in bytes is told in units that loaders disagree on, so it is what its lines need:
 * whoever uses it looks whether a device has as much there.
 */
static struct framebuffer get_screen(const u8 *page)
{
	struct framebuffer none = {0};
	struct framebuffer fb = {
		.pa = get_u32(page + LFB_BASE),
		.width = get_u16(page + LFB_WIDTH),
		.height = get_u16(page + LFB_HEIGHT),
		.stride_bytes = get_u16(page + LFB_STRIDE),
		.pixel_bytes = (get_u16(page + LFB_DEPTH) + 7u) / 8,
		.red = get_colour(page + LFB_RED),
		.green = get_colour(page + LFB_GREEN),
		.blue = get_colour(page + LFB_BLUE),
	};

	if (get_u32(page + LFB_CAPS) & LFB_CAPS_64)
		fb.pa |= (u64)get_u32(page + LFB_BASE_EXT) << 32;
	fb.bytes = (u64)fb.stride_bytes * fb.height;
	return fb.pa && range_fits(fb.pa, fb.bytes, UINT64_MAX) ? fb : none;
}

void linuxboot_zero_page(const u8 page[LINUXBOOT_ZERO_PAGE_BYTES], struct linuxboot_zero_page *out)
{
	u8 video = page[SCREEN_IS_VGA];

	memset(out, 0, sizeof(*out));
	out->cmdline_pa = get_split(page, HDR_CMDLINE, EXT_CMDLINE);
	out->initrd_pa = get_split(page, HDR_RAMDISK, EXT_RAMDISK);
	out->initrd_bytes = get_split(page, HDR_RAMDISK_N, EXT_RAMDISK_N);
	out->rsdp_pa = get_u64(page + ACPI_RSDP);
	out->text_mode = video == VIDEO_UNKNOWN || video == VIDEO_VGA || video == VIDEO_VGA_COLOR;
	if (video == VIDEO_VESA || video == VIDEO_EFI)
		out->screen = get_screen(page);
	add_e820(page, &out->map);
}
