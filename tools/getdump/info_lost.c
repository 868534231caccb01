/*
 * Memory that was lost before the dump was taken: by whom, from the memory map in the dump,
 * and how much of it the old kernel used, from the header.
 */
#include <json-c/json.h>
#include <string.h>
#include "fields.h"
#include "info.h"

#define TOUCHERS (TOUCHED_SURVEY + 1)

static void count_ranges(const struct reader_map *m, u64 pages[TOUCHERS])
{
	const struct reader_note *n = reader_map_note(m, DL_NOTE_MEMMAP, 0);
	struct mem_range range;

	memset(pages, 0, TOUCHERS * sizeof(*pages));
	for (u32 at = 0; n && range_fits(at, sizeof(range), n->bytes); at += (u32)sizeof(range)) {
		memcpy(&range, n->data + at, sizeof(range));
		if (range.type == MEM_RAM && range.touched < TOUCHERS)
			pages[range.touched] += range.bytes >> PAGE_SHIFT;
	}
}

/* Else the header is still as it was when the dump began. */
static bool is_closed(const struct dl_header *h)
{
	return h->state == DL_STATE_COMPLETE || h->reason != OK;
}

void info_add_lost(struct json_object *to, const struct reader_map *m)
{
	const struct dl_header *h = &m->dump->h;
	struct json_object *o;
	u64 pages[TOUCHERS];
	u64 all;

	if (h->survey == DL_SURVEY_NOT_NEEDED)
		return;
	o = json_object_new_object();
	count_ranges(m, pages);
	all = pages[TOUCHED_FIRMWARE] + pages[TOUCHED_LOADER] + pages[TOUCHED_OURS] +
	      pages[TOUCHED_SURVEY];
	field_number(o, "pages", is_closed(h) ? h->lost_pages : all);
	field_number(o, "by_firmware", pages[TOUCHED_FIRMWARE]);
	field_number(o, "found_by_survey", pages[TOUCHED_SURVEY]);
	field_number(o, "by_boot_loader", pages[TOUCHED_LOADER]);
	field_number(o, "by_afterimage", pages[TOUCHED_OURS]);
	if (is_closed(h)) {
		field_number(o, "used_by_old_kernel", h->lost_used_pages);
		field_number(o, "use_not_known",
			h->lost_pages - min_u64(h->lost_told_pages, h->lost_pages));
	}
	json_object_object_add(to, "lost", o);
}
