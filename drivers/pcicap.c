/*
 * PCI capabilities (PCI 3.0 s6.7): what state of power a function is in and how it gets
 * out of it, and its interrupt messages. The list is the device's word: bounded, and read
 * anew each time.
 */
#include "pci.h"
#include "pcireg.h"
#include "pcivar.h"
#include "ports.h"

#define HEADER_FIRST PCI_BAR(0)
#define HEADER_WORDS ((PCI_CAP_FIRST - HEADER_FIRST) / 4)

/* Where capability @id is; 0 if the function has none or its list is broken. */
static u32 capability_find(u32 bdf, u32 id)
{
	u32 command = pci_read(bdf, PCI_COMMAND);
	u32 at;

	if (command == PCI_NOBODY || !(command & PCI_STATUS_CAPS))
		return 0;
	at = PCI_CAP_POS(pci_read(bdf, PCI_CAPS));
	/* No list is longer, so one that is goes in a circle. */
	for (u32 i = 0; i < PCI_CAP_LIMIT && at >= PCI_CAP_FIRST; i++) {
		u32 head = pci_read(bdf, at);

		if (head == PCI_NOBODY)
			return 0;
		if (PCI_CAP_ID(head) == id)
			return at;
		at = PCI_CAP_NEXT(head);
	}
	return 0;
}

/* Where the register with the power state is; 0 if there is only one state. */
static u32 power_at(u32 bdf)
{
	u32 at = capability_find(bdf, PCI_CAP_PM);

	return at == 0 || at / 4 + 1 >= PCI_CONFIG_WORDS ? 0 : at + PCI_PM_CSR;
}

bool pci_asleep(u32 bdf)
{
	u32 at = power_at(bdf);
	u32 csr = at ? pci_read(bdf, at) : 0;

	return csr != PCI_NOBODY && csr & PCI_PM_CSR_STATE;
}

/* Waits until the function shows @id again. */
static bool answers(u32 bdf, u32 id)
{
	u64 deadline_us = clock_us() + PCI_PM_ANSWER_US;

	for (;;) {
		bool expired = clock_us() >= deadline_us;

		if (pci_read(bdf, PCI_ID) == id)
			return true;
		if (expired)
			return false;
	}
}

static void header_save(u32 bdf, u32 *word)
{
	for (u32 i = 0; i < HEADER_WORDS; i++)
		word[i] = pci_read(bdf, HEADER_FIRST + 4 * i);
}

/* Puts back what waking has cleared. The function must not answer at its BARs meanwhile. */
static void header_restore(u32 bdf, const u32 *word)
{
	bool bridge = PCI_HEADER_TYPE(pci_read(bdf, PCI_HEADER)) == PCI_HEADER_BRIDGE;

	for (u32 i = 0; i < HEADER_WORDS; i++) {
		u32 at = HEADER_FIRST + 4 * i;
		u32 mask = bridge && at == PCI_BRIDGE_IO ? PCI_BRIDGE_IO_MASK : PCI_NOBODY;

		if ((pci_read(bdf, at) ^ word[i]) & mask)
			pci_write(bdf, at, word[i] & mask);
	}
}

enum status pci_wake(const struct pci_dev *dev)
{
	u32 at = power_at(dev->bdf);
	u32 id = pci_read(dev->bdf, PCI_ID);
	u32 header[HEADER_WORDS];
	u32 csr;

	if (at == 0)
		return id == PCI_NOBODY ? E_DEVICE_GONE : OK;
	csr = pci_read(dev->bdf, at);
	if (csr == PCI_NOBODY)
		return E_DEVICE_GONE;
	if (!(csr & PCI_PM_CSR_STATE))
		return OK;
	header_save(dev->bdf, header);
	pci_command_change(dev->bdf, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	pci_write(dev->bdf, at, csr & ~(PCI_PM_CSR_STATE | PCI_PM_CSR_PME));
	clock_wait_us(
		PCI_CLASS_BASE(dev->class) == PCI_CLASS_BRIDGE ? PCI_PM_BRIDGE_US : PCI_PM_WAKE_US);
	if (!answers(dev->bdf, id))
		return E_DEVICE_GONE;
	header_restore(dev->bdf, header);
	return pci_asleep(dev->bdf) ? E_DEVICE_GONE : OK;
}

/* @enable and @mask are bits in the capability's first word. */
static enum status message_off(u32 bdf, u32 id, u32 enable, u32 mask)
{
	u32 at = capability_find(bdf, id);
	u32 control;

	if (at == 0)
		return OK;
	control = pci_read(bdf, at);
	if (control != PCI_NOBODY && control & enable)
		pci_write(bdf, at, (control & ~enable) | mask);
	return pci_read(bdf, at) & enable ? E_DEVICE_GONE : OK;
}

enum status pci_messages_off(u32 bdf)
{
	enum status st = message_off(bdf, PCI_CAP_MSI, PCI_MSI_ENABLE, 0);

	if (st != OK)
		return st;
	return message_off(bdf, PCI_CAP_MSIX, PCI_MSIX_ENABLE, PCI_MSIX_MASK_ALL);
}
