/*
 * Command line to struct options: every value is checked here, nothing is opened.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootimage.h"
#include "choose.h"
#include "dumplog.h"
#include "options.h"
#include "ports.h"
#include "surveylog.h"
#include "tools/common/tool.h"

#define SERIAL_BAUD_MAX 115200u
#define SERIAL_PORT_MIN 0x100u
#define SERIAL_PORT_MAX 0xfff8u

static const char *const after_names[] = {
	[ACTION_REBOOT] = "reboot",
	[ACTION_POWEROFF] = "poweroff",
	[ACTION_HALT] = "halt",
};
static const char *const overwrite_names[] = {
	[DL_OVERWRITE_NEVER] = "never",
	[DL_OVERWRITE_OLDEST] = "oldest",
};
static const char *const kexec_names[] = {
	[KEXEC_INSTALL] = "install",
	[KEXEC_STATUS] = "status",
	[KEXEC_REMOVE] = "remove",
	[KEXEC_LOAD] = "load",
	[KEXEC_UNLOAD] = "unload",
};
static const char *const boot_entry_names[] = {
	[BOOT_ENTRY_ADD] = "add",
	[BOOT_ENTRY_FIRST] = "first",
	[BOOT_ENTRY_LAST] = "last",
	[BOOT_ENTRY_NEXT] = "next",
	[BOOT_ENTRY_REMOVE] = "remove",
	[BOOT_ENTRY_STATUS] = "status",
};
static const char *const compressor_names[] = {
	[DL_COMP_NONE] = "none",
	[DL_COMP_LZF] = "lzf",
	[DL_COMP_ZLIB] = "zlib",
	[DL_COMP_ZSTD] = "zstd",
};

#define SHORT_OPTIONS ":s:l:c:a:C:o:L:i:E:S:k::b::u::r:m:AxfynjhV"
#define PREPARING     "slcaoLSfA" /* options that decide what is written to TARGET */
#define ROOT_MAX      1024

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
	{"menu", required_argument, NULL, 'm'},
	{"auto", no_argument, NULL, 'A'},
	{"root", required_argument, NULL, 'r'},
	{"check", no_argument, NULL, 'x'},
	{"force", no_argument, NULL, 'f'},
	{"yes", no_argument, NULL, 'y'},
	{"dry-run", no_argument, NULL, 'n'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

const char *options_after_name(u32 after)
{
	return after_names[after];
}

const char *options_overwrite_name(u32 overwrite)
{
	return overwrite_names[overwrite];
}

const char *options_kexec_name(u32 kexec)
{
	return kexec_names[kexec];
}

const char *options_boot_entry_name(u32 boot_entry)
{
	return boot_entry_names[boot_entry];
}

/* Index of @text in @names, or false after the message. */
static bool parse_name(
	const char *option, const char *text, const char *const *names, u32 count, u32 *value)
{
	for (u32 i = 0; i < count; i++) {
		if (names[i] && strcmp(text, names[i]) == 0) {
			*value = i;
			return true;
		}
	}
	tool_error_usage("--%s: '%s' is not known", option, text);
	return false;
}

static bool parse_compressor(const char *text, u32 *value)
{
	if (!parse_name("compress", text, compressor_names, ARRAY_SIZE(compressor_names), value))
		return false;
	if (*value != DL_COMP_ZSTD)
		return true;
	tool_error_usage("--compress: zstd does not fit the boot image; use lzf or zlib, getdump "
			 "can recompress with zstd");
	return false;
}

static bool parse_port(const char *text, u16 *port)
{
	static const u16 com[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
	unsigned long v;
	char *end;

	if (text[0] >= '0' && text[0] <= '3' && text[1] == '\0') {
		*port = com[text[0] - '0'];
		return true;
	}
	if (strncmp(text, "0x", 2) != 0 || strlen(text) > 6 || text[2] == '\0')
		return false;
	if (strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
		return false;
	v = strtoul(text + 2, &end, 16);
	if (v < SERIAL_PORT_MIN || v > SERIAL_PORT_MAX)
		return false;
	*port = (u16)v;
	return true;
}

/* What follows "serial": nothing, :PORT or :PORT:BAUD. */
static bool parse_serial(char *text, struct options *o)
{
	u64 baud = SERIAL_BAUD_MAX;
	char *baud_text;

	o->console |= BOOT_CONSOLE_SERIAL;
	if (*text == '\0')
		return true;
	baud_text = strchr(text + 1, ':');
	if (baud_text) {
		*baud_text++ = '\0';
		if (!tool_parse_number(baud_text, SERIAL_BAUD_MAX, &baud) || baud < 2 ||
			SERIAL_BAUD_MAX % baud != 0)
			return false;
	}
	o->serial_baud = (u32)baud;
	return parse_port(text + 1, &o->serial_port);
}

static bool parse_console_word(char *word, struct options *o)
{
	if (strcmp(word, "screen") == 0) {
		o->console |= BOOT_CONSOLE_SCREEN;
		return true;
	}
	if (strncmp(word, "serial", 6) != 0 || (word[6] != '\0' && word[6] != ':'))
		return false;
	return parse_serial(word + 6, o);
}

bool options_parse_console(const char *text, struct options *o)
{
	char copy[64];
	char *rest = copy;
	bool ok = strlen(text) < sizeof(copy);

	o->console = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	for (u32 i = 0; ok && rest && i < sizeof(copy); i++)
		ok = parse_console_word(strsep(&rest, ","), o);
	if (!ok)
		tool_error_usage("--console: '%s' is not serial[:PORT[:BAUD]] and/or screen, with "
				 "PORT 0-3 or 0x100-0xfff8 and BAUD a divisor of 115200 from 2 on",
			text);
	return ok;
}

static bool parse_label(const char *text, const char **label)
{
	char shown[LABEL_MAX_BYTES + 2];

	*label = text;
	if (strlen(text) > LABEL_MAX_BYTES) {
		tool_error_usage("--label: longer than %d bytes", LABEL_MAX_BYTES);
		return false;
	}
	tool_printable(shown, sizeof(shown), text, LABEL_MAX_BYTES);
	if (strcmp(shown, text) == 0)
		return true;
	tool_error_usage("--label: not printable UTF-8");
	return false;
}

static bool parse_level(const char *text, u32 *level)
{
	u64 v;

	if (!tool_parse_number(text, 31, &v)) {
		tool_error_usage("--level: '%s' is not 0-31", text);
		return false;
	}
	*level = (u32)v;
	return true;
}

/* Below DIR: an absolute path in it follows the name as it is. */
static bool parse_root(const char *text, const char **root)
{
	size_t length = strlen(text);

	if (length == 0 || length > ROOT_MAX || text[length - 1] == '/') {
		tool_error_usage("--root: '%s' is no directory's name without / at its end", text);
		return false;
	}
	*root = text;
	return true;
}

static bool parse_kexec(const char *text, u32 *kexec)
{
	*kexec = KEXEC_INSTALL;
	return !text || parse_name("kexec", text, kexec_names, ARRAY_SIZE(kexec_names), kexec);
}

/* --survey, --survey=N or --survey=off. */
static bool parse_survey(const char *text, struct options *o)
{
	u64 cycles = DL_SURVEY_CYCLES;

	o->survey = text && strcmp(text, "off") == 0 ? SURVEY_OFF : SURVEY_ARM;
	if (o->survey == SURVEY_OFF)
		return true;
	if (text && (!tool_parse_number(text, DL_SURVEY_CYCLES_MAX, &cycles) || cycles == 0)) {
		tool_error_usage(
			"--survey: '%s' is not 1-%u cycles, nor off", text, DL_SURVEY_CYCLES_MAX);
		return false;
	}
	o->survey_cycles = (u32)cycles;
	return true;
}

static bool parse_boot_entry(const char *text, u32 *action)
{
	*action = BOOT_ENTRY_ADD;
	return !text || parse_name("boot-entry", text, boot_entry_names,
				ARRAY_SIZE(boot_entry_names), action);
}

static bool parse_menu(const char *text, u32 *seconds)
{
	u64 v;

	if (!tool_parse_number(text, CHOOSE_MAX, &v)) {
		tool_error_usage("--menu: '%s' is not 0-%u seconds", text, CHOOSE_MAX);
		return false;
	}
	*seconds = (u32)v;
	return true;
}

static bool parse_size(const char *text, u64 *bytes)
{
	if (tool_parse_size(text, bytes) && *bytes > 0)
		return true;
	tool_error_usage("--size: '%s' is not a size like 4G", text);
	return false;
}

static bool parse_sector_size(const char *text, u32 *bytes)
{
	u64 v;

	if (!tool_parse_number(text, 4096, &v) || (v != 512 && v != 4096)) {
		tool_error_usage("--sector-size: '%s' is not 512 or 4096", text);
		return false;
	}
	*bytes = (u32)v;
	return true;
}

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
	case 'A':
		o->automatic = true;
		return true;
	case 'x':
		o->check = true;
		return true;
	default:
		return false;
	}
}

/* Options with a value; what is none is the user's @last word. */
static bool take_value(struct options *o, int c, const char *value, const char *last)
{
	switch (c) {
	case 's':
		return parse_size(value, &o->size_bytes);
	case 'l':
		return parse_level(value, &o->level);
	case 'c':
		return parse_compressor(value, &o->compressor);
	case 'a':
		return parse_name("after", value, after_names, ARRAY_SIZE(after_names), &o->after);
	case 'C':
		o->given_console = true;
		return options_parse_console(value, o);
	case 'o':
		return parse_name("overwrite", value, overwrite_names, ARRAY_SIZE(overwrite_names),
			&o->overwrite);
	case 'L':
		return parse_label(value, &o->label);
	case 'i':
		o->image = value;
		return true;
	case 'E':
		o->efi_image = value;
		return true;
	case 'S':
		return parse_sector_size(value, &o->sector_bytes);
	case 'k':
		return parse_kexec(value, &o->kexec);
	case 'u':
		return parse_survey(value, o);
	case 'b':
		return parse_boot_entry(value, &o->boot_entry);
	case 'm':
		o->given_menu = true;
		return parse_menu(value, &o->menu_seconds);
	case 'r':
		return parse_root(value, &o->root);
	case ':':
		tool_error_usage("'%s' needs a value", last);
		return false;
	default:
		tool_error_usage("'%s' is not an option, or not with a value", last);
		return false;
	}
}

static bool take_target(struct options *o, int argc, char **argv)
{
	if (optind == argc && (o->kexec > KEXEC_INSTALL || o->check))
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
		.serial_baud = SERIAL_BAUD_MAX,
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
