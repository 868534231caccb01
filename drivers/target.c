/*
 * Finding the dump partition: NVMe controllers, their namespaces, the dump-type
 * partitions on them, the superblocks in those. Reads only; what it leaves behind is
 * one running controller and a gate that is open for one partition.
 */
#include <string.h>
#include "drivers/nvme/nvmevar.h"
#include "gpt.h"
#include "str.h"
#include "target.h"

#define TARGET_BUF_BYTES      8192u /* two blocks, as gpt_find wants */
#define TARGET_MAX_PARTITIONS 16    /* per namespace */

static const u8 any_uuid[16];

struct search {
	const u8 *uuid;
	struct arena *arena;
	struct target *out;
	struct blk *blk; /* being looked at */
	u8 *buf;
	u64 buf_pa;
	enum status best; /* most telling failure so far */
};

/* How much a failure tells; the higher one is reported. */
static u32 telling(enum status st)
{
	switch (st) {
	case OK:
	case E_NO_DISK:
		return 0;
	case E_NO_PARTITION:
		return 1;
	case E_GEOMETRY:
		return 2;
	case E_VERSION:
		return 3;
	case E_SUPERBLOCK:
		return 4;
	case E_GPT:
		return 5;
	default:
		return 6;
	}
}

/* Keeps the most telling failure; a device's own is also printed, as the search goes on. */
static void remember(struct search *s, const char *name, enum status st)
{
	if (telling(st) > telling(s->best))
		s->best = st;
	if (telling(st) > telling(E_GPT))
		con_printf("afterimage: %s: E%u %s\n", name, (u32)st, status_text(st));
}

static enum status read_blocks(void *ctx, u64 lba, u32 blocks, void *buf)
{
	struct search *s = ctx;
	u64 offset = (u64)((u8 *)buf - s->buf);

	if (!range_fits(offset, (u64)blocks * s->blk->block_bytes, TARGET_BUF_BYTES))
		return E_INVAL;
	return blk_read(s->blk, lba, blocks, s->buf_pa + offset);
}

/* One superblock copy of the partition, also checked against the partition's size. */
static enum status super_read(
	struct search *s, const struct extent *part, u64 block, struct dl_super *super)
{
	enum status st = read_blocks(s, part->lba + block, 1, s->buf);

	if (st != OK)
		return st;
	memcpy(super, s->buf, sizeof(*super));
	st = dl_super_check(super);
	if (st != OK)
		return st;
	if (super->blocks != part->blocks || super->block_bytes != s->blk->block_bytes)
		return E_GEOMETRY;
	return OK;
}

/* The first copy that is good, else the more telling failure of the two. */
static enum status supers_read(struct search *s, const struct extent *part, struct target *t)
{
	struct dl_super back;
	enum status front_st = super_read(s, part, 0, &t->super);
	enum status back_st = super_read(s, part, part->blocks - 1, &back);

	t->super_damaged =
		front_st != OK || back_st != OK || memcmp(&t->super, &back, sizeof(back)) != 0;
	if (front_st == OK)
		return OK;
	if (back_st == OK) {
		t->super = back;
		return OK;
	}
	return telling(back_st) > telling(front_st) ? back_st : front_st;
}

static bool uuid_matches(const struct search *s, const struct dl_super *super)
{
	if (memcmp(s->uuid, any_uuid, sizeof(any_uuid)) == 0)
		return true;
	return memcmp(s->uuid, super->disk_uuid, sizeof(super->disk_uuid)) == 0;
}

static enum status partition_try(struct search *s, const struct extent *part)
{
	struct target *t = s->out;
	enum status st = supers_read(s, part, t);

	if (st != OK)
		return st;
	if (!uuid_matches(s, &t->super))
		return E_NO_PARTITION;
	st = gate_open(&t->gate, s->blk, part, 1);
	if (st == OK)
		st = gate_allow_writes(&t->gate, s->buf, s->buf_pa);
	if (st != OK)
		return st;
	t->blk = s->blk;
	t->how = TARGET_EXACT;
	if (memcmp(s->uuid, any_uuid, sizeof(any_uuid)) == 0)
		t->how = TARGET_ANY;
	return OK;
}

/* A disk that is not under a protective MBR holds no partitions, whatever else is on it. */
static enum status disk_is_gpt(struct search *s)
{
	enum status st = read_blocks(s, 0, 1, s->buf);

	if (st != OK)
		return st;
	return gpt_protected(s->buf) ? OK : E_NO_PARTITION;
}

static enum status namespace_try(struct search *s)
{
	enum status st = disk_is_gpt(s);

	if (st != OK)
		return st;
	for (u32 i = 0; i < TARGET_MAX_PARTITIONS; i++) {
		struct gpt_partition part;
		struct extent extent;

		st = gpt_find(read_blocks, s, s->blk->blocks, s->blk->block_bytes, gpt_dump_type, i,
			s->buf, &part);
		if (st == OK) {
			extent.lba = part.first_lba;
			extent.blocks = part.last_lba - part.first_lba + 1;
			st = partition_try(s, &extent);
		} else if (st != E_GEOMETRY) {
			return st; /* no more of them */
		}
		if (st == OK || s->blk->dead != OK)
			return st;
		remember(s, s->blk->name, st);
	}
	return E_NO_PARTITION;
}

/* All namespaces of a controller that is up; OK if one of them holds the target. */
static enum status namespaces_try(struct search *s, struct nvme *n)
{
	s->blk = &n->blk;
	for (u32 i = 0; i < n->nsid_count; i++) {
		enum status st = nvme_select(n, n->nsids[i]);

		if (st == OK)
			st = namespace_try(s);
		if (st == OK || n->blk.dead != OK)
			return st;
		remember(s, n->blk.name, st);
	}
	return E_NO_PARTITION;
}

/* Looks through one controller; stops it again unless it is the one. */
static enum status controller_try(struct search *s, const struct pci_dev *dev)
{
	u64 mark = s->arena->used;
	u64 mark_open;
	struct nvme *n;
	enum status st, stopped;

	st = nvme_open(dev, s->arena, &n);
	if (st != OK)
		return st;
	mark_open = s->arena->used;
	s->buf = arena_alloc(s->arena, TARGET_BUF_BYTES, PAGE_BYTES);
	st = E_NO_MEMORY;
	if (s->buf) {
		s->buf_pa = arena_pa(s->arena, s->buf);
		st = namespaces_try(s, n);
	}
	if (st == OK) {
		s->out->bdf = dev->bdf;
		s->arena->used = mark_open; /* every read is complete */
		return OK;
	}
	stopped = n->blk.ops->stop(&n->blk);
	if (stopped == OK)
		s->arena->used = mark;
	return stopped == OK ? st : stopped;
}

enum status target_find(const u8 uuid[16], struct arena *arena, struct target *out)
{
	struct search s = {.uuid = uuid, .arena = arena, .out = out, .best = E_NO_DISK};
	struct pci_dev dev;
	u32 cursor = 0;

	memset(out, 0, sizeof(*out));
	while (pci_next(&cursor, &dev)) {
		char name[NVME_NAME_BYTES];
		enum status st;

		if (dev.class != PCI_CLASS_NVME)
			continue;
		st = controller_try(&s, &dev);
		if (st == OK)
			return OK;
		nvme_name(&dev, 0, name, sizeof(name));
		remember(&s, name, st);
	}
	memset(out, 0, sizeof(*out));
	return s.best;
}
