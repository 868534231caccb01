/*
 * PCI functions: finding them, stopping and allowing their DMA, and where their
 * registers are.
 */
#ifndef AFTERIMAGE_PCI_H
#define AFTERIMAGE_PCI_H

#include "status.h"
#include "types.h"

struct acpi;
struct memmap;

struct pci_dev {
	u32 bdf; /* segment << 16 | bus << 8 | device << 3 | function */
	u16 vendor;
	u16 device;
	u32 class; /* class << 16 | subclass << 8 | programming interface */
};

static inline u32 pci_segment(u32 bdf)
{
	return bdf >> 16;
}

static inline u32 pci_bus(u32 bdf)
{
	return bdf >> 8 & 255;
}

static inline u32 pci_slot(u32 bdf)
{
	return bdf >> 3 & 31;
}

static inline u32 pci_function(u32 bdf)
{
	return bdf & 7;
}

/*
 * A word of configuration space; @offset is a multiple of 4 below 256. All ones of a function
 * that is not there or can not be reached.
 */
u32 pci_read(u32 bdf, u32 offset);
void pci_write(u32 bdf, u32 offset, u32 value);

/*
 * The next function at or after *@cursor, which starts at 0; false when there is none
 * left. Every bus is looked at, reached by a bridge's numbers or not; of segments that are
 * reached by memory those buses that firmware names.
 */
bool pci_next(u32 *cursor, struct pci_dev *out);

/*
 * The first act: takes the right to do DMA from every function of segment 0 but the bridges,
 * which only pass on what others do. Then wakes bridges that sleep, and does the same to what
 * is behind them. Bounded: one look at every bus, a second one if a bridge slept, a second of
 * further ones if a function is still starting.
 */
void pci_quiesce(void);

/*
 * The same with every other segment that @a says how to reach, and with segment 0 if it was not
 * reached by ports. From now on pci_next finds them too. @a stays in use; entries of it that
 * can not be right are taken out.
 */
void pci_quiesce_segments(struct acpi *a, const struct memmap *map);

/* Can @segment be reached, and so has been quieted? Whole or not at all. */
bool pci_reached(u32 segment);

/* Address of memory BAR @index (0-5); false for I/O, unassigned or out of the address space. */
bool pci_bar(const struct pci_dev *dev, u32 index, u64 *pa);

/*
 * Brings the function to full power (D0) if it is not there, its DMA and its memory BARs
 * off, what its header held before put back: a reset that comes with waking clears it. OK at
 * once for a function that is awake or knows no other state. E_DEVICE_GONE if it does not
 * wake within about a second.
 */
enum status pci_wake(const struct pci_dev *dev) MUST_CHECK;

/*
 * Lets the function answer at its memory BARs, its interrupt pin silent, and the bridges
 * on the way to it pass that on; DMA stays as it is.
 */
void pci_enable_memory(const struct pci_dev *dev);

/*
 * Lets the function do DMA, and the bridges pass it on. Before that its interrupt messages
 * (MSI, MSI-X) are switched off: they are writes to memory, to addresses that the old
 * kernel chose. E_DEVICE_GONE, and no DMA, if they can not be.
 */
enum status pci_enable_dma(const struct pci_dev *dev) MUST_CHECK;

/*
 * Takes that back. Of a function that does not answer any more the bridge above is closed, if
 * nobody else is on its bus. E_DEVICE_GONE if neither shows that it did.
 */
enum status pci_disable_dma(const struct pci_dev *dev) MUST_CHECK;

#endif
