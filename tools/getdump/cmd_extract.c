/*
 * getdump extract: from a dump in the log to a file for the debuggers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "describe.h"
#include "extract.h"
#include "getdump.h"
#include "source.h"
#include "tools/common/progress.h"
#include "tools/common/tool.h"

struct format {
	const char *name;
	bool packs;
	bool stream;
	enum status (*write)(struct extract *x);
};

static const struct format formats[] = {
	{"kdump", true, false, kdump_write},
	{"elf", false, false, elf_write},
	{"raw", false, false, raw_write},
	{"flat", true, true, kdump_write},
};

static const char *const methods[] = {
	[PACK_NONE] = "none",
	[PACK_ZLIB] = "zlib",
	[PACK_LZO] = "lzo",
	[PACK_ZSTD] = "zstd",
};

static const struct format *find_format(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strcmp(name ? name : "kdump", formats[i].name) == 0)
			return &formats[i];
	}
	return NULL;
}

static bool find_method(const char *name, enum pack_method *method)
{
	for (u32 i = 0; i < ARRAY_SIZE(methods); i++) {
		if (strcmp(name ? name : "zlib", methods[i]) == 0) {
			*method = (enum pack_method)i;
			return true;
		}
	}
	return false;
}

static bool to_stdout(const struct options *o)
{
	return o->output && strcmp(o->output, "-") == 0;
}

static int check_options(
	const struct options *o, const struct format **format, enum pack_method *method)
{
	*format = find_format(o->format);
	if (!*format)
		return tool_error_usage("'%s' is not a format", o->format);
	if (!find_method(o->method, method))
		return tool_error_usage("'%s' is not a compressor for this", o->method);
	if (o->method && !(*format)->packs)
		return tool_error_usage("%s files are not compressed", (*format)->name);
	if (to_stdout(o) && !(*format)->stream)
		return tool_error_usage(
			"%s can not be written to a pipe, flat can", (*format)->name);
	if (o->output && *o->output == '\0')
		return tool_error_usage("the output's name is empty");
	return TOOL_DONE;
}

enum status extract_page(struct extract *x, u64 pfn, u8 *buf)
{
	enum status st = reader_pages_get(&x->pages, pfn, buf);

	progress_at(++x->done_pages * PAGE_BYTES);
	if (st == OK)
		return OK;
	if (x->lost_pages == 0)
		x->lost_why = st;
	x->lost_pages++;
	return E_ABSENT;
}

/* Classes with contents that @level leaves out. */
static u32 classes_without(u32 level)
{
	u32 mask = 0;

	for (u32 class = 0; class < DL_CLASSES; class ++) {
		if (dl_class_has_data(class, 0) && !dl_class_has_data(class, level))
			mask |= 1u << class;
	}
	return mask;
}

/* A dump taken without the old kernel's page map knows no classes that a level leaves out. */
static bool knows_classes(const struct reader_map *m)
{
	u32 wanted = classes_without(DL_LEVEL_MAX);

	for (u64 i = 0; i < m->classes.count; i++) {
		u64 class = m->classes.span[i].where;

		if (class < DL_CLASSES && wanted >> class & 1)
			return true;
	}
	return false;
}

void extract_set_level(struct extract *x, u32 level)
{
	static const struct {
		u32 class;
		u32 bit;
	} bits[] = {
		{DL_CACHE, DL_LEVEL_CACHE},
		{DL_PRIVATE_CACHE, DL_LEVEL_PRIVATE_CACHE},
		{DL_USER, DL_LEVEL_USER},
		{DL_FREE, DL_LEVEL_FREE},
	};

	reader_map_filter(&x->map, level);
	if (!knows_classes(&x->map))
		level &= DL_LEVEL_ZERO;
	x->level = x->h->level_applied | level;
	for (u32 i = 0; i < ARRAY_SIZE(bits); i++) {
		if (x->h->dropped >> bits[i].class & 1)
			x->level |= bits[i].bit;
	}
}

bool extract_is_zero(const struct extract *x, const u8 *page)
{
	return x->level & DL_LEVEL_ZERO && page[0] == 0 &&
	       memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
}

/*
 * A dump cut short lacks pages of some classes. If the filter leaves these out nothing is
 * missing; but only the memory map tells that the log knows of all pages, and only good
 * chunks that no note is lost.
 */
bool extract_is_whole(const struct extract *x)
{
	const struct reader_map *m = &x->map;
	struct reader_totals t;

	if (x->lost_pages || m->bad_chunks)
		return false;
	if (m->verdict == OK)
		return true;
	reader_map_count(m, &t);
	return m->missing && !t.missing && m->ram.count;
}

static u64 pages_here(const struct reader_map *m)
{
	struct reader_totals t;

	reader_map_count(m, &t);
	return t.here;
}

static enum status load(struct extract *x, struct source *s, const struct reader_dump *dump)
{
	enum status st = reader_map_load(&x->map, &s->reader, dump);

