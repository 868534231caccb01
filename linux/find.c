/*
 * Searching all RAM for kernels and choosing one. One look at each page; what looks like
 * vmcoreinfo is verified by verify.c. Never follows anything found in memory by itself.
 */
#include <string.h>
#include "pagemap.h"
#include "verify.h"

#define MAX_VERIFICATIONS 4096 /* a candidate costs microseconds */
#define MAX_GUESSES	  65536
#define MAX_KERNELS	  32

/* The kernels verified so far; two copies of one kernel's vmcoreinfo are one kernel. */
struct seen {
	u64 root_pa;
	s64 phys_base;
	bool compared;
	u64 coverage; /* of its page map, once compared */
};

struct search {
	struct physmem *pm;
	const struct oldkernel_ask *ask;
	struct oldkernel *best;
	struct oldkernel *scratch;
	struct pagemap *map;
	u32 candidates;
	u32 kernels;
	u32 guesses;
	struct seen seen[MAX_KERNELS];
};

/*
 * Where @k is in the list, put there if it is new. Same place means same image, so same release:
 * nothing else can have verified there. NULL if the list is full.
 */
static struct seen *seen_kernel(struct search *s, const struct oldkernel *k)
{
	for (u32 i = 0; i < s->kernels; i++) {
		if (s->seen[i].root_pa == k->pt.root_pa && s->seen[i].phys_base == k->phys_base)
			return &s->seen[i];
	}
	if (s->kernels == MAX_KERNELS)
		return NULL;
	s->seen[s->kernels] = (struct seen) {.root_pa = k->pt.root_pa, .phys_base = k->phys_base};
	return &s->seen[s->kernels++];
}

bool oldkernel_skip(struct oldkernel_ask *ask, const struct oldkernel *k)
{
	if (ask->skips == OLDKERNEL_SKIPS)
		return false;
	ask->skip[ask->skips++] = (struct oldkernel_known) {k->pt.root_pa, k->phys_base};
	return true;
}

static bool is_skipped(const struct oldkernel_ask *ask, const struct oldkernel *k)
{
	for (u32 i = 0; i < ask->skips && i < OLDKERNEL_SKIPS; i++) {
		if (ask->skip[i].root_pa == k->pt.root_pa && ask->skip[i].phys_base == k->phys_base)
			return true;
	}
	return false;
}

/* At most once for each kernel in the list. */
static u64 coverage(struct search *s, struct seen *seen, const struct oldkernel *k)
{
	if (!seen->compared && pagemap_open(s->map, s->pm, k) == OK)
		seen->coverage = pagemap_coverage(s->map, s->pm->map);
	seen->compared = true;
	return seen->coverage;
}

/* Both verified: an earlier boot's kernel may do so, but its page map has been written over. */
static bool covers_more(struct search *s, const struct oldkernel *k, const struct oldkernel *best)
{
	struct seen *mine = seen_kernel(s, k);
	struct seen *other = seen_kernel(s, best);

	if (!mine || !other || mine == other)
		return false;
	return coverage(s, mine, k) > coverage(s, other, best);
}

/* Less than half of what the other's does: its memory went to somebody else since. */
static bool covers_little(struct search *s, const struct oldkernel *k, const struct oldkernel *than)
{
	struct seen *mine = seen_kernel(s, k);
	struct seen *other = seen_kernel(s, than);

	if (!mine || !other || mine == other)
		return false;
	return coverage(s, mine, k) < coverage(s, other, than) / 2;
}

static bool has_crashtime(const struct oldkernel *k)
{
	u32 bytes;

	return vmcoreinfo_text(&k->vi, "CRASHTIME", &bytes) != NULL;
}

/* A candidate that got as far as its page tables says more than one that did not. */
static bool is_better(struct search *s, const struct oldkernel *k)
{
	const struct oldkernel *best = s->best;

	if (best->vmcoreinfo_pa == 0 && best->vi.bytes == 0)
		return true;
	if (k->verified != best->verified)
		return k->verified;
	if (!k->verified)
		return k->why != E_VMCOREINFO && best->why == E_VMCOREINFO;
	if (has_crashtime(k) && !has_crashtime(best))
		return !covers_little(s, k, best);
	if (!has_crashtime(k) && has_crashtime(best))
		return covers_little(s, best, k);
	return covers_more(s, k, best);
}

static void examine(struct search *s, u64 pa)
{
	struct oldkernel *k = s->scratch;

	memset(k, 0, sizeof(*k));
	if (!vmcoreinfo_load(s->pm, pa, &k->vi))
		return;
	if (s->candidates++ >= MAX_VERIFICATIONS)
		return;
	k->vmcoreinfo_pa = pa;
	k->trace_pa = pa;
	k->why = oldkernel_verify(s->pm, k, &s->guesses);
	k->verified = k->why == OK;
	if (k->verified)
		(void)seen_kernel(s, k);
	if (k->verified && is_skipped(s->ask, k))
		return;
	if (is_better(s, k))
		memcpy(s->best, k, sizeof(*k));
}

static bool looks_right(const u8 *page)
{
	struct note_head head;
	u64 first;

	memcpy(&first, page, sizeof(first));
	if ((u32)first != NOTE_NAME_BYTES)
		return memcmp(&first, "OSRELEAS", sizeof(first)) == 0;
	memcpy(&head, page, sizeof(head));
	return vmcoreinfo_is_note(&head);
}

/* Bytes before the first page of @view that looks right; @bytes if none does. */
static u64 first_candidate(const u8 *view, u64 bytes)
{
	u64 at = 0;

	while (at < bytes && !looks_right(view + at))
		at += PAGE_BYTES;
	return at;
}

/* Looking at a candidate may close the window, so the view is taken again after it. */
static void scan_range(struct search *s, u64 pa, u64 end, u64 skip_pa)
{
	while (pa < end) {
		u64 left = PHYS_WINDOW_BYTES - (pa & (PHYS_WINDOW_BYTES - 1));
		u64 bytes = min_u64(end - pa, left);
		const u8 *view = physmem_view(s->pm, pa, bytes);
		u64 at = view ? first_candidate(view, bytes) : bytes;

		pa += at;
		if (at == bytes)
			continue;
		if (pa != skip_pa)
			examine(s, pa);
		pa += PAGE_BYTES;
	}
}

static void scan(struct search *s, u64 skip_pa)
{
	const struct memmap *map = s->pm->map;

	for (u32 i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->range[i];

		if (r->type == MEM_RAM && r->touched != TOUCHED_OURS)
			scan_range(s, r->pa, r->pa + r->bytes, skip_pa);
	}
}

enum status oldkernel_find(struct physmem *pm, const struct oldkernel_ask *ask, struct oldkernel *k,
	struct oldkernel *scratch, struct pagemap *map)
{
	struct search s = {.pm = pm, .ask = ask, .best = k, .scratch = scratch, .map = map};

	s.guesses = MAX_GUESSES;
	memset(k, 0, sizeof(*k));
	if (ask->hint_pa)
		examine(&s, ask->hint_pa);
	if (!k->verified)
		scan(&s, ask->hint_pa);
	k->candidates = s.candidates;
	k->verified_count = s.kernels;
	if (k->vi.bytes == 0 && k->why == OK)
		return k->why = E_NO_KERNEL;
	return k->why;
}
