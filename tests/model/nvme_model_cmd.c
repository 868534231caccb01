/*
 * Commands of the modelled NVMe controller: identify, queue creation, abort, transfers
 * through PRPs, and a volatile cache.
 */
#include <stdlib.h>
#include <string.h>
#include "blk.h"
#include "nvme_model.h"

#define STATUS(code)	   ((u16)((code) << 1))
#define INVALID_OPCODE	   STATUS(0x01)
#define INVALID_FIELD	   STATUS(0x02)
#define TRANSFER_ERROR	   STATUS(0x04)
#define INVALID_NAMESPACE  STATUS(0x0b)
#define LBA_RANGE	   STATUS(0x80)
#define INVALID_QUEUE_SIZE STATUS(0x102)
#define INVALID_QID	   STATUS(0x101)
#define ABORT_LIMIT	   STATUS(0x103)
#define ABORTED		   STATUS(NVME_CODE_ABORTED)
#define ABORT_READS	   20

/* What a write in the cache has replaced. */
struct nvme_model_undo {
	struct nvme_model_undo *next; /* older */
	u8 *at;
	u64 bytes;
	u8 old[];
};

void nvme_model_cache(struct nvme_model *m, u8 *p, u64 bytes)
{
	struct nvme_model_undo *u;

	if (!m->vwc || !m->caches)
		return;
	u = malloc(sizeof(*u) + bytes);
	if (!u)
		abort();
	u->next = m->undo;
	u->at = p;
	u->bytes = bytes;
	memcpy(u->old, p, bytes);
	m->undo = u;
}

static void cache_empty(struct nvme_model *m, bool lose)
{
	while (m->undo) {
		struct nvme_model_undo *u = m->undo;

		if (lose)
			memcpy(u->at, u->old, u->bytes);
		m->undo = u->next;
		free(u);
	}
}

void nvme_model_flush(struct nvme_model *m)
{
	cache_empty(m, false);
}

void nvme_model_cut(struct nvme_model *m)
{
	cache_empty(m, true);
}

static struct nvme_model_ns *find_ns(struct nvme_model *m, u32 nsid)
{
	for (u32 i = 0; i < m->ns_count; i++) {
		if (m->ns[i].nsid == nsid)
			return &m->ns[i];
	}
	return NULL;
}

static void fill_controller(const struct nvme_model *m, u8 *page)
{
	memset(page + NVME_IDC_SERIAL, ' ', NVME_IDC_SERIAL_BYTES);
	memcpy(page + NVME_IDC_SERIAL, m->serial, strlen(m->serial));
	page[NVME_IDC_MDTS] = (u8)m->mdts;
	page[NVME_IDC_VWC] = (u8)m->vwc;
	page[111] = (u8)m->type;
	memcpy(page + NVME_IDC_NN, &m->nn, sizeof(m->nn));
}

static void fill_namespace(const struct nvme_model_ns *ns, u8 *page)
{
	u32 format = ns->metadata_bytes | ns->block_log2 << 16;

	memcpy(page + NVME_IDN_NSZE, &ns->blocks, sizeof(ns->blocks));
	page[NVME_IDN_FLBAS] = (u8)((ns->format % 16) | (ns->format / 16) << 5 | 1u << 4);
	page[NVME_IDN_DPS] = (u8)ns->protection;
	page[99] = ns->protected;
	memcpy(page + 104, ns->nguid, sizeof(ns->nguid));
	memcpy(page + 120, ns->eui64, sizeof(ns->eui64));
	memcpy(page + 128 + 4 * ns->format, &format, sizeof(format));
}

/* Is this command to move only half of its data? */
static bool short_now(const struct nvme_model *m)
{
	return m->fault == NVME_FAULT_SHORT && m->commands >= m->fault_at &&
	       m->commands - m->fault_at < m->fault_count;
}

