/*
 * The ELF header that kexec leaves: what it says of memory and where the notes are. Reads a
 * program header at a time and keeps none, so that a thousand processors cost no memory.
 */
#include <string.h>
#include "elfcore.h"
#include "verify.h"

#define EI_CLASS    4
#define EI_DATA	    5
#define EI_VERSION  6
#define ELFCLASS64  2
#define ELFDATA2LSB 1
#define EV_CURRENT  1
#define ET_CORE	    4
#define EM_X86_64   62
#define PT_LOAD	    1
#define PT_NOTE	    4

#define NT_PRSTATUS	  1
#define PRSTATUS_BYTES	  336u /* struct elf_prstatus of x86-64 */
#define PRSTATUS_NAME	  "CORE"
#define NOTES_IN_ONE	  16u /* the kernel writes one, hypervisors a few more */
#define PHYS_END	  (1ull << 52)
#define SEGMENT_BYTES_MAX (1ull << 46) /* 64 TiB in one piece is a damaged size */
#define LOW_MEMORY_END	  (1ull << 20) /* lists differ on what is below */
#define NOTE_AREA_MAX	  (1ull << 20) /* of one PT_NOTE; real ones have a few KiB */

struct ehdr {
	u8 ident[16];
	u16 type;
	u16 machine;
	u32 version;
	u64 entry;
	u64 phoff;
	u64 shoff;
	u32 flags;
	u16 ehsize;
	u16 phentsize;
	u16 phnum;
	u16 shentsize;
	u16 shnum;
	u16 shstrndx;
};
ASSERT_SIZE(struct ehdr, 64);
ASSERT_AT(struct ehdr, phoff, 32);
ASSERT_AT(struct ehdr, phnum, 56);

struct phdr {
	u32 type;
	u32 flags;
	u64 offset;
	u64 vaddr;
	u64 paddr;
	u64 filesz;
	u64 memsz;
	u64 align;
};
ASSERT_SIZE(struct phdr, 56);
ASSERT_AT(struct phdr, paddr, 24);
ASSERT_AT(struct phdr, memsz, 40);

struct nhdr {
	u32 name_bytes;
	u32 desc_bytes;
	u32 type;
};
ASSERT_SIZE(struct nhdr, 12);

/* What is left of one PT_NOTE. */
struct note_area {
	u64 pa;
	u64 bytes;
};

enum note_found {
	NOTE_FOUND,
	NOTE_END,    /* an empty header or the area's end: what is not used is zero */
	NOTE_BROKEN, /* unreadable, or longer than the area */
};

/* One note in old memory. */
struct note {
	u64 pa;
	u64 bytes; /* all of it, padded */
	struct nhdr h;
};

static bool header_is_good(const struct ehdr *h)
{
	static const u8 magic[4] = {0x7f, 'E', 'L', 'F'};

	return memcmp(h->ident, magic, sizeof(magic)) == 0 && h->ident[EI_CLASS] == ELFCLASS64 &&
	       h->ident[EI_DATA] == ELFDATA2LSB && h->ident[EI_VERSION] == EV_CURRENT &&
	       h->version == EV_CURRENT && h->type == ET_CORE && h->machine == EM_X86_64 &&
	       h->ehsize == sizeof(struct ehdr) && h->phentsize == sizeof(struct phdr) &&
	       h->phnum <= ELFCORE_MAX_HEADERS;
}

static bool read_header(const struct elfcore *e, struct physmem *pm, u32 i, struct phdr *ph)
{
	return physmem_read(pm, e->headers_pa + (u64)i * sizeof(*ph), ph, sizeof(*ph)) == OK;
}

static bool is_usable_load(const struct phdr *ph)
{
	return ph->type == PT_LOAD && ph->memsz > 0 && ph->memsz <= SEGMENT_BYTES_MAX &&
	       range_fits(ph->paddr, ph->memsz, PHYS_END);
}

enum status elfcore_open(struct elfcore *e, struct physmem *pm, u64 pa)
{
	struct phdr ph;
	struct ehdr h;

	memset(e, 0, sizeof(*e));
	if (pa >= PHYS_END || physmem_read(pm, pa, &h, sizeof(h)) != OK || !header_is_good(&h))
		return E_ELFCOREHDR;
	if (!range_fits(h.phoff, (u64)h.phnum * sizeof(ph), PHYS_END - pa))
		return E_ELFCOREHDR;
	e->pa = pa;
	e->headers_pa = pa + h.phoff;
	e->count = h.phnum;
	for (u32 i = 0; i < e->count; i++) {
		if (!read_header(e, pm, i, &ph))
			return E_ELFCOREHDR;
		e->loads += is_usable_load(&ph);
		e->notes += ph.type == PT_NOTE;
	}
	return e->loads > 0 ? OK : E_ELFCOREHDR;
}

static bool touches_reserved(const struct memmap *map, u64 pa, u64 end)
{
	u64 from = max_u64(pa, LOW_MEMORY_END);

	return from < end && memmap_has(map, from, end - from, MEM_RESERVED);
}

/*
 * p_paddr, not p_offset: kexec-tools copied the first 640 KiB aside for old kernels and let
 * p_offset point to the copy; the original is still in place.
 */
