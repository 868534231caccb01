/*
 * Verifying one candidate: the description must lead, through the page tables it names,
 * to a kernel that has the release it names. Nothing here is searched for in memory,
 * except phys_base where the kernel is too old to say it.
 */
#include <string.h>
#include "str.h"
#include "verify.h"

#define UTS_BYTES	(UTS_FIELDS * UTS_FIELD)
#define UTS_OFFSET_MAX	4096
#define PHYS_BASE_ALIGN ((u64)2 * MIB)
#define PHYS_END	(1ull << 52)

bool vmcoreinfo_is_note(const struct note_head *head)
{
	return head->name_bytes == NOTE_NAME_BYTES && head->type == 0 &&
	       head->text_bytes <= VMCOREINFO_MAX &&
	       memcmp(head->name, "VMCOREINFO\0", sizeof(head->name)) == 0;
}

/* The plain page may be followed by something that is not RAM: reads what there is. */
static u32 read_text(struct physmem *pm, u64 pa, char *text, u32 bytes)
{
	u32 to_page_end = PAGE_BYTES - (u32)(pa & (PAGE_BYTES - 1));

	if (physmem_read(pm, pa, text, bytes) == OK)
		return bytes;
	if (bytes > to_page_end && physmem_read(pm, pa, text, to_page_end) == OK)
		return to_page_end;
	return 0;
}

bool vmcoreinfo_load(struct physmem *pm, u64 pa, struct vmcoreinfo *vi)
{
	static const char first_key[] = "OSRELEASE=";
	u32 bytes = VMCOREINFO_MAX;
	struct note_head head;

	vi->bytes = 0;
	if (pa >= PHYS_END || physmem_read(pm, pa, &head, sizeof(head)) != OK)
		return false;
	if (vmcoreinfo_is_note(&head)) {
		pa += NOTE_TEXT;
		bytes = head.text_bytes;
	} else if (memcmp(&head, first_key, sizeof(first_key) - 1) != 0) {
		return false;
	}
	vi->text[read_text(pm, pa, vi->text, bytes)] = '\0';
	vi->bytes = str_len(vi->text, VMCOREINFO_MAX);
	return true;
}

/* Kernel text and data only. */
static u64 kernel_pa(const struct oldkernel *k, u64 va)
{
	return va - KERNEL_MAP_VA + (u64)k->phys_base;
}

static bool root_va(const struct vmcoreinfo *vi, u64 *va)
{
	return vmcoreinfo_hex(vi, "SYMBOL(init_top_pgt)", va) ||
	       vmcoreinfo_hex(vi, "SYMBOL(init_level4_pgt)", va) ||
	       vmcoreinfo_hex(vi, "SYMBOL(swapper_pg_dir)", va);
}

static enum status set_pagetable(struct oldkernel *k)
{
	s64 five_levels = 0;
	s64 sme_mask = 0;
	u64 va;

	if (!root_va(&k->vi, &va) || va < KERNEL_MAP_VA)
		return E_VMCOREINFO;
	k->pt.root_pa = kernel_pa(k, va);
	if (k->pt.root_pa & (PAGE_BYTES - 1))
		return E_VMCOREINFO;
	if (vmcoreinfo_number(&k->vi, "NUMBER(pgtable_l5_enabled)", &five_levels) && five_levels)
		k->pt.levels = 5;
	else
		k->pt.levels = 4;
	if (!vmcoreinfo_number(&k->vi, "NUMBER(sme_mask)", &sme_mask))
		sme_mask = 0;
	k->pt.sme_mask = (u64)sme_mask;
	return OK;
}

/* @release is a field of old memory: a NUL may be missing. */
static bool same_release(const struct vmcoreinfo *vi, const char *release)
{
	u32 bytes;
	const char *want = vmcoreinfo_text(vi, "OSRELEASE", &bytes);

	return want && bytes > 0 && bytes < UTS_FIELD && str_len(release, UTS_FIELD) == bytes &&
	       memcmp(want, release, bytes) == 0;
}

static enum status read_uts(struct physmem *pm, struct oldkernel *k, u64 va)
{
	char raw[UTS_BYTES];
	enum status st = pagetable_read(pm, &k->pt, va, raw, sizeof(raw));

	if (st != OK)
		return st;
	if (!same_release(&k->vi, raw + UTS_RELEASE * UTS_FIELD))
		return E_VMCOREINFO;
	for (u32 i = 0; i < UTS_FIELDS; i++) {
		str_copy(k->uts[i], UTS_FIELD, raw + i * UTS_FIELD, UTS_FIELD);
		str_sanitize(k->uts[i], UTS_FIELD);
	}
	return OK;
}

/* Kernels that do not say where the names are have them first or after a reference count. */
static enum status find_uts(struct physmem *pm, struct oldkernel *k)
{
	enum status st;
	s64 offset;
	u64 va;

	if (!vmcoreinfo_hex(&k->vi, "SYMBOL(init_uts_ns)", &va))
		return E_VMCOREINFO;
	if (vmcoreinfo_number(&k->vi, "OFFSET(uts_namespace.name)", &offset)) {
		if (offset < 0 || offset > UTS_OFFSET_MAX)
			return E_VMCOREINFO;
		return read_uts(pm, k, va + (u64)offset);
	}
	st = read_uts(pm, k, va);
	if (st == E_VMCOREINFO)
		st = read_uts(pm, k, va + sizeof(u32));
	return st;
}

static enum status verify_at(struct physmem *pm, struct oldkernel *k, s64 phys_base)
{
	enum status st;

	k->phys_base = phys_base;
	st = set_pagetable(k);
	if (st == OK)
		st = find_uts(pm, k);
	if (st != OK)
		return st;
	k->page_offset = oldkernel_page_offset(pm, k);
	return OK;
}

/*
 * Before 4.10 only the variable's address was exported. It holds the distance from which
 * it is found, a multiple of 2 MiB.
 */
static enum status verify_guessing(struct physmem *pm, struct oldkernel *k, u32 *guesses)
{
	u64 end_pa = memmap_end_pfn(pm->map) << PAGE_SHIFT;
	enum status st = E_VMCOREINFO;
	u64 guess;
	u64 va;

	if (!vmcoreinfo_hex(&k->vi, "SYMBOL(phys_base)", &va) || va < KERNEL_MAP_VA)
		return E_VMCOREINFO;
	va -= KERNEL_MAP_VA;
	guess = 0 - (va & ~(PHYS_BASE_ALIGN - 1));
	for (; *guesses > 0 && st != OK && va + guess < end_pa; guess += PHYS_BASE_ALIGN) {
		u64 value;

		--*guesses;
		if (physmem_read(pm, va + guess, &value, sizeof(value)) == OK && value == guess)
			st = verify_at(pm, k, (s64)guess);
	}
	return st;
}

enum status oldkernel_verify(struct physmem *pm, struct oldkernel *k, u32 *guesses)
{
	s64 number;
	u32 bytes;

	if (!vmcoreinfo_number(&k->vi, "PAGESIZE", &number) || number != PAGE_BYTES ||
		!vmcoreinfo_text(&k->vi, "OSRELEASE", &bytes))
		return E_VMCOREINFO;
	if (vmcoreinfo_number(&k->vi, "NUMBER(phys_base)", &number))
		return verify_at(pm, k, number);
	return verify_guessing(pm, k, guesses);
}
