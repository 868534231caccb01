/*
 * Reads what --check wants to know of its target: is it a dump disk as the image would find it,
 * what does it offer firmware to start, how much room is left, what does the survey on it say.
 * By the image's own code where there is some; opens it for reading only, also while it is in use.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bootentry.h"
#include "bootimage.h"
#include "bootoption.h"
#include "check.h"
#include "device.h"
#include "directory.h"
#include "gpt.h"
#include "linuxboot.h"
#include "sysdisk.h"
#include "tools/common/fat.h"
#include "tools/common/tool.h"

#define NAME_A_DISK   "name a dump disk, a dump partition or an image of a disk"
#define VARIABLES_MAX 65536
#define HEAD_BYTES    4096 /* of a program: its headers are in there */

/* The disk as a device of the image's, for reading. */
struct disk_blk {
	struct blk blk;
	int fd;
};

static enum status disk_submit(struct blk *blk, struct blk_req *req)
{
	struct disk_blk *d = (struct disk_blk *)(void *)blk;
	u64 offset = req->lba * blk->block_bytes;

	req->done = true;
	req->status = req->op == BLK_READ ? OK : E_GATE;
	for (u32 i = 0; i < req->nsegs && req->status == OK; i++) {
		void *to = (void *)(uintptr_t)req->seg[i].pa;

		if (!device_read(d->fd, offset, to, req->seg[i].bytes))
			req->status = E_READ;
		offset += req->seg[i].bytes;
	}
	return OK;
}

static enum status disk_poll(struct blk *blk)
{
	return blk->dead;
}

static const struct blk_ops disk_ops = {
	.submit = disk_submit, .poll = disk_poll, .stop = disk_poll};

/* --- room --- */

static void measure_room(const struct directory *dir, struct check_disk *d)
{
	u64 data_blocks = dl_data_end(&d->super) - dl_data_start(&d->super);
	bool oldest = d->super.overwrite == DL_OVERWRITE_OLDEST;
	u32 slot;

	for (u32 i = 0; i < d->super.dir_slots; i++)
		d->dumps += dir->entry[i].state == DIR_TAKEN || dir->entry[i].state == DIR_CUT;
	d->data_bytes = data_blocks * d->super.block_bytes;
	d->room_bytes =
		oldest ? d->data_bytes : directory_largest_gap(dir).blocks * d->super.block_bytes;
	d->slot_free = directory_free_slot(dir, &slot) == OK || (oldest && d->dumps > 0);
}

static bool read_directory(const struct sysdisk *k, u64 start_bytes, struct check_disk *d,
	const struct dir_memory *mem)
{
	u32 bb = d->super.block_bytes;
	struct disk_blk disk = {
		.blk = {.ops = &disk_ops, .blocks = k->bytes / bb, .block_bytes = bb, .depth = 1},
		.fd = k->fd,
	};
	struct extent extent = {start_bytes / bb, d->super.blocks};
	struct directory dir;
	struct gate gate;

	if (gate_open(&gate, &disk.blk, &extent, 1) != OK ||
		directory_load(&dir, &gate, &d->super, mem) != OK || directory_walk_cut(&dir) != OK)
		return false;
	measure_room(&dir, d);
	return true;
}

static bool read_room(const struct sysdisk *k, u64 start_bytes, struct check_disk *d)
{
	struct dir_memory mem = {
		.entry = calloc(d->super.dir_slots, sizeof(*mem.entry)),
		.buf = calloc(1, DIRECTORY_BUF_BYTES),
	};
	bool ok;

	mem.buf_pa = (u64)(uintptr_t)mem.buf;
	ok = mem.entry && mem.buf && read_directory(k, start_bytes, d, &mem);
	free(mem.entry);
	free(mem.buf);
	return ok;
}

/* --- what firmware would start --- */

struct part {
	int fd;
	u64 start;
	u64 bytes;
};

static bool read_part(void *ctx, u64 offset, void *buf, u64 bytes)
{
	const struct part *p = ctx;

	return range_fits(offset, bytes, p->bytes) &&
	       device_read(p->fd, p->start + offset, buf, bytes);
}

