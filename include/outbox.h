/*
 * What is on its way to the device: a ring of memory for what is being written and a
 * queue of requests in the order of the log. Errors are remembered, and how much of
 * the log is known to be written before the first of them.
 *
 *	ring	| free | in flight, oldest first .... | reserved | free |
 *			 ring_tail			ring_head
 */
#ifndef AFTERIMAGE_OUTBOX_H
#define AFTERIMAGE_OUTBOX_H

#include "arena.h"
#include "gate.h"

#define OUTBOX_RING_PAGES 38u
#define OUTBOX_MAX_SLOTS  32u
#define OUTBOX_RING_BYTES (OUTBOX_RING_PAGES * PAGE_BYTES)

/* How far the log has come; one value is taken with each chunk. */
struct outbox_mark {
	u64 blocks; /* from the dump's start */
	u64 chunks;
	u64 pages; /* with contents */
};

struct outbox_slot {
	struct blk_req req;
	bool ends_chunk;
	u64 ring_end; /* once the chunk is written, the ring is free up to here */
	struct outbox_mark mark;
};

struct outbox {
	struct gate *gate;
	u8 *ring;
	u64 ring_pa;
	u64 ring_head; /* pages ever taken; position is modulo OUTBOX_RING_PAGES */
	u64 ring_tail; /* pages ever given back */
	struct outbox_slot *slot;
	u32 slots;		 /* at most the device's depth */
	u64 head;		 /* requests ever sent */
	u64 tail;		 /* requests ever settled */
	enum status error;	 /* the first; nothing is sent after it */
	struct outbox_mark safe; /* all chunks up to here are written */
};

/* A chunk as it goes out: memory pieces under the rules of struct blk_req. */
struct outbox_chunk {
	u64 block; /* of the partition */
	struct outbox_mark mark;
	u32 nsegs;
	struct blk_seg seg[BLK_MAX_SEGS];
};

/* Takes ring and slots from @arena. E_NO_MEMORY. */
enum status outbox_init(struct outbox *o, struct gate *gate, struct arena *arena) MUST_CHECK;

/*
 * Contiguous room of @pages (at most 16) in the ring, waiting for the oldest requests if
 * need be. A reservation that is not taken costs nothing and ends with the next one.
 */
enum status outbox_reserve(struct outbox *o, u32 pages, u8 **room) MUST_CHECK;

/* Makes the first @pages of the latest reservation part of the next chunk sent. */
void outbox_take(struct outbox *o, u32 pages);

/* Device address of something inside the ring. */
u64 outbox_pa(const struct outbox *o, const void *p);

/* Sends a chunk, in several requests if the device's limit asks for it. */
enum status outbox_send(struct outbox *o, const struct outbox_chunk *c) MUST_CHECK;

/* Settles what the device has finished. Returns the first error ever. */
enum status outbox_poll(struct outbox *o) MUST_CHECK;

/* Requests the device has not finished. */
u32 outbox_inflight(const struct outbox *o);

/* Waits until nothing is in flight or the device is dead. Returns the first error ever. */
enum status outbox_drain(struct outbox *o) MUST_CHECK;

#endif
