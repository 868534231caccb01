/*
 * Requests to a driver without the program around it.
 */
#ifndef AFTERIMAGE_REQUESTS_H
#define AFTERIMAGE_REQUESTS_H

#include "blk.h"

/* A request of one segment. */
struct blk_req bench_request(enum blk_op op, u64 lba, u32 blocks, u64 pa, u32 bytes);

/* Submits and waits; writes too, which in the program go through the gate. */
enum status bench_run(struct blk *blk, struct blk_req *req) MUST_CHECK;

#endif
