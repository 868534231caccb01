/*
 * Registers, queues and faults of the modelled NVMe controller. Commands run when
 * their doorbell rings; completions appear at once or some register reads later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nvme_model.h"
#include "tests/host/ports_mem.h"

#define BAR_PA(bdf)  (0x800000000ull + (u64)(bdf)*0x100000)
#define BAR_BYTES    0x90000u
#define LATE_READS   40
#define STATUS_FAIL  (0x281u << 1) /* media error: unrecovered read */
#define CSTS_NOTHING 0

static bool fault_now(const struct nvme_model *m, enum nvme_fault fault)
{
	return m->fault == fault && m->commands >= m->fault_at &&
	       m->commands - m->fault_at < m->fault_count && (m->qid || !m->fault_io);
}

u8 *nvme_model_dma(struct nvme_model *m, u64 pa, u64 bytes, bool to_memory)
{
	bool allowed =
		!to_memory || (pa >= m->dma_first && pa <= m->dma_end && bytes <= m->dma_end - pa);
	u8 *p = host_ram_at(pa, bytes);

	if (!pci_model_masters(m->fn) || !pci_model_reaches_memory(m->fn))
		return NULL; /* can not get out, or a bridge does not pass it on */
	if (p && allowed)
		return p;
	m->stray_dma++;
	return NULL;
}

static void post(struct nvme_model *m, const struct nvme_model_pending *p)
{
	struct nvme_model_queue *q = &m->queue[p->qid];
	struct nvme_cqe *cqe;
	u32 next;

	if (!q->live)
		return;
	next = (q->cq_tail + 1) % q->cq_entries;
	if (next == q->cq_head) {
		m->protocol_errors++; /* the host asked for more than it has room for */
		return;
	}
	cqe = (void *)nvme_model_dma(m, q->cq_pa + q->cq_tail * sizeof(*cqe), sizeof(*cqe), true);
	if (!cqe)
		return;
	*cqe = p->cqe;
	cqe->status = (u16)((cqe->status & ~1u) | (q->phase ^ (p->cqe.status & 1)));
	q->cq_tail = next;
	if (next == 0)
		q->phase ^= 1;
	if (q->interrupts && pci_model_interrupt(m->fn))
		m->stray_dma++;
}

void nvme_model_end(struct nvme_model *m, u32 qid, const struct nvme_cqe *cqe, u64 delay)
{
	struct nvme_model_pending *p = &m->pending[m->pending_count++];

	if (m->pending_count > NVME_MODEL_PENDING)
		abort();
	p->due_read = m->reads + delay;
	p->qid = qid;
	p->cqe = *cqe;
}

/* Posts what is due, in order or the other way round. */
static void settle(struct nvme_model *m)
{
	u32 count = m->pending_count;
	struct nvme_model_pending list[NVME_MODEL_PENDING];

	memcpy(list, m->pending, sizeof(list));
	m->pending_count = 0;
	for (u32 i = 0; i < count; i++) {
		const struct nvme_model_pending *p = &list[m->lifo ? count - 1 - i : i];

		if (p->due_read <= m->reads)
			post(m, p);
	}
	for (u32 i = 0; i < count; i++) {
		if (list[i].due_read > m->reads)
			m->pending[m->pending_count++] = list[i];
	}
}

static void hold(struct nvme_model *m, u32 qid, const struct nvme_sqe *sqe)
{
	if (m->held_count == NVME_MODEL_PENDING)
		abort();
	m->held[m->held_count++] = (struct nvme_model_held) {qid, *sqe};
}

static void forget(struct nvme_model *m)
{
	memset(m->queue, 0, sizeof(m->queue));
	m->pending_count = m->held_count = 0;
	m->firmware = false;
	if (m->loses)
		nvme_model_cut(m);
	else
		nvme_model_flush(m);
}

