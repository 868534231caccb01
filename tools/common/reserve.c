/*
 * Ranges into regions: rounded, joined, as few as is cheap; then into text. No I/O.
 */
#include <stdio.h>
#include <string.h>
#include "handoff.h"
#include "reserve.h"

static u64 region_end(const struct reserve *r, u32 i)
{
	return r->region[i].pa + r->region[i].bytes;
}

/* From the end of region @i to the start of the next; 0 if they meet. */
static u64 gap_after(const struct reserve *r, u32 i)
{
	u64 end = region_end(r, i);

	return r->region[i + 1].pa > end ? r->region[i + 1].pa - end : 0;
}

/* Rounded outwards; may overlap the region before, which rounding moved here. */
static void add_range(struct reserve *r, u64 from, u64 to)
{
	u64 start = from & ~((u64)RESERVE_STEP_BYTES - 1);
	u64 end = round_up_u64(to, RESERVE_STEP_BYTES);
	struct reserve_region *last = r->count > 0 ? &r->region[r->count - 1] : NULL;

	if (last && start < last->pa + last->bytes + RESERVE_GAP_BYTES)
		last->bytes = end - last->pa;
	else
		r->region[r->count++] = (struct reserve_region) {start, end - start};
}

static u32 smallest_gap(const struct reserve *r)
{
	u32 best = 0;

	for (u32 i = 1; i + 1 < r->count; i++) {
		if (gap_after(r, i) < gap_after(r, best))
			best = i;
	}
	return best;
}

static void join_with_next(struct reserve *r, u32 i)
{
	r->region[i].bytes = region_end(r, i + 1) - r->region[i].pa;
	r->count--;
	for (u32 k = i + 1; k < r->count; k++)
		r->region[k] = r->region[k + 1];
}

/* What RESERVE_FEW regions would cost more: all gaps but the widest ones. */
static u64 cost_of_few(const struct reserve *r)
{
	u64 widest[RESERVE_FEW - 1] = {0};
	u64 cost = 0;

	for (u32 i = 0; i + 1 < r->count; i++) {
		u64 gap = gap_after(r, i);

		cost += gap;
		for (u32 k = 0; k < ARRAY_SIZE(widest); k++) {
			u64 other = widest[k];

			widest[k] = max_u64(gap, other);
			gap = min_u64(gap, other);
		}
	}
	for (u32 k = 0; k < ARRAY_SIZE(widest); k++)
		cost -= widest[k];
	return cost;
}

void reserve_make(const struct survey_record *s, struct reserve *r)
{
	bool known = s->v.end_pfn > 0 && s->v.end_pfn < 1ull << 40;
	u64 ram_end = known ? s->v.end_pfn << PAGE_SHIFT : UINT64_MAX;

	r->count = 0;
	r->uefi = s->v.door == DOOR_UEFI;
	r->bytes = 0;
	r->low_pages = 0;
	for (u32 i = 0; i < s->v.range_count; i++) {
		u64 from = s->range[i].pa;
		u64 to = min_u64(from + s->range[i].bytes, ram_end);

		if (from < RESERVE_FROM_PA && to > from)
			r->low_pages += (min_u64(to, RESERVE_FROM_PA) - from) / PAGE_BYTES;
		from = max_u64(from, RESERVE_FROM_PA);
		if (to > from)
			add_range(r, from, to);
	}
	if (r->count > RESERVE_FEW && cost_of_few(r) <= RESERVE_EXTRA_BYTES) {
		while (r->count > RESERVE_FEW)
			join_with_next(r, smallest_gap(r));
	}
	for (u32 i = 0; i < r->count; i++)
		r->bytes += r->region[i].bytes;
}

const char *reserve_text(const struct reserve *r, const char *dollar, char buf[RESERVE_TEXT_BYTES])
{
	u32 at = 0;

	buf[0] = '\0';
	for (u32 i = 0; i < r->count && at < RESERVE_TEXT_BYTES; i++)
		at += (u32)snprintf(buf + at, RESERVE_TEXT_BYTES - at, "%s%lluM%s0x%llx",
			i ? "," : "memmap=", (unsigned long long)(r->region[i].bytes / MIB), dollar,
			(unsigned long long)r->region[i].pa);
	return buf;
}

static bool meets_kernel(const struct reserve *r)
{
	for (u32 i = 0; i < r->count; i++) {
		if (r->region[i].pa < RESERVE_KERNEL_PA + RESERVE_KERNEL_BYTES &&
			region_end(r, i) > RESERVE_KERNEL_PA)
			return true;
	}
	return false;
}

u32 reserve_notes(const struct reserve *r, const char *plain, const char *note[RESERVE_NOTES])
{
	u32 count = 0;

	if (r->count > RESERVE_FEW)
		note[count++] = "with more than 4 regions Linux gives up choosing its place in "
				"memory (physical KASLR); do not split the memmap= word, or it "
				"may choose a place in a region";
	if (meets_kernel(r))
		note[count++] =
			"Linux itself goes to 16 MiB, which is near these regions, if it "
			"does not choose its place: with nokaslr, with more than 4 regions, "
			"or when 6.9 or newer is started through its UEFI stub; see that "
			"\"Kernel\" in /proc/iomem (as root) lies outside of them";
	if (r->uefi && r->count > 0)
		note[count++] =
			"try it once from GRUB's menu (key e; there with one backslash "
			"before each $) before it is made permanent: kernels started through "
			"their UEFI stub may not come up, see docs/survey.md";
	if (strlen(plain) > RESERVE_CMDLINE_BYTES / 2)
		note[count++] = "this takes much of the 2048 bytes that a kernel command line "
				"may have; see in /proc/cmdline that all of it arrived";
	return count;
}
