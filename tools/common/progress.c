/*
 * One line on the terminal, overwritten in place.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "progress.h"

#define PROGRESS_INTERVAL_MS 200

static struct {
	const char *what; /* NULL: nothing under way */
	u64 total;
	u64 last_ms;
	bool terminal;
	bool shown;
} line;

static u64 now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return 0;
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

void progress_start(const char *what, u64 total)
{
	line.what = what;
	line.total = total;
	line.last_ms = now_ms();
	line.terminal = isatty(STDERR_FILENO) == 1;
	line.shown = false;
}

void progress_at(u64 done)
{
	u64 now;

	if (!line.what || !line.terminal)
		return;
	now = now_ms();
	if (now - line.last_ms < PROGRESS_INTERVAL_MS)
		return;
	line.last_ms = now;
	line.shown = true;
	fprintf(stderr, "\r%s: %llu of %llu MiB, %llu%%\033[K", line.what,
		(unsigned long long)(done >> 20), (unsigned long long)(line.total >> 20),
		(unsigned long long)(line.total ? (double)done * 100 / (double)line.total : 100));
	fflush(stderr);
}

void progress_break(void)
{
	if (line.shown)
		fputs("\r\033[K", stderr);
	line.shown = false;
}

void progress_end(void)
{
	progress_break();
	line.what = NULL;
}
