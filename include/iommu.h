/*
 * DMA remapping off: an old kernel that used it leaves translation on, with tables that
 * would send our DMA elsewhere.
 */
#ifndef AFTERIMAGE_IOMMU_H
#define AFTERIMAGE_IOMMU_H

#include "acpi.h"
#include "memmap.h"

/*
 * Switches off translation in every unit that has it on: VT-d (Intel VT-d 4.0 s10.4.4,
 * GCMD.TE), AMD-Vi (AMD I/O Virtualization 3.07 s3.4, control register). To be called when no
 * function of a segment that pci_reached masters the bus; units of other segments are left alone.
 * Protected memory ranges (VT-d s10.4.16, PMEN) go too: they stop DMA as well. Waits are
 * bounded, a second for each of at most two steps. OK if translation is on in none; else, or if
 * not all could be looked at, E_IOMMU after all were tried. A unit whose registers read as all
 * ones, or would lie in RAM of @map, was never there. @switched: how many were on.
 */
enum status iommu_disable(const struct acpi *a, const struct memmap *map, u32 *switched) MUST_CHECK;

#endif
