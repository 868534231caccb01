/*
 * Builds a made-up crashed kernel. The kernel map has one 2 MiB page; the direct map
 * covers 64 GiB: the first GiB in 2 MiB pages, its first 2 MiB in 4 KiB pages, the rest
 * in 1 GiB pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_kernel.h"
#include "ports_mem.h"

#define ENTRY_TABLE  0x63ull
#define ENTRY_PAGE   0x163ull
#define ENTRY_LARGE  0x1e3ull
#define ADDRESS	     0x000ffffffffff000ull
#define KERNEL_MAP   0xffffffff80000000ull
#define TABLES_FIRST 0x1000u
#define NOTE_TEXT    24
#define TEXT_BYTES   4096
#define DIRECT_END   (64 * GIB)
#define NEXT_TABLE   0x12000u /* from image_pa: where the next table of fake_kernel_map goes */

struct builder {
	const struct fake_kernel *fk;
	u64 next_table_pa;
};

static u8 *ram(u64 pa, u64 bytes)
{
	u8 *p = host_ram_at(pa, bytes);

	if (!p) {
		fprintf(stderr, "fake kernel outside RAM: 0x%llx\n", (unsigned long long)pa);
		abort();
	}
	return p;
}

struct fake_kernel fake_kernel_default(void)
{
	return (struct fake_kernel) {
		.image_pa = 4 * MIB,
		.image_va = 0xffffffff9a200000ull,
		.page_offset = 0xffff8a0100000000ull,
		.mem_section_pa = 0xa00040,
		.levels = 4,
		.note_pa = 8 * MIB,
		.text_pa = 9 * MIB,
	};
}