/* What the fault does to the controller, before the command. */
static void controller_faults(struct nvme_model *m)
{
	m->gone = m->gone || fault_now(m, NVME_FAULT_GONE);
	if (fault_now(m, NVME_FAULT_FATAL))
		m->csts |= NVME_CSTS_CFS;
	if (fault_now(m, NVME_FAULT_RESET)) {
		forget(m);
		m->cc = m->csts = 0;
	}
	if (fault_now(m, NVME_FAULT_SHRINK))
		m->ns[0].blocks = m->ns[0].blocks > 8 ? 8 : m->ns[0].blocks;
}

/* One command: run it, or do what the fault says. */
static void execute(struct nvme_model *m, u32 qid, const struct nvme_sqe *sqe)
{
	struct nvme_cqe cqe = {
		.cid = sqe->cid, .sq_id = (u16)qid, .sq_head = (u16)m->queue[qid].sq_head};
	u64 delay = qid ? m->delay_reads : 0;

	m->commands += qid || !m->fault_io;
	m->qid = qid;
	if (fault_now(m, NVME_FAULT_NEVER)) {
		hold(m, qid, sqe);
		return;
	}
	controller_faults(m);
	if (m->gone || m->csts != NVME_CSTS_RDY)
		return;
	m->result = 0;
	if (fault_now(m, NVME_FAULT_STATUS))
		cqe.status = STATUS_FAIL;
	else if (fault_now(m, NVME_FAULT_STATUS_DNR))
		cqe.status = STATUS_FAIL | NVME_STATUS_DNR;
	else
		cqe.status = nvme_model_run(m, qid, sqe);
	if (qid == 0 && sqe->opcode == NVME_ADMIN_ABORT && m->abort == NVME_ABORT_LOST)
		return;
	cqe.result = m->result;
	if (cqe.status)
		m->failed++;
	if (fault_now(m, NVME_FAULT_PHASE))
		cqe.status |= NVME_STATUS_PHASE;
	if (fault_now(m, NVME_FAULT_CID))
		cqe.cid ^= 0x20;
	if (fault_now(m, NVME_FAULT_SQID))
		cqe.sq_id ^= 2;
	if (fault_now(m, NVME_FAULT_LATE))
		delay = LATE_READS;
	nvme_model_end(m, qid, &cqe, delay);
	if (fault_now(m, NVME_FAULT_SPURIOUS))
		cqe.cid ^= 0x15;
	if (fault_now(m, NVME_FAULT_DUPLICATE) || fault_now(m, NVME_FAULT_SPURIOUS))
		nvme_model_end(m, qid, &cqe, delay);
}

static void ring_tail(struct nvme_model *m, u32 qid, u32 tail)
{
	struct nvme_model_queue *q = &m->queue[qid];

	if (!q->live || tail >= q->sq_entries) {
		m->protocol_errors++;
		return;
	}
	while (q->live && q->sq_head != tail && !m->gone) {
		u64 pa = q->sq_pa + q->sq_head * sizeof(struct nvme_sqe);
		const u8 *p = nvme_model_dma(m, pa, sizeof(struct nvme_sqe), false);
		struct nvme_sqe sqe;

		if (!p)
			return;
		memcpy(&sqe, p, sizeof(sqe));
		q->sq_head = (q->sq_head + 1) % q->sq_entries;
		execute(m, qid, &sqe);
	}
	settle(m);
}

static void ring_head(struct nvme_model *m, u32 qid, u32 head)
{
	struct nvme_model_queue *q = &m->queue[qid];

	if (!q->live || head >= q->cq_entries)
		m->protocol_errors++;
	else
		q->cq_head = head;
}

static void doorbell(struct nvme_model *m, u32 offset, u32 value)
{
	u32 stride = 4u << m->dstrd;
	u32 index = (offset - NVME_DOORBELLS) / stride;

	if (m->cc == 0 && m->csts == 0 && m->fault == NVME_FAULT_RESET)
		return; /* the host can not know yet */
	if ((offset - NVME_DOORBELLS) % stride || index > 3 || !(m->csts & NVME_CSTS_RDY)) {
		m->protocol_errors++;
		return;
	}
	if (index & 1)
		ring_head(m, index / 2, value);
	else
		ring_tail(m, index / 2, value);
}

