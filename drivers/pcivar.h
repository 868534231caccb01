/*
 * Between the files of the PCI code; everybody else includes pci.h.
 */
#ifndef AFTERIMAGE_PCIVAR_H
#define AFTERIMAGE_PCIVAR_H

#include "acpi.h"
#include "memmap.h"
#include "status.h"
#include "types.h"

/*
 * The number at or after @bdf on the next bus that can be reached; PCI_NOBODY if there is none.
 * Ends when called with what it returned and one more.
 */
u32 pci_reachable(u32 bdf);

/*
 * Finds out how segments are reached: by ports, or by the memory that @a names. @a stays where it
 * is; what of it is RAM by @map or no address of the processor is taken out, with all of its
 * segment. True if segment 0 is reached by ports, as it was before the first call.
 */
bool pci_map(struct acpi *a, const struct memmap *map);

/* Clears and sets bits of the command register; false if the function is gone. */
bool pci_command_change(u32 bdf, u32 clear, u32 set);

/* Is it in a power state other than D0? */
bool pci_asleep(u32 bdf);

/* Switches MSI and MSI-X off; E_DEVICE_GONE if the function does not show that it did. */
enum status pci_messages_off(u32 bdf) MUST_CHECK;

#endif
