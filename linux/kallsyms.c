/*
 * The old kernel's table of its own symbols (CONFIG_KALLSYMS, with data only if it has
 * CONFIG_KALLSYMS_ALL). Reads names and addresses, knows nothing of what they mean.
 *
 *	names		of each symbol, in the order of addresses: length, then as many tokens;
 *			a length above 127 takes two bytes (6.1 on), the low seven bits first
 *	token_index	u16 for each of the 256 tokens: where it begins in
 *	token_table	texts with a NUL each. The first character of a symbol is its type
 *	offsets		s32 for each symbol. Three ways to read them, not told apart by any word of
 *			vmcoreinfo but by trying them on a symbol whose address is known:
 *			up to 6.14	base - 1 - offset if it is negative (absolute otherwise)
 *			any to 6.19	base + offset without a sign
 *			7.0 on		place of the offset + offset; there is no base
 */
#include <string.h>
#include "bytes.h"
#include "kallsyms.h"
#include "str.h"

#define SYMBOLS_MAX (1u << 21) /* a kernel with everything built in has a quarter */
#define NAME_MAX    1024u      /* of one, compressed; KSYM_NAME_LEN is 512 */
#define LONG_NAME   0x80u
#define KNOWN	    "init_uts_ns"

struct kallsyms {
	struct physmem *pm;
	const struct oldkernel *k;
	struct kallsyms_room *room;
	struct kallsyms_wanted *wanted; /* their va: number of the symbol plus 1 for now */
	u32 count;
	u32 symbols;
	u32 known; /* the symbol whose address is known, plus 1 */
	/* The window on the names: [at, end) of room->names, behind it next_va. */
	u32 at, end;
	u64 next_va;
	u64 offsets_va;
	u64 base; /* 0: none */
};

static bool symbol_va(const struct kallsyms *s, const char *key, u64 *va)
{
	return vmcoreinfo_hex(&s->k->vi, key, va);
}

static bool get(const struct kallsyms *s, u64 va, void *buf, u32 bytes)
{
	return pagetable_read(s->pm, &s->k->pt, va, buf, bytes) == OK;
}

static bool open_table(struct kallsyms *s)
{
	struct kallsyms_room *room = s->room;
	u64 symbols_va, index_va, token_va, base_va;

	if (!symbol_va(s, "SYMBOL(kallsyms_names)", &s->next_va) ||
		!symbol_va(s, "SYMBOL(kallsyms_num_syms)", &symbols_va) ||
		!symbol_va(s, "SYMBOL(kallsyms_token_index)", &index_va) ||
		!symbol_va(s, "SYMBOL(kallsyms_token_table)", &token_va) ||
		!symbol_va(s, "SYMBOL(kallsyms_offsets)", &s->offsets_va))
		return false;
	if (!get(s, symbols_va, &s->symbols, sizeof(s->symbols)) ||
		!get(s, index_va, room->index, sizeof(room->index)) ||
		!get(s, token_va, room->token, sizeof(room->token)))
		return false;
	if (symbol_va(s, "SYMBOL(kallsyms_relative_base)", &base_va) &&
		!get(s, base_va, &s->base, sizeof(s->base)))
		return false;
	room->token[sizeof(room->token) - 1] = '\0';
	return s->symbols <= SYMBOLS_MAX;
}

/* Makes all of the next name visible, if it can be read; a page at a time. */
static void fill(struct kallsyms *s)
{
	u8 *names = s->room->names;

	s->end -= s->at;
	memmove(names, names + s->at, s->end);
	s->at = 0;
	while (s->end < NAME_MAX) {
		u32 bytes = (u32)min_u64(sizeof(s->room->names) - s->end,
			PAGE_BYTES - (s->next_va & (PAGE_BYTES - 1)));

		if (!get(s, s->next_va, names + s->end, bytes))
			return;
		s->end += bytes;
		s->next_va += bytes;
	}
}

