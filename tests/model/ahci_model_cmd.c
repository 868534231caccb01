/*
 * Commands on a port of the modelled HBA: fetched from memory, given to the drive, ended
 * by FISes, or by what the fault says. The drive itself is in ahci_model_ata.c.
 */
#include <string.h>
#include "ahci_model.h"
#include "ports.h"

#define LATE_US	    2000000ull
#define TOO_LATE_US 200000000ull
#define DET_UP	    3u
#define SLOTS(cap)  (((cap) >> 8 & 31) + 1)

static void broken(struct ahci_model_port *p, const char *what)
{
	ahci_model_broken(p->hba, what);
}

static bool faulty(const struct ahci_model_port *p, enum ahci_fault fault, u64 number)
{
	return ahci_model_fault(p->hba, fault, number);
}

static void fail(struct ahci_model_port *p, u32 is)
{
	p->halted = true;
	ahci_model_port_raise(p, is);
}

/* Puts a FIS into memory if the host takes any. */
static void post(struct ahci_model_port *p, u32 at, const u8 *fis, u32 bytes)
{
	u8 *to = p->cmd & CMD_FR ? ahci_model_dma(p->hba, p->fb + at, bytes, true) : NULL;

	if (to)
		memcpy(to, fis, bytes);
}

void ahci_model_d2h(struct ahci_model_port *p, u8 status, u8 error, bool interrupt)
{
	u8 fis[20] = {FIS_D2H, interrupt ? FIS_INTR : 0, status, error};

	fis[4] = (u8)(p->sig >> 8);
	fis[5] = (u8)(p->sig >> 16);
	fis[6] = (u8)(p->sig >> 24);
	fis[12] = (u8)p->sig;
	post(p, RFIS_D2H, fis, sizeof(fis));
	p->tfd = status | (u32)error << 8;
	if (status & STS_ERR)
		fail(p, IS_TFES);
	if (interrupt)
		ahci_model_port_raise(p, IS_DHRS);
}

void ahci_model_sdb(struct ahci_model_port *p, u32 done, u8 status, u8 error)
{
	u8 fis[8] = {FIS_SDB, FIS_INTR, status & 0x77, error};

	memcpy(fis + 4, &done, 4);
	post(p, RFIS_SDB, fis, sizeof(fis));
	p->tfd = (p->tfd & 0x88) | (status & 0x77) | (u32)error << 8;
	p->sact &= ~done;
	if (status & STS_ERR)
		fail(p, IS_TFES);
	ahci_model_port_raise(p, IS_SDBS);
}

static bool any_live(const struct ahci_model_port *p, bool queued)
{
	for (u32 i = 0; i < AHCI_MODEL_SLOTS; i++) {
		if (p->cmds[i].live && p->cmds[i].queued == queued)
			return true;
	}
	return false;
}

void ahci_model_drop_queue(struct ahci_model_port *p, u8 tag, bool queued, u8 error)
{
	bool error_state = queued || p->stale || any_live(p, true);

	memset(p->cmds, 0, sizeof(p->cmds));
	p->stale = false;
	if (p->disk.ncq_error)
		return; /* the log keeps the first */
	p->disk.ncq_error = error_state && p->disk.depth > 0;
	p->disk.log_tag = tag;
	p->disk.log_nq = !queued;
	p->disk.log_error = error;
}

void ahci_model_issue(struct ahci_model_port *p, u32 slots)
{
	u32 all = (u32)((1ull << SLOTS(p->hba->cap)) - 1);

	if (slots && !(p->cmd & CMD_ST)) {
		broken(p, "CI without ST");
		return;
	}
	if (slots & ~all)
		broken(p, "a slot that is not there");
	for (u32 i = 0; i < AHCI_MODEL_SLOTS; i++) {
		if (slots >> i & 1 && (p->ci >> i & 1 || (p->cmds[i].live && !p->stale)))
			broken(p, "a slot in use issued");
	}
	p->ci |= slots;
}

