/*
 * Between the files of the PCI code; everybody else includes pci.h.
 */
#ifndef AFTERIMAGE_PCIVAR_H
#define AFTERIMAGE_PCIVAR_H

#include "status.h"
#include "types.h"

/* Clears and sets bits of the command register; false if the function is gone. */
bool pci_command_change(u32 bdf, u32 clear, u32 set);

/* Is it in a power state other than D0? */
bool pci_asleep(u32 bdf);

/* Switches MSI and MSI-X off; E_DEVICE_GONE if the function does not show that it did. */
enum status pci_messages_off(u32 bdf) MUST_CHECK;

#endif
