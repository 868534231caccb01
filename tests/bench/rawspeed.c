/*
 * Stands in for boot/main.c in an image that is no part of the product: how fast the disk
 * drivers write, with their queues kept full. Goes from one dump disk to the next as the core does
 * when disks fail, and overwrites the data area of each with old memory, through the gate: first
 * in pieces as long as the driver takes, then as a dump's chunks are when no two of their
 * pages are neighbours. Makes no dump.
 */
#include <string.h>
#include "handoff.h"
#include "main.h"
#include "pci.h"
#include "ports.h"
#include "str.h"
#include "target.h"

#define BENCH_BYTES    (512 * (u64)MIB) /* of one pass */
#define BENCH_OFFSET   (8 * (u64)MIB)	/* in the partition: past the directory */
#define BENCH_PASSES   3u		/* of each kind */
#define BENCH_REQUESTS 64u		/* more than any queue holds */
#define BENCH_CLOCK_US 2000000u		/* for a comparison with another clock */

/* One pass over a disk. */
struct pass {
	struct gate *gate;
	struct mem_range from; /* old memory to be written, over and over */
	u64 from_used;
	u64 block, end; /* of the partition: next one to be written, and where to stop */
	bool scattered;
	u64 last_us;
	u64 busy_us; /* sum of requests in flight, each for as long as it was */
	u64 idle_us; /* nothing was in flight */
	u64 polls;
	u64 submitted; /* requests */
};

static struct {
	struct arena arena;
	struct target target;
	struct target_ask ask;
	struct blk_req req[BENCH_REQUESTS];
} bench;

static const u8 any_uuid[16];

/* The longest piece of memory that nobody wrote to. */
static struct mem_range source_find(const struct memmap *map)
{
	struct mem_range best = {0};

	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (r->type == MEM_RAM && r->touched == TOUCHED_NOBODY && r->bytes > best.bytes)
			best = *r;
	}
	return best;
}

/* Neighbouring pages do not count as one segment when they are taken from the top down. */
static void segs_fill(struct pass *p, struct blk_req *req, u32 bytes)
{
	u32 step = p->scattered ? PAGE_BYTES : bytes;

	if (!range_fits(p->from_used, bytes, p->from.bytes))
		p->from_used = 0;
	for (u32 at = 0; at < bytes; at += step) {
		req->seg[req->nsegs].pa = p->from.pa + p->from_used + (bytes - at - step);
		req->seg[req->nsegs++].bytes = step;
	}
	p->from_used += bytes;
}

static enum status request_send(struct pass *p, struct blk_req *req)
{
	struct blk *blk = p->gate->blk;
	u64 bytes = blk->max_bytes;

	if (p->scattered)
		bytes = min_u64(bytes, BLK_MAX_SEGS * PAGE_BYTES);
	bytes = min_u64(bytes, (p->end - p->block) * blk->block_bytes);
	memset(req, 0, sizeof(*req));
	req->op = BLK_WRITE;
	req->lba = p->block;
	req->blocks = (u32)(bytes / blk->block_bytes);
	segs_fill(p, req, (u32)bytes);
	p->block += req->blocks;
	p->submitted++;
	return gate_submit(p->gate, req);
}

static void sample(struct pass *p)
{
	u64 now_us = clock_us();
	u64 us = now_us - p->last_us;
	u32 inflight = p->gate->blk->inflight;

	p->busy_us += inflight * us;
	if (inflight == 0)
		p->idle_us += us;
	p->last_us = now_us;
}

/* Settles and refills every place once; *@open says in how many there is something. */
static enum status round_go(struct pass *p, u32 places, u32 *open)
{
	*open = 0;
	for (u32 i = 0; i < places; i++) {
		struct blk_req *req = &bench.req[i];
		enum status st;

		if (req->done && req->status != OK)
			return req->status;
		if (req->nsegs > 0 && !req->done) {
			++*open;
			continue;
		}
		req->nsegs = 0;
		if (p->block == p->end)
			continue;
		st = request_send(p, req);
		if (st != OK)
			return st;
		++*open;
	}
	return OK;
}

/* Bounded by the driver: every request has a deadline. */
static enum status pass_run(struct pass *p)
{
	struct blk *blk = p->gate->blk;
	struct blk_req flush = {.op = BLK_FLUSH};
	u32 places = (u32)min_u64(BENCH_REQUESTS, blk->depth);
	enum status st;
	u32 open = 0;

