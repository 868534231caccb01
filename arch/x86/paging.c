/*
 * The page tables after entry: windows on old memory and device registers. Four
 * windows of 2 MiB, read-only, and one of 2 MiB for registers, uncached; nothing
 * else but the image's own memory and the screen is ever mapped. docs/memory.md draws it. A
 * page of old memory that met a memory error is shown as zeros.
 */
#include <string.h>
#include "acpi.h"
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

/* Entries of the page directory: virtual address = va_base + entry * 2 MiB. */
#define PD_WINDOW 8
#define PD_MMIO	  16

#define HIDDEN_PAGES 64

#define CPUID_EXTENDED	0x80000000u
#define CPUID_ADDRESSES 0x80000008u /* EAX: bits of a physical address */
#define ADDRESS_BITS	36u	    /* of a processor that does not tell */

#define MMIO_PAGES    510 /* the last two of their 512 are windows: */
#define MMIO_WINDOW   510 /* on registers */
#define MMIO_COPY     511 /* on what is copied */
#define MMIO_UNCACHED (PTE_UNCACHED | PTE_WT)
#define MMIO_HANDLES  (ACPI_IOMMUS + 128) /* a server has dozens of NVMe disks; each is tried */

extern u64 page_pd[512];
extern char va_base[], image_start[], image_writable[], stack_hole[];
extern char arena_first[], arena_limit[];

u64 image_offset;
static u64 arena_apart; /* 0: image and arena are one piece */

/* In a section of its own: the BIOS door has memory for it below the image, not cleared. */
#define IN_WINDOWS __attribute__((section(".bss.windows")))
static _Alignas(PAGE_BYTES) u64 window_table[PHYS_WINDOW_SLOTS][512] IN_WINDOWS;
static _Alignas(PAGE_BYTES) u64 mmio_table[512] IN_WINDOWS;
static u32 mmio_used;

/* The pages that met a memory error. The machine check's handler adds to them at any moment. */
static volatile u64 hidden_pa[HIDDEN_PAGES];
static volatile u32 hidden_count;

u64 phys_end(void)
{
	static u64 end;
	u32 leaf[4];

	if (end)
		return end;
	cpuid(CPUID_EXTENDED, leaf);
	end = 1ull << ADDRESS_BITS;
	if (leaf[0] >= CPUID_ADDRESSES) {
		cpuid(CPUID_ADDRESSES, leaf);
		end = 1ull << min_u64(leaf[0] & 0xff, 52);
	}
	return end;
}

static u64 window_va(u32 slot)
{
	return (u64)va_base + (u64)(PD_WINDOW + slot) * LARGE_BYTES;
}

static u64 table_entry(const u64 *table)
{
	return own_pa(table) | PTE_PRESENT | PTE_WRITABLE;
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
	page_pd[PD_WINDOW + slot] = table_entry(table);
}

/* The same with 512 pages instead of a large one; nobody notices. */
static void window_split(u32 slot, u64 base)
{
	u64 *table = window_table[slot];
	u64 flags = page_pd[PD_WINDOW + slot] & (PTE_PRESENT | PTE_WRITABLE);

	for (u32 i = 0; i < LARGE_PAGES; i++)
		table[i] = (base + (u64)i * PAGE_BYTES) | flags;
	page_pd[PD_WINDOW + slot] = table_entry(table);
}