	if (st != OK)
		return st;
	x->h = &dump->h;
	st = facts_load(&x->facts, &x->map);
	if (st != OK) {
		reader_map_free(&x->map);
		return st;
	}
	st = reader_pages_open(&x->pages, &x->map);
	if (st != OK) {
		facts_free(&x->facts);
		reader_map_free(&x->map);
	}
	return st;
}

static void unload(struct extract *x)
{
	reader_pages_close(&x->pages);
	facts_free(&x->facts);
	reader_map_free(&x->map);
}

/* What the file lacks though it was asked for, or might have been expected: not a failure. */
static void report_lacking(const struct extract *x, const struct options *o)
{
	u32 unwanted = classes_without(o->level);
	u32 dropped = x->h->dropped & ~unwanted;
	u32 excluded = classes_without(x->h->level_applied) & ~unwanted & ~dropped;
	char names[DESCRIBE_CLASSES];

	if (unwanted && !knows_classes(&x->map))
		tool_error(o->source, "filter the file with makedumpfile",
			"dump %u does not tell the classes of pages: only zero ones can be left "
			"out",
			x->h->number);
	if (dropped)
		tool_error(o->source, "use a larger dump disk or a higher level",
			"dump %u lacks the class%s %s: it would not have fit", x->h->number,
			dropped & (dropped - 1) ? "es" : "", describe_classes(dropped, names));
	if (o->level_given && excluded)
		tool_error(o->source, NULL,
			"dump %u was taken at level %u and lacks the class%s %s", x->h->number,
			x->h->level_applied, excluded & (excluded - 1) ? "es" : "",
			describe_classes(excluded, names));
}

/* After a good write: was it all that the dump should hold, as far as it was asked for? */
static int report_incomplete(const struct extract *x, const struct options *o)
{
	enum status why = x->map.verdict != OK ? x->map.verdict : x->lost_why;
	u32 cut = x->h->incomplete & ~classes_without(o->level);
	char names[DESCRIBE_CLASSES];
	struct reader_totals t;

	if (x->map.verdict == OK && x->lost_pages == 0)
		return TOOL_DONE;
	if (extract_is_whole(x)) {
		tool_error(o->source, NULL,
			"dump %u is incomplete: %s (E%d), but lacks only what level %u leaves out",
			x->h->number, status_text(why), (int)why, o->level);
		return TOOL_DONE;
	}
	reader_map_count(&x->map, &t);
	tool_error(o->source, status_advice(why),
		"dump %u is incomplete: %s (E%d); %llu pages extracted, %llu missing%s%s",
		x->h->number, status_text(why), (int)why,
		(unsigned long long)(t.here + t.zero - x->lost_pages),
		(unsigned long long)(t.missing + x->lost_pages), cut ? ", cut short: " : "",
		describe_classes(cut, names));
	return TOOL_INCOMPLETE;
}

static bool same_file(const char *a, const char *b)
{
	struct stat sa;
	struct stat sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static int open_output(struct extract *x, const struct options *o, const struct format *format)
{
	static char name[64];
	const char *path = o->output;

	if (to_stdout(o))
		return sink_open_stdout(&x->sink);
	if (!path) {
		snprintf(name, sizeof(name), "dump.%u.%s", x->h->number, format->name);
		path = name;
	}
	if (same_file(path, o->source))
		return tool_error(path, "choose another name", "is the source itself");
	return sink_open_file(&x->sink, path, o->force);
}

static int write_output(struct extract *x, const struct options *o, const struct format *format)
{
	enum status st = OK;
	int code = open_output(x, o, format);

	if (code != TOOL_DONE)
		return code;
	progress_start("extract", pages_here(&x->map) * PAGE_BYTES);
	if (format->stream)
		st = sink_flatten(&x->sink);
	if (st == OK)
		st = format->write(x);
	progress_end();
	if (st != OK) {
		sink_abort(&x->sink);
		return st == E_WRITE ? TOOL_FAILED
				     : tool_error(o->source, NULL, "not enough memory");
	}
	code = sink_commit(&x->sink);
	if (code != TOOL_DONE)
		return code;
	report_lacking(x, o);
	return report_incomplete(x, o);
}

int cmd_extract(const struct options *o)
{
	static struct extract x;
	const struct reader_dump *dump;
	const struct format *format;
	struct source s;
	int code;

	code = check_options(o, &format, &x.method);
	if (code != TOOL_DONE)
		return code;
	code = source_open_dump(&s, o->source, o->number, &dump);
	if (code != TOOL_DONE)
		return code;
	if (load(&x, &s, dump) == OK) {
		extract_set_level(&x, o->level);
		code = write_output(&x, o, format);
		unload(&x);
	} else {
		code = tool_error(o->source, NULL, "not enough memory");
	}
	source_close(&s);
	return code;
}