u32 elfcore_memmap(const struct elfcore *e, struct physmem *pm, struct memmap *map)
{
	struct phdr ph;
	u32 refused = 0;

	for (u32 i = 0; i < e->count; i++) {
		if (!read_header(e, pm, i, &ph) || ph.type != PT_LOAD || ph.memsz == 0)
			continue;
		if (is_usable_load(&ph) && !touches_reserved(map, ph.paddr, ph.paddr + ph.memsz))
			memmap_add(map, ph.paddr, ph.memsz, MEM_RAM);
		else
			refused++;
	}
	return refused;
}

/* False if it is no PT_NOTE. Its p_offset is an address, as for Linux's own /proc/vmcore. */
static bool open_area(const struct phdr *ph, struct note_area *area)
{
	area->pa = ph->offset;
	area->bytes = min_u64(ph->memsz, NOTE_AREA_MAX);
	return ph->type == PT_NOTE;
}

static enum note_found next_note(struct physmem *pm, struct note_area *area, struct note *note)
{
	if (area->bytes < sizeof(note->h))
		return NOTE_END;
	if (physmem_read(pm, area->pa, &note->h, sizeof(note->h)) != OK)
		return NOTE_BROKEN;
	if (note->h.name_bytes == 0)
		return NOTE_END;
	note->pa = area->pa;
	note->bytes = sizeof(note->h) + round_up_u64(note->h.name_bytes, 4) +
		      round_up_u64(note->h.desc_bytes, 4);
	if (note->bytes > area->bytes)
		return NOTE_BROKEN;
	area->pa += note->bytes;
	area->bytes -= note->bytes;
	return NOTE_FOUND;
}

/* Address of vmcoreinfo's note in @area; 0 if it has none. */
static u64 find_vmcoreinfo(struct physmem *pm, struct note_area *area)
{
	struct note_head head;
	struct note note;

	for (u32 i = 0; i < NOTES_IN_ONE; i++) {
		if (next_note(pm, area, &note) != NOTE_FOUND)
			return 0;
		if (note.bytes >= sizeof(head) &&
			physmem_read(pm, note.pa, &head, sizeof(head)) == OK &&
			vmcoreinfo_is_note(&head))
			return note.pa;
	}
	return 0;
}

u64 elfcore_vmcoreinfo(const struct elfcore *e, struct physmem *pm)
{
	struct note_area area;
	struct phdr ph;
	u64 pa = 0;

	for (u32 i = 0; i < e->count && pa == 0; i++) {
		if (read_header(e, pm, i, &ph) && open_area(&ph, &area))
			pa = find_vmcoreinfo(pm, &area);
	}
	return pa;
}

static bool is_prstatus(const struct nhdr *h)
{
	return h->type == NT_PRSTATUS && h->name_bytes == sizeof(PRSTATUS_NAME);
}

/* Copies @note with its padding as zeros; false if it can not be read or makes no sense. */
static bool copy_prstatus(struct physmem *pm, const struct note *note, u8 to[ELFCORE_NOTE_MAX])
{
	const u64 name_at = sizeof(note->h);
	const u64 desc_at = name_at + round_up_u64(sizeof(PRSTATUS_NAME), 4);
	u64 pa = note->pa;

	if (note->h.desc_bytes < PRSTATUS_BYTES || note->bytes > ELFCORE_NOTE_MAX)
		return false;
	memset(to, 0, ELFCORE_NOTE_MAX);
	memcpy(to, &note->h, sizeof(note->h));
	if (physmem_read(pm, pa + name_at, to + name_at, sizeof(PRSTATUS_NAME)) != OK ||
		physmem_read(pm, pa + desc_at, to + desc_at, note->h.desc_bytes) != OK)
		return false;
	return memcmp(to + name_at, PRSTATUS_NAME, sizeof(PRSTATUS_NAME)) == 0;
}

/* Bytes of the registers that @area has, 0 if none; why none is counted. */
static u32 area_prstatus(struct physmem *pm, struct note_area *area, struct elfcore_walk *walk,
	u8 to[ELFCORE_NOTE_MAX])
{
	struct note note;

	for (u32 i = 0; i < NOTES_IN_ONE; i++) {
		enum note_found found = next_note(pm, area, &note);

		if (found == NOTE_END) {
			walk->absent += i == 0;
			return 0;
		}
		if (found == NOTE_FOUND && !is_prstatus(&note.h))
			continue;
		if (found == NOTE_FOUND && copy_prstatus(pm, &note, to))
			return (u32)note.bytes;
		walk->broken++;
		return 0;
	}
	return 0;
}

u32 elfcore_prstatus(const struct elfcore *e, struct physmem *pm, struct elfcore_walk *walk,
	u8 note[ELFCORE_NOTE_MAX])
{
	struct note_area area;
	struct phdr ph;
	u32 bytes = 0;

	while (bytes == 0 && walk->next < e->count) {
		if (!read_header(e, pm, walk->next++, &ph))
			walk->broken++;
		else if (open_area(&ph, &area))
			bytes = area_prstatus(pm, &area, walk, note);
	}
	return bytes;
}
