/*
 * How the kernel in a RAM file ended: ending [-m MAPFILE] RAMFILE [SYMBOL...]. Prints "how why
 * crash_id", what it stopped with if its log says so, and one line "symbol address" for each
 * symbol asked for. ramfile.h says how file and map are read.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ending.h"
#include "kallsyms.h"
#include "tests/host/ramfile.h"

static const char *const how_name[] = {"unknown", "orderly", "crash"};

static struct ramfile ram;
static struct panic_scratch scratch;
static struct kallsyms_room room;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void print_ending(void)
{
	struct ending e;
	char text[97];
	double start = now_ms();

	ending_find(&ram.pm, &ram.kernel, &scratch, &e);
	printf("# kernel %s, %.1f ms\n%s: %s: %016llx\n", ram.kernel.uts[UTS_RELEASE],
		now_ms() - start, how_name[e.how], e.why, (unsigned long long)e.crash_id);
	if (panic_find(&ram.pm, &ram.kernel, &scratch, text, sizeof(text)))
		printf("# it stopped with: %s\n", text);
}

static bool print_symbols(char *const *names, u32 count)
{
	struct kallsyms_wanted wanted[KALLSYMS_WANTED_MAX];

	if (count > KALLSYMS_WANTED_MAX)
		return false;
	for (u32 i = 0; i < count; i++)
		wanted[i].name = names[i];
	if (!kallsyms_find(&ram.pm, &ram.kernel, &room, wanted, count))
		return false;
	for (u32 i = 0; i < count; i++)
		printf("%s %llx\n", wanted[i].name, (unsigned long long)wanted[i].va);
	return true;
}

int main(int argc, char **argv)
{
	const char *map_path = NULL;
	enum status st;
	int opt;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm')
			return 2;
		map_path = optarg;
	}
	if (argc - optind < 1) {
		fprintf(stderr, "usage: ending [-m MAPFILE] RAMFILE [SYMBOL...]\n");
		return 2;
	}
	ramfile_load(&ram, argv + optind, 1, map_path);
	st = ramfile_open(&ram);
	if (st != OK) {
		fprintf(stderr, "E%u: %s\n", (unsigned)st, status_text(st));
		return 1;
	}
	print_ending();
	if (argc - optind > 1 && !print_symbols(argv + optind + 1, (u32)(argc - optind - 1))) {
		fprintf(stderr, "no symbols\n");
		return 1;
	}
	return 0;
}
