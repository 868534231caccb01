/*
 * PCI configuration space (PCI 3.0 s6): enumeration by brute force, DMA off and on, base
 * addresses, the bridges on the way to a function. Sizes no BAR, assigns no resources.
 */
#include "pci.h"
#include "pcireg.h"
#include "pcivar.h"
#include "ports.h"

#define PCI_DEVICE_STEP	  8   /* functions of one device */
#define PCI_BUS_FUNCTIONS 256 /* and of one bus */
#define PCI_BUSES_MAX	  256
#define PCI_MAX_WAKES	  32 /* a tenth of a second each */
#define PCI_LATE_STEP_US  20000

/* Quieting a segment. */
struct sweep {
	u32 segment;
	u32 wakes;		  /* bridges that may still be woken */
	bool sleepers;		  /* some sleep */
	bool late;		  /* some functions are still starting */
	bool seen[PCI_BUSES_MAX]; /* buses that have functions */
};

static bool is_somebody(u32 id)
{
	return PCI_VENDOR(id) != 0 && PCI_VENDOR(id) != PCI_VENDOR_NOBODY && id != PCI_LATE;
}

/* Where to look after @bdf: functions 1-7 only where function 0 says there may be some. */
static u32 step_from(u32 bdf, u32 id)
{
	if (pci_function(bdf) != 0)
		return bdf + 1;
	if (!is_somebody(id) || !(pci_read(bdf, PCI_HEADER) & PCI_HEADER_MULTI))
		return bdf + PCI_DEVICE_STEP;
	return bdf + 1;
}

/* Also tells of functions that are not there yet. */
static bool next_function(u32 *cursor, struct pci_dev *out, bool *late)
{
	/* Ends: what is reachable ends well below the largest number. */
	while ((*cursor = pci_reachable(*cursor)) != PCI_NOBODY) {
		u32 bdf = *cursor;
		u32 id = pci_read(bdf, PCI_ID);

		*cursor = step_from(bdf, id);
		*late |= id == PCI_LATE;
		if (!is_somebody(id))
			continue;
		out->bdf = bdf;
		out->vendor = (u16)id;
		out->device = (u16)(id >> 16);
		out->class = pci_read(bdf, PCI_CLASS) >> 8;
		return true;
	}
	return false;
}

bool pci_next(u32 *cursor, struct pci_dev *out)
{
	bool late = false;

	return next_function(cursor, out, &late);
}

bool pci_command_change(u32 bdf, u32 clear, u32 set)
{
	u32 old = pci_read(bdf, PCI_COMMAND);
	u32 new = ((old & ~clear) | set) & PCI_COMMAND_MASK;

	if (old == PCI_NOBODY)
		return false;
	if (new != (old & PCI_COMMAND_MASK))
		pci_write(bdf, PCI_COMMAND, new);
	return true;
}

/* Passes on what is behind it, or what the processor does: not a master by itself. */
static bool is_bridge(const struct pci_dev *dev)
{
	if (PCI_CLASS_BASE(dev->class) != PCI_CLASS_BRIDGE)
		return false;
	if (PCI_CLASS_SUB(dev->class) <= PCI_SUB_PCI)
		return true;
	return PCI_HEADER_TYPE(pci_read(dev->bdf, PCI_HEADER)) != PCI_HEADER_DEVICE;
}

static bool leads_to_a_bus(const struct pci_dev *dev)
{
	return PCI_CLASS_BASE(dev->class) == PCI_CLASS_BRIDGE &&
	       PCI_HEADER_TYPE(pci_read(dev->bdf, PCI_HEADER)) == PCI_HEADER_BRIDGE;
}

/* One look at every bus, waking bridges on the way. */
static void masters_off(struct sweep *s)
{
	struct pci_dev dev;
	u32 cursor = s->segment << 16;

	s->sleepers = s->late = false;
	while (next_function(&cursor, &dev, &s->late) && pci_segment(dev.bdf) == s->segment) {
		s->seen[pci_bus(dev.bdf)] = true;
		if (!is_bridge(&dev)) {
			pci_command_change(dev.bdf, PCI_COMMAND_MASTER, 0);
			continue;
		}
		if (!leads_to_a_bus(&dev) || !pci_asleep(dev.bdf))
			continue;
		s->sleepers = true;
		if (s->wakes == 0)
			continue;
		s->wakes--;
		/* One that does not wake hides its devices, and stops their DMA. */
		if (pci_wake(&dev) == OK)
			pci_command_change(dev.bdf, 0, PCI_COMMAND_MEMORY);
	}
}

/*
 * Virtual functions (SR-IOV 1.1 s3.4.1) do DMA on their own and answer, but show no vendor.
 * They are on the bus of their physical function or the one after it.
 */
static void virtual_masters_off(u32 segment, u32 bus)
{
	for (u32 i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		u32 bdf = segment << 16 | bus << 8 | i;
		u32 command = pci_read(bdf, PCI_COMMAND);

		if (command != PCI_NOBODY && command & PCI_COMMAND_MASTER &&
			!is_somebody(pci_read(bdf, PCI_ID)))
			pci_command_change(bdf, PCI_COMMAND_MASTER, 0);
	}
}

