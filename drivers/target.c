/*
 * Finding the dump partition: NVMe controllers, their namespaces, the dump-type
 * partitions on them, the superblocks in those. Reads only; what it leaves behind is
 * one running controller and a gate that is open for one partition.
 *
 * What is wanted is taken as soon as it is met. Then the other controllers are looked at
 * too, but only to tell the operator of other dump disks: not for long, and no more once one
 * of them fails. If nothing was wanted but the disk that was booted, and that has no dump
 * partition, a second search goes to the controller of the first one that was seen.
 */
#include <string.h>
#include "drivers/nvme/nvmevar.h"
#include "gpt.h"
#include "ports.h"
#include "str.h"
#include "target.h"

#define TARGET_BUF_BYTES      8192u /* two blocks, as gpt_find wants */
#define TARGET_MAX_PARTITIONS 16    /* per namespace */
#define TARGET_MAX_SEEN	      4
#define ANY_BDF		      UINT32_MAX

static const u8 any_uuid[16];

/* A dump disk that is not the target, or not yet. */
struct seen {
	char name[NVME_NAME_BYTES];
	u8 uuid[16];
	u32 bdf;
};

struct search {
	const u8 *uuid;	     /* any_uuid: see boot_part */
	const u8 *boot_part; /* any_uuid: any disk will do */
	struct arena *arena;
	struct target *out;
	u32 only_bdf;	 /* or ANY_BDF */
	bool taken;	 /* @out is the target */
	u64 taken_us;	 /* since then */
	bool failed;	 /* a controller did, after that */
	struct blk *blk; /* being looked at */
	u32 bdf;
	u8 *buf;
	u64 buf_pa;
	struct dl_super super; /* of the partition being looked at */
	bool super_damaged;
	enum status best; /* most telling failure so far */
	u32 seen_count;
	struct seen seen[TARGET_MAX_SEEN];
};

static bool is_any(const u8 uuid[16])
{
	return memcmp(uuid, any_uuid, sizeof(any_uuid)) == 0;
}

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
static enum status supers_read(struct search *s, const struct extent *part)
{
	struct dl_super back;
	enum status front_st = super_read(s, part, 0, &s->super);
	enum status back_st = super_read(s, part, part->blocks - 1, &back);

	s->super_damaged =
		front_st != OK || back_st != OK || memcmp(&s->super, &back, sizeof(back)) != 0;
	if (front_st == OK)
		return OK;
	if (back_st == OK) {
		s->super = back;
		return OK;
	}
	return telling(back_st) > telling(front_st) ? back_st : front_st;
}

/* Is it the disk that firmware booted from? */
static bool disk_was_booted(struct search *s)
{
	struct gpt_partition part;
	enum status st;

	if (is_any(s->boot_part))
		return false;
	st = gpt_find_uuid(
		read_blocks, s, s->blk->blocks, s->blk->block_bytes, s->boot_part, s->buf, &part);
	return st == OK || st == E_GEOMETRY;
}

static bool is_wanted(const struct search *s, bool booted)
{
	if (s->taken)
		return false;
	if (!is_any(s->uuid))
		return memcmp(s->uuid, s->super.disk_uuid, sizeof(s->super.disk_uuid)) == 0;
	return booted || is_any(s->boot_part) || s->only_bdf != ANY_BDF;
}

static void remember_disk(struct search *s)
{
	struct seen *seen = &s->seen[s->seen_count];

	if (s->seen_count == TARGET_MAX_SEEN || s->only_bdf != ANY_BDF)
		return;
	str_copy(seen->name, sizeof(seen->name), s->blk->name, sizeof(seen->name));
	memcpy(seen->uuid, s->super.disk_uuid, sizeof(seen->uuid));
	seen->bdf = s->bdf;
	s->seen_count++;
}

static enum status partition_take(struct search *s, const struct extent *part, bool booted)
{
	struct target *t = s->out;
	enum status st = gate_open(&t->gate, s->blk, part, 1);

	if (st == OK)
		st = gate_allow_writes(&t->gate, s->buf, s->buf_pa);
	if (st != OK)
		return st;
	t->blk = s->blk;
	t->bdf = s->bdf;
	t->super = s->super;
	t->super_damaged = s->super_damaged;
	t->how = TARGET_EXACT;
	if (is_any(s->uuid))
		t->how = booted ? TARGET_BOOTED : TARGET_ANY;
	t->elsewhere = !booted && !is_any(s->boot_part);
	s->taken = true;
	s->taken_us = clock_us();
	return OK;
}

static enum status partition_try(struct search *s, const struct extent *part)
{
	enum status st = supers_read(s, part);
	bool booted;

	if (st != OK)
		return st;
	booted = !s->taken && disk_was_booted(s);
	if (is_wanted(s, booted))
		return partition_take(s, part, booted);
	remember_disk(s);
	return E_NO_PARTITION;
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

	s->bdf = dev->bdf;
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
		s->arena->used = mark_open; /* every read is complete */
		return OK;
	}
	stopped = n->blk.ops->stop(&n->blk);
	if (stopped == OK)
		s->arena->used = mark;
	return stopped == OK ? st : stopped;
}

static bool is_done(const struct search *s)
{
	return s->taken && (s->failed || clock_us() - s->taken_us > TARGET_LOOK_ON_US);
}

static void controllers_try(struct search *s)
{
	struct pci_dev dev;
	u32 cursor = 0;

	while (!is_done(s) && pci_next(&cursor, &dev)) {
		char name[NVME_NAME_BYTES];
		enum status st;

		if (dev.class != PCI_CLASS_NVME)
			continue;
		if (s->only_bdf != ANY_BDF && dev.bdf != s->only_bdf)
			continue;
		st = controller_try(s, &dev);
		if (st == OK)
			continue;
		nvme_name(&dev, 0, name, sizeof(name));
		remember(s, name, st);
		s->failed = s->taken && telling(st) > telling(E_GPT);
	}
}

static bool is_target(const struct target *t, const struct seen *seen)
{
	return memcmp(seen->name, t->blk->name, str_len(seen->name, NVME_NAME_BYTES - 1) + 1) == 0;
}

static void say_others(const struct search *s)
{
	const struct target *t = s->out;

	if (s->taken && t->elsewhere)
		con_printf("afterimage: the dump disk is not the disk that was booted\n");
	for (u32 i = 0; i < s->seen_count; i++) {
		const struct seen *seen = &s->seen[i];
		bool twin = memcmp(seen->uuid, t->super.disk_uuid, sizeof(seen->uuid)) == 0;

		if (s->taken && is_target(t, seen))
			continue;
		con_printf("afterimage: another dump disk%s, %s, is present and not used\n",
			twin ? " with the same UUID" : "", seen->name);
	}
}

enum status target_find(
	const u8 uuid[16], const u8 boot_part[16], struct arena *arena, struct target *out)
{
	struct search s = {.uuid = uuid, .boot_part = boot_part, .arena = arena, .out = out};

	s.best = E_NO_DISK;
	s.only_bdf = ANY_BDF;
	memset(out, 0, sizeof(*out));
	controllers_try(&s);
	if (!s.taken && is_any(uuid) && s.seen_count > 0) {
		s.only_bdf = s.seen[0].bdf;
		controllers_try(&s);
	}
	say_others(&s);
	if (s.taken)
		return OK;
	memset(out, 0, sizeof(*out));
	return s.best;
}
