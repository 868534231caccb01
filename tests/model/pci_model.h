/*
 * A PCI configuration space for hosted builds: the test adds functions, the ports
 * pci_port_read, pci_port_write, mmio_window and mmio_map work on them.
 */
#ifndef AFTERIMAGE_PCI_MODEL_H
#define AFTERIMAGE_PCI_MODEL_H

#include "mmio.h"
#include "types.h"

#define PCI_MODEL_FUNCTIONS 16
#define PCI_MODEL_DWORDS    64
#define PCI_MODEL_AREAS	    8
#define PCI_MODEL_END	    (1ull << 46) /* of the processor's addresses */

#define PCI_MODEL_MEMORY 2u
#define PCI_MODEL_MASTER 4u
#define PCI_MODEL_INTX	 0x400u
#define PCI_MODEL_MULTI	 (1u << 23)
#define PCI_MODEL_CAPS	 (1u << 20) /* of the word with the command */

/* Capabilities: ids, where the models put them, and bits of their first two words. */
#define PCI_MODEL_PM	   0x01u
#define PCI_MODEL_MSI	   0x05u
#define PCI_MODEL_MSIX	   0x11u
#define PCI_MODEL_PM_AT	   0x40u
#define PCI_MODEL_MSI_AT   0x50u
#define PCI_MODEL_MSIX_AT  0xb0u
#define PCI_MODEL_MSI_ON   (1u << 16)
#define PCI_MODEL_MSIX_ON  (1u << 31)
#define PCI_MODEL_MSIX_OFF (1u << 30) /* all vectors masked */
#define PCI_MODEL_D3	   3u
#define PCI_MODEL_NO_RESET (1u << 3) /* waking keeps the header */

struct pci_model_fn {
	u32 bdf;
	u32 config[PCI_MODEL_DWORDS];
	bool gone;	     /* reads as all ones */
	bool master_stuck;   /* bus mastering can not be cleared */
	bool messages_stuck; /* nor MSI and MSI-X */
	bool wake_stuck;     /* it stays in D3 */
	u32 secondary;	     /* of a bridge: the bus behind it */
	u64 late_us;	     /* until then it is still starting */
	u64 wakes_us;	     /* nobody may touch it before, it sleeps or wakes */
	u32 early;	     /* accesses before that: a driver's mistake */
	u32 resets;	     /* by waking */
	u32 pins;	     /* interrupts by its pin */
	u32 status_written;  /* ones written to the status half: a driver's mistake */
	u64 bar_pa;
	u64 bar_bytes;
	u32 bar_fixed[6];	 /* bits of a BAR that can not be written */
	u32 bar_moved;		 /* writes that changed one while it decoded: a driver's mistake */
	u64 mapped_bytes;	 /* most that mmio_map was asked for */
	const struct mmio *regs; /* NULL: mmio_map fails */
	/* NULL: as bar_pa and regs say. Else asked in their place; NULL if @pa is not its. */
	const struct mmio *(*map)(void *ctx, u64 pa, u64 bytes);
	void *map_ctx;
};

/* No functions, ports that work, nothing in memory; what the code knew of that is forgotten. */
void pci_model_reset(void);

/* From now on there are no ports. */
void pci_model_no_ports(void);

/* The configuration space of @segment from bus 0 on is at @pa; what it has decoded there, @buses. */
void pci_model_area(u64 pa, u32 segment, u32 first_bus, u32 last_bus);

/* Pages that were looked at and are none of these: a mistake. */
u64 pci_model_stray(void);

/* Adds a function with @class as in struct pci_dev; header type 0, everything else 0. */
struct pci_model_fn *pci_model_add(u32 bdf, u32 class);

/* Gives it a 64-bit memory BAR 0. */
void pci_model_bar(struct pci_model_fn *fn, u64 pa, u64 bytes, const struct mmio *regs);

/* Gives it a memory BAR whose size can be asked for; @wide: 64 bits, which takes the next one too. */
void pci_model_memory_bar(struct pci_model_fn *fn, u32 index, u64 pa, u64 bytes, bool wide);

/* Adds a bridge to bus @secondary. */
struct pci_model_fn *pci_model_bridge(u32 bdf, u32 secondary);

/* Puts capability @id first in the list; @bits are ored into its first word. */
void pci_model_cap(struct pci_model_fn *fn, u32 at, u32 id, u32 bits);

/* Power management, and the function in D3hot; what is in its header is lost when it wakes. */
void pci_model_sleep(struct pci_model_fn *fn);

/* Do its registers answer: awake, decoding, and every bridge on the way passes that on? */
bool pci_model_answers(const struct pci_model_fn *fn);

/* Do all bridges on the way pass its DMA on? */
bool pci_model_reaches_memory(const struct pci_model_fn *fn);

/* It wants to interrupt: true if that is a write to memory; a pin is counted. */
bool pci_model_interrupt(struct pci_model_fn *fn);

bool pci_model_masters(const struct pci_model_fn *fn);

/* Configuration reads so far. */
u64 pci_model_reads(void);

#endif
