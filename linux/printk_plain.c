/*
 * The log of Linux before 3.5: a ring of plain text, whose length is a power of two. Lines
 * begin with <level> and, if the kernel was told so, with [seconds.microseconds].
 */
#include <string.h>
#include "linux/printk_parts.h"

#define BUFFER_MAX  (1u << 31)
#define PIECE_BYTES 256u
#define LEVEL_MASK  7u
#define LEVELS	    8u /* to each facility */
#define PREFIX_MAX  32u

/*
 * log_end counts all characters ever written, logged_chars those since the log was cleared;
 * the first may have gone round at 2^32.
 */
enum status printk_plain_open(struct printk *p, const struct vmcoreinfo *vi)
{
	u32 logged = 0;
	u32 bytes;
	u32 end;

	if (!printk_symbol(p, vi, "SYMBOL(log_buf)", &p->text_va, sizeof(p->text_va)) ||
		!printk_symbol(p, vi, "SYMBOL(log_buf_len)", &bytes, sizeof(bytes)) ||
		!printk_symbol(p, vi, "SYMBOL(log_end)", &end, sizeof(end)))
		return E_NO_LOG;
	if (!printk_symbol(p, vi, "SYMBOL(logged_chars)", &logged, sizeof(logged)))
		logged = 0;
	if (bytes == 0 || bytes > BUFFER_MAX || bytes & (bytes - 1))
		return E_NO_LOG;
	p->text_bytes = bytes;
	p->steps = min_u64(max_u64(end, logged), bytes);
	p->end = end;
	p->next = p->end - p->steps; /* may be below 0: positions only count modulo the length */
	return OK;
}

/* Up to the end of the line, at most what the record holds; the position behind it. */
static u64 read_line(struct printk *p, struct printk_record *r, u64 from)
{
	u64 room = min_u64(p->end - from, PRINTK_TEXT_MAX);

	while (r->bytes < room) {
		u64 at = (from + r->bytes) & (p->text_bytes - 1);
		u64 most = min_u64(p->text_bytes - at, PIECE_BYTES);
		u32 want = (u32)min_u64(most, room - r->bytes);
		char *to = r->text + r->bytes;
		u32 got = printk_text(p, p->text_va + at, to, want);

		for (u32 i = 0; i < got; i++) {
			if (to[i] == '\n') {
				r->bytes += i;
				return from + r->bytes + 1;
			}
		}
		r->bytes += got;
		if (got < want)
			break;
	}
	r->cut = r->bytes < p->end - from;
	return from + r->bytes;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits from @at on, at most 10; the place behind them. */
static u32 parse_digits(const struct printk_record *r, u32 at, u64 *value)
{
	u32 end = (u32)min_u64(r->bytes, at + 10ull);

	for (*value = 0; at < end && is_digit(r->text[at]); at++)
		*value = *value * 10 + (u64)(r->text[at] - '0');
	return at;
}

static bool has(const struct printk_record *r, u32 at, char c)
{
	return at < r->bytes && r->text[at] == c;
}

/* Length of a level at the line's beginning, 0 if there is none. */
static u32 parse_level(struct printk_record *r)
{
	u64 level;
	u32 at;

	if (!has(r, 0, '<'))
		return 0;
	at = parse_digits(r, 1, &level);
	if (at == 1 || !has(r, at, '>'))
		return 0;
	r->level = (u32)(level & LEVEL_MASK);
	r->facility = (u32)(level / LEVELS);
	return at + 1;
}

/* Where the text begins, behind a time at @from if there is one. */
static u32 parse_time(struct printk_record *r, u32 from)
{
	u32 at = from + 1;
	u64 micros;
	u64 secs;
	u32 dot;

	if (!has(r, from, '['))
		return from;
	while (at < from + PREFIX_MAX && has(r, at, ' '))
		at++;
	dot = parse_digits(r, at, &secs);
	if (dot == at || !has(r, dot, '.'))
		return from;
	at = parse_digits(r, dot + 1, &micros);
	if (at != dot + 7 || !has(r, at, ']') || !has(r, at + 1, ' '))
		return from;
	r->time_ns = (secs * 1000000 + micros) * 1000;
	return at + 2;
}

/* Behind the unreadable page that holds @from. */
static u64 skip_page(const struct printk *p, u64 from)
{
	u64 at = from & (p->text_bytes - 1);
	u64 left = PAGE_BYTES - ((p->text_va + at) & (PAGE_BYTES - 1));

	return from + min_u64(min_u64(left, p->text_bytes - at), p->end - from);
}

/* A step goes at least one character on. */
enum printk_found printk_plain_next(struct printk *p, struct printk_record *r)
{
	u64 from = p->next;
	u32 skip;

	p->next = read_line(p, r, from);
	if (p->next == from) {
		p->next = skip_page(p, from);
		p->steps = p->end - p->next;
		return PRINTK_UNREADABLE;
	}
	p->steps = p->end - p->next;
	skip = parse_time(r, parse_level(r));
	r->bytes -= skip;
	memmove(r->text, r->text + skip, r->bytes);
	r->sequence = p->sequence++;
	return PRINTK_RECORD;
}
