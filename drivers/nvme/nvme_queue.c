/*
 * Registers, queue pairs and admin commands of the NVMe driver: how to talk to a
 * controller, not what about.
 */
#include "mmio.h"
#include "nvmevar.h"
#include "ports.h"

u32 nvme_reg(const struct nvme *n, u32 offset)
{
	return mmio_read32(n->regs, offset);
}

void nvme_reg_set(const struct nvme *n, u32 offset, u32 value)
{
	mmio_write32(n->regs, offset, value);
}

enum status nvme_wait_csts(
	const struct nvme *n, u32 mask, u32 want, u64 timeout_us, enum status late)
{
	u64 deadline_us = min_u64(clock_us() + timeout_us, n->limit_us);

	for (;;) {
		bool expired = clock_us() >= deadline_us;
		u32 csts = nvme_reg(n, NVME_CSTS);

		if (csts == NVME_GONE)
			return E_DEVICE_GONE;
		if ((csts & mask) == want)
			return OK;
		/* Nothing comes up any more; going down is how a fatal status is left. */
		if (want != 0 && csts & NVME_CSTS_CFS)
			return E_FATAL;
		if (expired)
			return late;
	}
}

/*
 * Before a reset: until the controller is up, if it is still coming (else undefined, s3.1.5),
 * and until a shutdown that somebody asked for has saved its cache (s7.6.2). If that never
 * happens, so be it; a fatal status ends both waits. E_DEVICE_GONE and nothing else.
 */
static enum status settle(const struct nvme *n, u32 cc)
{
	enum status st = OK;
	u32 csts;

	if (cc & NVME_CC_EN)
		st = nvme_wait_csts(n, NVME_CSTS_RDY, NVME_CSTS_RDY, n->ready_timeout_us, E_READY);
	if (st == E_DEVICE_GONE)
		return st;
	csts = nvme_reg(n, NVME_CSTS);
	if (csts == NVME_GONE)
		return E_DEVICE_GONE;
	if ((csts & NVME_CSTS_SHST) != NVME_CSTS_SHST_BUSY)
		return OK;
	st = nvme_wait_csts(
		n, NVME_CSTS_SHST, NVME_CSTS_SHST_DONE, NVME_SHUTDOWN_TIMEOUT_US, E_TIMEOUT);
	return st == E_DEVICE_GONE ? st : OK;
}

enum status nvme_disable(const struct nvme *n)
{
	u32 cc = nvme_reg(n, NVME_CC);
	enum status st;

	if (cc == NVME_GONE)
		return E_DEVICE_GONE;
	if (settle(n, cc) != OK)
		return E_DEVICE_GONE;
	nvme_reg_set(n, NVME_CC, cc & ~(NVME_CC_EN | NVME_CC_SHN));
	st = nvme_wait_csts(n, NVME_CSTS_RDY, 0, n->ready_timeout_us, E_READY);
	if (st != OK)
		return st;
	/* A fatal status goes with the reset; one that stays shows when the controller comes up. */
	st = nvme_wait_csts(n, NVME_CSTS_CFS, 0, n->ready_timeout_us, E_READY);
	return st == E_DEVICE_GONE ? st : OK;
}

enum status nvme_health(const struct nvme *n)
{
	u32 csts = nvme_reg(n, NVME_CSTS);

	if (csts == NVME_GONE)
		return E_DEVICE_GONE;
	/* Not ready while in use: it was reset behind our back and has forgotten the queues. */
	return csts & NVME_CSTS_CFS || !(csts & NVME_CSTS_RDY) ? E_FATAL : OK;
}

void nvme_queue_push(const struct nvme *n, struct nvme_queue *q, const struct nvme_sqe *sqe)
{
	q->sq[q->tail] = *sqe;
	q->tail = (q->tail + 1) % q->entries;
	mmio_barrier();
	nvme_reg_set(n, NVME_SQ_TAIL(q->qid, n->stride), q->tail);
}

bool nvme_queue_pop(struct nvme_queue *q, struct nvme_cqe *out)
{
	const struct nvme_cqe *cqe = &q->cq[q->head];

	/* The phase bit is written last; nothing else may be read before it. */
	mmio_barrier();
	if ((cqe->status & NVME_STATUS_PHASE) != q->phase)
		return false;
	mmio_barrier();
	*out = *cqe;
	q->head++;
	if (q->head == q->entries) {
		q->head = 0;
		q->phase ^= NVME_STATUS_PHASE;
	}
	return true;
}

void nvme_queue_release(const struct nvme *n, const struct nvme_queue *q)
{
	mmio_barrier();
	nvme_reg_set(n, NVME_CQ_HEAD(q->qid, n->stride), q->head);
}

/* Waits for the one admin command in flight. */
static enum status admin_wait(struct nvme *n, struct nvme_cqe *cqe)
{
	u64 deadline_us = min_u64(clock_us() + NVME_ADMIN_TIMEOUT_US, n->limit_us);

	for (;;) {
		bool expired = clock_us() >= deadline_us;
		enum status st;

		if (nvme_queue_pop(&n->admin, cqe))
			return OK;
		st = nvme_health(n);
		if (st != OK)
			return st;
		if (expired)
			return E_TIMEOUT;
	}
}

bool nvme_page_ours(const struct nvme *n, u64 pa)
{
	return pa % NVME_PAGE_BYTES == 0 && blk_ours(&n->blk, pa, NVME_PAGE_BYTES);
}

/* All that any of our admin commands points to is one page, which most of them write. */
static bool admin_dma_ok(const struct nvme *n, const struct nvme_sqe *sqe)
{
	bool none = sqe->opcode == NVME_ADMIN_SET_FEATURES || sqe->opcode == NVME_ADMIN_ABORT;

	return sqe->prp2 == 0 && (none ? sqe->prp1 == 0 : nvme_page_ours(n, sqe->prp1));
}

enum status nvme_admin_once(struct nvme *n, struct nvme_sqe *sqe)
{
	if (!admin_dma_ok(n, sqe))
		return E_DMA;
	for (u32 tries = 2; tries > 0; tries--) {
		struct nvme_cqe cqe;
		enum status st;

		sqe->cid = n->admin_cid;
		n->admin_cid = (u16)((n->admin_cid + 1) % NVME_CID_FORBIDDEN);
		nvme_queue_push(n, &n->admin, sqe);
		st = admin_wait(n, &cqe);
		if (st != OK)
			return st;
		nvme_queue_release(n, &n->admin);
		if (cqe.cid != sqe->cid || cqe.sq_id != NVME_ADMIN_QID)
			return E_FATAL;
		if (NVME_STATUS_CODE(cqe.status) == 0)
			return OK;
		if (cqe.status & NVME_STATUS_DNR)
			break;
	}
	return E_COMMAND;
}

enum status nvme_admin(struct nvme *n, struct nvme_sqe *sqe)
{
	enum status st = n->blk.dead;

	if (st != OK)
		return st;
	/* Ends: it recovers once. */
	while ((st = nvme_admin_once(n, sqe)) != OK && (st = nvme_recover(n, st)) == OK)
		;
	return st;
}
