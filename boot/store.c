/*
 * Putting the dump together: compressor, header, notes, then the pages.
 */
#include "ports.h"
#include "str.h"
#include "boot/session.h"
#include "boot/words.h"

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

/*
 * A compressor that this image or its memory has not costs disk space, not the dump: lzf, which
 * needs the least, takes its place, then none.
 */
static enum status compressor_open(struct session *s)
{
	u32 method = s->target.super.compressor;
	enum status st = OK;

	for (u32 i = 0; i < 3; i++) {
		u64 mark = s->arena.used;
		u32 other = method == DL_COMP_LZF ? DL_COMP_NONE : DL_COMP_LZF;

		st = compressor_take(s, method);
		if ((st != E_METHOD && st != E_NO_MEMORY) || method == DL_COMP_NONE)
			return st;
		con_printf("afterimage: no %s %s; %s\n",
			st == E_METHOD ? "compressor" : "memory for compressor",
			dl_compressor_name(method),
			other == DL_COMP_LZF ? "trying lzf" : "writing uncompressed");
		s->arena.used = mark;
		method = other;
	}
	return st;
}

static enum status dump_open(struct session *s)
{
	const struct dl_super *super = &s->target.super;
	u32 level = s->handoff->has_level ? s->handoff->level : super->level;
	struct dump_info info = {
		.door = s->handoff->door,
		.level_asked = level,
		.level_applied = s->has_pagemap ? level : level & DL_LEVEL_ZERO,
		.compressor = s->compressor.method,
		.survey = s->survey.use,
		.time_s = s->handoff->time_s,
		.crash_id = s->crash_id,
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
		if (s->has_pagemap)
			pagescan_init(&s->scan, &s->pagemap);
		st = capture_run(&s->capture);
	}
	if (s->target.blk->resets != s->writer.resets)
		con_printf("afterimage: the disk was reset: the dump is read back\n");
	st = writer_finish(&s->writer, st);
	words_lost(&s->writer.header);
	if (st == OK)
		words_left_out(&s->capture);
	else
		words_incomplete(s->writer.header.incomplete);
	return st;
}

enum status store_dump(struct session *s)
{
	enum status st = compressor_open(s);

	if (st == OK)
		st = dump_open(s);
	if (st == OK)
		st = pages_write(s);
	return st;
}
