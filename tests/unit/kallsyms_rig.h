/*
 * Writes a kernel's table of its symbols, as scripts/kallsyms makes it, into the RAM of the log's
 * rig. Tokens are single characters but for a few longer ones, one with a type in it.
 */
#ifndef AFTERIMAGE_KALLSYMS_RIG_H
#define AFTERIMAGE_KALLSYMS_RIG_H

#include "kallsyms.h"
#include "tests/unit/printk_rig.h"

#define KS_NAMES   0x100ff8u /* a few bytes before a page ends */
#define KS_END	   0x160000u
#define KS_OFFSETS 0x190004u
#define KS_TOKENS  0x1c0010u
#define KS_INDEX   0x1c2002u
#define KS_COUNT   0x1c3004u
#define KS_BASE	   0x1c3008u
#define KS_KNOWN   0x1d0040u /* init_uts_ns */

enum ks_way {
	KS_WAY_PERCPU, /* 6.0 to 6.14 with CONFIG_KALLSYMS_ABSOLUTE_PERCPU */
	KS_WAY_PLAIN,
	KS_WAY_PLACE, /* 7.0 on */
};

static const char *const ks_token[] = {"system", "_state", "Dsys", "init_uts", "s_ns", "panic"};

static struct {
	enum ks_way way;
	u32 count;
	u64 at; /* behind the last name */
} ks;

/* Token c is the character c, those from 1 on are the longer ones, the others are empty. */
static inline void ks_tokens(void)
{
	u64 at = KS_TOKENS;

	for (u32 i = 0; i < KALLSYMS_TOKENS; i++) {
		char one[2] = {(char)(i > 32 && i < 127 ? i : 0), '\0'};
		bool longer = i >= 1 && i <= ARRAY_SIZE(ks_token);
		const char *text = longer ? ks_token[i - 1] : one;

		put_u16(KS_INDEX + i * 2, (u32)(at - KS_TOKENS));
		put(at, text, strlen(text) + 1);
		at += strlen(text) + 1;
	}
}

/* The token that @text goes on with. */
static inline u8 ks_next(const char *text, u32 *chars)
{
	for (u32 i = 0; i < ARRAY_SIZE(ks_token); i++) {
		*chars = (u32)strlen(ks_token[i]);
		if (strncmp(text, ks_token[i], *chars) == 0)
			return (u8)(i + 1);
	}
	*chars = 1;
	return (u8)*text;
}

static inline s32 ks_offset(u64 va)
{
	u64 base = VA + KS_COUNT;

	if (ks.way == KS_WAY_PERCPU)
		return (s32)(s64)(base - 1 - va);
	if (ks.way == KS_WAY_PLAIN)
		return (s32)(u32)(va - base);
	return (s32)(s64)(va - (VA + KS_OFFSETS + ks.count * 4));
}

/* @typed: the symbol's type and its name. */
static inline void ks_add(const char *typed, u64 at)
{
	u8 tokens[2048];
	u32 n = 0;

	for (u32 chars; *typed; typed += chars)
		tokens[n++] = ks_next(typed, &chars);
	if (n > 127) {
		u8 head[2] = {(u8)(n | 0x80), (u8)(n >> 7)};

		put(ks.at, head, 2);
		ks.at += 2;
	} else {
		put(ks.at++, &n, 1);
	}
	put(ks.at, tokens, n);
	ks.at += n;
	assert_true(ks.at <= KS_END);
	put_u32(KS_OFFSETS + ks.count * 4, (u32)ks_offset(VA + at));
	put_u32(KS_COUNT, ++ks.count);
}

/* An empty table, and what vmcoreinfo says of it. */
static inline void ks_make(enum ks_way way)
{
	ks.way = way;
	ks.count = 0;
	ks.at = KS_NAMES;
	ks_tokens();
	put_u32(KS_COUNT, 0);
	put_u64(KS_BASE, VA + KS_COUNT);
	symbol("init_uts_ns", KS_KNOWN);
	symbol("kallsyms_names", KS_NAMES);
	symbol("kallsyms_num_syms", KS_COUNT);
	symbol("kallsyms_token_index", KS_INDEX);
	symbol("kallsyms_token_table", KS_TOKENS);
	symbol("kallsyms_offsets", KS_OFFSETS);
	if (way != KS_WAY_PLACE)
		symbol("kallsyms_relative_base", KS_BASE);
}

#endif
