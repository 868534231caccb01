/*
 * Requests made by hand. Writes go past the gate here, which only tests may do.
 */
#include "requests.h"

enum status bench_run(struct blk *blk, struct blk_req *req)
{
	enum status st;

	while ((st = blk->ops->submit(blk, req)) == E_BUSY) {
		st = blk->ops->poll(blk);
		if (st != OK)
			return st;
	}
	return st == OK ? blk_wait(blk, req) : st;
}

struct blk_req bench_request(enum blk_op op, u64 lba, u32 blocks, u64 pa, u32 bytes)
{
	struct blk_req r = {.op = op, .lba = lba, .blocks = blocks, .nsegs = 1};

	r.seg[0].pa = pa;
	r.seg[0].bytes = bytes;
	return r;
}
