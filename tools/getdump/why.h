/*
 * What became of one page, in words. The record in the log decides; the old kernel's
 * page map, as far as it is in the dump, adds details where it agrees.
 */
#ifndef AFTERIMAGE_WHY_H
#define AFTERIMAGE_WHY_H

#include "pageuse.h"
#include "reader.h"

enum why_place {
	WHY_PAGE,	  /* of RAM: see run */
	WHY_NOT_RAM,	  /* a hole, or a device's */
	WHY_BEYOND,	  /* there is no memory from here on */
	WHY_NOT_RECORDED, /* the log ends before it tells */
};

struct why_report {
	struct page_report page;
	struct page_past past;
};

struct why {
	const struct reader_map *m;
	u64 pfn;
	enum why_place place;
	struct reader_run run; /* one page */
	enum status contents;  /* of a page that is here: OK if they can be read */
	u32 touched;	       /* enum mem_touched, as far as the dump says */
	bool detailed;	       /* there is a struct page: report.page */
	bool told;	       /* overwritten, and the page map was asked what was there: report */
	struct why_report report;
};

/* Looks up @pfn; without details. */
void why_look(struct why *w, const struct reader_map *m, struct reader_pages *pages, u64 pfn);

/* Takes over @report as far as it does not contradict the record. */
void why_add_report(struct why *w, const struct why_report *report);

/* Is what the old kernel had in pages of @class gone? */
bool why_class_is_lost(u32 class);

/* What the old kernel had in a page that was overwritten; if @w is told. */
const char *why_past(const struct why *w);

/* Words of one line: "free, in a block of 8 pages (order 3) at 0x1000; left out at level 31". */
#define WHY_TEXT 512
const char *why_text(const struct why *w, char buf[WHY_TEXT]);

/* One word or two for scripts: "in dump", "zero", "excluded", "missing", "not RAM", ... */
const char *why_state(const struct why *w);

#endif
