/*
 * The printk ring buffer, Linux 5.10 on. Two rings: descriptors of fixed size, found by ID
 * (the low bits are the index), each with an info struct of the same index; and text blocks
 * of any size, found by logical position (the low bits are the offset). The writer that was
 * under way when the machine stopped leaves a descriptor that is reserved: no record.
 *
 *	state_var	state in the top two bits, ID below
 *	text block	u64 ID of its descriptor, then the text, padded to 8 bytes;
 *			one that would cross the ring's end lies at its start instead
 */
#include "linux/printk_parts.h"

#define DESC_BITS_MAX 24 /* the log_buf_len= of 512 MiB */
#define TEXT_BITS_MAX 31 /* the most that log_buf_len= takes */

#define ID_MASK	    (UINT64_MAX >> 2)
#define STATE_SHIFT 62

enum desc_state {
	DESC_RESERVED,
	DESC_COMMITTED, /* complete, may still be extended */
	DESC_FINALIZED,
	DESC_REUSABLE,
};

/* Position of blocks that are none; every real one is even. */
#define LPOS_EMPTY_LINE 3u

/* From the text's length: u16 length, u8 facility, u8 flags:5 level:3. */
#define FACILITY_AFTER_LENGTH 2
#define LEVEL_SHIFT	      5

#define ID_BYTES 8u

enum key {
	RB_DESC_RING,
	RB_TEXT_RING,
	DR_COUNT_BITS,
	DR_DESCS,
	DR_INFOS,
	DR_HEAD_ID,
	DR_TAIL_ID,
	DESC_BYTES,
	DESC_STATE,
	DESC_BLOCK,
	BLOCK_BEGIN,
	BLOCK_NEXT,
	INFO_BYTES,
	INFO_SEQ,
	INFO_TIME,
	INFO_TEXT_LEN,
	TR_SIZE_BITS,
	TR_DATA,
	ATOMIC_COUNTER,
};

static const char *const keys[] = {
	[RB_DESC_RING] = "OFFSET(printk_ringbuffer.desc_ring)",
	[RB_TEXT_RING] = "OFFSET(printk_ringbuffer.text_data_ring)",
	[DR_COUNT_BITS] = "OFFSET(prb_desc_ring.count_bits)",
	[DR_DESCS] = "OFFSET(prb_desc_ring.descs)",
	[DR_INFOS] = "OFFSET(prb_desc_ring.infos)",
	[DR_HEAD_ID] = "OFFSET(prb_desc_ring.head_id)",
	[DR_TAIL_ID] = "OFFSET(prb_desc_ring.tail_id)",
	[DESC_BYTES] = "SIZE(prb_desc)",
	[DESC_STATE] = "OFFSET(prb_desc.state_var)",
	[DESC_BLOCK] = "OFFSET(prb_desc.text_blk_lpos)",
	[BLOCK_BEGIN] = "OFFSET(prb_data_blk_lpos.begin)",
	[BLOCK_NEXT] = "OFFSET(prb_data_blk_lpos.next)",
	[INFO_BYTES] = "SIZE(printk_info)",
	[INFO_SEQ] = "OFFSET(printk_info.seq)",
	[INFO_TIME] = "OFFSET(printk_info.ts_nsec)",
	[INFO_TEXT_LEN] = "OFFSET(printk_info.text_len)",
	[TR_SIZE_BITS] = "OFFSET(prb_data_ring.size_bits)",
	[TR_DATA] = "OFFSET(prb_data_ring.data)",
	[ATOMIC_COUNTER] = "OFFSET(atomic_long_t.counter)",
};
_Static_assert(ARRAY_SIZE(keys) <= PRINTK_KEYS, "no room for the ring's keys");

struct block {
	u64 begin;
	u64 next;
};

static bool get_bits(const struct printk *p, u64 va, u32 most, u64 *count)
{
	u32 bits;

	if (!printk_get(p, va, &bits, sizeof(bits)) || bits == 0 || bits > most)
		return false;
	*count = 1ull << bits;
	return true;
}

static bool get_id(const struct printk *p, u64 va, u64 *id)
{
	if (!printk_get(p, va + p->at[ATOMIC_COUNTER], id, sizeof(*id)))
		return false;
	*id &= ID_MASK;
	return true;
}

/* The walk goes up to the head; what lies further back than there are descriptors is gone. */
static bool set_range(struct printk *p, u64 desc_ring)
{
	u64 head;
	u64 tail;

	if (!get_id(p, desc_ring + p->at[DR_HEAD_ID], &head) ||
		!get_id(p, desc_ring + p->at[DR_TAIL_ID], &tail))
		return false;
	p->steps = min_u64(((head - tail) & ID_MASK) + 1, p->descs);
	p->next = (head - (p->steps - 1)) & ID_MASK;
	return true;
}

enum status printk_ring_open(struct printk *p, const struct vmcoreinfo *vi)
{
	u64 desc_ring;
	u64 text_ring;
	u64 rb;

