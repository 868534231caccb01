/*
 * Looks for what would be lost: dumps first, then what libblkid knows, then any data
 * at the start at all. Reads only.
 */
#include <errno.h>
#include <blkid/blkid.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "device.h"
#include "dumplog.h"
#include "layout.h"
#include "probe.h"
#include "tools/common/tool.h"

#define BLKID_UNIT     512 /* positions of partitions, whatever the sectors */
#define FINDINGS_MAX   16
#define PARTITIONS_MAX 256
#define UNKNOWN_BYTES  MIB

static void add_finding(struct probe *f, const char *text)
{
	size_t used = strlen(f->text);

	snprintf(f->text + used, sizeof(f->text) - used, "%s%s", used > 0 ? ", " : "", text);
}

static bool read_super(int fd, u64 offset, u64 bytes, struct dl_super *super)
{
	return device_read(fd, offset, super, sizeof(*super)) && dl_super_check(super) == OK &&
	       super->blocks <= bytes / super->block_bytes;
}

/* The superblock of the dump partition in [start, start + bytes), first or last. */
static bool find_super(int fd, u64 start, u64 bytes, struct dl_super *super)
{
	static const u32 sizes[] = {512, 4096};

	if (read_super(fd, start, bytes, super))
		return true;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 last = bytes / sizes[i];

		if (last > 0 && read_super(fd, start + (last - 1) * sizes[i], bytes, super) &&
			super->block_bytes == sizes[i])
			return true;
	}
	return false;
}

/*
 * A slot holds a dump to keep unless the newer copy says it was cleared. What cannot be
 * read, or bears a dump's mark but is damaged, may have been one.
 */
static bool slot_uncleared(int fd, u64 start, const struct dl_super *s, u32 slot)
{
	u64 block[2] = {dl_slot_block(slot), dl_slot_block_back(s, slot)};
	struct dl_header best = {0};
	bool doubt = false;

	for (u32 i = 0; i < 2; i++) {
		struct dl_header h;

		if (!device_read(fd, start + block[i] * s->block_bytes, &h, sizeof(h)))
			doubt = true;
		else if (dl_header_check(&h, s) != OK)
			doubt = doubt || memcmp(h.magic, DL_HEADER_MAGIC, sizeof(h.magic)) == 0;
		else if (h.generation >= best.generation)
			best = h;
	}
	if (best.state == DL_STATE_FREE)
		return doubt;
	return !(best.flags & DL_FLAG_CLEARED);
}

static void look_for_dumps(int fd, u64 start, u64 bytes, struct probe *f)
{
	struct dl_super super;
	char text[64];

	if (!find_super(fd, start, bytes, &super))
		return;
	f->dump_disk = true;
	memcpy(f->disk_uuid, super.disk_uuid, sizeof(f->disk_uuid));
	for (u32 i = 0; i < super.dir_slots; i++)
		f->dumps += slot_uncleared(fd, start, &super, i);
	snprintf(text, sizeof(text), "%u dump%s not cleared", f->dumps, f->dumps == 1 ? "" : "s");
	add_finding(f, f->dumps > 0 ? text : "dump log without dumps to fetch");
}

static const char *blkid_value(blkid_probe pr, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(pr, name, &value, NULL) == 0 ? value : NULL;
}

static void add_superblock(struct probe *f, const char *type, const char *usage)
{
	char text[64];
	const char *what = "data";

	if (strcmp(type, "swap") == 0)
		what = "space";
	else if (usage && strcmp(usage, "filesystem") == 0)
		what = "file system";
	else if (usage && strcmp(usage, "raid") == 0)
		what = "(RAID or LVM)";
	else if (usage && strcmp(usage, "crypto") == 0)
		what = "(encrypted)";
	snprintf(text, sizeof(text), "%.40s %s", type, what);
	add_finding(f, text);
}

static void look_in_partitions(const struct target *t, blkid_partlist list, struct probe *f)
{
	int count = blkid_partlist_numof_partitions(list);

	for (int i = 0; i < count && i < PARTITIONS_MAX; i++) {
		blkid_partition p = blkid_partlist_get_partition(list, i);
		const char *type = blkid_partition_get_type_string(p);
		u64 start = (u64)blkid_partition_get_start(p) * BLKID_UNIT;
		u64 bytes = (u64)blkid_partition_get_size(p) * BLKID_UNIT;

		if (type && strcasecmp(type, DUMP_TYPE_TEXT) == 0 &&
			range_fits(start, bytes, t->bytes))
			look_for_dumps(t->fd, start, bytes, f);
	}
}

static void add_table(const struct target *t, blkid_probe pr, struct probe *f)
{
	const char *type = blkid_value(pr, "PTTYPE");
	char text[80];
	blkid_partlist list;
	int count;

	/* The value is gone after the next call. */
	snprintf(text, sizeof(text), "%.16s partition table", type ? type : "");
	list = blkid_probe_get_partitions(pr);
	count = list ? blkid_partlist_numof_partitions(list) : 0;
	snprintf(text + strlen(text), sizeof(text) - strlen(text), " with %d partition%s", count,
		count == 1 ? "" : "s");
	add_finding(f, text);
	if (list)
		look_in_partitions(t, list, f);
}

/* All that libblkid finds, with the sectors taken as @sector_bytes. */
static bool probe_with(const struct target *t, u32 sector_bytes, struct probe *f)
{
	blkid_probe pr = blkid_new_probe();
	int result = -1;

	if (!pr)
		return false;
	if (blkid_probe_set_device(pr, t->fd, 0, 0) == 0 &&
		blkid_probe_set_sectorsize(pr, sector_bytes) == 0 &&
		blkid_probe_enable_partitions(pr, 1) == 0 &&
		blkid_probe_set_partitions_flags(pr, BLKID_PARTS_FORCE_GPT) == 0 &&
		blkid_probe_enable_superblocks(pr, 1) == 0 &&
		blkid_probe_set_superblocks_flags(
			pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_MAGIC) == 0)
		result = 0;
	for (u32 i = 0; result == 0 && i < FINDINGS_MAX; i++) {
		result = blkid_do_probe(pr);
		if (result == 0 && blkid_value(pr, "TYPE"))
			add_superblock(f, blkid_value(pr, "TYPE"), blkid_value(pr, "USAGE"));
		else if (result == 0 && blkid_value(pr, "PTTYPE"))
			add_table(t, pr, f);
	}
	blkid_free_probe(pr);
	return result >= 0;
}

/* A file does not tell which sectors its table was made for: both are tried. */
static bool look(const struct target *t, struct probe *f)
{
	struct probe other = {0};

	if (t->kind == TARGET_PARTITION)
		look_for_dumps(t->fd, 0, t->bytes, f);
	if (!probe_with(t, t->sector_bytes, f))
		return false;
	if (t->kind != TARGET_IMAGE || f->dump_disk)
		return true;
	if (!probe_with(t, t->sector_bytes == 512 ? 4096 : 512, &other))
		return false;
	if (other.dump_disk || !f->text[0])
		*f = other;
	return true;
}

bool probe_target(const struct target *t, struct probe *found)
{
	*found = (struct probe) {0};
	if (t->fd < 0)
		return true;
	if (!look(t, found))
		return false;
	if (!found->text[0] && !device_is_zero(t->fd, 0, min_u64(t->bytes, UNKNOWN_BYTES)))
		add_finding(found, "data of an unknown kind");
	return true;
}
