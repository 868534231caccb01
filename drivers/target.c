/*
 * Finding the dump partition: controllers, their disks, the dump-type partitions on
 * them, the superblocks in those. Reads only; what it leaves behind is one running
 * controller and a gate that is open for one partition.
 *
 * What is wanted is taken as soon as it is met. Then the other controllers are looked at
 * too, but only to tell the operator of other dump disks: not for long, and no more once one
 * of them fails. If what was wanted is not there but another disk will do - the disk that was
 * booted has no dump partition, the one asked for may be behind a controller that failed, or there
 * is only one more path to a disk that failed - a second search goes to the controller of the first
 * one that was seen.
 */
#include <string.h>
#include "gpt.h"
#include "ports.h"
#include "probe.h"
#include "str.h"
#include "target.h"

#define TARGET_BUF_BYTES      8192u /* two blocks, as gpt_find wants */
#define TARGET_MAX_PARTITIONS 16    /* per disk */
#define TARGET_MAX_SEEN	      4
#define ANY_BDF		      UINT32_MAX

static const u8 any_uuid[16];

/* A dump disk that is not the target, or not yet. */
struct seen {
	char name[BLK_NAME_BYTES];
	char id[BLK_ID_BYTES];
	u8 uuid[16];
	u32 bdf;
};

struct search {
	const struct target_ask *ask;
	struct arena *arena;
	struct target *out;
	u32 only_bdf;	 /* or ANY_BDF */
	bool taken;	 /* @out is the target */
	u64 taken_us;	 /* since then */
	bool failed;	 /* a controller did, after that */
	struct blk *blk; /* being looked at */
	u32 bdf, disk;	 /* where it is */
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
	case E_HIDDEN:
		return 1;
	case E_NO_PARTITION:
		return 2;
	case E_GEOMETRY:
		return 3;
	case E_VERSION:
		return 4;
	case E_SUPERBLOCK:
		return 5;
	case E_GPT:
		return 6;
	default:
		return 7;
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

	if (is_any(s->ask->boot_part))
		return false;
	st = gpt_find_uuid(read_blocks, s, s->blk->blocks, s->blk->block_bytes, s->ask->boot_part,
		s->buf, &part);
	return st == OK || st == E_GEOMETRY;
}

static bool same_id(const char *a, const char *b)
{
	return a[0] && memcmp(a, b, str_len(a, BLK_ID_BYTES - 1) + 1) == 0;
}

/* Another path to a disk that failed? */
static bool id_failed(const struct search *s)
{
	for (u32 i = 0; i < s->ask->failed; i++) {
		if (same_id(s->blk->id, s->ask->place[i].id))
			return true;
	}
	return false;
}

static bool is_wanted(const struct search *s, bool booted)
{
	const struct target_ask *ask = s->ask;

	if (s->taken)
		return false;
	if (s->only_bdf != ANY_BDF)
		return true;
	if (ask->failed)
		return !id_failed(s);
	if (!is_any(ask->uuid))
		return memcmp(ask->uuid, s->super.disk_uuid, sizeof(s->super.disk_uuid)) == 0;
	return booted || is_any(ask->boot_part);
}

static void remember_disk(struct search *s)
{
	struct seen *seen = &s->seen[s->seen_count];

	if (s->seen_count == TARGET_MAX_SEEN || s->only_bdf != ANY_BDF)
		return;
	str_copy(seen->name, sizeof(seen->name), s->blk->name, sizeof(seen->name));
	str_copy(seen->id, sizeof(seen->id), s->blk->id, sizeof(seen->id));
	memcpy(seen->uuid, s->super.disk_uuid, sizeof(seen->uuid));
	seen->bdf = s->bdf;
	s->seen_count++;
}

static enum target_how how_taken(const struct search *s, bool booted)
{
	const struct target_ask *ask = s->ask;

	if (ask->failed)
		return TARGET_NEXT;
	if (!is_any(ask->uuid))
		return s->only_bdf != ANY_BDF ? TARGET_NEXT : TARGET_EXACT;
	return booted ? TARGET_BOOTED : TARGET_ANY;
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
	t->place.bdf = s->bdf;
	t->place.disk = s->disk;
	t->place.disks = s->blk->disks;
	str_copy(t->place.id, sizeof(t->place.id), s->blk->id, sizeof(t->place.id));
	t->super = s->super;
	t->super_damaged = s->super_damaged;
	t->how = how_taken(s, booted);
	t->elsewhere = !booted && !is_any(s->ask->boot_part);
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

static enum status disk_try(struct search *s)
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

static bool disk_failed(const struct target_ask *ask, u32 bdf, u32 disk)
{
	for (u32 i = 0; i < ask->failed; i++) {
		if (ask->place[i].bdf == bdf && ask->place[i].disk == disk)
			return true;
	}
	return false;
}

/* Of a controller that has but one disk it is the controller that failed. */
static bool controller_failed(const struct target_ask *ask, u32 bdf)
{
	for (u32 i = 0; i < ask->failed; i++) {
		if (ask->place[i].bdf == bdf && ask->place[i].disks <= 1)
			return true;
	}
	return false;
}

static bool is_done(const struct search *s)
{
	return s->taken && (s->failed || clock_us() - s->taken_us > TARGET_LOOK_ON_US);
}

/*
 * All disks of a controller that is up; OK if one of them holds the target. One that dies takes
 * the controller with it, unless selecting another one brings that back.
 */
static enum status disks_try(struct search *s)
{
	struct blk *blk = s->blk;
	enum status none = E_NO_DISK, killed = OK;
	char killer[BLK_NAME_BYTES];