static u32 shift_of(u32 level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static u64 *entry_in(u64 table_pa, u64 va, u32 level)
{
	return (u64 *)(void *)ram(table_pa + (va >> shift_of(level) & 511) * 8, 8);
}

/* Walks down to @level, making tables on the way. */
static u64 *make_entry(struct builder *b, u64 va, u32 level)
{
	u64 table = b->fk->image_pa + FAKE_ROOT;

	for (u32 at = b->fk->levels; at > level; at--) {
		u64 *e = entry_in(table, va, at);

		if (!*e) {
			*e = b->next_table_pa | ENTRY_TABLE | b->fk->sme_mask;
			b->next_table_pa += PAGE_BYTES;
		}
		table = *e & ADDRESS & ~b->fk->sme_mask;
	}
	return entry_in(table, va, level);
}

u64 *fake_kernel_entry(const struct fake_kernel *fk, u64 va, u32 level)
{
	struct builder b = {fk, 0};

	return make_entry(&b, va, level);
}

void fake_kernel_map(const struct fake_kernel *fk, u64 va, u64 pa, u32 level)
{
	u64 *next = (u64 *)(void *)ram(fk->image_pa + NEXT_TABLE, 8);
	struct builder b = {fk, *next ? *next : fk->image_pa + FAKE_TABLES};
	u64 *e = make_entry(&b, va, level);

	if (*e || b.next_table_pa > fk->image_pa + FAKE_IMAGE_BYTES) {
		fprintf(stderr, "fake kernel: cannot map 0x%llx\n", (unsigned long long)va);
		abort();
	}
	*e = pa | (level > 1 ? ENTRY_LARGE : ENTRY_PAGE) | fk->sme_mask;
	*next = b.next_table_pa;
}

static void map_all(const struct fake_kernel *fk)
{
	struct builder b = {fk, fk->image_pa + TABLES_FIRST};
	u64 off = fk->page_offset;

	*make_entry(&b, fk->image_va, 2) = fk->image_pa | ENTRY_LARGE | fk->sme_mask;
	for (u64 pa = 0; pa < 2 * MIB; pa += PAGE_BYTES)
		*make_entry(&b, off + pa, 1) = pa | ENTRY_PAGE | fk->sme_mask;
	for (u64 pa = 2 * MIB; pa < GIB; pa += 2 * MIB)
		*make_entry(&b, off + pa, 2) = pa | ENTRY_LARGE | fk->sme_mask;
	for (u64 pa = GIB; pa < DIRECT_END; pa += GIB)
		*make_entry(&b, off + pa, 3) = pa | ENTRY_LARGE | fk->sme_mask;
}

static void write_uts(const struct fake_kernel *fk)
{
	char *uts = (char *)ram(fk->image_pa + FAKE_UTS, 6 * 65);
	static const char *const name[] = {
		"Linux", "host", FAKE_RELEASE, "#1 SMP Debian", "x86_64", "(none)"};

	for (u32 i = 0; i < 6; i++)
		strcpy(uts + 65 * i, name[i]);
}

static int write_text(const struct fake_kernel *fk, char *text)
{
	return snprintf(text, TEXT_BYTES,
		"OSRELEASE=%s\nBUILD-ID=bb603a9147d3efe4744bf83c83eee397c591cc20\nPAGESIZE=4096\n"
		"SYMBOL(init_uts_ns)=%llx\nOFFSET(uts_namespace.name)=0\n"
		"SYMBOL(swapper_pg_dir)=%llx\nSYMBOL(mem_%s)=%llx\nSIZE(page)=%u\n"
		"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\nSYMBOL(phys_base)=%llx\n"
		"NUMBER(phys_base)=%lld\nSYMBOL(init_top_pgt)=%llx\n"
		"NUMBER(pgtable_l5_enabled)=%d\nKERNELOFFSET=%llx\nNUMBER(sme_mask)=%lld\n%s",
		FAKE_RELEASE, (unsigned long long)fk->image_va + FAKE_UTS,
		(unsigned long long)fk->image_va + FAKE_ROOT,
		fk->no_sections ? "unknown" : "section",
		(unsigned long long)(fk->page_offset + fk->mem_section_pa),
		fk->page_bytes ? fk->page_bytes : 64,
		(unsigned long long)fk->image_va + FAKE_PHYS_BASE,
		(long long)(fk->image_pa - (fk->image_va - KERNEL_MAP)),
		(unsigned long long)fk->image_va + FAKE_ROOT, fk->levels == 5,
		(unsigned long long)(fk->image_va - KERNEL_MAP - 0x1000000),
		(long long)fk->sme_mask, fk->extra ? fk->extra : "");
}

/* What vmcoreinfo says of the log goes behind the @bytes of @text. */
static int write_log(const struct fake_kernel *fk, char *text, int bytes)
{
	u64 va = fk->image_va + FAKE_LOG;
	u64 log_va = va + 16;
	u32 length[2] = {4096, (u32)strlen(fk->log)};

	memcpy(ram(fk->image_pa + FAKE_LOG, 8), &log_va, 8);
	memcpy(ram(fk->image_pa + FAKE_LOG + 8, 8), length, 8);
	memcpy(ram(fk->image_pa + FAKE_LOG + 16, length[0]), fk->log, length[1]);
	return bytes + snprintf(text + bytes, (size_t)(TEXT_BYTES - bytes),
			       "SYMBOL(log_buf)=%llx\nSYMBOL(log_buf_len)=%llx\n"
			       "SYMBOL(log_end)=%llx\n",
			       (unsigned long long)va, (unsigned long long)va + 8,
			       (unsigned long long)va + 12);
}

void fake_kernel_build(const struct fake_kernel *fk)
{
	u64 phys_base = fk->image_pa - (fk->image_va - KERNEL_MAP);
	char text[TEXT_BYTES] = "";
	u32 head[3] = {11, 0, 0};
	int text_bytes;

	memset(ram(fk->image_pa, FAKE_IMAGE_BYTES), 0, FAKE_IMAGE_BYTES);
	map_all(fk);
	write_uts(fk);
	memcpy(ram(fk->image_pa + FAKE_PHYS_BASE, 8), &phys_base, 8);
	text_bytes = write_text(fk, text);
	if (fk->log)
		text_bytes = write_log(fk, text, text_bytes);
	head[1] = (u32)text_bytes;
	if (fk->note_pa) {
		u8 *note = ram(fk->note_pa, NOTE_TEXT + TEXT_BYTES);

		memcpy(note, head, sizeof(head));
		memcpy(note + sizeof(head), "VMCOREINFO\0", 12);
		memcpy(note + NOTE_TEXT, text, TEXT_BYTES);
	}
	if (fk->text_pa)
		memcpy(ram(fk->text_pa, TEXT_BYTES), text, TEXT_BYTES);
}

void fake_kernel_edit(u64 pa, const char *old, const char *new)
{
	u8 *page = ram(pa, 2 * PAGE_BYTES);
	u8 *at = memmem(page, 2 * PAGE_BYTES, old, strlen(old));

	if (!at || strlen(old) != strlen(new)) {
		fprintf(stderr, "fake kernel: cannot edit %s\n", old);
		abort();
	}
	memcpy(at, new, strlen(new));
}
