/*
 * Scans page maps made of the input: byte 0 chooses the size of struct page and how the map is
 * cut up, byte 1 a hole; then come records of 4 bytes: what to put where. Runs must cover all
 * pages in order, say the same wherever one begins, and leave out no page whose own struct page
 * does not bear it out.
 */
#include "tests/unit/pagescan_rig.h"

#define PAGES  256u
#define HEAD   2u
#define RECORD 4u

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

static u8 class[PAGES];
static u8 bytes_of[PAGES + 1][PAGEINFO_MAX_BYTES];
static struct page_ref page[PAGES + 1]; /* no bytes where there are none */

static void put_record(const u8 *record)
{
	u64 pfn = (record[1] | (u64)record[2] << 8) % PAGES;
	u32 order = record[3] % 9;
	u64 head = pfn >> order << order;

	switch (record[0] % 12) {
	case 0:
		rig_free(head, order);
		break;
	case 1:
		rig_free_head(pfn, record[3]);
		break;
	case 2:
		rig_huge(head & ~1ull, order > 0 ? order : 1);
		break;
	case 3:
		rig_user(pfn);
		break;
	case 4:
		rig_cache(pfn);
		break;
	case 5:
		rig_idle(pfn);
		break;
	case 6:
		rig_put(pfn, RIG_FLAGS, 1ull << record[3] % 64, 8);
		break;
	case 7:
		rig_put(pfn, RIG_COMPOUND, rig_va(head) | 1, 8);
		break;
	case 8:
		rig_put(pfn, RIG_MAPCOUNT, RIG_BUDDY, 4);
		break;
	case 9:
		rig_put(pfn, RIG_ORDER, record[3], 1);
		break;
	case 10:
		rig.unlisted_pfn = pfn;
		break;
	default:
		for (u32 at = 0; at < rig.m.rules.size; at++)
			rig_put(pfn, at, record[3] + (u64)at * (record[0] / 12), 1);
	}
}

static void build(const u8 *data, size_t bytes)
{
	static const u32 sizes[] = {56, 64, 72, 80};

	rig_start_kernel(sizes[data[0] & 3], PAGES, data[0] & 4);
	rig.stretch_pages = 1ull << (6 + (data[0] >> 3 & 7));
	rig.piece_pages = 1 + (data[0] >> 6);
	if (data[1]) {
		rig.hole_pfn = data[1];
		rig.hole_end_pfn = rig.hole_pfn + 1 + data[1] % 64;
	}
	for (size_t at = HEAD; at + RECORD <= bytes && at < HEAD + 256 * RECORD; at += RECORD)
		put_record(data + at);
	/* a page of the map that is gone */
	if (bytes > HEAD && data[bytes - 1] < 16)
		rig.pa[data[bytes - 1]] = RIG_NONE;
}

static void scan_all(void)
{
	u64 pfn = 0;

	while (pfn < PAGES) {
		struct run run;

		pagescan_run(&rig.scan, pfn, PAGES, &run);
		if (run.pfn != pfn || run.count == 0 || run.count > PAGES - pfn ||
			run.class >= DL_CLASSES)
			abort();
		memset(class + pfn, (int)run.class, run.count);
		pfn += run.count;
	}
}

static void read_all(void)
{
	for (u64 pfn = 0; pfn <= PAGES; pfn++) {
		page[pfn] = (struct page_ref) {.pfn = pfn};
		if (pagemap_read(&rig.m, pfn, bytes_of[pfn], &page[pfn].va) == OK)
			page[pfn].bytes = bytes_of[pfn];
	}
}

static bool says(u64 pfn, u64 head, u32 what)
{
	const struct page_rules *r = &rig.m.rules;
	struct page_verdict v;

	if (!page[head].bytes || !page[pfn].bytes)
		return false;
	v = page_judge(r, &page[head], page[head + 1].bytes);
	if (v.class != what && !(what == DL_HWPOISON && page_is_poisoned(r, &page[pfn])))
		return false;
	return head == pfn || (pfn - head < 1ull << v.order && page_is_member(r, &v, &page[pfn]));
}

/* What is left out must be judged so, or be a member of a block before it that is. */
static bool is_borne_out(u64 pfn)
{
	bool found = says(pfn, pfn, class[pfn]);

	for (u32 order = 1; order < 9 && !found; order++) {
		if (pfn >> (order - 1) & 1)
			found = says(pfn, pfn >> order << order, class[pfn]);
	}
	return found;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	if (bytes < HEAD)
		return 0;
	build(data, bytes);
	scan_all();
	read_all();
	for (u64 pfn = 0; pfn < PAGES; pfn++) {
		if (!dl_class_has_data(class[pfn], DL_LEVEL_MAX) && !is_borne_out(pfn))
			abort();
	}
	for (u64 i = 0; i < 6; i++) {
		u64 pfn = (data[0] + data[bytes - 1] + i * 89) % PAGES;

		if (rig_class(pfn) != class[pfn])
			abort();
	}
	return 0;
}