/*
 * If window @slot shows the page at @pa: zeros there instead. They are the page below the
 * stack, which was cleared with .bss and which nobody can write to: but a survey, in whose
 * windows it takes what was meant for the page. Nothing is read after that.
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
		*entry = own_pa(stack_hole) | PTE_PRESENT | (*entry & PTE_WRITABLE);
	flush_tlb();
}

/* After the window is there: what the handler adds from now on it hides itself. */
const void *phys_window(u32 slot, u64 pa, u32 pages)
{
	u64 base = pa & ~(u64)(LARGE_BYTES - 1);
	u64 va = window_va(slot);

	page_pd[PD_WINDOW + slot] = 0;
	flush_tlb();
	if (!range_fits(pa, (u64)pages << PAGE_SHIFT, phys_end()))
		return NULL;
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

static u64 mmio_va(u32 index)
{
	return (u64)va_base + (u64)PD_MMIO * LARGE_BYTES + (u64)index * PAGE_BYTES;
}

/* Shows the page at @pa at @index of the registers' part; false if that was there before. */
static bool mmio_show(u32 index, u64 pa, u64 flags)
{
	u64 entry = pa | flags | PTE_PRESENT;

	if (!(page_pd[PD_MMIO] & PTE_PRESENT))
		memset(mmio_table, 0, sizeof(mmio_table));
	page_pd[PD_MMIO] = table_entry(mmio_table);
	if (mmio_table[index] == entry)
		return false;
	mmio_table[index] = entry;
	return true;
}

/* The same of a page that takes the place of another; where. */
static u64 mmio_page(u32 index, u64 pa, u64 flags)
{
	if (mmio_show(index, pa, flags))
		flush_tlb();
	return mmio_va(index);
}

static bool copy(u64 pa, void *buf, u64 bytes, u64 flags)
{
	u8 *to = buf;

	if (!range_fits(pa, bytes, phys_end()))
		return false;
	while (bytes > 0) {
		u64 at = pa & (PAGE_BYTES - 1);
		u64 n = min_u64(bytes, PAGE_BYTES - at);

		memcpy(to, (const u8 *)mmio_page(MMIO_COPY, pa - at, flags) + at, n);
		if (phys_unreadable(pa))
			return false;
		to += n;
		pa += n;
		bytes -= n;
	}
	return true;
}

bool phys_copy(u64 pa, void *buf, u64 bytes)
{
	return copy(pa, buf, bytes, 0);
}

bool firmware_read(u64 pa, void *buf, u32 bytes)
{
	return copy(pa, buf, bytes, MMIO_UNCACHED);
}

/* A known page is hidden once more: it may be in a window that was changed meanwhile. */
bool paging_hide(u64 pa)
{
	u64 page_pa = pa & ~(u64)(PAGE_BYTES - 1);

	if (!remember_hidden(page_pa))
		return false;
	for (u32 i = 0; i < PHYS_WINDOW_SLOTS; i++)
		window_hide(i, page_pa);
	if ((mmio_table[MMIO_COPY] & PTE_ADDRESS) == page_pa)
		mmio_page(MMIO_COPY, own_pa(stack_hole), 0);
	return true;
}

/* Not a page that shows zeros for one that met a memory error: those zeros are all windows'. */
static void window_writable(u64 pa)
{
	u64 *entry = &window_table[0][pa >> PAGE_SHIFT & (LARGE_PAGES - 1)];

	if ((*entry & PTE_ADDRESS) == pa)
		*entry |= PTE_WRITABLE;
}

void *phys_overwrite(u64 pa, u32 pages)
{
	u64 base = pa & ~(u64)(LARGE_BYTES - 1);
	const void *va = phys_window(0, pa, pages);

	if (!va)
		return NULL;
	if (page_pd[PD_WINDOW] & PTE_LARGE) {
		page_pd[PD_WINDOW] |= PTE_WRITABLE;
	} else {
		for (u32 i = 0; i < pages; i++)
			window_writable(pa + (u64)i * PAGE_BYTES);
	}
	flush_tlb();
	return (void *)(window_va(0) + (pa - base));
}

void memory_flush(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

void *arena_map(u64 pa, u64 bytes)
{
	u64 va = pa - image_offset - arena_apart;

	if (va < (u64)arena_first || !range_fits(va, bytes, (u64)arena_limit))
		return NULL;
	return (void *)va;
}

static struct mmio handles[MMIO_HANDLES];
static u32 handles_used;

/* What was mapped before: disks are looked for again when one fails. */
static const struct mmio *mmio_known(u64 pa, u64 bytes)
{
	for (u32 i = 0; i < handles_used; i++) {
		const struct mmio *m = &handles[i];
		u64 page_pa = mmio_table[(m->va - mmio_va(0)) >> PAGE_SHIFT] & PTE_ADDRESS;

		if (m->bytes == bytes && page_pa + (m->va & (PAGE_BYTES - 1)) == pa)
			return m;
	}
	return NULL;
}

const struct mmio *mmio_map(u64 pa, u64 bytes)
{
	const struct mmio *known = mmio_known(pa, bytes);
	u64 first = pa & ~(u64)(PAGE_BYTES - 1);
	u64 pages = (pa - first + bytes + PAGE_BYTES - 1) >> PAGE_SHIFT;
	struct mmio *m;

	if (known)
		return known;
	if (handles_used == ARRAY_SIZE(handles) || bytes == 0 || bytes > LARGE_BYTES)
		return NULL;
	if (pages > MMIO_PAGES - mmio_used || !range_fits(pa, bytes, phys_end()))
		return NULL;
	m = &handles[handles_used++];
	m->va = mmio_va(mmio_used) + (pa - first);
	m->bytes = bytes;
	for (u64 i = 0; i < pages; i++)
		mmio_show(mmio_used++, first + i * PAGE_BYTES, MMIO_UNCACHED | PTE_WRITABLE);
	return m;
}

const struct mmio *mmio_window(u64 pa)
{
	static struct mmio window;

	if (!range_fits(pa, PAGE_BYTES, phys_end()))
		return NULL;
	window.va = mmio_page(MMIO_WINDOW, pa, MMIO_UNCACHED | PTE_WRITABLE);
	window.bytes = PAGE_BYTES;
	return &window;
}

/* The entry that maps a page of the image; the first two tables of the directory show it. */
static u64 *own_entry(u64 va)
{
	u64 entry = page_pd[(va - (u64)va_base) / LARGE_BYTES];
	u64 *table = (void *)((entry & PTE_ADDRESS) - image_offset);

	return &table[va >> PAGE_SHIFT & (LARGE_PAGES - 1)];
}

void paging_protect(void)
{
	u64 end = (u64)image_writable;

	*own_entry((u64)va_base) &= ~PTE_WRITABLE;
	*own_entry((u64)stack_hole) = 0;
	for (u64 va = (u64)image_start; va < end; va += PAGE_BYTES)
		*own_entry(va) &= ~PTE_WRITABLE;
	flush_tlb();
}

void paging_arena(u64 pa, u64 bytes)
{
	u64 va = (u64)arena_first;

	arena_apart = pa - va - image_offset;
	for (u64 at = 0; at < bytes; at += PAGE_BYTES)
		*own_entry(va + at) = (pa + at) | PTE_PRESENT | PTE_WRITABLE;
	flush_tlb();
}
