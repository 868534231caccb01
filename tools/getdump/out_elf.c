/*
 * ELF core (gdb, crash, drgn, makedumpfile): one PT_NOTE, one PT_LOAD per run of
 * RAM, and one more that shows the kernel's text mapping on the same bytes. Pages
 * without contents are holes. Beyond 65534 segments the count is in section 0.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "extract.h"
#include "oldkernel.h"

#define TEXT_MAP_VA    0xffffffff80000000ull /* the kernel's text mapping and its length */
#define TEXT_MAP_BYTES (1ull << 30)
#define TEXT_ALIGN     (2ull * MIB)

struct elf {
	struct extract *x;
	u64 ranges;
	Elf64_Phdr *load; /* one per range, then that of the text */
	u64 loads;
	u64 headers_bytes;
};

/* Goes to the next contiguous range of RAM; false at the end. */
static bool next_range(struct reader_iter *it, struct reader_run *ahead, u64 *pfn, u64 *count)
{
	if (ahead->count == 0)
		return false;
	*pfn = ahead->pfn;
	*count = 0;
	while (ahead->count && ahead->pfn == *pfn + *count) {
		*count += ahead->count;
		if (!reader_iter_next(it, ahead))
			ahead->count = 0;
	}
	return true;
}

static void start_ranges(
	struct reader_iter *it, struct reader_run *ahead, const struct reader_map *m)
{
	reader_iter_start(it, m, 0);
	if (!reader_iter_next(it, ahead))
		ahead->count = 0;
}

static u64 count_ranges(const struct reader_map *m)
{
	struct reader_run ahead;
	struct reader_iter it;
	u64 ranges = 0;
	u64 pfn;
	u64 count;

	start_ranges(&it, &ahead, m);
	while (next_range(&it, &ahead, &pfn, &count))
		ranges++;
	return ranges;
}

static void make_loads(struct elf *e)
{
	const struct core_facts *f = &e->x->facts;
	struct reader_run ahead;
	struct reader_iter it;
	u64 pfn;
	u64 count;

	start_ranges(&it, &ahead, &e->x->map);
	while (e->loads < e->ranges && next_range(&it, &ahead, &pfn, &count)) {
		Elf64_Phdr *p = &e->load[e->loads++];

		p->p_type = PT_LOAD;
		p->p_flags = PF_R | PF_W | PF_X;
		p->p_paddr = pfn << PAGE_SHIFT;
		p->p_vaddr = f->page_offset ? f->page_offset + p->p_paddr : 0;
		p->p_filesz = count << PAGE_SHIFT;
		p->p_memsz = p->p_filesz;
	}
}

/* The range that holds physical address @pa, or NULL. */
static const Elf64_Phdr *range_of(const struct elf *e, u64 pa)
{
	for (u64 i = 0; i < e->ranges; i++) {
		if (e->load[i].p_paddr <= pa && pa - e->load[i].p_paddr < e->load[i].p_memsz)
			return &e->load[i];
	}
	return NULL;
}

/* The text mapping, as far as it lies in the range of RAM where the kernel starts. */
static void add_text(struct elf *e)
{
	const struct core_facts *f = &e->x->facts;
	const Elf64_Phdr *ram;
	Elf64_Phdr *p = &e->load[e->loads];
	u64 va;
	u64 pa;

	if (!f->vi || !vmcoreinfo_hex(f->vi, "SYMBOL(_stext)", &va))
		return;
	va &= ~(TEXT_ALIGN - 1);
	if (va < TEXT_MAP_VA || va - TEXT_MAP_VA >= TEXT_MAP_BYTES)
		return;
	pa = va - TEXT_MAP_VA + (u64)f->phys_base;
	ram = range_of(e, pa);
	if (!ram)
		return;
	p->p_type = PT_LOAD;
	p->p_flags = PF_R | PF_W | PF_X;
	p->p_vaddr = va;
	p->p_paddr = pa;
	p->p_memsz = min_u64(TEXT_MAP_VA + TEXT_MAP_BYTES - va, ram->p_memsz - (pa - ram->p_paddr));
	p->p_filesz = p->p_memsz;
	e->loads++;
}

