/*
 * Configuration space of a few functions and bridges: command register, power states,
 * interrupt messages. Whatever else is written stays as it was, but for the header's
 * words, which a driver may put back.
 */
#include <stdlib.h>
#include <string.h>
#include "drivers/pcivar.h"
#include "pci_model.h"
#include "ports.h"

#define COMMAND_AT 1
#define CLASS_AT   2
#define HEADER_AT  3
#define BAR0_AT	   4
#define BUSES_AT   6
#define CAPS_AT	   13
#define LAST_AT	   15
#define BRIDGE	   (1u << 16)
#define BAR_64	   4u
#define WRITABLE   (PCI_MODEL_MEMORY | PCI_MODEL_MASTER | PCI_MODEL_INTX)
#define WAKE_US	   10000u
#define NOBODY	   0xffffffffu
#define LATE	   0xffff0001u
#define BUS_BYTES  (1ull << 20)

struct area {
	u64 pa;
	u32 segment, first_bus, last_bus;
};

static struct {
	u32 count;
	u64 reads;
	bool no_ports;
	u32 areas;
	struct area area[PCI_MODEL_AREAS];
	u32 shown_bdf; /* by the window */
	u64 stray;
	struct pci_model_fn fn[PCI_MODEL_FUNCTIONS];
} bus;

void pci_model_reset(void)
{
	static struct acpi none;
	static const struct memmap no_map;

	memset(&bus, 0, sizeof(bus));
	pci_map(&none, &no_map);
}

void pci_model_no_ports(void)
{
	bus.no_ports = true;
}

void pci_model_area(u64 pa, u32 segment, u32 first_bus, u32 last_bus)
{
	if (bus.areas == PCI_MODEL_AREAS)
		abort();
	bus.area[bus.areas++] = (struct area) {pa, segment, first_bus, last_bus};
}

u64 pci_model_stray(void)
{
	return bus.stray;
}

struct pci_model_fn *pci_model_add(u32 bdf, u32 class)
{
	struct pci_model_fn *fn = &bus.fn[bus.count++];

	if (bus.count > PCI_MODEL_FUNCTIONS)
		abort();
	fn->bdf = bdf;
	fn->config[0] = 0x00101b36;
	fn->config[CLASS_AT] = class << 8;
	return fn;
}

struct pci_model_fn *pci_model_bridge(u32 bdf, u32 secondary)
{
	struct pci_model_fn *fn = pci_model_add(bdf, 0x060400);

	fn->config[HEADER_AT] = BRIDGE;
	fn->config[BUSES_AT] = secondary << 16 | secondary << 8 | (bdf >> 8 & 0xff);
	fn->secondary = secondary;
	return fn;
}

void pci_model_bar(struct pci_model_fn *fn, u64 pa, u64 bytes, const struct mmio *regs)
{
	fn->bar_pa = pa;
	fn->bar_bytes = bytes;
	fn->regs = regs;
	fn->config[BAR0_AT] = (u32)pa | BAR_64;
	fn->config[BAR0_AT + 1] = (u32)(pa >> 32);
}

void pci_model_memory_bar(struct pci_model_fn *fn, u32 index, u64 pa, u64 bytes, bool wide)
{
	u64 fixed = bytes - 1;

	fn->config[BAR0_AT + index] = (u32)pa | (wide ? BAR_64 : 0);
	fn->bar_fixed[index] = (u32)fixed;
	if (!wide)
		return;
	fn->config[BAR0_AT + index + 1] = (u32)(pa >> 32);
	fn->bar_fixed[index + 1] = (u32)(fixed >> 32);
}

void pci_model_cap(struct pci_model_fn *fn, u32 at, u32 id, u32 bits)
{
	fn->config[COMMAND_AT] |= PCI_MODEL_CAPS;
	fn->config[at / 4] = id | (fn->config[CAPS_AT] & 0xff) << 8 | bits;
	fn->config[CAPS_AT] = at;
}

static u32 cap_at(const struct pci_model_fn *fn, u32 id)
{
	u32 at = fn->config[CAPS_AT];

	for (u32 i = 0; i < PCI_MODEL_DWORDS && at; i++) {
		if ((fn->config[at / 4] & 0xff) == id)
			return at / 4;
		at = fn->config[at / 4] >> 8 & 0xfc;
	}
	return 0;
}

static bool asleep(const struct pci_model_fn *fn)
{
	u32 at = cap_at(fn, PCI_MODEL_PM);

	return at && fn->config[at + 1] & 3;
}

