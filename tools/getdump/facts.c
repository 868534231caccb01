/*
 * The old kernel's description out of a dump's notes, and the ELF notes that the
 * file formats carry. Notes come from old memory: every length is checked.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include "extract.h"
#include "oldkernel.h"

#define VMCOREINFO_NAME "VMCOREINFO"
#define CORE_NAME	"CORE"

#define PRSTATUS_PID_AT 32	 /* pr_pid of struct elf_prstatus, s32 */
#define PID_LIMIT	4194304u /* Linux's PID_MAX_LIMIT */

static u64 align4(u64 v)
{
	return round_up_u64(v, 4);
}

/* Is it one well-formed NT_PRSTATUS note? Its length with padding, else 0. */
static u64 prstatus_bytes(const struct reader_note *n)
{
	Elf64_Nhdr h;
	u64 bytes;

	if (n->bytes < sizeof(h))
		return 0;
	memcpy(&h, n->data, sizeof(h));
	bytes = sizeof(h) + align4(h.n_namesz) + align4(h.n_descsz);
	return h.n_type == NT_PRSTATUS && bytes <= n->bytes ? bytes : 0;
}

static enum status notes_append(struct core_facts *f, const void *data, u64 bytes)
{
	u8 *grown = realloc(f->notes, f->notes_bytes + align4(bytes));

	if (!grown)
		return E_NO_MEMORY;
	f->notes = grown;
	memset(grown + f->notes_bytes, 0, align4(bytes));
	memcpy(grown + f->notes_bytes, data, bytes);
	f->notes_bytes += align4(bytes);
	return OK;
}

/* The n-th NT_PRSTATUS belongs to the n-th CPU: the order of the log is kept. */
static enum status add_cpus(struct core_facts *f, const struct reader_map *m)
{
	for (u32 i = 0; i < m->notes; i++) {
		u64 bytes = prstatus_bytes(&m->note[i]);
		enum status st;

		if (m->note[i].type != DL_NOTE_PRSTATUS || bytes == 0)
			continue;
		st = notes_append(f, m->note[i].data, bytes);
		if (st != OK)
			return st;
		f->cpus++;
	}
	return OK;
}

/* Task 0's, which every idle processor runs? */
static bool is_idle(const u8 *desc, u32 bytes)
{
	return bytes >= PRSTATUS_PID_AT + sizeof(u32) &&
	       memcmp(desc + PRSTATUS_PID_AT, "\0\0\0", sizeof(u32)) == 0;
}

static enum status add_psinfo(struct core_facts *f, u32 pid)
{
	const struct elf_prpsinfo info = {.pr_pid = (pid_t)pid, .pr_psargs = "Linux"};
	const Elf64_Nhdr h = {
		.n_namesz = sizeof(CORE_NAME), .n_descsz = sizeof(info), .n_type = NT_PRPSINFO};
	enum status st = notes_append(f, &h, sizeof(h));

	if (st == OK)
		st = notes_append(f, CORE_NAME, sizeof(CORE_NAME));
	return st == OK ? notes_append(f, &info, sizeof(info)) : st;
}

enum status facts_number_idle(struct core_facts *f)
{
	u8 *old = f->notes;
	u64 old_bytes = f->notes_bytes;
	u64 at = 0;
	enum status st = OK;

	if (f->cpus == 0)
		return OK;
	f->notes = NULL;
	f->notes_bytes = 0;
	for (u32 i = 0; i < f->cpus && st == OK; i++) {
		Elf64_Nhdr h;
		u64 desc_at;
		u64 bytes;

		memcpy(&h, old + at, sizeof(h));
		desc_at = sizeof(h) + align4(h.n_namesz);
		bytes = desc_at + align4(h.n_descsz);
		if (is_idle(old + at + desc_at, h.n_descsz))
			st = add_psinfo(f, PID_LIMIT + i);
		if (st == OK)
			st = notes_append(f, old + at, bytes);
		at += bytes;
	}
	if (st == OK)
		st = notes_append(f, old + at, old_bytes - at);
	f->vmcoreinfo_at += f->notes_bytes - old_bytes;
	free(old);
	return st;
}

static enum status add_vmcoreinfo(struct core_facts *f, const struct reader_note *n)
{
	Elf64_Nhdr h = {.n_namesz = sizeof(VMCOREINFO_NAME), .n_descsz = n->bytes};
	enum status st;

	f->vi = calloc(1, sizeof(*f->vi));
	if (!f->vi)
		return E_NO_MEMORY;
	f->vi->bytes = n->bytes;
	memcpy(f->vi->text, n->data, n->bytes);
	st = notes_append(f, &h, sizeof(h));
	if (st == OK)
		st = notes_append(f, VMCOREINFO_NAME, sizeof(VMCOREINFO_NAME));
	f->vmcoreinfo_at = f->notes_bytes;
	f->vmcoreinfo_bytes = n->bytes;
	return st == OK ? notes_append(f, n->data, n->bytes) : st;
}

static void set_uts(struct core_facts *f, const struct reader_map *m)
{
	const struct reader_note *n = reader_map_note(m, DL_NOTE_UTSNAME, 0);
	const struct dl_header *h = &m->dump->h;

	if (n && n->bytes >= sizeof(f->uts)) {
		memcpy(f->uts, n->data, sizeof(f->uts));
	} else {
		memcpy(f->uts[UTS_SYSNAME], "Linux", sizeof("Linux"));
		memcpy(f->uts[UTS_NODENAME], h->nodename, sizeof(h->nodename));
		memcpy(f->uts[UTS_RELEASE], h->release, sizeof(h->release));
		memcpy(f->uts[UTS_MACHINE], h->machine, sizeof(h->machine));
	}
	for (u32 i = 0; i < UTS_FIELDS; i++)
		f->uts[i][UTS_FIELD - 1] = '\0';
	/* Readers choose the architecture by this word; there is only one. */
	memcpy(f->uts[UTS_MACHINE], "x86_64", sizeof("x86_64"));
}

static void set_addresses(struct core_facts *f, const struct reader_map *m)
{
	const struct reader_note *n = reader_map_note(m, DL_NOTE_KERNEL, 0);
	struct dl_kernel k;

	if (n && n->bytes >= sizeof(k)) {
		memcpy(&k, n->data, sizeof(k));
		f->phys_base = (s64)k.phys_base;
		f->page_offset = k.page_offset;
	} else if (!f->vi || !vmcoreinfo_number(f->vi, "NUMBER(phys_base)", &f->phys_base)) {
		f->phys_base = 0;
	}
}

enum status facts_load(struct core_facts *f, const struct reader_map *m)
{
	const struct reader_note *n = reader_map_note(m, DL_NOTE_VMCOREINFO, 0);
	enum status st;

	memset(f, 0, sizeof(*f));
	st = add_cpus(f, m);
	if (st == OK && n && n->bytes > 0 && n->bytes <= VMCOREINFO_MAX)
		st = add_vmcoreinfo(f, n);
	if (st != OK) {
		facts_free(f);
		return st;
	}
	set_uts(f, m);
	set_addresses(f, m);
	return OK;
}

void facts_free(struct core_facts *f)
{
	free(f->notes);
	free(f->vi);
	f->notes = NULL;
	f->vi = NULL;
}
