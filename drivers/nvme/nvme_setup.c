/*
 * Bringing an NVMe controller up (NVMe 1.4 s7.6.1): reset, queues, identify, and the
 * choice of a namespace. The controller can not do DMA until its reset is verified, so
 * whatever the old kernel or firmware had asked of it never reaches memory.
 */
#include <string.h>
#include "bytes.h"
#include "nvmevar.h"
#include "ports.h"
#include "str.h"

#define NVME_BAR	   0
#define NVME_MAP_BYTES	   0x2000u /* registers and, at the usual strides, our doorbells */
#define NVME_NSZE_MAX	   (1ull << 51)
#define NVME_DOORBELLS_OUR 4 /* two queue pairs */

static void *page_alloc(struct arena *arena)
{
	return arena_alloc(arena, NVME_PAGE_BYTES, NVME_PAGE_BYTES);
}

/*
 * The driver's state, in the page with the admin submission queue: no device writes there, and
 * a controller that never comes up costs two pages.
 */
static struct nvme *state_take(struct arena *arena)
{
	struct nvme_sqe *sq = arena_alloc(arena, NVME_ADMIN_ENTRIES * sizeof(*sq), NVME_PAGE_BYTES);
	struct nvme *n = sq ? arena_alloc(arena, sizeof(*n), sizeof(u64)) : NULL;

	if (!n)
		return NULL;
	n->arena = arena;
	n->admin.sq = sq;
	n->admin.cq = page_alloc(arena);
	return n->admin.cq ? n : NULL;
}

static enum status io_memory_take(struct nvme *n)
{
	u8 *lists;

	n->io.sq = page_alloc(n->arena);
	n->io.cq = page_alloc(n->arena);
	lists = page_alloc(n->arena);
	if (!lists) /* the last one fails if any did */
		return E_NO_MEMORY;
	for (u32 i = 0; i < NVME_SLOTS; i++) {
		n->slot[i].list = (u64 *)(void *)(lists + i * NVME_LIST_BYTES);
		n->slot[i].list_pa = arena_pa(n->arena, n->slot[i].list);
	}
	return OK;
}

/* Maps the registers and reads what the controller can do (s3.1.1). */
static enum status registers_map(struct nvme *n)
{
	u32 cap_lo, cap_hi, units, media;
	u64 pa, bytes;

	if (!pci_bar(&n->pci, NVME_BAR, &pa))
		return E_READY;
	n->regs = mmio_map(pa, NVME_MAP_BYTES);
	if (!n->regs)
		return E_NO_MEMORY;
	cap_lo = nvme_reg(n, NVME_CAP_LO);
	cap_hi = nvme_reg(n, NVME_CAP_HI);
	if (cap_lo == NVME_GONE || cap_hi == NVME_GONE)
		return E_DEVICE_GONE;
	if (!(cap_hi & NVME_CAP_HI_CSS_NVM) || NVME_CAP_HI_MPSMIN(cap_hi) != 0 ||
		NVME_CAP_LO_MQES(cap_lo) == 0)
		return E_FORMAT;
	n->entries_max = NVME_CAP_LO_MQES(cap_lo) + 1;
	units = NVME_CAP_LO_TO(cap_lo);
	media = cap_hi & NVME_CAP_HI_CRMS ? NVME_CRTO_MEDIA(nvme_reg(n, NVME_CRTO)) : 0;
	if (media > units)
		units = (u32)min_u64(media, NVME_TO_MAX);
	/* One unit more than claimed: some claim 0. */
	n->ready_timeout_us = (units + 1ull) * NVME_TO_UNIT_MS * 1000;
	n->stride = 4u << NVME_CAP_HI_DSTRD(cap_hi);
	bytes = NVME_DOORBELLS + (u64)NVME_DOORBELLS_OUR * n->stride;
	if (bytes > NVME_MAP_BYTES)
		n->regs = mmio_map(pa, bytes);
	return n->regs ? OK : E_NO_MEMORY;
}

