/*
 * Bringing a virtio disk up (VIRTIO 1.2 s3.1.1): reset, features, limits, queue, and who the
 * disk is. It can not do DMA until its reset is verified, so whatever the old kernel or
 * firmware had asked of it never reaches memory.
 */
#include <string.h>
#include "mmio.h"
#include "ports.h"
#include "str.h"
#include "virtiovar.h"

#define SECTORS_MAX (1ull << 54) /* as many bytes can be counted */
#define OTHER_BLOCK 4096	 /* the other size of blocks that we know */

/*
 * What one request may be, so that all that blk.h allows fits into one chain: how many
 * descriptors for data, how long each, and from that how many requests.
 */
static enum status limits_set(struct virtio *v, u32 entries)
{
	const struct virtio_config *c = &v->config;
	bool tables = v->features & VIRTIO_F_INDIRECT_DESC;
	u32 pieces;

	/* No chain may be longer than the queue, in a table or not (s2.7.5.3.1). */
	v->entries = (u32)min_u64(entries, tables ? VIRTIO_ENTRIES : VIRTIO_ENTRIES_DIRECT);
	if (v->entries < VIRTIO_MIN_PIECES + VIRTIO_CHAIN_EXTRA)
		return E_FORMAT;
	pieces = (u32)min_u64(c->seg_max, v->entries - VIRTIO_CHAIN_EXTRA);
	pieces = (u32)min_u64(pieces, VIRTIO_MAX_PIECES);
	v->piece_bytes = c->size_max & ~(PAGE_BYTES - 1);
	if (pieces < VIRTIO_MIN_PIECES || v->piece_bytes == 0)
		return E_FORMAT;
	v->blk.max_bytes = (pieces - 1) * PAGE_BYTES;
	v->chain = pieces + VIRTIO_CHAIN_EXTRA;
	v->stride = tables ? 1 : v->chain;
	v->blk.depth = (u32)min_u64(VIRTIO_SLOTS, v->entries / v->stride);
	return OK;
}

static void *take(struct virtio *v, u64 bytes)
{
	return arena_alloc(v->arena, bytes, VIRTIO_DESC_ALIGN);
}

static enum status memory_take(struct virtio *v)
{
	u64 run_bytes = v->chain * sizeof(struct virtio_desc);
	bool tables = v->features & VIRTIO_F_INDIRECT_DESC;

	v->desc = take(v, v->entries * sizeof(*v->desc));
	v->tables = tables ? take(v, v->blk.depth * run_bytes) : NULL;
	v->avail = take(v, VIRTIO_AVAIL_BYTES(v->entries));
	v->used = take(v, VIRTIO_USED_BYTES(v->entries));
	v->memory = take(v, sizeof(*v->memory));
	if (!v->desc || !v->avail || !v->used || !v->memory || (tables && !v->tables))
		return E_NO_MEMORY;
	return OK;
}

static void queue_empty(struct virtio *v)
{
	memset(v->used, 0, VIRTIO_USED_BYTES(v->entries));
	v->avail->flags = VIRTIO_AVAIL_NO_INTERRUPT;
	v->avail->idx = 0;
	v->avail_idx = 0;
	v->used_idx = 0;
}

/* From reset, DMA on, to use. */
static enum status bring_up(struct virtio *v)
{
	u32 entries = 0;
	enum status st = virtio_negotiate(v, &v->features, &v->features_hi);

	if (st == OK)
		st = virtio_config_read(v, &v->config);
	if (st == OK)
		st = virtio_queue_look(v, &entries, &v->doorbell);
	if (st == OK)
		st = limits_set(v, entries);
	if (st == OK)
		st = memory_take(v);
	if (st != OK)
		return st;
	v->notify = mmio_map(v->notify_pa + v->doorbell, sizeof(u16));
	if (!v->notify)
		return E_NO_MEMORY;
	queue_empty(v);
	return virtio_queue_start(v);
}

/* The same once more; nothing may be different. */
static enum status bring_up_again(struct virtio *v)
{
	struct virtio_config config;
	u32 features, features_hi, entries, doorbell;
	enum status st = virtio_negotiate(v, &features, &features_hi);

	if (st == OK)
		st = virtio_config_read(v, &config);
	if (st == OK)
		st = virtio_queue_look(v, &entries, &doorbell);
	if (st != OK)
		return st;
	if (features != v->features || features_hi != v->features_hi || entries < v->entries ||
		doorbell != v->doorbell || memcmp(&config, &v->config, sizeof(config)) != 0)
		return E_FATAL;
	queue_empty(v);
	return virtio_queue_start(v);
}

