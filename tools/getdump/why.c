/*
 * From the record of one page to words. Opens nothing and prints nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "why.h"

/* Does the log tell of all RAM there was? Without the memory map it must have its end. */
static bool all_recorded(const struct reader_map *m)
{
	return m->verdict == OK || m->ram.count > 0;
}

static enum why_place place_outside(const struct reader_map *m, u64 pfn)
{
	u64 i = reader_spans_find(&m->classes, pfn);

	if (i < m->classes.count && m->classes.span[i].pfn <= pfn)
		return WHY_NOT_RAM;
	if (!all_recorded(m))
		return WHY_NOT_RECORDED;
	return pfn >= m->end_pfn ? WHY_BEYOND : WHY_NOT_RAM;
}

/* By the memory map as the image had it. */
static u32 touched_by(const struct reader_map *m, u64 pfn)
{
	const struct reader_note *n = reader_map_note(m, DL_NOTE_MEMMAP, 0);
	struct mem_range range;

	for (u32 at = 0; n && range_fits(at, sizeof(range), n->bytes); at += (u32)sizeof(range)) {
		memcpy(&range, n->data + at, sizeof(range));
		if (pfn - (range.pa >> PAGE_SHIFT) < range.bytes >> PAGE_SHIFT)
			return range.touched;
	}
	return TOUCHED_NOBODY;
}

void why_look(struct why *w, const struct reader_map *m, struct reader_pages *pages, u64 pfn)
{
	struct reader_iter it;
	u8 page[PAGE_BYTES];

	memset(w, 0, sizeof(*w));
	w->m = m;
	w->pfn = pfn;
	reader_iter_start(&it, m, pfn);
	if (!reader_iter_next(&it, &w->run) || w->run.pfn != pfn) {
		w->place = place_outside(m, pfn);
		return;
	}
	w->run.count = 1;
	w->touched = touched_by(m, pfn);
	if (w->run.fate == READER_HERE)
		w->contents = reader_pages_get(pages, pfn, page);
	if (w->run.fate == READER_MISSING && w->run.class == DL_CLASSES)
		w->place = WHY_NOT_RECORDED;
}

bool why_class_is_lost(u32 class)
{
	return class == DL_OVERWRITTEN_FIRMWARE || class == DL_OVERWRITTEN_LOADER ||
	       class == DL_OVERWRITTEN_OURS;
}

/* What was zero is recorded as that: any class that the first pass took may be below it. */
static bool agrees(const struct why *w, u32 class)
{
	if (w->run.class == DL_ZERO)
		return dl_class_has_data(class, w->m->dump->h.level_applied);
	return w->run.class == class;
}

void why_add_report(struct why *w, const struct why_report *report)
{
	if (w->place != WHY_PAGE)
		return;
	w->told = why_class_is_lost(w->run.class);
	if (!w->told && !agrees(w, report->page.class))
		return;
	w->detailed = report->page.struct_va != 0;
	w->report = *report;
}

const char *why_past(const struct why *w)
{
	const struct page_past *past = &w->report.past;
	u32 class = w->report.page.class;

	if (past->use == PAGE_USE_UNKNOWN)
		return "not known";
	if (class == DL_KEPT && past->slab)
		return "slab";
	if (class != DL_KEPT && class != DL_METADATA_LOST)
		return dl_class_name(class);
	if (past->use == PAGE_USE_NONE)
		return "nothing, kept away from it";
	return past->set_aside ? "taken at its start" : "the kernel's own";
}

struct words {
	char *buf;
	u32 at;
};

PRINTF_LIKE(2, 3) static void say(struct words *to, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(to->buf + to->at, WHY_TEXT - to->at, format, args);
	va_end(args);
	if (n > 0)
		to->at = (u32)min_u64(to->at + (u32)n, WHY_TEXT - 1);
}

/* How it is known that firmware was there. */
static const char *firmware_words(u32 touched)
{
	switch (touched) {
	case TOUCHED_FIRMWARE:
		return ", as its memory map says";
	case TOUCHED_SURVEY:
		return ", as a survey of this machine says";
	default:
		return "";
	}
}