static void enable(struct nvme_model *m)
{
	struct nvme_model_queue *q = &m->queue[0];

	memset(m->queue, 0, sizeof(m->queue));
	m->shut_down = false;
	if (m->cc >> 16 != (4u << 4 | 6) || (m->asq | m->acq) & 0xfff)
		m->protocol_errors++;
	if (m->csts & NVME_CSTS_RDY && m->read_fault != NVME_READ_STUCK)
		m->protocol_errors++; /* still going down */
	q->sq_pa = m->asq;
	q->cq_pa = m->acq;
	q->sq_entries = (m->aqa & 0xfff) + 1;
	q->cq_entries = (m->aqa >> 16 & 0xfff) + 1;
	q->phase = 1;
	q->live = true;
	q->interrupts = true; /* of the admin queue always, s5.3 */
	m->enables++;
	m->settle_read = m->reads + m->ready_reads;
}

static void disable(struct nvme_model *m)
{
	if (!m->firmware && m->pending_count + m->held_count > 0 && pci_model_masters(m->fn))
		m->stray_dma++; /* nobody knows what they still do */
	forget(m);
	m->disables++;
	m->settle_read = m->reads + m->ready_reads;
}

static void write_cc(struct nvme_model *m, u32 value)
{
	u32 old = m->cc;

	m->cc = value;
	if (value & ~old & NVME_CC_EN)
		enable(m);
	if (old & ~value & NVME_CC_EN) {
		if (!(m->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) && !m->ready_stuck_0 &&
			m->read_fault != NVME_READ_STUCK)
			m->protocol_errors++; /* still coming up: undefined */
		disable(m);
	}
	if (value & ~old & NVME_CC_SHN_NORMAL)
		m->settle_read = m->reads + m->ready_reads;
}

/* What CSTS shows once a state change had its time. */
static void csts_update(struct nvme_model *m)
{
	bool stuck_0 = m->ready_stuck_0 || (m->enables_ok && m->enables > m->enables_ok);
	bool stuck_1 = m->ready_stuck_1 || (m->disables_ok && m->disables > m->disables_ok);

	if (m->reads < m->settle_read)
		return;
	if (m->cc & NVME_CC_EN && !stuck_0)
		m->csts |= NVME_CSTS_RDY;
	if (!(m->cc & NVME_CC_EN) && !stuck_1) {
		m->csts = CSTS_NOTHING;
		m->pending_count = 0;
		m->firmware = false;
	}
	if (m->cc & NVME_CC_EN && m->cc & NVME_CC_SHN_NORMAL && !m->shutdown_stuck) {
		m->csts = (m->csts & ~NVME_CSTS_SHST) | NVME_CSTS_SHST_DONE;
		m->shut_down = true;
		nvme_model_flush(m);
	}
}

static u32 cap(const struct nvme_model *m, u32 offset)
{
	if (offset == NVME_CAP_LO)
		return m->mqes | 1u << 16 | m->to << 24;
	return m->dstrd | m->css_nvm << 5 | m->mpsmin << 16 |
	       (m->crto ? NVME_CAP_HI_CRMS & 1u << 27 : 0);
}

static u32 csts_read(struct nvme_model *m)
{
	bool due = m->reads >= m->read_fault_at;
	u32 csts;
	bool now = m->reads == m->read_fault_at;

	csts_update(m);
	if (now && m->read_fault == NVME_READ_FATAL_1)
		m->csts |= NVME_CSTS_CFS;
	csts = m->csts;
	if (now && m->read_fault == NVME_READ_BUSY_1 && m->cc & NVME_CC_EN)
		csts &= ~NVME_CSTS_RDY;
	if (m->read_fault == NVME_READ_STUCK) {
		if (!due)
			m->csts_stuck = csts;
		csts = m->csts_stuck;
	}
	if (due && m->read_fault == NVME_READ_FATAL)
		m->csts = csts |= NVME_CSTS_CFS;
	if (due && m->read_fault == NVME_READ_UNREADY && m->cc & NVME_CC_EN)
		csts &= ~NVME_CSTS_RDY;
	return csts;
}

