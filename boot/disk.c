/*
 * Which disk the dump goes to, and which one when that fails. What is on the disk that failed
 * stays as it is: its dump is a shorter one.
 */
#include <string.h>
#include "ports.h"
#include "str.h"
#include "boot/session.h"

/* A disk that can not take the dump, while another one may. */
static bool is_disk_failure(enum status st)
{
	switch (st) {
	case E_READY:
	case E_FATAL:
	case E_DEVICE_GONE:
	case E_TIMEOUT:
	case E_COMMAND:
	case E_READ:
	case E_WRITE:
	case E_NOT_KEPT:
	case E_READ_ONLY:
	case E_FULL:
	case E_NO_SLOT:
		return true;
	default:
		return false;
	}
}

static void disk_take(struct session *s)
{
	s->target_open = true;
	s->degraded &= ~(u32)(DL_DEGRADED_SUPERBLOCK | DL_DEGRADED_LEVEL);
	if (s->target.super_damaged)
		s->degraded |= DL_DEGRADED_SUPERBLOCK;
	if (s->target.how == TARGET_NEXT)
		s->degraded |= DL_DEGRADED_NEXT_DISK;
	con_printf("afterimage: dump disk %s\n", s->target.blk->name);
}

static enum status disk_open(struct session *s)
{
	enum status st;

	s->arena_mark = s->arena.used;
	s->ask.uuid = s->handoff->target_uuid;
	s->ask.boot_part = s->handoff->boot_part_guid;
	st = target_find(&s->ask, &s->arena, &s->target);
	if (st == OK)
		disk_take(s);
	return st;
}

/* No DMA by it afterwards, dead or alive. */
static void disk_close(struct session *s)
{
	struct blk *blk = s->target.blk;
	bool alive = blk->dead == OK;

	s->recent = (u32)max_u64(s->recent, s->writer.recent);
	if (blk->ops->stop(blk) != OK && alive)
		con_printf("afterimage: the dump disk did not confirm its shutdown\n");
}

/* A dump that ends as full has all that the disk has room for; so it is only without one. */
static bool may_go_on(const struct session *s, enum status st)
{
	if (s->ask.failed == TARGET_MAX_TRIES || !is_disk_failure(st))
		return false;
	return st != E_FULL || !s->dump_open;
}

/* The disk failed with @why; true if another one is open for the dump. */
static bool disk_next(struct session *s, enum status why)
{
	char name[BLK_NAME_BYTES];

	str_copy(name, sizeof(name), s->target.blk->name, sizeof(name));
	s->ask.place[s->ask.failed++] = s->target.place;
	disk_close(s);
	/* Only where it is certain that it does no more DMA its memory is free. */
	if (s->target.blk->silent)
		s->arena.used = s->arena_mark;
	s->arena_mark = s->arena.used;
	if (target_find(&s->ask, &s->arena, &s->next) != OK)
		return false;
	con_printf("afterimage: %s: E%u %s", name, (u32)why, status_text(why));
	if (s->dump_open)
		con_printf("; dump %u stays incomplete there, %lu bytes safe",
			s->writer.header.number, writer_safe_bytes(&s->writer));
	con_printf("\nafterimage: beginning again on another disk\n");
	s->target = s->next;
	s->dump_open = false;
	disk_take(s);
	return true;
}

enum status disk_dump(struct session *s, enum status (*dump)(struct session *s))
{
	enum status st = disk_open(s);

	if (st != OK)
		return st;
	/* Ends: disk_next counts. */
	while ((st = dump(s)) != OK && may_go_on(s, st)) {
		if (!disk_next(s, st))
			return st;
	}
	disk_close(s);
	return st;
}