/* Ranges follow each other in the file behind the notes; the text shares its range's bytes. */
static u64 place_loads(struct elf *e)
{
	u64 at = round_up_u64(e->headers_bytes + e->x->facts.notes_bytes, PAGE_BYTES);

	for (u64 i = 0; i < e->ranges; i++) {
		e->load[i].p_offset = at;
		at += e->load[i].p_filesz;
	}
	if (e->loads > e->ranges) {
		Elf64_Phdr *text = &e->load[e->ranges];
		const Elf64_Phdr *ram = range_of(e, text->p_paddr);

		text->p_offset = ram->p_offset + (text->p_paddr - ram->p_paddr);
	}
	return at;
}

static enum status write_headers(struct elf *e)
{
	struct extract *x = e->x;
	u64 segments = e->loads + 1;
	bool many = segments >= PN_XNUM;
	Elf64_Ehdr h = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(h) + (many ? sizeof(Elf64_Shdr) : 0),
		.e_shoff = many ? sizeof(h) : 0,
		.e_ehsize = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = many ? PN_XNUM : (u16)segments,
		.e_shentsize = many ? sizeof(Elf64_Shdr) : 0,
		.e_shnum = many ? 1 : 0,
	};
	const Elf64_Shdr section = {.sh_info = (u32)segments};
	Elf64_Phdr note = {
		.p_type = PT_NOTE,
		.p_offset = e->headers_bytes,
		.p_filesz = x->facts.notes_bytes,
		.p_memsz = x->facts.notes_bytes,
	};
	enum status st = sink_write(&x->sink, 0, &h, sizeof(h));

	if (st == OK && many)
		st = sink_write(&x->sink, h.e_shoff, &section, sizeof(section));
	if (st == OK)
		st = sink_write(&x->sink, h.e_phoff, &note, sizeof(note));
	if (st == OK)
		st = sink_write(
			&x->sink, h.e_phoff + sizeof(note), e->load, e->loads * sizeof(*e->load));
	if (st == OK)
		st = sink_write(&x->sink, e->headers_bytes, x->facts.notes, x->facts.notes_bytes);
	return st;
}

static enum status write_range(struct elf *e, const Elf64_Phdr *load)
{
	u64 first = load->p_paddr >> PAGE_SHIFT;
	u64 end = first + (load->p_memsz >> PAGE_SHIFT);
	u8 page[PAGE_BYTES];
	struct reader_iter it;
	struct reader_run run;

	reader_iter_start(&it, &e->x->map, first);
	while (reader_iter_next(&it, &run) && run.pfn < end) {
		for (u64 i = 0; i < run.count && run.fate == READER_HERE; i++) {
			u64 offset = load->p_offset + ((run.pfn + i - first) << PAGE_SHIFT);

			if (extract_page(e->x, run.pfn + i, page) != OK ||
				extract_is_zero(e->x, page))
				continue;
			if (sink_write(&e->x->sink, offset, page, sizeof(page)) != OK)
				return E_WRITE;
		}
	}
	return OK;
}

static enum status write_all(struct elf *e)
{
	enum status st;
	u64 end;

	make_loads(e);
	add_text(e);
	e->headers_bytes = sizeof(Elf64_Ehdr) + (e->loads + 1) * sizeof(Elf64_Phdr);
	if (e->loads + 1 >= PN_XNUM)
		e->headers_bytes += sizeof(Elf64_Shdr);
	end = place_loads(e);
	st = write_headers(e);
	if (st == OK)
		st = sink_extend(&e->x->sink, end);
	for (u64 i = 0; i < e->ranges && st == OK; i++)
		st = write_range(e, &e->load[i]);
	return st;
}

enum status elf_write(struct extract *x)
{
	u64 ranges = count_ranges(&x->map);
	Elf64_Phdr *load = calloc(ranges + 1, sizeof(*load));
	struct elf e = {.x = x, .ranges = ranges, .load = load};
	enum status st = load ? facts_number_idle(&x->facts) : E_NO_MEMORY;

	if (st == OK)
		st = write_all(&e);
	free(load);
	return st;
}
