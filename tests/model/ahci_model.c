/*
 * The HBA as a whole: its general registers, reset, the handover from BIOS, DMA, and the
 * faults that come with register reads. Ports are in ahci_model_port.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ahci_model.h"
#include "ports.h"
#include "tests/host/ports_mem.h"

#define BAR_PA(bdf) (0xf0000000u + (bdf)*0x2000u)
#define BAR_INDEX   5
#define BAR_BYTES   (HBA_PORTS + AHCI_MODEL_PORTS * HBA_PORT)
#define VERSION	    0x00010301u
#define ONES	    0xffffffffu
#define BB_WAIT_US  25000u
#define BIOS_MIN_US 2000000u

void ahci_model_broken(struct ahci_model *m, const char *what)
{
	m->protocol_errors++;
	if (!m->broken)
		m->broken = what;
}

u8 *ahci_model_dma(struct ahci_model *m, u64 pa, u64 bytes, bool to_memory)
{
	bool allowed =
		!to_memory || (pa >= m->dma_first && pa <= m->dma_end && bytes <= m->dma_end - pa);
	u8 *p = host_ram_at(pa, bytes);

	if (pa + bytes > 1ull << 32 && !(m->cap & CAP_S64A)) {
		ahci_model_broken(m, "address above 4 GiB");
		return NULL;
	}
	if (!pci_model_masters(m->fn) || !pci_model_reaches_memory(m->fn))
		return NULL; /* can not get out; for what was asked for before that is well */
	if (p && allowed)
		return p;
	m->stray_dma++;
	return NULL;
}

u64 ahci_model_random(struct ahci_model *m, u64 below)
{
	m->seed = m->seed * 1103515245u + 12345u;
	return below ? (m->seed >> 8) % below : 0;
}

bool ahci_model_fault(const struct ahci_model *m, enum ahci_fault fault, u64 number)
{
	return m->fault == fault && number >= m->fault_at && number - m->fault_at < m->fault_count;
}

void ahci_model_shrink(struct ahci_model *m)
{
	for (u32 i = 0; i < AHCI_MODEL_PORTS; i++) {
		struct ahci_model_disk *d = &m->port[i].disk;

		d->blocks = d->blocks > 8 ? 8 : d->blocks;
	}
}

/* May the host not use the HBA yet (s10.6.3)? */
static bool bios_owns(const struct ahci_model *m, u64 now_us)
{
	if (!(m->cap2 & CAP2_BOH) || !(m->bohc & BOHC_BOS))
		return false;
	if (!(m->bohc & BOHC_OOS))
		return true;
	return now_us - m->oos_us < (m->bohc & BOHC_BB ? BIOS_MIN_US : BB_WAIT_US);
}

static void bohc_write(struct ahci_model *m, u32 value, u64 now_us)
{
	u32 old = m->bohc;

	if (!(m->cap2 & CAP2_BOH))
		ahci_model_broken(m, "BOHC without CAP2.BOH");
	if ((value ^ old) & BOHC_BOS)
		ahci_model_broken(m, "BOHC.BOS is the BIOS' own");
	m->bohc = (old & ~BOHC_OOS & ~(value & BOHC_OOC)) | (value & BOHC_OOS);
	if (!(value & ~old & BOHC_OOS))
		return;
	m->bohc |= BOHC_OOC;
	m->oos_us = now_us;
	if (m->bios == AHCI_BIOS_SLOW)
		m->bohc |= BOHC_BB;
	if (m->bios == AHCI_BIOS_GOOD || m->bios == AHCI_BIOS_SLOW)
		m->bios_end_us = now_us + m->bios_us;
}

static void reset_all(struct ahci_model *m, u64 now_us)
{
	m->ghc = m->cap & CAP_SAM ? GHC_AE : 0;
	m->is = 0;
	for (u32 i = 0; i < AHCI_MODEL_PORTS; i++)
		ahci_model_port_reset(&m->port[i], now_us);
}

/* A reset of the whole function, as on waking, makes the HBA forget everything. */
static void notice_reset(struct ahci_model *m, u64 now_us)
{
	if (m->fn_resets == m->fn->resets)
		return;
	m->fn_resets = m->fn->resets;
	reset_all(m, now_us);
	for (u32 i = 0; i < AHCI_MODEL_PORTS; i++)
		m->port[i].clb = m->port[i].fb = 0;
}

static void ghc_write(struct ahci_model *m, u32 value, u64 now_us)
{
	if (!(m->cap & CAP_SAM))
		m->ghc = (m->ghc & ~GHC_AE) | (value & GHC_AE);
	m->ghc = (m->ghc & ~GHC_IE) | (value & GHC_IE);
	if (!(value & GHC_HR))
		return;
	if (!(m->ghc & GHC_AE))
		ahci_model_broken(m, "reset without GHC.AE");
	if (bios_owns(m, now_us))
		ahci_model_broken(m, "reset of a BIOS' HBA");
	m->ghc |= GHC_HR;
	m->hr_end_us = now_us + m->hr_us;
	m->resets++;
}

