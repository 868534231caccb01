/*
 * Classes of all pages in a RAM file: classes [-m MAPFILE] RAMFILE... [LEVEL]. Prints one
 * line per run, "pfn count class"; with a level only those whose contents it leaves out. In
 * the end "# class pages" for each class. ramfile.h says how files and map are read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dumplog.h"
#include "pagescan.h"
#include "tests/host/ramfile.h"

static struct ramfile ram;
static struct pagescan scan;
static u64 sum[DL_CLASSES];

static void print_run(const struct run *run, u32 level)
{
	if (run->count == 0)
		return;
	sum[run->class] += run->count;
	if (level <= DL_LEVEL_MAX && dl_class_has_data(run->class, level))
		return;
	printf("%llu %llu %s\n", (unsigned long long)run->pfn, (unsigned long long)run->count,
		dl_class_name(run->class));
}

static void print_all(u32 level)
{
	struct run last = {.count = 0};
	struct runs runs;
	struct run run;

	pagescan_init(&scan, &ram.pagemap);
	runs_init(&runs, &ram.map, &scan);
	while (runs_next(&runs, &run)) {
		if (run.class == last.class && last.count > 0) {
			last.count += run.count;
			continue;
		}
		print_run(&last, level);
		last = run;
	}
	print_run(&last, level);
	for (u32 i = 0; i < DL_CLASSES; i++)
		printf("# %s %llu\n", dl_class_name(i), (unsigned long long)sum[i]);
}

/* The last argument, if it is a level. */
static bool is_level(const char *arg, u32 *level)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (*end != '\0' || end == arg || n > DL_LEVEL_MAX)
		return false;
	*level = (u32)n;
	return true;
}

int main(int argc, char **argv)
{
	const char *map_path = NULL;
	u32 level = DL_LEVEL_MAX + 1;
	enum status st;
	int files;
	int opt;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm')
			return 2;
		map_path = optarg;
	}
	files = argc - optind;
	if (files > 1 && is_level(argv[argc - 1], &level))
		files--;
	if (files < 1) {
		fprintf(stderr, "usage: classes [-m MAPFILE] RAMFILE... [LEVEL]\n");
		return 2;
	}
	ramfile_load(&ram, argv + optind, (u32)files, map_path);
	st = ramfile_open(&ram);
	if (st != OK) {
		fprintf(stderr, "E%u: %s\n", (unsigned)st, status_text(st));
		return 1;
	}
	printf("# kernel %s, page map %s, %llu of %llu pages\n", ram.kernel.uts[UTS_RELEASE],
		pagemap_name(&ram.pagemap),
		(unsigned long long)pagemap_coverage(&ram.pagemap, &ram.map),
		(unsigned long long)memmap_ram_pages(&ram.map));
	print_all(level);
	return 0;
}
