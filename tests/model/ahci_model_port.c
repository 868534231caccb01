/*
 * One port of the modelled HBA: its registers, its engines, its link. What the drive
 * behind it does is in ahci_model_cmd.c and ahci_model_ata.c.
 */
#include <string.h>
#include "ahci_model.h"
#include "ports.h"

#define DET(x)	      ((x)&15)
#define DET_NONE      0u
#define DET_PRESENT   1u
#define DET_UP	      3u
#define DET_OFF	      4u
#define LINK_UP	      0x123u /* third generation, active */
#define COMRESET_US   1000u
#define CMD_WRITABLE  (CMD_ST | CMD_SUD | CMD_POD | CMD_FRE | CMD_ICC | 0x0f000000u)
#define TFD_NO_DEVICE 0x7fu
#define ONES	      0xffffffffu

static void broken(struct ahci_model_port *p, const char *what)
{
	ahci_model_broken(p->hba, what);
}

static bool due(const struct ahci_model_port *p, enum ahci_read_fault fault)
{
	return p->hba->read_fault == fault && p->hba->reads >= p->hba->read_fault_at;
}

void ahci_model_port_raise(struct ahci_model_port *p, u32 is)
{
	p->is |= is;
	if (!(p->is & p->ie))
		return;
	p->hba->is |= 1u << p->index;
	if (p->hba->ghc & GHC_IE && pci_model_masters(p->hba->fn) &&
		pci_model_interrupt(p->hba->fn))
		p->hba->stray_dma++;
}

/* What the drive knows of its queue goes with the link. */
static void forget(struct ahci_model_port *p)
{
	memset(p->cmds, 0, sizeof(p->cmds));
	p->stale = false;
	p->srst = false;
	p->disk.ncq_error = false;
	p->announced = false;
	p->sig_waits = false;
}

void ahci_model_port_relink(struct ahci_model_port *p, u64 now_us)
{
	forget(p);
	p->ssts = 0;
	p->tfd = TFD_NO_DEVICE;
	p->link_us = 0;
	if (p->disk.kind != AHCI_KIND_NOTHING && !p->disk.gone)
		p->link_us = now_us + p->hba->link_us;
}

void ahci_model_unplug(struct ahci_model_port *p)
{
	forget(p);
	p->disk.gone = true;
	p->link_us = 0;
	p->ssts = 0;
	p->tfd = TFD_NO_DEVICE;
	p->serr |= SERR_N;
	p->halted = true;
	ahci_model_port_raise(p, IS_PRCS);
}

void ahci_model_power_loss(struct ahci_model_port *p, u64 now_us, bool back)
{
	struct ahci_model_disk *d = &p->disk;

	for (u64 i = 0; d->kept && i < d->all_blocks; i++) {
		if (d->dirty[i])
			memcpy(d->bytes + i * d->block_bytes, d->kept + i * d->block_bytes,
				d->block_bytes);
		d->dirty[i] = 0;
	}
	d->wcache = !d->wcache_off;
	if (d->swapped) { /* no write is meant for the other one */
		d->serial[0] = 'B';
		d->write_first = d->write_end = 0;
	}
	p->hba->power_losses++;
	ahci_model_port_relink(p, now_us);
	p->ssts = DET_PRESENT;
	p->tfd = STS_BSY;
	p->serr |= SERR_X | SERR_N;
	p->halted = !back;
	if (!back)
		p->link_us = 0; /* until COMRESET */
	ahci_model_port_raise(p, IS_PCS | IS_PRCS);
}

void ahci_model_port_reset(struct ahci_model_port *p, u64 now_us)
{
	bool staggered = p->hba->cap & CAP_SSS;

	p->is = p->ie = p->serr = p->sact = p->ci = p->sctl = 0;
	p->cmd = CMD_POD | (staggered ? 0 : CMD_SUD);
	p->sig = ONES;
	p->halted = p->old = false;
	p->st_off_us = p->fre_off_us = p->clo_us = p->comreset_us = 0;
	ahci_model_port_relink(p, now_us);
	if (staggered)
		p->link_us = 0;
}

static u32 spinning(const struct ahci_model *m)
{
	u32 count = 0;

	for (u32 i = 0; i < AHCI_MODEL_PORTS; i++)
		count += m->port[i].link_us || m->port[i].announced;
	return count;
}

/* The link has come up; the drive's first FIS follows. */
static void link_up(struct ahci_model_port *p, u64 now_us)
{
	p->link_us = 0;
	p->ssts = LINK_UP;
	p->tfd = STS_BSY;
	p->serr |= SERR_X | SERR_N;
	ahci_model_port_raise(p, IS_PCS | IS_PRCS);
	p->announced = !p->disk.never_ready && !p->busy_ever;
	p->sig_us = now_us + p->disk.spin_up_us;
}

