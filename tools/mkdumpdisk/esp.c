/*
 * Makes the EFI system partition's file system with mkfs.fat, in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plan.h"
#include "tools/common/tool.h"

#define INSTALL_IT "install the package dosfstools"
#define ARGS_MAX   24

/* Administrators' programs are not in everybody's PATH. */
static const char *find_program(void)
{
	static const char *const places[] = {"/usr/sbin/mkfs.fat", "/sbin/mkfs.fat",
		"/usr/local/sbin/mkfs.fat", "/usr/bin/mkfs.fat"};

	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		if (access(places[i], X_OK) == 0)
			return places[i];
	}
	return NULL;
}

/* Runs @argv with its output to nowhere; the exit code, or -1. */
static int run_quietly(const char *program, char **argv)
{
	posix_spawn_file_actions_t files;
	int status = -1;
	pid_t pid;
	int err;

	if (posix_spawn_file_actions_init(&files) != 0)
		return -1;
	err = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	if (err == 0)
		err = posix_spawn(&pid, program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (err != 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * FAT32 needs 65525 clusters (FAT specification 1.03 s3.5): 512-byte sectors give them in
 * 64 MiB, 4096-byte ones do not, so those get FAT16, which firmware reads as well.
 */
static int make_file_system(const struct layout *l, const char *program, int fd)
{
	bool fat32 = l->block_bytes == 512;
	char path[32], sector[16], hidden[24];
	char *argv[ARGS_MAX] = {"mkfs.fat", "-F", fat32 ? "32" : "16", "-s", "1", "-S", sector,
		"-h", hidden, "-n", "AFTERIMAGE", path, NULL};

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(sector, sizeof(sector), "%u", l->block_bytes);
	snprintf(hidden, sizeof(hidden), "%llu",
		(unsigned long long)(l->part[PART_ESP].start / l->block_bytes));
	return run_quietly(program, argv);
}

int esp_make(const struct layout *l, const char *target)
{
	const char *program = find_program();
	int fd;

	if (!program) {
		tool_error(target, INSTALL_IT, "the program mkfs.fat is missing");
		return -1;
	}
	/* Not close-on-exec: mkfs.fat opens it by number. */
	fd = memfd_create("esp", 0);
	if (fd < 0 || ftruncate(fd, (off_t)l->part[PART_ESP].bytes) != 0)
		tool_error_errno(target, "make the EFI system partition in memory", errno,
			"free some memory");
	else if (make_file_system(l, program, fd) != 0)
		tool_error(target, "reinstall the package dosfstools", "%s failed", program);
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}
