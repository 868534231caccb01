/*
 * Has many direct reads of a disk under way at once. Usage: reads DISK COUNT
 * Each child reads one page of the disk, every one another, into a page of its own that holds a
 * word and the child's number. Says where the page is in memory, then reads for ever.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	  4096u
#define STEP	  65536u /* between pages on the disk: no two are read by one command */
#define MAX_COUNT 512
#define PFN_MASK  0x7fffffffffffffull
#define PATTERN	  "afterimage-test: read into me "

static uint64_t physical(const void *page)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE * 8)) != 8)
		_exit(1);
	close(fd);
	return (entry & PFN_MASK) * PAGE;
}

static void child(int fd, int number, int report)
{
	char line[64];
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);

	if (page == MAP_FAILED)
		_exit(1);
	for (unsigned at = 0; at < PAGE; at += 64)
		snprintf(page + at, 64, "%s%d", PATTERN, number);
	snprintf(line, sizeof(line), "%d %llx\n", number, (unsigned long long)physical(page));
	if (write(report, line, strlen(line)) < 0 ||
		pread(fd, page, PAGE, (off_t)number * STEP) != PAGE)
		_exit(1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0;
	int fd = argc > 2 ? open(argv[1], O_RDONLY | O_DIRECT) : -1;

	if (fd < 0 || count < 1 || count > MAX_COUNT) {
		fprintf(stderr, "usage: reads DISK COUNT\n");
		return 2;
	}
	for (int i = 0; i < count; i++) {
		if (fork() == 0)
			child(fd, i, STDOUT_FILENO);
	}
	return 0;
}