/* Wakes up to *@wakes bridges, and takes them off it. */
static void segment_quiesce(u32 segment, u32 *wakes)
{
	struct sweep s = {.segment = segment};
	u64 end_us;

	/* The devices that can do DMA now come first; waking takes its time. */
	masters_off(&s);
	s.wakes = *wakes;
	if (s.sleepers)
		masters_off(&s);
	end_us = clock_us() + PCI_PM_ANSWER_US;
	while (s.late && clock_us() < end_us) {
		clock_wait_us(PCI_LATE_STEP_US);
		masters_off(&s);
	}
	*wakes = s.wakes;
	for (u32 bus = 0; bus < PCI_BUSES_MAX; bus++) {
		if (s.seen[bus] || (bus > 0 && s.seen[bus - 1]))
			virtual_masters_off(segment, bus);
	}
}

void pci_quiesce(void)
{
	u32 wakes = PCI_MAX_WAKES;

	segment_quiesce(0, &wakes);
}

void pci_quiesce_segments(struct acpi *a, const struct memmap *map)
{
	u32 wakes = PCI_MAX_WAKES;
	u32 bdf = pci_map(a, map) ? 1u << 16 : 0;

	/* Ends: the numbers of segments rise. */
	while ((bdf = pci_reachable(bdf)) != PCI_NOBODY) {
		segment_quiesce(pci_segment(bdf), &wakes);
		bdf = (pci_segment(bdf) + 1) << 16;
	}
}

bool pci_bar(const struct pci_dev *dev, u32 index, u64 *pa)
{
	u32 low, high = 0;

	if (index >= PCI_BARS)
		return false;
	low = pci_read(dev->bdf, PCI_BAR(index));
	if (low == PCI_NOBODY || low & PCI_BAR_IO)
		return false;
	if ((low & PCI_BAR_TYPE) == PCI_BAR_TYPE64) {
		if (index + 1 >= PCI_BARS)
			return false;
		high = pci_read(dev->bdf, PCI_BAR(index + 1));
	}
	*pa = (u64)high << 32 | (low & PCI_BAR_BASE);
	return *pa != 0 && high != PCI_NOBODY;
}

/* The bridge right above the bus of @bdf; it is on a bus with a lower number. */
static bool bridge_above(u32 bdf, struct pci_dev *out)
{
	u32 cursor = pci_segment(bdf) << 16;
	u32 bus = pci_bus(bdf);

	while (pci_next(&cursor, out) && out->bdf >> 8 < bdf >> 8) {
		if (leads_to_a_bus(out) && PCI_BUSES_SECOND(pci_read(out->bdf, PCI_BUSES)) == bus)
			return true;
	}
	return false;
}

/*
 * Sets @bits in the command registers of all bridges above @bdf. Whatever else is behind them
 * has lost its right to do DMA before.
 */
static void bridges_allow(u32 bdf, u32 bits)
{
	struct pci_dev bridge;

	/* Ends: bus numbers fall. */
	for (u32 at = bdf; pci_bus(at) > 0 && bridge_above(at, &bridge); at = bridge.bdf)
		pci_command_change(bridge.bdf, 0, bits);
}

void pci_enable_memory(const struct pci_dev *dev)
{
	bridges_allow(dev->bdf, PCI_COMMAND_MEMORY);
	pci_command_change(dev->bdf, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
}

enum status pci_enable_dma(const struct pci_dev *dev)
{
	enum status st;

	/* Without messages a function falls back to its pin. */
	if (!pci_command_change(dev->bdf, 0, PCI_COMMAND_INTX_OFF))
		return E_DEVICE_GONE;
	st = pci_messages_off(dev->bdf);
	if (st != OK)
		return st;
	bridges_allow(dev->bdf, PCI_COMMAND_MASTER);
	return pci_command_change(dev->bdf, 0, PCI_COMMAND_MASTER) ? OK : E_DEVICE_GONE;
}

static bool somebody_on_bus(u32 bdf)
{
	struct pci_dev dev;
	u32 cursor = bdf & ~0xffu;

	return pci_next(&cursor, &dev) && dev.bdf >> 8 == bdf >> 8;
}

/*
 * The word whose bit decides about DMA of @bdf: its own or, if it does not answer, that of the
 * bridge above, which passes no requests without it (PCI-to-PCI Bridge 1.2 s3.2.5.3) and has
 * nobody else to serve.
 */
static bool master_of(u32 *bdf)
{
	struct pci_dev bridge;

	if (pci_read(*bdf, PCI_COMMAND) != PCI_NOBODY)
		return true;
	if (somebody_on_bus(*bdf) || !bridge_above(*bdf, &bridge))
		return false;
	*bdf = bridge.bdf;
	return true;
}

enum status pci_disable_dma(const struct pci_dev *dev)
{
	u32 bdf = dev->bdf;

	if (!master_of(&bdf) || !pci_command_change(bdf, PCI_COMMAND_MASTER, 0))
		return E_DEVICE_GONE;
	return pci_read(bdf, PCI_COMMAND) & PCI_COMMAND_MASTER ? E_DEVICE_GONE : OK;
}