static void signature(struct ahci_model_port *p)
{
	static const u32 sigs[] = {ONES, SIG_ATA, SIG_ATAPI, SIG_PM};

	p->announced = false;
	p->srst = false;
	p->sig = sigs[p->disk.kind];
	ahci_model_d2h(p, STS_RDY | 0x10, 1, false);
	if (p->disk.kind == AHCI_KIND_ATAPI)
		p->tfd = 0x0100;
}

void ahci_model_port_settle(struct ahci_model_port *p, u64 now_us)
{
	struct ahci_model *m = p->hba;
	bool cr_stuck = m->cr_stuck || (p->old && m->cr_stuck_old) || due(p, AHCI_READ_CR_STUCK);

	if (p->st_off_us && now_us >= p->st_off_us && !cr_stuck) {
		p->cmd &= ~CMD_CR;
		p->st_off_us = 0;
		p->old = false;
	}
	if (p->fre_off_us && now_us >= p->fre_off_us && !m->fr_stuck &&
		!due(p, AHCI_READ_FR_STUCK)) {
		p->cmd &= ~CMD_FR;
		p->fre_off_us = 0;
	}
	if (p->clo_us && now_us >= p->clo_us && !m->clo_stuck) {
		p->cmd &= ~CMD_CLO;
		p->tfd &= ~(STS_BSY | STS_DRQ);
		p->clo_us = 0;
	}
	if (p->link_us && now_us >= p->link_us)
		link_up(p, now_us);
	/* Held back as long as the exchange is not acknowledged. */
	if (p->announced && now_us >= p->sig_us && (m->lenient || !(p->serr & SERR_X)))
		signature(p);
	ahci_model_run(p, now_us);
}

u32 ahci_model_port_read(struct ahci_model_port *p, u32 offset)
{
	bool now = p->hba->reads == p->hba->read_fault_at;

	switch (offset) {
	case PX_CLB:
		return (u32)p->clb;
	case PX_CLBU:
		return (u32)(p->clb >> 32);
	case PX_FB:
		return (u32)p->fb;
	case PX_FBU:
		return (u32)(p->fb >> 32);
	case PX_IS:
		return (p->is & ~(IS_PCS | IS_PRCS)) | (p->serr & SERR_X ? IS_PCS : 0) |
		       (p->serr & SERR_N ? IS_PRCS : 0);
	case PX_IE:
		return p->ie;
	case PX_CMD:
		return p->cmd;
	case PX_TFD:
		return p->tfd | (due(p, AHCI_READ_BUSY) || p->busy_ever ? STS_BSY : 0);
	case PX_SIG:
		return p->sig;
	case PX_SSTS:
		return p->ssts;
	case PX_SCTL:
		return p->sctl;
	case PX_SERR:
		return p->serr;
	case PX_SACT:
		return p->sact | (now && p->hba->read_fault == AHCI_READ_SACT_EXTRA ? ~0xfu : 0);
	case PX_CI:
		return p->ci | (now && p->hba->read_fault == AHCI_READ_CI_EXTRA ? ~0xfu : 0);
	default:
		broken(p, "unknown register of a port");
		return 0;
	}
}

static void start(struct ahci_model_port *p)
{
	if (p->cmd & CMD_CR)
		broken(p, "ST set although CR is");
	if (!(p->cmd & CMD_FRE) || !(p->cmd & CMD_FR))
		broken(p, "ST set without FRE and FR");
	if (p->tfd & (STS_BSY | STS_DRQ) || DET(p->ssts) != DET_UP)
		broken(p, "ST set without a drive that is ready");
	if (p->clb % LIST_BYTES || p->fb % RFIS_BYTES)
		broken(p, "lists not aligned");
	p->cmd |= CMD_CR;
	p->st_off_us = 0;
	p->halted = p->old = false;
}

static void stop(struct ahci_model_port *p, u64 now_us)
{
	/* The drive is not told; it may still know what it was asked for. */
	for (u32 i = 0; i < AHCI_MODEL_SLOTS; i++)
		p->stale = p->stale || p->cmds[i].live;
	p->ci = p->sact = 0;
	p->st_off_us = now_us + p->hba->stop_us;
	p->stale = p->ssts && (p->stale || p->old);
}

