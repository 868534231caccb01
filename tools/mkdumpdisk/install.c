/*
 * Writes a dump disk: a list of steps in the order in which they may safely be cut
 * short. The boot sector comes last: a disk that boots is complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "device.h"
#include "plan.h"
#include "surveylog.h"
#include "tools/common/tool.h"

#define WIPE_BYTES MIB /* of either end; all known signatures lie there */
_Static_assert(WIPE_BYTES >= (1 + DL_DIR_SLOTS) * 4096 + DL_SURVEY_AREA_BYTES,
	"the wipe must reach the directories' ends, and the survey's");

#define COPY_BYTES  (64u * KIB)
#define EXTENTS_MAX 65536

static struct device device_of(const struct plan *p)
{
	return (struct device) {.fd = p->target.fd, .bytes = p->target.bytes};
}

/*
 * New, or emptied and sized: either way all zero. An old file is sized before it is
 * emptied: a size that can not be had costs it nothing.
 */
static bool step_create(struct plan *p)
{
	struct target *t = &p->target;

	if (t->fd < 0)
		t->fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	else if (ftruncate(t->fd, (off_t)t->bytes) != 0 || ftruncate(t->fd, 0) != 0)
		return false;
	return t->fd >= 0 && ftruncate(t->fd, (off_t)t->bytes) == 0;
}

/* Both ends of [start, start + bytes). */
static bool wipe_ends(const struct device *d, u64 start, u64 bytes)
{
	u64 n = min_u64(bytes, WIPE_BYTES);

	return device_zero(d, start, n) && device_zero(d, start + bytes - n, n);
}

static bool step_wipe(struct plan *p)
{
	const struct extent *dump = &p->layout.part[PART_DUMP];
	const struct extent *boot = &p->layout.part[PART_BOOT];
	struct device d = device_of(p);

	if (!wipe_ends(&d, 0, d.bytes) || !wipe_ends(&d, dump->start, dump->bytes))
		return false;
	return device_zero(&d, boot->start, boot->bytes) && fsync(d.fd) == 0;
}

static bool step_table(struct plan *p)
{
	return table_write(p);
}

static bool copy_range(const struct plan *p, u64 from, u64 to)
{
	struct device d = device_of(p);
	u8 buf[COPY_BYTES];

	while (from < to) {
		u64 n = min_u64(to - from, sizeof(buf));

		if (!device_read(p->esp_fd, from, buf, n))
			return false;
		if (!device_write(&d, p->layout.part[PART_ESP].start + from, buf, n))
			return false;
		from += n;
	}
	return true;
}

/* Only what was written to it: tables, folders, files; free clusters may hold anything. */
static bool step_esp(struct plan *p)
{
	off_t end = (off_t)p->layout.part[PART_ESP].bytes;
	off_t at = 0;

	for (u32 i = 0; i < EXTENTS_MAX; i++) {
		off_t data = lseek(p->esp_fd, at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			return true;
		at = data < 0 ? -1 : lseek(p->esp_fd, data, SEEK_HOLE);
		if (at < 0 || at > end)
			return false;
		if (!copy_range(p, (u64)data, (u64)at))
			return false;
	}
	errno = E2BIG;
	return false;
}

/* The directories are zero since the wipe: all slots free. */
static bool step_super(struct plan *p)
{
	const struct extent *dump = &p->layout.part[PART_DUMP];
	struct device d = device_of(p);
	u8 block[4096] = {0};

	memcpy(block, &p->super, sizeof(p->super));
	return device_write(&d, dump->start + dump->bytes - p->super.block_bytes, block,
		       p->super.block_bytes) &&
	       device_write(&d, dump->start, block, p->super.block_bytes);
}

static bool step_boot_area(struct plan *p)
{
	struct device d = device_of(p);

	return device_write(&d, p->layout.part[PART_BOOT].start, p->boot.data + BOOT_SECTOR_BYTES,
		p->boot.bytes - BOOT_SECTOR_BYTES);
}

static bool step_flush(struct plan *p)
{
	return fsync(p->target.fd) == 0;
}

static bool step_boot_sector(struct plan *p)
{
	struct device d = device_of(p);

	return device_write(&d, 0, p->boot.data, BOOT_CODE_BYTES) && fsync(d.fd) == 0;
}

static bool step_close(struct plan *p)
{
	return target_close(&p->target);
}

enum when {
	FOR_ALL,
	FOR_CREATED, /* image files of a given size */
	FOR_USED,    /* all others: they may hold anything */
	FOR_DISKS,   /* whole disks and images */
};

struct step {
	const char *what;
	bool (*run)(struct plan *p);
	enum when when;
};

static const struct step steps[] = {
	{"creating the file", step_create, FOR_CREATED},
	{"wiping old contents", step_wipe, FOR_USED},
	{"writing the partition table", step_table, FOR_DISKS},
	{"writing the EFI system partition", step_esp, FOR_DISKS},
	{"writing the superblocks", step_super, FOR_ALL},
	{"writing the boot area", step_boot_area, FOR_DISKS},
	{"flushing", step_flush, FOR_ALL},
	{"writing the boot sector", step_boot_sector, FOR_DISKS},
	{"closing", step_close, FOR_ALL},
};

static bool applies(const struct plan *p, enum when when)
{
	bool created = p->options->size_bytes > 0;

	if (when == FOR_CREATED || when == FOR_USED)
		return created == (when == FOR_CREATED);
	return when == FOR_ALL || p->layout.whole_disk;
}

/* The state it is in after @step failed with @err; a file that was not there goes away. */
static void report_failure(struct plan *p, const struct step *step, int err)
{
	struct target *t = &p->target;

	if (!t->exists) {
		bool created = t->fd >= 0 || step->run == step_close;

		if (created && unlink(t->path) != 0)
			tool_error_errno(t->path, "be removed", errno, "remove it");
		tool_error(t->path, "make room, or name another place",
			"%s failed: %s; nothing was left behind", step->what, strerror(err));
		return;
	}
	if (step->run == step_create) {
		tool_error(t->path, "choose another --size", "sizing it failed: %s", strerror(err));
		return;
	}
	tool_error(t->path, "check the disk and run mkdumpdisk --force again",
		"%s failed: %s; its old contents are lost and it is not a dump disk yet",
		step->what, strerror(err));
}

/* The kernel's view; not every device has partitions, and one in use keeps the old ones. */
static void reread_partitions(const struct plan *p)
{
	if (p->target.kind != TARGET_DISK || ioctl(p->target.fd, BLKRRPART) == 0)
		return;
	if (errno != EINVAL)
		tool_error_errno(p->target.path, "have its partitions read again by the kernel",
			errno, "the disk is ready; the kernel sees it after a restart");
}

bool install(struct plan *p)
{
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!applies(p, steps[i].when))
			continue;
		if (steps[i].run == step_close)
			reread_partitions(p);
		if (!steps[i].run(p)) {
			report_failure(p, &steps[i], errno);
			return false;
		}
	}
	return true;
}
