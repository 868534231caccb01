/*
 * For the guest that the drivers are measured against: writes to a disk as dd oflag=direct does,
 * but always the same memory, which is not read from anywhere first, and with several writes in
 * flight. rawwrite DISK START BYTES PIECE DEPTH; prints the time, a sync included.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 64
#define ALIGN	  4096

static int fail(const char *what)
{
	fprintf(stderr, "rawwrite: %s: %s\n", what, strerror(errno));
	return 1;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct job {
	int fd;
	char *buf;
	unsigned long long next, end, piece;
	unsigned long depth;
};

/* One more write by @cb, if there is any left. */
static int send_next(aio_context_t ctx, struct job *job, struct iocb *cb)
{
	memset(cb, 0, sizeof(*cb));
	cb->aio_data = (unsigned long)cb;
	cb->aio_lio_opcode = IOCB_CMD_PWRITE;
	cb->aio_fildes = (unsigned)job->fd;
	cb->aio_buf = (unsigned long)job->buf;
	cb->aio_nbytes = job->piece;
	cb->aio_offset = (long long)job->next;
	job->next += job->piece;
	return syscall(SYS_io_submit, ctx, 1, &cb) == 1 ? 0 : -1;
}

static int run(struct job *job)
{
	static struct iocb cb[DEPTH_MAX];
	struct io_event event[DEPTH_MAX];
	aio_context_t ctx = 0;
	unsigned long open = 0;

	if (syscall(SYS_io_setup, DEPTH_MAX, &ctx) != 0)
		return -1;
	for (; open < job->depth && job->next < job->end; open++) {
		if (send_next(ctx, job, &cb[open]) != 0)
			return -1;
	}
	while (open > 0) {
		long got = syscall(SYS_io_getevents, ctx, 1, DEPTH_MAX, event, NULL);

		if (got < 1)
			return -1;
		for (long i = 0; i < got; i++) {
			if (event[i].res != (long long)job->piece)
				return -1;
			if (job->next >= job->end)
				open--;
			else if (send_next(ctx, job, (struct iocb *)event[i].data) != 0)
				return -1;
		}
	}
	return fdatasync(job->fd);
}

int main(int argc, char **argv)
{
	struct job job;
	double start_s;

	if (argc != 6)
		return fail("DISK START BYTES PIECE DEPTH");
	job.fd = open(argv[1], O_WRONLY | O_DIRECT);
	job.next = strtoull(argv[2], NULL, 0);
	job.end = job.next + strtoull(argv[3], NULL, 0);
	job.piece = strtoull(argv[4], NULL, 0);
	job.depth = strtoul(argv[5], NULL, 0);
	if (job.fd < 0)
		return fail(argv[1]);
	if (job.piece == 0 || job.depth == 0 || job.depth > DEPTH_MAX ||
		(job.end - job.next) % job.piece != 0)
		return fail("odd numbers");
	job.buf = aligned_alloc(ALIGN, job.piece);
	if (!job.buf)
		return fail("memory");
	memset(job.buf, 0x5a, job.piece);
	start_s = now_s();
	if (run(&job) != 0)
		return fail("write");
	printf("%s bytes written, %.6f s\n", argv[3], now_s() - start_s);
	return 0;
}
