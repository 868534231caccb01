/*
 * Registers of the HBA and of the selected port: reset, start and stop as AHCI 1.3.1 orders
 * them, and commands that read a block for the driver itself. Knows no requests.
 */
#include <string.h>
#include "ahcivar.h"
#include "drivers/pcireg.h"
#include "mmio.h"
#include "ports.h"
#include "str.h"

u32 ahci_port_reg(const struct ahci *a, u32 offset)
{
	return mmio_read32(a->regs, AHCI_PORT(a->port) + offset);
}

void ahci_port_set(const struct ahci *a, u32 offset, u32 value)
{
	mmio_write32(a->regs, AHCI_PORT(a->port) + offset, value);
}

enum status ahci_wait(const struct ahci *a, u32 offset, u32 mask, u32 want, u64 timeout_us)
{
	u64 deadline_us = clock_us() + timeout_us;

	for (;;) {
		bool expired = clock_us() >= deadline_us;
		u32 value = mmio_read32(a->regs, offset);

		if (value == AHCI_GONE)
			return E_DEVICE_GONE;
		if ((value & mask) == want)
			return OK;
		if (expired)
			return E_READY;
	}
}

static enum status port_wait(const struct ahci *a, u32 offset, u32 mask, u32 want, u64 timeout_us)
{
	return ahci_wait(a, AHCI_PORT(a->port) + offset, mask, want, timeout_us);
}

/* All ones are never written back. */
static enum status cmd_change(const struct ahci *a, u32 clear, u32 set)
{
	u32 cmd = ahci_port_reg(a, AHCI_PXCMD);

	if (cmd == AHCI_GONE)
		return E_DEVICE_GONE;
	ahci_port_set(a, AHCI_PXCMD, (cmd & ~clear) | set);
	return OK;
}

/* Intel's enables of the ports are in configuration space, and may be lost with the reset. */
static u32 enables(const struct ahci *a)
{
	return a->pci.vendor == PCI_VENDOR_INTEL ? pci_read(a->pci.bdf, AHCI_PCI_PCS) : 0;
}

enum status ahci_hba_reset(struct ahci *a)
{
	u32 before = enables(a);
	enum status st;

	mmio_write32(a->regs, AHCI_GHC, AHCI_GHC_AE);
	mmio_write32(a->regs, AHCI_GHC, AHCI_GHC_AE | AHCI_GHC_HR);
	st = ahci_wait(a, AHCI_GHC, AHCI_GHC_HR, 0, AHCI_HR_US);
	if (st != OK)
		return st;
	mmio_write32(a->regs, AHCI_GHC, AHCI_GHC_AE);
	if ((enables(a) ^ before) & AHCI_PCI_PCS_ENABLES)
		pci_write(a->pci.bdf, AHCI_PCI_PCS, before);
	/* Firmware wrote it once; some forget it. */
	mmio_write32(a->regs, AHCI_PI, a->ports);
	a->reset_us = clock_us();
	a->started = false;
	return OK;
}

/* ST off; a list that has stopped has no commands any more (s3.3.14). */
static enum status list_stop(const struct ahci *a)
{
	enum status st = cmd_change(a, AHCI_PXCMD_ST, 0);

	if (st == OK)
		st = port_wait(a, AHCI_PXCMD, AHCI_PXCMD_CR, 0, AHCI_STOP_US);
	if (st == OK && (ahci_port_reg(a, AHCI_PXCI) | ahci_port_reg(a, AHCI_PXSACT)))
		st = E_READY;
	return st;
}

/* Forgets what went wrong before; only on a device that waits for commands (s10.3.1). */
static enum status list_start(const struct ahci *a, u32 forget)
{
	u32 cmd = ahci_port_reg(a, AHCI_PXCMD);

	if (cmd == AHCI_GONE)
		return E_DEVICE_GONE;
	ahci_port_set(a, AHCI_PXSERR, forget);
	ahci_port_set(a, AHCI_PXIS, UINT32_MAX);
	if (AHCI_SSTS_DET(ahci_port_reg(a, AHCI_PXSSTS)) != AHCI_DET_UP ||
		ahci_port_reg(a, AHCI_PXTFD) & (ATA_STATUS_BSY | ATA_STATUS_DRQ))
		return E_READY;
	ahci_port_set(a, AHCI_PXCMD, cmd | AHCI_PXCMD_ST);
	return OK;
}