static bool is_queued(const u8 *fis)
{
	return fis[2] == ATA_READ_FPDMA || fis[2] == ATA_WRITE_FPDMA;
}

/* A software reset in two FISes (s10.4.1). */
static void control(struct ahci_model_port *p, u32 slot, const u8 *fis)
{
	if (fis[15] & CTL_SRST) {
		memset(p->cmds, 0, sizeof(p->cmds));
		p->stale = p->disk.ncq_error = false;
		p->tfd |= STS_BSY;
	} else if (p->srst) {
		p->announced = !p->disk.never_ready;
		p->sig_us = clock_us() + p->disk.spin_up_us;
	}
	p->srst = fis[15] & CTL_SRST;
	p->ci &= ~(1u << slot);
}

/* Rules for a command header and the FIS (s4.2.2, s4.2.3, s5.6). */
static void rules(struct ahci_model_port *p, u32 slot, const u32 *header, const u8 *fis)
{
	const struct ahci_model_cmd *c = &p->cmds[slot];
	bool sact = p->sact >> slot & 1;

	if (HDR_CFL(header[0]) != 5 || header[0] & (HDR_A | HDR_R | HDR_B | HDR_C) ||
		HDR_PMP(header[0]))
		broken(p, "malformed command header");
	if (header[4] | header[5] | header[6] | header[7])
		broken(p, "reserved words of a header");
	if (fis[0] != FIS_H2D || fis[1] != FIS_C)
		broken(p, "malformed FIS");
	if (!!(header[0] & HDR_W) != c->write)
		broken(p, "direction of a command");
	if (!HDR_PRDTL(header[0]) != !(c->blocks || c->bytes))
		broken(p, "memory for a command without data, or none");
	if (c->queued && header[0] & HDR_P)
		broken(p, "prefetch of a queued command");
	if (c->queued != sact && !faulty(p, AHCI_FAULT_SDB_EARLY, c->number))
		broken(p, "SACT does not fit the command");
	if (any_live(p, !c->queued) && !p->stale)
		broken(p, "queued and other commands together");
}

/* The drive hears of a command while it still has some of before the port was stopped. */
static bool refused_stale(struct ahci_model_port *p, const u8 *fis)
{
	if (!p->stale)
		return false;
	if (is_queued(fis) || any_live(p, false))
		broken(p, "a command on top of those of before the stop");
	ahci_model_drop_queue(p, 0, false, ERR_ABRT);
	if (fis[2] == ATA_READ_LOG_EXT)
		return false;
	ahci_model_d2h(p, STS_RDY | STS_ERR, ERR_ABRT, true);
	return true;
}

static u64 due_us(struct ahci_model_port *p, const struct ahci_model_cmd *c, u64 now_us)
{
	struct ahci_model *m = p->hba;

	if (faulty(p, AHCI_FAULT_NEVER, c->number) || faulty(p, AHCI_FAULT_BUSY, c->number) ||
		faulty(p, AHCI_FAULT_BUSY_EVER, c->number))
		return UINT64_MAX;
	if (faulty(p, AHCI_FAULT_LATE, c->number) || faulty(p, AHCI_FAULT_SDB_EARLY, c->number))
		return now_us + LATE_US;
	if (faulty(p, AHCI_FAULT_TOO_LATE, c->number))
		return now_us + TOO_LATE_US;
	return now_us + m->command_us + ahci_model_random(m, m->spread_us);
}

/* The drive has taken the command; a queued one's slot is free in CI from here on. */
static void accept(struct ahci_model_port *p, u32 slot, u64 now_us)
{
	struct ahci_model_cmd *c = &p->cmds[slot];

	c->due_us = due_us(p, c, now_us);
	if (!c->queued || faulty(p, AHCI_FAULT_BUSY, c->number)) {
		p->tfd |= STS_BSY;
		return;
	}
	p->hba->queued++;
	if (faulty(p, AHCI_FAULT_SDB_EARLY, c->number)) {
		ahci_model_sdb(p, 1u << slot, STS_RDY, 0);
		return;
	}
	p->ci &= ~(1u << slot);
	ahci_model_d2h(p, STS_RDY, 0, false);
}