void pci_model_sleep(struct pci_model_fn *fn)
{
	pci_model_cap(fn, PCI_MODEL_PM_AT, PCI_MODEL_PM, 0);
	fn->config[PCI_MODEL_PM_AT / 4 + 1] = PCI_MODEL_D3 | 1u << 8;
}

bool pci_model_masters(const struct pci_model_fn *fn)
{
	return fn->config[COMMAND_AT] & PCI_MODEL_MASTER;
}

u64 pci_model_reads(void)
{
	return bus.reads;
}

/* @number: of the bus, and of its segment from bit 8 on. */
static const struct pci_model_fn *bridge_to(u32 number)
{
	for (u32 i = 0; number & 0xff && i < bus.count; i++) {
		const struct pci_model_fn *b = &bus.fn[i];

		if (b->secondary == (number & 0xff) && b->bdf >> 16 == number >> 8)
			return b;
	}
	return NULL;
}

/* Can the bus of @bdf be reached at all? */
static bool bus_lives(u32 bdf)
{
	for (const struct pci_model_fn *b = bridge_to(bdf >> 8); b; b = bridge_to(b->bdf >> 8)) {
		if (b->gone || asleep(b) || (b->config[BUSES_AT] >> 8 & 0xff) != b->secondary)
			return false;
	}
	return true;
}

static bool passed_on(const struct pci_model_fn *fn, u32 bit)
{
	for (const struct pci_model_fn *b = bridge_to(fn->bdf >> 8); b;
		b = bridge_to(b->bdf >> 8)) {
		if (!(b->config[COMMAND_AT] & bit))
			return false;
	}
	return bus_lives(fn->bdf);
}

bool pci_model_answers(const struct pci_model_fn *fn)
{
	return !asleep(fn) && fn->config[COMMAND_AT] & PCI_MODEL_MEMORY &&
	       passed_on(fn, PCI_MODEL_MEMORY);
}

bool pci_model_reaches_memory(const struct pci_model_fn *fn)
{
	return passed_on(fn, PCI_MODEL_MASTER);
}

bool pci_model_interrupt(struct pci_model_fn *fn)
{
	u32 msi = cap_at(fn, PCI_MODEL_MSI), msix = cap_at(fn, PCI_MODEL_MSIX);

	if (msix && fn->config[msix] & PCI_MODEL_MSIX_ON)
		return !(fn->config[msix] & PCI_MODEL_MSIX_OFF);
	if (msi && fn->config[msi] & PCI_MODEL_MSI_ON)
		return true;
	fn->pins += !(fn->config[COMMAND_AT] & PCI_MODEL_INTX);
	return false;
}

static struct pci_model_fn *find(u32 bdf, u32 offset)
{
	if (offset % 4 != 0 || offset >= PCI_MODEL_DWORDS * 4)
		abort();
	for (u32 i = 0; i < bus.count; i++) {
		struct pci_model_fn *fn = &bus.fn[i];

		if (fn->bdf != bdf || fn->gone || !bus_lives(bdf))
			continue;
		if (fn->wakes_us && clock_us() < fn->wakes_us)
			fn->early++;
		return fn;
	}
	return NULL;
}

static u32 config_read(u32 bdf, u32 offset)
{
	const struct pci_model_fn *fn = find(bdf, offset);

	bus.reads++;
	if (fn && fn->late_us && clock_us() < fn->late_us)
		return offset == 0 ? LATE : NOBODY;
	return fn ? fn->config[offset / 4] : NOBODY;
}

u32 pci_port_read(u32 bdf, u32 offset)
{
	if (bdf >= 0x10000)
		abort();
	return bus.no_ports ? NOBODY : config_read(bdf, offset);
}

static void write_command(struct pci_model_fn *fn, u32 value)
{
	u32 old = fn->config[COMMAND_AT];

	fn->status_written |= value >> 16;
	fn->config[COMMAND_AT] = (old & ~WRITABLE) | (value & WRITABLE);
	if (fn->master_stuck)
		fn->config[COMMAND_AT] |= old & PCI_MODEL_MASTER;
}

