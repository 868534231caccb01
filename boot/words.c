/*
 * What the console says about pages, while they are written and afterwards.
 */
#include "ports.h"
#include "str.h"
#include "boot/words.h"

#define BAR_FULL 1000u
#define BAR_NONE (BAR_FULL + 1)

void words_progress(const struct capture_progress *p)
{
	u64 ms = max_u64(p->elapsed_us / 1000, 1);
	u64 done = p->done_pages * PAGE_BYTES / MIB;
	u64 total = p->total_pages * PAGE_BYTES / MIB;
	u64 rate = p->looked_pages * PAGE_BYTES / MIB * 1000 / ms;

	con_printf("afterimage: %lu MiB of %lu, %lu MiB/s, %lu s left\n", done, total, rate,
		p->left_us / 1000000);
	con_bar((u32)min_u64(p->done_pages * BAR_FULL / max_u64(p->total_pages, 1), BAR_FULL));
}

void words_left_out(const struct capture *c)
{
	char text[128] = "";
	u32 n = 0;

	con_bar(BAR_FULL);
	for (u32 class = 0; class < DL_CLASSES; class ++) {
		u64 mib = c->count[class].pages * PAGE_BYTES / MIB;

		if (mib && dl_class_has_data(class, 0) && !dl_class_has_data(class, c->level))
			n += str_format(text + n, (u32)sizeof(text) - n, "%s %lu MiB %s",
				n ? "," : "", mib, dl_class_name(class));
	}
	if (n)
		con_printf("afterimage: left out by level %u:%s\n", c->level, text);
}

void words_lost(const struct dl_header *h)
{
	u64 kib = h->lost_pages * (PAGE_BYTES / KIB);
	bool small = kib < 10 * KIB;

	if (h->lost_pages == 0)
		return;
	con_printf("afterimage: %lu pages (%lu %s) were overwritten by the reset; ", h->lost_pages,
		small ? kib : kib / KIB, small ? "KiB" : "MiB");
	if (h->lost_told_pages == 0)
		con_printf("what the old kernel had there is not known\n");
	else if (h->lost_told_pages == h->lost_pages)
		con_printf("the old kernel used %lu of them\n", h->lost_used_pages);
	else
		con_printf("the old kernel used %lu of them, and perhaps some of %lu more\n",
			h->lost_used_pages, h->lost_pages - h->lost_told_pages);
}

void words_incomplete(u32 classes)
{
	char text[192] = "";
	u32 n = 0;

	con_bar(BAR_NONE);
	for (u32 class = 0; class < DL_CLASSES; class ++) {
		if (classes >> class & 1)
			n += str_format(text + n, (u32)sizeof(text) - n, "%s %s", n ? "," : "",
				dl_class_name(class));
	}
	if (n)
		con_printf("afterimage: not all pages were written of these:%s\n", text);
}
