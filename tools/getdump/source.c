/*
 * Files, devices and partitions as a source for the reader. Writes only for clear,
 * and only inside the dump partition.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "gpt.h"
#include "source.h"
#include "tools/common/tool.h"

#define ADVICE_TARGET	    "name the dump disk, its dump partition, or an image of either"
#define MAX_DUMP_PARTITIONS 128

static enum status read_at(const struct source *s, u64 offset, void *buf, u64 bytes)
{
	u8 *p = buf;

	if (!range_fits(offset, bytes, s->bytes))
		return E_TRUNCATED;
	while (bytes > 0) {
		ssize_t n = pread(s->fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return E_READ;
		if (n == 0)
			return E_TRUNCATED;
		p += n;
		offset += (u64)n;
		bytes -= (u64)n;
	}
	return OK;
}

static enum status read_partition(void *ctx, u64 offset, void *buf, u64 bytes)
{
	struct source *s = ctx;

	if (!range_fits(offset, bytes, s->partition_bytes))
		return E_TRUNCATED;
	return read_at(s, s->start + offset, buf, bytes);
}

void *source_resize(void *ctx, void *old, u64 bytes)
{
	(void)ctx;
	if (bytes > 0)
		return realloc(old, bytes);
	free(old);
	return NULL;
}

static const struct reader_ops ops = {
	.read = read_partition,
	.resize = source_resize,
	.unpack = source_unpack,
};

struct gpt_ctx {
	const struct source *s;
	u32 block_bytes;
};

static enum status gpt_read(void *ctx, u64 lba, u32 blocks, void *buf)
{
	struct gpt_ctx *g = ctx;

	enum status st = E_TRUNCATED;

	if (lba <= (u64)INT64_MAX / g->block_bytes)
		st = read_at(g->s, lba * g->block_bytes, buf, (u64)blocks * g->block_bytes);
	/* Where nothing can be, there is no table either. */
	return st == E_TRUNCATED ? E_GPT : st;
}

/* Opens the log in partition @part if it begins inside the source. */
static enum status open_partition(
	struct source *s, const struct gpt_partition *part, u32 block_bytes)
{
	u64 blocks = s->bytes / block_bytes;

	if (part->first_lba >= blocks || part->last_lba < part->first_lba)
		return E_TRUNCATED;
	s->start = part->first_lba * block_bytes;
	s->partition_bytes = s->bytes - s->start;
	if (part->last_lba < blocks)
		s->partition_bytes = (part->last_lba - part->first_lba + 1) * block_bytes;
	return reader_open(&s->reader, &ops, s, s->partition_bytes);
}

/*
 * Opens the first dump partition that can be, by the table of a disk of @disk_blocks blocks
 * (0: the image may be cut short).
 */
static enum status open_by_table(struct source *s, u32 block_bytes, u64 disk_blocks)
{
	struct gpt_ctx g = {.s = s, .block_bytes = block_bytes};
	static u8 buf[2 * PAGE_BYTES];
	enum status worst = E_NO_PARTITION;

	for (u32 i = 0; i < MAX_DUMP_PARTITIONS; i++) {
		struct gpt_partition part;
		enum status st;

		st = gpt_find(gpt_read, &g, disk_blocks, block_bytes, gpt_dump_type, i, buf, &part);
		if (st != OK)
			return worst == E_NO_PARTITION ? st : worst;
		st = open_partition(s, &part, block_bytes);
		if (st == OK)
			return OK;
		if (worst == E_NO_PARTITION)
			worst = st == E_FOREIGN ? E_SUPERBLOCK : st;
	}
	return worst;
}

static enum status open_disk(struct source *s)
{
	static const u32 block_bytes[] = {512, 4096};
	enum status worst = E_FOREIGN;

	for (u32 i = 0; i < ARRAY_SIZE(block_bytes); i++) {
		u64 blocks = s->bytes / block_bytes[i];
		enum status st = open_by_table(s, block_bytes[i], blocks);

		if (st != OK)
			st = open_by_table(s, block_bytes[i], 0);
		if (st == OK)
			return OK;
		/* That is what the wrong block size, or what is no disk, looks like. */
		if (st != E_GPT)
			worst = st;
	}
	return worst == E_NO_PARTITION ? E_FOREIGN : worst;
}

/* The source may itself be the partition; else it is a disk. */
static enum status open_log(struct source *s)
{
	enum status direct;
	enum status st;

	s->start = 0;
	s->partition_bytes = s->bytes;
	direct = reader_open(&s->reader, &ops, s, s->bytes);
	if (direct == OK || direct == E_NO_MEMORY || direct == E_READ)
		return direct;
	st = open_disk(s);
	return st == E_FOREIGN ? direct : st;
}

static int open_fd(struct source *s, bool writable)
{
	struct stat info;
	off_t end;

	s->fd = open(s->path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (s->fd < 0 && errno == EISDIR)
		return tool_error(s->path, ADVICE_TARGET, "is a directory");
	if (s->fd < 0)
		return tool_error_errno(s->path, writable ? "open for writing" : "open", errno,
			errno == EACCES	 ? "run as a user who may, or as root"
			: errno == EROFS ? "make it writable first"
					 : ADVICE_TARGET);
	if (fstat(s->fd, &info) != 0)
		return tool_error_errno(s->path, "examine", errno, ADVICE_TARGET);
	if (S_ISDIR(info.st_mode))
		return tool_error(s->path, ADVICE_TARGET, "is a directory");
	if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
		return tool_error(s->path, ADVICE_TARGET, "is neither a file nor a block device");
	end = lseek(s->fd, 0, SEEK_END);
	if (end < 0)
		return tool_error_errno(s->path, "find the size", errno, ADVICE_TARGET);
	if (end == 0)
		return tool_error(s->path, ADVICE_TARGET, "is empty");
	s->bytes = (u64)end;
	return TOOL_DONE;
}

int source_open(struct source *s, const char *path, bool writable)
{
	enum status st;
	int code;

	memset(s, 0, sizeof(*s));
	s->path = path;
	code = open_fd(s, writable);
	if (code != TOOL_DONE) {
		if (s->fd >= 0)
			close(s->fd);
		return code;
	}
	st = open_log(s);
	if (st == OK)
		return TOOL_DONE;
	close(s->fd);
	if (st == E_NO_MEMORY)
		return tool_error(path, NULL, "not enough memory");
	return tool_error_status(path, st);
}

void source_close(struct source *s)
{
	reader_close(&s->reader);
	close(s->fd);
}

int source_open_dump(
	struct source *s, const char *path, u32 number, const struct reader_dump **dump)
{
	int code = source_open(s, path, false);

	if (code != TOOL_DONE)
		return code;
	*dump = reader_find(&s->reader, number);
	if (*dump)
		return TOOL_DONE;
	if (number)
		code = tool_error(path, status_advice(E_NO_DUMP), "there is no dump %u (E%d)",
			number, (int)E_NO_DUMP);
	else
		code = tool_error(path, "reset the hung machine and boot this disk to make one",
			"there are no dumps (E%d)", (int)E_NO_DUMP);
	source_close(s);
	return code;
}

enum status source_write(struct source *s, u64 offset, const void *buf, u64 bytes)
{
	const u8 *p = buf;

	if (!range_fits(offset, bytes, s->partition_bytes))
		return E_GATE;
	offset += s->start;
	while (bytes > 0) {
		ssize_t n = pwrite(s->fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return E_WRITE;
		p += n;
		offset += (u64)n;
		bytes -= (u64)n;
	}
	return OK;
}

enum status source_flush(struct source *s)
{
	return fsync(s->fd) == 0 ? OK : E_WRITE;
}