	for (u32 i = 0; i < blk->disks && i < BLK_MAX_DISKS && !is_done(s); i++) {
		enum status st;

		if (disk_failed(s->ask, s->bdf, i))
			continue;
		s->disk = i;
		st = blk->ops->select(blk, i);
		if (blk->dead != OK)
			return blk->dead;
		if (killed != OK)
			remember(s, killer, killed);
		killed = OK;
		if (st == E_NO_PARTITION)
			continue; /* a place without a disk */
		none = E_NO_PARTITION;
		if (st == OK)
			st = disk_try(s);
		if (st == OK)
			return OK;
		killed = blk->dead;
		str_copy(killer, sizeof(killer), blk->name, sizeof(killer));
		if (killed == OK)
			remember(s, blk->name, st);
	}
	return killed != OK ? killed : none;
}

/* Looks through one controller; stops it again unless it is the one. */
static enum status controller_try(
	struct search *s, const struct blk_driver *driver, const struct pci_dev *dev)
{
	u64 mark = s->arena->used;
	u64 mark_open;
	enum status st, stopped;

	s->bdf = dev->bdf;
	st = driver->open(dev, s->arena, &s->blk);
	if (st != OK)
		return st;
	mark_open = s->arena->used;
	s->buf = arena_alloc(s->arena, TARGET_BUF_BYTES, PAGE_BYTES);
	st = E_NO_MEMORY;
	if (s->buf) {
		s->buf_pa = arena_pa(s->arena, s->buf);
		st = disks_try(s);
	}
	if (st == OK) {
		s->arena->used = mark_open; /* every read is complete */
		return OK;
	}
	stopped = s->blk->ops->stop(s->blk);
	if (s->blk->silent)
		s->arena->used = mark;
	return stopped == OK ? st : stopped;
}

static void controllers_try(struct search *s)
{
	struct pci_dev dev;
	u32 cursor = 0;

	while (!is_done(s) && pci_next(&cursor, &dev)) {
		const struct blk_driver *driver = probe_driver(&dev);
		char name[BLK_NAME_BYTES];
		enum status st;

		if (!driver || controller_failed(s->ask, dev.bdf))
			continue;
		if (s->only_bdf != ANY_BDF && dev.bdf != s->only_bdf)
			continue;
		st = controller_try(s, driver, &dev);
		if (st == OK)
			continue;
		blk_name(driver->kind, &dev, name, sizeof(name));
		remember(s, name, st);
		s->failed = s->taken && telling(st) > telling(E_GPT);
	}
}

/* Why a disk may not have been seen. */
static void say_hidden(struct search *s)
{
	struct pci_dev dev;
	u32 cursor = 0;

	while (pci_next(&cursor, &dev)) {
		const char *what = probe_hidden(&dev);
		char name[BLK_NAME_BYTES];

		if (!what)
			continue;
		blk_name("controller", &dev, name, sizeof(name));
		con_printf("afterimage: %s is %s: its disks can not be used\n", name, what);
		remember(s, name, E_HIDDEN);
	}
}

static bool is_target(const struct target *t, const struct seen *seen)
{
	return memcmp(seen->name, t->blk->name, str_len(seen->name, BLK_NAME_BYTES - 1) + 1) == 0;
}

static void say_others(const struct search *s)
{
	const struct target *t = s->out;

	if (s->taken && t->how == TARGET_NEXT && !s->ask->failed)
		con_printf("afterimage: the dump disk asked for may be one that failed; another "
			   "one is "
			   "taken\n");
	if (s->taken && t->elsewhere)
		con_printf("afterimage: the dump disk is not the disk that was booted\n");
	for (u32 i = 0; i < s->seen_count; i++) {
		const struct seen *seen = &s->seen[i];
		bool twin = memcmp(seen->uuid, t->super.disk_uuid, sizeof(seen->uuid)) == 0;

		if (s->taken && is_target(t, seen))
			continue;
		if (s->taken && same_id(t->blk->id, seen->id))
			con_printf("afterimage: %s is another path to the dump disk\n", seen->name);
		else
			con_printf("afterimage: another dump disk%s, %s, is present and not used\n",
				twin ? " with the same UUID" : "", seen->name);
	}
}

/* One that was asked for by name is replaced only if it may be one that failed. */
static bool other_will_do(const struct search *s)
{
	return s->ask->failed || is_any(s->ask->uuid) || telling(s->best) > telling(E_GPT);
}

enum status target_find(const struct target_ask *ask, struct arena *arena, struct target *out)
{
	struct search s = {.ask = ask, .arena = arena, .out = out};

	s.best = E_NO_DISK;
	s.only_bdf = ANY_BDF;
	memset(out, 0, sizeof(*out));
	controllers_try(&s);
	if (!s.taken && s.seen_count > 0 && other_will_do(&s)) {
		s.only_bdf = s.seen[0].bdf;
		controllers_try(&s);
	}
	say_others(&s);
	if (s.taken)
		return OK;
	say_hidden(&s);
	memset(out, 0, sizeof(*out));
	return s.best;
}
