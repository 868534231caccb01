/*
 * Bringing the HBA up from any state that firmware or the old kernel left it in: taken over
 * from the BIOS, stopped and reset while it can not do DMA. Touches no disk; each is started
 * when it is selected.
 */
#include "ahcivar.h"
#include "bounce.h"
#include "mmio.h"
#include "ports.h"
#include "str.h"

static enum status registers_map(struct ahci *a)
{
	u32 most;
	u64 pa;

	if (!pci_bar(&a->pci, AHCI_BAR, &pa))
		return E_READY;
	a->regs = mmio_map(pa, AHCI_REGS_BYTES);
	if (!a->regs)
		return E_NO_MEMORY;
	a->cap = mmio_read32(a->regs, AHCI_CAP);
	a->ports = mmio_read32(a->regs, AHCI_PI);
	if (a->cap == AHCI_GONE)
		return E_DEVICE_GONE;
	/* Firmware writes PI; it may have forgotten that, or claim too much. */
	most = AHCI_CAP_NP(a->cap);
	if (a->ports == 0 || ahci_count(a->ports) > most)
		a->ports = UINT32_MAX >> (AHCI_PORTS_MAX - most);
	a->blk.disks = ahci_count(a->ports);
	return OK;
}

/* BIOS/OS handoff (s10.6.3). A BIOS that keeps the HBA for too long loses it all the same. */
static enum status take_over(const struct ahci *a)
{
	u32 cap2 = mmio_read32(a->regs, AHCI_CAP2);
	u32 bohc;
	enum status st;

	if (cap2 == AHCI_GONE)
		return E_DEVICE_GONE;
	if (!(cap2 & AHCI_CAP2_BOH))
		return OK;
	bohc = mmio_read32(a->regs, AHCI_BOHC);
	if (bohc == AHCI_GONE)
		return E_DEVICE_GONE;
	mmio_write32(a->regs, AHCI_BOHC, (bohc & ~AHCI_BOHC_OOC) | AHCI_BOHC_OOS);
	st = ahci_wait(a, AHCI_BOHC, AHCI_BOHC_BOS, 0, AHCI_BOS_US);
	if (st == E_READY && mmio_read32(a->regs, AHCI_BOHC) & AHCI_BOHC_BB)
		st = ahci_wait(a, AHCI_BOHC, AHCI_BOHC_BOS, 0, AHCI_BIOS_BUSY_US);
	return st == E_DEVICE_GONE ? st : OK;
}

static enum status reset(struct ahci *a)
{
	enum status st = pci_disable_dma(&a->pci);

	if (st == OK)
		st = pci_wake(&a->pci);
	if (st != OK)
		return st;
	pci_enable_memory(&a->pci);
	st = registers_map(a);
	if (st != OK)
		return st;
	/* Before anything else is touched (s3.1.2). */
	mmio_write32(a->regs, AHCI_GHC, AHCI_GHC_AE);
	st = take_over(a);
	/* Ports that run are stopped by it (s10.4.3). */
	return st == OK ? ahci_hba_reset(a) : st;
}

/* Without 64-bit addresses the HBA can not even be told where most memory is. */
static enum status bounce_take(struct ahci *a)
{
	if (a->cap & AHCI_CAP_S64A)
		return OK;
	if (!range_fits(a->arena->pa, a->arena->bytes, BOUNCE_ABOVE)) {
		con_printf(
			"afterimage: %s can not reach memory above 4 GiB, where we are\n", a->name);
		return E_NO_MEMORY;
	}
	a->slots = (u32)min_u64(a->slots, AHCI_BOUNCES);
	a->blk.max_bytes = AHCI_BOUNCE_BYTES;
	a->bounce = arena_alloc(a->arena, (u64)a->slots * AHCI_BOUNCE_BYTES, PAGE_BYTES);
	return a->bounce ? OK : E_NO_MEMORY;
}

static enum status memory_take(struct ahci *a)
{
	enum status st;

	a->blk.max_bytes = AHCI_MAX_BYTES;
	a->slots = (u32)min_u64(AHCI_SLOTS, AHCI_CAP_NCS(a->cap));
	st = bounce_take(a);
	if (st != OK)
		return st;
	a->list = arena_alloc(a->arena, AHCI_LIST_BYTES, AHCI_LIST_ALIGN);
	a->fis = arena_alloc(a->arena, AHCI_FIS_BYTES, AHCI_FIS_ALIGN);
	a->data = arena_alloc(a->arena, ATA_IDENTIFY_BYTES, AHCI_TABLE_ALIGN);
	a->tables = arena_alloc(a->arena, (u64)a->slots * AHCI_TABLE_BYTES, AHCI_TABLE_ALIGN);
	if (!a->list || !a->fis || !a->data || !a->tables)
		return E_NO_MEMORY;
	for (u32 i = 0; i < a->slots; i++) {
		u64 pa = arena_pa(a->arena, a->tables + i * AHCI_TABLE_BYTES);

		a->list[i].ctba = (u32)pa;
		a->list[i].ctbau = (u32)(pa >> 32);
	}
	return OK;
}

static enum status ahci_open(const struct pci_dev *dev, struct arena *arena, struct blk **out)
{
	u64 mark = arena->used;
	struct ahci *a = arena_alloc(arena, sizeof(*a), sizeof(u64));
	enum status st;

	if (!a)
		return E_NO_MEMORY;
	a->arena = arena;
	a->pci = *dev;
	blk_init(&a->blk, &ahci_blk_ops, arena, a->name, a->id);
	blk_name(ahci_driver.kind, dev, a->name, sizeof(a->name));
	st = reset(a);
	if (st == OK)
		st = memory_take(a);
	if (st == OK)
		st = pci_enable_dma(dev);
	if (st != OK) {
		/* Nothing was told to the HBA yet. */
		arena->used = mark;
		return st;
	}
	*out = &a->blk;
	return OK;
}

const struct blk_driver ahci_driver = {
	.kind = "ahci",
	.class = AHCI_PCI_CLASS,
	.open = ahci_open,
};