	memset(bench.req, 0, sizeof(bench.req));
	for (;;) {
		/* A full queue has nothing to settle. */
		st = blk->inflight < places ? round_go(p, places, &open) : OK;
		if (st != OK || open == 0)
			break;
		sample(p);
		st = blk->ops->poll(blk);
		p->polls++;
		if (st != OK)
			break;
	}
	return st == OK ? gate_run(p->gate, &flush) : st;
}

static void pass_print(const struct pass *p, u64 us)
{
	const struct blk *blk = p->gate->blk;
	u64 tenths = p->busy_us * 10 / us;

	con_printf("bench: %s: %s: %lu bytes in %lu us, requests %lu, polls %lu, queue %lu.%lu of "
		   "%u, idle %lu permille\n",
		blk->name, p->scattered ? "pages" : "pieces", BENCH_BYTES, us, p->submitted,
		p->polls, tenths / 10, tenths % 10, blk->depth, p->idle_us * 1000 / us);
}

static enum status pass_measure(const struct mem_range *from, bool scattered)
{
	struct target *t = &bench.target;
	struct pass p = {.gate = &t->gate, .from = *from, .scattered = scattered};
	u64 blocks = BENCH_BYTES / t->blk->block_bytes;
	u64 start_us = clock_us();
	enum status st;

	p.block = BENCH_OFFSET / t->blk->block_bytes;
	p.end = p.block + blocks;
	p.last_us = start_us;
	if (p.block < dl_data_start(&t->super) ||
		!range_fits(p.block, blocks, dl_data_end(&t->super)))
		return E_FULL;
	st = pass_run(&p);
	if (st == OK)
		pass_print(&p, clock_us() - start_us);
	return st;
}

static enum status disk_measure(const struct mem_range *from)
{
	const struct blk *blk = bench.target.blk;
	enum status st = OK;

	con_printf("bench: %s: at most %u bytes each\n", blk->name, blk->max_bytes);
	for (u32 i = 0; i < 2 * BENCH_PASSES && st == OK; i++)
		st = pass_measure(from, i % 2 == 1);
	return st;
}

static void say_failure(enum status st)
{
	con_printf("bench: E%u %s\n", (u32)st, status_text(st));
}

/* Each disk once, and the memory of those before it is used again if they let go of it. */
static void disks_measure(const struct mem_range *from)
{
	u64 mark = bench.arena.used;

	for (u32 i = 0; i < TARGET_MAX_TRIES; i++) {
		enum status st = target_find(&bench.ask, &bench.arena, &bench.target);

		if (st != OK)
			return;
		st = disk_measure(from);
		if (st != OK)
			say_failure(st);
		st = bench.target.blk->ops->stop(bench.target.blk);
		if (st != OK)
			say_failure(st);
		if (bench.target.blk->silent)
			bench.arena.used = mark;
		bench.ask.place[bench.ask.failed++] = bench.target.place;
	}
}

void dump_hello(u32 door)
{
	con_printf("bench: %s via %s\n", AFTERIMAGE_VERSION, door_name(door));
}

void dump_main(struct handoff *handoff)
{
	struct mem_range from = source_find(&handoff->map);

	pci_quiesce();
	bench.arena.pa = handoff->arena_pa;
	bench.arena.bytes = handoff->arena_bytes;
	bench.arena.va = arena_map(handoff->arena_pa, handoff->arena_bytes);
	bench.ask.uuid = any_uuid;
	bench.ask.boot_part = any_uuid;
	if (!bench.arena.va || from.bytes < BLK_MAX_SEGS * PAGE_BYTES)
		dump_panic(E_NO_MEMORY, "");
	con_printf("bench: memory at 0x%lx, %lu bytes\n", from.pa, from.bytes);
	con_printf("bench: clock begins\n");
	clock_wait_us(BENCH_CLOCK_US);
	con_printf("bench: clock ends\n");
	disks_measure(&from);
	con_printf("bench: done\n");
	machine_reset(ACTION_HALT);
}

void dump_panic(enum status status, const char *detail)
{
	con_printf("bench: E%u %s: %s\n", (u32)status, status_text(status), detail);
	machine_reset(ACTION_HALT);
}
