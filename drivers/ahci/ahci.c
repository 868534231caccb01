/*
 * The I/O path of the AHCI driver: requests to commands in slots, finished slots to requests,
 * deadlines, orderly stop. Polled; a disk with NCQ gets queued commands, and of others
 * only FLUSH, alone (SATA s13.6 forbids a mixture).
 */
#include <string.h>
#include "ahcivar.h"
#include "bounce.h"
#include "mmio.h"
#include "ports.h"

_Static_assert(offsetof(struct ahci, blk) == 0, "ahci_of needs blk first");

static struct ahci *ahci_of(struct blk *blk)
{
	return (struct ahci *)blk;
}

static u32 bytes_of(const struct ahci *a, const struct blk_req *req)
{
	return req->op == BLK_FLUSH ? 0 : req->blocks * a->blk.block_bytes;
}

static enum status data_fill(struct ahci *a, u32 slot)
{
	const struct blk_req *req = a->slot[slot].req;

	if (a->bounce && bounce_needed(req)) {
		u8 *bounce = a->bounce + slot * AHCI_BOUNCE_BYTES;

		ahci_data(a, slot, arena_pa(a->arena, bounce), bytes_of(a, req));
		return bounce_fill(&a->blk, a->arena, req, bounce);
	}
	for (u32 i = 0; i < req->nsegs; i++)
		ahci_data(a, slot, req->seg[i].pa, req->seg[i].bytes);
	return OK;
}

/* The frame of a transfer; queued commands have their number of blocks in another place. */
static void frame_fill(struct ata_h2d *f, const struct blk_req *req, u32 slot, bool queued)
{
	f->device = ATA_DEVICE_LBA;
	f->lba0 = (u8)req->lba;
	f->lba1 = (u8)(req->lba >> 8);
	f->lba2 = (u8)(req->lba >> 16);
	f->lba3 = (u8)(req->lba >> 24);
	f->lba4 = (u8)(req->lba >> 32);
	f->lba5 = (u8)(req->lba >> 40);
	f->count = (u16)req->blocks;
	if (!queued)
		return;
	f->features = (u8)req->blocks;
	f->features_high = (u8)(req->blocks >> 8);
	f->count = (u16)ATA_FPDMA_COUNT(slot);
}

static enum status command_build(struct ahci *a, u32 slot, bool queued)
{
	static const u8 plain[] = {
		[BLK_READ] = ATA_READ_DMA_EXT,
		[BLK_WRITE] = ATA_WRITE_DMA_EXT,
		[BLK_FLUSH] = ATA_FLUSH_CACHE_EXT,
	};
	const struct blk_req *req = a->slot[slot].req;
	u8 fpdma = req->op == BLK_READ ? ATA_READ_FPDMA : ATA_WRITE_FPDMA;
	struct ata_h2d *frame = ahci_frame(a, slot, queued ? fpdma : plain[req->op]);

	if (req->op == BLK_FLUSH)
		return OK;
	if (req->op == BLK_WRITE)
		a->list[slot].flags |= AHCI_HEADER_WRITE;
	frame_fill(frame, req, slot, queued);
	return data_fill(a, slot);
}

/* Every command with a request's addresses is sent from here, those sent again too. */
static enum status slot_send(struct ahci *a, u32 slot)
{
	const struct blk_req *req = a->slot[slot].req;
	bool queued = a->queued && req->op != BLK_FLUSH;
	enum status st = blk_dma_check(&a->blk, req);

	if (st == OK)
		st = command_build(a, slot, queued);
	if (st != OK)
		return st;
	a->slot[slot].deadline_us = clock_us() + AHCI_IO_US;
	a->sent |= ahci_bit(slot);
	mmio_barrier();
	if (queued) {
		a->tagged |= ahci_bit(slot);
		ahci_port_set(a, AHCI_PXSACT, ahci_bit(slot));
	}
	ahci_port_set(a, AHCI_PXCI, ahci_bit(slot));
	return OK;
}

static void slot_finish(struct ahci *a, u32 slot, enum status st)
{
	struct blk_req *req = a->slot[slot].req;

	a->slot[slot].req = NULL;
	a->held &= ~ahci_bit(slot);
	a->sent &= ~ahci_bit(slot);
	a->tagged &= ~ahci_bit(slot);
	a->blk.inflight--;
	req->status = st;
	req->done = true;
}

void ahci_slot_failed(struct ahci *a, u32 slot)
{
	struct ahci_slot *s = &a->slot[slot];

	if (s->retried || s->req->op == BLK_FLUSH) {
		slot_finish(a, slot, s->req->op == BLK_READ ? E_READ : E_WRITE);
		return;
	}
	s->retried = true;
	a->sent &= ~ahci_bit(slot);
	a->tagged &= ~ahci_bit(slot);
	a->held |= ahci_bit(slot);
}

/*
 * Queued commands and others never meet at the disk: a flush goes when all others are done, and
 * none is taken after it until it is done.
 */
