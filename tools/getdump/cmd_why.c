/*
 * getdump why: what became of the page at each address, for people one or two lines,
 * or as JSON. Addresses are hexadecimal, with or without 0x; from 0xff00000000000000 on
 * they are the old kernel's and are translated first.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fields.h"
#include "getdump.h"
#include "source.h"
#include "tools/common/tool.h"
#include "why.h"
#include "why_kernel.h"

#define KERNEL_HALF   0xff00000000000000ull
#define ADDRESS_CHARS 16 /* hexadecimal digits of a u64 */

struct asker {
	const struct options *o;
	struct reader_map map;
	struct reader_pages pages;
	struct why_kernel *kernel;
	struct json_object *list; /* NULL: text */
};

static bool parse_address(const char *text, u64 *address)
{
	const char *digits = text;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		digits += 2;
	if (*digits == '\0' || strlen(digits) > ADDRESS_CHARS)
		return false;
	if (strspn(digits, "0123456789abcdefABCDEF") != strlen(digits))
		return false;
	*address = strtoull(digits, NULL, 16);
	return true;
}

static int check_addresses(const struct options *o)
{
	u64 address;

	if (o->addresses == 0)
		return tool_error_usage("why needs an ADDRESS");
	for (u32 i = 0; i < o->addresses; i++) {
		if (!parse_address(o->address[i], &address))
			return tool_error_usage("'%s' is not a hexadecimal address", o->address[i]);
	}
	return TOOL_DONE;
}

static void add_json(struct json_object *entry, const struct why *w, const char *text)
{
	const struct page_report *r = &w->report.page;

	field_text(entry, "state", why_state(w));
	if (w->place == WHY_PAGE && w->run.class < DL_CLASSES)
		field_text(entry, "class", dl_class_name(w->run.class));
	if (w->run.found)
		field_text(entry, "found", dl_class_name(w->run.found));
	if (w->touched == TOUCHED_FIRMWARE || w->touched == TOUCHED_SURVEY)
		field_text(entry, "known_from",
			w->touched == TOUCHED_SURVEY ? "survey" : "firmware's memory map");
	if (w->told)
		field_text(entry, "before", why_past(w));
	if (w->detailed) {
		field_number(entry, "order", r->order);
		field_hex(entry, "block", r->head_pfn << PAGE_SHIFT);
		field_hex(entry, "struct_page", r->struct_va);
		field_hex(entry, "flags", r->facts.flags);
		field_signed(entry, "refcount", r->facts.refcount);
		field_signed(entry, "mapcount", r->facts.mapcount);
		field_hex(entry, "mapping", r->facts.mapping);
		field_hex(entry, "private", r->facts.private);
	}
	field_text(entry, "text", text);
}

static void print_details(const struct page_report *r)
{
	const struct page_facts *f = &r->facts;

	printf("  struct page at 0x%llx: flags 0x%llx, refcount %lld, mapcount %lld, "
	       "mapping 0x%llx, private 0x%llx\n",
		(unsigned long long)r->struct_va, (unsigned long long)f->flags,
		(long long)f->refcount, (long long)f->mapcount, (unsigned long long)f->mapping,
		(unsigned long long)f->private);
}

/* Begins the answer about @address, which is at @pa if that is another. */
static struct json_object *begin(const struct asker *a, u64 address, u64 pa)
{
	struct json_object *entry;

	if (!a->list) {
		printf("0x%llx", (unsigned long long)address);
		if (pa != address)
			printf(" -> 0x%llx", (unsigned long long)pa);
		printf(": ");
		return NULL;
	}
	entry = json_object_new_object();
	field_hex(entry, "address", address);
	if (pa != address)
		field_hex(entry, "physical", pa);
	json_object_array_add(a->list, entry);
	return entry;
}

static void answer(struct asker *a, u64 address, u64 pa)
{
	struct json_object *entry = begin(a, address, pa);
	struct why_report report;
	char buf[WHY_TEXT];
	struct why w;

	why_look(&w, &a->map, &a->pages, pa >> PAGE_SHIFT);
	if (w.place == WHY_PAGE && why_kernel_report(a->kernel, w.pfn, &report))
		why_add_report(&w, &report);
	if (entry) {
		add_json(entry, &w, why_text(&w, buf));
		return;
	}
	puts(why_text(&w, buf));
	if (w.detailed)
		print_details(&w.report.page);
}

static void answer_not_mapped(struct asker *a, u64 address)
{
	static const char text[] = "not mapped by the old kernel";
	struct json_object *entry = begin(a, address, address);

	if (entry) {
		field_text(entry, "state", "not mapped");
		field_text(entry, "text", text);
	} else {
		puts(text);
	}
}

static int ask(struct asker *a, const char *text)
{
	enum status st;
	u64 address;
	u64 pa;

	if (!parse_address(text, &address))
		return TOOL_USAGE;
	pa = address;
	if (address >= KERNEL_HALF) {
		st = why_kernel_translate(a->kernel, address, &pa);
		if (st == E_PAGETABLE) {
			answer_not_mapped(a, address);
			return TOOL_DONE;
		}
		if (st != OK)
			return tool_error(a->o->source, "give its physical address",
				"%s can not be translated: %s (E%d)", text, status_text(st),
				(int)st);
	}
	answer(a, address, pa);
	return TOOL_DONE;
}

static int ask_all(struct asker *a)
{
	struct json_object *all = json_object_new_object();
	int code = TOOL_DONE;

	a->list = a->o->json ? json_object_new_array() : NULL;
	field_number(all, "dump", a->map.dump->h.number);
	json_object_object_add(all, "addresses", a->list);
	for (u32 i = 0; i < a->o->addresses; i++) {
		if (ask(a, a->o->address[i]) != TOOL_DONE)
			code = TOOL_FAILED;
	}
	if (a->list)
		fields_print(all);
	else
		json_object_put(all);
	return code;
}

static int ask_dump(struct asker *a, struct source *s, const struct reader_dump *dump)
{
	int code = TOOL_FAILED;

	if (reader_map_load(&a->map, &s->reader, dump) != OK)
		return tool_error(s->path, NULL, "not enough memory");
	a->kernel = why_kernel_open(&a->map);
	if (a->kernel && reader_pages_open(&a->pages, &a->map) == OK) {
		code = ask_all(a);
		reader_pages_close(&a->pages);
	} else {
		tool_error(s->path, NULL, "not enough memory");
	}
	why_kernel_close(a->kernel);
	reader_map_free(&a->map);
	return code;
}

int cmd_why(const struct options *o)
{
	static struct asker a;
	const struct reader_dump *dump;
	struct source s;
	int code = check_addresses(o);

	if (code != TOOL_DONE)
		return code;
	code = source_open_dump(&s, o->source, o->number, &dump);
	if (code != TOOL_DONE)
		return code;
	a.o = o;
	code = ask_dump(&a, &s, dump);
	source_close(&s);
	return code;
}
