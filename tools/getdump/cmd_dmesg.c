/*
 * getdump dmesg: the crashed kernel's log as dmesg prints it. The text is the old kernel's
 * and whoever could write to its log: nothing of it reaches the terminal as a control.
 */
#include <inttypes.h>
#include <stdio.h>
#include "getdump.h"
#include "oldmem.h"
#include "printk.h"
#include "source.h"
#include "tools/common/tool.h"

struct dmesg {
	struct reader_map map;
	struct oldmem mem;
	struct printk printk;
	struct printk_record record;
	u64 cut; /* records printed in part */
};

/* The lines after a record's first stand below its text. */
static void print_char(char c, int indent)
{
	if (c == '\n')
		printf("\n%*s", indent, "");
	else if (c == '\t' || (c >= ' ' && c <= '~'))
		putchar(c);
	else
		printf("\\x%02x", (unsigned)(u8)c);
}

static void print_record(const struct printk_record *r)
{
	u64 us = r->time_ns / 1000;
	int indent = 0;

	if (r->time_ns != PRINTK_TIME_UNKNOWN)
		indent = printf("[%5" PRIu64 ".%06" PRIu64 "] ", us / 1000000, us % 1000000);
	for (u32 i = 0; i < r->bytes; i++)
		print_char(r->text[i], indent);
	putchar('\n');
}

/* What the old kernel had not finished is no fault of the dump; what can not be read is. */
static int report(const struct dmesg *d, const char *source)
{
	const struct printk *p = &d->printk;
	enum status why = d->map.verdict != OK ? d->map.verdict : E_ABSENT;

	if (p->lost || d->cut)
		tool_error(source, NULL,
			"the log is not whole: %" PRIu64 " records lost, %" PRIu64 " cut", p->lost,
			d->cut);
	if (p->unreadable == 0)
		return TOOL_DONE;
	tool_error(source, status_advice(why),
		"dump %u is incomplete: %s (E%d); %" PRIu64 " records can not be read",
		d->map.dump->h.number, status_text(why), (int)why, p->unreadable);
	return TOOL_INCOMPLETE;
}

static int print_log(struct dmesg *d, const char *source)
{
	enum status st = printk_open(&d->printk, &d->mem.pm, &d->mem.kernel.pt, &d->mem.kernel.vi);

	if (st != OK)
		return tool_error_status(source, st);
	while (printk_next(&d->printk, &d->record)) {
		print_record(&d->record);
		d->cut += d->record.cut;
	}
	return report(d, source);
}

static int open_and_print(struct dmesg *d, const char *source)
{
	enum status st = oldmem_open(&d->mem, &d->map);
	int code;

	if (st == E_NO_MEMORY)
		return tool_error(source, NULL, "not enough memory");
	if (st != OK)
		return tool_error_status(source, E_NO_LOG);
	code = print_log(d, source);
	oldmem_close(&d->mem);
	return code;
}

int cmd_dmesg(const struct options *o)
{
	static struct dmesg d;
	const struct reader_dump *dump;
	struct source s;
	int code;

	code = source_open_dump(&s, o->source, o->number, &dump);
	if (code != TOOL_DONE)
		return code;
	if (reader_map_load(&d.map, &s.reader, dump) == OK) {
		code = open_and_print(&d, o->source);
		reader_map_free(&d.map);
	} else {
		code = tool_error(o->source, NULL, "not enough memory");
	}
	source_close(&s);
	return code;
}