/* The tokens of the next name; NULL if there is no more that can be read. */
static const u8 *next_name(struct kallsyms *s, u32 *bytes)
{
	const u8 *p;
	u32 head = 1;

	if (s->end - s->at < NAME_MAX)
		fill(s);
	p = s->room->names + s->at;
	if (s->end - s->at < 2)
		return NULL;
	*bytes = p[0];
	if (*bytes & LONG_NAME) {
		*bytes = (*bytes & ~LONG_NAME) | (u32)p[1] << 7;
		head = 2;
	}
	if (*bytes > s->end - s->at - head)
		return NULL;
	s->at += head + *bytes;
	return p + head;
}

static const char *text_wanted(const struct kallsyms *s, u32 i)
{
	return i < s->count ? s->wanted[i].name : KNOWN;
}

/* Those of the @left wanted symbols that have @c at @at: none is compared behind its NUL. */
static u32 compare(const struct kallsyms *s, u32 left, u32 at, char c)
{
	for (u32 i = 0; i <= s->count; i++) {
		if (left >> i & 1 && text_wanted(s, i)[at] != c)
			left &= ~(1u << i);
	}
	return left;
}

/* Which of the wanted symbols a name is, as bits; most names are none after two characters. */
static u32 match(const struct kallsyms *s, const u8 *name, u32 bytes)
{
	u32 left = (2u << s->count) - 1;
	u32 chars = 0;

	for (u32 i = 0; i < bytes; i++) {
		u32 from = get_u16(s->room->index + name[i] * sizeof(u16));

		for (; from < KALLSYMS_TOKEN_BYTES && s->room->token[from]; from++, chars++) {
			if (chars > 0)
				left = compare(s, left, chars - 1, (char)s->room->token[from]);
			if (left == 0)
				return 0;
		}
	}
	return chars > 0 ? compare(s, left, chars - 1, '\0') : 0;
}

static void take(struct kallsyms *s, u32 found, u32 symbol)
{
	for (u32 i = 0; i < s->count; i++) {
		if (found >> i & 1 && s->wanted[i].va == 0)
			s->wanted[i].va = symbol + 1;
	}
	if (found >> s->count && s->known == 0)
		s->known = symbol + 1;
}

static void walk(struct kallsyms *s)
{
	for (u32 i = 0; i < s->symbols; i++) {
		u32 bytes;
		const u8 *name = next_name(s, &bytes);
		u32 found = name ? match(s, name, bytes) : 0;

		if (!name)
			return;
		if (found)
			take(s, found, i);
	}
}

/* Address of a symbol by its number plus 1, read the @way-th way; 0 if it can not be told. */
static u64 address(const struct kallsyms *s, u64 number, u32 way)
{
	u64 place = s->offsets_va + (number - 1) * sizeof(s32);
	s32 offset;

	if (number == 0 || !get(s, place, &offset, sizeof(offset)))
		return 0;
	if (s->base == 0)
		return place + (u64)offset;
	if (way == 0)
		return s->base + (u32)offset;
	return offset < 0 ? s->base - 1 - (u64)offset : (u64)offset;
}

/* The way that is right for the symbol that is known. */
static bool find_way(const struct kallsyms *s, u32 *way)
{
	u64 va;

	if (!symbol_va(s, "SYMBOL(" KNOWN ")", &va) || va == 0)
		return false;
	for (*way = 0; *way < 2; (*way)++) {
		if (address(s, s->known, *way) == va)
			return true;
	}
	return false;
}

bool kallsyms_find(struct physmem *pm, const struct oldkernel *k, struct kallsyms_room *room,
	struct kallsyms_wanted *wanted, u32 count)
{
	struct kallsyms s = {.pm = pm, .k = k, .room = room, .wanted = wanted, .count = count};
	u32 way;
	bool good;

	for (u32 i = 0; i < count; i++)
		wanted[i].va = 0;
	if (!k->verified || count > KALLSYMS_WANTED_MAX || !open_table(&s))
		return false;
	walk(&s);
	good = find_way(&s, &way);
	for (u32 i = 0; i < count; i++)
		wanted[i].va = good ? address(&s, wanted[i].va, way) : 0;
	return good;
}