/* Faults that strike when the command reaches the drive; true: nothing comes of it. */
static bool struck(struct ahci_model_port *p, u32 slot, const u8 *fis, u64 now_us)
{
	u64 number = p->hba->commands;
	struct ahci_model *m = p->hba;

	if (faulty(p, AHCI_FAULT_GONE, number))
		m->gone = true;
	else if (faulty(p, AHCI_FAULT_UNPLUG, number))
		ahci_model_unplug(p);
	else if (faulty(p, AHCI_FAULT_POWER, number) || faulty(p, AHCI_FAULT_POWER_BACK, number))
		ahci_model_power_loss(p, now_us, m->fault == AHCI_FAULT_POWER_BACK);
	else if (faulty(p, AHCI_FAULT_D2H_ERROR, number)) {
		ahci_model_drop_queue(p, (u8)slot, is_queued(fis), ERR_ABRT);
		ahci_model_d2h(p, STS_RDY | STS_ERR, ERR_ABRT, true);
		m->failed++;
	} else
		return false;
	return true;
}

/* One command from memory; false: the HBA can not go on. */
static bool fetch(struct ahci_model_port *p, u32 slot, u64 now_us)
{
	struct ahci_model *m = p->hba;
	struct ahci_model_cmd *c = &p->cmds[slot];
	u64 header_pa = p->clb + slot * HEADER_BYTES, table_pa;
	const u8 *at = ahci_model_dma(m, header_pa, HEADER_BYTES, false);
	u32 header[8];
	u8 fis[64];

	if (at)
		memcpy(header, at, sizeof(header));
	table_pa = at ? header[2] | (u64)header[3] << 32 : 0;
	at = at ? ahci_model_dma(m, table_pa, TABLE_PRDT, false) : NULL;
	if (!at || table_pa % 128) {
		fail(p, IS_HBFS);
		return false;
	}
	memcpy(fis, at, sizeof(fis));
	if (!(fis[1] & FIS_C)) {
		control(p, slot, fis);
		return true;
	}
	m->commands++;
	p->cmd = (p->cmd & ~CMD_CCS(31)) | CMD_CCS(slot);
	if (faulty(p, AHCI_FAULT_SHRINK, m->commands))
		ahci_model_shrink(m);
	p->busy_ever = p->busy_ever || faulty(p, AHCI_FAULT_BUSY_EVER, m->commands);
	if (struck(p, slot, fis, now_us) || refused_stale(p, fis))
		return false;
	*c = (struct ahci_model_cmd) {.number = m->commands,
		.header = header[0],
		.header_pa = header_pa,
		.table_pa = table_pa};
	if (!ahci_model_decode(p, slot, fis)) {
		m->failed++;
		ahci_model_drop_queue(p, (u8)slot, is_queued(fis), ERR_ABRT);
		ahci_model_d2h(p, STS_RDY | STS_ERR, ERR_ABRT, true);
		return false;
	}
	rules(p, slot, header, fis);
	c->live = true;
	accept(p, slot, now_us);
	return true;
}

static void finish_error(struct ahci_model_port *p, u32 slot, u8 error)
{
	bool queued = p->cmds[slot].queued;

	p->hba->failed++;
	if (queued)
		ahci_model_drop_queue(p, (u8)slot, true, error);
	p->cmds[slot].live = false;
	if (queued)
		ahci_model_sdb(p, 0, STS_RDY | STS_ERR, error);
	else
		ahci_model_d2h(p, STS_RDY | STS_ERR, error, true);
}