/* Of the dump partition. */
static enum status read_dump_part(void *ctx, u64 offset, void *buf, u64 bytes)
{
	return read_part(ctx, offset, buf, bytes) ? OK : E_READ;
}

static enum check_loader read_loader(struct part *p)
{
	static const char *const path[] = {"EFI        ", "BOOT       ", "BOOTX64 EFI"};
	u8 head[HEAD_BYTES];
	u64 got = sizeof(head);
	bool is_signed;
	struct fat fat;

	if (!fat_open(&fat, read_part, p, p->bytes))
		return LOADER_UNKNOWN;
	switch (fat_read_file(&fat, path, ARRAY_SIZE(path), head, &got)) {
	case FAT_FOUND:
		break;
	case FAT_MISSING:
		return LOADER_MISSING;
	default:
		return LOADER_UNKNOWN;
	}
	if (!sysfacts_pe_signed(head, got, &is_signed))
		return LOADER_FOREIGN;
	return is_signed ? LOADER_SIGNED : LOADER_UNSIGNED;
}

/* Short names, as FAT has them beside the long ones. */
static void read_settings(struct part *p, struct check_disk *d)
{
	static const char *const path[] = {"EFI        ", "AFTERI~1   ", "AFTERI~1CFG"};
	char text[LINUXBOOT_CMDLINE_MAX + 1];
	u64 got = LINUXBOOT_CMDLINE_MAX;
	struct fat fat;

	if (fat_open(&fat, read_part, p, p->bytes) &&
		fat_read_file(&fat, path, ARRAY_SIZE(path), (u8 *)text, &got) == FAT_FOUND)
		check_area_words(text, got, d);
}

static void read_esp(struct sysdisk *k, struct check_disk *d)
{
	struct gpt_partition g;
	struct part p = {.fd = k->fd};
	u8 buf[8192];

	if (gpt_find(sysdisk_read, k, k->bytes / k->block_bytes, k->block_bytes, sysdisk_esp_type,
		    0, buf, &g) != OK)
		return;
	d->has_esp = true;
	memcpy(d->esp_uuid, g.uuid, sizeof(d->esp_uuid));
	p.start = g.first_lba * k->block_bytes;
	p.bytes = (g.last_lba - g.first_lba + 1) * k->block_bytes;
	d->loader = read_loader(&p);
	read_settings(&p, d);
}

/* A dump disk's own partition has nothing else to start; on the system's it must be the image. */
static bool starts_image(
	const struct options *o, const char *name, const struct check_disk *d, bool *active)
{
	char path[512], full[KEXEC_PATH_BYTES];
	struct boot_option option;
	u8 data[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), CHECK_EFIVARS "%.255s", name);
	fd = open(kexec_path(o, path, full), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	n = read(fd, data, sizeof(data));
	close(fd);
	if (n <= 4 || !boot_option_parse(data + 4, (u64)n - 4, &option))
		return false;
	*active = option.active;
	return option.has_partition &&
	       memcmp(option.partition, d->esp_uuid, sizeof(d->esp_uuid)) == 0 &&
	       (d->boot_sector || boot_option_leads_to(&option, d->esp_uuid, BOOT_ENTRY_PATH));
}

static void take_entry(
	const struct options *o, const char *name, const struct firmware *f, struct check_disk *d)
{
	int number = boot_option_number(name);
	bool active;
	u32 at;

	if (number < 0 || !starts_image(o, name, d, &active))
		return;
	at = active ? firmware_position(f, (u16)number) : 0;
	if (d->boot_entry.known && (at == 0 || (d->boot_place > 0 && d->boot_place < at)))
		return;
	d->boot_entry.known = true;
	d->boot_entry.value = (u64)number;
	d->boot_place = at;
}

