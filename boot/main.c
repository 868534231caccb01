/*
 * The core: what happens between a front door and the restart of the machine. Each
 * step is another file's; here is their order, and what the operator is told.
 */
#include <string.h>
#include "capture.h"
#include "elfcore.h"
#include "iommu.h"
#include "main.h"
#include "oldkernel.h"
#include "pagescan.h"
#include "panic.h"
#include "pci.h"
#include "ports.h"
#include "power.h"
#include "str.h"
#include "survey.h"
#include "target.h"
#include "boot/words.h"
#include "writer.h"

#define READING_TIME_US 5000000u /* for a message that nobody may be watching for */
#define LOOP_CAPTURES	3u	 /* within WRITER_RECENT_S: the machine crashes in a loop */

/* Everything a capture needs. Big, and there is only one: not on the stack. */
struct session {
	struct handoff *handoff;
	struct acpi acpi;
	struct arena arena;
	struct physmem pm;
	struct oldkernel kernel;
	struct pagemap pagemap;
	struct pagescan scan;
	struct target target;
	struct survey survey;
	struct writer writer;
	struct compressor compressor;
	struct elfcore core;		    /* if the handoff has one */
	char panic[DL_PANIC_BYTES];	    /* empty: the old kernel did not say */
	union {				    /* each byte here is one that the arena lacks */
		struct oldkernel candidate; /* until a kernel is found */
		struct panic_scratch log;   /* then */
		struct capture capture;	    /* from the first page on */
	};
	u64 start_us;
	u32 degraded;
	bool has_core;
	bool has_pagemap;
	bool target_open;
	bool dump_open;
	bool reported;
	bool leaving;
};

static struct session session;

static void say_failure(enum status st)
{
	con_printf("afterimage: E%u %s; %s\n", st, status_text(st), status_advice(st));
}

/*
 * Nothing else masters the bus by now. Where a unit stays on nobody knows which memory our
 * disk would reach.
 */
static enum status remapping_off(struct session *s)
{
	u32 units;
	enum status st;

	if (!acpi_load(s->handoff->rsdp_pa, &s->acpi))
		con_printf("afterimage: no ACPI tables found\n");
	st = iommu_disable(&s->acpi, &s->handoff->map, &units);
	if (units)
		con_printf("afterimage: DMA remapping was on in %u unit%s\n", units,
			units == 1 ? "" : "s");
	return st;
}

static enum status memory_open(struct session *s)
{
	const struct handoff *h = s->handoff;

	if (memmap_ram_pages(&h->map) == 0)
		return E_MEMMAP;
	s->arena.pa = h->arena_pa;
	s->arena.bytes = h->arena_bytes;
	s->arena.va = arena_map(h->arena_pa, h->arena_bytes);
	if (!s->arena.va)
		return E_NO_MEMORY;
	physmem_init(&s->pm, &h->map);
	if (h->degraded & DL_DEGRADED_MEMMAP)
		con_printf("afterimage: the firmware's memory map is too long; some memory is not "
			   "dumped\n");
	return OK;
}

static enum status target_open(struct session *s)
{
	const struct handoff *h = s->handoff;
	const struct target_ask ask = {.uuid = h->target_uuid, .boot_part = h->boot_part_guid};
	enum status st = target_find(&ask, &s->arena, &s->target);

	if (st != OK)
		return st;
	s->target_open = true;
	if (s->target.super_damaged)
		s->degraded |= DL_DEGRADED_SUPERBLOCK;
	con_printf("afterimage: dump disk %s\n", s->target.blk->name);
	return OK;
}

/* Where kexec left the registers, and where it says the old kernel's description is. */
static u64 core_open(struct session *s)
{
	const struct handoff *h = s->handoff;

	if (!h->elfcorehdr_pa)
		return h->vmcoreinfo_pa;
	s->has_core = elfcore_open(&s->core, &s->pm, h->elfcorehdr_pa) == OK;
	if (!s->has_core) {
		s->degraded |= DL_DEGRADED_REGISTERS;
		say_failure(E_ELFCOREHDR);
	}
	return s->has_core ? elfcore_vmcoreinfo(&s->core, &s->pm) : h->vmcoreinfo_pa;
}

