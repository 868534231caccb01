/*
 * Command line to struct options. Values are in optionsvalue.c, what goes together in
 * optionscheck.c. Nothing is opened.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "bootimage.h"
#include "choose.h"
#include "dumplog.h"
#include "options.h"
#include "tools/common/tool.h"

#define SHORT_OPTIONS ":s:l:c:a:C:o:L:i:E:S:k::b::u::g::d::r:m:A::xtfynjhV"
#define PREPARING     "slcaoLSf" /* options that decide what is written to TARGET */

static const struct option long_options[] = {
	{"size", required_argument, NULL, 's'},
	{"level", required_argument, NULL, 'l'},
	{"compress", required_argument, NULL, 'c'},
	{"after", required_argument, NULL, 'a'},
	{"console", required_argument, NULL, 'C'},
	{"overwrite", required_argument, NULL, 'o'},
	{"label", required_argument, NULL, 'L'},
	{"image", required_argument, NULL, 'i'},
	{"efi-image", required_argument, NULL, 'E'},
	{"sector-size", required_argument, NULL, 'S'},
	{"kexec", optional_argument, NULL, 'k'},
	{"survey", optional_argument, NULL, 'u'},
	{"boot-entry", optional_argument, NULL, 'b'},
	{"grub", optional_argument, NULL, 'g'},
	{"systemd-boot", optional_argument, NULL, 'd'},
	{"menu", required_argument, NULL, 'm'},
	{"auto", optional_argument, NULL, 'A'},
	{"root", required_argument, NULL, 'r'},
	{"check", no_argument, NULL, 'x'},
	{"settings", no_argument, NULL, 't'},
	{"force", no_argument, NULL, 'f'},
	{"yes", no_argument, NULL, 'y'},
	{"dry-run", no_argument, NULL, 'n'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* Options without a value; false for any other. */
static bool take_flag(struct options *o, int c)
{
	switch (c) {
	case 'f':
		o->force = true;
		return true;
	case 'y':
		o->yes = true;
		return true;
	case 'n':
		o->dry_run = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 'x':
		o->check = true;
		return true;
	case 't':
		o->settings = true;
		return true;
	default:
		return false;
	}
}

/* Options with a value; what is none is the user's @last word. */
static bool take_value(struct options *o, int c, const char *value, const char *last)
{
	if (c == ':')
		tool_error_usage("'%s' needs a value", last);
	else if (c == '?')
		tool_error_usage("'%s' is not an option, or not with a value", last);
	else
		return options_take_value(o, c, value);
	return false;
}

static bool take_target(struct options *o, int argc, char **argv)
{
	bool without = o->check || o->kexec > KEXEC_INSTALL || o->grub > LOADER_INSTALL ||
		       o->systemd_boot > LOADER_INSTALL;

	if (optind == argc && without)
		return true;
	if (optind == argc)
		tool_error_usage("no TARGET given");
	else if (argc - optind > 1)
		tool_error_usage("more than one TARGET given; an action or a number of cycles is "
				 "written behind =, like --survey=3");
	else
		o->target = argv[optind];
	return o->target != NULL;
}

static const char *long_name(int c)
{
	for (u32 i = 0; i < ARRAY_SIZE(long_options); i++) {
		if (long_options[i].val == c)
			return long_options[i].name;
	}
	return NULL;
}

bool options_parse(int argc, char **argv, struct options *o, int *exit_code)
{
	const char *preparing = NULL;
	int c;

	*o = (struct options) {
		.label = "",
		.root = "",
		.level = 31,
		.menu_seconds = CHOOSE_SECONDS,
		.compressor = DL_COMP_LZF,
		.console = BOOT_CONSOLE_SERIAL | BOOT_CONSOLE_SCREEN,
		.serial_port = 0x3f8,
		.serial_baud = OPTIONS_BAUD_MAX,
	};
	*exit_code = TOOL_DONE;
	opterr = 0;
	while ((c = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			fputs(c == 'h' ? options_help : "mkdumpdisk " AFTERIMAGE_VERSION "\n",
				stdout);
			return false;
		}
		if (!take_flag(o, c) && !take_value(o, c, optarg, argv[optind - 1])) {
			*exit_code = TOOL_USAGE;
			return false;
		}
		if (strchr(PREPARING, c) && (c != 'f' || !preparing))
			preparing = long_name(c);
	}
	*exit_code = TOOL_USAGE;
	return take_target(o, argc, argv) && options_check(o, preparing);
}