static bool may_send(const struct ahci *a, u32 slot)
{
	if (ahci_count(a->sent) >= a->at_once)
		return false;
	if (!a->queued || a->slot[slot].req->op != BLK_FLUSH)
		return true;
	return a->sent == 0 && a->held == ahci_bit(slot);
}

void ahci_issue(struct ahci *a)
{
	for (u32 i = 0; i < a->slots && a->held; i++) {
		enum status st;

		if (!a->slot[i].req || !(a->held & ahci_bit(i)) || !may_send(a, i))
			continue;
		a->held &= ~ahci_bit(i);
		st = slot_send(a, i);
		if (st != OK)
			slot_finish(a, i, st);
	}
}

/* AHCI_SLOTS: none; nor behind a flush that has to be alone. */
static u32 slot_free(const struct ahci *a)
{
	u32 found = AHCI_SLOTS;

	for (u32 i = 0; i < a->blk.depth; i++) {
		const struct blk_req *req = a->slot[i].req;

		if (!req && found == AHCI_SLOTS)
			found = i;
		if (req && req->op == BLK_FLUSH && a->queued)
			return AHCI_SLOTS;
	}
	return found;
}

static enum status ahci_submit(struct blk *blk, struct blk_req *req)
{
	struct ahci *a = ahci_of(blk);
	enum status st;
	u32 slot;

	if (blk->dead != OK)
		return blk->dead;
	if (blk->blocks == 0 || !blk_req_ok(blk, req))
		return E_INVAL;
	req->done = false;
	if (req->op == BLK_FLUSH && !a->flushes) {
		req->status = OK;
		req->done = true;
		return OK;
	}
	slot = slot_free(a);
	if (slot == AHCI_SLOTS)
		return E_BUSY;
	st = blk_dma_check(blk, req);
	if (st != OK)
		return st;
	a->slot[slot].req = req;
	a->slot[slot].retried = false;
	a->held |= ahci_bit(slot);
	blk->inflight++;
	ahci_issue(a);
	return OK;
}

void ahci_reap(struct ahci *a, u32 done)
{
	for (u32 i = 0; i < a->slots; i++) {
		const struct ahci_slot *s = &a->slot[i];

		if (!(done & ahci_bit(i)))
			continue;
		/* How much was moved is only known of commands that were not queued (s4.2.2). */
		if (!(a->tagged & ahci_bit(i)) && a->list[i].prdbc != bytes_of(a, s->req))
			ahci_slot_failed(a, i);
		else
			slot_finish(a, i, OK);
	}
}

/*
 * Looks at everything. PxIS is cleared before, and read again after, what is done: so nothing
 * new is missed, and no command that failed looks done.
 */
static enum status look(struct ahci *a, u32 is)
{
	u32 pending;

	ahci_port_set(a, AHCI_PXIS, is & ~(AHCI_IS_FAILED | AHCI_IS_LOST));
	pending = ahci_port_reg(a, AHCI_PXCI) | ahci_port_reg(a, AHCI_PXSACT);
	is = ahci_port_reg(a, AHCI_PXIS);
	if (is == AHCI_GONE || pending == AHCI_GONE)
		return blk_die(&a->blk, E_DEVICE_GONE);
	if (is & AHCI_IS_LOST || pending & ~a->sent)
		return ahci_port_reset(a, E_FATAL);
	if (is & AHCI_IS_FAILED)
		return ahci_recover(a, is, pending);
	ahci_reap(a, a->sent & ~pending);
	ahci_issue(a);
	return OK;
}

static bool any_expired(const struct ahci *a, u64 now_us)
{
	for (u32 i = 0; i < a->slots; i++) {
		if (a->sent & ahci_bit(i) && now_us >= a->slot[i].deadline_us)
			return true;
	}
	return false;
}

static enum status ahci_poll(struct blk *blk)
{
	struct ahci *a = ahci_of(blk);
	u64 now_us = clock_us();
	enum status st = OK;
	u32 is;

	if (blk->dead != OK)
		return blk->dead;
	if (blk->inflight == 0)
		return OK;
	is = ahci_port_reg(a, AHCI_PXIS);
	if (is != 0 || now_us >= a->look_us) {
		a->look_us = now_us + AHCI_LOOK_US;
		st = look(a, is);
	}
	if (st == OK && any_expired(a, now_us))
		st = ahci_port_reset(a, E_TIMEOUT);
	return st;
}

static enum status ahci_stop(struct blk *blk)
{
	struct ahci *a = ahci_of(blk);
	enum status st = blk_drain(blk);

	if (st == OK)
		st = ahci_port_stop(a);
	return blk_silence(blk, &a->pci, st);
}

const struct blk_ops ahci_blk_ops = {
	.submit = ahci_submit,
	.poll = ahci_poll,
	.select = ahci_select,
	.stop = ahci_stop,
};