/* From D3hot to D0; unless it says otherwise the function is reset by that (PCI PM s5.4.1). */
static void wake(struct pci_model_fn *fn)
{
	u32 msi = cap_at(fn, PCI_MODEL_MSI), msix = cap_at(fn, PCI_MODEL_MSIX);
	u32 caps = fn->config[CAPS_AT];
	u32 *csr = &fn->config[cap_at(fn, PCI_MODEL_PM) + 1];

	fn->wakes_us = clock_us() + WAKE_US;
	*csr &= ~PCI_MODEL_D3;
	if (*csr & PCI_MODEL_NO_RESET)
		return;
	fn->resets++;
	fn->config[COMMAND_AT] &= ~WRITABLE;
	for (u32 i = BAR0_AT; i <= LAST_AT; i++)
		fn->config[i] &= i < BAR0_AT + 6 ? fn->bar_fixed[i - BAR0_AT] : 0;
	fn->config[CAPS_AT] = caps;
	if (msi)
		fn->config[msi] &= ~PCI_MODEL_MSI_ON;
	if (msix)
		fn->config[msix] &= ~(PCI_MODEL_MSIX_ON | PCI_MODEL_MSIX_OFF);
}

static void write_cap(struct pci_model_fn *fn, u32 at, u32 value)
{
	u32 bits = PCI_MODEL_MSIX_ON | PCI_MODEL_MSIX_OFF;
	u32 pm = cap_at(fn, PCI_MODEL_PM);

	if (pm && at == pm + 1) {
		fn->config[at] = (fn->config[at] & ~(1u << 8)) | (value & 1u << 8);
		if (asleep(fn) && !(value & 3) && !fn->wake_stuck)
			wake(fn);
	}
	if (fn->messages_stuck)
		return;
	if (at == cap_at(fn, PCI_MODEL_MSIX))
		fn->config[at] = (fn->config[at] & ~bits) | (value & bits);
	if (at == cap_at(fn, PCI_MODEL_MSI))
		fn->config[at] = (fn->config[at] & ~PCI_MODEL_MSI_ON) | (value & PCI_MODEL_MSI_ON);
}

static void write_header(struct pci_model_fn *fn, u32 at, u32 value)
{
	u32 fixed = at < BAR0_AT + 6 ? fn->bar_fixed[at - BAR0_AT] : 0;
	u32 new = (fn->config[at] & fixed) | (value & ~fixed);

	if (at < BAR0_AT + 6 && new != fn->config[at] && fn->config[COMMAND_AT] & PCI_MODEL_MEMORY)
		fn->bar_moved++;
	fn->config[at] = new;
}

static void config_write(u32 bdf, u32 offset, u32 value)
{
	struct pci_model_fn *fn = find(bdf, offset);
	u32 at = offset / 4;

	if (!fn)
		return;
	if (at == COMMAND_AT)
		write_command(fn, value);
	else if (at > LAST_AT)
		write_cap(fn, at, value);
	else if (at >= BAR0_AT && at != CAPS_AT && !asleep(fn))
		write_header(fn, at, value);
}

void pci_port_write(u32 bdf, u32 offset, u32 value)
{
	if (bdf >= 0x10000)
		abort();
	if (!bus.no_ports)
		config_write(bdf, offset, value);
}

bool pci_port_works(void)
{
	return !bus.no_ports;
}

static u32 window_read(void *model, u32 offset)
{
	(void)model;
	return bus.shown_bdf == NOBODY ? NOBODY : config_read(bus.shown_bdf, offset);
}

static void window_write(void *model, u32 offset, u32 value)
{
	(void)model;
	if (bus.shown_bdf != NOBODY)
		config_write(bus.shown_bdf, offset, value);
}

const struct mmio *mmio_window(u64 pa)
{
	static const struct mmio window = {.read32 = window_read, .write32 = window_write};

	if (pa >= PCI_MODEL_END)
		return NULL;
	bus.shown_bdf = NOBODY;
	for (u32 i = 0; i < bus.areas; i++) {
		const struct area *a = &bus.area[i];
		u64 first = a->pa + a->first_bus * BUS_BYTES;
		u64 end = a->pa + (a->last_bus + 1) * BUS_BYTES;

		if (pa >= first && pa < end)
			bus.shown_bdf = a->segment << 16 | (u32)((pa - a->pa) >> PAGE_SHIFT);
	}
	bus.stray += bus.shown_bdf == NOBODY;
	return &window;
}

const struct mmio *mmio_map(u64 pa, u64 bytes)
{
	for (u32 i = 0; i < bus.count; i++) {
		struct pci_model_fn *fn = &bus.fn[i];
		const struct mmio *own = fn->map ? fn->map(fn->map_ctx, pa, bytes) : NULL;

		if (own)
			return own;
		if (!fn->regs || pa != fn->bar_pa || bytes > fn->bar_bytes)
			continue;
		fn->mapped_bytes = max_u64(fn->mapped_bytes, bytes);
		return fn->regs;
	}
	return NULL;
}