static u16 identify_fill(struct nvme_model *m, const struct nvme_sqe *sqe, u8 *page)
{
	const struct nvme_model_ns *ns = find_ns(m, sqe->nsid);

	switch (sqe->cdw10) {
	case NVME_CNS_CONTROLLER:
		fill_controller(m, page);
		return 0;
	case NVME_CNS_NAMESPACE:
		if (ns)
			fill_namespace(ns, page);
		return sqe->nsid == 0 || sqe->nsid > m->nn ? INVALID_NAMESPACE : 0;
	case NVME_CNS_ACTIVE_NSIDS:
		m->protocol_errors += m->version < 0x10100;
		for (u32 i = 0; i < m->ns_count && !m->list_empty; i++)
			memcpy(page + 4 * i, &m->ns[i].nsid, 4);
		return m->no_list ? INVALID_FIELD : 0;
	default:
		return INVALID_FIELD;
	}
}

static u16 identify(struct nvme_model *m, const struct nvme_sqe *sqe)
{
	u8 page[NVME_PAGE_BYTES] = {0};
	u8 *to = nvme_model_dma(m, sqe->prp1, NVME_PAGE_BYTES, true);
	u16 status;

	if (!to || sqe->prp1 % NVME_PAGE_BYTES)
		return TRANSFER_ERROR;
	status = identify_fill(m, sqe, page);
	if (status == 0)
		memcpy(to, page, short_now(m) ? NVME_PAGE_BYTES / 2 : NVME_PAGE_BYTES);
	return status;
}

static u16 create_queue(struct nvme_model *m, const struct nvme_sqe *sqe)
{
	struct nvme_model_queue *q = &m->queue[1];
	u32 entries = (sqe->cdw10 >> 16) + 1;

	if ((sqe->cdw10 & 0xffff) != 1 || !(sqe->cdw11 & 1) || sqe->prp1 % NVME_PAGE_BYTES)
		return INVALID_QID;
	if (entries < 2 || entries > m->mqes + 1)
		return INVALID_QUEUE_SIZE;
	if (sqe->opcode == NVME_ADMIN_CREATE_CQ) {
		q->cq_pa = sqe->prp1;
		q->interrupts = sqe->cdw11 & NVME_CQ_INTERRUPTS;
		q->cq_entries = entries;
		q->phase = 1;
		return 0;
	}
	if (q->cq_entries == 0 || sqe->cdw11 >> 16 != 1)
		return INVALID_QID;
	q->sq_pa = sqe->prp1;
	q->sq_entries = entries;
	q->live = true;
	return 0;
}

/* Takes the command that @sqe wants aborted from those that are held. */
static bool held_take(struct nvme_model *m, const struct nvme_sqe *sqe, struct nvme_model_held *out)
{
	for (u32 i = 0; i < m->held_count; i++) {
		if (m->held[i].qid != (sqe->cdw10 & 0xffff) ||
			m->held[i].sqe.cid != sqe->cdw10 >> 16)
			continue;
		*out = m->held[i];
		m->held[i] = m->held[--m->held_count];
		return true;
	}
	return false;
}

static u16 abort_command(struct nvme_model *m, const struct nvme_sqe *sqe)
{
	struct nvme_model_held held;
	struct nvme_cqe cqe = {.sq_id = (u16)sqe->cdw10, .cid = (u16)(sqe->cdw10 >> 16)};

	m->aborts++;
	m->result = 1;
	if (m->abort == NVME_ABORT_UNKNOWN)
		return INVALID_OPCODE | NVME_STATUS_DNR;
	if (m->abort == NVME_ABORT_LIMIT)
		return ABORT_LIMIT;
	if (m->abort == NVME_ABORT_NOT || m->abort == NVME_ABORT_LOST || !held_take(m, sqe, &held))
		return 0;
	m->result = m->abort == NVME_ABORT_DONE;
	cqe.sq_head = (u16)m->queue[held.qid].sq_head;
	cqe.status = ABORTED;
	if (m->abort == NVME_ABORT_DNR)
		cqe.status |= NVME_STATUS_DNR;
	if (m->abort == NVME_ABORT_DONE)
		cqe.status = nvme_model_run(m, held.qid, &held.sqe);
	if (m->abort != NVME_ABORT_LIES)
		nvme_model_end(m, held.qid, &cqe, m->abort == NVME_ABORT_AFTER ? ABORT_READS : 0);
	return 0;
}

