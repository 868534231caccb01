/*
 * Command line of getdump: which command, which source, which options. No work.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crc32c.h"
#include "dumplog.h"
#include "getdump.h"
#include "ports.h"
#include "tools/common/tool.h"

struct command {
	const char *name;
	const char *options; /* short ones it takes */
	bool more;	     /* takes arguments behind the source */
	int (*run)(const struct options *o);
};

static const struct command commands[] = {
	{"list", "", false, cmd_list},
	{"info", "nj", false, cmd_info},
	{"extract", "nfcolF", false, cmd_extract},
	{"verify", "n", false, cmd_verify},
	{"why", "nj", true, cmd_why},
	{"dmesg", "n", false, cmd_dmesg},
	{"clear", "na", false, cmd_clear},
	{"survey", "j", false, cmd_survey},
};

static const struct option long_options[] = {
	{"number", required_argument, NULL, 'n'},
	{"format", required_argument, NULL, 'f'},
	{"compress", required_argument, NULL, 'c'},
	{"output", required_argument, NULL, 'o'},
	{"level", required_argument, NULL, 'l'},
	{"all", no_argument, NULL, 'a'},
	{"json", no_argument, NULL, 'j'},
	{"force", no_argument, NULL, 'F'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"Usage: getdump COMMAND SOURCE [ADDRESS]... [OPTION]...\n"
	"Read the dumps that afterimage wrote. SOURCE is a dump disk, its dump partition,\n"
	"or an image of either.\n"
	"\n"
	"Commands:\n"
	"  list      one line per dump: number, time, state, kernel, host, level, size\n"
	"  info      everything known about a dump\n"
	"  extract   write a dump as a file for crash, drgn, gdb or makedumpfile\n"
	"  verify    read every chunk, check every checksum\n"
	"  why       say what became of the page at each ADDRESS: physical or of the old\n"
	"            kernel (from 0xff00000000000000 on), always hexadecimal\n"
	"  dmesg     print the crashed kernel's log\n"
	"  clear     mark dumps as fetched: their space may be reused\n"
	"  survey    say which memory a reset destroys on this machine, and the words for the\n"
	"            kernel command line that keep Linux off it (armed by mkdumpdisk --survey)\n"
	"\n"
	"Options:\n"
	"  -n, --number=N         dump N (default the newest; verify: all that are not\n"
	"                         cleared)\n"
	"  -f, --format=FORMAT    kdump (default), elf, raw, or flat for a pipe\n"
	"  -c, --compress=METHOD  zlib (default), zstd, lzo or none; for kdump and flat\n"
	"  -o, --output=FILE      default dump.N.FORMAT; - is standard output, for flat\n"
	"  -l, --level=LEVEL      extract: leave out what LEVEL says, too, as makedumpfile\n"
	"                         has it: 1 zero pages, 2 page cache without private pages,\n"
	"                         4 all page cache, 8 user pages, 16 free pages, added up\n"
	"      --force            replace FILE if it exists\n"
	"      --all              clear every dump\n"
	"      --json             info, why, survey: as JSON\n"
	"  -h, --help             print this and exit\n"
	"  -V, --version          print the version and exit\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but the dump is incomplete, or the\n"
	"survey has no result.\n";

static const struct command *find_command(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static const struct option *find_option(int letter)
{
	for (u32 i = 0; long_options[i].name; i++) {
		if (long_options[i].val == letter)
			return &long_options[i];
	}
	return NULL;
}

/* What getopt_long did not take: @letter ':' lacks its argument, '?' is unknown. */
static int bad_option(int letter, char **argv)
{
	const char *word = argv[optind - 1];

	if (letter == ':')
		return tool_error_usage("'%s' needs an argument", word);
	if (optopt && !find_option(optopt))
		return tool_error_usage("'-%c' is not an option", optopt);
	return tool_error_usage("'%s' is not understood", word);
}

static int set_level(struct options *o, const char *text)
{
	u64 level;

	if (!tool_parse_number(text, DL_LEVEL_MAX, &level))
		return tool_error_usage("'%s' is not a dump level, 0 to 31 is", text);
	o->level = (u32)level;
	o->level_given = true;
	return TOOL_DONE;
}

static int set_option(struct options *o, int letter, char **argv)
{
	u64 number;

	switch (letter) {
	case 'n':
		if (!tool_parse_number(optarg, UINT32_MAX, &number) || number == 0)
			return tool_error_usage("'%s' is not a dump's number", optarg);
		o->number = (u32)number;
		break;
	case 'f':
		o->format = optarg;
		break;
	case 'c':
		o->method = optarg;
		break;
	case 'o':
		o->output = optarg;
		break;
	case 'l':
		return set_level(o, optarg);
	case 'a':
		o->all = true;
		break;
	case 'j':
		o->json = true;
		break;
	case 'F':
		o->force = true;
		break;
	default:
		return bad_option(letter, argv);
	}
	return TOOL_DONE;
}

/* What was printed so far must have reached standard output; else that is what went wrong. */
static int flush_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	return tool_error("standard output", "check where it goes", "cannot be written");
}

static int print(const char *text)
{
	fputs(text, stdout);
	return flush_output(TOOL_DONE);
}

/* The options given, as letters in @given (32 bytes); -1 to go on, or an exit code. */
static int parse_options(int argc, char **argv, struct options *o, char *given)
{
	size_t count = 0;
	int letter;

	while ((letter = getopt_long(argc, argv, ":n:f:c:o:l:hV", long_options, NULL)) != -1) {
		int code;

		if (letter == 'h')
			return print(help);
		if (letter == 'V')
			return print("getdump (afterimage) " AFTERIMAGE_VERSION "\n");
		code = set_option(o, letter, argv);
		if (code != TOOL_DONE)
			return code;
		if (!memchr(given, letter, count) && count < 31)
			given[count++] = (char)letter;
	}
	return -1;
}

static int run(const struct command *c, struct options *o, const char *given)
{
	for (; *given; given++) {
		if (!strchr(c->options, *given))
			return tool_error_usage(
				"%s does not take --%s", c->name, find_option(*given)->name);
	}
	return c->run(o);
}

/*
 * The ports for memory, which lib/physmem.c needs to link: there is none here but what a
 * dump has, and that is read by a function.
 */
const void *phys_window(u32 slot, u64 pa, u32 pages)
{
	(void)slot;
	(void)pa;
	(void)pages;
	return NULL;
}

bool phys_unreadable(u64 pa)
{
	(void)pa;
	return false;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	char given[32] = "";
	const struct command *c;
	int code;

	tool_init("getdump");
	crc32c_init();
	signal(SIGPIPE, SIG_IGN);
	code = parse_options(argc, argv, &o, given);
	if (code >= 0)
		return code;
	if (optind >= argc)
		return tool_error_usage("no command given");
	c = find_command(argv[optind]);
	if (!c)
		return tool_error_usage("'%s' is not a command", argv[optind]);
	if (argc - optind < 2)
		return tool_error_usage("%s needs a SOURCE", c->name);
	if (argc - optind > 2 && !c->more)
		return tool_error_usage("'%s' is one argument too many", argv[optind + 2]);
	o.source = argv[optind + 1];
	o.address = argv + optind + 2;
	o.addresses = (u32)(argc - optind - 2);
	return flush_output(run(c, &o, given));
}
