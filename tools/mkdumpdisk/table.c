/*
 * The GUID partition table, by libfdisk. No questions are asked; the target has no
 * table any more when this runs.
 */
#include <errno.h>
#include <libfdisk/libfdisk.h>
#include "plan.h"
#include "tools/common/guid.h"

struct part_words {
	const char *type; /* GUID */
	const char *name;
};

static const struct part_words words[PARTS] = {
	[PART_BOOT] = {"21686148-6449-6e6f-744e-656564454649", "afterimage boot"},
	[PART_ESP] = {"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "afterimage EFI"},
	[PART_DUMP] = {DUMP_TYPE_TEXT, "afterimage dump"},
};

/* Fills @pa as partition @i; 0 or -errno as libfdisk has it. */
static int describe(struct fdisk_partition *pa, const struct plan *p, u32 i)
{
	const struct extent *e = &p->layout.part[i];
	struct fdisk_parttype *type = fdisk_new_unknown_parttype(0, words[i].type);
	char uuid[GUID_TEXT_BYTES];
	int r;

	if (!type)
		return -ENOMEM;
	guid_text(p->super.disk_uuid, uuid);
	r = fdisk_partition_set_type(pa, type);
	fdisk_unref_parttype(type);
	r = r ? r : fdisk_partition_set_partno(pa, i);
	r = r ? r : fdisk_partition_set_start(pa, e->start / p->layout.block_bytes);
	r = r ? r : fdisk_partition_set_size(pa, e->bytes / p->layout.block_bytes);
	r = r ? r : fdisk_partition_size_explicit(pa, 1);
	r = r ? r : fdisk_partition_set_name(pa, words[i].name);
	if (r == 0 && i == PART_DUMP)
		r = fdisk_partition_set_uuid(pa, uuid);
	return r;
}

static int add_partition(struct fdisk_context *cxt, const struct plan *p, u32 i)
{
	struct fdisk_partition *pa = fdisk_new_partition();
	int r;

	if (!pa)
		return -ENOMEM;
	r = describe(pa, p, i);
	r = r ? r : fdisk_add_partition(cxt, pa, NULL);
	fdisk_unref_partition(pa);
	return r;
}

static int write_table(struct fdisk_context *cxt, const struct plan *p)
{
	const struct target *t = &p->target;
	int r = fdisk_disable_dialogs(cxt, 1);

	r = r ? r : fdisk_save_user_sector_size(cxt, t->sector_bytes, t->sector_bytes);
	r = r ? r : fdisk_save_user_grain(cxt, MIB);
	r = r ? r : fdisk_assign_device_by_fd(cxt, t->fd, t->path, 0);
	r = r ? r : fdisk_create_disklabel(cxt, "gpt");
	for (u32 i = 0; r == 0 && i < PARTS; i++)
		r = add_partition(cxt, p, i);
	return r ? r : fdisk_write_disklabel(cxt);
}

bool table_write(const struct plan *p)
{
	struct fdisk_context *cxt = fdisk_new_context();
	int r = -ENOMEM;

	if (cxt)
		r = write_table(cxt, p);
	fdisk_unref_context(cxt);
	errno = r < 0 ? -r : r > 0 ? EIO : 0;
	return r == 0;
}
