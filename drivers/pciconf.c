/*
 * Configuration space of every function that can be reached: of segment 0 by the two ports,
 * of the others, and of segment 0 where there are no ports, by the memory that it is mapped to
 * (ECAM, PCIe 4.0 s7.2.2), one function at a time. The first 256 bytes are all that is used.
 */
#include "memmap.h"
#include "mmio.h"
#include "pci.h"
#include "pcireg.h"
#include "pcivar.h"
#include "ports.h"

static const struct acpi *mapped; /* NULL: nothing is known of memory yet */
static bool no_ports;

static bool by_ports(u32 bdf)
{
	return pci_segment(bdf) == 0 && !no_ports;
}

static u32 first_bdf(const struct acpi_ecam *e)
{
	return e->segment << 16 | (u32)e->first_bus << 8;
}

static u32 last_bdf(const struct acpi_ecam *e)
{
	return e->segment << 16 | (u32)e->last_bus << 8 | 0xff;
}

static const struct mmio *bdf_page(const struct acpi_ecam *e, u32 bdf)
{
	return mmio_window(e->pa + ((u64)(bdf & 0xffff) << PAGE_SHIFT));
}

static const struct mmio *function_page(u32 bdf)
{
	for (u32 i = 0; mapped && i < mapped->ecams; i++) {
		const struct acpi_ecam *e = &mapped->ecam[i];

		if (e->pa && bdf >= first_bdf(e) && bdf <= last_bdf(e))
			return bdf_page(e, bdf);
	}
	return NULL;
}

u32 pci_read(u32 bdf, u32 offset)
{
	const struct mmio *page;

	if (by_ports(bdf))
		return pci_port_read(bdf, offset);
	page = function_page(bdf);
	return page ? mmio_read32(page, offset & PCI_OFFSET_MASK) : PCI_NOBODY;
}

void pci_write(u32 bdf, u32 offset, u32 value)
{
	const struct mmio *page;

	if (by_ports(bdf)) {
		pci_port_write(bdf, offset, value);
		return;
	}
	page = function_page(bdf);
	if (page)
		mmio_write32(page, offset & PCI_OFFSET_MASK, value);
}

u32 pci_reachable(u32 bdf)
{
	u32 found = PCI_NOBODY;

	if (by_ports(bdf))
		return bdf;
	for (u32 i = 0; mapped && i < mapped->ecams; i++) {
		const struct acpi_ecam *e = &mapped->ecam[i];

		if (!e->pa || bdf > last_bdf(e))
			continue;
		found = (u32)min_u64(found, max_u64(bdf, first_bdf(e)));
	}
	return found;
}

bool pci_reached(u32 segment)
{
	u32 bdf = pci_reachable(segment << 16);

	return bdf != PCI_NOBODY && pci_segment(bdf) == segment;
}

/* Not where RAM is, whatever the tables say, and not where the processor can not go. */
static bool is_usable(const struct acpi_ecam *e, const struct memmap *map)
{
	u64 pa = e->pa + ((u64)e->first_bus << PCI_ECAM_BUS_SHIFT);
	u64 bytes = (u64)(e->last_bus - e->first_bus + 1) << PCI_ECAM_BUS_SHIFT;

	return e->pa && !memmap_has(map, pa, bytes, MEM_RAM) && bdf_page(e, last_bdf(e));
}

static void segment_forget(struct acpi *a, u32 segment)
{
	for (u32 i = 0; i < a->ecams; i++) {
		if (a->ecam[i].segment == segment)
			a->ecam[i].pa = 0;
	}
}

bool pci_map(struct acpi *a, const struct memmap *map)
{
	no_ports = !pci_port_works();
	for (u32 i = 0; i < a->ecams; i++) {
		if (!is_usable(&a->ecam[i], map))
			segment_forget(a, a->ecam[i].segment);
	}
	mapped = a;
	return !no_ports;
}