static void settle(struct ahci_model *m, u64 now_us)
{
	if (m->bios_end_us && now_us >= m->bios_end_us) {
		m->bohc &= ~(BOHC_BOS | BOHC_BB);
		m->bios_end_us = 0;
	}
	if (m->ghc & GHC_HR && now_us >= m->hr_end_us && !m->hr_stuck)
		reset_all(m, now_us);
	if (m->ghc & GHC_HR)
		return;
	for (u32 i = 0; i < AHCI_MODEL_PORTS; i++) {
		if (m->pi & 1u << i)
			ahci_model_port_settle(&m->port[i], now_us);
	}
}

/* Events out of the blue, at every port with a disk. */
static void port_event(struct ahci_model_port *p, u64 now_us)
{
	struct ahci_model *m = p->hba;

	switch (m->read_fault) {
	case AHCI_READ_NO_LINK:
		ahci_model_unplug(p);
		break;
	case AHCI_READ_POWER:
	case AHCI_READ_POWER_BACK:
		ahci_model_power_loss(p, now_us, m->read_fault == AHCI_READ_POWER_BACK);
		break;
	case AHCI_READ_SDB:
		if (p->cmd & CMD_ST && !p->halted)
			ahci_model_sdb(p, 0x80000000u & ~p->sact, STS_RDY, 0);
		break;
	case AHCI_READ_D2H_ERROR:
		if (p->cmd & CMD_ST && !p->halted) {
			ahci_model_drop_queue(p, 0, false, ERR_ABRT);
			ahci_model_d2h(p, STS_RDY | STS_ERR, ERR_ABRT, true);
		}
		break;
	case AHCI_READ_INTERFACE:
	case AHCI_READ_BUS:
		if (p->cmd & CMD_ST && !p->halted) {
			p->halted = true;
			p->stale = true;
			ahci_model_port_raise(p, m->read_fault == AHCI_READ_BUS ? IS_HBFS : IS_IFS);
		}
		break;
	default:
		break;
	}
}

static void read_event(struct ahci_model *m, u64 now_us)
{
	if (m->reads == m->read_fault_at && m->read_fault == AHCI_READ_SHRINK)
		ahci_model_shrink(m);
	if (m->reads >= m->read_fault_at && m->read_fault == AHCI_READ_GONE)
		m->gone = true;
	for (u32 i = 0; i < AHCI_MODEL_PORTS && m->reads == m->read_fault_at; i++) {
		if (m->pi & 1u << i && m->port[i].disk.kind == AHCI_KIND_DISK)
			port_event(&m->port[i], now_us);
	}
}

/* The rules on what may be touched when (s3.1.2, s10.4.3, s10.6.3). */
static void rules(struct ahci_model *m, u32 offset, bool writes, u64 now_us)
{
	bool port = offset >= HBA_PORTS;

	if (offset + 4 > m->fn->mapped_bytes || offset % 4)
		ahci_model_broken(m, "outside what was mapped");
	if (m->ghc & GHC_HR && (writes || offset != HBA_GHC))
		ahci_model_broken(m, "touched during a reset");
	if (!(m->ghc & GHC_AE) && (port || offset == HBA_IS || offset == HBA_BOHC))
		ahci_model_broken(m, "touched without GHC.AE");
	if (port && !(m->pi >> (offset - HBA_PORTS) / HBA_PORT & 1))
		ahci_model_broken(m, "a port that is not there");
	if (port && writes && bios_owns(m, now_us))
		ahci_model_broken(m, "a port that BIOS owns");
}

static u32 general_read(struct ahci_model *m, u32 offset)
{
	switch (offset) {
	case HBA_CAP:
		return m->cap;
	case HBA_GHC:
		return m->ghc;
	case HBA_IS:
		return m->is;
	case HBA_PI:
		return m->pi;
	case HBA_VS:
		return VERSION;
	case HBA_CAP2:
		return m->cap2;
	case HBA_BOHC:
		return m->bohc;
	default:
		ahci_model_broken(m, "unknown register");
		return 0;
	}
}

static u32 model_read(void *model, u32 offset)
{
	struct ahci_model *m = model;
	u64 now_us = clock_us();

	notice_reset(m, now_us);
	m->reads++;
	host_clock_advance_us(m->us_per_read);
	if (!pci_model_answers(m->fn))
		return ONES;
	read_event(m, now_us);
	if (m->gone || (m->read_fault == AHCI_READ_BLINK && m->reads == m->read_fault_at))
		return ONES;
	settle(m, now_us);
	rules(m, offset, false, now_us);
	if (m->read_fault == AHCI_READ_RESET_STUCK && m->reads >= m->read_fault_at)
		m->hr_stuck = true;
	if (offset >= HBA_PORTS && offset < BAR_BYTES)
		return ahci_model_port_read(
			&m->port[(offset - HBA_PORTS) / HBA_PORT], offset % HBA_PORT);
	return general_read(m, offset);
}