enum status ahci_list_restart(struct ahci *a)
{
	enum status st = list_stop(a);

	/* A device that lost power, and with it what was in its cache, needs more than this. */
	if (st == OK && ahci_port_reg(a, AHCI_PXSERR) & AHCI_SERR_LOST)
		st = E_READY;
	return st == OK ? list_start(a, ~AHCI_SERR_LOST) : st;
}

enum status ahci_port_stop(struct ahci *a)
{
	enum status st = OK;

	if (!a->started)
		return OK;
	st = list_stop(a);
	if (st == OK)
		st = cmd_change(a, AHCI_PXCMD_FRE, 0);
	if (st == OK)
		st = port_wait(a, AHCI_PXCMD, AHCI_PXCMD_FR, 0, AHCI_STOP_US);
	if (st == E_READY)
		st = ahci_hba_reset(a);
	if (st == OK)
		a->started = false;
	return st;
}

/* Any sign of a device; E_NO_PARTITION if there is none by @deadline_us. */
static enum status present(const struct ahci *a, u64 deadline_us)
{
	u64 now_us = clock_us();
	enum status st = port_wait(a, AHCI_PXSSTS, AHCI_DET_THERE, AHCI_DET_THERE,
		deadline_us > now_us ? deadline_us - now_us : 0);

	return st == E_READY ? E_NO_PARTITION : st;
}

/*
 * COMRESET (s10.4.2), which the device must answer. Without staggered spin-up all ports did
 * that when the HBA was reset: an empty one costs no time of its own.
 */
static enum status link_up(const struct ahci *a)
{
	bool woken = a->cap & AHCI_CAP_SSS || ahci_port_reg(a, AHCI_PXCMD) & AHCI_PXCMD_CPD;
	enum status st = woken ? OK : present(a, a->reset_us + AHCI_PRESENT_US);

	if (st != OK)
		return st;
	ahci_port_set(a, AHCI_PXSCTL, AHCI_SCTL_IPM_OFF | AHCI_SCTL_DET_INIT);
	clock_wait_us(AHCI_COMRESET_US);
	ahci_port_set(a, AHCI_PXSCTL, AHCI_SCTL_IPM_OFF);
	st = present(a, clock_us() + AHCI_PRESENT_US);
	if (st == OK)
		st = port_wait(a, AHCI_PXSSTS, AHCI_SCTL_DET, AHCI_DET_UP, AHCI_LINK_US);
	/* The first frame is only taken after PxSERR.DIAG.X is cleared (s3.3.8). */
	ahci_port_set(a, AHCI_PXSERR, UINT32_MAX);
	return st;
}

/* Where the HBA may write, which is ours. */
static enum status memory_set(const struct ahci *a)
{
	u64 list_pa = arena_pa(a->arena, a->list);
	u64 fis_pa = arena_pa(a->arena, a->fis);

	if (!blk_ours(&a->blk, list_pa, AHCI_LIST_BYTES) ||
		!blk_ours(&a->blk, fis_pa, AHCI_FIS_BYTES))
		return E_DMA;
	ahci_port_set(a, AHCI_PXCLB, (u32)list_pa);
	ahci_port_set(a, AHCI_PXCLBU, (u32)(list_pa >> 32));
	ahci_port_set(a, AHCI_PXFB, (u32)fis_pa);
	ahci_port_set(a, AHCI_PXFBU, (u32)(fis_pa >> 32));
	return OK;
}

static enum status signature_judge(struct ahci *a)
{
	u32 sig = ahci_port_reg(a, AHCI_PXSIG);

	if (sig == AHCI_PXSIG_DISK)
		return OK;
	if (sig == AHCI_PXSIG_PM && !(a->told & ahci_bit(a->port))) {
		con_printf("afterimage: %s has a port multiplier: its disks can not be used\n",
			a->name);
		a->told |= ahci_bit(a->port);
	}
	return E_NO_PARTITION;
}