static void queue_init(struct nvme_queue *q, u32 qid, u32 entries)
{
	q->qid = qid;
	q->entries = entries;
	q->tail = 0;
	q->head = 0;
	q->phase = NVME_STATUS_PHASE;
	/* What an earlier life left there has that phase too. */
	memset(q->cq, 0, entries * sizeof(*q->cq));
}

/* From reset to ready with an admin queue. */
static enum status enable(struct nvme *n)
{
	u64 sq_pa = arena_pa(n->arena, n->admin.sq);
	u64 cq_pa = arena_pa(n->arena, n->admin.cq);

	if (!nvme_page_ours(n, sq_pa) || !nvme_page_ours(n, cq_pa))
		return E_DMA;
	queue_init(&n->admin, NVME_ADMIN_QID, NVME_ADMIN_ENTRIES);
	nvme_reg_set(
		n, NVME_AQA, NVME_AQA_ASQS(NVME_ADMIN_ENTRIES) | NVME_AQA_ACQS(NVME_ADMIN_ENTRIES));
	nvme_reg_set(n, NVME_ASQ_LO, (u32)sq_pa);
	nvme_reg_set(n, NVME_ASQ_HI, (u32)(sq_pa >> 32));
	nvme_reg_set(n, NVME_ACQ_LO, (u32)cq_pa);
	nvme_reg_set(n, NVME_ACQ_HI, (u32)(cq_pa >> 32));
	nvme_reg_set(n, NVME_CC,
		NVME_CC_EN | NVME_CC_IOSQES(NVME_SQE_LOG2) | NVME_CC_IOCQES(NVME_CQE_LOG2));
	return nvme_wait_csts(n, NVME_CSTS_RDY, NVME_CSTS_RDY, n->ready_timeout_us, E_READY);
}

/* One page of identify data to n->identify. */
static enum status identify(struct nvme *n, u32 cns, u32 nsid)
{
	struct nvme_sqe sqe = {.opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .cdw10 = cns};

	sqe.prp1 = arena_pa(n->arena, n->identify);

	memset(n->identify, 0, NVME_PAGE_BYTES);
	return nvme_admin(n, &sqe);
}

static enum status identify_controller(struct nvme *n, u32 *namespaces)
{
	enum status st = identify(n, NVME_CNS_CONTROLLER, 0);
	u32 mdts;

	if (st != OK)
		return st;
	blk_text(n->serial, n->identify + NVME_IDC_SERIAL, NVME_IDC_SERIAL_BYTES);
	mdts = n->identify[NVME_IDC_MDTS];
	n->blk.max_bytes = NVME_MAX_BYTES;
	if (mdts != 0 && mdts < NVME_MDTS_END)
		n->blk.max_bytes = (u32)min_u64(NVME_MAX_BYTES, NVME_PAGE_BYTES << mdts);
	n->vwc = n->identify[NVME_IDC_VWC] & NVME_IDC_VWC_PRESENT;
	if (n->identify[NVME_IDC_TYPE] > NVME_IDC_TYPE_IO)
		return E_NO_PARTITION;
	*namespaces = get_u32(n->identify + NVME_IDC_NN);
	return OK;
}

/*
 * The active namespaces; controllers older than 1.1 number them from 1, have no list, and
 * may take the question for another one.
 */
static enum status list_namespaces(struct nvme *n, u32 namespaces)
{
	u32 version = nvme_reg(n, NVME_VS);
	enum status st = E_COMMAND;
	u32 last = 0;

