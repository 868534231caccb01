/*
 * Preloaded into tools under test: in the program FAIL_PROGRAM the FAIL_AT-th write
 * or flush (from 1) fails with EIO, and so do all later ones, as on a disk that went
 * away. With FAIL_SIGNAL the program gets that signal there instead, and nothing fails.
 * Output to the standard streams is not counted. Programs named HIDE_PROGRAM are not there for
 * who asks with access().
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int gone(int fd)
{
	static int count;
	const char *program = getenv("FAIL_PROGRAM");
	const char *at = getenv("FAIL_AT");
	const char *sig = getenv("FAIL_SIGNAL");

	if (!at || !program || strcmp(program, program_invocation_short_name) != 0)
		return 0;
	if (fd <= STDERR_FILENO || ++count < atoi(at))
		return 0;
	if (sig) {
		if (count == atoi(at))
			raise(atoi(sig));
		return 0;
	}
	errno = EIO;
	return 1;
}

int access(const char *path, int mode)
{
	static int (*real)(const char *, int);
	const char *hidden = getenv("HIDE_PROGRAM");
	const char *slash = strrchr(path, '/');

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "access");
	if (hidden && slash && strcmp(slash + 1, hidden) == 0) {
		errno = ENOENT;
		return -1;
	}
	return real(path, mode);
}

ssize_t write(int fd, const void *buf, size_t bytes)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "write");
	return gone(fd) ? -1 : real(fd, buf, bytes);
}

ssize_t pwrite64(int fd, const void *buf, size_t bytes, off64_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off64_t);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
	return gone(fd) ? -1 : real(fd, buf, bytes, at);
}

int fsync(int fd)
{
	static int (*real)(int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "fsync");
	return gone(fd) ? -1 : real(fd);
}

int ftruncate64(int fd, off64_t bytes)
{
	static int (*real)(int, off64_t);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ftruncate64");
	return gone(fd) ? -1 : real(fd, bytes);
}