/* Firmware may have overwritten all that describes the kernel, and little else. */
static bool banner_find(struct session *s)
{
	struct oldkernel *k = &s->kernel;

	con_printf("afterimage: no description of a kernel; looking for its name\n");
	if (!oldkernel_banner(&s->pm, &k->trace_pa, k->uts[UTS_RELEASE]))
		return false;
	con_printf("afterimage: Linux %s ran here; what describes it was overwritten. A survey and "
		   "its reservation prevent that: see mkdumpdisk --survey\n",
		k->uts[UTS_RELEASE]);
	return true;
}

/* A kernel that can not be verified is still dumped, all of it. No trace of one is the end. */
static enum status kernel_find(struct session *s)
{
	struct oldkernel *k = &s->kernel;
	enum status st = oldkernel_find(&s->pm, core_open(s), k, &s->candidate, &s->pagemap);

	if (st == E_NO_KERNEL && banner_find(s))
		st = k->why = E_VMCOREINFO;
	if (st == E_NO_KERNEL)
		return st;
	if (st != OK) {
		s->degraded |= DL_DEGRADED_NO_VMCOREINFO;
		say_failure(st);
		return OK;
	}
	con_printf("afterimage: kernel %s of host %s\n", k->uts[UTS_RELEASE], k->uts[UTS_NODENAME]);
	if (k->verified_count > 1) {
		s->degraded |= DL_DEGRADED_SEVERAL;
		con_printf("afterimage: %u kernels in memory, this one was taken\n",
			k->verified_count);
	}
	return OK;
}

static void say_panic(struct session *s)
{
	if (s->kernel.verified &&
		panic_find(&s->pm, &s->kernel, &s->log, s->panic, sizeof(s->panic)))
		con_printf("afterimage: it stopped with: %s\n", s->panic);
}

/* Without a page map no page can be told from another: everything is kept. */
static void pagemap_find(struct session *s)
{
	enum status st;

	if (!s->kernel.verified)
		return;
	st = pagemap_open(&s->pagemap, &s->pm, &s->kernel);
	if (st != OK) {
		s->degraded |= DL_DEGRADED_PAGEMAP;
		say_failure(st);
		return;
	}
	s->has_pagemap = true;
	pagescan_init(&s->scan, &s->pagemap);
	con_printf("afterimage: page map: %s\n", pagemap_name(&s->pagemap));
}

/* With a compressor in it, the arena must still do for the rest of the dump. */
static enum status compressor_take(struct session *s, u32 method)
{
	enum status st = compress_init(&s->compressor, method, &s->arena);

	if (st != OK || method == DL_COMP_NONE)
		return st;
	if (!range_fits(s->arena.used, WRITER_ARENA_BYTES + CAPTURE_ARENA_BYTES, s->arena.bytes))
		return E_NO_MEMORY;
	return OK;
}

/* A compressor that this image or its memory has not costs disk space, not the dump. */
static enum status compressor_open(struct session *s)
{
	u32 method = s->target.super.compressor;
	u64 mark = s->arena.used;
	enum status st = compressor_take(s, method);

	if (st != E_METHOD && st != E_NO_MEMORY)
		return st;
	con_printf("afterimage: no %s %s; writing uncompressed\n",
		st == E_METHOD ? "compressor" : "memory for compressor",
		dl_compressor_name(method));
	s->arena.used = mark;
	return compressor_take(s, DL_COMP_NONE);
}

static enum status dump_open(struct session *s)
{
	const struct dl_super *super = &s->target.super;
	struct dump_info info = {
		.door = s->handoff->door,
		.level_asked = super->level,
		.level_applied = s->has_pagemap ? super->level : super->level & DL_LEVEL_ZERO,
		.compressor = s->compressor.method,
		.survey = s->survey.use,
		.time_s = s->handoff->time_s,
		.ram_pages = memmap_ram_pages(&s->handoff->map),
		.release = s->kernel.uts[UTS_RELEASE],
		.nodename = s->kernel.uts[UTS_NODENAME],
		.machine = s->kernel.uts[UTS_MACHINE],
		.panic = s->panic,
	};
	enum status st;