	if (version == NVME_GONE)
		return blk_die(&n->blk, E_DEVICE_GONE);
	if (version >= NVME_VS_1_1)
		st = identify(n, NVME_CNS_ACTIVE_NSIDS, 0);
	if (st != OK && st != E_COMMAND)
		return st;
	for (u32 i = 0; st == OK && i < NVME_MAX_NAMESPACES; i++) {
		u32 nsid = get_u32(n->identify + i * sizeof(nsid));

		if (nsid <= last || nsid > namespaces)
			break;
		n->nsids[n->blk.disks++] = nsid;
		last = nsid;
	}
	if (n->blk.disks > 0)
		return OK;
	for (u32 i = 0; i < min_u64(namespaces, NVME_MAX_NAMESPACES); i++)
		n->nsids[n->blk.disks++] = i + 1;
	return OK;
}

static enum status io_queues_create(struct nvme *n)
{
	u32 entries = (u32)min_u64(NVME_IO_ENTRIES, n->entries_max);
	u32 which = NVME_QUEUE_SIZE(entries) | NVME_IO_QID;
	struct nvme_sqe features = {
		.opcode = NVME_ADMIN_SET_FEATURES, .cdw10 = NVME_FEATURE_QUEUES};
	struct nvme_sqe cq = {.opcode = NVME_ADMIN_CREATE_CQ,
		.prp1 = arena_pa(n->arena, n->io.cq),
		.cdw10 = which,
		.cdw11 = NVME_QUEUE_CONTIGUOUS};
	struct nvme_sqe sq = {.opcode = NVME_ADMIN_CREATE_SQ,
		.prp1 = arena_pa(n->arena, n->io.sq),
		.cdw10 = which,
		.cdw11 = NVME_SQ_CQID(NVME_IO_QID) | NVME_QUEUE_CONTIGUOUS};
	enum status st;

	queue_init(&n->io, NVME_IO_QID, entries);
	n->blk.depth = (u32)min_u64(NVME_SLOTS, entries - 1);
	st = nvme_admin_once(n, &features);
	if (st == OK)
		st = nvme_admin_once(n, &cq);
	if (st == OK)
		st = nvme_admin_once(n, &sq);
	return st;
}

enum status nvme_restart(struct nvme *n)
{
	enum status st;

	n->limit_us = clock_us() + NVME_RESET_TIMEOUT_US;
	st = pci_disable_dma(&n->pci);
	if (st == OK)
		st = nvme_disable(n);
	if (st == OK)
		st = pci_enable_dma(&n->pci);
	if (st == OK)
		st = enable(n);
	/* Reset while it was still being identified: there are none yet. */
	if (st == OK && n->io.entries > 0)
		st = io_queues_create(n);
	n->limit_us = UINT64_MAX;
	return st;
}

static enum status bring_up(struct nvme *n)
{
	u32 namespaces = 0;
	enum status st;

	st = enable(n);
	if (st != OK)
		st = nvme_recover(n, st);
	if (st != OK)
		return st;
	/* Memory as it is needed: a controller that dies keeps what it has. */
	n->identify = page_alloc(n->arena);
	if (!n->identify)
		return E_NO_MEMORY;
	st = identify_controller(n, &namespaces);
	if (st == OK)
		st = list_namespaces(n, namespaces);
	if (st == OK)
		st = io_memory_take(n);
	if (st != OK)
		return st;
	st = io_queues_create(n);
	return st == OK ? OK : nvme_recover(n, st);
}

/*
 * After a failed start: a controller that is alive and lets itself be disabled has let
 * go of its memory; every other one keeps it.
 */
static bool released(struct nvme *n)
{
	bool idle = n->blk.dead == OK && nvme_disable(n) == OK;

	return pci_disable_dma(&n->pci) == OK && idle;
}

/*
 * From any state that firmware or the crashed kernel left it in - asleep, queues running,
 * failed, shutting down - to disabled, and all the while without DMA.
 */
static enum status reset(struct nvme *n)
{
	enum status st = pci_disable_dma(&n->pci);

	if (st == OK)
		st = pci_wake(&n->pci);
	if (st != OK)
		return st;
	pci_enable_memory(&n->pci);
	st = registers_map(n);
	return st == OK ? nvme_disable(n) : st;
}