static u16 admin(struct nvme_model *m, const struct nvme_sqe *sqe)
{
	switch (sqe->opcode) {
	case NVME_ADMIN_IDENTIFY:
		return identify(m, sqe);
	case NVME_ADMIN_CREATE_CQ:
	case NVME_ADMIN_CREATE_SQ:
		return create_queue(m, sqe);
	case NVME_ADMIN_ABORT:
		return abort_command(m, sqe);
	case NVME_ADMIN_SET_FEATURES:
		return sqe->cdw10 == NVME_FEATURE_QUEUES ? 0 : INVALID_FIELD;
	default:
		return INVALID_OPCODE;
	}
}

/* The n-th PRP of a transfer that touches @pages pages; 0 and an error if it is malformed. */
static u64 prp_at(struct nvme_model *m, const struct nvme_sqe *sqe, u32 n, u32 pages)
{
	const u8 *p;
	u64 prp = 0;

	if (n == 0 || pages == 2) {
		prp = n == 0 ? sqe->prp1 : sqe->prp2;
	} else if ((sqe->prp2 & 0xfff) + 8 * (pages - 1) <= NVME_PAGE_BYTES && sqe->prp2 % 8 == 0) {
		p = nvme_model_dma(m, sqe->prp2 + 8 * (n - 1), 8, false);
		if (p)
			memcpy(&prp, p, 8);
	}
	if (prp == 0 || prp % (n ? NVME_PAGE_BYTES : BLK_SEG_ALIGN)) {
		m->protocol_errors++;
		return 0;
	}
	return prp;
}

/* Moves @bytes between the disk and memory. */
static u16 transfer(struct nvme_model *m, const struct nvme_sqe *sqe, u8 *disk, u64 bytes)
{
	u64 first = sqe->prp1 & 0xfff;
	u32 pages = (u32)((first + bytes + NVME_PAGE_BYTES - 1) / NVME_PAGE_BYTES);
	u64 done = 0;

	for (u32 i = 0; i < pages; i++) {
		u64 pa = prp_at(m, sqe, i, pages);
		u64 room = i ? NVME_PAGE_BYTES : NVME_PAGE_BYTES - first;
		u64 n = room < bytes - done ? room : bytes - done;
		u8 *memory = pa ? nvme_model_dma(m, pa, n, sqe->opcode == NVME_IO_READ) : NULL;

		if (!memory)
			return TRANSFER_ERROR;
		if (sqe->opcode == NVME_IO_READ)
			memcpy(memory, disk + done, n);
		else
			memcpy(disk + done, memory, n);
		done += n;
	}
	return 0;
}

static u16 read_write(struct nvme_model *m, const struct nvme_sqe *sqe)
{
	struct nvme_model_ns *ns = find_ns(m, sqe->nsid);
	u64 lba = (u64)sqe->cdw11 << 32 | sqe->cdw10;
	u64 blocks = (u64)(sqe->cdw12 & 0xffff) + 1;
	u64 bytes;

	if (!ns)
		return INVALID_NAMESPACE;
	if (sqe->opcode == NVME_IO_WRITE &&
		(lba < m->write_first || lba >= m->write_end || blocks > m->write_end - lba))
		m->stray_writes++;
	if (lba >= ns->blocks || blocks > ns->blocks - lba)
		return LBA_RANGE;
	bytes = blocks << ns->block_log2;
	if (m->mdts && bytes > (u64)NVME_PAGE_BYTES << m->mdts) {
		m->protocol_errors++;
		return INVALID_FIELD;
	}
	if (sqe->opcode == NVME_IO_WRITE) {
		m->blocks_written += blocks;
		nvme_model_cache(m, ns->disk + (lba << ns->block_log2), bytes);
	} else if (short_now(m)) {
		bytes /= 2;
	}
	return transfer(m, sqe, ns->disk + (lba << ns->block_log2), bytes);
}

u16 nvme_model_run(struct nvme_model *m, u32 qid, const struct nvme_sqe *sqe)
{
	if (sqe->flags || sqe->cid == NVME_CID_FORBIDDEN)
		m->protocol_errors++;
	if (qid == 0)
		return admin(m, sqe);
	switch (sqe->opcode) {
	case NVME_IO_FLUSH:
		m->flushes++;
		if (!find_ns(m, sqe->nsid))
			return INVALID_NAMESPACE;
		nvme_model_flush(m);
		return 0;
	case NVME_IO_READ:
	case NVME_IO_WRITE:
		return read_write(m, sqe);
	default:
		return INVALID_OPCODE;
	}
}
