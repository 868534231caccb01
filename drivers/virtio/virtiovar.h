/*
 * State of the virtio-blk driver and its entry points. One queue; every request has a slot with
 * a run of descriptors of its own: a table that one descriptor of the queue points to, or, if the
 * device knows no such tables, a part of the queue. So it is known from the start that
 * there is room, and which slot a completion is for.
 *
 * Memory, all from the arena, at most VIRTIO_MEMORY_BYTES:
 *
 *	struct virtio | descriptors | tables | available ring | used ring | slots' own, id
 *
 * The device writes to the last two.
 */
#ifndef AFTERIMAGE_VIRTIOVAR_H
#define AFTERIMAGE_VIRTIOVAR_H

#include "arena.h"
#include "blk.h"
#include "dumplog.h"
#include "pci.h"
#include "virtioreg.h"

struct mmio;

#define VIRTIO_SLOTS	      30
#define VIRTIO_ENTRIES	      32  /* with tables */
#define VIRTIO_ENTRIES_DIRECT 512 /* without, at most */
#define VIRTIO_MEMORY_BYTES   (24 * KIB)

#define VIRTIO_MAX_BYTES (DL_MAX_CHUNK_BYTES & ~(PAGE_BYTES - 1))
/* Pieces of at most a page: a transfer that starts inside one has one more than it is long. */
#define VIRTIO_MAX_PIECES  (VIRTIO_MAX_BYTES / PAGE_BYTES + 1)
#define VIRTIO_MIN_PIECES  3 /* for the 8192 bytes that blk.h promises */
#define VIRTIO_CHAIN_EXTRA 2 /* header, status */

#define VIRTIO_RESET_TIMEOUT_US 1000000ull
#define VIRTIO_IO_TIMEOUT_US	30000000ull
#define VIRTIO_IDLE_CHECK_US	1000ull /* how often the status is read while nothing completes */
#define VIRTIO_CONFIG_TRIES	8

/* What of a request's is not the caller's. */
struct virtio_own {
	struct virtio_blk_header header;
	u8 status;
	u8 zero[15];
};

#define VIRTIO_NO_STATUS 0xff /* until the device writes one */

struct virtio_memory {
	struct virtio_own own[VIRTIO_SLOTS];
	u8 id[VIRTIO_BLK_ID_BYTES];
};

struct virtio_slot {
	struct blk_req *req; /* NULL: free */
	u32 type;
	bool retried;
	u64 deadline_us;
};

/* What of the device's configuration we use; without the feature no limit, or 512. */
struct virtio_config {
	u64 sectors;
	u32 size_max;
	u32 seg_max;
	u32 blk_size;
	u32 zero;
};

struct virtio {
	struct blk blk; /* first: the ops get this pointer */
	struct pci_dev pci;
	struct arena *arena;
	const struct mmio *common, *notify, *device;
	u64 notify_pa, notify_bytes; /* doorbells of all queues */
	u32 notify_multiplier;
	u32 doorbell; /* ours, from notify_pa: what @notify is */
	u32 features, features_hi;
	struct virtio_config config;
	u32 entries;	 /* of the queue */
	u32 chain;	 /* descriptors of one request */
	u32 stride;	 /* descriptors of the queue that one request takes */
	u32 piece_bytes; /* the longest that one descriptor may name */
	u16 avail_idx, used_idx;
	u64 idle_check_us; /* when to read the status next */
	u64 queue_pa, queue_bytes;
	struct virtio_desc *desc;
	struct virtio_desc *tables; /* NULL: runs in @desc */
	struct virtio_avail *avail;
	struct virtio_used *used;
	struct virtio_memory *memory;
	struct virtio_slot slot[VIRTIO_SLOTS];
	struct blk_req id_req;
	char name[BLK_NAME_BYTES];
	char id[BLK_ID_BYTES];
};

/*
 * Modern PCI transport. E_FORMAT for devices without VIRTIO_F_VERSION_1 and those whose queue or
 * limits on segments are too small. Disks that are read-only take no writes: E_READ_ONLY.
 */
extern const struct blk_driver virtio_driver;

/*
 * Between the driver's files.
 */

/* Are all three structures announced in a form that can be used (s4.1.4)? */
bool virtio_is_modern(u32 bdf);

/* Maps them, but for the doorbell. E_READY: they are not where a BAR is. */
enum status virtio_map(struct virtio *v) MUST_CHECK;

/*
 * Device reset (s2.4), the device having forgotten everything when it is OK. E_DEVICE_GONE,
 * E_READY.
 */
enum status virtio_reset(const struct virtio *v) MUST_CHECK;

/* Of a device in use: E_DEVICE_GONE or E_FATAL by its status. */
enum status virtio_health(const struct virtio *v) MUST_CHECK;

/* From reset to agreed features (s3.1.1), which are @features and @features_hi. */
enum status virtio_negotiate(const struct virtio *v, u32 *features, u32 *features_hi) MUST_CHECK;

/* Reads the configuration as one; it may change while it is read (s2.5.1). */
enum status virtio_config_read(const struct virtio *v, struct virtio_config *out) MUST_CHECK;

/*
 * How many entries our queue may have, and where its doorbell is. E_FORMAT, E_READY,
 * E_DEVICE_GONE.
 */
enum status virtio_queue_look(const struct virtio *v, u32 *entries, u32 *doorbell) MUST_CHECK;

/* Hands the empty queue to the device and sets it to work. */
enum status virtio_queue_start(const struct virtio *v) MUST_CHECK;

/* Tells the device that there is something in the queue. */
void virtio_notify(const struct virtio *v);

/*
 * A device in use that went wrong: reset, and brought to where it was, without what was in
 * flight. E_FATAL if it is not what it was.
 */
enum status virtio_restart(struct virtio *v) MUST_CHECK;

/* Sends @req, as @type if it is none of blk.h's. E_BUSY, E_DMA, E_INVAL. */
enum status virtio_start(struct virtio *v, struct blk_req *req, u32 type) MUST_CHECK;

/* As blk_ops wants it; there is one disk. */
enum status virtio_select(struct blk *blk, u32 index) MUST_CHECK;

/* The operations on virtio->blk. */
extern const struct blk_ops virtio_blk_ops;

#endif