static enum status nvme_open(const struct pci_dev *dev, struct arena *arena, struct blk **out)
{
	u64 mark = arena->used;
	struct nvme *n = state_take(arena);
	enum status st;

	if (!n) {
		arena->used = mark;
		return E_NO_MEMORY;
	}
	n->pci = *dev;
	n->limit_us = UINT64_MAX;
	blk_init(&n->blk, &nvme_blk_ops, arena, n->name, n->id);
	blk_name(nvme_driver.kind, dev, n->name, sizeof(n->name));
	st = reset(n);
	if (st == OK)
		st = pci_enable_dma(dev);
	if (st != OK) {
		/* Nothing was told to the controller yet. */
		arena->used = mark;
		return st;
	}
	st = bring_up(n);
	if (st == OK)
		*out = &n->blk;
	else if (released(n))
		arena->used = mark;
	return st;
}

static enum status format_read(const struct nvme *n, u32 *block_bytes)
{
	u8 flbas = n->identify[NVME_IDN_FLBAS];
	u32 lbaf = get_u32(n->identify + NVME_IDN_LBAF(NVME_IDN_FLBAS_INDEX(flbas)));
	u32 log2 = NVME_LBAF_LBADS(lbaf);

	if (NVME_LBAF_MS(lbaf) != 0 || n->identify[NVME_IDN_DPS] & NVME_IDN_DPS_TYPE)
		return E_FORMAT;
	if (log2 != NVME_BLOCK_LOG2_512 && log2 != NVME_BLOCK_LOG2_4096)
		return E_FORMAT;
	*block_bytes = 1u << log2;
	return OK;
}

/*
 * Who the namespace is on whichever controller it is seen: its own unique number, else the
 * controller's serial number and its number there (s5.15.2.1; 1.0 had neither).
 */
static void id_read(struct nvme *n)
{
	const u8 *id = n->identify + NVME_IDN_NGUID;
	u32 bytes = NVME_IDN_NGUID_BYTES;
	u32 len;

	if (bytes_are_zero(id, bytes)) {
		id = n->identify + NVME_IDN_EUI64;
		bytes = NVME_IDN_EUI64_BYTES;
	}
	if (bytes_are_zero(id, bytes)) {
		if (n->serial[0])
			str_format(n->id, sizeof(n->id), "nvme %s %u", n->serial, n->nsid);
		return;
	}
	len = str_format(n->id, sizeof(n->id), "nvme ");
	for (u32 i = 0; i < bytes; i++)
		len += str_format(n->id + len, sizeof(n->id) - len, "%02x", id[i]);
}

enum status nvme_select(struct blk *blk, u32 index)
{
	struct nvme *n = (struct nvme *)blk;
	enum status st;
	u64 blocks;
	u32 len;

	if (blk->inflight > 0)
		return E_BUSY;
	if (index >= blk->disks)
		return E_INVAL;
	n->nsid = n->nsids[index];
	blk->blocks = 0; /* nothing fits until the namespace is known */
	n->id[0] = 0;
	len = blk_name(nvme_driver.kind, &n->pci, n->name, sizeof(n->name));
	str_format(n->name + len, sizeof(n->name) - len, " ns %u", n->nsid);
	st = identify(n, NVME_CNS_NAMESPACE, n->nsid);
	if (st != OK)
		return st;
	blocks = get_u64(n->identify + NVME_IDN_NSZE);
	if (blocks == 0)
		return E_NO_PARTITION;
	if (n->identify[NVME_IDN_NSATTR] & NVME_IDN_NSATTR_WP)
		return E_READ_ONLY;
	st = format_read(n, &blk->block_bytes);
	if (st != OK)
		return st;
	if (blocks > NVME_NSZE_MAX)
		return E_FORMAT;
	id_read(n);
	blk->blocks = blocks;
	return OK;
}

const struct blk_driver nvme_driver = {.kind = "nvme", .class = NVME_PCI_CLASS, .open = nvme_open};
