/*
 * The I/O path of the NVMe driver: requests to commands, completions to requests,
 * deadlines, what to do about trouble, orderly stop. Polled; no interrupts, one queue pair, one
 * namespace.
 */
#include <string.h>
#include "nvmevar.h"
#include "ports.h"

_Static_assert(offsetof(struct nvme, blk) == 0, "nvme_of needs blk first");

static struct nvme *nvme_of(struct blk *blk)
{
	return (struct nvme *)blk;
}

/* Page addresses after the first go to the slot's list; returns how many there are. */
static u32 list_fill(struct nvme_slot *slot, const struct blk_req *req)
{
	u32 count = 0;

	for (u32 i = 0; i < req->nsegs; i++) {
		const struct blk_seg *s = &req->seg[i];
		u64 pa = s->pa;

		if (i == 0)
			pa = (pa & ~(u64)(NVME_PAGE_BYTES - 1)) + NVME_PAGE_BYTES;
		for (; pa < s->pa + s->bytes && count < NVME_LIST_PRPS; pa += NVME_PAGE_BYTES)
			slot->list[count++] = pa;
	}
	return count;
}

static void command_build(const struct nvme *n, struct nvme_slot *slot, struct nvme_sqe *sqe)
{
	static const u8 opcodes[] = {[BLK_READ] = NVME_IO_READ,
		[BLK_WRITE] = NVME_IO_WRITE,
		[BLK_FLUSH] = NVME_IO_FLUSH};
	const struct blk_req *req = slot->req;
	u32 more;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcodes[req->op];
	sqe->cid = slot->cid;
	sqe->nsid = n->nsid;
	if (req->op == BLK_FLUSH)
		return;
	more = list_fill(slot, req);
	sqe->prp1 = req->seg[0].pa;
	if (more > 0)
		sqe->prp2 = more == 1 ? slot->list[0] : slot->list_pa;
	sqe->cdw10 = (u32)req->lba;
	sqe->cdw11 = (u32)(req->lba >> 32);
	sqe->cdw12 = req->blocks - 1;
}

/* Every command with a request's addresses is sent from here, those sent again too. */
static enum status slot_send(struct nvme *n, struct nvme_slot *slot)
{
	struct nvme_sqe sqe;
	u32 index = (u32)(slot - n->slot);
	enum status st = blk_dma_check(&n->blk, slot->req);

	if (st != OK)
		return st;
	if (!blk_ours(&n->blk, slot->list_pa, NVME_LIST_BYTES))
		return E_DMA;
	slot->cid = (u16)((u32)slot->uses << NVME_CID_SLOT_BITS | index);
	slot->uses++;
	slot->deadline_us = clock_us() + NVME_IO_TIMEOUT_US;
	command_build(n, slot, &sqe);
	nvme_queue_push(n, &n->io, &sqe);
	return OK;
}

static struct nvme_slot *slot_free(struct nvme *n)
{
	for (u32 i = 0; i < n->blk.depth; i++) {
		if (!n->slot[i].req)
			return &n->slot[i];
	}
	return NULL;
}

static enum status nvme_submit(struct blk *blk, struct blk_req *req)
{
	struct nvme *n = nvme_of(blk);
	struct nvme_slot *slot;
	enum status st;

	if (blk->dead != OK)
		return blk->dead;
	if (!blk_req_ok(blk, req))
		return E_INVAL;
	req->done = false;
	if (req->op == BLK_FLUSH && !n->vwc) {
		/* Completed writes are durable already. */
		req->status = OK;
		req->done = true;
		return OK;
	}
	slot = slot_free(n);
	if (!slot)
		return E_BUSY;
	slot->req = req;
	slot->retried = false;
	st = slot_send(n, slot);
	if (st != OK)
		slot->req = NULL;
	else
		blk->inflight++;
	return st;
}

static void slot_finish(struct nvme *n, struct nvme_slot *slot, enum status st)
{
	struct blk_req *req = slot->req;

	req->status = st;
	slot->req = NULL;
	n->blk.inflight--;
	req->done = true;
}

static void slot_again(struct nvme *n, struct nvme_slot *slot)
{
	enum status st = slot_send(n, slot);

	if (st != OK)
		slot_finish(n, slot, st);
}

static void slot_end(struct nvme *n, struct nvme_slot *slot, u32 status)
{
	u32 code = NVME_STATUS_CODE(status);
	bool flush = slot->req->op == BLK_FLUSH;
	bool may_again = code == NVME_CODE_ABORTED || (!flush && !(status & NVME_STATUS_DNR));

	if (code == 0) {
		slot_finish(n, slot, OK);
	} else if (slot->retried || !may_again) {
		slot_finish(n, slot, slot->req->op == BLK_READ ? E_READ : E_WRITE);
	} else {
		slot->retried = true;
		slot_again(n, slot);
	}
}

