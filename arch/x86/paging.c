/*
 * The page tables after entry: windows on old memory and device registers. Four
 * windows of 2 MiB, read-only, and one of 2 MiB for registers, uncached; nothing
 * else beyond the first MiB is ever mapped. docs/memory.md draws it. A page of old memory
 * that met a memory error is shown as zeros.
 */
#include "metal.h"
#include "mmio.h"
#include "ports.h"
#include "x86.h"

#define PTE_PRESENT  0x001ull
#define PTE_WRITABLE 0x002ull
#define PTE_WT	     0x008ull
#define PTE_UNCACHED 0x010ull
#define PTE_LARGE    0x080ull
#define PTE_ADDRESS  0x000ffffffffff000ull

#define LARGE_BYTES (2u * MIB)
#define LARGE_PAGES 512u

/* Entries of the page directory: virtual address = entry * 2 MiB. */
#define PD_WINDOW 8
#define PD_MMIO	  16

#define HIDDEN_PAGES 64

#define MMIO_HANDLES 128 /* a server has dozens of NVMe disks, and each is looked at */

extern u64 page_pd[512];
extern u64 page_low[512];
extern char image_start[], image_writable[], stack_hole[];

static _Alignas(PAGE_BYTES) u64 window_table[PHYS_WINDOW_SLOTS][512];
static _Alignas(PAGE_BYTES) u64 mmio_table[512];
static u32 mmio_used;

/* The pages that met a memory error. The machine check's handler adds to them at any moment. */
static volatile u64 hidden_pa[HIDDEN_PAGES];
static volatile u32 hidden_count;

static u64 window_va(u32 slot)
{
	return (u64)(PD_WINDOW + slot) * LARGE_BYTES;
}

/* Whole 2 MiB of RAM: one large page. A part of it: only those pages, one by one. */
static void window_map(u32 slot, u64 base, u32 first, u32 pages)
{
	u64 *table = window_table[slot];

	if (pages == LARGE_PAGES) {
		page_pd[PD_WINDOW + slot] = base | PTE_LARGE | PTE_PRESENT;
		return;
	}
	for (u32 i = 0; i < LARGE_PAGES; i++) {
		bool in = i >= first && i - first < pages;

		table[i] = in ? (base + (u64)i * PAGE_BYTES) | PTE_PRESENT : 0;
	}
	page_pd[PD_WINDOW + slot] = (u64)table | PTE_PRESENT | PTE_WRITABLE;
}

/* The same with 512 pages instead of a large one; nobody notices. */
static void window_split(u32 slot, u64 base)
{
	u64 *table = window_table[slot];

	for (u32 i = 0; i < LARGE_PAGES; i++)
		table[i] = (base + (u64)i * PAGE_BYTES) | PTE_PRESENT;
	page_pd[PD_WINDOW + slot] = (u64)table | PTE_PRESENT | PTE_WRITABLE;
}

/*
 * If window @slot shows the page at @pa: zeros there instead. They are the page below the
 * stack, which was cleared with .bss and which nobody can write to.
 */
static void window_hide(u32 slot, u64 pa)
{
	u64 base = pa & ~(u64)(LARGE_BYTES - 1);
	u64 *entry = &window_table[slot][(pa - base) >> PAGE_SHIFT];
	u64 pd = page_pd[PD_WINDOW + slot];

	if (!(pd & PTE_PRESENT))
		return;
	if (pd & PTE_LARGE && (pd & PTE_ADDRESS) != base)
		return;
	if (pd & PTE_LARGE)
		window_split(slot, base);
	if ((*entry & (PTE_ADDRESS | PTE_PRESENT)) == (pa | PTE_PRESENT))
		*entry = (u64)stack_hole | PTE_PRESENT;
	flush_tlb();
}

/* After the window is there: what the handler adds from now on it hides itself. */
const void *phys_window(u32 slot, u64 pa, u32 pages)
{
	u64 base = pa & ~(u64)(LARGE_BYTES - 1);
	u64 va = window_va(slot);

	page_pd[PD_WINDOW + slot] = 0;
	flush_tlb();
	window_map(slot, base, (u32)((pa - base) >> PAGE_SHIFT), pages);
	barrier();
	for (u32 i = 0; i < hidden_count; i++)
		window_hide(slot, hidden_pa[i]);
	return (const void *)(va + (pa - base));
}

bool phys_unreadable(u64 pa)
{
	u64 page_pa = pa & ~(u64)(PAGE_BYTES - 1);

	for (u32 i = 0; i < hidden_count; i++) {
		if (hidden_pa[i] == page_pa)
			return true;
	}
	return false;
}

static bool remember_hidden(u64 page_pa)
{
	if (phys_unreadable(page_pa))
		return true;
	if (hidden_count == HIDDEN_PAGES)
		return false;
	hidden_pa[hidden_count] = page_pa;
	hidden_count++;
	return true;
}

/* A known page is hidden once more: it may be in a window that was changed meanwhile. */
bool paging_hide(u64 pa)
{
	u64 page_pa = pa & ~(u64)(PAGE_BYTES - 1);

	if (!remember_hidden(page_pa))
		return false;
	for (u32 i = 0; i < PHYS_WINDOW_SLOTS; i++)
		window_hide(i, page_pa);
	return true;
}

/* The first MiB is mapped one to one. */
void *arena_map(u64 pa, u64 bytes)
{
	return range_fits(pa, bytes, MIB) ? (void *)pa : NULL;
}

const struct mmio *mmio_map(u64 pa, u64 bytes)
{
	static struct mmio handles[MMIO_HANDLES];
	static u32 handles_used;
	u64 first = pa & ~(u64)(PAGE_BYTES - 1);
	u64 pages = (pa - first + bytes + PAGE_BYTES - 1) >> PAGE_SHIFT;
	struct mmio *m;

	if (handles_used == ARRAY_SIZE(handles) || bytes == 0 || bytes > LARGE_BYTES)
		return NULL;
	if (pages > LARGE_PAGES - mmio_used)
		return NULL;
	m = &handles[handles_used++];
	m->va = (u64)PD_MMIO * LARGE_BYTES + (u64)mmio_used * PAGE_BYTES + (pa - first);
	m->bytes = bytes;
	for (u64 i = 0; i < pages; i++)
		mmio_table[mmio_used + i] = (first + i * PAGE_BYTES) | PTE_UNCACHED | PTE_WT |
					    PTE_WRITABLE | PTE_PRESENT;
	mmio_used += (u32)pages;
	page_pd[PD_MMIO] = (u64)mmio_table | PTE_WRITABLE | PTE_PRESENT;
	return m;
}

void paging_protect(void)
{
	u64 first = (u64)image_start >> PAGE_SHIFT;
	u64 end = (u64)image_writable >> PAGE_SHIFT;

	page_low[0] &= ~PTE_WRITABLE;
	invlpg(0);
	page_low[(u64)stack_hole >> PAGE_SHIFT] = 0;
	invlpg((u64)stack_hole);
	for (u64 i = first; i < end; i++) {
		page_low[i] &= ~PTE_WRITABLE;
		invlpg(i << PAGE_SHIFT);
	}
}
