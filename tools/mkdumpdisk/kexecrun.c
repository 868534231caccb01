/*
 * Runs another program and keeps what it prints, for a message. No shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kexec.h"

#define RUN_SECONDS 60u
#define READS_MAX   65536

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What does not fit is read all the same, or the program would wait for ever. */
static bool read_all(u32 seconds, int fd, char *out, u32 size)
{
	int64_t end = now_ms() + (int64_t)seconds * 1000;
	u32 used = 0;

	for (u32 i = 0; i < READS_MAX; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = end - now_ms();
		char buf[512];
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			break;
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			out[used] = '\0';
			return n == 0;
		}
		n = (ssize_t)min_u64((u64)n, size - 1 - used);
		memcpy(out + used, buf, (size_t)n);
		used += (u32)n;
	}
	out[used] = '\0';
	return false;
}

/* Lines become parts of one, without the last line's end. */
static void join_lines(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	for (char *c = text; *c; c++)
		*c = *c == '\n' ? '|' : *c;
}

static bool start(char *const argv[], int out_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
		r = r ? r : posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
		r = r ? r : posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	errno = r;
	return r == 0;
}

/* A message that ends in nothing helps nobody. */
static int result(int code, char *out, u32 size)
{
	if (code != 0 && *out == '\0' && code < 0)
		snprintf(out, size, "it could not be run, or did not end in time");
	else if (code != 0 && *out == '\0')
		snprintf(out, size, "exit code %d", code);
	return code;
}

int kexec_run_for(u32 seconds, char *const argv[], char *out, u32 size)
{
	int pipe_fds[2];
	int state = -1;
	bool ended, started;
	pid_t pid;

	out[0] = '\0';
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return result(-1, out, size);
	started = start(argv, pipe_fds[1], &pid);
	close(pipe_fds[1]);
	ended = started && read_all(seconds, pipe_fds[0], out, size);
	close(pipe_fds[0]);
	if (!started)
		return result(-1, out, size);
	if (!ended)
		kill(pid, SIGKILL);
	join_lines(out);
	if (waitpid(pid, &state, 0) != pid || !ended || !WIFEXITED(state))
		return result(-1, out, size);
	return result(WEXITSTATUS(state), out, size);
}

int kexec_run(char *const argv[], char *out, u32 size)
{
	return kexec_run_for(RUN_SECONDS, argv, out, size);
}