	if (info.level_applied != info.level_asked)
		s->degraded |= DL_DEGRADED_LEVEL;
	info.degraded = s->degraded;
	st = writer_start(&s->writer, &s->target.gate, super, &s->arena, &info);
	s->dump_open = st == OK;
	if (s->writer.dir.unknown)
		con_printf("afterimage: %u directory slots are damaged; their dumps are not "
			   "protected\n",
			s->writer.dir.unknown);
	return st;
}

/* One note for each processor that left its registers, in kexec's order. */
static enum status registers_write(struct session *s)
{
	struct elfcore_walk walk = {0};
	u8 note[ELFCORE_NOTE_MAX];
	u32 bytes;
	u32 cpus = 0;
	enum status st = OK;

	while (st == OK && (bytes = elfcore_prstatus(&s->core, &s->pm, &walk, note)) > 0) {
		st = writer_note(&s->writer, DL_NOTE_PRSTATUS, note, bytes);
		cpus++;
	}
	con_printf("afterimage: registers of %u processor%s\n", cpus, cpus == 1 ? "" : "s");
	if (walk.broken) {
		s->writer.header.degraded |= DL_DEGRADED_REGISTERS;
		con_printf("afterimage: those of %u more can not be read\n", walk.broken);
	}
	return st;
}

static enum status notes_write(struct session *s)
{
	const struct oldkernel *k = &s->kernel;
	const struct memmap *map = &s->handoff->map;
	const struct dl_kernel facts = {
		.root_pa = k->pt.root_pa,
		.phys_base = (u64)k->phys_base,
		.page_offset = k->page_offset,
		.vmcoreinfo_pa = k->vmcoreinfo_pa,
		.levels = k->pt.levels,
		.candidates = k->candidates,
		.verified = k->verified_count,
	};
	enum status st;

	st = writer_note(
		&s->writer, DL_NOTE_MEMMAP, map->range, (u32)(map->count * sizeof(map->range[0])));
	if (st == OK)
		st = writer_note(&s->writer, DL_NOTE_KERNEL, &facts, sizeof(facts));
	if (st == OK && k->vi.bytes)
		st = writer_note(&s->writer, DL_NOTE_VMCOREINFO, k->vi.text, k->vi.bytes);
	if (st == OK && k->verified)
		st = writer_note(&s->writer, DL_NOTE_UTSNAME, k->uts, sizeof(k->uts));
	if (st == OK)
		st = survey_note(&s->survey, &s->writer);
	if (st == OK && s->has_core)
		st = registers_write(s);
	return st;
}

static void progress_print(void *ctx, const struct capture_progress *p)
{
	(void)ctx;
	words_progress(p);
}

/* Whatever stops the pages is the reason the dump is closed with. */
static enum status pages_write(struct session *s)
{
	enum status st = notes_write(s);

	if (st == OK)
		st = capture_init(&s->capture, &s->writer, &s->pm, &s->compressor, &s->arena);
	if (st == OK) {
		s->capture.progress = progress_print;
		s->capture.level = s->writer.header.level_applied;
		s->capture.scan = s->has_pagemap ? &s->scan : NULL;
		st = capture_run(&s->capture);
	}
	st = writer_finish(&s->writer, st);
	words_lost(&s->writer.header);
	if (st == OK)
		words_left_out(&s->capture);
	else
		words_incomplete(s->writer.header.incomplete);
	return st;
}

static enum status machine_open(struct session *s)
{
	enum status st = remapping_off(s);

	if (st == OK)
		st = memory_open(s);
	if (st == OK)
		st = target_open(s);
	return st;
}

/* What is known of the reset from an earlier survey; that counts from the first look on. */
static void survey_begin(struct session *s)
{
	survey_open(&s->survey, s->handoff, &s->pm, &s->target.gate, &s->target.super, &s->arena);
	survey_apply(&s->survey);
}

