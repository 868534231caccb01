/*
 * Writes a printk ring buffer as the kernel does, in the RAM of the rig.
 */
#ifndef AFTERIMAGE_PRINTK_RING_RIG_H
#define AFTERIMAGE_PRINTK_RING_RIG_H

#include "tests/unit/printk_rig.h"

/* Nothing lies where a real kernel has it. */
#define RB	   0x5100u
#define DESC_RING  16u
#define TEXT_RING  80u
#define COUNT_BITS 4u
#define DESCS	   8u
#define INFOS	   24u
#define HEAD_ID	   32u
#define TAIL_ID	   48u
#define SIZE_BITS  12u
#define DATA	   0u
#define COUNTER	   8u
#define DESC_BYTES 40u
#define STATE	   0u
#define BLOCK	   16u
#define BEGIN	   8u
#define NEXT	   0u
#define INFO_BYTES 64u
#define SEQ	   32u
#define TIME	   8u
#define TEXT_LEN   20u

#define DESC_AT 0x10000u
#define INFO_AT 0x20000u
#define ID_MASK (~0ull >> 2)
#define ADDED	4096

static struct {
	u32 desc_bits;
	u32 text_bits;
	u64 head_id, tail_id;
	u64 head, tail; /* of the text */
	u64 first_id;	/* of the first record */
	u32 added;
	u64 next[ADDED];
	u8 facility;	/* of the next records */
	bool end_wraps; /* a block that ends with the ring goes to the start, as up to 6.17 */
} ring;

static inline u64 descs(void)
{
	return 1ull << ring.desc_bits;
}

static inline u64 text_bytes(void)
{
	return 1ull << ring.text_bits;
}

static inline u64 desc_at(u64 id)
{
	return DESC_AT + (id & (descs() - 1)) * DESC_BYTES;
}

static inline u64 info_at(u64 id)
{
	return INFO_AT + (id & (descs() - 1)) * INFO_BYTES;
}

static inline void set_state(u64 id, u64 state)
{
	put_u64(desc_at(id) + STATE + COUNTER, state << 62 | id);
}

static inline void set_block(u64 id, u64 begin, u64 next)
{
	put_u64(desc_at(id) + BLOCK + BEGIN, begin);
	put_u64(desc_at(id) + BLOCK + NEXT, next);
}

static inline void put_ids(void)
{
	put_u64(RB + DESC_RING + HEAD_ID + COUNTER, ring.head_id);
	put_u64(RB + DESC_RING + TAIL_ID + COUNTER, ring.tail_id);
}

static inline void put_keys(void)
{
	symbol("prb", VARS);
	key("OFFSET(printk_ringbuffer.desc_ring)", DESC_RING);
	key("OFFSET(printk_ringbuffer.text_data_ring)", TEXT_RING);
	key("OFFSET(prb_desc_ring.count_bits)", COUNT_BITS);
	key("OFFSET(prb_desc_ring.descs)", DESCS);
	key("OFFSET(prb_desc_ring.infos)", INFOS);
	key("OFFSET(prb_desc_ring.head_id)", HEAD_ID);
	key("OFFSET(prb_desc_ring.tail_id)", TAIL_ID);
	key("SIZE(prb_desc)", DESC_BYTES);
	key("OFFSET(prb_desc.state_var)", STATE);
	key("OFFSET(prb_desc.text_blk_lpos)", BLOCK);
	key("OFFSET(prb_data_blk_lpos.begin)", BEGIN);
	key("OFFSET(prb_data_blk_lpos.next)", NEXT);
	key("SIZE(printk_info)", INFO_BYTES);
	key("OFFSET(printk_info.seq)", SEQ);
	key("OFFSET(printk_info.ts_nsec)", TIME);
	key("OFFSET(printk_info.text_len)", TEXT_LEN);
	key("OFFSET(prb_data_ring.size_bits)", SIZE_BITS);
	key("OFFSET(prb_data_ring.data)", DATA);
	key("OFFSET(atomic_long_t.counter)", COUNTER);
}

