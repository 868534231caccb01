/*
 * An ELF header as kexec leaves it, in a piece of RAM: what the tests of elfcore have in
 * common. Loader's memory is at LOADER, old memory everywhere else.
 */
#ifndef AFTERIMAGE_ELFCORE_RIG_H
#define AFTERIMAGE_ELFCORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <cmocka.h>
#include "elfcore.h"
#include "oldkernel.h"
#include "tests/host/ports_mem.h"

#define RAM_BYTES (12u * MIB)
#define LOADER	  (8u * MIB)
#define NOTES	  0x10000u /* crash_notes, STEP apart */
#define STEP	  0x180u
#define INFO	  0x8000u /* vmcoreinfo */
#define CPUS	  3u

static u8 *image;
static struct memmap map;
static struct physmem pm;
static struct elfcore e;
static u8 note[ELFCORE_NOTE_MAX];

static inline void put(u64 at, const void *data, u64 bytes)
{
	assert_true(range_fits(at, bytes, RAM_BYTES));
	memcpy(image + at, data, bytes);
}

static inline Elf64_Ehdr *ehdr(void)
{
	return (Elf64_Ehdr *)(void *)(image + LOADER);
}

static inline Elf64_Phdr *phdr(u32 i)
{
	return (Elf64_Phdr *)(void *)(image + LOADER + sizeof(Elf64_Ehdr)) + i;
}

static inline void put_header(void)
{
	Elf64_Ehdr h = {.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(h),
		.e_ehsize = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr)};

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	put(LOADER, &h, sizeof(h));
}

static inline void add(u32 type, u64 offset, u64 paddr, u64 bytes)
{
	*phdr(ehdr()->e_phnum++) = (Elf64_Phdr) {.p_type = type,
		.p_offset = offset,
		.p_paddr = paddr,
		.p_filesz = bytes,
		.p_memsz = bytes};
}

/* Returns where the next note of the same area goes. */
static inline u64 put_note(u64 at, const char *name, u32 type, const void *desc, u32 bytes)
{
	Elf64_Nhdr h = {.n_namesz = (u32)strlen(name) + 1, .n_descsz = bytes, .n_type = type};

	put(at, &h, sizeof(h));
	put(at + sizeof(h), name, h.n_namesz);
	at += sizeof(h) + round_up_u64(h.n_namesz, 4);
	put(at, desc, bytes);
	return at + round_up_u64(bytes, 4);
}

/* Registers that tell processors apart. */
static inline struct elf_prstatus prstatus(u32 cpu)
{
	struct elf_prstatus p;

	memset(&p, (int)cpu + 1, sizeof(p));
	p.pr_pid = (int)(100 + cpu);
	return p;
}

static inline u64 put_cpu(u64 at, u32 cpu)
{
	struct elf_prstatus p = prstatus(cpu);

	return put_note(at, "CORE", NT_PRSTATUS, &p, sizeof(p));
}

/* As Linux orders them: processors, vmcoreinfo, kernel text, RAM. */
static inline void make(void)
{
	put_header();
	for (u32 i = 0; i < CPUS; i++) {
		put_cpu(NOTES + i * STEP, i);
		add(PT_NOTE, NOTES + i * STEP, NOTES + i * STEP, STEP);
	}
	put_note(INFO, "VMCOREINFO", 0, "OSRELEASE=6.1.0\n", 16);
	add(PT_NOTE, INFO, INFO, PAGE_BYTES);
	add(PT_LOAD, 2 * MIB, 2 * MIB, MIB);
	add(PT_LOAD, 0x1000, 0x1000, 0x9e000);
	add(PT_LOAD, MIB, MIB, LOADER - MIB);
}

static inline int setup(void **state)
{
	(void)state;
	image = calloc(1, RAM_BYTES);
	if (!image)
		return -1;
	host_reset_all();
	host_ram_set(image, RAM_BYTES);
	memset(&map, 0, sizeof(map));
	memmap_add(&map, 0, RAM_BYTES, MEM_RAM);
	physmem_init(&pm, &map);
	memset(&e, 0xee, sizeof(e));
	make();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	host_reset_all();
	free(image);
	return 0;
}

static inline void open_good(void)
{
	assert_int_equal(elfcore_open(&e, &pm, LOADER), OK);
}

static inline void expect_cpu(struct elfcore_walk *w, u32 cpu)
{
	struct elf_prstatus p = prstatus(cpu);
	Elf64_Nhdr h = {5, sizeof(p), NT_PRSTATUS};

	memset(note, 0xee, sizeof(note));
	assert_int_equal(elfcore_prstatus(&e, &pm, w, note), 12 + 8 + sizeof(p));
	assert_memory_equal(note, &h, sizeof(h));
	assert_memory_equal(note + 12, "CORE\0\0\0", 8);
	assert_memory_equal(note + 20, &p, sizeof(p));
}

static inline void expect_end(struct elfcore_walk *w, u32 absent, u32 broken)
{
	assert_int_equal(elfcore_prstatus(&e, &pm, w, note), 0);
	assert_int_equal(elfcore_prstatus(&e, &pm, w, note), 0);
	assert_int_equal(w->absent, absent);
	assert_int_equal(w->broken, broken);
}

#endif