enum status virtio_restart(struct virtio *v)
{
	enum status st = pci_disable_dma(&v->pci);

	if (st == OK)
		st = virtio_reset(v);
	if (st == OK)
		st = pci_enable_dma(&v->pci);
	return st == OK ? bring_up_again(v) : st;
}

/*
 * From any state that firmware or the crashed kernel left it in - asleep, queues running,
 * failed - to reset, and all the while without DMA.
 */
static enum status reset(struct virtio *v)
{
	enum status st = pci_disable_dma(&v->pci);

	if (st == OK)
		st = pci_wake(&v->pci);
	if (st != OK)
		return st;
	pci_enable_memory(&v->pci);
	st = virtio_map(v);
	return st == OK ? virtio_reset(v) : st;
}

/* After a failed start: one that lets itself be reset has let go of its memory. */
static bool released(struct virtio *v)
{
	bool idle = virtio_reset(v) == OK;

	return pci_disable_dma(&v->pci) == OK && idle;
}

static enum status virtio_open(const struct pci_dev *dev, struct arena *arena, struct blk **out)
{
	u64 mark = arena->used;
	struct virtio *v = arena_alloc(arena, sizeof(*v), VIRTIO_DESC_ALIGN);
	enum status st;

	if (!v)
		return E_NO_MEMORY;
	v->arena = arena;
	v->pci = *dev;
	blk_init(&v->blk, &virtio_blk_ops, arena, v->name, v->id);
	v->blk.disks = 1;
	v->blk.block_bytes = VIRTIO_SECTOR_BYTES;
	blk_name(virtio_driver.kind, dev, v->name, sizeof(v->name));
	st = reset(v);
	if (st == OK)
		st = pci_enable_dma(dev);
	if (st != OK) {
		/* Nothing was told to the device yet. */
		arena->used = mark;
		return st;
	}
	st = bring_up(v);
	if (st != OK) {
		if (released(v))
			arena->used = mark;
		return st;
	}
	*out = &v->blk;
	return OK;
}

/*
 * Who the disk is (s5.2.6); many have nothing to say. E_DEVICE_GONE and the like if it died of
 * that.
 */
static enum status id_read(struct virtio *v)
{
	struct blk_req *req = &v->id_req;
	char text[VIRTIO_BLK_ID_BYTES + 1];
	enum status st;

	memset(req, 0, sizeof(*req));
	memset(v->memory->id, 0, sizeof(v->memory->id));
	v->id[0] = 0;
	req->op = BLK_READ;
	req->nsegs = 1;
	req->seg[0].pa = arena_pa(v->arena, v->memory->id);
	req->seg[0].bytes = VIRTIO_BLK_ID_BYTES;
	st = virtio_start(v, req, VIRTIO_BLK_T_GET_ID);
	if (st == OK)
		st = blk_wait(&v->blk, req);
	if (v->blk.dead != OK || st != OK)
		return v->blk.dead;
	blk_text(text, v->memory->id, VIRTIO_BLK_ID_BYTES);
	if (text[0])
		str_format(v->id, sizeof(v->id), "virtio %s", text);
	return OK;
}

enum status virtio_select(struct blk *blk, u32 index)
{
	struct virtio *v = (struct virtio *)blk;
	u64 per_block = v->config.blk_size / VIRTIO_SECTOR_BYTES;
	enum status st;

	if (blk->dead != OK)
		return blk->dead;
	if (blk->inflight > 0)
		return E_BUSY;
	if (index >= blk->disks)
		return E_INVAL;
	blk->blocks = 0;
	if (v->config.sectors == 0)
		return E_NO_PARTITION;
	if (v->config.blk_size != VIRTIO_SECTOR_BYTES && v->config.blk_size != OTHER_BLOCK)
		return E_FORMAT;
	if (v->config.sectors > SECTORS_MAX)
		return E_FORMAT;
	st = id_read(v);
	if (st != OK)
		return st;
	blk->block_bytes = v->config.blk_size;
	blk->blocks = v->config.sectors / per_block;
	return OK;
}

static bool virtio_drives(const struct pci_dev *dev)
{
	if (dev->vendor != VIRTIO_PCI_VENDOR)
		return false;
	return dev->device == VIRTIO_PCI_BLK ||
	       (dev->device == VIRTIO_PCI_BLK_TRANS && virtio_is_modern(dev->bdf));
}

const struct blk_driver virtio_driver = {
	.kind = "virtio",
	.drives = virtio_drives,
	.open = virtio_open,
};
