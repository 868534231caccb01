/*
 * DMA remapping off, unit by unit, while no function does DMA. Interrupt remapping and the
 * invalidation queue of VT-d stay as they are: they do not touch our DMA. Sets nothing up.
 */
#include "iommu.h"
#include "iommureg.h"
#include "mmio.h"
#include "pci.h"
#include "ports.h"

#define WAIT_US 1000000u

#define AMDVI_WRITERS                                                                              \
	(AMDVI_CONTROL_EVENT_LOG | AMDVI_CONTROL_EVENT_INT | AMDVI_CONTROL_COMMANDS |              \
		AMDVI_CONTROL_PPR_LOG | AMDVI_CONTROL_PPR_INT | AMDVI_CONTROL_GA_LOG |             \
		AMDVI_CONTROL_GA_INT)
#define AMDVI_RUNNING                                                                              \
	(AMDVI_STATUS_EVENT_RUN | AMDVI_STATUS_COMMAND_RUN | AMDVI_STATUS_PPR_RUN |                \
		AMDVI_STATUS_GA_RUN)

/* Waits until all of @mask read as zero; all ones is a unit that went away. */
static bool wait_clear(const struct mmio *m, u32 offset, u32 mask)
{
	u64 end = clock_us() + WAIT_US;

	for (;;) {
		bool late = clock_us() >= end;
		u32 v = mmio_read32(m, offset);

		if (v == IOMMU_GONE)
			return false;
		if (!(v & mask))
			return true;
		if (late)
			return false;
	}
}

/* Firmware lists units that are not there; memory at such an address must not be written. */
static bool vtd_present(const struct mmio *m)
{
	u32 version = mmio_read32(m, VTD_VER);

	return VTD_VER_MAJOR(version) != 0 && VTD_VER_ZERO(version) == 0 &&
	       mmio_read32(m, VTD_GSTS) != IOMMU_GONE;
}

/* Protected ranges stop DMA, they do not turn it elsewhere: whether they went is not judged. */
static void vtd_unprotect(const struct mmio *m, bool *was_on)
{
	u32 pmen = mmio_read32(m, VTD_PMEN);

	if (pmen == IOMMU_GONE || !(pmen & (VTD_PMEN_EPM | VTD_PMEN_PRS)))
		return;
	*was_on = true;
	mmio_write32(m, VTD_PMEN, pmen & ~VTD_PMEN_EPM);
	wait_clear(m, VTD_PMEN, VTD_PMEN_PRS);
}

static bool vtd_disable(const struct mmio *m, bool *was_on)
{
	u32 status;
	bool off = true;

	if (!vtd_present(m))
		return true;
	status = mmio_read32(m, VTD_GSTS);
	if (status & VTD_GSTS_TES) {
		*was_on = true;
		mmio_write32(m, VTD_GCMD, status & VTD_GSTS_KEEP & ~VTD_GSTS_TES);
		off = wait_clear(m, VTD_GSTS, VTD_GSTS_TES);
	}
	vtd_unprotect(m, was_on);
	return off;
}

/*
 * First what makes the unit itself write to memory, which need not come to its end, then
 * translation. All in the lower half.
 */
static bool amdvi_disable(const struct mmio *m, bool *was_on)
{
	u32 control = mmio_read32(m, AMDVI_CONTROL);

	if (control == IOMMU_GONE || !(control & AMDVI_CONTROL_ENABLE))
		return true;
	*was_on = true;
	control &= ~AMDVI_WRITERS;
	mmio_write32(m, AMDVI_CONTROL, control);
	wait_clear(m, AMDVI_STATUS, AMDVI_RUNNING);
	mmio_write32(m, AMDVI_CONTROL, control & ~AMDVI_CONTROL_ENABLE);
	return wait_clear(m, AMDVI_CONTROL, AMDVI_CONTROL_ENABLE);
}

/* Where memory is there is no unit, and nothing may be written, whatever the tables say. */
static bool unit_disable(const struct acpi_iommu *unit, const struct memmap *map, bool *was_on)
{
	bool intel = unit->kind == IOMMU_INTEL;
	u32 bytes = intel ? VTD_BYTES : AMDVI_BYTES;
	const struct mmio *m;

	if (memmap_has(map, unit->pa, bytes, MEM_RAM))
		return true;
	m = mmio_map(unit->pa, bytes);
	if (!m)
		return false;
	return intel ? vtd_disable(m, was_on) : amdvi_disable(m, was_on);
}

enum status iommu_disable(const struct acpi *a, const struct memmap *map, u32 *switched)
{
	enum status st = a->iommus_dropped ? E_IOMMU : OK;

	*switched = 0;
	for (u32 i = 0; i < a->iommus && i < ACPI_IOMMUS; i++) {
		bool was_on = false;

		/* What keeps functions away from memory that still master the bus stays on. */
		if (!pci_reached(a->iommu[i].segment))
			continue;
		if (!unit_disable(&a->iommu[i], map, &was_on))
			st = E_IOMMU;
		*switched += was_on;
	}
	return st;
}
