/*
 * Screen console on a framebuffer: maps it write-combining and hands it to lib/fbcon.c. A front
 * door that never names console_framebuffer costs the image nothing: the linker drops all of this.
 */
#include <string.h>
#include "fbcon.h"
#include "metal.h"
#include "x86.h"

#define FRAMEBUFFER_MAX (256ull * MIB)
#define LARGE_BYTES	(2ull * MIB)
#define LARGE_PAGES	512u
#define HELD_BYTES	1024u

/* Entries of the page directory, as in paging.c: windows from 8 on, registers 16. */
#define PD_FRAMEBUFFER 32
#define PD_ENTRIES     (FRAMEBUFFER_MAX / LARGE_BYTES + 1)

#define PTE_PRESENT  0x001ull
#define PTE_WRITABLE 0x002ull
#define PTE_PAT1     0x008ull /* entry 1 of the page attribute table, Intel SDM vol. 3 s12.12 */
#define PTE_LARGE    0x080ull

#define MSR_PAT	       0x277
#define PAT1_MASK      0xff00ull
#define PAT1_COMBINING 0x0100ull

extern u64 page_pd[512];
extern char va_base[];
_Static_assert(PD_FRAMEBUFFER + PD_ENTRIES <= 512, "the framebuffer's entries are in one table");

static struct fbcon screen;
static char held[HELD_BYTES];
static u32 held_bytes;

/*
 * Nothing is mapped through entry 1 before. Entries 0 and 3, which everything else uses, stay as
 * they are.
 */
static void pat_init(void)
{
	wrmsr(MSR_PAT, (rdmsr(MSR_PAT) & ~PAT1_MASK) | PAT1_COMBINING);
}

/* Of the 2 MiB at @base what lies in [pa, end): one large page if that is all, else single ones. */
static u64 directory_entry(u64 base, u64 pa, u64 end, u64 *table)
{
	const u64 flags = PTE_PAT1 | PTE_WRITABLE | PTE_PRESENT;

	if (pa <= base && end - base >= LARGE_BYTES)
		return base | PTE_LARGE | flags;
	for (u32 i = 0; i < LARGE_PAGES; i++) {
		u64 page = base + (u64)i * PAGE_BYTES;

		table[i] = page + PAGE_BYTES > pa && page < end ? page | flags : 0;
	}
	return own_pa(table) | PTE_WRITABLE | PTE_PRESENT;
}

/* Nothing beside it: there may be old memory or another device. */
static void *framebuffer_map(u64 pa, u64 bytes)
{
	static _Alignas(PAGE_BYTES) u64 edge[2][LARGE_PAGES];
	u64 base = pa & ~(LARGE_BYTES - 1);

	if (bytes > FRAMEBUFFER_MAX || !range_fits(pa, bytes, phys_end()))
		return NULL;
	pat_init();
	for (u64 i = 0; i < PD_ENTRIES && i * LARGE_BYTES < pa - base + bytes; i++)
		page_pd[PD_FRAMEBUFFER + i] =
			directory_entry(base + i * LARGE_BYTES, pa, pa + bytes, edge[i > 0]);
	flush_tlb();
	return va_base + PD_FRAMEBUFFER * LARGE_BYTES + (pa - base);
}

static void fb_write(const char *text, u32 bytes)
{
	fbcon_write(&screen, text, bytes);
	store_fence();
}

static void fb_bar(u32 permille)
{
	fbcon_bar(&screen, permille);
	store_fence();
}

static void held_write(const char *text, u32 bytes)
{
	u32 n = (u32)min_u64(bytes, HELD_BYTES - held_bytes);

	memcpy(held + held_bytes, text, n);
	held_bytes += n;
}

static void held_bar(u32 permille)
{
	(void)permille;
}

void console_hold(void)
{
	static const struct console_screen keeper = {held_write, held_bar};

	console_draw(&keeper);
}

void console_framebuffer(const struct framebuffer *fb)
{
	static const struct console_screen on = {fb_write, fb_bar};
	void *pixels;

	if (!fbcon_fits(fb))
		return;
	pixels = framebuffer_map(fb->pa, (u64)fb->stride_bytes * fb->height);
	if (!pixels || !fbcon_init(&screen, fb, pixels))
		return;
	fbcon_write(&screen, held, held_bytes);
	console_draw(&on);
}
