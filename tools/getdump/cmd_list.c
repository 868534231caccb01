/*
 * getdump list: one line per dump.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "describe.h"
#include "getdump.h"
#include "source.h"
#include "tools/common/tool.h"

/* Texts with spaces would break the columns. */
static const char *column(char *dst, u32 size, const char *src, u32 max)
{
	tool_printable(dst, size, src, max);
	for (char *s = dst; *s; s++) {
		if (*s == ' ')
			*s = '_';
	}
	return *dst ? dst : "-";
}

/* "1.5GiB" */
static const char *size_column(u64 bytes, char *buf, u32 size)
{
	char *space;

	tool_size_text(bytes, buf, size);
	space = strchr(buf, ' ');
	if (space)
		memmove(space, space + 1, strlen(space));
	return buf;
}

static void print_dump(const struct reader_walk *w)
{
	const struct dl_header *h = &w->dump->h;
	enum status verdict = reader_walk_verdict(w);
	char release[sizeof(h->release) * 2];
	char node[sizeof(h->nodename) * 2];
	char time[DESCRIBE_TIME];
	char classes[DESCRIBE_CLASSES];
	char size[32];
	u64 bytes = w->next * w->r->super.block_bytes;

	printf("%u  %s  %s%s  %s  %s  %u  %s", h->number,
		describe_time(h->time_s, time, sizeof(time)),
		verdict == OK ? "complete" : "incomplete",
		h->flags & DL_FLAG_CLEARED ? ",cleared" : "",
		column(release, sizeof(release), h->release, sizeof(h->release)),
		column(node, sizeof(node), h->nodename, sizeof(h->nodename)), h->level_applied,
		size_column(bytes, size, sizeof(size)));
	if (verdict != OK)
		printf("  E%d %s", (int)verdict, status_text(verdict));
	if (verdict != OK && h->incomplete)
		printf("; cut short: %s", describe_classes(h->incomplete, classes));
	if (h->dropped)
		printf("%s dropped: %s", verdict == OK ? " " : ";",
			describe_classes(h->dropped, classes));
	putchar('\n');
}

int cmd_list(const struct options *o)
{
	struct reader_walk *w;
	struct source s;
	int code;

	code = source_open(&s, o->source, false);
	if (code != TOOL_DONE)
		return code;
	w = malloc(sizeof(*w));
	if (!w)
		code = tool_error(o->source, NULL, "not enough memory");
	for (u32 i = 0; w && i < s.reader.count; i++) {
		reader_walk_start(w, &s.reader, &s.reader.dump[i]);
		while (reader_walk_next(w))
			;
		print_dump(w);
	}
	free(w);
	describe_damage(&s);
	source_close(&s);
	return code;
}