/* True if memory belongs to a survey: then there is nothing to dump. */
static bool survey_takes(struct session *s, enum status found)
{
	const struct survey_kernel k = {found, &s->kernel, &s->log};

	survey_run(&s->survey, &k);
	return s->survey.restart;
}

static enum status dump(struct session *s)
{
	enum status st;

	survey_begin(s);
	st = kernel_find(s);
	if (survey_takes(s, st))
		return OK;
	if (st == E_NO_KERNEL && survey_wiped(&s->pm))
		st = E_WIPED;
	if (st == OK)
		say_panic(s);
	if (st == OK)
		pagemap_find(s);
	if (st == OK)
		st = compressor_open(s);
	if (st == OK)
		st = dump_open(s);
	if (st == OK)
		st = pages_write(s);
	return st;
}

/* The one result line. */
static void report(struct session *s, enum status st, const char *detail)
{
	const struct dl_header *h = &s->writer.header;
	const char *colon = detail[0] ? ": " : "";
	u64 ms = (clock_us() - s->start_us) / 1000;

	s->reported = true;
	if (st != OK)
		con_printf("afterimage: E%u: %s\n", st, status_advice(st));
	if (!s->dump_open)
		con_printf("afterimage: no dump: E%u %s%s%s\n", st, status_text(st), colon, detail);
	else if (st != OK)
		con_printf("afterimage: dump %u incomplete: E%u %s%s%s; %lu bytes safe\n",
			h->number, st, status_text(st), colon, detail,
			writer_safe_bytes(&s->writer));
	else
		con_printf(
			"afterimage: dump %u complete: %lu pages kept of %lu, %lu bytes written, "
			"%lu ms\n",
			h->number, h->kept_pages, h->ram_pages, h->stored_bytes, ms);
}

/*
 * What the disk asks for, unless that would make the machine crash and restart for ever. A
 * survey has a count of its own.
 */
static enum machine_action action_choose(const struct session *s)
{
	u32 action = s->target_open ? s->target.super.after : ACTION_REBOOT;

	if (s->survey.restart)
		return ACTION_REBOOT;
	if (action == ACTION_HALT || action == ACTION_POWEROFF)
		return (enum machine_action)action;
	if (s->writer.recent + 1 < LOOP_CAPTURES)
		return ACTION_REBOOT;
	say_failure(E_LOOP);
	return ACTION_HALT;
}

/* Called again from its own exceptions: then without what they may have come from. */
static void leave(struct session *s, enum status st)
{
	static const char *const words[] = {
		[ACTION_REBOOT] = "rebooting",
		[ACTION_POWEROFF] = "powering off",
		[ACTION_HALT] = "halted",
	};
	enum machine_action action = action_choose(s);

	if (s->leaving) {
		machine_reset(action);
		return;
	}
	s->leaving = true;
	con_printf("afterimage: %s\n", words[action]);
	if (st != OK)
		clock_wait_us(READING_TIME_US);
	if (action == ACTION_POWEROFF && power_off(&s->acpi.power) != OK)
		say_failure(E_POWEROFF);
	power_leave(&s->acpi.power, action);
}

void dump_hello(u32 door)
{
	con_printf("afterimage %s via %s\n", AFTERIMAGE_VERSION, door_name(door));
}

void dump_main(struct handoff *handoff)
{
	struct session *s = &session;
	enum status st;

	memset(s, 0, sizeof(*s));
	s->handoff = handoff;
	s->degraded = handoff->degraded;
	s->start_us = clock_us();
	pci_quiesce();
	st = machine_open(s);
	if (st == OK)
		st = dump(s);
	if (s->target_open && s->target.blk->ops->stop(s->target.blk) != OK)
		con_printf("afterimage: the dump disk did not confirm its shutdown\n");
	if (!s->survey.restart)
		report(s, st, "");
	leave(s, st);
}

void dump_panic(enum status status, const char *detail)
{
	struct session *s = &session;

	if (!s->reported)
		report(s, status, detail);
	leave(s, status);
}