/* The one that firmware tries first, of several. */
static void read_boot_entry(const struct options *o, struct check_disk *d)
{
	char full[KEXEC_PATH_BYTES];
	struct firmware f;
	struct dirent *e;
	DIR *dir;

	dir = d->has_esp ? opendir(kexec_path(o, CHECK_EFIVARS, full)) : NULL;
	if (!dir)
		return;
	firmware_order(o, &f);
	for (u32 i = 0; i < VARIABLES_MAX && (e = readdir(dir)); i++)
		take_entry(o, e->d_name, &f, d);
	closedir(dir);
}

/* --- the target --- */

static bool look(
	const struct options *o, struct sysdisk *k, struct kexec_scan *s, struct check_disk *d)
{
	struct part dump = {.fd = k->fd};

	if (!kexec_scan_disk(k->fd, k->bytes, k->block_bytes, s)) {
		if (errno == EINVAL)
			return true; /* too small for a table, or odd blocks: nothing found */
		tool_error_errno(o->target, "be read", errno, "check the disk");
		return false;
	}
	if (s->found == 0)
		return true;
	d->found = true;
	d->others = s->found - 1;
	d->super = s->first;
	dump.start = s->first_bytes;
	dump.bytes = s->first_size;
	check_area_read(k->fd, k->block_bytes, s->first_bytes, d);
	read_esp(k, d);
	read_boot_entry(o, d);
	d->survey_status = survey_read(read_dump_part, &dump, &d->super, &d->survey);
	if (read_room(k, s->first_bytes, d))
		return true;
	tool_error(o->target, "check the disk", "its directory of dumps can not be read");
	return false;
}

static void read_attachment(const struct sysdisk *k, struct check_disk *d)
{
	char path[KEXEC_PATH_BYTES + 80];
	FILE *f;

	reach_look(k, &d->reach);
	snprintf(path, sizeof(path), "%s/block/%s/removable", k->sysfs, k->name);
	f = fopen(path, "re");
	d->removable = f && fgetc(f) == '1';
	if (f)
		fclose(f);
}

static bool look_at_device(const struct options *o, const struct stat *st, struct check_disk *d)
{
	struct kexec_scan scan = {0};
	struct sysdisk k;
	bool ok;

	d->device = true;
	if (!sysdisk_identify(o, st->st_rdev, &k, &scan.start_bytes)) {
		tool_error(o->target, NAME_A_DISK, "is not known to the kernel as a disk");
		return false;
	}
	if (!sysdisk_open(&k, o)) {
		tool_error_errno(o->target, "be opened", errno,
			errno == EACCES ? "run this as root" : NAME_A_DISK);
		return false;
	}
	read_attachment(&k, d);
	ok = look(o, &k, &scan, d);
	close(k.fd);
	return ok;
}

/* An image file does not tell which blocks it was made for: both are tried. */
static bool look_at_file(const struct options *o, const struct stat *st, struct check_disk *d)
{
	struct sysdisk k = {.bytes = (u64)st->st_size};
	struct kexec_scan scan = {0};
	bool ok = true;

	k.fd = open(o->target, O_RDONLY | O_CLOEXEC);
	if (k.fd < 0) {
		tool_error_errno(o->target, "be opened", errno, NAME_A_DISK);
		return false;
	}
	for (k.block_bytes = 512; ok && !d->found && k.block_bytes <= 4096; k.block_bytes *= 8)
		ok = look(o, &k, &scan, d);
	close(k.fd);
	return ok;
}

bool check_disk_read(const struct options *o, struct check_disk *d)
{
	struct stat st;

	memset(d, 0, sizeof(*d));
	d->given = o->target != NULL;
	if (!d->given)
		return true;
	if (stat(o->target, &st) != 0) {
		if (errno == ENOENT)
			tool_error(o->target, NAME_A_DISK, "does not exist");
		else
			tool_error_errno(o->target, "be examined", errno, NAME_A_DISK);
		return false;
	}
	if (S_ISBLK(st.st_mode))
		return look_at_device(o, &st, d);
	if (S_ISREG(st.st_mode))
		return look_at_file(o, &st, d);
	tool_error(o->target, NAME_A_DISK, "is no disk");
	return false;
}