	if (!printk_keys(p, vi, keys, ARRAY_SIZE(keys)) || p->at[DESC_BYTES] == 0 ||
		p->at[INFO_BYTES] == 0 || !printk_symbol(p, vi, "SYMBOL(prb)", &rb, sizeof(rb)))
		return E_NO_LOG;
	desc_ring = rb + p->at[RB_DESC_RING];
	text_ring = rb + p->at[RB_TEXT_RING];
	if (!get_bits(p, desc_ring + p->at[DR_COUNT_BITS], DESC_BITS_MAX, &p->descs) ||
		!get_bits(p, text_ring + p->at[TR_SIZE_BITS], TEXT_BITS_MAX, &p->text_bytes))
		return E_NO_LOG;
	if (!printk_get(p, desc_ring + p->at[DR_DESCS], &p->desc_va, sizeof(p->desc_va)) ||
		!printk_get(p, desc_ring + p->at[DR_INFOS], &p->info_va, sizeof(p->info_va)) ||
		!printk_get(p, text_ring + p->at[TR_DATA], &p->text_va, sizeof(p->text_va)))
		return E_NO_LOG;
	return set_range(p, desc_ring) ? OK : E_NO_LOG;
}

/* How often a position went round the ring. */
static u64 rounds(const struct printk *p, u64 lpos)
{
	return lpos & ~(p->text_bytes - 1);
}

/*
 * Offset in the ring of the block and its bytes, ID included. False if there is no such block.
 * One that ends with the ring does not wrap, though its end is in the next round.
 */
static bool find_block(const struct printk *p, const struct block *b, u64 *at, u64 *bytes)
{
	if ((b->begin | b->next) & (ID_BYTES - 1))
		return false;
	if (rounds(p, b->begin) == rounds(p, b->next - 1)) {
		*at = b->begin - rounds(p, b->begin);
		*bytes = b->next - b->begin;
	} else if (rounds(p, b->begin + p->text_bytes) == rounds(p, b->next - 1)) {
		*at = 0;
		*bytes = b->next - rounds(p, b->next);
	} else {
		return false;
	}
	return *bytes >= ID_BYTES && range_fits(*at, *bytes, p->text_bytes);
}

/* Its ID tells whether the block still belongs to the descriptor. */
static void read_text(
	struct printk *p, struct printk_record *r, u64 id, const struct block *b, u32 bytes)
{
	u64 block_bytes;
	u64 owner;
	u64 at;

	if (b->begin == LPOS_EMPTY_LINE && b->next == LPOS_EMPTY_LINE)
		return;
	r->cut = true;
	if (!find_block(p, b, &at, &block_bytes))
		return;
	if (!printk_get(p, p->text_va + at, &owner, sizeof(owner))) {
		p->unreadable++;
		return;
	}
	if ((owner & ID_MASK) != id)
		return;
	r->cut = bytes > block_bytes - ID_BYTES;
	printk_fill(p, r, p->text_va + at + ID_BYTES, (u32)min_u64(bytes, block_bytes - ID_BYTES));
}

static bool read_info(const struct printk *p, u64 va, struct printk_record *r, u16 *text_len)
{
	u8 by[2]; /* facility, level */

	if (!printk_get(p, va + p->at[INFO_SEQ], &r->sequence, sizeof(r->sequence)) ||
		!printk_get(p, va + p->at[INFO_TIME], &r->time_ns, sizeof(r->time_ns)) ||
		!printk_get(p, va + p->at[INFO_TEXT_LEN], text_len, sizeof(*text_len)) ||
		!printk_get(p, va + p->at[INFO_TEXT_LEN] + FACILITY_AFTER_LENGTH, by, sizeof(by)))
		return false;
	r->facility = by[0];
	r->level = by[1] >> LEVEL_SHIFT;
	return true;
}

enum printk_found printk_ring_next(struct printk *p, struct printk_record *r)
{
	u64 id = p->next;
	u64 index = id & (p->descs - 1);
	u64 desc = p->desc_va + index * p->at[DESC_BYTES];
	u64 lpos = desc + p->at[DESC_BLOCK];
	struct block b;
	u16 text_len;
	u64 state;

	p->next = (id + 1) & ID_MASK;
	if (!printk_get(p, desc + p->at[DESC_STATE] + p->at[ATOMIC_COUNTER], &state, 8))
		return PRINTK_UNREADABLE;
	if ((state & ID_MASK) != id || state >> STATE_SHIFT == DESC_RESERVED)
		return PRINTK_LOST;
	if (state >> STATE_SHIFT == DESC_REUSABLE)
		return PRINTK_NOTHING;
	if (!printk_get(p, lpos + p->at[BLOCK_BEGIN], &b.begin, sizeof(b.begin)) ||
		!printk_get(p, lpos + p->at[BLOCK_NEXT], &b.next, sizeof(b.next)) ||
		!read_info(p, p->info_va + index * p->at[INFO_BYTES], r, &text_len))
		return PRINTK_UNREADABLE;
	read_text(p, r, id, &b, text_len);
	return PRINTK_RECORD;
}
