/*
 * Rules from the input's text, before that of a known kernel, and verdicts on struct pages of
 * the input's bytes. Byte 0: bit 0 five levels, bit 1 there is a next struct, bits 4-7 the
 * kernel; bytes 1-8 the PFN; 9-10 the length of the text; then the text, then struct pages.
 * Each run also judges a random struct by a known kernel's rules: next to none may be dropped.
 */
#include <stdlib.h>
#include <string.h>
#include "dumplog.h"
#include "pageinfo.h"
#include "tests/unit/page_texts.h"

#define HEAD	   11u
#define MAP_VA	   0xffffea0000000000ull
#define PFN_MASK   ((1ull << 40) - 1)
#define RANDOM_MIN 20000u /* structs judged before their share of drops says anything */
#define DROP_1_IN  2000u
#define STEPS	   16u

static const char *const known_text[] = {"", TEXT_5_10, TEXT_6_1, TEXT_6_4, TEXT_6_7, TEXT_6_12,
	TEXT_7_2, TEXT_4_4, TEXT_3_18, TEXT_2_6_32};
static struct page_rules known[ARRAY_SIZE(known_text)];
static u64 random_structs;
static u64 random_dropped;
static u64 random_state = 0x9e3779b97f4a7c15ull;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void vmcoreinfo_set(struct vmcoreinfo *vi, const void *text, size_t bytes, const char *more)
{
	size_t more_bytes = strlen(more);

	memset(vi, 0, sizeof(*vi));
	bytes = min_u64(bytes, VMCOREINFO_MAX - more_bytes);
	memcpy(vi->text, text, bytes);
	memcpy(vi->text + bytes, more, more_bytes);
	vi->bytes = (u32)(bytes + more_bytes);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct vmcoreinfo vi;

	(void)argc;
	(void)argv;
	for (u32 i = 1; i < ARRAY_SIZE(known); i++) {
		vmcoreinfo_set(&vi, "", 0, known_text[i]);
		require(page_rules_load(&vi, 4 + i % 2, &known[i]) == OK);
	}
	return 0;
}

static bool keeps(u32 class)
{
	return class == DL_KEPT || class == DL_METADATA_LOST;
}

static void check_verdict(const struct page_verdict *v, const struct page_ref *page)
{
	bool block = v->class == DL_CACHE || v->class == DL_PRIVATE_CACHE || v->class == DL_USER ||
		     v->class == DL_HWPOISON;

	require(keeps(v->class) || block || v->class == DL_FREE || v->class == DL_OFFLINE);
	require(v->order <= PAGEINFO_MAX_ORDER);
	require((page->pfn & ((1ull << v->order) - 1)) == 0);
	require((v->members == PAGE_FREE_BLOCK) == (v->class == DL_FREE));
	require(v->members != PAGE_SINGLE || (v->order == 0 && v->compound == 0));
	if (v->members == PAGE_COMPOUND)
		require(block && v->order > 0 && v->compound == page->va);
}

static void check_struct(const struct page_rules *r, const struct page_ref *page, const u8 *next)
{
	struct page_verdict v = page_judge(r, page, next);
	struct page_ref member = {page->pfn + 1, page->va + r->size, next};
	struct page_facts facts;

	check_verdict(&v, page);
	require(page_is_poisoned(r, page) == (v.class == DL_HWPOISON));
	if (!page_is_believable(r, page))
		require(v.class == DL_METADATA_LOST);
	if (next && v.members == PAGE_SINGLE)
		require(!page_is_member(r, &v, &member));
	else if (next)
		(void)page_is_member(r, &v, &member);
	page_facts_read(r, page->bytes, &facts);
	require((r->refcount >= 0 || facts.refcount == -1) && (r->private >= 0 || !facts.private));
}

/* Exactly as many bytes as the rules allow to look at. */
static u8 *struct_copy(const struct page_rules *r, const u8 *data, size_t bytes)
{
	u8 *copy = calloc(1, r->size);

	require(copy != NULL);
	memcpy(copy, data, min_u64(bytes, r->size));
	return copy;
}

static void check_structs(
	const struct page_rules *r, u64 pfn, bool has_next, const u8 *data, size_t bytes)
{
	for (u32 i = 0; i < STEPS && bytes > 0; i++) {
		struct page_ref page = {pfn + i, MAP_VA + (pfn + i) * r->size, NULL};
		size_t step = min_u64(bytes, r->size);
		u8 *copy = struct_copy(r, data, bytes);
		u8 *next = has_next ? struct_copy(r, data + step, bytes - step) : NULL;

		page.bytes = copy;
		check_struct(r, &page, next);
		free(copy);
		free(next);
		data += step;
		bytes -= step;
	}
}

static u64 random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void check_random(void)
{
	const struct page_rules *r = &known[1 + random_u64() % (ARRAY_SIZE(known) - 1)];
	u64 words[2 * PAGEINFO_MAX_BYTES / 8];
	struct page_ref page = {random_u64() & PFN_MASK & ~511ull, 0, (const u8 *)words};
	struct page_verdict v;

	for (u32 i = 0; i < 2 * r->size / 8; i++)
		words[i] = random_u64();
	page.va = MAP_VA + page.pfn * r->size;
	check_struct(r, &page, page.bytes + r->size);
	v = page_judge(r, &page, page.bytes + r->size);
	random_structs++;
	random_dropped += !keeps(v.class);
	require(random_structs < RANDOM_MIN || random_dropped < random_structs / DROP_1_IN);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct vmcoreinfo vi;
	struct page_rules r;
	u16 text_bytes;
	bool has_next;
	u64 pfn;

	if (bytes < HEAD)
		return 0;
	memcpy(&pfn, data + 1, sizeof(pfn));
	memcpy(&text_bytes, data + 9, sizeof(text_bytes));
	text_bytes = (u16)min_u64(text_bytes, bytes - HEAD);
	vmcoreinfo_set(
		&vi, data + HEAD, text_bytes, known_text[(data[0] >> 4) % ARRAY_SIZE(known_text)]);
	check_random();
	if (page_rules_load(&vi, data[0] & 1 ? 5 : 4, &r) != OK)
		return 0;
	has_next = (data[0] & 2) != 0;
	data += HEAD + text_bytes;
	check_structs(&r, pfn & PFN_MASK, has_next, data, bytes - HEAD - text_bytes);
	return 0;
}