static void finish_good(struct ahci_model_port *p, u32 slot)
{
	struct ahci_model_cmd *c = &p->cmds[slot];
	u8 pio[20] = {FIS_PIO, FIS_INTR | 0x20, STS_RDY | STS_DRQ};
	u32 done = 1u << slot;

	c->live = false;
	if (!c->queued && c->bytes) { /* ends with its PIO setup FIS */
		pio[15] = STS_RDY;
		post(p, RFIS_PIO, pio, sizeof(pio));
		p->tfd = STS_RDY;
		p->ci &= ~done;
		ahci_model_port_raise(p, IS_PSS);
		return;
	}
	if (!c->queued) {
		p->ci &= ~done;
		ahci_model_d2h(p, STS_RDY, 0, true);
		return;
	}
	if (faulty(p, AHCI_FAULT_SDB_EARLY, c->number)) {
		p->ci &= ~done;
		return;
	}
	if (faulty(p, AHCI_FAULT_SDB_ALL, c->number))
		done |= ~p->sact;
	if (faulty(p, AHCI_FAULT_SDB_NONE, c->number))
		ahci_model_sdb(p, 0, STS_RDY, 0);
	ahci_model_sdb(p, done, STS_RDY, 0);
}

/* Fatal errors of the interface or of the bus to memory. */
static bool fatal(struct ahci_model_port *p, u32 slot)
{
	const struct ahci_model_cmd *c = &p->cmds[slot];

	if (faulty(p, AHCI_FAULT_INTERFACE, c->number)) {
		if (c->queued)
			ahci_model_drop_queue(p, (u8)slot, true, ERR_ICRC);
		p->serr |= SERR_C;
		fail(p, IS_IFS);
		return true;
	}
	if (faulty(p, AHCI_FAULT_BUS, c->number) || faulty(p, AHCI_FAULT_BUS_DATA, c->number)) {
		p->stale = true;
		fail(p, p->hba->fault == AHCI_FAULT_BUS ? IS_HBFS : IS_HBDS);
		return true;
	}
	if (faulty(p, AHCI_FAULT_NONFATAL, c->number))
		ahci_model_port_raise(p, IS_INFS);
	return false;
}

static void finish(struct ahci_model_port *p, u32 slot)
{
	struct ahci_model_cmd *c = &p->cmds[slot];
	bool half = faulty(p, AHCI_FAULT_SHORT, c->number) && !c->queued;
	u8 error = ERR_UNC;

	if (fatal(p, slot))
		return;
	if (!faulty(p, AHCI_FAULT_ERROR, c->number))
		error = ahci_model_perform(p, c, half);
	if (p->halted)
		return; /* memory could not be reached */
	if (error)
		finish_error(p, slot, error);
	else
		finish_good(p, slot);
}

static bool runs(const struct ahci_model_port *p)
{
	return p->cmd & CMD_ST && !p->halted && (p->ssts & 15) == DET_UP && !p->hba->gone;
}

void ahci_model_run(struct ahci_model_port *p, u64 now_us)
{
	if (p->old) {
		if (p->cmd & (CMD_CR | CMD_FR) && pci_model_masters(p->hba->fn))
			p->hba->stray_dma++; /* commands of before are still running */
		return;
	}
	if (!(p->ci | p->sact))
		return;
	for (u32 i = 0; i < AHCI_MODEL_SLOTS; i++) {
		u32 slot = p->hba->reverse ? AHCI_MODEL_SLOTS - 1 - i : i;

		if (!((p->ci | p->sact) >> slot & 1) || !runs(p))
			continue;
		if (p->cmds[slot].live && !p->stale && p->cmds[slot].due_us <= now_us)
			finish(p, slot);
	}
	for (u32 slot = 0; slot < AHCI_MODEL_SLOTS && p->ci && runs(p); slot++) {
		bool fresh = p->ci >> slot & 1 && (!p->cmds[slot].live || p->stale);

		if (fresh && !(p->tfd & STS_BSY) && !p->busy_ever && !fetch(p, slot, now_us))
			break;
	}
}
