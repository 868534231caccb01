/*
 * Output files and streams. A file gets its name only when it is whole and on
 * disk, so that nothing half written can be taken for a dump.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sink.h"
#include "tools/common/tool.h"

#define FLAT_HEADER_BYTES 4096
#define FLAT_SIGNATURE	  "makedumpfile"
#define FLAT_TYPE	  1
#define FLAT_VERSION	  1

struct flat_header {
	char signature[16];
	u64 type; /* big-endian, as all below */
	u64 version;
};
ASSERT_SIZE(struct flat_header, 32);

struct flat_record {
	u64 offset;
	u64 bytes;
};
ASSERT_SIZE(struct flat_record, 16);

/* For the signal handler: the file to remove. */
static char *unfinished;

static void remove_and_die(int sig)
{
	if (unfinished)
		unlink(unfinished);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* What the caller had ignored (nohup does) stays ignored. */
static void on_signals(void (*handler)(int))
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};

	for (u32 i = 0; i < ARRAY_SIZE(sigs); i++) {
		struct sigaction now;

		if (sigaction(sigs[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			signal(sigs[i], handler);
	}
}

static int check_target(const char *path, bool replace)
{
	struct stat info;

	if (lstat(path, &info) != 0)
		return TOOL_DONE;
	if (!S_ISREG(info.st_mode))
		return tool_error(path, "choose another name", "is not a regular file");
	if (!replace)
		return tool_error(path, "choose another name or use --force", "exists already");
	return TOOL_DONE;
}

int sink_open_file(struct sink *s, const char *path, bool replace)
{
	int code = check_target(path, replace);

	if (code != TOOL_DONE)
		return code;
	memset(s, 0, sizeof(*s));
	s->path = path;
	s->replace = replace;
	if (asprintf(&s->part, "%s.part-%ld", path, (long)getpid()) < 0)
		return tool_error(path, NULL, "not enough memory");
	s->fd = open(s->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s->fd < 0) {
		code = tool_error_errno(s->part, "create", errno, "choose another place with -o");
		free(s->part);
		return code;
	}
	unfinished = s->part;
	on_signals(remove_and_die);
	return TOOL_DONE;
}

int sink_open_stdout(struct sink *s)
{
	memset(s, 0, sizeof(*s));
	s->path = "standard output";
	if (isatty(STDOUT_FILENO) == 1)
		return tool_error(s->path, "use a pipe or -o FILE", "is a terminal");
	s->fd = STDOUT_FILENO;
	return TOOL_DONE;
}

static enum status fail(struct sink *s, int err)
{
	if (s->err == 0)
		s->err = err;
	return E_WRITE;
}

static enum status write_stream(struct sink *s, const void *buf, u64 bytes)
{
	const u8 *p = buf;

	while (bytes > 0) {
		ssize_t n = write(s->fd, p, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(s, n < 0 ? errno : EIO);
		p += n;
		bytes -= (u64)n;
	}
	return OK;
}

static enum status write_file(struct sink *s, u64 offset, const void *buf, u64 bytes)
{
	const u8 *p = buf;

	while (bytes > 0) {
		ssize_t n = pwrite(s->fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(s, n < 0 ? errno : EIO);
		p += n;
		offset += (u64)n;
		bytes -= (u64)n;
	}
	return OK;
}

static enum status write_record(struct sink *s, u64 offset, u64 bytes)
{
	struct flat_record record = {.offset = htobe64(offset), .bytes = htobe64(bytes)};

	return write_stream(s, &record, sizeof(record));
}

enum status sink_flatten(struct sink *s)
{
	u8 block[FLAT_HEADER_BYTES] = {0};
	struct flat_header header = {
		.signature = FLAT_SIGNATURE,
		.type = htobe64(FLAT_TYPE),
		.version = htobe64(FLAT_VERSION),
	};

	memcpy(block, &header, sizeof(header));
	s->flat = true;
	return write_stream(s, block, sizeof(block));
}

enum status sink_write(struct sink *s, u64 offset, const void *buf, u64 bytes)
{
	enum status st;

	if (s->err)
		return E_WRITE;
	if (!range_fits(offset, bytes, INT64_MAX))
		return fail(s, EFBIG);
	if (bytes == 0)
		return OK;
	s->written += bytes;
	if (!s->flat)
		return write_file(s, offset, buf, bytes);
	st = write_record(s, offset, bytes);
	return st == OK ? write_stream(s, buf, bytes) : st;
}

enum status sink_extend(struct sink *s, u64 bytes)
{
	static const u8 zero;

	if (s->err)
		return E_WRITE;
	if (s->flat)
		return bytes ? sink_write(s, bytes - 1, &zero, 1) : OK;
	if (bytes > INT64_MAX)
		return fail(s, EFBIG);
	return ftruncate(s->fd, (off_t)bytes) == 0 ? OK : fail(s, errno);
}

static const char *advice(int err)
{
	if (err == ENOSPC || err == EDQUOT || err == EFBIG)
		return "choose a place with more room with -o";
	return err == EPIPE ? "the reader of the pipe went away" : "choose another place with -o";
}

/* The file's name must survive a power cut too. */
static enum status sync_directory(struct sink *s)
{
	const char *slash = strrchr(s->path, '/');
	char *dir = slash ? strndup(s->path, (size_t)(slash - s->path) + 1) : strdup(".");
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	enum status st = OK;

	free(dir);
	if (fd < 0)
		return fail(s, errno);
	if (fsync(fd) != 0 && errno != EINVAL)
		st = fail(s, errno);
	close(fd);
	return st;
}

/* Gives the closed file its name; without --force never in place of another. */
static enum status take_name(struct sink *s)
{
	if (s->replace)
		return rename(s->part, s->path) == 0 ? OK : fail(s, errno);
	if (renameat2(AT_FDCWD, s->part, AT_FDCWD, s->path, RENAME_NOREPLACE) == 0)
		return OK;
	if (errno != EINVAL && errno != ENOSYS)
		return fail(s, errno);
	if (link(s->part, s->path) != 0)
		return fail(s, errno);
	return unlink(s->part) == 0 ? OK : fail(s, errno);
}

static enum status finish_file(struct sink *s)
{
	mode_t mask = umask(0);
	int fd = s->fd;

	umask(mask);
	if (fchmod(fd, 0666 & ~mask) != 0 && errno != EPERM)
		return fail(s, errno);
	if (fsync(fd) != 0)
		return fail(s, errno);
	s->fd = -1;
	if (close(fd) != 0)
		return fail(s, errno);
	return take_name(s);
}

int sink_commit(struct sink *s)
{
	enum status st = s->err ? E_WRITE : OK;

	if (st == OK && s->flat)
		st = write_record(s, ~0ull, ~0ull);
	if (st == OK && s->part)
		st = finish_file(s);
	if (st == OK && !s->part && fsync(s->fd) != 0 && errno != EINVAL && errno != EROFS)
		st = fail(s, errno);
	if (st == OK && !s->part && close(s->fd) != 0)
		st = fail(s, errno);
	if (st != OK) {
		sink_abort(s);
		return TOOL_FAILED;
	}
	if (s->part) {
		on_signals(SIG_DFL);
		unfinished = NULL;
		free(s->part);
		s->part = NULL;
		st = sync_directory(s);
	}
	return st == OK ? TOOL_DONE : tool_error_errno(s->path, "write", s->err, advice(s->err));
}

void sink_abort(struct sink *s)
{
	if (s->err)
		tool_error_errno(s->path, "write", s->err, advice(s->err));
	if (!s->part)
		return;
	if (s->fd >= 0)
		close(s->fd);
	unlink(s->part);
	on_signals(SIG_DFL);
	unfinished = NULL;
	free(s->part);
	s->part = NULL;
}