/* The state before the first message: IDs overflow in the second round, positions in the first. */
static inline void make(u32 desc_bits, u32 text_bits)
{
	memset(&ring, 0, sizeof(ring));
	ring.desc_bits = desc_bits;
	ring.text_bits = text_bits;
	ring.first_id = (0 - descs()) & ID_MASK;
	ring.head_id = ring.tail_id = (ring.first_id - 1) & ID_MASK;
	ring.head = ring.tail = 0 - text_bytes();
	put_keys();
	put_u64(VARS, VA + RB);
	put_u32(RB + DESC_RING + COUNT_BITS, desc_bits);
	put_u64(RB + DESC_RING + DESCS, VA + DESC_AT);
	put_u64(RB + DESC_RING + INFOS, VA + INFO_AT);
	put_u32(RB + TEXT_RING + SIZE_BITS, text_bits);
	put_u64(RB + TEXT_RING + DATA, VA + BUFFER);
	set_state(ring.head_id, 3);
	set_block(ring.head_id, 1, 1);
	put_ids();
}

static inline u64 id_of(u32 i)
{
	return (ring.first_id + i) & ID_MASK;
}

/* Which record an ID is; -1 for that before the first. */
static inline s64 index_of(u64 id)
{
	return (s64)((id - ring.first_id) << 2) >> 2;
}

/* The oldest descriptor makes room. */
static inline void push_tail(void)
{
	s64 oldest = index_of(ring.tail_id);

	set_state(ring.tail_id, 3);
	ring.tail_id = (ring.tail_id + 1) & ID_MASK;
	if (oldest >= 0 && !(ring.next[oldest] & 1))
		ring.tail = ring.next[oldest];
}

static inline u64 room(u64 at)
{
	return BUFFER + (at & (text_bytes() - 1));
}

/* A block that would cross the end lies at the start; its ID is at both places. */
static inline u64 alloc_text(u32 bytes)
{
	u64 size = 8 + (bytes + 7ull) / 8 * 8;
	u64 begin = ring.head;
	u64 next = begin + size;
	u64 id = ring.head_id;
	bool wraps = (begin ^ (next - !ring.end_wraps)) >> ring.text_bits;

	if (wraps)
		next = (next & ~(text_bytes() - 1)) + size;
	while (next - ring.tail > text_bytes())
		push_tail();
	put_u64(room(begin), id);
	if (wraps)
		put_u64(BUFFER, id);
	ring.head = next;
	set_block(id, begin, next);
	ring.next[ring.added] = next;
	return (wraps ? BUFFER : room(begin)) + 8;
}

static inline void add_bytes(const void *text, u32 bytes)
{
	u64 seq = ring.added;
	u8 by[2] = {ring.facility, (u8)(ring.added % 8 << 5 | 0xa)};

	if (((ring.head_id - ring.tail_id) & ID_MASK) == descs() - 1)
		push_tail();
	ring.head_id = (ring.head_id + 1) & ID_MASK;
	if (bytes) {
		put(alloc_text(bytes), text, bytes);
	} else {
		set_block(ring.head_id, 3, 3);
		ring.next[ring.added] = 3;
	}
	put_u64(info_at(ring.head_id) + SEQ, seq);
	put_u64(info_at(ring.head_id) + TIME, seq * 1000000007);
	put_u16(info_at(ring.head_id) + TEXT_LEN, bytes);
	put(info_at(ring.head_id) + TEXT_LEN + 2, by, sizeof(by));
	set_state(ring.head_id, 1 + seq % 2);
	ring.added++;
	put_ids();
}

static inline void add(const char *text)
{
	add_bytes(text, (u32)strlen(text));
}

static inline void add_many(u32 count)
{
	for (u32 i = 0; i < count; i++)
		add(message(ring.added));
}

static inline void expect_message(u32 i)
{
	expect_next(message(i));
	assert_int_equal(r.sequence, i);
	assert_int_equal(r.time_ns, i * 1000000007ull);
	assert_int_equal(r.level, i % 8);
	assert_int_equal(r.facility, ring.facility);
	assert_false(r.cut);
}

/* The first that is still there. */
static inline u32 oldest(void)
{
	s64 i = index_of(ring.tail_id);

	return i > 0 ? (u32)i : 0;
}

static inline void expect_all(void)
{
	for (u32 i = oldest(); i < ring.added; i++)
		expect_message(i);
	expect_end(0, 0);
}

#endif