/* One completion; a controller that reports what was never asked is not to be trusted. */
static enum status complete(struct nvme *n, const struct nvme_cqe *cqe)
{
	u32 index = cqe->cid & NVME_CID_SLOT_MASK;

	if (cqe->sq_id != NVME_IO_QID || index >= NVME_SLOTS || !n->slot[index].req ||
		n->slot[index].cid != cqe->cid)
		return E_FATAL;
	slot_end(n, &n->slot[index], cqe->status);
	return OK;
}

/* At most one round of the queue; *@count says how many completions there were. */
static enum status reap(struct nvme *n, u32 *count)
{
	struct nvme_cqe cqe;
	enum status st = OK;

	for (*count = 0; *count < n->io.entries && st == OK; ++*count) {
		if (!nvme_queue_pop(&n->io, &cqe))
			break;
		st = complete(n, &cqe);
	}
	if (*count > 0)
		nvme_queue_release(n, &n->io);
	return st;
}

static const struct nvme_slot *slot_late(const struct nvme *n, u64 now_us)
{
	for (u32 i = 0; i < NVME_SLOTS; i++) {
		if (n->slot[i].req && now_us >= n->slot[i].deadline_us)
			return &n->slot[i];
	}
	return NULL;
}

/* Until the command with @cid in @slot ends, or n->limit_us. */
static enum status late_wait(struct nvme *n, const struct nvme_slot *slot, u16 cid)
{
	for (;;) {
		bool expired = clock_us() >= n->limit_us;
		enum status st = nvme_health(n);
		u32 count;

		if (st == OK)
			st = reap(n, &count);
		if (st != OK || !slot->req || slot->cid != cid)
			return st;
		if (expired)
			return E_TIMEOUT;
	}
}

/*
 * Asks the controller to abort what is late, one by one (s5.1), and waits for the end of each. It
 * may refuse, and the command end all the same. E_TIMEOUT if one does not.
 */
static enum status late_abort(struct nvme *n)
{
	const struct nvme_slot *slot;
	enum status st = OK;

	n->limit_us = clock_us() + NVME_ABORT_TIMEOUT_US;
	while (st == OK && (slot = slot_late(n, clock_us())) != NULL) {
		u16 cid = slot->cid;
		struct nvme_sqe sqe = {
			.opcode = NVME_ADMIN_ABORT, .cdw10 = NVME_ABORT_WHICH(cid) | NVME_IO_QID};

		st = nvme_admin_once(n, &sqe);
		if (st == OK || st == E_COMMAND)
			st = late_wait(n, slot, cid);
	}
	n->limit_us = UINT64_MAX;
	return st;
}

enum status nvme_recover(struct nvme *n, enum status why)
{
	enum status st;

	if (why == E_COMMAND || why == E_DMA)
		return why;
	if (why == E_DEVICE_GONE || n->blk.resets > 0)
		return blk_die(&n->blk, why);
	n->blk.resets++;
	st = nvme_restart(n);
	if (st != OK)
		return blk_die(&n->blk, st == E_DEVICE_GONE ? st : why);
	for (u32 i = 0; i < NVME_SLOTS; i++) {
		if (n->slot[i].req)
			slot_again(n, &n->slot[i]);
	}
	return OK;
}

static enum status nvme_poll(struct blk *blk)
{
	struct nvme *n = nvme_of(blk);
	u64 now_us = clock_us();
	enum status st;
	u32 count;

	if (blk->dead != OK)
		return blk->dead;
	st = reap(n, &count);
	/* Register reads are slow; while nothing completes one a millisecond is enough. */
	if (st == OK && count == 0 && now_us >= n->idle_check_us) {
		n->idle_check_us = now_us + NVME_IDLE_CHECK_US;
		st = nvme_health(n);
	}
	if (st == OK && slot_late(n, now_us))
		st = late_abort(n);
	return st == OK ? OK : nvme_recover(n, st);
}

/* Shutdown notification (s7.6.2), then disable. */
static enum status shut_down(struct nvme *n)
{
	u32 cc = nvme_reg(n, NVME_CC);
	enum status st;

	if (cc == NVME_GONE)
		return E_DEVICE_GONE;
	nvme_reg_set(n, NVME_CC, cc | NVME_CC_SHN_NORMAL);
	st = nvme_wait_csts(
		n, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE, NVME_SHUTDOWN_TIMEOUT_US, E_TIMEOUT);
	return st == OK ? nvme_disable(n) : st;
}

static enum status nvme_stop(struct blk *blk)
{
	struct nvme *n = nvme_of(blk);
	enum status st = blk_drain(blk);

	if (st == OK)
		st = shut_down(n);
	return blk_silence(blk, &n->pci, st);
}

const struct blk_ops nvme_blk_ops = {
	.submit = nvme_submit, .poll = nvme_poll, .select = nvme_select, .stop = nvme_stop};