/* A reset of the whole function, as on waking, makes the controller forget everything. */
static void notice_reset(struct nvme_model *m)
{
	if (m->resets == m->fn->resets)
		return;
	m->resets = m->fn->resets;
	disable(m);
	m->cc = m->csts = m->aqa = 0;
	m->asq = m->acq = 0;
}

static u32 model_read(void *model, u32 offset)
{
	struct nvme_model *m = model;

	notice_reset(m);
	m->reads++;
	host_clock_advance_us(m->us_per_read);
	if (m->read_fault == NVME_READ_GONE && m->reads >= m->read_fault_at)
		m->gone = true;
	if (!pci_model_answers(m->fn))
		return NVME_GONE;
	if (m->gone || (m->read_fault == NVME_READ_BLINK && m->reads == m->read_fault_at))
		return NVME_GONE;
	if (m->firmware && pci_model_masters(m->fn))
		m->stray_dma++; /* queues of before are still running */
	settle(m);
	switch (offset) {
	case NVME_CAP_LO:
	case NVME_CAP_HI:
		return cap(m, offset);
	case NVME_VS:
		return m->version;
	case NVME_CRTO:
		m->protocol_errors += m->crto == 0;
		return m->crto;
	case NVME_CC:
		return m->cc;
	case NVME_CSTS:
		return csts_read(m);
	default:
		m->protocol_errors++;
		return 0;
	}
}

static void model_write(void *model, u32 offset, u32 value)
{
	struct nvme_model *m = model;

	notice_reset(m);
	if (m->gone || !pci_model_answers(m->fn))
		return;
	if (offset + 4 > m->fn->mapped_bytes)
		m->protocol_errors++; /* the machine would fault */
	if (offset >= NVME_DOORBELLS)
		doorbell(m, offset, value);
	else if (offset == NVME_CC)
		write_cc(m, value);
	else if (offset == NVME_AQA)
		m->aqa = value;
	else if (offset == NVME_ASQ_LO)
		m->asq = (m->asq & ~0xffffffffull) | value;
	else if (offset == NVME_ASQ_HI)
		m->asq = (m->asq & 0xffffffffull) | (u64)value << 32;
	else if (offset == NVME_ACQ_LO)
		m->acq = (m->acq & ~0xffffffffull) | value;
	else if (offset == NVME_ACQ_HI)
		m->acq = (m->acq & 0xffffffffull) | (u64)value << 32;
	else
		m->protocol_errors++;
}

void nvme_model_init(struct nvme_model *m, u32 bdf)
{
	memset(m, 0, sizeof(*m));
	snprintf(m->serial, sizeof(m->serial), "S\x01 %02x", bdf);
	m->version = 0x10400;
	m->type = 1;
	m->mqes = 127;
	m->to = 20;
	m->css_nvm = 1;
	m->mdts = 7;
	m->vwc = 1;
	m->ready_reads = 3;
	m->fault_count = 1;
	m->us_per_read = 1;
	m->write_end = UINT64_MAX;
	m->dma_end = UINT64_MAX;
	m->cc = NVME_CC_EN;
	m->csts = NVME_CSTS_RDY;
	m->firmware = true;
	m->regs = (struct mmio) {.model = m, .read32 = model_read, .write32 = model_write};
	m->fn = pci_model_add(bdf, 0x010802);
	pci_model_bar(m->fn, BAR_PA(bdf), BAR_BYTES, &m->regs);
	pci_model_cap(m->fn, PCI_MODEL_MSIX_AT, PCI_MODEL_MSIX, PCI_MODEL_MSIX_ON);
}

void nvme_model_add(struct nvme_model *m, u32 nsid, u8 *disk, u64 blocks, u32 block_log2)
{
	struct nvme_model_ns *ns = &m->ns[m->ns_count++];

	if (m->ns_count > NVME_MODEL_NAMESPACES)
		abort();
	*ns = (struct nvme_model_ns) {.nsid = nsid,
		.blocks = blocks,
		.block_log2 = block_log2,
		.format = 1,
		.disk = disk};
	if (m->nn < nsid)
		m->nn = nsid;
}