static void cmd_write(struct ahci_model_port *p, u32 value, u64 now_us)
{
	u32 fixed = p->hba->cap & CAP_SSS ? CMD_POD : CMD_POD | CMD_SUD;
	u32 old = p->cmd;

	value |= fixed;
	p->cmd = (old & ~CMD_WRITABLE) | (value & CMD_WRITABLE & ~CMD_ICC);
	if (value & CMD_CLO) {
		if (!(p->hba->cap & CAP_SCLO) || old & CMD_ST)
			broken(p, "CLO that may not be set");
		p->cmd |= CMD_CLO;
		p->clo_us = now_us + p->hba->stop_us;
	}
	if (value & ~old & CMD_FRE) {
		p->cmd |= CMD_FR;
		p->fre_off_us = 0;
		if (old & CMD_FR)
			broken(p, "FRE set although FR is");
	}
	if (value & ~old & CMD_ST)
		start(p);
	if (old & ~value & CMD_ST)
		stop(p, now_us);
	if (old & ~value & CMD_FRE) {
		if (p->cmd & (CMD_ST | CMD_CR))
			broken(p, "FRE cleared while the port runs");
		p->fre_off_us = now_us + p->hba->stop_us;
	}
	if (value & ~old & CMD_SUD && !DET(p->sctl)) {
		ahci_model_port_relink(p, now_us);
		p->hba->spinning_most = (u32)max_u64(p->hba->spinning_most, spinning(p->hba));
	}
}

static void sctl_write(struct ahci_model_port *p, u32 value, u64 now_us)
{
	u32 old = DET(p->sctl);

	if (p->cmd & CMD_ST && DET(value) != old)
		broken(p, "SCTL.DET changed while ST is set");
	if (DET(value) > 4 || DET(value) == 2 || DET(value) == 3)
		broken(p, "reserved SCTL.DET");
	p->sctl = value & 0xfff;
	if (DET(value) == old)
		return;
	if (DET(value) == 1) {
		if (!(p->cmd & CMD_SUD))
			broken(p, "COMRESET without spin-up");
		p->comreset_us = now_us;
		p->hba->comresets++;
		forget(p);
		p->ssts = 0;
		p->link_us = 0;
		p->tfd = STS_BSY;
	}
	if (DET(value) == 4) {
		forget(p);
		p->ssts = DET_OFF;
		p->link_us = 0;
	}
	if (DET(value) != 0)
		return;
	if (old == 1 && now_us - p->comreset_us < COMRESET_US)
		broken(p, "COMRESET for less than 1 ms");
	if (p->cmd & CMD_SUD)
		ahci_model_port_relink(p, now_us);
}

static void address_write(struct ahci_model_port *p, u32 offset, u32 value)
{
	bool list = offset <= PX_CLBU;
	u64 *base = list ? &p->clb : &p->fb;
	u32 busy = list ? CMD_ST | CMD_CR : CMD_FRE | CMD_FR;

	if (p->cmd & busy)
		broken(p, list ? "CLB changed while the port runs" : "FB changed while FRE or FR");
	if (offset == PX_CLBU || offset == PX_FBU) {
		if (value && !(p->hba->cap & CAP_S64A))
			broken(p, "upper half without S64A");
		*base = (*base & ONES) | (u64)value << 32;
		return;
	}
	if (value % (list ? LIST_BYTES : RFIS_BYTES))
		broken(p, "list not aligned");
	*base = (*base & ~(u64)ONES) | value;
}

static void serr_write(struct ahci_model_port *p, u32 value)
{
	p->serr &= ~value;
}

static void sact_write(struct ahci_model_port *p, u32 value)
{
	if (!(p->cmd & CMD_ST))
		broken(p, "SACT without ST");
	if (value & (p->sact | p->ci))
		broken(p, "SACT of a slot in use");
	p->sact |= value;
}

void ahci_model_port_write(struct ahci_model_port *p, u32 offset, u32 value)
{
	u64 now_us = clock_us();

	switch (offset) {
	case PX_CLB:
	case PX_CLBU:
	case PX_FB:
	case PX_FBU:
		address_write(p, offset, value);
		break;
	case PX_IS:
		p->is &= ~value;
		break;
	case PX_IE:
		p->ie = value;
		break;
	case PX_CMD:
		cmd_write(p, value, now_us);
		break;
	case PX_SCTL:
		sctl_write(p, value, now_us);
		break;
	case PX_SERR:
		serr_write(p, value);
		break;
	case PX_SACT:
		sact_write(p, value);
		break;
	case PX_CI:
		ahci_model_issue(p, value);
		break;
	default:
		broken(p, "write to a register of a port that is read only");
		break;
	}
}