static void model_write(void *model, u32 offset, u32 value)
{
	struct ahci_model *m = model;
	u64 now_us = clock_us();

	notice_reset(m, now_us);
	if (m->gone || !pci_model_answers(m->fn))
		return;
	settle(m, now_us);
	if (offset != HBA_GHC || m->ghc & GHC_HR)
		rules(m, offset, true, now_us);
	if (m->ghc & GHC_HR)
		return;
	if (offset >= HBA_PORTS && offset < BAR_BYTES)
		ahci_model_port_write(
			&m->port[(offset - HBA_PORTS) / HBA_PORT], offset % HBA_PORT, value);
	else if (offset == HBA_GHC)
		ghc_write(m, value, now_us);
	else if (offset == HBA_IS)
		m->is &= ~value;
	else if (offset == HBA_BOHC)
		bohc_write(m, value, now_us);
	else if (offset == HBA_PI && value == m->pi)
		m->pi_written++; /* as firmware does once, and again after a reset */
	else
		ahci_model_broken(m, "write to a register that is read only");
	settle(m, now_us);
}

void ahci_model_init(struct ahci_model *m, u32 bdf, u32 ports)
{
	memset(m, 0, sizeof(*m));
	m->cap = CAP_S64A | CAP_SNCQ | CAP_SCLO | CAP_SAM | 31u << 8 | (ports - 1);
	m->pi = (u32)((1ull << ports) - 1);
	m->ghc = GHC_AE | GHC_IE;
	m->hr_us = 1000;
	m->stop_us = 50;
	m->link_us = 10000;
	m->command_us = 20;
	m->us_per_read = 1;
	m->fault_count = 1;
	m->seed = bdf;
	m->dma_end = UINT64_MAX;
	m->regs = (struct mmio) {.model = m, .read32 = model_read, .write32 = model_write};
	m->fn = pci_model_add(bdf, 0x010601);
	m->fn->bar_pa = BAR_PA(bdf);
	m->fn->bar_bytes = BAR_BYTES;
	m->fn->regs = &m->regs;
	pci_model_memory_bar(m->fn, BAR_INDEX, BAR_PA(bdf), 0x2000, false);
	pci_model_cap(m->fn, PCI_MODEL_MSI_AT, PCI_MODEL_MSI, PCI_MODEL_MSI_ON);
	for (u32 i = 0; i < AHCI_MODEL_PORTS; i++) {
		struct ahci_model_port *p = &m->port[i];

		p->hba = m;
		p->index = i;
		p->cmd = CMD_POD | CMD_SUD;
		p->tfd = 0x7f;
		p->sig = ONES;
	}
}

struct ahci_model_disk *ahci_model_disk(
	struct ahci_model *m, u32 port, u8 *bytes, u8 *kept, u64 size, u32 block_bytes)
{
	struct ahci_model_disk *d = &m->port[port].disk;

	ahci_model_put(m, port, AHCI_KIND_DISK);
	d->bytes = bytes;
	d->kept = kept;
	d->all_blocks = d->blocks = size / block_bytes;
	d->block_bytes = block_bytes;
	d->depth = 32;
	d->bad_lba = UINT64_MAX;
	d->write_end = UINT64_MAX;
	d->wcache = true;
	d->dirty = calloc(d->blocks, 1);
	if (!d->dirty)
		abort();
	snprintf(d->serial, sizeof(d->serial), "A\x01 %02x-%u", m->fn->bdf, port);
	return d;
}

void ahci_model_put(struct ahci_model *m, u32 port, enum ahci_kind kind)
{
	struct ahci_model_port *p = &m->port[port];

	p->disk.kind = kind;
	p->ssts = 0x123;
	p->tfd = 0x0150;
	p->sig = kind == AHCI_KIND_ATAPI	? SIG_ATAPI
		 : kind == AHCI_KIND_MULTIPLIER ? SIG_PM
						: SIG_ATA;
	p->disk.spin_up_us = 1000;
}

void ahci_model_free(struct ahci_model *m)
{
	for (u32 i = 0; i < AHCI_MODEL_PORTS; i++)
		free(m->port[i].disk.dirty);
}

void ahci_model_leave_running(struct ahci_model *m, u32 port, u64 pa, u32 count)
{
	struct ahci_model_port *p = &m->port[port];

	p->clb = pa;
	p->fb = pa + LIST_BYTES;
	p->cmd |= CMD_ST | CMD_CR | CMD_FRE | CMD_FR;
	p->ie = IS_DHRS | IS_PSS | IS_DSS | IS_SDBS | IS_PCS | IS_TFES;
	p->ci = p->sact = (u32)((1ull << count) - 1);
	p->old = true;
	m->fn->config[1] |= PCI_MODEL_MEMORY | PCI_MODEL_MASTER;
}