static void say_class(struct words *to, const struct why *w)
{
	switch (w->run.class) {
	case DL_METADATA_LOST:
		say(to, "kept because its struct page is missing or contradicts itself");
		break;
	case DL_HWPOISON:
	case DL_OFFLINE:
		say(to, "%s: its contents were never read", dl_class_name(w->run.class));
		break;
	case DL_OVERWRITTEN_FIRMWARE:
		say(to, "%s%s", dl_class_name(w->run.class), firmware_words(w->touched));
		break;
	case DL_UNREADABLE:
		say(to, "unreadable: a memory error");
		break;
	case DL_CLASSES:
		say(to, "class not recorded");
		break;
	default:
		say(to, "%s", dl_class_name(w->run.class));
	}
	if (w->run.found)
		say(to, ", %s", dl_class_name(w->run.found));
}

static void say_block(struct words *to, const struct page_report *r)
{
	u64 pa = r->head_pfn << PAGE_SHIFT;

	if (r->order == 0 || r->order > PAGEINFO_MAX_ORDER)
		return;
	say(to, ", in a block of %llu pages (order %u) at 0x%llx", 1ull << r->order, r->order,
		(unsigned long long)pa);
}

static void say_here(struct words *to, const struct why *w)
{
	u32 class = w->run.class;

	if (w->contents != OK)
		say(to, "; in the dump, but damaged: %s (E%d)", status_text(w->contents),
			(int)w->contents);
	else if (class == DL_OVERWRITTEN_FIRMWARE || class == DL_OVERWRITTEN_LOADER)
		say(to, "; in the dump, but not what the old kernel had there");
	else
		say(to, "; in the dump");
}

static void say_excluded(struct words *to, const struct why *w)
{
	const struct dl_header *h = &w->m->dump->h;
	u32 class = w->run.class;

	if (w->run.found == DL_UNREADABLE)
		say(to, ": a memory error");
	else if (dl_class_has_data(class, 0) && !dl_class_has_data(class, h->level_applied))
		say(to, "; left out at level %u", h->level_applied);
	else if (dl_class_has_data(class, 0))
		say(to, "; left out because all of them would not have fit");
	else if (class == DL_OVERWRITTEN_OURS)
		say(to, "; not in the dump");
}

static void say_missing(struct words *to, enum status why)
{
	if (why == OK || why == E_ABSENT)
		say(to, "; should be in the dump and is not");
	else
		say(to, "; missing: %s (E%d)", status_text(why), (int)why);
}

static void say_past(struct words *to, const struct why *w)
{
	bool here = w->run.fate == READER_HERE && w->contents == OK;

	say(to, "%s: %s", here ? "" : "; the old kernel had there", why_past(w));
	say_block(to, &w->report.page);
}

static void say_page(struct words *to, const struct why *w)
{
	say_class(to, w);
	if (w->detailed && !w->told)
		say_block(to, &w->report.page);
	switch (w->run.fate) {
	case READER_HERE:
		say_here(to, w);
		break;
	case READER_ZERO:
		say(to, "; reads as zeros");
		break;
	case READER_EXCLUDED:
		say_excluded(to, w);
		break;
	default:
		say_missing(to, w->m->verdict);
	}
	if (w->told)
		say_past(to, w);
}

const char *why_text(const struct why *w, char buf[WHY_TEXT])
{
	struct words to = {.buf = buf};

	switch (w->place) {
	case WHY_PAGE:
		say_page(&to, w);
		break;
	case WHY_NOT_RAM:
		say(&to, "not RAM");
		break;
	case WHY_BEYOND:
		say(&to, "beyond the end of memory");
		break;
	default:
		say(&to, "not recorded: %s (E%d)", status_text(w->m->verdict), (int)w->m->verdict);
	}
	return buf;
}

const char *why_state(const struct why *w)
{
	static const char *const places[] = {
		[WHY_NOT_RAM] = "not RAM",
		[WHY_BEYOND] = "beyond memory",
		[WHY_NOT_RECORDED] = "not recorded",
	};
	static const char *const fates[] = {
		[READER_HERE] = "in dump",
		[READER_ZERO] = "zero",
		[READER_EXCLUDED] = "excluded",
		[READER_MISSING] = "missing",
	};

	return w->place == WHY_PAGE ? fates[w->run.fate] : places[w->place];
}
