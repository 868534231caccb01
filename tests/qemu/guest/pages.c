/*
 * A process of the victim that holds memory of every kind a process can have, and says on
 * the console which of them the kernel granted. Runs until the machine is reset.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB	     (1ul << 20)
#define PAGE	     4096ul
#define HUGE	     (2 * MIB)
#define PAGEOUT	     21	 /* MADV_PAGEOUT, Linux 5.4 */
#define POISON	     100 /* MADV_HWPOISON */
#define SOFT_OFFLINE 101

static void say(const char *what, bool granted)
{
	printf("afterimage-test: held %s: %s\n", what, granted ? "yes" : "no");
	fflush(stdout);
}

static void fill(char *p, size_t bytes, const char *text)
{
	for (size_t at = 0; at < bytes; at += PAGE)
		snprintf(p + at, PAGE, "afterimage %s %zu\n", text, at);
}

static char *map(size_t bytes, int flags, int fd)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static char *map_anonymous(size_t bytes, int flags)
{
	return map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1);
}

static void hold_small_pages(void)
{
	char *p = map_anonymous(16 * MIB, 0);

	madvise(p, 16 * MIB, MADV_NOHUGEPAGE);
	fill(p, 16 * MIB, "small");
	say("small pages", p != NULL);
}

/* Two of them lose a page, so that they are no longer mapped as a whole. */
static void hold_transparent_huge_pages(void)
{
	char *p = map_anonymous(34 * MIB, 0);

	p += HUGE - (size_t)p % HUGE;
	madvise(p, 32 * MIB, MADV_HUGEPAGE);
	fill(p, 32 * MIB, "thp");
	madvise(p + 5 * PAGE, PAGE, MADV_DONTNEED);
	mprotect(p + 2 * HUGE + 7 * PAGE, PAGE, PROT_READ);
	say("transparent huge pages", p != NULL);
}

static void hold_hugetlb_pages(void)
{
	char *p = map_anonymous(3 * HUGE, MAP_HUGETLB);

	if (p)
		fill(p, 3 * HUGE, "hugetlb");
	say("hugetlb pages", p != NULL);
}

static void hold_locked_and_shared(void)
{
	char *locked = map_anonymous(4 * MIB, 0);
	char *shared = map(4 * MIB, MAP_SHARED | MAP_ANONYMOUS, -1);

	fill(locked, 4 * MIB, "locked");
	fill(shared, 4 * MIB, "shared");
	say("locked pages", mlock(locked, 4 * MIB) == 0);
}

static void hold_mapped_file(void)
{
	int fd = open("/disk/mapped", O_RDWR);
	char *shared = map(8 * MIB, MAP_SHARED, fd);
	char *copied = map(8 * MIB, MAP_PRIVATE, fd);

	fill(shared, 4 * MIB, "file shared");
	fill(copied + 4 * MIB, 2 * MIB, "file copied");
	say("mapped file", shared && copied);
}

/* Half of it is read back, and so is in memory and in the swap cache. */
static void hold_swapped_pages(void)
{
	char *p = map_anonymous(16 * MIB, 0);
	unsigned sum = 0;

	madvise(p, 16 * MIB, MADV_NOHUGEPAGE);
	fill(p, 16 * MIB, "swapped");
	int failed = madvise(p, 16 * MIB, PAGEOUT);
	for (size_t at = 0; at < 8 * MIB; at += PAGE)
		sum += *(volatile unsigned char *)(p + at);
	say("swapped pages", !failed && sum);
}

static void hold_merged_pages(void)
{
	char *p = map_anonymous(4 * MIB, 0);

	for (size_t at = 0; at < 4 * MIB; at += PAGE)
		strcpy(p + at, "afterimage merged");
	say("merged pages", madvise(p, 4 * MIB, MADV_MERGEABLE) == 0);
}

/* A process of its own, because the kernel may kill it. @bytes mapped, the page at @at hit. */
static void poison(const char *what, size_t bytes, int flags, size_t at, int advice)
{
	int ends[2];
	char granted = 0;

	if (pipe(ends))
		return;
	if (fork() == 0) {
		signal(SIGBUS, SIG_IGN);
		char *p = map_anonymous(bytes, flags);
		if (p)
			p += bytes > HUGE ? HUGE - (size_t)p % HUGE : 0;
		if (p) {
			fill(p, bytes > HUGE ? bytes - HUGE : bytes, what);
			granted = madvise(p + at, PAGE, advice) == 0;
		}
		ssize_t sent = write(ends[1], &granted, 1);
		for (close(ends[1]); sent;)
			pause();
	}
	close(ends[1]);
	ssize_t got = read(ends[0], &granted, 1); /* 0: the kernel killed it, so it took effect */
	close(ends[0]);
	say(what, got == 0 || granted);
}

int main(void)
{
	hold_small_pages();
	hold_transparent_huge_pages();
	hold_hugetlb_pages();
	hold_locked_and_shared();
	hold_mapped_file();
	hold_swapped_pages();
	hold_merged_pages();
	poison("poisoned page", 16 * PAGE, 0, 3 * PAGE, POISON);
	poison("poisoned part of a huge page", 2 * HUGE + HUGE, 0, 9 * PAGE, POISON);
	poison("poisoned hugetlb page", HUGE, MAP_HUGETLB, 11 * PAGE, POISON);
	poison("page taken out softly", 16 * PAGE, 0, 5 * PAGE, SOFT_OFFLINE);
	sleep(2); /* for KSM */
	fclose(fopen("/tmp/pages-held", "w"));
	for (;;)
		pause();
}