enum status ahci_port_start(struct ahci *a)
{
	const u32 off = AHCI_PXCMD_ST | AHCI_PXCMD_ATAPI | AHCI_PXCMD_ALPE | AHCI_PXCMD_ICC;
	const u32 on = AHCI_PXCMD_FRE | AHCI_PXCMD_SUD | AHCI_PXCMD_POD | AHCI_PXCMD_ICC_ACT;
	enum status st = memory_set(a);

	if (st != OK)
		return st;
	a->started = true;
	ahci_port_set(a, AHCI_PXIE, 0);
	st = cmd_change(a, off, on);
	if (st == OK)
		st = link_up(a);
	/* Once more: QEMU sends the device's first frame only then. */
	if (st == OK)
		st = cmd_change(a, off, on);
	if (st == OK)
		st = port_wait(a, AHCI_PXTFD, ATA_STATUS_BSY | ATA_STATUS_DRQ, 0, AHCI_SPINUP_US);
	if (st == OK)
		st = signature_judge(a);
	return st == OK ? list_start(a, UINT32_MAX) : st;
}

/* Failures are looked for after the end, so that no failed command looks done. */
static enum status read_wait(const struct ahci *a)
{
	u64 deadline_us = clock_us() + AHCI_ADMIN_US;

	for (;;) {
		bool expired = clock_us() >= deadline_us;
		u32 ci = ahci_port_reg(a, AHCI_PXCI);
		u32 is = ahci_port_reg(a, AHCI_PXIS);

		if (is == AHCI_GONE)
			return E_DEVICE_GONE;
		if (is & (AHCI_IS_FAILED | AHCI_IS_LOST))
			return E_COMMAND;
		if (!(ci & ahci_bit(0)))
			return OK;
		if (expired)
			return E_TIMEOUT;
	}
}

struct ata_h2d *ahci_frame(struct ahci *a, u32 slot, u8 command)
{
	struct ata_h2d *frame = (struct ata_h2d *)(void *)(a->tables + slot * AHCI_TABLE_BYTES);

	memset(frame, 0, sizeof(*frame));
	frame->type = ATA_FIS_H2D;
	frame->flags = ATA_H2D_COMMAND;
	frame->command = command;
	a->list[slot].flags = AHCI_HEADER_CFL(sizeof(*frame));
	a->list[slot].prdtl = 0;
	a->list[slot].prdbc = 0;
	return frame;
}

void ahci_data(struct ahci *a, u32 slot, u64 pa, u32 bytes)
{
	u8 *prdt = a->tables + slot * AHCI_TABLE_BYTES + AHCI_TABLE_PRDT;
	struct ahci_prd *prd = &((struct ahci_prd *)(void *)prdt)[a->list[slot].prdtl++];

	prd->dba = (u32)pa;
	prd->dbau = (u32)(pa >> 32);
	prd->zero = 0;
	prd->dbc = AHCI_PRD_DBC(bytes);
}

static enum status data_read(struct ahci *a, u8 command, u32 log)
{
	u64 pa = arena_pa(a->arena, a->data);
	struct ata_h2d *frame = ahci_frame(a, 0, command);

	if (!blk_ours(&a->blk, pa, ATA_IDENTIFY_BYTES))
		return E_DMA;
	memset(a->data, 0, ATA_IDENTIFY_BYTES);
	frame->lba0 = (u8)log;
	frame->count = 1;
	ahci_data(a, 0, pa, ATA_IDENTIFY_BYTES);
	mmio_barrier();
	ahci_port_set(a, AHCI_PXIS, UINT32_MAX);
	ahci_port_set(a, AHCI_PXCI, ahci_bit(0));
	return read_wait(a);
}

/* Twice if need be: the first command after a reset may fail for no other reason. */
enum status ahci_ask(struct ahci *a, u8 command, u32 log)
{
	enum status st = data_read(a, command, log);

	if (st != E_COMMAND)
		return st;
	st = ahci_list_restart(a);
	return st == OK ? data_read(a, command, log) : st;
}
