/*
 * Physical memory out of a dump, page by page through a cache, and the old kernel's facts
 * out of the dump's notes. Does not search memory for a kernel: the image did.
 */
#include <stdlib.h>
#include <string.h>
#include "oldmem.h"
#include "str.h"

#define CACHE_PAGES 256u

/* Page tables are read again for every address: chunks alone would be unpacked too often. */
struct oldmem_cached {
	u64 pfn;
	bool used;
	u8 data[PAGE_BYTES];
};

static enum status cached_page(struct oldmem *m, u64 pfn, const u8 **page)
{
	struct oldmem_cached *c = &m->cache[pfn % CACHE_PAGES];
	enum status st;

	*page = c->data;
	if (c->used && c->pfn == pfn)
		return OK;
	c->used = false;
	st = reader_pages_get(&m->pages, pfn, c->data);
	if (st != OK)
		return st;
	c->pfn = pfn;
	c->used = true;
	return OK;
}

static enum status oldmem_read(void *ctx, u64 pa, void *buf, u64 len)
{
	struct oldmem *m = ctx;
	u8 *to = buf;

	if (len > UINT64_MAX - pa)
		return E_NOT_RAM;
	while (len > 0) {
		u64 offset = pa & (PAGE_BYTES - 1);
		u64 n = min_u64(len, PAGE_BYTES - offset);
		const u8 *page;
		enum status st = cached_page(m, pa >> PAGE_SHIFT, &page);

		if (st != OK)
			return st;
		memcpy(to, page + offset, n);
		to += n;
		pa += n;
		len -= n;
	}
	return OK;
}

static enum status load_vmcoreinfo(struct vmcoreinfo *vi, const struct reader_map *map)
{
	const struct reader_note *n = reader_map_note(map, DL_NOTE_VMCOREINFO, 0);

	if (!n)
		return E_NO_KERNEL;
	if (n->bytes == 0 || n->bytes > VMCOREINFO_MAX)
		return E_VMCOREINFO;
	memcpy(vi->text, n->data, n->bytes);
	vi->text[n->bytes] = '\0';
	vi->bytes = n->bytes;
	return OK;
}

/* Without levels the image found no tables. What did not verify may serve all the same. */
static enum status load_addresses(struct oldkernel *k, const struct reader_map *map)
{
	const struct reader_note *n = reader_map_note(map, DL_NOTE_KERNEL, 0);
	struct dl_kernel facts;
	s64 sme_mask;

	if (!n)
		return E_NO_KERNEL;
	if (n->bytes < sizeof(facts))
		return E_VMCOREINFO;
	memcpy(&facts, n->data, sizeof(facts));
	if (facts.levels != 4 && facts.levels != 5)
		return E_VMCOREINFO;
	if (!vmcoreinfo_number(&k->vi, "NUMBER(sme_mask)", &sme_mask))
		sme_mask = 0;
	k->pt = (struct pagetable) {facts.root_pa, facts.levels, (u64)sme_mask};
	k->phys_base = (s64)facts.phys_base;
	k->page_offset = facts.page_offset;
	k->vmcoreinfo_pa = facts.vmcoreinfo_pa;
	k->candidates = facts.candidates;
	k->verified_count = facts.verified;
	k->verified = facts.verified > 0;
	return OK;
}

static void load_uts(struct oldkernel *k, const struct reader_map *map)
{
	const struct reader_note *n = reader_map_note(map, DL_NOTE_UTSNAME, 0);

	for (u32 i = 0; n && n->bytes >= sizeof(k->uts) && i < UTS_FIELDS; i++) {
		str_copy(k->uts[i], UTS_FIELD, (const char *)n->data + i * UTS_FIELD, UTS_FIELD);
		str_sanitize(k->uts[i], UTS_FIELD);
	}
}

enum status oldmem_open(struct oldmem *m, const struct reader_map *map)
{
	enum status st;

	memset(m, 0, sizeof(*m));
	st = load_vmcoreinfo(&m->kernel.vi, map);
	if (st == OK)
		st = load_addresses(&m->kernel, map);
	if (st == OK)
		st = reader_pages_open(&m->pages, map);
	if (st != OK)
		return st;
	load_uts(&m->kernel, map);
	m->cache = calloc(CACHE_PAGES, sizeof(*m->cache));
	if (!m->cache) {
		reader_pages_close(&m->pages);
		return E_NO_MEMORY;
	}
	physmem_init_reader(&m->pm, oldmem_read, m);
	return OK;
}

void oldmem_close(struct oldmem *m)
{
	reader_pages_close(&m->pages);
	free(m->cache);
	m->cache = NULL;
}
